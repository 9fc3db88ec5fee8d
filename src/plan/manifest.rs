//! A YAML file of objects, read while the plan is loaded.

use std::fmt;
use std::ops::Range;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::tree::{Entry, Item, Kind, Table};

/// How deep the values of a document may stand inside each other.
const MAX_DEPTH: usize = 64;

/// Enough for that depth, measured, and twice as much again.
const STACK: usize = 16 << 20;

/// The documents of a YAML text with their places; else what is wrong, and where.
pub(super) fn parse(text: &str) -> Result<Vec<Item>, (String, Range<usize>)> {
    // What reads it is recursive: it gets a stack of its own, and a depth that fits there.
    let reader = || {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, flow_nesting_limit: MAX_DEPTH },
        };
        serde_saphyr::from_multiple_with_options::<Spanned<Node>>(text, options).map_err(|error| {
            let start = error.location().map_or(0, |place| offset(text, place.line(), place.column()));
            (sentence(&error.without_snippet().to_string()), start..start)
        })
    };
    let documents = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, reader);
        let thread = thread.map_err(|error| (format!("there is no room to read it: {error}"), 0..0))?;
        thread.join().unwrap_or_else(|_| Err(("what reads YAML gave up on it".to_owned(), 0..0)))
    })?;
    Ok(documents.iter().map(|document| item(text, document)).collect())
}

/// The parser's complaint without its place, which is told beside it.
fn sentence(complaint: &str) -> String {
    let what = complaint.rsplit_once(" at line ").map_or(complaint, |(what, _)| what);
    if what.starts_with("budget breached: Depth") || what == "recursion limit exceeded" {
        return format!("values stand inside each other more than {MAX_DEPTH} deep");
    }
    what.to_owned()
}

/// What makes a document one that can be applied; else what is missing.
pub(super) fn fault(document: &Item) -> Option<String> {
    let Some(table) = document.as_table() else {
        return Some(format!("an object is a table, found {}", document.what()));
    };
    let text = |key: &str| table.get(key).and_then(|entry| entry.item.as_text()).is_some_and(|text| !text.is_empty());
    let missing = ["apiVersion", "kind"].into_iter().find(|key| !text(key));
    missing.map(|key| format!("the object has no `{key}`"))
}

/// A line and column in characters, both from 1, as a byte.
fn offset(text: &str, line: u64, column: u64) -> usize {
    let line = usize::try_from(line).unwrap_or(1).max(1);
    let column = usize::try_from(column).unwrap_or(1).max(1);
    let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    text[start..].char_indices().nth(column - 1).map_or(text.len(), |(byte, _)| start + byte)
}

fn item(text: &str, node: &Spanned<Node>) -> Item {
    let span = place(node);
    let kind = match &node.value {
        Node::Null => Kind::Null,
        Node::Bool(truth) => Kind::Bool(*truth),
        Node::Int(int) => Kind::Int(*int),
        Node::Float(float) => octal(text.get(span.clone())).map_or(Kind::Float(*float), Kind::Int),
        Node::Text(text) => Kind::Text(text.clone()),
        Node::List(items) => Kind::List(items.iter().map(|node| item(text, node)).collect()),
        Node::Map(members) => Kind::Table(
            members
                .iter()
                .map(|(key, node)| (key.value.clone(), Entry { key: place(key), item: item(text, node) }))
                .collect::<Table>(),
        ),
    };
    Item { span, kind }
}

/// `0644` is octal to Kubernetes, as it was in YAML 1.1.
fn octal(spelled: Option<&str>) -> Option<i64> {
    let digits = spelled?.strip_prefix('0')?;
    i64::from_str_radix(digits, 8).ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_digit()))
}

fn place<T>(spanned: &Spanned<T>) -> Range<usize> {
    let span = spanned.referenced.span();
    let number = |n: Option<u64>| usize::try_from(n.unwrap_or(0)).unwrap_or(0);
    let start = number(span.byte_offset());
    start..start + number(span.byte_len())
}

/// A YAML value.
enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Node, E> {
        Ok(Node::Bool(truth))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Node, E> {
        Ok(Node::Int(int))
    }

    fn visit_u64<E: de::Error>(self, int: u64) -> Result<Node, E> {
        i64::try_from(int).map(Node::Int).map_err(|_| E::custom("the number is too large: whole numbers have 64 bits"))
    }

    fn visit_f64<E>(self, float: f64) -> Result<Node, E> {
        Ok(Node::Float(float))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            members.push((key, access.next_value()?));
        }
        Ok(Node::Map(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_with_their_places() {
        let text = "apiVersion: v1\nkind: \"P${vars.x}\"\nmode: 0644\noff: no\n---\n# nothing\n---\na: [1, x]\n";
        let documents = parse(text).unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!(
            documents[0].to_json(),
            serde_json::json!({ "apiVersion": "v1", "kind": "P${vars.x}", "mode": 0o644, "off": false })
        );
        let (item, value) = documents[0].texts()[1];
        assert_eq!((&text[item.span.clone()], value), ("\"P${vars.x}\"", "P${vars.x}"));
        assert_eq!(fault(&documents[0]), None);
        assert_eq!(fault(&documents[1]).as_deref(), Some("the object has no `apiVersion`"));
    }

    #[test]
    fn what_is_not_yaml_is_told_with_its_place() {
        let said = |text: &str| parse(text).map(|_| ()).unwrap_err();
        assert_eq!(said("a: 1\na: 2\n").1.start, 5);
        assert!(said("a: [1\nb: 2").0.contains(':'));
        for deep in ["[", "- ", "{a: "] {
            assert_ne!(said(&deep.repeat(50_000)).0, "", "{deep}");
        }
    }
}
