//! The pods that hold and prepare files.

use serde_json::{Value, json};

use super::super::{kind, name};
use crate::sim::Object;

/// The pod of a backing image manager; it has its manager's name.
pub(super) fn of_manager(manager: &Object) -> Value {
    let (node, disk) = (manager.text("/spec/nodeID"), manager.text("/spec/diskUUID"));
    pod(
        manager,
        manager.name(),
        &name::image_manager_labels(node, disk),
        &kind::IMAGE_MANAGER.owner(manager.name(), manager.uid()),
        json!({
            "name": "backing-image-manager", "image": manager.text("/spec/image"),
            "command": ["backing-image-manager", "--debug", "daemon", "--listen", ":8000", "--sync-listen", ":8001"],
        }),
    )
}

/// The pod that prepares a first file.
pub(super) fn of_source(source: &Object, image: &str) -> Value {
    let (node, disk) = (source.text("/spec/nodeID"), source.text("/spec/diskUUID"));
    let mut command: Vec<String> =
        ["backing-image-manager", "--debug", "data-source", "--listen", ":8000"].map(str::to_owned).to_vec();
    command.extend(
        ["--sync-listen", ":8001", "--name", source.name(), "--uuid", source.text("/spec/uuid")].map(str::to_owned),
    );
    command.extend(["--source-type", source.text("/spec/sourceType")].map(str::to_owned));
    for (key, value) in source.at("/spec/parameters").as_object().into_iter().flatten() {
        command.push("--parameters".to_owned());
        command.push(format!("{key}={}", value.as_str().unwrap_or_default()));
    }
    if !source.text("/spec/checksum").is_empty() {
        command.extend(["--checksum", source.text("/spec/checksum")].map(str::to_owned));
    }
    pod(
        source,
        &name::data_source_pod(source.name()),
        &name::data_source_labels(source.name(), node, disk),
        &kind::DATA_SOURCE.owner(source.name(), source.uid()),
        json!({"name": "backing-image-data-source", "image": image, "command": command}),
    )
}

fn pod(of: &Object, pod: &str, labels: &Value, owner: &Value, mut container: Value) -> Value {
    container["imagePullPolicy"] = "IfNotPresent".into();
    container["securityContext"] = json!({"privileged": true});
    container["env"] = json!([{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]);
    container["volumeMounts"] = json!([{"name": "disk-path", "mountPath": "/data/"}]);
    container["readinessProbe"] = json!({
        "tcpSocket": {"port": 8000}, "initialDelaySeconds": 3, "periodSeconds": 5, "timeoutSeconds": 4,
        "failureThreshold": 3,
    });
    json!({
        "metadata": {
            "name": pod, "namespace": of.namespace(), "labels": labels, "ownerReferences": [owner],
            "annotations": {"longhorn.io/disk-uuid": of.text("/spec/diskUUID")},
        },
        "spec": {
            "nodeName": of.text("/spec/nodeID"), "restartPolicy": "Never",
            "serviceAccountName": "longhorn-service-account",
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
            "volumes": [{"name": "disk-path", "hostPath": {"path": of.text("/spec/diskPath")}}],
        },
    })
}

/// Whether a pod works: it runs, is ready, and nobody asked for its end.
pub(super) fn works(pod: &Object) -> bool {
    pod.text("/status/phase") == "Running" && pod.is("Ready") && !pod.is_terminating()
}
