//! Strategic merge patch: a merge patch that knows which lists are maps.

use serde_json::{Map, Value};

use super::merge_key::{ListKind, list_kind};
use super::status::Refusal;

/// A document with a patch merged into it.
pub(crate) fn merge(document: &Value, patch: &Value) -> Result<Value, Refusal> {
    let mut merged = document.clone();
    merge_value(&mut merged, patch, &mut Vec::new())?;
    Ok(merged)
}

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

fn merge_value<'a>(
    target: &mut Value,
    patch: &'a Value,
    path: &mut Vec<&'a str>,
) -> Result<(), Refusal> {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    match fields.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => {
            *target = without_directives(patch);
            return Ok(());
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => {
            return Err(Refusal::unknown(format!(
                "unrecognized type in patch: {DIRECTIVE}: {other}"
            )));
        }
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let map = target
        .as_object_mut()
        .expect("it was made an object in the lines above");
    if let Some(Value::Array(keys)) = fields.get(RETAIN) {
        map.retain(|key, _| keys.iter().any(|kept| kept == key.as_str()));
    }
    for (field, value) in fields {
        if let Some(field) = field.strip_prefix(DELETE_FROM) {
            if let (Some(Value::Array(list)), Value::Array(unwanted)) = (map.get_mut(field), value)
            {
                list.retain(|item| !unwanted.contains(item));
            }
        } else if field.starts_with('$') {
            // The directive of this object is done above, the order of a list below.
        } else if value.is_null() {
            map.shift_remove(field);
        } else {
            path.push(field);
            let slot = map.entry(field.clone()).or_insert(Value::Null);
            match value {
                Value::Array(items) => merge_list(slot, items, path)?,
                other => merge_value(slot, other, path)?,
            }
            path.pop();
        }
    }
    for (field, order) in fields {
        if let (Some(field), Value::Array(order)) = (field.strip_prefix(ORDER), order)
            && let Some(Value::Array(list)) = map.get_mut(field)
        {
            let whole: Vec<&str> = path.iter().copied().chain([field]).collect();
            sort_as(list, order, merge_key(&whole));
        }
    }
    Ok(())
}

fn merge_list<'a>(
    target: &mut Value,
    items: &'a [Value],
    path: &mut Vec<&'a str>,
) -> Result<(), Refusal> {
    let replaced = items.iter().any(|item| item[DIRECTIVE] == "replace");
    if replaced || !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let list = target
        .as_array_mut()
        .expect("it was made an array in the lines above");
    match list_kind(path) {
        ListKind::Atomic => {
            *list = items
                .iter()
                .filter(|item| item.get(DIRECTIVE).is_none())
                .map(without_directives)
                .collect()
        }
        ListKind::Set => {
            for item in items {
                if !list.contains(item) {
                    list.push(item.clone());
                }
            }
        }
        ListKind::Map(keys) => {
            let key = keys[0].name;
            for item in items {
                let directive = item.get(DIRECTIVE).and_then(Value::as_str);
                if directive == Some("replace")
                    && item.as_object().is_some_and(|fields| fields.len() == 1)
                {
                    continue;
                }
                let Some(wanted) = item.get(key) else {
                    let message = format!("map: map[] does not contain declared merge key: {key}");
                    return Err(Refusal::unknown(message));
                };
                let found = list.iter().position(|own| own.get(key) == Some(wanted));
                match (found, directive) {
                    (found, Some("delete")) => {
                        if found.is_some() {
                            list.retain(|own| own.get(key) != Some(wanted));
                        }
                    }
                    (Some(at), _) => merge_value(&mut list[at], item, path)?,
                    (None, _) => {
                        let mut fresh = Value::Object(Map::new());
                        merge_value(&mut fresh, item, path)?;
                        list.push(fresh);
                    }
                }
            }
        }
    }
    Ok(())
}

fn merge_key(path: &[&str]) -> Option<&'static str> {
    match list_kind(path) {
        ListKind::Map(keys) => Some(keys[0].name),
        ListKind::Set | ListKind::Atomic => None,
    }
}

/// Puts a list into the order that the client wishes; what it does not name keeps its place among the others.
fn sort_as(list: &mut Vec<Value>, order: &[Value], key: Option<&str>) {
    let rank = |item: &Value| {
        order.iter().position(|wanted| match key {
            Some(key) => wanted.get(key).is_some() && wanted.get(key) == item.get(key),
            None => wanted == item,
        })
    };
    let mut named: Vec<(usize, Value)> = list
        .iter()
        .filter_map(|item| rank(item).map(|at| (at, item.clone())))
        .collect();
    named.sort_by_key(|(at, _)| *at);
    let mut named = named.into_iter().map(|(_, item)| item).peekable();
    // Items that only the server has stay where they were, the named ones fill the places around them.
    let sorted = list
        .drain(..)
        .collect::<Vec<_>>()
        .into_iter()
        .filter_map(|item| {
            if rank(&item).is_some() {
                named.next()
            } else {
                Some(item)
            }
        });
    let sorted: Vec<Value> = sorted.collect();
    *list = sorted;
}

fn without_directives(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(key, _)| !key.starts_with('$'))
                .map(|(k, v)| (k.clone(), without_directives(v)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_directives).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(document: Value, patch: Value, expected: Value) {
        assert_eq!(merge(&document, &patch).unwrap(), expected, "{patch}");
    }

    #[test]
    fn containers_merge_by_name() {
        check(
            json!({"spec": {"containers": [{"name": "a", "image": "x:1", "env": [{"name": "K", "value": "1"}]}, {"name": "b"}]}}),
            json!({"spec": {"containers": [{"name": "a", "image": "x:2", "env": [{"name": "L", "value": "2"}]}, {"name": "c"}]}}),
            json!({"spec": {"containers": [
                {"name": "a", "image": "x:2", "env": [{"name": "K", "value": "1"}, {"name": "L", "value": "2"}]},
                {"name": "b"},
                {"name": "c"},
            ]}}),
        );
    }

    #[test]
    fn directives_delete_replace_retain_and_order() {
        check(
            json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}),
            json!({"spec": {"containers": [{"$patch": "delete", "name": "a"}]}}),
            json!({"spec": {"containers": [{"name": "b"}]}}),
        );
        check(
            json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}),
            json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "c"}]}}),
            json!({"spec": {"containers": [{"name": "c"}]}}),
        );
        check(
            json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
            json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
            json!({"spec": {"strategy": {"type": "Recreate"}}}),
        );
        check(
            json!({"metadata": {"finalizers": ["a", "b"]}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}}),
            json!({"metadata": {"finalizers": ["b", "c"]}}),
        );
        check(
            json!({"spec": {"containers": [{"name": "a"}, {"name": "x"}, {"name": "b"}]}}),
            json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "a", "image": "i"}]}}),
            json!({"spec": {"containers": [{"name": "b"}, {"name": "x"}, {"name": "a", "image": "i"}]}}),
        );
    }

    #[test]
    fn other_lists_are_replaced_and_null_removes() {
        check(
            json!({"spec": {"tolerations": [{"key": "a"}], "nodeName": "n1"}}),
            json!({"spec": {"tolerations": [{"key": "b"}], "nodeName": null}}),
            json!({"spec": {"tolerations": [{"key": "b"}]}}),
        );
    }

    #[test]
    fn an_item_without_its_key_is_refused() {
        let refused = merge(
            &json!({}),
            &json!({"spec": {"containers": [{"image": "x"}]}}),
        )
        .unwrap_err();
        assert_eq!(
            refused.message(),
            "map: map[] does not contain declared merge key: name"
        );
    }
}
