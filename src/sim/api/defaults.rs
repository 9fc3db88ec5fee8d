//! What the server fills in where a client leaves it out.
//!
//! The short list of defaults that clients meet most; those of `k8s.io/kubernetes`
//! v1.34, in `pkg/apis/*/v*/defaults.go` and, for pods, in the admission plugins
//! that are always on.

use serde_json::{Map, Value, json};

use super::object::Object;
use super::prepare::TEMPLATES;
use super::resource::Resource;

/// Fills an object in. What is there stays as it is.
pub(crate) fn fill(object: &mut Object, resource: &Resource) {
    if resource.is_custom() {
        return;
    }
    let name = object.name().to_owned();
    let mut value = object.value();
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => set(&mut value, &["metadata", "labels", "kubernetes.io/metadata.name"], name.into()),
        ("", "pods") => {
            pod_spec(&mut value["spec"]);
            give(&mut value["spec"], "enableServiceLinks", json!(true));
        }
        ("", "podtemplates") => template(&mut value["template"]),
        ("", "services") => service(&mut value["spec"]),
        ("", "secrets") => secret(&mut value),
        ("", "persistentvolumeclaims") => give(&mut value["spec"], "volumeMode", json!("Filesystem")),
        ("", "persistentvolumes") => {
            give(&mut value["spec"], "volumeMode", json!("Filesystem"));
            give(&mut value["spec"], "persistentVolumeReclaimPolicy", json!("Retain"));
            if let Some(path) = value["spec"].get_mut("hostPath") {
                give(path, "type", json!(""));
            }
        }
        ("", "nodes") => {
            if let Some(status) = value.get_mut("status").filter(|status| !status["capacity"].is_null()) {
                let capacity = status["capacity"].clone();
                give(status, "allocatable", capacity);
            }
        }
        ("autoscaling", "horizontalpodautoscalers") => {
            let spec = &mut value["spec"];
            give(spec, "minReplicas", json!(1));
            let cpu = json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}});
            give(spec, "metrics", json!([{"type": "Resource", "resource": cpu}]));
        }
        ("apps", "daemonsets") => {
            workload(&mut value, "daemonsets");
            // Written by the conversion from the internal type, which counts there.
            if value["metadata"]["annotations"][TEMPLATES].is_null() {
                set(&mut value, &["metadata", "annotations", TEMPLATES], "0".into());
            }
        }
        ("apps" | "batch", plural) if plural != "controllerrevisions" => workload(&mut value, plural),
        ("", "replicationcontrollers") => {
            let labels = value["spec"]["template"]["metadata"]["labels"].clone();
            let spec = &mut value["spec"];
            give(spec, "replicas", json!(1));
            give(spec, "selector", labels.clone());
            template(&mut spec["template"]);
            give(&mut value["metadata"], "labels", labels);
        }
        ("storage.k8s.io", "csidrivers") => {
            let spec = &mut value["spec"];
            give(spec, "attachRequired", json!(true));
            give(spec, "fsGroupPolicy", json!("ReadWriteOnceWithFSType"));
            give(spec, "volumeLifecycleModes", json!(["Persistent"]));
            for field in ["podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"] {
                give(spec, field, json!(false));
            }
        }
        ("scheduling.k8s.io", "priorityclasses") => give(&mut value, "preemptionPolicy", json!("PreemptLowerPriority")),
        ("", "endpoints") => {
            for subset in items(&mut value, "subsets") {
                for port in items(subset, "ports") {
                    give(port, "protocol", json!("TCP"));
                }
            }
        }
        ("discovery.k8s.io", "endpointslices") => {
            for port in items(&mut value, "ports") {
                give(port, "protocol", json!("TCP"));
                give(port, "name", json!(""));
            }
        }
        ("networking.k8s.io", "networkpolicies") => network_policy(&mut value["spec"]),
        ("storage.k8s.io", "storageclasses") => {
            give(&mut value, "reclaimPolicy", json!("Delete"));
            give(&mut value, "volumeBindingMode", json!("Immediate"));
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => binding(&mut value),
        ("admissionregistration.k8s.io", plural) => {
            for webhook in items(&mut value, "webhooks") {
                self::webhook(webhook, plural.starts_with("mutating"));
            }
        }
        ("apiextensions.k8s.io", _) => {
            let spec = &mut value["spec"];
            give(spec, "conversion", json!({"strategy": "None"}));
            let kind = spec["names"]["kind"].as_str().unwrap_or_default().to_owned();
            give(&mut spec["names"], "singular", kind.to_lowercase().into());
            if !kind.is_empty() {
                give(&mut spec["names"], "listKind", format!("{kind}List").into());
            }
        }
        _ => {}
    }
    *object = Object::new(value).expect("filling fields in leaves an object an object");
}

