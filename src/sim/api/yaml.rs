//! YAML as the real server writes it: fields by name, lists at their field's own depth.

use std::fmt::Write as _;

use serde_json::Value;

/// A value as a YAML document.
pub(crate) fn write(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() => block(value, 0, &mut text),
        Value::Array(items) if !items.is_empty() => block(value, 0, &mut text),
        other => text = format!("{}\n", flow(other)),
    }
    text
}

/// The fields or items of a value that has some, each on lines of its own.
fn block(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(b.0));
            for (number, (name, value)) in sorted.into_iter().enumerate() {
                // The first field of a list's item stands behind the item's dash.
                let indent = if number == 0 && text.ends_with("- ") { "" } else { indent.as_str() };
                write!(text, "{indent}{}:", scalar(name)).expect("a String takes text");
                below(value, depth + 1, depth, text);
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                let indent = if number == 0 && text.ends_with("- ") { "" } else { indent.as_str() };
                text.push_str(indent);
                match item {
                    Value::Object(fields) if !fields.is_empty() => {
                        text.push_str("- ");
                        block(item, depth + 1, text);
                    }
                    Value::Array(inner) if !inner.is_empty() => {
                        text.push_str("- ");
                        block(item, depth + 1, text);
                    }
                    other => {
                        text.push('-');
                        below(other, depth + 1, depth, text);
                    }
                }
            }
        }
        _ => {}
    }
}

/// What stands behind a colon: on the same line, or on lines of its own.
fn below(value: &Value, fields_at: usize, items_at: usize, text: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            text.push('\n');
            block(value, fields_at, text);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            block(value, items_at, text);
        }
        Value::String(lines) if lines.contains('\n') => literal(lines, fields_at, text),
        other => {
            writeln!(text, " {}", flow(other)).expect("a String takes text");
        }
    }
}

/// A text of several lines as it is.
fn literal(lines: &str, depth: usize, text: &mut String) {
    let keeps = match lines.strip_suffix('\n') {
        None => "-",
        Some(rest) if rest.ends_with('\n') => "+",
        Some(_) => "",
    };
    // A first line that begins with a space would be taken for deeper indentation.
    let leads = if lines.starts_with([' ', '\n']) { "2" } else { "" };
    writeln!(text, " |{leads}{keeps}").expect("a String takes text");
    for line in lines.strip_suffix('\n').unwrap_or(lines).split('\n') {
        if line.is_empty() {
            text.push('\n');
        } else {
            writeln!(text, "{}{line}", "  ".repeat(depth)).expect("a String takes text");
        }
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => scalar(text),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        other => other.to_string(),
    }
}

/// A text on one line: bare where nobody can take it for anything else.
fn scalar(text: &str) -> String {
    let quoted = text.chars().any(|letter| letter.is_control() || letter == '\u{feff}');
    if quoted || is_another_type(text) {
        return serde_json::to_string(text).expect("a text is JSON");
    }
    let odd = text.starts_with(|letter: char| " -?:,[]{}#&*!|>'\"%@`".contains(letter))
        && !(text.len() > 1
            && text.starts_with(['-', '?', ':'])
            && !text[1..].starts_with([' ', ',', '[', ']', '{', '}']));
    if odd || text.ends_with([' ', ':']) || text.contains(": ") || text.contains(" #") {
        return format!("'{}'", text.replace('\'', "''"));
    }
    text.to_owned()
}

/// Whether YAML would read a bare text as something else than a text.
fn is_another_type(text: &str) -> bool {
    const WORDS: [&str; 12] = ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "<<"];
    let number = text.trim_start_matches(['+', '-']).replace('_', "");
    let is_number = number.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.')
        && (number.parse::<f64>().is_ok() || number.starts_with("0x") || number.starts_with("0o"));
    let bytes = text.as_bytes();
    let is_date = bytes.len() >= 10
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[5..7].iter().all(u8::is_ascii_digit)
        && bytes[7] == b'-';
    WORDS.contains(&text.to_ascii_lowercase().as_str()) || is_number || is_date
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_sorted_and_texts_are_quoted_where_they_have_to_be() {
        let value = json!({
            "spec": {"list": [{"b": 1, "a": "x:1"}, {"c": []}], "words": ["f:a", ".", "true", "12", "a: b", "", "-x"]},
            "at": "2026-01-01T00:00:00Z", "none": null, "nothing": {}, "lines": "one\ntwo\n", "f:k": {".": {}},
        });
        insta::assert_snapshot!(write(&value), @r#"
        at: "2026-01-01T00:00:00Z"
        f:k:
          .: {}
        lines: |
          one
          two
        none: null
        nothing: {}
        spec:
          list:
          - a: x:1
            b: 1
          - c: []
          words:
          - f:a
          - .
          - "true"
          - "12"
          - 'a: b'
          - ""
          - -x
        "#);
        let read: Value = serde_saphyr::from_str(&write(&value)).unwrap();
        assert_eq!(read, value);
    }
}
