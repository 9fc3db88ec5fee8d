//! A set of fields, as `fieldsV1` writes it: who owns what.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// A tree of fields. A field may be in the set itself, or only be on the way to others that are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    /// Whether this very field is in the set.
    own: bool,
    /// By their elements: `f:NAME` for a field, `k:KEYS` and `v:VALUE` for items of lists.
    below: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// Whether nothing is in the set.
    pub(crate) fn is_empty(&self) -> bool {
        !self.own && self.below.values().all(Self::is_empty)
    }

    /// Whether this very field is in the set.
    pub(crate) fn is_own(&self) -> bool {
        self.own
    }

    /// The part of the set below an element.
    pub(crate) fn below(&self, element: &str) -> Option<&Self> {
        self.below.get(element)
    }

    /// Puts the field at a path into the set.
    pub(crate) fn insert(&mut self, path: &[String]) {
        match path.split_first() {
            None => self.own = true,
            Some((first, rest)) => self.below.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Takes everything at and below a path out of the set.
    pub(crate) fn cut(&mut self, path: &[&str]) {
        match path {
            [] => *self = Self::default(),
            [last] => {
                self.below.remove(*last);
            }
            [first, rest @ ..] => {
                if let Some(below) = self.below.get_mut(*first) {
                    below.cut(rest);
                }
            }
        }
    }

    /// Takes one field out of the set, but not what is below it.
    pub(crate) fn disown(&mut self, path: &[&str]) {
        match path.split_first() {
            None => self.own = false,
            Some((first, rest)) => {
                if let Some(below) = self.below.get_mut(*first) {
                    below.disown(rest);
                    if below.is_empty() {
                        self.below.remove(*first);
                    }
                }
            }
        }
    }

    /// What is in either.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.own |= other.own;
        for (element, theirs) in &other.below {
            let ours = all.below.entry(element.clone()).or_default();
            *ours = ours.union(theirs);
        }
        all
    }

    /// What is in both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let shared = self.below.iter().filter_map(|(element, ours)| {
            let both = ours.intersection(other.below.get(element)?);
            (!both.is_empty()).then(|| (element.clone(), both))
        });
        Self { own: self.own && other.own, below: shared.collect() }
    }

    /// What is in this one alone.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        let left = self.below.iter().filter_map(|(element, ours)| {
            let left = match other.below.get(element) {
                Some(theirs) => ours.difference(theirs),
                None => ours.clone(),
            };
            (!left.is_empty()).then(|| (element.clone(), left))
        });
        Self { own: self.own && !other.own, below: left.collect() }
    }

    /// The fields as conflicts name them (`.spec.containers[name="a"].image`): those of a level before those below.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, prefix: &str, paths: &mut Vec<String>) {
        let named: Vec<(String, &Self)> =
            self.below.iter().map(|(element, below)| (format!("{prefix}{}", shown(element)), below)).collect();
        paths.extend(named.iter().filter(|(_, below)| below.own).map(|(path, _)| path.clone()));
        for (path, below) in named {
            below.collect(&path, paths);
        }
    }

    /// The set of a `fieldsV1` value.
    pub(crate) fn read(value: &Value) -> Self {
        let mut set = Self::default();
        let fields = value.as_object();
        for (key, below) in fields.into_iter().flatten() {
            if key == "." {
                set.own = true;
            } else {
                let mut below = Self::read(below);
                // An empty object is a field without anything below it.
                below.own |= below.below.is_empty();
                set.below.insert(key.clone(), below);
            }
        }
        set
    }

    /// The set as a `fieldsV1` value.
    pub(crate) fn write(&self) -> Value {
        let mut fields = Map::new();
        for (element, below) in &self.below {
            let mut value = below.write();
            if below.own && !below.below.is_empty() {
                let Value::Object(inner) = value else { unreachable!("a set is written as an object") };
                let mut whole = Map::new();
                whole.insert(".".to_owned(), Value::Object(Map::new()));
                whole.extend(inner);
                value = Value::Object(whole);
            }
            fields.insert(element.clone(), value);
        }
        Value::Object(fields)
    }
}

/// An element as conflicts show it.
fn shown(element: &str) -> String {
    match element.split_at_checked(2) {
        Some(("f:", name)) => format!(".{name}"),
        Some(("k:", keys)) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let mut text = String::new();
            for (name, value) in &keys {
                let comma = if text.is_empty() { "" } else { "," };
                write!(text, "{comma}{name}={value}").expect("a String takes text");
            }
            format!("[{text}]")
        }
        Some(("v:", value)) => format!("[={value}]"),
        _ => element.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sets_are_read_and_written_as_the_server_writes_them() {
        let fields = json!({
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}, "f:finalizers": {"v:\"x\"": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}, "f:name": {}}}},
        });
        let set = FieldSet::read(&fields);
        assert_eq!(FieldSet::read(&set.write()), set);
        assert_eq!(
            set.paths(),
            [
                ".metadata.labels",
                ".metadata.finalizers[=\"x\"]",
                ".metadata.labels.app",
                ".spec.containers[name=\"a\"]",
                ".spec.containers[name=\"a\"].image",
                ".spec.containers[name=\"a\"].name",
            ]
        );
    }

    #[test]
    fn sets_are_combined_field_by_field() {
        let a = FieldSet::read(&json!({"f:x": {".": {}, "f:y": {}}, "f:z": {}}));
        let b = FieldSet::read(&json!({"f:x": {"f:y": {}, "f:w": {}}}));
        assert_eq!(a.intersection(&b).write(), json!({"f:x": {"f:y": {}}}));
        assert_eq!(a.difference(&b).write(), json!({"f:x": {}, "f:z": {}}));
        assert_eq!(a.union(&b).write(), json!({"f:x": {".": {}, "f:w": {}, "f:y": {}}, "f:z": {}}));
        assert!(a.difference(&a).is_empty());
    }
}
