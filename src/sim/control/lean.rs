//! Objects as they come off the wire, without what no controller reads.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// An object without its managed fields: they are half of most objects, and are not even built here.
#[derive(Clone, Debug)]
pub(super) struct Lean(pub(super) Value);

/// A list of such objects.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct LeanList {
    #[serde(default)]
    pub(super) metadata: Value,
    #[serde(default)]
    pub(super) items: Vec<Lean>,
}

impl<'de> Deserialize<'de> for Lean {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Without(&["metadata", "managedFields"]).deserialize(deserializer).map(Self)
    }
}

/// A map but for the value at the end of a way into it.
#[derive(Clone, Copy)]
struct Without(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Without {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Without {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = from.next_key::<String>()? {
            match self.0 {
                [last] if key == *last => {
                    from.next_value::<IgnoredAny>()?;
                }
                [first, rest @ ..] if key == *first => {
                    let value = from.next_value_seed(Without(rest))?;
                    map.insert(key, value);
                }
                _ => {
                    map.insert(key, from.next_value()?);
                }
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_managed_fields_are_left_out() {
        let object = json!({
            "kind": "Pod", "managedFields": 1,
            "metadata": {"name": "a", "managedFields": [{"manager": "m", "fieldsV1": {}}], "labels": {"managedFields": "x"}},
            "spec": {"metadata": {"managedFields": []}},
        });
        let list = json!({"metadata": {"resourceVersion": "7"}, "items": [object]}).to_string();
        let list: LeanList = serde_json::from_str(&list).unwrap();
        assert_eq!(list.metadata["resourceVersion"], "7");
        assert_eq!(
            list.items[0].0,
            json!({
                "kind": "Pod", "managedFields": 1,
                "metadata": {"name": "a", "labels": {"managedFields": "x"}},
                "spec": {"metadata": {"managedFields": []}},
            })
        );
    }
}
