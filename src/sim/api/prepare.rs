//! What the server makes of an object before keeping it: status apart from the rest,
//! generations, and the few defaults that clients wait for.

use serde_json::{Value, json};

use super::object::Object;
use super::resource::{Resource, Subresource};

/// A new object: what only the status subresource may write is dropped, what the server gives is given.
pub(crate) fn creation(object: &mut Object, resource: &Resource) {
    // A kubelet registers its node together with its status.
    if resource.has(Subresource::Status) && !resource.is("", "nodes") {
        object.set_field("status", initial_status(object, resource));
    }
    if resource.generation {
        object.set_meta("generation", Some(json!(1)));
    }
    if resource.is("", "namespaces") {
        object.set_at(&["spec", "finalizers"], json!(["kubernetes"]));
    }
    if resource.is("", "pods") {
        admit_pod(object);
        let class = service_class(object);
        object.set_at(&["status", "qosClass"], class.into());
    }
    if resource.is("apps", "daemonsets") {
        object.set_at(&["metadata", "annotations", TEMPLATES], "1".into());
    }
    if resource.is("batch", "jobs") && object.at(&["spec", "manualSelector"]) != Some(&json!(true)) {
        claim_pods(object);
    }
}

/// Counts the changes of a daemon set's template; older clients look for it there.
pub(crate) const TEMPLATES: &str = "deprecated.daemonset.template.generation";

/// The class of service that a pod's requests and limits make.
fn service_class(pod: &Object) -> &'static str {
    let containers = ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| pod.at(&["spec", list]).and_then(Value::as_array).into_iter().flatten());
    let (mut any, mut all) = (false, true);
    for container in containers {
        let given = |kind: &str, name: &str| container["resources"][kind].get(name).cloned();
        for name in ["cpu", "memory"] {
            let (request, limit) = (given("requests", name), given("limits", name));
            any |= request.is_some() || limit.is_some();
            all &= limit.is_some() && request == limit;
        }
    }
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// What the admission plugins that are always on give a pod. Its service account's token is not mounted.
fn admit_pod(pod: &mut Object) {
    let class = pod.at(&["spec", "priorityClassName"]).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut give = |field: &str, value: Value| {
        if pod.at(&["spec", field]).is_none() {
            pod.set_at(&["spec", field], value);
        }
    };
    give("serviceAccountName", json!("default"));
    give("serviceAccount", json!("default"));
    let critical = pod_priority(&class);
    give("priority", json!(critical));
    give("preemptionPolicy", json!("PreemptLowerPriority"));
    tolerate(pod);
}

/// Lets a pod stay for a while on a node that does not answer.
fn tolerate(pod: &mut Object) {
    let mut tolerations = pod.at(&["spec", "tolerations"]).and_then(Value::as_array).cloned().unwrap_or_default();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let covers = |own: &Value| {
            (own["key"] == key || (own["key"].is_null() && own["operator"] == "Exists"))
                && (own["effect"] == "NoExecute" || own["effect"].is_null())
        };
        if !tolerations.iter().any(covers) {
            tolerations
                .push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
    pod.set_at(&["spec", "tolerations"], json!(tolerations));
}

/// Whether a class is one of the two that every cluster has.
pub(crate) fn is_system_class(class: &str) -> bool {
    pod_priority(class) != 0
}

/// The two classes that every cluster has.
fn pod_priority(class: &str) -> i64 {
    match class {
        "system-node-critical" => 2_000_001_000,
        "system-cluster-critical" => 2_000_000_000,
        _ => 0,
    }
}

/// A job's pods are told from those of other jobs by its uid.
fn claim_pods(job: &mut Object) {
    let (uid, name) = (job.uid().to_owned(), job.name().to_owned());
    let labels = [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("job-name", &name),
    ];
    for (key, value) in labels {
        job.set_at(&["spec", "template", "metadata", "labels", key], value.as_str().into());
    }
    // The job itself is labelled like its pods, unless it has labels of its own.
    if job.meta("labels").is_none() {
        let labels = job.at(&["spec", "template", "metadata", "labels"]).cloned();
        job.set_meta("labels", labels);
    }
    job.set_at(&["spec", "selector"], json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}));
}

