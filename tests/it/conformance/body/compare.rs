//! Two answers beside each other, point by point.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

use super::answer::Answer;

/// Points at which two recordings were held to each other.
#[derive(Default)]
pub(crate) struct Comparison {
    pub(crate) points: usize,
    pub(crate) differences: Vec<Difference>,
}

/// A point at which they differ.
pub(crate) struct Difference {
    /// File, sequence, request and the point in its answer.
    pub(crate) at: String,
    pub(crate) expected: Option<Value>,
    pub(crate) found: Option<Value>,
}

/// Compares what was answered with what was expected, for one file of sequences.
pub(crate) fn compare(file: &str, expected: &[Answer], found: &[Answer]) -> Comparison {
    let mut comparison = Comparison::default();
    for (number, answer) in found.iter().enumerate() {
        let prefix = format!("{file} / {} / {}", answer.sequence, answer.request);
        let Some(expected) = expected.get(number) else {
            comparison.differ(format!("{prefix}: not recorded yet"), None, None);
            continue;
        };
        if (&expected.sequence, &expected.request) != (&answer.sequence, &answer.request) {
            let at = format!("{prefix}: recorded is `{} / {}`: record again", expected.sequence, expected.request);
            comparison.differ(at, None, None);
            return comparison;
        }
        if expected.code != answer.code {
            // Answers of another kind have nothing to compare.
            let shown = |answer: &Answer| {
                let message = answer.body.get("message").cloned().unwrap_or_default();
                Value::Array(vec![answer.code.into(), message])
            };
            comparison.differ(format!("{prefix}: code"), Some(&shown(expected)), Some(&shown(answer)));
            continue;
        }
        comparison.points += 1;
        let headers = |answer: &Answer| serde_json::to_value(&answer.headers).expect("headers are texts");
        comparison.value(&format!("{prefix}: headers"), &headers(expected), &headers(answer));
        comparison.value(&format!("{prefix}: body"), &expected.body, &answer.body);
    }
    if let Some(missing) = expected.get(found.len()) {
        comparison.differ(
            format!("{file} / {} / {}: not asked any more", missing.sequence, missing.request),
            None,
            None,
        );
    }
    comparison
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), ToString::to_string);
        writeln!(f, "{}\n  recorded {}\n  here     {}", self.at, shown(&self.expected), shown(&self.found))
    }
}

impl Comparison {
    fn differ(&mut self, at: String, expected: Option<&Value>, found: Option<&Value>) {
        self.points += 1;
        self.differences.push(Difference { at, expected: expected.cloned(), found: found.cloned() });
    }

    fn value(&mut self, at: &str, expected: &Value, found: &Value) {
        match (expected, found) {
            (Value::Object(left), Value::Object(right)) => {
                for (key, expected) in left {
                    match right.get(key) {
                        Some(found) => self.value(&format!("{at}.{key}"), expected, found),
                        None => self.differ(format!("{at}.{key}"), Some(expected), None),
                    }
                }
                for (key, found) in right.iter().filter(|(key, _)| !left.contains_key(*key)) {
                    self.differ(format!("{at}.{key}"), None, Some(found));
                }
            }
            (Value::Array(left), Value::Array(right)) => match (by_name(left), by_name(right)) {
                (Some(left), Some(right)) => self.named(at, &left, &right),
                _ if left.len() == right.len() => {
                    for (number, (expected, found)) in left.iter().zip(right).enumerate() {
                        self.value(&format!("{at}[{number}]"), expected, found);
                    }
                }
                _ => self.differ(at.to_owned(), Some(expected), Some(found)),
            },
            _ if expected == found => self.points += 1,
            (Value::String(left), Value::String(right)) if sorted(left) == sorted(right) => self.points += 1,
            _ => self.differ(at.to_owned(), Some(expected), Some(found)),
        }
    }

    /// Lists whose items have names are compared name by name, and then in their order.
    fn named(&mut self, at: &str, expected: &[(&str, &Value)], found: &[(&str, &Value)]) {
        let (left, right): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (expected.iter().copied().collect(), found.iter().copied().collect());
        for (name, value) in expected {
            match right.get(name) {
                Some(found) => self.value(&format!("{at}[{name}]"), value, found),
                None => self.differ(format!("{at}[{name}]"), Some(value), None),
            }
        }
        for (name, value) in found.iter().filter(|(name, _)| !left.contains_key(name)) {
            self.differ(format!("{at}[{name}]"), None, Some(value));
        }
        let shared = |list: &[(&str, &Value)], other: &BTreeMap<&str, &Value>| -> Value {
            list.iter().map(|(name, _)| *name).filter(|name| other.contains_key(name)).collect()
        };
        let (expected, found) = (shared(expected, &right), shared(found, &left));
        if expected == found {
            self.points += 1;
        } else {
            self.differ(format!("{at} in this order"), Some(&expected), Some(&found));
        }
    }
}

static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"Invalid value: ("(?:[^"\\]|\\.)*")"#).expect("it is a pattern"));

/// A text in which the fields of objects that it quotes are in the order of their names: Go has an order of its own.
fn sorted(text: &str) -> String {
    let sort = |found: &Captures<'_>| {
        let quoted = serde_json::from_str::<String>(&found[1]).and_then(|text| serde_json::from_str::<Value>(&text));
        quoted.map_or_else(
            |_| found[0].to_owned(),
            |mut object| {
                object.sort_all_objects();
                format!("Invalid value: {:?}", object.to_string())
            },
        )
    };
    QUOTED.replace_all(text, sort).into_owned()
}

fn by_name(items: &[Value]) -> Option<Vec<(&str, &Value)>> {
    let named: Option<Vec<(&str, &Value)>> =
        items.iter().map(|item| Some((item.get("name")?.as_str()?, item))).collect();
    let named = named.filter(|named| !named.is_empty())?;
    let distinct: BTreeMap<_, _> = named.iter().copied().collect();
    (distinct.len() == named.len()).then_some(named)
}
