//! Longhorn's custom resource definitions, as far as plans and kubectl meet them.

use serde_json::{Value, json};

/// A resource: plural, kind, short names, the columns of `kubectl get`.
struct Resource(
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [(&'static str, &'static str, &'static str)],
);

const AGE: (&str, &str, &str) = ("Age", "date", ".metadata.creationTimestamp");

const RESOURCES: &[Resource] = &[
    Resource(
        "backingimages",
        "BackingImage",
        &["lhbi"],
        &[
            ("UUID", "string", ".status.uuid"),
            ("SourceType", "string", ".spec.sourceType"),
            ("Size", "string", ".status.size"),
            ("VirtualSize", "string", ".status.virtualSize"),
            AGE,
        ],
    ),
    Resource(
        "backingimagedatasources",
        "BackingImageDataSource",
        &["lhbids"],
        &[
            ("UUID", "string", ".spec.uuid"),
            ("State", "string", ".status.currentState"),
            ("SourceType", "string", ".spec.sourceType"),
            ("Size", "string", ".status.size"),
            ("Node", "string", ".spec.nodeID"),
            ("DiskUUID", "string", ".spec.diskUUID"),
            AGE,
        ],
    ),
    Resource(
        "backingimagemanagers",
        "BackingImageManager",
        &["lhbim"],
        &[
            ("State", "string", ".status.currentState"),
            ("Image", "string", ".spec.image"),
            ("Node", "string", ".spec.nodeID"),
            ("DiskUUID", "string", ".spec.diskUUID"),
            ("DiskPath", "string", ".spec.diskPath"),
            AGE,
        ],
    ),
    Resource(
        "volumes",
        "Volume",
        &["lhv"],
        &[
            ("Data Engine", "string", ".spec.dataEngine"),
            ("State", "string", ".status.state"),
            ("Robustness", "string", ".status.robustness"),
            ("Scheduled", "string", ".status.conditions[?(@.type=='Scheduled')].status"),
            ("Size", "string", ".spec.size"),
            ("Node", "string", ".status.currentNodeID"),
            AGE,
        ],
    ),
    Resource(
        "engines",
        "Engine",
        &["lhe"],
        &[
            ("Data Engine", "string", ".spec.dataEngine"),
            ("State", "string", ".status.currentState"),
            ("Node", "string", ".spec.nodeID"),
            ("InstanceManager", "string", ".status.instanceManagerName"),
            ("Image", "string", ".status.currentImage"),
            AGE,
        ],
    ),
    Resource(
        "replicas",
        "Replica",
        &["lhr"],
        &[
            ("Data Engine", "string", ".spec.dataEngine"),
            ("State", "string", ".status.currentState"),
            ("Node", "string", ".spec.nodeID"),
            ("Disk", "string", ".spec.diskID"),
            ("InstanceManager", "string", ".status.instanceManagerName"),
            ("Image", "string", ".status.currentImage"),
            AGE,
        ],
    ),
    Resource(
        "engineimages",
        "EngineImage",
        &["lhei"],
        &[
            ("Incompatible", "boolean", ".status.incompatible"),
            ("State", "string", ".status.state"),
            ("Image", "string", ".spec.image"),
            ("RefCount", "integer", ".status.refCount"),
            ("BuildDate", "date", ".status.buildDate"),
            AGE,
        ],
    ),
    Resource(
        "instancemanagers",
        "InstanceManager",
        &["lhim"],
        &[
            ("Data Engine", "string", ".spec.dataEngine"),
            ("State", "string", ".status.currentState"),
            ("Type", "string", ".spec.type"),
            ("Node", "string", ".spec.nodeID"),
            AGE,
        ],
    ),
    Resource(
        "settings",
        "Setting",
        &["lhs"],
        &[("Value", "string", ".value"), ("Applied", "boolean", ".status.applied"), AGE],
    ),
    Resource(
        "nodes",
        "Node",
        &["lhn"],
        &[
            ("Ready", "string", ".status.conditions[?(@.type=='Ready')].status"),
            ("AllowScheduling", "boolean", ".spec.allowScheduling"),
            ("Schedulable", "string", ".status.conditions[?(@.type=='Schedulable')].status"),
            AGE,
        ],
    ),
    Resource("volumeattachments", "VolumeAttachment", &["lhva"], &[AGE]),
];

/// The definitions, with a chart's labels.
pub(super) fn definitions(labels: &Value) -> Vec<Value> {
    RESOURCES.iter().map(|resource| definition(resource, labels)).collect()
}

fn definition(Resource(plural, kind, short, columns): &Resource, labels: &Value) -> Value {
    let columns: Vec<Value> =
        columns.iter().map(|(name, kind, path)| json!({"name": name, "type": kind, "jsonPath": path})).collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.longhorn.io"), "labels": labels},
        "spec": {
            "group": "longhorn.io", "scope": "Namespaced",
            "names": {
                "kind": kind, "listKind": format!("{kind}List"), "plural": plural,
                "singular": kind.to_lowercase(), "shortNames": short,
            },
            "versions": [{
                "name": "v1beta2", "served": true, "storage": true, "subresources": {"status": {}},
                "additionalPrinterColumns": columns,
                "schema": {"openAPIV3Schema": schema(kind)},
            }],
        },
    })
}

