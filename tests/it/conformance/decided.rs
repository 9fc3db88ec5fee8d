//! The differences that are meant, each with its reason.

use std::fs;

use regex::Regex;
use serde::Deserialize;

use super::body::compare::{Comparison, Difference};
use super::body::folder;

/// The one list of decisions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    difference: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// A pattern for the place of a difference.
    at: String,
    /// Why the embedded server differs there. Read by people.
    why: String,
}

/// What comes of a comparison when what is meant is taken out.
pub(crate) struct Judgement {
    /// What each decision is about, in the order of the list.
    pub(crate) decisions: Vec<Decision>,
    pub(crate) unexplained: Vec<Difference>,
}

/// A decision with the differences that it explains. Without any it is no longer needed.
pub(crate) struct Decision {
    pub(crate) at: String,
    pub(crate) why: String,
    pub(crate) explains: Vec<Difference>,
}

/// Tells the differences that are meant from the others.
pub(crate) fn judge(comparison: Comparison) -> Judgement {
    let path = folder().join("decided.toml");
    let text = fs::read_to_string(path).expect("the list of decided differences can be read");
    let list: List = toml::from_str(&text).expect("the list of decided differences is TOML");
    let patterns: Vec<Regex> =
        list.difference.iter().map(|entry| Regex::new(&entry.at).expect("`at` is a pattern")).collect();
    assert!(list.difference.iter().all(|entry| entry.why.len() > 20), "each decision says why");
    let entries = list.difference.into_iter();
    let mut decisions: Vec<Decision> =
        entries.map(|entry| Decision { at: entry.at, why: entry.why, explains: Vec::new() }).collect();
    let mut unexplained = Vec::new();
    for difference in comparison.differences {
        match patterns.iter().position(|pattern| pattern.is_match(&difference.at)) {
            Some(number) => decisions[number].explains.push(difference),
            None => unexplained.push(difference),
        }
    }
    Judgement { decisions, unexplained }
}
