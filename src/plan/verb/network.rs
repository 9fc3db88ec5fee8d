use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::object::Manifest;
use crate::expr::Cel;
use crate::plan::{Bytes, Setting, Text};

/// `download`: http(s) into a content-addressed cache, hashed while written,
/// resumed after a break. A wrong digest or size deletes what was loaded and fails.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Download {
    /// Where it is.
    pub url: Text,
    /// Where else it is, tried in order when the first can't be had.
    #[serde(default)]
    pub mirrors: Setting<Vec<String>>,
    /// The digest it must have; empty means unknown.
    #[serde(default)]
    pub sha512: Option<Text>,
    /// The digest it must have; empty means unknown.
    #[serde(default)]
    pub sha256: Option<Text>,
    /// The size it must have.
    #[serde(default)]
    pub size: Option<Setting<Bytes>>,
}

/// `http`: one request, with the answer that is expected.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Http {
    /// Where to.
    pub url: Text,
    /// The method.
    #[serde(default = "get")]
    pub method: Text,
    /// Request headers.
    #[serde(default)]
    pub headers: IndexMap<String, Text>,
    /// A text as body.
    #[serde(default)]
    pub body: Option<Text>,
    /// A document as JSON body.
    #[serde(default)]
    #[schemars(with = "Option<Value>")]
    pub json: Option<Manifest>,
    /// The status it must answer with; default any 2xx.
    #[serde(default)]
    pub status: Option<Setting<u16>>,
    /// What must hold of `status` and `body` (parsed when it is JSON, else text).
    #[serde(default)]
    pub that: Option<Cel>,
}

fn get() -> Text {
    Setting::Plain("GET".to_owned())
}
