//! Names for what is different in every run: uids, versions, times, made-up names.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value};

/// What one sequence has met so far, so that the same thing has the same name throughout.
#[derive(Debug)]
pub(crate) struct Names {
    /// Texts that stand for themselves: the namespace, the group, generated names.
    known: Vec<(String, String)>,
    uids: BTreeMap<String, usize>,
    versions: BTreeMap<String, usize>,
}

static UID: LazyLock<Regex> = LazyLock::new(|| regex("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"));
static TIME: LazyLock<Regex> = LazyLock::new(|| regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"));
static VERSION: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(too old resource version: |current: |ResourceVersion in record \(|ResourceVersion: 0, AdditionalErrorMsg: .*ResourceVersion in object meta: |resourceVersion\\?":\\?"|resourceVersion: ")(\d+)"#,
    )
});
static OLDEST: LazyLock<Regex> = LazyLock::new(|| regex(r"(too old resource version: \d+ \()\d+\)"));
static TOKEN: LazyLock<Regex> = LazyLock::new(|| regex("kube-api-access-[a-z0-9]{5}"));
static AGE: LazyLock<Regex> = LazyLock::new(|| regex(r"^\d+(s|m|h|d|y)(\d+(s|m|h|d))?$"));
static ADDRESS: LazyLock<Regex> =
    LazyLock::new(|| regex(r"10\.96\.\d+\.\d+(?::\d\d\d\d+)?|\d+\.\d+\.\d+\.\d+:\d\d\d\d+"));

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("the pattern above is a pattern")
}

impl Names {
    /// Names for a sequence in this namespace with this group of its own.
    pub(crate) fn new(namespace: &str, group: &str) -> Self {
        Self {
            known: vec![(group.to_owned(), "${group}".to_owned()), (namespace.to_owned(), "${ns}".to_owned())],
            uids: BTreeMap::new(),
            versions: BTreeMap::new(),
        }
    }

    /// A body with names in it.
    pub(crate) fn body(&mut self, value: &Value) -> Value {
        self.value(value, "", false)
    }

    fn value(&mut self, value: &Value, field: &str, moving: bool) -> Value {
        match value {
            Value::Object(fields) => self.fields(fields, moving),
            Value::Array(items) => {
                let items = items.iter().filter(|item| !is_foreign_group(field, item));
                let mut items: Vec<Value> = items.map(|item| self.value(item, field, moving)).collect();
                if field == "managedFields" {
                    // The real order goes by the second of the clock.
                    items.sort_by_key(|item| {
                        ["operation", "manager", "apiVersion", "subresource"].map(|key| item[key].to_string())
                    });
                }
                // Before a watch ends one bookmark comes or two, as the buckets of a second fall in which they are kept.
                items.dedup_by(|one, other| one == other && one["type"] == "BOOKMARK");
                Value::Array(items)
            }
            Value::String(text) => Value::String(self.field(field, text, moving)),
            Value::Number(number) if field == "nodePort" && number.as_i64() > Some(0) => "<node port>".into(),
            other => other.clone(),
        }
    }

    fn fields(&mut self, fields: &Map<String, Value>, moving: bool) -> Value {
        if let (Some(base), Some(name)) = (text(fields, "generateName"), text(fields, "name"))
            && name.starts_with(base)
            && name.len() == base.len() + 5
        {
            self.known.insert(0, (name.to_owned(), format!("{base}<suffix>")));
        }
        let kind = text(fields, "kind").unwrap_or_default();
        // The version of a list or a bookmark is the server's own, and other clients move it.
        let list = kind.ends_with("List") || kind == "Table";
        let bookmark = text(fields, "type") == Some("BOOKMARK");
        let mut named = Map::new();
        for (key, value) in fields {
            let moves = match key.as_str() {
                "metadata" => moving || list,
                "object" => bookmark,
                "resourceVersion" => moving,
                _ => false,
            };
            named.insert(self.text(key), self.value(value, key, moves));
        }
        Value::Object(named)
    }

    fn field(&mut self, field: &str, text: &str, moving: bool) -> String {
        match field {
            "resourceVersion" if ["", "0"].contains(&text) => text.to_owned(),
            "resourceVersion" if moving => "<version>".to_owned(),
            "resourceVersion" if text.bytes().all(|byte| byte.is_ascii_digit()) => self.version(text),
            // Of a custom kind it goes by the group, whose name is another in every run.
            "storageVersionHash" => "<hash>".to_owned(),
            "cells" if AGE.is_match(text) => "<age>".to_owned(),
            "continue" if !text.is_empty() => "<continue>".to_owned(),
            _ => self.text(text),
        }
    }

    fn version(&mut self, version: &str) -> String {
        let next = self.versions.len() + 1;
        format!("<version {}>", self.versions.entry(version.to_owned()).or_insert(next))
    }

    /// A text with names in it.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (known, name) in &self.known {
            text = text.replace(known, name);
        }
        let text = UID.replace_all(&text, |found: &Captures<'_>| {
            let next = self.uids.len() + 1;
            format!("<uid {}>", self.uids.entry(found[0].to_owned()).or_insert(next))
        });
        let text = TIME.replace_all(&text, |found: &Captures<'_>| match found.get(1) {
            None => "<time>".to_owned(),
            Some(fraction) => format!("<time with {} digits>", fraction.len() - 1),
        });
        let text = OLDEST.replace_all(&text, "${1}<version>)");
        let text = VERSION.replace_all(&text, |found: &Captures<'_>| {
            let known = self.versions.get(&found[2]);
            format!("{}{}", &found[1], known.map_or("<version>".to_owned(), |known| format!("<version {known}>")))
        });
        let text = TOKEN.replace_all(&text, "kube-api-access-<suffix>");
        ADDRESS.replace_all(&text, "<address>").into_owned()
    }
}

/// Whether this is a group in a server's list of groups that somebody else has defined.
fn is_foreign_group(field: &str, item: &Value) -> bool {
    let name = match field {
        "groups" => item.get("name"),
        "items" if item.get("versions").is_some() => item.pointer("/metadata/name"),
        _ => None,
    };
    name.and_then(Value::as_str).is_some_and(|name| name.contains('.') && !name.ends_with(".k8s.io"))
}

fn text<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    fields.get(key).and_then(Value::as_str)
}
