//! An object before and after, as lines.

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

/// The most lines that are shown of a difference.
const LINES: usize = 60;

/// Lines around a change that are the same.
const AROUND: usize = 2;

/// Above so many bytes only what changed is compared, since the rest would take too long.
const LARGE: usize = 64 * 1024;

/// Lines that begin with ` `, `-` or `+`.
pub(super) fn lines(before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
    let (before, after) = match (before, after) {
        (Some(before), Some(after)) if size(before) + size(after) > LARGE => {
            let (before, after) = changed(before, after);
            (yaml(Some(&before)), yaml(Some(&after)))
        }
        _ => (yaml(before), yaml(after)),
    };
    if before.is_empty() || after.is_empty() {
        let (sign, text) = if before.is_empty() { ('+', &after) } else { ('-', &before) };
        return capped(text.lines().map(|line| format!("{sign}{line}")));
    }
    let diff = TextDiff::from_lines(&before, &after);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(AROUND) {
        if !lines.is_empty() {
            lines.push(" …".to_owned());
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            lines.push(format!("{sign}{}", change.value().trim_end_matches('\n')));
        }
    }
    capped(lines.into_iter())
}

fn capped(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut more = 0_usize;
    for line in lines {
        if kept.len() < LINES { kept.push(line) } else { more += 1 }
    }
    if more > 0 {
        kept.push(format!(" … {more} more lines"));
    }
    kept
}

/// A value as YAML, without what changes at every write.
fn yaml(value: Option<&Value>) -> String {
    let Some(value) = value else { return String::new() };
    let mut value = value.clone();
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("resourceVersion");
        metadata.shift_remove("managedFields");
    }
    serde_saphyr::to_string(&value).unwrap_or_else(|_| value.to_string())
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.iter().map(|(key, member)| key.len() + size(member)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 4,
    }
}

/// Two values without the members that both have alike.
fn changed(before: &Value, after: &Value) -> (Value, Value) {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (cut(before), cut(after));
    };
    let (mut left, mut right) = (serde_json::Map::new(), serde_json::Map::new());
    for (key, value) in old {
        match new.get(key) {
            Some(other) if other == value => {}
            Some(other) => {
                let (before, after) = changed(value, other);
                left.insert(key.clone(), before);
                right.insert(key.clone(), after);
            }
            None => {
                left.insert(key.clone(), cut(value));
            }
        }
    }
    for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
        right.insert(key.clone(), cut(value));
    }
    (Value::Object(left), Value::Object(right))
}

fn cut(value: &Value) -> Value {
    if size(value) <= LARGE / 8 {
        return value.clone();
    }
    Value::String(format!("… ({} bytes)", size(value)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_changed_is_shown_with_what_stands_around_it() {
        let before = json!({ "metadata": { "name": "a", "resourceVersion": "1" },
            "status": { "a": 1, "b": 2, "c": 3, "state": "ready", "d": 4 } });
        let mut after = before.clone();
        after["status"]["state"] = json!("failed");
        after["metadata"]["resourceVersion"] = json!("2");
        let said = lines(Some(&before), Some(&after)).join("\n");
        insta::assert_snapshot!(said, @r"
           b: 2
           c: 3
        -  state: ready
        +  state: failed
           d: 4
        ");
        assert_eq!(lines(None, Some(&json!({ "a": 1 }))), ["+a: 1"]);
        assert_eq!(lines(Some(&json!({ "a": 1 })), None), ["-a: 1"]);
    }

    #[test]
    fn of_a_large_object_only_what_changed_is_compared() {
        let data = "x".repeat(100_000);
        let before = json!({ "data": { "large": data, "small": 1 } });
        let mut after = before.clone();
        after["data"]["small"] = json!(2);
        assert_eq!(lines(Some(&before), Some(&after)), [" data:", "-  small: 1", "+  small: 2"]);
    }
}
