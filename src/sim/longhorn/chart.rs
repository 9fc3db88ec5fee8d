//! The chart `longhorn`, as far as it matters to what is tested (longhorn `chart/`).

use std::sync::Arc;

use serde_json::{Value, json};

use super::setting::name_of;
use super::{crd, placement};
use crate::sim::{Chart, Rendered, Rendering};

/// The chart in one version, such as `1.12.1`.
pub(super) fn longhorn(version: &str) -> Chart {
    let tag = format!("v{version}");
    let image = |name: &str, tag: &str| json!({"registry": "", "repository": format!("longhornio/{name}"), "tag": tag});
    Chart {
        name: "longhorn".to_owned(),
        version: version.to_owned(),
        app_version: tag.clone(),
        values: json!({
            "global": {"imageRegistry": "docker.io", "nodeSelector": {}, "tolerations": []},
            "image": {"longhorn": {
                "manager": image("longhorn-manager", &tag), "engine": image("longhorn-engine", &tag),
                "ui": image("longhorn-ui", &tag), "instanceManager": image("longhorn-instance-manager", &tag),
                "shareManager": image("longhorn-share-manager", &tag),
                "backingImageManager": image("backing-image-manager", &tag),
                "supportBundleKit": image("support-bundle-kit", "v0.0.88"),
            }, "pullPolicy": "IfNotPresent"},
            "longhornManager": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "100%"}}, "distro": "longhorn"},
            "preUpgradeChecker": {"jobEnabled": true, "upgradeVersionCheck": true},
            "defaultSettings": {},
            "persistence": {
                "defaultClass": true, "defaultClassReplicaCount": 3, "reclaimPolicy": "Delete",
                "backingImage": {"enable": false, "name": null},
            },
            "service": {"ui": {"type": "ClusterIP"}},
        }),
        crds: Vec::new(),
        render: Arc::new(|at: &Rendering<'_>| {
            let mut objects = crd::definitions(&labels(at));
            objects.extend(settings(at));
            objects.extend(services(at));
            objects.extend(workloads(at));
            objects.extend(hooks(at));
            for object in &mut objects {
                if let Some(spec) = object.pointer_mut("/spec/template/spec") {
                    let global = &at.values["global"];
                    placement::place(spec, &global["nodeSelector"], &global["tolerations"]);
                }
            }
            objects.push(class(at));
            Ok(Rendered { objects, notes: "Longhorn is now installed on the cluster!".to_owned() })
        }),
    }
}

fn labels(at: &Rendering<'_>) -> Value {
    json!({
        "app.kubernetes.io/name": "longhorn", "helm.sh/chart": format!("longhorn-{}", at.version),
        "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": at.release,
        "app.kubernetes.io/version": at.app_version,
    })
}

fn with(mut labels: Value, key: &str, value: &str) -> Value {
    labels[key] = value.into();
    labels
}

/// The whole reference of one of the images.
fn image(at: &Rendering<'_>, name: &str) -> String {
    let own = &at.values["image"]["longhorn"][name];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let registry =
        [&own["registry"], &at.values["global"]["imageRegistry"]].into_iter().map(text).find(|own| !own.is_empty());
    let registry = registry.map_or(String::new(), |registry| format!("{registry}/"));
    format!("{registry}{}:{}", text(&own["repository"]), text(&own["tag"]))
}

fn settings(at: &Rendering<'_>) -> Vec<Value> {
    let chosen = at.values["defaultSettings"].as_object().cloned().unwrap_or_default();
    let lines = chosen.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{}: {}\n", name_of(key), Value::String(value))
    });
    let text: String = lines.collect();
    vec![
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "longhorn-service-account", "namespace": at.namespace, "labels": labels(at)},
        }),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "longhorn-default-setting", "namespace": at.namespace, "labels": labels(at)},
            "data": {"default-setting.yaml": text},
        }),
    ]
}

fn services(at: &Rendering<'_>) -> Vec<Value> {
    let service = |name: &str, selector: Value, port: i64| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": at.namespace, "labels": labels(at)},
            "spec": {"type": "ClusterIP", "selector": selector, "ports": [{"name": "port", "port": port, "targetPort": port}]},
        })
    };
    vec![
        service("longhorn-backend", json!({"app": "longhorn-manager"}), 9500),
        service(
            "longhorn-admission-webhook",
            json!({"longhorn.io/admission-webhook": "longhorn-admission-webhook"}),
            9502,
        ),
        service(
            "longhorn-recovery-backend",
            json!({"longhorn.io/recovery-backend": "longhorn-recovery-backend"}),
            9503,
        ),
        service("longhorn-frontend", json!({"app": "longhorn-ui"}), 8000),
    ]
}