/// What a definition says of an object's fields: the types that users trip over; other fields pass.
fn schema(kind: &str) -> Value {
    let open = |properties: Value| json!({"type": "object", "properties": properties, "x-kubernetes-preserve-unknown-fields": true});
    let texts = |names: &[&str]| -> Value {
        names
            .iter()
            .map(|name| ((*name).to_owned(), json!({"type": "string"})))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let (spec, status) = match kind {
        "Setting" => {
            return open(json!({"value": {"type": "string"}, "status": open(json!({"applied": {"type": "boolean"}}))}));
        }
        "BackingImage" => (
            json!({
                "sourceType": {
                    "type": "string", "enum": ["download", "upload", "export-from-volume", "restore", "clone"],
                },
                "sourceParameters": {"type": "object", "additionalProperties": {"type": "string"}},
                "checksum": {"type": "string"}, "minNumberOfCopies": {"type": "integer"},
                "diskFileSpecMap": {"type": "object", "additionalProperties": open(json!({
                    "evictionRequested": {"type": "boolean"}, "dataEngine": {"type": "string"},
                }))},
                "dataEngine": {"type": "string", "enum": ["v1", "v2"]},
            }),
            json!({
                "uuid": {"type": "string"}, "size": {"type": "integer"}, "virtualSize": {"type": "integer"},
                "diskFileStatusMap": {
                    "type": "object", "nullable": true,
                    "additionalProperties": open(json!({"state": {"type": "string"}, "progress": {"type": "integer"}})),
                },
            }),
        ),
        "Volume" => (
            json!({
                // A quoted number: upstream tags it `string`.
                "size": {"type": "string"}, "numberOfReplicas": {"type": "integer"}, "image": {"type": "string"},
                "backingImage": {
                    "type": "string",
                    "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "BackingImage is immutable"}],
                },
                "frontend": {"type": "string", "enum": ["blockdev", "iscsi", "nvmf", "ublk", ""]},
                "accessMode": {"type": "string", "enum": ["rwo", "rwop", "rwx"]},
                "dataLocality": {"type": "string", "enum": ["disabled", "best-effort", "strict-local"]},
                "dataEngine": {"type": "string", "enum": ["v1", "v2"]},
            }),
            texts(&["state", "robustness", "currentNodeID", "currentImage", "ownerID", "lastDegradedAt"]),
        ),
        "Engine" | "Replica" => (
            texts(&["volumeName", "volumeSize", "nodeID", "image", "desireState"]),
            texts(&["ownerID", "currentState", "currentImage", "instanceManagerName"]),
        ),
        _ => (json!({}), json!({})),
    };
    json!({"type": "object", "properties": {
        "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
        "spec": open(spec), "status": open(status),
    }})
}
