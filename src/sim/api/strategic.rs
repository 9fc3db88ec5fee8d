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

fn merge_value<'a>(target: &mut Value, patch: &'a Value, way: &mut Vec<&'a str>) -> Result<(), Refusal> {
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
            let message = format!("unknown patch type: {other} in map: {}", go(patch));
            return Err(Refusal::unknown(message));
        }
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let map = target.as_object_mut().expect("it was made an object in the lines above");
    if let Some(Value::Array(keys)) = fields.get(RETAIN) {
        map.retain(|key, _| keys.iter().any(|kept| kept == key.as_str()));
    }
    in_order(fields, way)?;
    for (field, value) in fields {
        if let Some(field) = field.strip_prefix(DELETE_FROM) {
            if let (Some(Value::Array(list)), Value::Array(unwanted)) = (map.get_mut(field), value) {
                list.retain(|item| !unwanted.contains(item));
            }
        } else if field.starts_with('$') {
            // The directive of this object is done above, the order of a list below.
        } else if value.is_null() {
            map.shift_remove(field);
        } else {
            way.push(field);
            let slot = map.entry(field.clone()).or_insert(Value::Null);
            match value {
                Value::Array(items) => merge_list(slot, items, way)?,
                other => merge_value(slot, other, way)?,
            }
            way.pop();
        }
    }
    for (field, order) in fields {
        if let (Some(field), Value::Array(order)) = (field.strip_prefix(ORDER), order)
            && let Some(Value::Array(list)) = map.get_mut(field)
        {
            let whole: Vec<&str> = way.iter().copied().chain([field]).collect();
            let before = list.clone();
            sort_as(list, order, &before, merge_key(&whole));
        }
    }
    Ok(())
}

/// Refuses a list that comes in another order than the one that the patch itself gives.
fn in_order(fields: &Map<String, Value>, way: &[&str]) -> Result<(), Refusal> {
    for (name, order) in fields {
        let Some(field) = name.strip_prefix(ORDER) else { continue };
        let (Value::Array(order), Some(Value::Array(items))) = (order, fields.get(field)) else { continue };
        let whole: Vec<&str> = way.iter().copied().chain([field]).collect();
        let key = merge_key(&whole);
        let same = |a: &Value, b: &Value| key.map_or(a == b, |key| a.get(key) == b.get(key));
        let kept: Vec<&Value> = items.iter().filter(|item| item[DIRECTIVE] != "delete").collect();
        let mut left = kept.iter().peekable();
        for wanted in order {
            left.next_if(|item| same(item, wanted));
        }
        if left.peek().is_some() {
            let listed: Vec<String> = kept.iter().map(|item| go(item)).collect();
            return Err(Refusal::unknown(format!(
                "The order in patch list:\n[{}]\n doesn't match $setElementOrder list:\n{}\n",
                listed.join(" "),
                go(&Value::Array(order.clone())),
            )));
        }
    }
    Ok(())
}

fn merge_list<'a>(target: &mut Value, items: &'a [Value], way: &mut Vec<&'a str>) -> Result<(), Refusal> {
    let replaced = items.iter().any(|item| item[DIRECTIVE] == "replace");
    if replaced || !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let list = target.as_array_mut().expect("it was made an array in the lines above");
    let before = list.clone();
    match list_kind(way) {
        ListKind::Atomic => {
            *list = items.iter().filter(|item| item.get(DIRECTIVE).is_none()).map(without_directives).collect();
        }
        ListKind::Set => {
            for item in items {
                if !list.contains(item) {
                    list.push(item.clone());
                }
            }
            sort_as(list, items, &before, None);
        }
        ListKind::Map(keys) => {
            let key = keys[0].name;
            for item in items {
                let directive = item.get(DIRECTIVE).and_then(Value::as_str);
                if directive == Some("replace") && item.as_object().is_some_and(|fields| fields.len() == 1) {
                    continue;
                }
                let Some(wanted) = item.get(key) else {
                    let message = format!("map: {} does not contain declared merge key: {key}", go(item));
                    return Err(Refusal::unknown(message));
                };
                let found = list.iter().position(|own| own.get(key) == Some(wanted));
                match (found, directive) {
                    (found, Some("delete")) => {
                        if found.is_some() {
                            list.retain(|own| own.get(key) != Some(wanted));
                        }
                    }
                    (Some(at), _) => merge_value(&mut list[at], item, way)?,
                    (None, _) => {
                        let mut fresh = Value::Object(Map::new());
                        merge_value(&mut fresh, item, way)?;
                        list.push(fresh);
                    }
                }
            }
            sort_as(list, items, &before, Some(key));
        }
    }
    Ok(())
}

