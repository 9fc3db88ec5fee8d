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
    /// How many differences there still are besides.
    unexplained: usize,
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
    pub(crate) decided: usize,
    pub(crate) unexplained: Vec<Difference>,
    /// Patterns that met nothing: the decision is no longer needed.
    pub(crate) idle: Vec<String>,
    /// How many unexplained differences the list admits to.
    pub(crate) admitted: usize,
}

/// Tells the differences that are meant from the others.
pub(crate) fn judge(comparison: Comparison) -> Judgement {
    let path = folder().join("decided.toml");
    let text = fs::read_to_string(path).expect("the list of decided differences can be read");
    let list: List = toml::from_str(&text).expect("the list of decided differences is TOML");
    let patterns: Vec<Regex> =
        list.difference.iter().map(|entry| Regex::new(&entry.at).expect("`at` is a pattern")).collect();
    assert!(list.difference.iter().all(|entry| entry.why.len() > 20), "each decision says why");
    let mut met = vec![0_usize; patterns.len()];
    let mut unexplained = Vec::new();
    for difference in comparison.differences {
        match patterns.iter().position(|pattern| pattern.is_match(&difference.at)) {
            Some(number) => met[number] += 1,
            None => unexplained.push(difference),
        }
    }
    let idle = patterns.iter().zip(&met).filter(|(_, met)| **met == 0).map(|(pattern, _)| pattern.to_string());
    Judgement { decided: met.iter().sum(), unexplained, idle: idle.collect(), admitted: list.unexplained }
}
