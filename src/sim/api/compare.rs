//! Which fields an object has, and which differ between two.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::field_set::FieldSet;
use super::shape::{ListShape, Shape};

/// How one object differs from another, field by field.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

/// Compares two versions of an object.
pub(crate) fn compare(old: &Value, new: &Value, shape: &Shape<'_>) -> Comparison {
    let mut comparison = Comparison::default();
    Walk { comparison: &mut comparison, path: Vec::new() }.both(Some(old), Some(new), shape);
    comparison
}

/// The fields of a configuration, as its applier comes to own them.
pub(crate) fn fields_of(value: &Value, shape: &Shape<'_>) -> FieldSet {
    let mut set = FieldSet::default();
    collect(value, shape, &mut Vec::new(), &mut set);
    set
}

fn collect(value: &Value, shape: &Shape<'_>, path: &mut Vec<String>, set: &mut FieldSet) {
    match value {
        Value::Object(fields) if !shape.is_atomic_map() => {
            let top = path.is_empty();
            for (name, value) in fields {
                let inner = shape.field(name, top);
                path.push(format!("f:{name}"));
                collect(value, &inner, path, set);
                let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                if empty || !shape.is_named(name, top) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        Value::Array(items) if shape.list() != ListShape::Atomic => {
            let (kind, inner) = (shape.list(), shape.item());
            for item in items {
                if let Some(element) = kind.element(item) {
                    path.push(element);
                    if kind != ListShape::Set {
                        collect(item, &inner, path, set);
                    }
                    set.insert(path);
                    path.pop();
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            if !path.is_empty() {
                set.insert(path);
            }
        }
    }
}

struct Walk<'a> {
    comparison: &'a mut Comparison,
    path: Vec<String>,
}

impl Walk<'_> {
    fn both<'v>(&mut self, old: Option<&'v Value>, new: Option<&'v Value>, shape: &Shape<'_>) {
        let is_container = |value: Option<&Value>| match value {
            Some(Value::Object(fields)) => !fields.is_empty() && !shape.is_atomic_map(),
            Some(Value::Array(items)) => !items.is_empty() && shape.list() != ListShape::Atomic,
            _ => false,
        };
        if !is_container(old) && !is_container(new) {
            self.leaf(old, new);
            return;
        }
        if old.is_some_and(Value::is_array) || new.is_some_and(Value::is_array) {
            let list = |value: Option<&'v Value>| value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            self.items(list(old), list(new), shape);
        } else {
            self.fields(old.and_then(Value::as_object), new.and_then(Value::as_object), shape);
        }
        // What is there only on one side has come or gone itself, besides what is in it.
        match (old, new) {
            (None, Some(_)) => self.comparison.added.insert(&self.path),
            (Some(_), None) => self.comparison.removed.insert(&self.path),
            _ => {}
        }
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, Some(_)) => self.comparison.added.insert(&self.path),
            (Some(_), None) => self.comparison.removed.insert(&self.path),
            (Some(old), Some(new)) if old != new => self.comparison.modified.insert(&self.path),
            _ => {}
        }
    }

    fn fields(&mut self, old: Option<&Map<String, Value>>, new: Option<&Map<String, Value>>, shape: &Shape<'_>) {
        let top = self.path.is_empty();
        let names: BTreeSet<&String> = old.into_iter().chain(new).flat_map(Map::keys).collect();
        for name in names {
            let (old, new) = (old.and_then(|old| old.get(name)), new.and_then(|new| new.get(name)));
            if old != new {
                self.path.push(format!("f:{name}"));
                self.both(old, new, &shape.field(name, top));
                self.path.pop();
            }
        }
    }

    fn items<'v>(&mut self, olds: &'v [Value], news: &'v [Value], shape: &Shape<'_>) {
        let (kind, inner) = (shape.list(), shape.item());
        let keyed = |items: &'v [Value]| -> BTreeMap<String, &'v Value> {
            items.iter().filter_map(|item| Some((kind.element(item)?, item))).collect()
        };
        let (olds, news) = (keyed(olds), keyed(news));
        let elements: BTreeSet<&String> = olds.keys().chain(news.keys()).collect();
        for element in elements {
            self.path.push(element.clone());
            self.both(olds.get(element).copied(), news.get(element).copied(), &inner);
            self.path.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_came_changed_and_went_is_told_apart() {
        let old = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"containers": [{"name": "x", "image": "1"}], "nodeName": "n"}});
        let new = json!({
            "metadata": {"labels": {"a": "2"}},
            "spec": {"containers": [{"name": "x", "image": "1", "ports": [{"containerPort": 80}]}, {"name": "y"}]},
        });
        let comparison = compare(&old, &new, &Shape::Builtin(Vec::new()));
        assert_eq!(comparison.modified.paths(), [".metadata.labels.a"]);
        assert_eq!(comparison.removed.paths(), [".spec.nodeName"]);
        assert_eq!(
            comparison.added.write(),
            json!({"f:spec": {"f:containers": {
                "k:{\"name\":\"x\"}": {"f:ports": {
                    ".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}},
                }},
                "k:{\"name\":\"y\"}": {".": {}, "f:name": {}},
            }}}),
        );
    }

    #[test]
    fn an_applier_owns_what_it_names() {
        let config = json!({
            "metadata": {"labels": {"app": "db"}},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "db"}}, "template": {"spec": {"containers": [{"name": "x"}]}}},
        });
        assert_eq!(
            fields_of(&config, &Shape::Builtin(Vec::new())).write(),
            json!({
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {
                    "f:replicas": {}, "f:selector": {},
                    "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}}}}},
                },
            }),
        );
    }
}
