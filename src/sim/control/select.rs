//! Selectors as objects carry them: of labels, and of nodes.

use serde_json::Value;

use super::object::Object;

/// Whether a `LabelSelector` selects an object. An empty one selects everything, a missing one nothing.
pub(super) fn selects(selector: &Value, object: &Object) -> bool {
    let Some(selector) = selector.as_object() else {
        return false;
    };
    let labels = object.at("/metadata/labels");
    let equal = selector.get("matchLabels").is_none_or(|wanted| has_labels(wanted, labels));
    let terms = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    equal && terms.into_iter().all(|term| meets(term, |key| labels[key].as_str()))
}

/// Whether all of these labels are among those.
pub(super) fn has_labels(wanted: &Value, labels: &Value) -> bool {
    wanted.as_object().into_iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether one requirement is met.
fn meets<'a>(term: &Value, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
    let value = value_of(term["key"].as_str().unwrap_or_default());
    let listed = |value: &str| term["values"].as_array().into_iter().flatten().any(|own| own == value);
    let number = |text: &str| text.parse::<i64>().ok();
    let bound = || term["values"][0].as_str().and_then(number);
    match term["operator"].as_str().unwrap_or_default() {
        "In" => value.is_some_and(listed),
        "NotIn" => !value.is_some_and(listed),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => value.and_then(number).zip(bound()).is_some_and(|(own, than)| own > than),
        "Lt" => value.and_then(number).zip(bound()).is_some_and(|(own, than)| own < than),
        _ => false,
    }
}

/// Whether a `NodeSelector` (a list of terms, of which one must hold) selects a node.
pub(super) fn selects_node(selector: &Value, node: &Object) -> bool {
    let labels = node.at("/metadata/labels");
    selector["nodeSelectorTerms"].as_array().into_iter().flatten().any(|term| {
        let expressions = term["matchExpressions"].as_array();
        let fields = term["matchFields"].as_array();
        (expressions.is_some() || fields.is_some())
            && expressions.into_iter().flatten().all(|term| meets(term, |key| labels[key].as_str()))
            && fields
                .into_iter()
                .flatten()
                .all(|term| meets(term, |key| Some(node.name()).filter(|_| key == "metadata.name")))
    })
}

/// Whether a pod's node selector and required node affinity allow a node.
pub(super) fn wants_node(spec: &Value, node: &Object) -> bool {
    let selector = spec.get("nodeSelector").unwrap_or(&Value::Null);
    let required = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    has_labels(selector, node.at("/metadata/labels")) && (required.is_null() || selects_node(required, node))
}

/// The first taint of these effects that no toleration covers.
pub(super) fn untolerated<'n>(node: &'n Object, tolerations: &[Value], effects: &[&str]) -> Option<&'n Value> {
    node.items("/spec/taints").iter().find(|taint| {
        effects.iter().any(|effect| taint["effect"] == *effect) && !tolerations.iter().any(|own| tolerates(own, taint))
    })
}

/// Whether a toleration covers a taint.
pub(super) fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (effect, key) = (text(&toleration["effect"]), text(&toleration["key"]));
    let exists = toleration["operator"] == "Exists";
    (effect.is_empty() || taint["effect"] == effect.as_str())
        && (if key.is_empty() { exists } else { taint["key"] == key.as_str() })
        && (exists || text(&toleration["value"]) == text(&taint["value"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tolerations_cover_taints_as_upstream_says() {
        let taint = json!({"key": "k", "value": "v", "effect": "NoSchedule"});
        let cases = [
            (json!({"operator": "Exists"}), true),
            (json!({"key": "k", "operator": "Exists"}), true),
            (json!({"key": "k", "value": "v"}), true),
            (json!({"key": "k", "value": "w"}), false),
            (json!({"key": "k", "operator": "Exists", "effect": "NoExecute"}), false),
            (json!({"value": "v"}), false),
        ];
        for (toleration, covers) in cases {
            assert_eq!(tolerates(&toleration, &taint), covers, "{toleration}");
        }
    }

    #[test]
    fn selectors_select() {
        let node = Object::new(json!({"metadata": {"name": "n1", "labels": {"zone": "a"}}}));
        let term = |term: Value| json!({"nodeSelectorTerms": [term]});
        let field = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]});
        assert!(selects_node(&term(field), &node));
        let other = json!({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]});
        assert!(!selects_node(&term(other), &node));
        assert!(!selects_node(&term(json!({})), &node));
        assert!(selects(&json!({}), &node));
        assert!(!selects(&Value::Null, &node));
        assert!(selects(&json!({"matchLabels": {"zone": "a"}}), &node));
    }
}
