//! What an object says of itself: is it up, and what do its conditions say.

use cel::ExecutionError;
use cel::common::types::{CelBool, CelInt, CelString, Kind};
use cel::common::value::{CowVal, Val};

use super::super::error::ABSENT;
use super::standard::{boolean, text, unfit};

/// `condition(o, 'Ready')`: the status, `''` if there is no such condition.
///
/// Conditions stand in `status.conditions`, and in `conditions` for an entry of
/// a map inside another object. They are a list of `{type, status}`, or a map
/// from type to `{status}`.
pub(super) fn condition<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    if args[0].get_type().kind() != Kind::Map {
        return Err(unfit("condition", &args));
    }
    let kind = text("condition", &args, 1)?;
    let status = status_of(args[0].as_ref(), kind).unwrap_or_default();
    Ok(CowVal::owned(CelString::from(status)))
}

/// `ready(o)`.
///
/// False with a `deletionTimestamp`, and as long as a controller has not seen
/// the object's last change (`observedGeneration`). Then by kind:
///
/// | kind | ready when |
/// |---|---|
/// | `DaemonSet`, `Deployment`, `StatefulSet`, `ReplicaSet`, `ReplicationController` | all replicas are updated, ready and available, and no old one is left |
/// | `Job` | its condition `Complete` is true |
/// | `CustomResourceDefinition` | its condition `Established` is true |
/// | `Namespace`, `PersistentVolumeClaim` | its phase is `Active`, `Bound` |
/// | any other, pods and nodes too | its condition `Ready` is true, else `Available`; having neither is an error, as a field that is missing is |
pub(super) fn ready<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let object = args[0].as_ref();
    if object.get_type().kind() != Kind::Map {
        return Err(unfit("ready", &args));
    }
    is_ready(object).map(boolean)
}

fn is_ready(object: &dyn Val) -> Result<bool, ExecutionError> {
    if at(object, &["metadata", "deletionTimestamp"]).is_some() || !is_observed(object) {
        return Ok(false);
    }
    let kind = word(object, &["kind"]).unwrap_or_default();
    let is_true = |condition: &str| Ok(status_of(object, condition).as_deref() == Some("True"));
    match kind.as_str() {
        "DaemonSet" => Ok(is_daemon_set_up(object)),
        "Deployment" | "StatefulSet" => Ok(are_replicas_up(object, true)),
        "ReplicaSet" | "ReplicationController" => Ok(are_replicas_up(object, false)),
        "Pod" | "Node" => is_true("Ready"),
        "Job" => is_true("Complete"),
        "CustomResourceDefinition" => is_true("Established"),
        "Namespace" => Ok(word(object, &["status", "phase"]).as_deref() == Some("Active")),
        "PersistentVolumeClaim" => Ok(word(object, &["status", "phase"]).as_deref() == Some("Bound")),
        _ => match ["Ready", "Available"].iter().find_map(|condition| status_of(object, condition)) {
            Some(status) => Ok(status == "True"),
            None => Err(ExecutionError::function_error(
                ABSENT,
                "`ready` found no condition `Ready` or `Available` on the object",
            )),
        },
    }
}

/// Whether the controller's report is about the object as it is now.
fn is_observed(object: &dyn Val) -> bool {
    let seen = number(object, &["status", "observedGeneration"]);
    let is_workload = word(object, &["kind"]).is_some_and(|kind| {
        matches!(kind.as_str(), "DaemonSet" | "Deployment" | "StatefulSet" | "ReplicaSet" | "ReplicationController")
    });
    match (seen, number(object, &["metadata", "generation"])) {
        (Some(seen), Some(generation)) => seen >= generation,
        // A workload that nobody has looked at yet reports nothing.
        (None, Some(_)) => !is_workload,
        (_, None) => true,
    }
}

fn is_daemon_set_up(object: &dyn Val) -> bool {
    let count = |field| number(object, &["status", field]).unwrap_or(0);
    let wanted = count("desiredNumberScheduled");
    ["updatedNumberScheduled", "numberReady", "numberAvailable"].iter().all(|field| count(field) == wanted)
}

fn are_replicas_up(object: &dyn Val, has_updates: bool) -> bool {
    let count = |field| number(object, &["status", field]).unwrap_or(0);
    let wanted = number(object, &["spec", "replicas"]).unwrap_or(1);
    (!has_updates || count("updatedReplicas") == wanted)
        && ["replicas", "readyReplicas", "availableReplicas"].iter().all(|field| count(field) == wanted)
}

/// The status of a condition of an object or of a map entry.
fn status_of(object: &dyn Val, kind: &str) -> Option<String> {
    let conditions = at(object, &["status", "conditions"]).or_else(|| at(object, &["conditions"]))?;
    if conditions.get_type().kind() == Kind::Map {
        return word(conditions.as_ref(), &[kind, "status"]);
    }
    let mut each = conditions.as_iterable()?.iter();
    while let Some(condition) = each.next() {
        if word(condition, &["type"]).as_deref() == Some(kind) {
            return word(condition, &["status"]);
        }
    }
    None
}

/// What stands at the end of a way of fields, if it is there.
fn at<'b>(object: &'b (dyn Val + '_), way: &[&str]) -> Option<CowVal<'b, 'b>> {
    let mut here: CowVal<'b, 'b> = CowVal::Borrowed(object);
    for field in way {
        let key = CelString::from(*field);
        here = match here {
            CowVal::Borrowed(val) => val.as_indexer()?.get(&key).ok()?,
            CowVal::Owned(val) => CowVal::Owned(val.as_indexer()?.get(&key).ok()?.into_owned()),
        };
    }
    Some(here)
}

fn word(object: &dyn Val, way: &[&str]) -> Option<String> {
    let val = at(object, way)?;
    match (val.downcast_ref::<CelString>(), val.downcast_ref::<CelBool>()) {
        (Some(text), _) => Some(text.inner().to_owned()),
        (None, Some(true_or_false)) => Some(if *true_or_false.inner() { "True" } else { "False" }.to_owned()),
        _ => None,
    }
}

fn number(object: &dyn Val, way: &[&str]) -> Option<i64> {
    at(object, way)?.downcast_ref::<CelInt>().map(|number| *number.inner())
}
