use serde_json::{Map, Value};

/// The JSON merge patch (RFC 7396) that makes one object out of another; `None` where
/// there is none, because the result has a member that is `null`.
pub(super) fn merge_patch(from: &Value, to: &Value) -> Option<Value> {
    let (Value::Object(from), Value::Object(to)) = (from, to) else {
        return says(to).then(|| to.clone());
    };
    let mut patch = Map::new();
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in to {
        match from.get(key) {
            Some(before) if before == value => {}
            Some(before) => {
                patch.insert(key.clone(), merge_patch(before, value)?);
            }
            None if says(value) => {
                patch.insert(key.clone(), value.clone());
            }
            None => return None,
        }
    }
    Some(Value::Object(patch))
}

/// Whether a patch that is this value gives this value: it is not `null`, and no member
/// of its maps is. In a list a `null` stays what it is.
fn says(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(map) => map.values().all(says),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn patches_say_what_changed() {
        for (from, to, patch) in [
            (
                json!({"a": 1, "b": {"c": 2, "d": 3}}),
                json!({"a": 1, "b": {"c": 4}}),
                Some(json!({"b": {"c": 4, "d": null}})),
            ),
            (json!({"a": [1, 2]}), json!({"a": [1, null]}), Some(json!({"a": [1, null]}))),
            (json!({"a": "x"}), json!({"a": {"b": 1}}), Some(json!({"a": {"b": 1}}))),
            (json!({"a": null}), json!({"a": null, "b": 1}), Some(json!({"b": 1}))),
            (json!({"a": 1}), json!({"a": null}), None),
            (json!({}), json!({"a": {"b": {"c": null}}}), None),
            (json!({"a": {}}), json!({"a": {}}), Some(json!({}))),
        ] {
            assert_eq!(merge_patch(&from, &to), patch, "{from} {to}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!(null)), Just(json!(1)), Just(json!("x")), Just(json!(true))];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                prop::collection::btree_map("[abc]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_patch_gives_back_the_exact_object(from in value(), to in value()) {
            if let Some(patch) = merge_patch(&from, &to) {
                let mut patched = from.clone();
                json_patch::merge(&mut patched, &patch);
                prop_assert_eq!(patched, to);
            }
        }
    }
}
