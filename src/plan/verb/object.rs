use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::plan::setting::read_form;
use crate::plan::{Setting, Span, Text};

/// `apply`: server-side apply of one inline object or of a YAML file, with field
/// manager `lariat` and without force. Done when every object is accepted.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Apply {
    /// The object; strings in it may have holes.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub object: Option<Manifest>,
    /// A YAML file of one or many documents, relative to this file. Strings in it
    /// may have holes; they are filled in after parsing, so that a value can never
    /// change the structure.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub file: Option<ManifestFile>,
    /// For objects that name no namespace; default the plan's.
    #[serde(default)]
    pub namespace: Option<Text>,
}

/// An object whose strings may have holes.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest(pub crate::expr::Form);

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_form(deserializer).map(Self)
    }
}

/// A file of objects. The documents are read while the plan is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestFile {
    /// The path as written in the plan.
    pub path: String,
    /// The documents in order; empty until the resolver has read them.
    pub documents: Vec<Manifest>,
}

impl<'de> Deserialize<'de> for ManifestFile {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { path: String::deserialize(deserializer)?, documents: Vec::new() })
    }
}

/// `patch`: changes objects in place. Done when accepted.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Patch {
    /// What is patched.
    #[serde(default)]
    pub on: Option<String>,
    /// The kind, with `name`.
    #[serde(default)]
    pub resource: Option<Text>,
    /// The object's name, with `resource`.
    #[serde(default)]
    pub name: Option<Text>,
    /// Default the plan's.
    #[serde(default)]
    pub namespace: Option<Text>,
    /// A merge patch (RFC 7396).
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub merge: Option<Manifest>,
    /// A JSON patch (RFC 6902).
    #[serde(default)]
    #[schemars(with = "Option<Vec<Value>>")]
    pub json: Option<Manifest>,
    /// A strategic merge patch; built-in kinds only.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub strategic: Option<Manifest>,
    /// Such as `status`.
    #[serde(default)]
    pub subresource: Option<Text>,
}

/// `delete`: deletes objects. Done when they are gone.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Delete {
    /// A selection.
    #[serde(default)]
    pub on: Option<String>,
    /// The kind, with `name`.
    #[serde(default)]
    pub resource: Option<Text>,
    /// The object's name, with `resource`.
    #[serde(default)]
    pub name: Option<Text>,
    /// Default the plan's.
    #[serde(default)]
    pub namespace: Option<Text>,
    /// What happens to dependents; default the server's.
    #[serde(default)]
    pub propagation: Option<Propagation>,
    /// Grace period; default the object's own.
    #[serde(default)]
    pub grace: Option<Setting<Span>>,
    /// Nothing there to delete is not a failure.
    #[serde(default)]
    pub ignore_not_found: bool,
}

/// What happens to dependents of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Propagation {
    /// Deleted after it, by the garbage collector.
    Background,
    /// Deleted before it.
    Foreground,
    /// Left alone.
    Orphan,
}

impl fmt::Display for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Background => "background",
            Self::Foreground => "foreground",
            Self::Orphan => "orphan",
        })
    }
}
