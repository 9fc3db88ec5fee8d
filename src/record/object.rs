use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::Error;
use crate::check::{Pipeline, Track, TrackKey, Version};
use crate::expr::Shared;

/// One version of one object, without what nobody may or need see. Kept as bytes: as
/// values ten thousand pods would not fit.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) key: ObjectKey,
    pub(super) uid: String,
    pub(super) version: String,
    /// Compact JSON.
    pub(super) bytes: Arc<[u8]>,
    /// The value, while it is fresh from the wire.
    fresh: OnceLock<Shared>,
}

/// Namespace (empty for kinds without) and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ObjectKey {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// Of a Secret's annotations only values as short as a label's are kept: several tools
/// keep the whole object in one, data included, as text or packed.
const SHORT: usize = 63;

impl Object {
    /// Takes an object as the server sent it. Items of a list lack kind and version, which the list has.
    ///
    /// `managedFields` are never looked at and often half of an object. A Secret's
    /// data must not get any further than this line.
    pub(super) fn read(json: &str, secret: bool, list: Option<(&str, &str)>) -> Result<Self, Error> {
        let nameless = || Error::Undecodable("an object has no name".to_owned());
        let mut value: Value = serde_json::from_str(json).map_err(|error| Error::Undecodable(error.to_string()))?;
        let top = value.as_object_mut().ok_or_else(nameless)?;
        if let Some((kind, api_version)) = list {
            for (key, text) in [("kind", kind), ("apiVersion", api_version)] {
                if !text.is_empty() && !top.contains_key(key) {
                    top.insert(key.to_owned(), text.into());
                }
            }
        }
        let secret = secret
            || (top.get("kind").is_some_and(|kind| kind == "Secret")
                && top.get("apiVersion").is_some_and(|version| version == "v1"));
        if secret {
            top.retain(|key, _| key != "data" && key != "stringData");
        }
        let metadata = top.get_mut("metadata").and_then(Value::as_object_mut).ok_or_else(nameless)?;
        metadata.shift_remove("managedFields");
        if secret && let Some(notes) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            notes.retain(|_, text| {
                text.as_str().is_some_and(|text| text.len() <= SHORT && !text.starts_with(['{', '[']))
            });
        }
        let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = ObjectKey { namespace: text("namespace"), name: text("name") };
        let (uid, version) = (text("uid"), text("resourceVersion"));
        if key.name.is_empty() {
            return Err(nameless());
        }
        let bytes = serde_json::to_vec(&value).expect("a value is JSON").into();
        Ok(Self { key, uid, version, bytes, fresh: Shared::from(value).into() })
    }

    /// The object for expressions.
    pub(super) fn value(&self) -> Shared {
        self.fresh.get().cloned().unwrap_or_else(|| Shared::from(parsed(&self.bytes)))
    }

    /// Its last state, as a watch shows what went at a version.
    pub(super) fn gone_at(&self, version: u64) -> Self {
        let mut value = parsed(&self.bytes);
        value["metadata"]["resourceVersion"] = version.to_string().into();
        let bytes = serde_json::to_vec(&value).expect("a value is JSON").into();
        let (key, uid) = (self.key.clone(), self.uid.clone());
        Self { key, uid, version: version.to_string(), bytes, fresh: Shared::from(value).into() }
    }

    /// An object that was kept.
    pub(super) fn kept(key: ObjectKey, uid: String, version: String, bytes: Arc<[u8]>) -> Self {
        Self { key, uid, version, bytes, fresh: OnceLock::new() }
    }

    /// What a selection makes of it.
    pub(super) fn tracks(&self, pipeline: &Pipeline) -> Vec<(TrackKey, Track)> {
        pipeline.tracks(&Version {
            namespace: &self.key.namespace,
            name: &self.key.name,
            uid: &self.uid,
            version: &self.version,
            value: &self.value(),
        })
    }

    /// The object to be kept: bytes alone.
    pub(super) fn stale(mut self) -> Self {
        self.fresh = OnceLock::new();
        self
    }

    /// The version as a number.
    ///
    /// API servers promise since 1.35 that versions of one resource can be compared
    /// as numbers; etcd has always given such. What is none counts as new.
    pub(super) fn number(&self) -> u64 {
        number(&self.version).unwrap_or(u64::MAX)
    }
}

/// What an object's bytes say.
pub(super) fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("the bytes were made of a value")
}

/// A resource version as a number.
pub(super) fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_of_secrets_and_managed_fields_do_not_enter() {
        let packed = "cGFzcw".repeat(20);
        let secret = json!({
            "data": { "password": "cGFzcw==" }, "stringData": { "a": "b" }, "type": "Opaque",
            "metadata": { "name": "s", "resourceVersion": "12", "managedFields": [1], "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"password\":\"cGFzcw==\"}}",
                "banzaicloud.com/last-applied": packed, "kept": "yes" } },
        });
        let by_query = Object::read(&secret.to_string(), true, None).unwrap();
        // Whatever was asked for: a Secret is known by its kind as well.
        let by_kind = Object::read(&secret.to_string(), false, Some(("Secret", "v1"))).unwrap();
        for object in [by_query, by_kind] {
            let text = String::from_utf8(object.bytes.to_vec()).unwrap();
            assert!(
                !text.contains("cGFzcw") && !text.contains("stringData") && !text.contains("managedFields"),
                "{text}"
            );
            assert!(text.contains("kept") && text.contains("Opaque"), "{text}");
            assert_eq!(object.number(), 12);
            assert_eq!(object.value().value(), object.stale().value().value());
        }
        assert!(Object::read("{\"metadata\":{}}", false, None).is_err());
    }
}
