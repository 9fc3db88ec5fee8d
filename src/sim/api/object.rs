//! A stored object: JSON with the questions that the server asks of its metadata.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::schema;

/// An API object. It is always a JSON object; everything below `metadata` may
/// still be missing or of a wrong type, as clients send it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Object(Map<String, Value>);

impl Object {
    /// The object in a JSON value, if it is one.
    pub(crate) fn new(value: Value) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self(map)),
            _ => None,
        }
    }

    /// A top-level field.
    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Sets a top-level field, or removes it.
    pub(crate) fn set_field(&mut self, name: &str, value: Option<Value>) {
        match value {
            Some(value) => {
                self.0.insert(name.to_owned(), value);
            }
            None => {
                self.0.shift_remove(name);
            }
        }
    }

    /// A value below, by a JSON pointer's path without its leading slash.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get(*first)?, |value, key| value.get(key))
    }

    /// Sets a value below, making the objects on the way.
    pub(crate) fn set_at(&mut self, path: &[&str], value: Value) {
        let Some((last, way)) = path.split_last() else {
            return;
        };
        let mut map = &mut self.0;
        for key in way {
            let next = map.entry((*key).to_owned()).or_insert_with(|| json!({}));
            if !next.is_object() {
                *next = json!({});
            }
            map = next.as_object_mut().expect("it was made an object in the line above");
        }
        map.insert((*last).to_owned(), value);
    }

    /// `apiVersion`.
    pub(crate) fn api_version(&self) -> &str {
        self.0.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
    }

    /// `kind`.
    pub(crate) fn kind(&self) -> &str {
        self.0.get("kind").and_then(Value::as_str).unwrap_or_default()
    }

    /// A field of the metadata.
    pub(crate) fn meta(&self, name: &str) -> Option<&Value> {
        self.at(&["metadata", name]).filter(|value| !value.is_null())
    }

    /// A text of the metadata; what is missing is empty, as the server's own types have it.
    pub(crate) fn meta_text(&self, name: &str) -> &str {
        self.meta(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Sets a field of the metadata, or removes it.
    pub(crate) fn set_meta(&mut self, name: &str, value: Option<Value>) {
        match value {
            Some(value) => self.set_at(&["metadata", name], value),
            None => {
                if let Some(Value::Object(metadata)) = self.0.get_mut("metadata") {
                    metadata.shift_remove(name);
                }
            }
        }
    }

    /// Leaves out the lists and maps of the metadata in which there is nothing, as the server's types do.
    pub(crate) fn drop_empty_metadata(&mut self) {
        for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
            let empty = match self.at(&["metadata", field]) {
                Some(Value::Object(entries)) => entries.is_empty(),
                Some(Value::Array(items)) => items.is_empty(),
                Some(Value::Null) => true,
                _ => false,
            };
            if empty {
                self.set_meta(field, None);
            }
        }
    }

    /// `metadata.name`.
    pub(crate) fn name(&self) -> &str {
        self.meta_text("name")
    }

    /// `metadata.namespace`, empty for what is in none.
    pub(crate) fn namespace(&self) -> &str {
        self.meta_text("namespace")
    }

    /// `metadata.uid`.
    pub(crate) fn uid(&self) -> &str {
        self.meta_text("uid")
    }

    /// `metadata.resourceVersion` as sent: empty when missing.
    pub(crate) fn resource_version(&self) -> &str {
        self.meta_text("resourceVersion")
    }

    /// `metadata.generation`, zero when missing.
    pub(crate) fn generation(&self) -> i64 {
        self.meta("generation").and_then(Value::as_i64).unwrap_or_default()
    }

    /// One label's value.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.meta("labels")?.get(key)?.as_str()
    }

    /// Whether someone has asked for its deletion.
    pub(crate) fn is_terminating(&self) -> bool {
        self.meta("deletionTimestamp").is_some()
    }

    /// `metadata.finalizers`.
    pub(crate) fn finalizers(&self) -> Vec<&str> {
        let list = self.meta("finalizers").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Makes it fit a schema: what that does not know goes, what it fills in comes. The answer is what went.
    pub(crate) fn fit(&mut self, schema: &Value) -> Vec<String> {
        let gone = schema::prune(&mut self.0, schema);
        schema::fill(&mut self.0, schema);
        gone
    }

    /// The whole as a value.
    pub(crate) fn value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// The whole as a value, given away.
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// The fields.
    pub(crate) fn fields(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// A timestamp as `metav1.Time` writes it: whole seconds.
pub(crate) fn time_text(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
