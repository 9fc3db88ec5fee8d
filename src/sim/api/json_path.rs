//! Values by JSON paths, as far as columns of definitions use them.

use serde_json::Value;

/// The first value that a path (`.spec.parts[0].name`, `.status.conditions[?(@.type=="Ready")].status`) leads to.
pub(crate) fn first<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut found = vec![value];
    for step in steps(path) {
        found = found.into_iter().flat_map(|value| step.from(value)).collect();
    }
    found.into_iter().next()
}

#[derive(Debug, PartialEq)]
enum Step {
    Field(String),
    Item(usize),
    All,
    /// Items whose field is this text.
    Where(String, String),
}

impl Step {
    fn from<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::Item(number) => value.get(number).into_iter().collect(),
            Self::All => match value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(fields) => fields.values().collect(),
                _ => Vec::new(),
            },
            Self::Where(path, wanted) => {
                let fits = |item: &&Value| match first(item, path) {
                    Some(Value::String(text)) => text == wanted,
                    Some(other) => serde_json::from_str::<Value>(wanted).is_ok_and(|wanted| *other == wanted),
                    None => false,
                };
                value.as_array().into_iter().flatten().filter(fits).collect()
            }
        }
    }
}

fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path.trim_start_matches('$');
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').unwrap_or(inner.len());
            steps.push(bracket(&inner[..end]));
            rest = inner.get(end + 1..).unwrap_or_default();
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        // A dot in a name has a backslash in front.
        let mut name = String::new();
        let mut letters = rest.char_indices();
        let mut end = rest.len();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => name.extend(letters.next().map(|(_, next)| next)),
                '.' | '[' => {
                    end = at;
                    break;
                }
                other => name.push(other),
            }
        }
        rest = &rest[end..];
        match name.as_str() {
            "" => {}
            "*" => steps.push(Step::All),
            _ => steps.push(Step::Field(name)),
        }
    }
    steps
}

fn bracket(inner: &str) -> Step {
    let unquoted = |text: &str| text.trim().trim_matches(['\'', '"']).to_owned();
    if inner == "*" {
        return Step::All;
    }
    if let Some((path, wanted)) = inner
        .strip_prefix("?(")
        .and_then(|condition| condition.strip_suffix(')')?.split_once("=="))
        .and_then(|(path, wanted)| Some((path.trim().strip_prefix('@')?, wanted)))
    {
        return Step::Where(path.to_owned(), unquoted(wanted));
    }
    match inner.parse() {
        Ok(number) => Step::Item(number),
        Err(_) => Step::Field(unquoted(inner)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let value = json!({
            "metadata": {"annotations": {"a.b/c": "noted"}},
            "parts": [{"name": "x", "n": 1}, {"name": "y", "n": 2}],
        });
        for (path, expected) in [
            (".parts[1].name", json!("y")),
            (".parts[*].name", json!("x")),
            (".parts[?(@.name==\"y\")].n", json!(2)),
            (".parts[?(@.n==2)].name", json!("y")),
            (".metadata.annotations.a\\.b/c", json!("noted")),
            (".metadata.annotations['a.b/c']", json!("noted")),
        ] {
            assert_eq!(first(&value, path), Some(&expected), "{path}");
        }
        assert_eq!(first(&value, ".parts[7].name"), None);
    }
}