fn merge_key(way: &[&str]) -> Option<&'static str> {
    match list_kind(way) {
        ListKind::Map(keys) => Some(keys[0].name),
        ListKind::Set | ListKind::Atomic => None,
    }
}

/// Puts the items that a patch names into the patch's order, the others around them: each of
/// those before the named ones that it preceded on the server, new ones as early as they can be.
fn sort_as(list: &mut Vec<Value>, order: &[Value], before: &[Value], key: Option<&str>) {
    let same = |a: &Value, b: &Value| match key {
        Some(key) => a.get(key).is_some() && a.get(key) == b.get(key),
        None => a == b,
    };
    let place = |item: &Value| before.iter().position(|own| same(own, item));
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        list.drain(..).partition(|item| order.iter().any(|wanted| same(wanted, item)));
    named.sort_by_key(|item| order.iter().position(|wanted| same(wanted, item)));
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(left), Some(right)) = (named.peek(), others.peek()) {
        let first_is_named = match (place(left), place(right)) {
            (Some(left), Some(right)) => left < right,
            _ => true,
        };
        list.extend(if first_is_named { named.next() } else { others.next() });
    }
    list.extend(named);
    list.extend(others);
}

/// A value as Go prints it.
pub(crate) fn go(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let sorted: std::collections::BTreeMap<&String, &Value> = fields.iter().collect();
            let pairs: Vec<String> = sorted.into_iter().map(|(key, value)| format!("{key}:{}", go(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
    }
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

    fn check(document: &Value, patch: &Value, expected: &Value) {
        assert_eq!(&merge(document, patch).unwrap(), expected, "{patch}");
    }

    #[test]
    fn containers_merge_by_name() {
        check(
            &json!({"spec": {"containers": [{"name": "a", "image": "x:1", "env": [{"name": "K", "value": "1"}]}, {"name": "b"}]}}),
            &json!({"spec": {"containers": [{"name": "a", "image": "x:2", "env": [{"name": "L", "value": "2"}]}, {"name": "c"}]}}),
            &json!({"spec": {"containers": [
                {"name": "a", "image": "x:2", "env": [{"name": "L", "value": "2"}, {"name": "K", "value": "1"}]},
                {"name": "c"},
                {"name": "b"},
            ]}}),
        );
    }

    #[test]
    fn directives_delete_replace_retain_and_order() {
        check(
            &json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}),
            &json!({"spec": {"containers": [{"$patch": "delete", "name": "a"}]}}),
            &json!({"spec": {"containers": [{"name": "b"}]}}),
        );
        check(
            &json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}),
            &json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "c"}]}}),
            &json!({"spec": {"containers": [{"name": "c"}]}}),
        );
        check(
            &json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
            &json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
            &json!({"spec": {"strategy": {"type": "Recreate"}}}),
        );
        check(
            &json!({"metadata": {"finalizers": ["a", "b"]}}),
            &json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}}),
            &json!({"metadata": {"finalizers": ["c", "b"]}}),
        );
        check(
            &json!({"spec": {"containers": [{"name": "a"}, {"name": "x"}, {"name": "b"}]}}),
            &json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "a", "image": "i"}]}}),
            &json!({"spec": {"containers": [{"name": "x"}, {"name": "b"}, {"name": "a", "image": "i"}]}}),
        );
    }

    #[test]
    fn other_lists_are_replaced_and_null_removes() {
        check(
            &json!({"spec": {"tolerations": [{"key": "a"}], "nodeName": "n1"}}),
            &json!({"spec": {"tolerations": [{"key": "b"}], "nodeName": null}}),
            &json!({"spec": {"tolerations": [{"key": "b"}]}}),
        );
    }

    #[test]
    fn an_item_without_its_key_is_refused() {
        let refused = merge(&json!({}), &json!({"spec": {"containers": [{"image": "x"}]}})).unwrap_err();
        assert_eq!(refused.message(), "map: map[image:x] does not contain declared merge key: name");
    }
}
