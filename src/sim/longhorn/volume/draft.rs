//! An object as it is to be: what differs is written, and nothing else.

use serde_json::{Map, Value};

use super::site;
use crate::sim::{Form, Kind, Object, Write};

/// A copy of an object that a controller changes.
///
/// Only what differs is written, as merge patches of the object and of its status: each field has
/// one controller that writes it, so that two of them never take back what the other did.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    kind: Kind,
    before: Object,
    after: Value,
}

const NULL: &Value = &Value::Null;

impl Draft {
    pub(super) fn of(kind: &Kind, object: &Object) -> Self {
        Self { kind: kind.clone(), before: object.clone(), after: object.to_value() }
    }

    /// The object as it was read.
    pub(super) fn before(&self) -> &Object {
        &self.before
    }

    pub(super) fn name(&self) -> &str {
        self.before.name()
    }

    pub(super) fn at(&self, pointer: &str) -> &Value {
        self.after.pointer(pointer).unwrap_or(NULL)
    }

    pub(super) fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    pub(super) fn flag(&self, pointer: &str) -> bool {
        self.at(pointer).as_bool().unwrap_or_default()
    }

    /// Sets what a pointer names; objects on the way are made.
    pub(super) fn set(&mut self, pointer: &str, value: impl Into<Value>) {
        let mut place = &mut self.after;
        for part in pointer.split('/').skip(1) {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[part];
        }
        *place = value.into();
    }

    /// Sets a condition in Longhorn's own shape; its time of transition moves with its status alone.
    pub(super) fn condition(&mut self, kind: &str, status: bool, reason: &str, message: &str, now: &str) {
        let mut all = self.at("/status/conditions").clone();
        site::put_condition(&mut all, kind, status, reason, message, now);
        self.set("/status/conditions", all);
    }

    /// What is to be written: the object first, then its status.
    pub(super) fn writes(self) -> Vec<Write> {
        let mut before = self.before.to_value();
        let mut after = self.after;
        let status = |object: &mut Value| {
            object.as_object_mut().and_then(|fields| fields.shift_remove("status")).unwrap_or_else(|| Map::new().into())
        };
        let (old, new) = (status(&mut before), status(&mut after));
        let key = self.before.key();
        let mut writes = Vec::new();
        if let Some(body) = difference(&before, &after) {
            writes.push(Write::patch(&self.kind, key.clone(), Form::Merge, body).forgiving(&[404]));
        }
        if let Some(body) = difference(&old, &new) {
            let body = serde_json::json!({ "status": body });
            writes.push(Write::patch_status(&self.kind, key, Form::Merge, body).forgiving(&[404]));
        }
        writes
    }
}

/// The merge patch that makes one of the other; `None` if they are the same.
fn difference(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else { return Some(after.clone()) };
    let mut patch = Map::new();
    for (key, value) in new {
        match old.get(key) {
            Some(own) => drop(difference(own, value).map(|part| patch.insert(key.clone(), part))),
            None if value.is_null() => {}
            None => drop(patch.insert(key.clone(), value.clone())),
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_written() {
        let cases = [
            (json!({"a": 1}), json!({"a": 1}), None),
            (
                json!({"a": 1, "b": {"c": 2, "d": 3}}),
                json!({"a": 1, "b": {"c": 4}}),
                Some(json!({"b": {"c": 4, "d": null}})),
            ),
            (json!({}), json!({"m": {}}), Some(json!({"m": {}}))),
            (json!({}), json!({"m": null}), None),
            (json!({"l": [1]}), json!({"l": []}), Some(json!({"l": []}))),
        ];
        for (before, after, patch) in cases {
            assert_eq!(difference(&before, &after), patch, "{before} to {after}");
        }
    }
}
