use std::fmt::Write as _;

use serde_json::Value;

use super::brief::brief;

/// What a person would ask `kubectl describe` for: who the object is, how it is, all of
/// it, and what was told about it.
pub(super) fn describe(object: &Value, events: &[Value]) -> String {
    let meta = &object["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut said = String::new();
    let mut line = |key: &str, value: &str| {
        if !value.is_empty() {
            writeln!(said, "{:<13}{value}", format!("{key}:")).expect("a String takes text");
        }
    };
    line("Name", &text(&meta["name"]));
    line("Namespace", &text(&meta["namespace"]));
    line("Kind", &format!("{} ({})", text(&object["kind"]), text(&object["apiVersion"])));
    line("Created", &text(&meta["creationTimestamp"]));
    for owner in meta["ownerReferences"].as_array().into_iter().flatten() {
        line("Owner", &format!("{}/{}", text(&owner["kind"]), text(&owner["name"])));
    }
    line("State", &brief(object));
    for (key, value) in object.as_object().into_iter().flatten() {
        if matches!(key.as_str(), "apiVersion" | "kind") {
            continue;
        }
        write!(said, "{key}:\n{}", indented(&yaml(value))).expect("a String takes text");
    }
    let about: Vec<&Value> =
        events.iter().filter(|event| event["involvedObject"]["uid"] == meta["uid"] && !meta["uid"].is_null()).collect();
    said += if about.is_empty() { "Events: none\n" } else { "Events:\n" };
    for event in about {
        said += &indented(&told(event));
    }
    said
}

/// One event in one line.
pub(super) fn told(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let message = text(&event["message"]);
    let message = message.lines().collect::<Vec<_>>().join(" ");
    let times = match event["count"].as_u64().or(event["series"]["count"].as_u64()) {
        Some(count) if count > 1 => format!(" (x{count})"),
        _ => String::new(),
    };
    let about = &event["involvedObject"];
    format!(
        "{}  {:<8}{:<24}{}/{}: {message}{times}\n",
        last_seen(event),
        text(&event["type"]),
        text(&event["reason"]),
        text(&about["kind"]).to_lowercase(),
        text(&about["name"]),
    )
}

/// When an event was last seen; events are told in this order.
pub(super) fn last_seen(event: &Value) -> String {
    let times = [
        &event["series"]["lastObservedTime"],
        &event["lastTimestamp"],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ];
    let time = times.into_iter().find_map(Value::as_str);
    time.unwrap_or_default().to_owned()
}

/// A value as YAML; a line break at its end.
pub(super) fn yaml(value: &Value) -> String {
    let mut text = serde_saphyr::to_string(value).unwrap_or_else(|_| value.to_string());
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_described_with_its_own_events() {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "a", "namespace": "ns", "uid": "u1", "creationTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [{ "kind": "DaemonSet", "name": "d" }] },
            "spec": { "nodeName": "n1" },
            "status": { "phase": "Pending" },
        });
        let event = |uid: &str, message: &str| {
            json!({ "involvedObject": { "uid": uid, "kind": "Pod", "name": "a" }, "type": "Warning", "reason": "Failed", "message": message,
                "lastTimestamp": "2026-01-01T00:00:05Z", "count": 3 })
        };
        let text = describe(&pod, &[event("u1", "no\nspace"), event("u2", "other")]);
        insta::assert_snapshot!(text, @r#"
    Name:        a
    Namespace:   ns
    Kind:        Pod (v1)
    Created:     2026-01-01T00:00:00Z
    Owner:       DaemonSet/d
    State:       Pending
    metadata:
      name: a
      namespace: ns
      uid: u1
      creationTimestamp: "2026-01-01T00:00:00Z"
      ownerReferences:
      - kind: DaemonSet
        name: d
    spec:
      nodeName: n1
    status:
      phase: Pending
    Events:
      2026-01-01T00:00:05Z  Warning Failed                  pod/a: no space (x3)
    "#);
    }
}
