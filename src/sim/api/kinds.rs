//! What is known of the built-in kinds as data: their schemas and the columns of their tables.
//!
//! The file beside this one is made by `lab/kinds` from what a real API server says.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use serde_json::{Map, Value};

use super::resource::Resource;

static KINDS: LazyLock<Value> = LazyLock::new(|| {
    let mut text = String::new();
    GzDecoder::new(include_bytes!("kinds.json.gz").as_slice())
        .read_to_string(&mut text)
        .expect("the data file is gzip of UTF-8");
    serde_json::from_str(&text).expect("the data file is JSON")
});

/// The columns of a kind's tables.
pub(crate) fn columns(resource: &Resource) -> Value {
    let key = format!("{} {}", resource.api_version(), resource.kind);
    KINDS["columns"].get(&key).cloned().unwrap_or_else(|| Value::Array(Vec::new()))
}

/// All schemas, by their names.
pub(crate) fn schemas() -> &'static Map<String, Value> {
    KINDS["schemas"].as_object().expect("the data file has schemas by name")
}

/// The name of a kind's schema.
pub(crate) fn schema_name(resource: &Resource) -> Option<&'static str> {
    name_of(&resource.group, &resource.version, &resource.kind)
}

/// Whether there is a built-in kind of this name.
pub(crate) fn is_known(group: &str, version: &str, kind: &str) -> bool {
    name_of(group, version, kind).is_some()
}

fn name_of(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    static NAMES: LazyLock<BTreeMap<(String, String, String), &'static str>> = LazyLock::new(|| {
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let mut names = BTreeMap::new();
        for (name, schema) in schemas() {
            for gvk in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
                names.insert((text(gvk, "group"), text(gvk, "version"), text(gvk, "kind")), name.as_str());
            }
        }
        names
    });
    NAMES.get(&(group.to_owned(), version.to_owned(), kind.to_owned())).copied()
}
