//! How values of a chart, of files and of single settings go together.

use std::path::Path;

use serde_json::{Map, Value};

use crate::cluster::ChartRequest;

/// What the user gives: files in order, later ones win, then single values.
pub(super) fn given(request: &ChartRequest) -> Result<Value, String> {
    let mut values = Value::Object(Map::new());
    for file in &request.values {
        over(&mut values, &read(file)?, Nulls::Kept);
    }
    for (path, value) in &request.set {
        set(&mut values, path, value)?;
    }
    Ok(values)
}

fn read(file: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("open {}: {}", file.display(), error.to_string().to_lowercase()))?;
    match serde_saphyr::from_str(&text) {
        Ok(Value::Null) => Ok(Value::Object(Map::new())),
        Ok(values @ Value::Object(_)) => Ok(values),
        Ok(_) | Err(_) => Err(format!("failed to parse {}: a table of values was expected", file.display())),
    }
}

/// The chart's values with the user's over them. A `null` of the user takes a default away.
pub(super) fn coalesce(chart: &Value, given: &Value) -> Value {
    let mut values = chart.clone();
    if !values.is_object() {
        values = Value::Object(Map::new());
    }
    over(&mut values, given, Nulls::Delete);
    values
}

/// A release's own values below the ones given now (`--reuse-values`).
pub(super) fn reuse(old: &Value, given: &Value) -> Value {
    let mut values = old.clone();
    if !values.is_object() {
        values = Value::Object(Map::new());
    }
    over(&mut values, given, Nulls::Kept);
    values
}

/// What a `null` does.
#[derive(Clone, Copy)]
enum Nulls {
    Kept,
    Delete,
}

/// Tables are merged, everything else is replaced.
fn over(below: &mut Value, above: &Value, nulls: Nulls) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                if value.is_null() && matches!(nulls, Nulls::Delete) {
                    below.shift_remove(key);
                } else if let Some(held) = below.get_mut(key) {
                    over(held, value, nulls);
                } else if matches!(nulls, Nulls::Delete) {
                    below.insert(key.clone(), without_nulls(value));
                } else {
                    below.insert(key.clone(), value.clone());
                }
            }
        }
        (below, above) => *below = above.clone(),
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        other => other.clone(),
    }
}

/// Sets one value by its path as `--set-json` takes it: `a.b[0].c`, a dot in a key as `\.`.
pub(super) fn set(values: &mut Value, path: &str, value: &Value) -> Result<(), String> {
    let mut at = values;
    for piece in pieces(path)? {
        at = match piece {
            Piece::Key(key) => {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                at.as_object_mut().expect("it was just made a table").entry(key).or_insert(Value::Null)
            }
            Piece::Index(index) => {
                if !at.is_array() {
                    *at = Value::Array(Vec::new());
                }
                let list = at.as_array_mut().expect("it was just made a list");
                if list.len() <= index {
                    list.resize(index + 1, Value::Null);
                }
                &mut list[index]
            }
        };
    }
    // A table over a table is merged, as helm does since 3.10.
    over(at, value, Nulls::Kept);
    Ok(())
}

enum Piece {
    Key(String),
    Index(usize),
}

fn pieces(path: &str) -> Result<Vec<Piece>, String> {
    let wrong = || format!("failed parsing --set-json data: key {path:?} has no value");
    let (mut pieces, mut key) = (Vec::new(), String::new());
    let mut chars = path.chars();
    let mut after_index = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => key.extend(chars.next()),
            '.' if key.is_empty() && !after_index => return Err(wrong()),
            '.' if !key.is_empty() => pieces.push(Piece::Key(std::mem::take(&mut key))),
            '.' => {}
            '[' => {
                if !key.is_empty() {
                    pieces.push(Piece::Key(std::mem::take(&mut key)));
                }
                let number: String = chars.by_ref().take_while(|c| *c != ']').collect();
                let index = number.parse().map_err(|_| format!("error parsing index: {number:?} in {path:?}"))?;
                // Helm's own bound.
                if index > 65536 {
                    return Err(format!("index of {index} is greater than maximum supported index of 65536"));
                }
                pieces.push(Piece::Index(index));
            }
            other => key.push(other),
        }
        after_index = c == '[';
    }
    if !key.is_empty() {
        pieces.push(Piece::Key(key));
    }
    if pieces.is_empty() { Err(wrong()) } else { Ok(pieces) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_sets_one_value() {
        for (path, before, after) in [
            ("a", json!({}), json!({"a": 7})),
            ("a.b", json!({"a": {"c": 1}}), json!({"a": {"c": 1, "b": 7}})),
            ("a.b", json!({"a": 3}), json!({"a": {"b": 7}})),
            ("a[1]", json!({"a": [0]}), json!({"a": [0, 7]})),
            ("a[0].b", json!({}), json!({"a": [{"b": 7}]})),
            ("a[0][1]", json!({}), json!({"a": [[null, 7]]})),
            (r"a\.b.c", json!({}), json!({"a.b": {"c": 7}})),
        ] {
            let mut values = before;
            set(&mut values, path, &json!(7)).unwrap();
            assert_eq!(values, after, "{path}");
        }
        for bad in ["", ".a", "a[x]", "a[70000]"] {
            assert!(set(&mut json!({}), bad, &json!(1)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_users_values_win_and_a_null_takes_a_default_away() {
        let chart = json!({"image": {"tag": "1", "repo": "r"}, "list": [1, 2], "extra": {"a": 1}});
        let given = json!({"image": {"tag": "2"}, "list": [3], "extra": null, "own": {"x": null, "y": 1}});
        let all = json!({"image": {"tag": "2", "repo": "r"}, "list": [3], "own": {"y": 1}});
        assert_eq!(coalesce(&chart, &given), all);
    }

    #[test]
    fn files_come_before_single_values() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let request = ChartRequest {
            values: vec![
                write("a.yaml", "a: 1\nb: {c: 1, d: 1}\n"),
                write("b.yaml", "b: {c: 2}\n"),
                write("c.yaml", ""),
            ],
            set: vec![("b.d".into(), json!(3))],
            ..ChartRequest::default()
        };
        assert_eq!(given(&request).unwrap(), json!({"a": 1, "b": {"c": 2, "d": 3}}));
        let list = ChartRequest { values: vec![write("d.yaml", "- 1\n")], ..ChartRequest::default() };
        assert!(given(&list).unwrap_err().contains("d.yaml"));
    }
}