/// A changed object: each part keeps what another part owns.
pub(crate) fn change(new: &mut Object, old: &Object, resource: &Resource, part: Option<Subresource>) {
    match part {
        Some(Subresource::Status) => {
            let (mut status, metadata) = (new.field("status").cloned(), new.field("metadata").cloned());
            if let (Some(Value::Object(status)), Some(class)) = (&mut status, old.at(&["status", "qosClass"])) {
                status.entry("qosClass").or_insert_with(|| class.clone());
            }
            *new = old.clone();
            new.set_field("status", status);
            if resource.is_custom() {
                let fields = metadata.as_ref().and_then(|metadata| metadata.get("managedFields"));
                new.set_meta("managedFields", fields.cloned());
            } else {
                // Built-in kinds let labels and the like change with the status, custom ones do not.
                let owners = old.meta("ownerReferences").cloned();
                new.set_field("metadata", metadata);
                new.set_meta("ownerReferences", owners);
            }
        }
        Some(Subresource::Finalize) => {
            let finalizers = new.at(&["spec", "finalizers"]).cloned().unwrap_or_else(|| json!([]));
            new.set_field("status", old.field("status").cloned());
            new.set_at(&["spec", "finalizers"], finalizers);
        }
        _ => {
            if resource.has(Subresource::Status) {
                new.set_field("status", old.field("status").cloned());
            }
            if resource.is("", "pods") {
                tolerate(new);
            }
            if resource.is("", "namespaces") {
                let finalizers = old.at(&["spec", "finalizers"]).cloned().unwrap_or_else(|| json!([]));
                new.set_at(&["spec", "finalizers"], finalizers);
            }
        }
    }
    if resource.is("apps", "daemonsets") {
        let count =
            |object: &Object| object.at(&["metadata", "annotations", TEMPLATES]).and_then(Value::as_str)?.parse().ok();
        let template = |object: &Object| object.at(&["spec", "template"]).cloned();
        let before: i64 = count(old).unwrap_or(1);
        let now = if template(old) == template(new) { before } else { before + 1 };
        new.set_at(&["metadata", "annotations", TEMPLATES], now.to_string().into());
    }
}

/// Whether a change counts as a new generation.
pub(crate) fn spec_changed(new: &Object, old: &Object, resource: &Resource) -> bool {
    if !resource.generation {
        return false;
    }
    let counts = |key: &str| {
        let status = key == "status" && (resource.has(Subresource::Status) || !resource.is_custom());
        key != "metadata" && key != "apiVersion" && !status
    };
    let part = |object: &Object| -> Vec<(String, Value)> {
        let mut part: Vec<_> = object
            .fields()
            .iter()
            .filter(|(key, _)| counts(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        part.sort_by(|a, b| a.0.cmp(&b.0));
        part
    };
    part(new) != part(old)
}

fn initial_status(object: &Object, resource: &Resource) -> Option<Value> {
    if resource.is_custom() {
        return None;
    }
    Some(match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => json!({"phase": "Active"}),
        ("", "pods") => json!({"phase": "Pending", "qosClass": "BestEffort"}),
        ("", "persistentvolumeclaims") => json!({"phase": "Pending"}),
        ("", "persistentvolumes") => {
            json!({"phase": "Pending", "lastPhaseTransitionTime": object.meta("creationTimestamp")})
        }
        ("storage.k8s.io", "volumeattachments") => json!({"attached": false}),
        ("autoscaling", "horizontalpodautoscalers") => json!({"desiredReplicas": 0, "currentMetrics": null}),
        ("", "services") | ("networking.k8s.io", "ingresses") => json!({"loadBalancer": {}}),
        ("", "replicationcontrollers") | ("apps", "replicasets") => json!({"replicas": 0}),
        ("apps", "statefulsets") => json!({"replicas": 0, "availableReplicas": 0}),
        ("apps", "daemonsets") => {
            json!({"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0})
        }
        ("policy", "poddisruptionbudgets") => {
            json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0})
        }
        ("apiextensions.k8s.io", _) => json!({
            "acceptedNames": {"kind": "", "plural": ""}, "conditions": null, "storedVersions": storage_versions(object),
        }),
        _ => json!({}),
    })
}

/// The version in which a definition's objects are kept, as a list of one.
pub(crate) fn storage_versions(definition: &Object) -> Vec<Value> {
    let versions = definition.at(&["spec", "versions"]).and_then(Value::as_array);
    let storage = versions.into_iter().flatten().find(|version| version["storage"] == true);
    storage.map(|version| version["name"].clone()).into_iter().collect()
}
