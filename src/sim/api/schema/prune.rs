//! What a schema does not know goes.

use serde_json::{Map, Value};

use super::{field, is_embedded, keeps_unknown};

/// Takes out of an object what its schema does not know; the answer is what went, in order.
pub(crate) fn prune(object: &mut Map<String, Value>, schema: &Value) -> Vec<String> {
    let mut gone = Vec::new();
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        prune_metadata(metadata, "metadata", &mut gone);
    }
    fields(object, schema, true, "", &mut gone);
    gone.sort();
    gone
}

fn value(value: &mut Value, schema: &Value, path: &str, gone: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if is_embedded(schema)
                && let Some(Value::Object(metadata)) = object.get_mut("metadata")
            {
                prune_metadata(metadata, &format!("{path}.metadata"), gone);
            }
            fields(object, schema, is_embedded(schema), path, gone);
        }
        Value::Array(items) => {
            if let Some(item) = schema.get("items") {
                for (number, each) in items.iter_mut().enumerate() {
                    self::value(each, item, &format!("{path}[{number}]"), gone);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn fields(object: &mut Map<String, Value>, schema: &Value, whole: bool, path: &str, gone: &mut Vec<String>) {
    object.retain(|name, below| {
        if whole && ["apiVersion", "kind", "metadata"].contains(&name.as_str()) {
            return true;
        }
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match field(schema, name) {
            Some(schema) => {
                value(below, schema, &path, gone);
                true
            }
            None if keeps_unknown(schema) || schema.get("additionalProperties").is_some_and(|more| more == true) => {
                true
            }
            None => {
                gone.push(path);
                false
            }
        }
    });
}

/// The fields of `metav1.ObjectMeta`.
const METADATA: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

fn prune_metadata(metadata: &mut Map<String, Value>, path: &str, gone: &mut Vec<String>) {
    metadata.retain(|name, _| {
        let known = METADATA.contains(&name.as_str());
        if !known {
            gone.push(format!("{path}.{name}"));
        }
        known
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_go_and_are_named() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "a": {"type": "string"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "list": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "string"}}}},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {}}},
        }}}});
        let mut object = json!({
            "kind": "Disk", "metadata": {"name": "d", "more": 1}, "top": 1,
            "spec": {"a": "1", "b": 1, "free": {"z": {"y": 1}}, "list": [{"x": "1", "y": 2}], "map": {"k": {"v": 1}}},
        });
        let gone = prune(object.as_object_mut().unwrap(), &schema);
        assert_eq!(gone, ["metadata.more", "spec.b", "spec.list[0].y", "spec.map.k.v", "top"]);
        assert_eq!(
            object,
            json!({
                "kind": "Disk", "metadata": {"name": "d"},
                "spec": {"a": "1", "free": {"z": {"y": 1}}, "list": [{"x": "1"}], "map": {"k": {}}},
            })
        );
    }
}
