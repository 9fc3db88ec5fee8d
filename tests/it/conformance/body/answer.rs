//! One answer, made comparable; and recordings, which are lists of them.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::folder;

/// An answer of a server: what changes from run to run is named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) sequence: String,
    /// The request as the file of sequences has it.
    pub(crate) request: String,
    pub(crate) code: u16,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: Value,
}

/// What the real server answered to a file of sequences.
pub(crate) fn recorded(file: &str) -> Vec<Answer> {
    let path = folder().join("recorded").join(format!("{file}.jsonl"));
    let text = fs::read_to_string(&path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line of a recording is an answer")).collect()
}