fn workloads(at: &Rendering<'_>) -> Vec<Value> {
    let pull = &at.values["image"]["pullPolicy"];
    let manager = with(labels(at), "app", "longhorn-manager");
    let mut command: Vec<String> = ["longhorn-manager", "-d", "daemon"].map(str::to_owned).to_vec();
    for (flag, name) in [
        ("--engine-image", "engine"),
        ("--instance-manager-image", "instanceManager"),
        ("--share-manager-image", "shareManager"),
        ("--backing-image-manager-image", "backingImageManager"),
        ("--support-bundle-manager-image", "supportBundleKit"),
        ("--manager-image", "manager"),
    ] {
        command.extend([flag.to_owned(), image(at, name)]);
    }
    command.extend(["--service-account", "longhorn-service-account"].map(str::to_owned));
    if at.values["preUpgradeChecker"]["upgradeVersionCheck"] == true {
        command.push("--upgrade-version-check".to_owned());
    }
    let environment = json!([
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]);
    let deployer = with(labels(at), "app", "longhorn-driver-deployer");
    let ui = with(labels(at), "app", "longhorn-ui");
    vec![
        json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": "longhorn-manager", "namespace": at.namespace, "labels": manager},
            "spec": {
                "selector": {"matchLabels": {"app": "longhorn-manager"}},
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {
                    "maxUnavailable": at.values["longhornManager"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"],
                }},
                "template": {"metadata": {"labels": manager}, "spec": {
                    "serviceAccountName": "longhorn-service-account",
                    "containers": [
                        {
                            "name": "longhorn-manager", "image": image(at, "manager"), "imagePullPolicy": pull,
                            "command": command, "env": environment, "securityContext": {"privileged": true},
                            "ports": [
                                {"name": "manager", "containerPort": 9500}, {"name": "admission-wh", "containerPort": 9502},
                                {"name": "recov-backend", "containerPort": 9503},
                            ],
                            "readinessProbe": {"httpGet": {"path": "/v1/healthz", "port": 9502, "scheme": "HTTPS"}},
                            "volumeMounts": [{"name": "longhorn", "mountPath": "/var/lib/longhorn/"}],
                        },
                        // PID 1 is a shell without a handler: it does not hear SIGTERM, so the pod takes its whole grace.
                        {
                            "name": "pre-pull-share-manager-image", "image": image(at, "shareManager"),
                            "imagePullPolicy": pull,
                            "command": ["sh", "-c", "echo share-manager image pulled && sleep infinity"],
                        },
                    ],
                    "volumes": [{"name": "longhorn", "hostPath": {"path": "/var/lib/longhorn/"}}],
                }},
            },
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "longhorn-driver-deployer", "namespace": at.namespace, "labels": labels(at)},
            "spec": {
                "replicas": 1, "selector": {"matchLabels": {"app": "longhorn-driver-deployer"}},
                "template": {"metadata": {"labels": deployer}, "spec": {
                    "serviceAccountName": "longhorn-service-account",
                    "containers": [{
                        "name": "longhorn-driver-deployer", "image": image(at, "manager"), "imagePullPolicy": pull,
                        "command": [
                            "longhorn-manager", "-d", "deploy-driver", "--manager-image", image(at, "manager"),
                            "--manager-url", "http://longhorn-backend:9500/v1",
                        ],
                    }],
                }},
            },
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "longhorn-ui", "namespace": at.namespace, "labels": labels(at)},
            "spec": {
                "replicas": 2, "selector": {"matchLabels": {"app": "longhorn-ui"}},
                "template": {"metadata": {"labels": ui}, "spec": {
                    "containers": [{"name": "longhorn-ui", "image": image(at, "ui"), "imagePullPolicy": pull}],
                }},
            },
        }),
    ]
}

fn hooks(at: &Rendering<'_>) -> Vec<Value> {
    let job = |name: &str, hook: &str, policy: &str, word: &str| {
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": name, "namespace": at.namespace, "labels": labels(at),
                "annotations": {"helm.sh/hook": hook, "helm.sh/hook-delete-policy": policy},
            },
            "spec": {
                "activeDeadlineSeconds": 900, "backoffLimit": 1,
                "template": {"metadata": {"name": name, "labels": labels(at)}, "spec": {
                    "restartPolicy": "OnFailure", "serviceAccountName": "longhorn-service-account",
                    "containers": [{
                        "name": name, "image": image(at, "manager"), "imagePullPolicy": "IfNotPresent",
                        "command": ["longhorn-manager", word],
                    }],
                }},
            },
        })
    };
    let before = "hook-succeeded,before-hook-creation";
    let mut jobs = vec![
        job("longhorn-post-upgrade", "post-upgrade", before, "post-upgrade"),
        job("longhorn-uninstall", "pre-delete", "hook-succeeded", "uninstall"),
    ];
    let checker = &at.values["preUpgradeChecker"];
    if checker["jobEnabled"] == true && checker["upgradeVersionCheck"] == true {
        jobs.push(job("longhorn-pre-upgrade", "pre-upgrade", before, "pre-upgrade"));
    }
    jobs
}

fn class(at: &Rendering<'_>) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": "longhorn", "labels": labels(at), "annotations": {
            "storageclass.kubernetes.io/is-default-class": at.values["persistence"]["defaultClass"].to_string(),
        }},
        "provisioner": "driver.longhorn.io", "allowVolumeExpansion": true, "volumeBindingMode": "Immediate",
        "reclaimPolicy": at.values["persistence"]["reclaimPolicy"],
        "parameters": {
            "numberOfReplicas": at.values["persistence"]["defaultClassReplicaCount"].to_string(),
            "staleReplicaTimeout": "30", "fsType": "ext4",
        },
    })
}
