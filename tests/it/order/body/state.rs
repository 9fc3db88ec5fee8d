//! What of an object is its state, in words.

use serde_json::Value;

/// The state as `key=value` pairs, in an order of its own. What is empty, zero or false is left out.
pub(crate) fn state(object: &Value) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    let metadata = &object["metadata"];
    if !metadata["deletionTimestamp"].is_null() {
        let grace = &metadata["deletionGracePeriodSeconds"];
        fields.push(("deleting", grace.as_i64().map_or_else(|| "yes".to_owned(), |seconds| format!("{seconds}s"))));
    }
    fields.push(("finalizers", texts(&metadata["finalizers"])));
    let (spec, status) = (&object["spec"], &object["status"]);
    let count = |key: &str| number(&status[key]);
    match object["kind"].as_str().unwrap_or_default() {
        "Pod" => {
            fields.push(("phase", text(&status["phase"])));
            fields.push(("scheduled", if spec["nodeName"].is_null() { String::new() } else { "yes".to_owned() }));
            fields.push(("container", container(&status["containerStatuses"][0])));
            fields.push(("restarts", number(&status["containerStatuses"][0]["restartCount"])));
            fields.push(("conditions", conditions(status, false)));
            fields.push(("ip", if status["podIP"].is_null() { String::new() } else { "yes".to_owned() }));
        }
        "DaemonSet" => {
            fields.push(("lags", lags(object)));
            fields.push(("desired", count("desiredNumberScheduled")));
            fields.push(("current", count("currentNumberScheduled")));
            fields.push(("updated", count("updatedNumberScheduled")));
            fields.push(("ready", count("numberReady")));
            fields.push(("available", count("numberAvailable")));
            fields.push(("unavailable", count("numberUnavailable")));
            fields.push(("misplaced", count("numberMisscheduled")));
        }
        "Deployment" | "ReplicaSet" | "StatefulSet" => {
            fields.push(("lags", lags(object)));
            fields.push(("wanted", number(&spec["replicas"])));
            fields.push(("replicas", count("replicas")));
            fields.push(("labeled", count("fullyLabeledReplicas")));
            fields.push(("current", count("currentReplicas")));
            fields.push(("updated", count("updatedReplicas")));
            fields.push(("ready", count("readyReplicas")));
            fields.push(("available", count("availableReplicas")));
            fields.push(("unavailable", count("unavailableReplicas")));
            fields.push(("conditions", conditions(status, true)));
        }
        "Job" => {
            fields.push(("suspended", if spec["suspend"] == true { "yes".to_owned() } else { String::new() }));
            fields.push(("started", if status["startTime"].is_null() { String::new() } else { "yes".to_owned() }));
            fields.push(("active", count("active")));
            fields.push(("ready", count("ready")));
            fields.push(("terminating", count("terminating")));
            fields.push(("failed", count("failed")));
            fields.push(("succeeded", count("succeeded")));
            let uncounted = status["uncountedTerminatedPods"]["failed"].as_array().map_or(0, Vec::len);
            fields.push(("uncounted", number(&uncounted.into())));
            fields.push(("conditions", conditions(status, true)));
        }
        "Namespace" => {
            fields.push(("phase", text(&status["phase"])));
            fields.push(("holds", texts(&spec["finalizers"])));
            fields.push(("conditions", conditions(status, false)));
        }
        _ => {}
    }
    fields.retain(|(_, value)| !value.is_empty());
    fields
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> String {
    let items: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    items.join(",")
}

fn number(value: &Value) -> String {
    value.as_i64().filter(|number| *number != 0).map(|number| number.to_string()).unwrap_or_default()
}

/// Whether the controller has not seen the latest specification.
fn lags(object: &Value) -> String {
    let seen = object["status"]["observedGeneration"].as_i64().unwrap_or_default();
    let wanted = object["metadata"]["generation"].as_i64().unwrap_or_default();
    if seen < wanted { "yes".to_owned() } else { String::new() }
}

fn container(status: &Value) -> String {
    let Some((name, detail)) = status["state"].as_object().and_then(|state| state.iter().next()) else {
        return String::new();
    };
    match detail["reason"].as_str() {
        Some(reason) => format!("{name}:{reason}"),
        None => name.clone(),
    }
}

/// Conditions that are true, in the order of their names; with their reasons if these tell them apart.
fn conditions(status: &Value, reasons: bool) -> String {
    let mut words: Vec<String> = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|own| own["status"] == "True" || reasons)
        .map(|own| {
            let not = if own["status"] == "True" { "" } else { "!" };
            let name = own["type"].as_str().unwrap_or_default();
            match own["reason"].as_str().filter(|reason| reasons && !reason.is_empty()) {
                Some(reason) => format!("{not}{name}:{reason}"),
                None => format!("{not}{name}"),
            }
        })
        .collect();
    words.sort();
    words.join(",")
}
