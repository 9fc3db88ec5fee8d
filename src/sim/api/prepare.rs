//! What the server makes of an object before keeping it: status apart from the rest,
//! generations, and the few defaults that clients wait for.

use serde_json::{Value, json};

use super::object::Object;
use super::resource::{Resource, Subresource};

/// A new object: what only the status subresource may write is dropped, what the server gives is given.
pub(crate) fn creation(object: &mut Object, resource: &Resource) {
    // A kubelet registers its node together with its status.
    if resource.has(Subresource::Status) && !resource.is("", "nodes") {
        object.set_field("status", initial_status(resource));
    }
    if resource.generation {
        object.set_meta("generation", Some(json!(1)));
    }
    if resource.is("", "namespaces") {
        let name = object.name().to_owned();
        object.set_at(
            &["metadata", "labels", "kubernetes.io/metadata.name"],
            name.into(),
        );
        object.set_at(&["spec", "finalizers"], json!(["kubernetes"]));
    }
}

/// A changed object: each part keeps what another part owns.
pub(crate) fn change(
    new: &mut Object,
    old: &Object,
    resource: &Resource,
    part: Option<Subresource>,
) {
    match part {
        Some(Subresource::Status) => {
            let (status, metadata) = (new.field("status").cloned(), new.field("metadata").cloned());
            *new = old.clone();
            new.set_field("status", status);
            if resource.is_custom() {
                let fields = metadata
                    .as_ref()
                    .and_then(|metadata| metadata.get("managedFields"));
                new.set_meta("managedFields", fields.cloned());
            } else {
                // Built-in kinds let labels and the like change with the status, custom ones do not.
                let owners = old.meta("ownerReferences").cloned();
                new.set_field("metadata", metadata);
                new.set_meta("ownerReferences", owners);
            }
        }
        Some(Subresource::Finalize) => {
            let finalizers = new
                .at(&["spec", "finalizers"])
                .cloned()
                .unwrap_or_else(|| json!([]));
            new.set_field("status", old.field("status").cloned());
            new.set_at(&["spec", "finalizers"], finalizers);
        }
        _ => {
            if resource.has(Subresource::Status) {
                new.set_field("status", old.field("status").cloned());
            }
            if resource.is("", "namespaces") {
                let finalizers = old
                    .at(&["spec", "finalizers"])
                    .cloned()
                    .unwrap_or_else(|| json!([]));
                new.set_at(&["spec", "finalizers"], finalizers);
            }
        }
    }
}

/// Whether a change counts as a new generation.
pub(crate) fn spec_changed(new: &Object, old: &Object, resource: &Resource) -> bool {
    if !resource.generation {
        return false;
    }
    let counts = |key: &str| {
        let status =
            key == "status" && (resource.has(Subresource::Status) || !resource.is_custom());
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

fn initial_status(resource: &Resource) -> Option<Value> {
    if resource.is_custom() {
        return None;
    }
    Some(match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => json!({"phase": "Active"}),
        ("", "pods") => json!({"phase": "Pending", "qosClass": "BestEffort"}),
        ("", "persistentvolumeclaims" | "persistentvolumes") => json!({"phase": "Pending"}),
        ("", "services") => json!({"loadBalancer": {}}),
        ("apps", "deployments" | "statefulsets" | "replicasets") => json!({"replicas": 0}),
        ("apps", "daemonsets") => {
            json!({"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0})
        }
        ("policy", "poddisruptionbudgets") => {
            json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0})
        }
        ("apiextensions.k8s.io", _) => {
            json!({"acceptedNames": {"kind": "", "plural": ""}, "conditions": null, "storedVersions": null})
        }
        _ => json!({}),
    })
}
