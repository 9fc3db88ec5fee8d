use serde_json::Value;

use crate::check::Version;
use crate::expr::Shared;

/// One version of one object, without what nobody may or need see.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) key: ObjectKey,
    pub(super) uid: String,
    pub(super) version: String,
    pub(super) value: Shared,
}

/// Namespace (empty for kinds without) and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ObjectKey {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Object {
    /// Takes an object as the server sent it; `None` if it has no name.
    ///
    /// `managedFields` are never looked at and often half of an object. A Secret's
    /// data must not get any further than this line.
    pub(super) fn read(mut value: Value, secret: bool) -> Option<Self> {
        let top = value.as_object_mut()?;
        if secret {
            top.remove("data");
            top.remove("stringData");
        }
        let metadata = top.get_mut("metadata")?.as_object_mut()?;
        metadata.remove("managedFields");
        if secret && let Some(notes) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            // `kubectl apply` keeps the whole object, data included, in this annotation.
            notes.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
        let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = ObjectKey { namespace: text("namespace"), name: text("name") };
        let (uid, version) = (text("uid"), text("resourceVersion"));
        (!key.name.is_empty()).then(|| Self { key, uid, version, value: Shared::from(value) })
    }

    /// As tracks are made of it.
    pub(super) fn as_version(&self) -> Version<'_> {
        Version {
            namespace: &self.key.namespace,
            name: &self.key.name,
            uid: &self.uid,
            version: &self.version,
            value: &self.value,
        }
    }

    /// The version as a number.
    ///
    /// API servers promise since 1.35 that versions of one resource can be compared
    /// as numbers; etcd has always given such. What is none counts as new.
    pub(super) fn number(&self) -> u64 {
        number(&self.version).unwrap_or(u64::MAX)
    }
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
        let secret = json!({
            "kind": "Secret", "data": { "password": "cGFzcw==" }, "stringData": { "a": "b" }, "type": "Opaque",
            "metadata": { "name": "s", "resourceVersion": "12", "managedFields": [1],
                "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "cGFzcw==", "kept": "yes" } },
        });
        let object = Object::read(secret, true).unwrap();
        let text = object.value.value().to_string();
        assert!(!text.contains("cGFzcw") && !text.contains("stringData") && !text.contains("managedFields"), "{text}");
        assert!(text.contains("kept") && text.contains("Opaque"), "{text}");
        assert_eq!(object.number(), 12);
        assert!(Object::read(json!({ "metadata": {} }), false).is_none());
    }
}
