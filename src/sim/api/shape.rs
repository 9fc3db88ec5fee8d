//! How a value is put together: which lists are maps, which maps are one value.

use serde_json::{Map, Value};

use super::merge_key::{self, ListKind, is_atomic_map, list_kind};
use super::resource::{Origin, Resource};

/// The shape of one field, and of what is below it.
#[derive(Clone, Debug)]
pub(crate) enum Shape<'a> {
    /// A field of a built-in kind, by the names on the way to it. Items of lists go by their list's name.
    Builtin(Vec<String>),
    /// A field with a schema of its own.
    Schema(&'a Value),
    /// A field that nothing is known about: maps are merged, lists are one value.
    Unknown,
}

/// How a list is owned and merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListShape {
    Map(Vec<(String, Option<Value>)>),
    Set,
    Atomic,
}

impl<'a> Shape<'a> {
    /// The shape of a whole object.
    pub(crate) fn of(resource: &'a Resource) -> Self {
        match &resource.origin {
            Origin::Builtin => Self::Builtin(Vec::new()),
            Origin::Definition(definition) => Self::Schema(&definition.schema),
        }
    }

    /// The shape of a field. `top` says that this is the object itself, whose metadata is everyone's.
    pub(crate) fn field(&self, name: &str, top: bool) -> Shape<'a> {
        match self {
            Self::Builtin(path) => Self::Builtin(path.iter().cloned().chain([name.to_owned()]).collect()),
            Self::Schema(_) | Self::Unknown if top && name == "metadata" => Self::Builtin(vec![name.to_owned()]),
            Self::Schema(schema) => match schema.pointer("/properties").and_then(|properties| properties.get(name)) {
                Some(field) => Self::Schema(field),
                None => match schema.get("additionalProperties") {
                    Some(value @ Value::Object(_)) => Self::Schema(value),
                    _ => Self::Unknown,
                },
            },
            Self::Unknown => Self::Unknown,
        }
    }

    /// The shape of a list's items.
    pub(crate) fn item(&self) -> Shape<'a> {
        match self {
            Self::Builtin(path) => Self::Builtin(path.clone()),
            Self::Schema(schema) => schema.get("items").map_or(Self::Unknown, Self::Schema),
            Self::Unknown => Self::Unknown,
        }
    }

    /// Whether a field of this name is one of a structure, which is there by its type, or an entry of a map.
    pub(crate) fn is_named(&self, name: &str, top: bool) -> bool {
        match self {
            Self::Builtin(path) => !path.last().is_some_and(|last| merge_key::is_dictionary(last)),
            Self::Schema(_) | Self::Unknown if top && ["metadata", "kind", "apiVersion"].contains(&name) => true,
            Self::Schema(schema) => schema.pointer("/properties").and_then(|properties| properties.get(name)).is_some(),
            Self::Unknown => false,
        }
    }

    /// Whether an object here is one value.
    pub(crate) fn is_atomic_map(&self) -> bool {
        match self {
            Self::Builtin(path) => is_atomic_map(&words(path)),
            Self::Schema(schema) => schema.get("x-kubernetes-map-type").is_some_and(|kind| kind == "atomic"),
            Self::Unknown => false,
        }
    }

    /// How a list here is merged.
    pub(crate) fn list(&self) -> ListShape {
        match self {
            Self::Builtin(path) => match list_kind(&words(path)) {
                ListKind::Map(keys) => {
                    ListShape::Map(keys.iter().map(|key| (key.name.to_owned(), key.default.map(Value::from))).collect())
                }
                ListKind::Set => ListShape::Set,
                ListKind::Atomic => ListShape::Atomic,
            },
            Self::Schema(schema) => match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
                Some("map") => {
                    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
                    let keys = keys.into_iter().flatten().filter_map(Value::as_str).map(|key| {
                        let default =
                            schema.pointer("/items/properties").and_then(|fields| fields.get(key)?.get("default"));
                        (key.to_owned(), default.cloned())
                    });
                    ListShape::Map(keys.collect())
                }
                Some("set") => ListShape::Set,
                _ => ListShape::Atomic,
            },
            Self::Unknown => ListShape::Atomic,
        }
    }
}

impl ListShape {
    /// The element by which an item of the list is told apart; `None` if its keys are missing.
    pub(crate) fn element(&self, item: &Value) -> Option<String> {
        match self {
            Self::Atomic => None,
            Self::Set => Some(format!("v:{item}")),
            Self::Map(keys) => {
                let mut found: Vec<(&str, Value)> = Vec::new();
                for (key, default) in keys {
                    let value = item.get(key).filter(|value| !value.is_null()).cloned().or_else(|| default.clone())?;
                    found.push((key, value));
                }
                found.sort_by(|a, b| a.0.cmp(b.0));
                let found: Map<String, Value> = found.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
                Some(format!("k:{}", Value::Object(found)))
            }
        }
    }
}

fn words(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}
