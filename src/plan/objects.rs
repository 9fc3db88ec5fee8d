use std::fmt;

use serde::{Deserialize, Serialize};

use super::Resource;
use crate::expr::{Cel, Env};

/// A named selection of API objects, with its vars filled in.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Its name in the run: a part's selections carry the step's id before theirs.
    pub id: SelectionId,
    /// Where its objects come from.
    pub source: Source,
    /// Only objects (or entries) for which this holds.
    pub filter: Option<Cel>,
    /// One entry for each key of this map inside each object.
    pub each: Option<Cel>,
    /// The vars that `filter` and `each` see.
    pub env: Env,
}

/// A selection's name in the run, such as `managers` or `install/managers`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SelectionId(pub String);

impl fmt::Display for SelectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a selection's objects come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The API server.
    Api(Query),
    /// Another selection.
    On(SelectionId),
}

/// What is asked of the API server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Query {
    /// The kind of object.
    pub resource: Resource,
    /// The namespace; ignored for kinds without one.
    pub namespace: String,
    /// Only the object of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A label selector as kubectl's `-l` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// A field selector as kubectl's `--field-selector` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<String>,
}
