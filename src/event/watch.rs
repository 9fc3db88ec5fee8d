use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Elapsed;

/// A watch of one run, numbered from 0 in the order in which they were asked for. Two that are
/// asked for at the same time may open in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WatchId(pub u32);

/// What a watch asks the API server for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// The kind, as `pods` or `volumes.longhorn.io`.
    pub resource: String,
    /// The namespace; ignored for kinds without one.
    pub namespace: String,
    /// Only the object of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A label selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// A field selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<String>,
}

/// One version of one object, as a watch or a list brought it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Which watch brought it.
    pub watch: WatchId,
    /// How it was seen.
    pub how: How,
    /// Empty for kinds without namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// Another uid under the same name is another object.
    pub uid: String,
    /// The version, as the server says it.
    pub version: String,
    /// When it came in; the event's own time is when it was written.
    pub arrived: Elapsed,
    /// What it looks like. Without managedFields; of Secrets never the data.
    pub body: Body,
}

/// How a version was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// In a list. What was there before the watch, or, in a list after a gap, what
    /// changed while nobody looked.
    Listed,
    /// The watch said `ADDED`: created, or come into the selection.
    Added,
    /// The watch said `MODIFIED`.
    Modified,
    /// The watch said `DELETED`: gone, or left the selection. The body is its last state.
    Deleted,
}

/// An object's content, in full or against the version that the same watch recorded before
/// for the same namespace and name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// All of it.
    Whole(Value),
    /// A JSON merge patch (RFC 7396) on the version before.
    Patch(Value),
}

/// An object by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectName {
    /// Empty for kinds without namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// What a closing list and the watch do not agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Which object.
    pub object: ObjectName,
    /// One line: what the list has and what the watch had shown.
    pub say: String,
}
