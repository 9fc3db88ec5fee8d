//! An object as a controller reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::key::Key;

/// An API object. Cheap to clone; what is missing reads as empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Object(Arc<Value>);

const NULL: &Value = &Value::Null;

impl Object {
    /// The object in a JSON value.
    pub fn new(value: Value) -> Self {
        Self(Arc::new(value))
    }

    /// The whole.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// A copy to change and write back.
    pub fn to_value(&self) -> Value {
        Value::clone(&self.0)
    }

    /// A value by its JSON pointer, null if it is not there.
    pub fn at(&self, pointer: &str) -> &Value {
        if pointer.contains('~') {
            return self.0.pointer(pointer).unwrap_or(NULL);
        }
        // Without escapes no part of the pointer needs a copy; this is what controllers do most.
        let mut value = &*self.0;
        for part in pointer.split('/').skip(1) {
            let below = match value {
                Value::Object(map) => map.get(part),
                Value::Array(list) => part.parse().ok().and_then(|n: usize| list.get(n)),
                _ => None,
            };
            let Some(below) = below else { return NULL };
            value = below;
        }
        value
    }

    /// A text by its JSON pointer, empty if it is not there.
    pub fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    /// A number by its JSON pointer.
    pub fn number(&self, pointer: &str) -> Option<i64> {
        self.at(pointer).as_i64()
    }

    /// A number by its JSON pointer, zero if it is not there.
    pub fn count(&self, pointer: &str) -> i64 {
        self.number(pointer).unwrap_or_default()
    }

    /// A truth by its JSON pointer, false if it is not there.
    pub fn flag(&self, pointer: &str) -> bool {
        self.at(pointer).as_bool().unwrap_or_default()
    }

    /// A time by its JSON pointer.
    pub fn time(&self, pointer: &str) -> Option<Timestamp> {
        self.text(pointer).parse().ok()
    }

    /// A list by its JSON pointer, empty if it is not there.
    pub fn items(&self, pointer: &str) -> &[Value] {
        self.at(pointer).as_array().map_or(&[], Vec::as_slice)
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// `metadata.namespace`, empty for what is in none.
    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    /// `metadata.generation`, zero when missing.
    pub fn generation(&self) -> i64 {
        self.count("/metadata/generation")
    }

    /// `metadata.resourceVersion` as the number it is compared by.
    pub fn revision(&self) -> u64 {
        self.text("/metadata/resourceVersion").parse().unwrap_or_default()
    }

    /// `metadata.creationTimestamp`; the beginning of time if there is none.
    pub fn created(&self) -> Timestamp {
        self.time("/metadata/creationTimestamp").unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// One label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.at("/metadata/labels").get(key)?.as_str()
    }

    /// One annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.at("/metadata/annotations").get(key)?.as_str()
    }

    /// All labels.
    pub fn labels(&self) -> BTreeMap<&str, &str> {
        let labels = self.at("/metadata/labels").as_object();
        labels.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
    }

    /// Whether somebody has asked for its deletion.
    pub fn is_terminating(&self) -> bool {
        !self.at("/metadata/deletionTimestamp").is_null()
    }

    /// The owner that controls it.
    pub fn controller(&self) -> Option<&Value> {
        self.items("/metadata/ownerReferences").iter().find(|owner| owner["controller"] == true)
    }

    /// Whether this uid's object controls it.
    pub fn is_controlled_by(&self, uid: &str) -> bool {
        self.controller().is_some_and(|owner| owner["uid"] == uid)
    }

    /// Whether it has this finalizer.
    pub fn has_finalizer(&self, name: &str) -> bool {
        self.items("/metadata/finalizers").iter().any(|own| own == name)
    }

    /// A condition of its status.
    pub fn condition(&self, kind: &str) -> Option<&Value> {
        self.items("/status/conditions").iter().find(|condition| condition["type"] == kind)
    }

    /// Whether a condition is `True`.
    pub fn is(&self, condition: &str) -> bool {
        self.condition(condition).is_some_and(|condition| condition["status"] == "True")
    }

    /// Its namespace and name.
    pub fn key(&self) -> Key {
        Key::new(self.namespace(), self.name())
    }
}
