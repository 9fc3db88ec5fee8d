use kube::core::DynamicObject;
use serde_json::Value;
use similar::TextDiff;

use super::Error;
use crate::event::{Class, Note};

/// Most lines of a difference that are kept.
const LINES: usize = 400;

/// What changed in an object, as a diff of its YAML; `None` if nothing did that matters.
pub(super) fn of(called: &str, before: &DynamicObject, after: &DynamicObject) -> Option<Note> {
    let (before, after) = (yaml(before), yaml(after));
    let diff = TextDiff::from_lines(&before, &after);
    let mut text = String::new();
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        text.push_str(&hunk.to_string());
    }
    let lines: Vec<&str> = text.lines().take(LINES).collect();
    (!text.is_empty()).then(|| Note::Diff { title: format!("{called} changed"), text: lines.join("\n") })
}

/// An object as an output: without who manages its fields, and without a Secret's data.
pub(super) fn output(object: DynamicObject) -> Result<Value, Error> {
    let mut value = serde_json::to_value(object)
        .map_err(|error| Error::from_source(Class::Broken, "an object that the API server gave is no JSON", error))?;
    hide(&mut value, &["managedFields"]);
    Ok(value)
}

/// Takes a Secret's data away, and what is in the metadata under these keys.
fn hide(value: &mut Value, keys: &[&str]) {
    let Some(top) = value.as_object_mut() else { return };
    let secret = top.get("kind").and_then(Value::as_str) == Some("Secret");
    if secret {
        top.remove("data");
        top.remove("stringData");
    }
    if let Some(metadata) = top.get_mut("metadata").and_then(Value::as_object_mut) {
        for key in keys {
            metadata.remove(*key);
        }
        // `kubectl apply` keeps the whole object in it, a Secret's data too.
        if let Some(notes) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            notes.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
}

/// An object as YAML, without what changes at every write, and without a Secret's data.
pub(super) fn yaml(object: &DynamicObject) -> String {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    hide(&mut value, &["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"]);
    serde_saphyr::to_string(&value).unwrap_or_else(|_| value.to_string())
}