fn network_policy(spec: &mut Value) {
    let both = spec["egress"].is_array();
    give(spec, "policyTypes", if both { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
    for rule in items(spec, "ingress") {
        for port in items(rule, "ports") {
            give(port, "protocol", json!("TCP"));
        }
    }
}

/// What makes pods.
fn workload(value: &mut Value, plural: &str) {
    let spec = &mut value["spec"];
    match plural {
        "deployments" => {
            give(spec, "replicas", json!(1));
            rolling(spec, "strategy", &json!({"maxUnavailable": "25%", "maxSurge": "25%"}));
            give(spec, "revisionHistoryLimit", json!(10));
            give(spec, "progressDeadlineSeconds", json!(600));
            template(&mut spec["template"]);
        }
        "daemonsets" => {
            rolling(spec, "updateStrategy", &json!({"maxUnavailable": 1, "maxSurge": 0}));
            give(spec, "revisionHistoryLimit", json!(10));
            template(&mut spec["template"]);
        }
        "statefulsets" => {
            give(spec, "replicas", json!(1));
            give(spec, "podManagementPolicy", json!("OrderedReady"));
            rolling(spec, "updateStrategy", &json!({"partition": 0}));
            give(spec, "revisionHistoryLimit", json!(10));
            let retain = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
            give(spec, "persistentVolumeClaimRetentionPolicy", retain);
            for claim in items(spec, "volumeClaimTemplates") {
                give(claim, "apiVersion", json!("v1"));
                give(claim, "kind", json!("PersistentVolumeClaim"));
                give(&mut claim["spec"], "volumeMode", json!("Filesystem"));
                give(claim, "status", json!({}));
                give(&mut claim["status"], "phase", json!("Pending"));
            }
            template(&mut spec["template"]);
        }
        "replicasets" => {
            give(spec, "replicas", json!(1));
            template(&mut spec["template"]);
        }
        "jobs" => job(spec),
        "cronjobs" => {
            give(spec, "concurrencyPolicy", json!("Allow"));
            give(spec, "suspend", json!(false));
            give(spec, "successfulJobsHistoryLimit", json!(3));
            give(spec, "failedJobsHistoryLimit", json!(1));
            template(&mut spec["jobTemplate"]["spec"]["template"]);
        }
        _ => {}
    }
}

/// Sets a field that is missing. What is no object stays what it is: a later check refuses it.
fn give(value: &mut Value, field: &str, default: Value) {
    if let Some(fields) = fields(value) {
        let slot = fields.entry(field.to_owned()).or_insert(Value::Null);
        if slot.is_null() {
            *slot = default;
        }
    }
}

/// The fields of an object; nothing becomes an empty one.
fn fields(value: &mut Value) -> Option<&mut Map<String, Value>> {
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut()
}

fn set(value: &mut Value, path: &[&str], to: Value) {
    match path {
        [] => *value = to,
        [first, rest @ ..] => {
            if let Some(fields) = fields(value) {
                set(fields.entry((*first).to_owned()).or_insert(Value::Null), rest, to);
            }
        }
    }
}

fn items<'a>(value: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

/// A strategy whose usual type is `RollingUpdate`, with that type's parameters.
fn rolling(spec: &mut Value, field: &str, parameters: &Value) {
    give(spec, field, json!({}));
    let strategy = &mut spec[field];
    give(strategy, "type", json!("RollingUpdate"));
    if strategy["type"] == "RollingUpdate" {
        give(strategy, "rollingUpdate", json!({}));
        for (name, value) in parameters.as_object().into_iter().flatten() {
            give(&mut strategy["rollingUpdate"], name, value.clone());
        }
    }
}

fn template(template: &mut Value) {
    give(template, "metadata", json!({}));
    give(template, "spec", json!({}));
    pod_spec(&mut template["spec"]);
}

fn pod_spec(spec: &mut Value) {
    give(spec, "restartPolicy", json!("Always"));
    give(spec, "terminationGracePeriodSeconds", json!(30));
    give(spec, "dnsPolicy", json!("ClusterFirst"));
    give(spec, "securityContext", json!({}));
    give(spec, "schedulerName", json!("default-scheduler"));
    // The older name of the same field is kept up with it.
    if let Some(account) = spec["serviceAccountName"].as_str().map(str::to_owned) {
        give(spec, "serviceAccount", account.into());
    }
    let host_network = spec["hostNetwork"] == true;
    for list in ["initContainers", "containers"] {
        for each in items(spec, list) {
            container(each, host_network);
        }
    }
    for each in items(spec, "volumes") {
        volume(each);
    }
}

fn container(container: &mut Value, host_network: bool) {
    give(container, "resources", json!({}));
    give(container, "terminationMessagePath", json!("/dev/termination-log"));
    give(container, "terminationMessagePolicy", json!("File"));
    let image = container["image"].as_str().unwrap_or_default();
    let tag = image.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
    let latest = !image.contains('@') && tag.is_none_or(|tag| tag == "latest");
    give(container, "imagePullPolicy", json!(if latest { "Always" } else { "IfNotPresent" }));
    if let Some(limits) = container["resources"]["limits"].as_object().cloned() {
        for (name, limit) in limits {
            give(&mut container["resources"], "requests", json!({}));
            give(&mut container["resources"]["requests"], &name, limit);
        }
    }
    for port in items(container, "ports") {
        give(port, "protocol", json!("TCP"));
        if host_network {
            let number = port["containerPort"].clone();
            give(port, "hostPort", number);
        }
    }
    for variable in items(container, "env") {
        if let Some(reference) = variable.pointer_mut("/valueFrom/fieldRef") {
            give(reference, "apiVersion", json!("v1"));
        }
    }
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(kind) {
            give(probe, "timeoutSeconds", json!(1));
            give(probe, "periodSeconds", json!(10));
            give(probe, "successThreshold", json!(1));
            give(probe, "failureThreshold", json!(3));
            if let Some(get) = probe.get_mut("httpGet") {
                give(get, "path", json!("/"));
                give(get, "scheme", json!("HTTP"));
            }
        }
    }
}

fn volume(volume: &mut Value) {
    if volume.as_object().is_some_and(|fields| fields.len() == 1) {
        give(volume, "emptyDir", json!({}));
    }
    for kind in ["secret", "configMap", "projected", "downwardAPI"] {
        if let Some(source) = volume.get_mut(kind) {
            give(source, "defaultMode", json!(420));
        }
    }
    if let Some(path) = volume.get_mut("hostPath") {
        give(path, "type", json!(""));
    }
}

fn service(spec: &mut Value) {
    give(spec, "sessionAffinity", json!("None"));
    give(spec, "type", json!("ClusterIP"));
    if spec["type"] != "ExternalName" {
        give(spec, "internalTrafficPolicy", json!("Cluster"));
    }
    if spec["type"] == "NodePort" || spec["type"] == "LoadBalancer" {
        give(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if spec["type"] == "LoadBalancer" {
        give(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
    if spec["sessionAffinity"] == "ClientIP" {
        give(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 10_800}}));
    }
    for port in items(spec, "ports") {
        give(port, "protocol", json!("TCP"));
        let number = port["port"].clone();
        give(port, "targetPort", number);
    }
}

fn secret(value: &mut Value) {
    give(value, "type", json!("Opaque"));
    let Some(texts) = value.as_object_mut().and_then(|fields| fields.shift_remove("stringData")) else {
        return;
    };
    for (key, text) in texts.as_object().into_iter().flatten() {
        let bytes = text.as_str().unwrap_or_default().as_bytes().to_vec();
        set(value, &["data", key], json!(k8s_openapi::ByteString(bytes)));
    }
}

fn job(spec: &mut Value) {
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        give(spec, "completions", json!(1));
    }
    give(spec, "parallelism", json!(1));
    give(spec, "backoffLimit", json!(6));
    give(spec, "completionMode", json!("NonIndexed"));
    give(spec, "suspend", json!(false));
    give(spec, "manualSelector", json!(false));
    give(spec, "podReplacementPolicy", json!("TerminatingOrFailed"));
    template(&mut spec["template"]);
}

fn binding(value: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    if value["roleRef"]["apiGroup"] == "" {
        value["roleRef"]["apiGroup"] = Value::Null;
    }
    give(&mut value["roleRef"], "apiGroup", json!(GROUP));
    for subject in items(value, "subjects") {
        if subject["kind"] != "ServiceAccount" {
            give(subject, "apiGroup", json!(GROUP));
        }
    }
}

fn webhook(webhook: &mut Value, mutating: bool) {
    give(webhook, "failurePolicy", json!("Fail"));
    give(webhook, "matchPolicy", json!("Equivalent"));
    give(webhook, "namespaceSelector", json!({}));
    give(webhook, "objectSelector", json!({}));
    give(webhook, "timeoutSeconds", json!(10));
    if mutating {
        give(webhook, "reinvocationPolicy", json!("Never"));
    }
    if let Some(service) = webhook.pointer_mut("/clientConfig/service") {
        give(service, "port", json!(443));
    }
    for rule in items(webhook, "rules") {
        give(rule, "scope", json!("*"));
    }
}
