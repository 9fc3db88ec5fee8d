//! Where pods may run, in the words of Longhorn's settings and of its chart.

use serde_json::{Map, Value, json};

/// The setting for the tolerations of what managers make.
pub(super) const TOLERATIONS: &str = "taint-toleration";
/// The setting for its node selector.
pub(super) const SELECTOR: &str = "system-managed-components-node-selector";

/// `key:value;key:value` as a node selector (longhorn-manager `types.UnmarshalNodeSelector`).
pub(super) fn selector(text: &str) -> Value {
    let pairs = words(text).filter_map(|word| word.split_once(':'));
    Value::Object(pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().into())).collect::<Map<_, _>>())
}

/// `key=value:effect;key:effect` as tolerations (`types.UnmarshalTolerations`).
pub(super) fn tolerations(text: &str) -> Value {
    words(text)
        .map(|word| {
            let (taint, effect) = word.split_once(':').unwrap_or((word, ""));
            match taint.split_once('=') {
                Some((key, value)) => json!({"key": key, "operator": "Equal", "value": value, "effect": effect}),
                None => json!({"key": taint, "operator": "Exists", "effect": effect}),
            }
        })
        .collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').map(str::trim).filter(|word| !word.is_empty())
}

/// Puts both into a pod's specification, as far as there is something to put.
pub(super) fn place(spec: &mut Value, selector: &Value, tolerations: &Value) {
    if selector.as_object().is_some_and(|labels| !labels.is_empty()) {
        spec["nodeSelector"] = selector.clone();
    }
    if tolerations.as_array().is_some_and(|list| !list.is_empty()) {
        spec["tolerations"] = tolerations.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_say_where_pods_may_run() {
        assert_eq!(selector("a/b:c; d:e"), json!({"a/b": "c", "d": "e"}));
        assert_eq!(
            tolerations("storage=yes:NoExecute; lariat.dev/guest:NoSchedule"),
            json!([
                {"key": "storage", "operator": "Equal", "value": "yes", "effect": "NoExecute"},
                {"key": "lariat.dev/guest", "operator": "Exists", "effect": "NoSchedule"},
            ])
        );
    }

    #[test]
    fn what_nobody_chose_is_not_in_a_pod() {
        let mut spec = json!({"containers": []});
        place(&mut spec, &selector(""), &tolerations(" "));
        assert_eq!(spec, json!({"containers": []}));
    }
}
