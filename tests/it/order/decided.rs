//! The departures that are meant, each with its reason.

use std::fs;
use std::path::PathBuf;

use regex::Regex;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    departure: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// A pattern for departures as they are told.
    at: String,
    /// Why the embedded cluster departs there. Read by people.
    why: String,
    /// Whether few seeds show it, so that none has to.
    #[serde(default)]
    rare: bool,
}

/// Takes what is meant out of what was told. Also told: patterns that met nothing, since the decision is no longer needed.
pub(crate) fn without_decided(told: Vec<String>) -> (Vec<String>, Vec<String>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/order/decided.toml");
    let text = fs::read_to_string(path).expect("the list of decided departures can be read");
    let list: List = toml::from_str(&text).expect("the list of decided departures is TOML");
    assert!(list.departure.iter().all(|entry| entry.why.len() > 20), "each decision says why");
    let patterns: Vec<Regex> =
        list.departure.iter().map(|entry| Regex::new(&entry.at).expect("`at` is a pattern")).collect();
    let mut met = vec![false; patterns.len()];
    let mut left = Vec::new();
    for told in told {
        match patterns.iter().position(|pattern| pattern.is_match(&told)) {
            Some(number) => met[number] = true,
            None => left.push(told),
        }
    }
    let must: Vec<bool> = list.departure.iter().map(|entry| !entry.rare).collect();
    let idle = patterns.iter().zip(met).zip(must).filter(|((_, met), must)| !met && *must);
    let idle = idle.map(|((pattern, _), _)| pattern.to_string()).collect();
    (left, idle)
}
