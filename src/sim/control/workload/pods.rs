//! What all controllers of pods ask of them, and how they make them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::cache::Change;
use super::super::controller::until;
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::write::{Pace, Write};

/// A pod that counts: neither over nor on its way out.
pub(super) fn is_active(pod: &Object) -> bool {
    !is_over(pod) && !pod.is_terminating()
}

/// Whether all its containers have ended for good.
pub(super) fn is_over(pod: &Object) -> bool {
    ["Succeeded", "Failed"].contains(&pod.text("/status/phase"))
}

/// Since when it has been ready.
pub(super) fn ready_since(pod: &Object) -> Option<Timestamp> {
    let ready = pod.condition("Ready").filter(|ready| ready["status"] == "True")?;
    ready["lastTransitionTime"].as_str()?.parse().ok()
}

/// Whether it has been ready for long enough.
pub(super) fn is_available(pod: &Object, min_ready: i64, now: Timestamp) -> bool {
    ready_since(pod).is_some_and(|since| min_ready == 0 || since + SignedDuration::from_secs(min_ready) <= now)
}

/// When the next of these pods will have been ready for long enough.
pub(super) fn next_available<'a>(
    pods: impl IntoIterator<Item = &'a Object>,
    min_ready: i64,
    now: Timestamp,
) -> Option<Duration> {
    if min_ready == 0 {
        return None;
    }
    let ends = pods.into_iter().filter_map(|pod| Some(ready_since(pod)? + SignedDuration::from_secs(min_ready)));
    ends.filter(|end| *end > now).min().map(|end| until(now, end))
}

/// A pod from a template, owned by this object. `prefix` is what its generated name begins with.
pub(super) fn from_template(template: &Value, kind: &Kind, owner: &Object) -> Value {
    let mut pod = json!({"metadata": template["metadata"], "spec": template["spec"]});
    if let Some(metadata) = pod["metadata"].as_object_mut() {
        metadata.shift_remove("creationTimestamp");
        metadata.shift_remove("name");
    } else {
        pod["metadata"] = json!({});
    }
    pod["metadata"]["generateName"] = format!("{}-", owner.name()).into();
    pod["metadata"]["namespace"] = owner.namespace().into();
    pod["metadata"]["ownerReferences"] = json!([kind.owner(owner.name(), owner.uid())]);
    pod
}

/// Makes a pod, as all pod controllers do and tell it.
pub(super) fn made(owner: &Object, pod: Value) -> Write {
    let create = Write::create(&Kind::POD, pod).telling(owner, "SuccessfulCreate", "Created pod: {}");
    create.paced(Pace::SlowStart)
}

/// Takes a pod away, as all pod controllers do and tell it.
pub(super) fn taken_away(owner: &Object, pod: &Object) -> Write {
    let text = format!("Deleted pod: {}", pod.name());
    Write::delete(&Kind::POD, pod).telling(owner, "SuccessfulDelete", &text).paced(Pace::AtOnce)
}

/// The key of a changed object's controller, if that is of this kind.
pub(super) fn controller_of(change: &Change, kind: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = change
        .states()
        .filter_map(|object| {
            let owner = object.controller().filter(|owner| owner["kind"] == kind)?;
            Some(Key::new(object.namespace(), owner["name"].as_str()?))
        })
        .collect();
    keys.dedup();
    keys
}

/// A count or a percentage of a total, rounded up or down.
pub(in super::super) fn scaled(value: &Value, total: i64, up: bool) -> i64 {
    match value {
        Value::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or_default();
            let exact = percent * total;
            if up { (exact + 99).div_euclid(100) } else { exact.div_euclid(100) }
        }
        number => number.as_i64().unwrap_or_default(),
    }
}

/// A write of a status that differs from what is known; `None` if it does not.
pub(in super::super) fn status_write(kind: &Kind, object: &Object, status: Value) -> Option<Write> {
    if *object.at("/status") == status {
        return None;
    }
    let mut changed = object.to_value();
    changed["status"] = status;
    Some(Write::update_status(kind, changed))
}

/// A condition for a status, which keeps its time of transition where its status stays.
pub(super) fn with_condition(conditions: &mut Vec<Value>, new: Value) {
    let mut new = new;
    if let Some(old) = conditions.iter().find(|old| old["type"] == new["type"] && old["status"] == new["status"]) {
        new["lastTransitionTime"] = old["lastTransitionTime"].clone();
    }
    match conditions.iter_mut().find(|old| old["type"] == new["type"]) {
        Some(old) => *old = new,
        None => conditions.push(new),
    }
}

/// A time as objects carry it.
pub(super) fn text(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_rounded_as_asked() {
        let cases = [
            (json!("25%"), 3, true, 1),
            (json!("25%"), 3, false, 0),
            (json!("100%"), 7, false, 7),
            (json!(2), 9, true, 2),
        ];
        for (value, total, up, result) in cases {
            assert_eq!(scaled(&value, total, up), result, "{value} of {total}");
        }
    }
}
