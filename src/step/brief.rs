use serde_json::Value;

/// What is said of an object that tells nothing of its state.
pub(super) const EXISTS: &str = "exists";

/// The longest text about one object.
const LONGEST: usize = 160;

/// What an object says of its own state, in a few words: what a person would look
/// for first in `kubectl get` and `describe`.
pub(super) fn brief(o: &Value) -> String {
    let status = &o["status"];
    let mut said: Vec<String> = Vec::new();
    if let Some(phase) = status["phase"].as_str() {
        said.push(phase.to_owned());
    }
    for key in ["state", "currentState", "robustness"] {
        for place in [o, status] {
            if let Some(text) = place[key].as_str() {
                said.push(format!("{key} {text}"));
            }
        }
    }
    said.extend(containers(status));
    said.extend(replicas(o));
    said.extend(conditions(&status["conditions"]));
    if let Some(since) = o["metadata"]["deletionTimestamp"].as_str() {
        said.push(format!("terminating since {since}"));
        for finalizer in o["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            said.push(format!("held by finalizer {finalizer}"));
        }
    }
    if said.is_empty() {
        said.push(if o.get("metadata").is_some() { EXISTS.to_owned() } else { o.to_string() });
    }
    cut(said.join(", "))
}

/// Why containers are not running, and how often they were restarted.
fn containers(status: &Value) -> Vec<String> {
    let lists = ["initContainerStatuses", "containerStatuses"];
    let all = lists.iter().flat_map(|list| status[list].as_array().into_iter().flatten());
    all.filter_map(|container| {
        let name = container["name"].as_str()?;
        let waiting = container["state"]["waiting"]["reason"].as_str().map(|reason| format!("{name} {reason}"));
        let restarts = container["restartCount"].as_u64().filter(|count| *count > 0);
        let restarts = restarts.map(|count| format!("{name} restarted {count} times"));
        waiting.or(restarts)
    })
    .collect()
}

fn replicas(o: &Value) -> Option<String> {
    let status = &o["status"];
    let (ready, wanted) = match o["kind"].as_str()? {
        "DaemonSet" => (&status["numberReady"], &status["desiredNumberScheduled"]),
        "Deployment" | "StatefulSet" | "ReplicaSet" => (&status["readyReplicas"], &o["spec"]["replicas"]),
        _ => return None,
    };
    Some(format!("{} of {} ready", ready.as_u64().unwrap_or(0), wanted.as_u64().unwrap_or(0)))
}

/// Conditions that tell of trouble, with their reasons.
///
/// Most are good when `True`; those named for a trouble are good when `False`.
/// A pod's three readings of one fact are told once.
fn conditions(list: &Value) -> Vec<String> {
    const TROUBLES: [&str; 6] = ["Failure", "Failed", "Pressure", "Unavailable", "Remaining", "Degraded"];
    const REPEATS: [&str; 3] = ["ContainersReady", "PodReadyToStartContainers", "DisruptionTarget"];
    let all = list.as_array().into_iter().flatten();
    all.filter_map(|condition| {
        let kind = condition["type"].as_str()?;
        let status = condition["status"].as_str()?;
        let trouble = TROUBLES.iter().any(|word| kind.contains(word));
        let good = if trouble { "False" } else { "True" };
        if status == good || REPEATS.contains(&kind) {
            return None;
        }
        let said = |key: &str| condition[key].as_str().filter(|text| !text.is_empty());
        let why = if trouble { said("message").or(said("reason")) } else { said("reason").or(said("message")) };
        Some(why.map_or_else(|| format!("{kind}={status}"), |why| format!("{kind}={status} ({why})")))
    })
    .collect()
}

fn cut(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_say_what_is_wrong_with_them() {
        let cases = [
            (
                json!({ "kind": "Pod", "metadata": { "name": "a" }, "status": { "phase": "Pending",
                    "conditions": [{ "type": "Ready", "status": "False", "reason": "ContainersNotReady" }, { "type": "Initialized", "status": "True" }],
                    "containerStatuses": [{ "name": "c", "restartCount": 0, "state": { "waiting": { "reason": "ImagePullBackOff" } } }] } }),
                "Pending, c ImagePullBackOff, Ready=False (ContainersNotReady)",
            ),
            (
                json!({ "kind": "DaemonSet", "metadata": {}, "status": { "numberReady": 2, "desiredNumberScheduled": 3 } }),
                "2 of 3 ready",
            ),
            (
                json!({ "kind": "Namespace", "metadata": {}, "status": { "phase": "Terminating", "conditions": [
                    { "type": "NamespaceDeletionDiscoveryFailure", "status": "False", "reason": "ResourcesDiscovered" },
                    { "type": "NamespaceContentRemaining", "status": "True", "message": "pods has 1 resource instances" }] } }),
                "Terminating, NamespaceContentRemaining=True (pods has 1 resource instances)",
            ),
            (json!({ "state": "in-progress", "progress": 4 }), "state in-progress"),
            (
                json!({ "metadata": { "name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a/b"] } }),
                "terminating since 2026-01-01T00:00:00Z, held by finalizer a/b",
            ),
            (json!({ "metadata": { "name": "x" } }), "exists"),
            (json!(7), "7"),
        ];
        for (object, said) in cases {
            assert_eq!(brief(&object), said);
        }
    }
}
