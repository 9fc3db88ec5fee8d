//! What changes of objects mean: each a fact that came true, under a name that is the same in every run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::partial::Run;

/// One change that a watch told.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub(crate) kind: String,
    pub(crate) object: Value,
}

impl Change {
    fn version(&self) -> u64 {
        text(&self.object, "/metadata/resourceVersion").parse().expect("versions are numbers")
    }
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// All that is true of an object, as far as scenarios look at it.
pub(crate) fn facts(object: &Value) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64);
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let holds = |kind: &str| {
        conditions.is_some_and(|all| all.iter().any(|each| each["type"] == kind && each["status"] == "True"))
    };
    let mut say = |fact: &str, holds: bool| {
        if holds {
            facts.insert(fact.to_owned());
        }
    };
    say("terminating", object.pointer("/metadata/deletionTimestamp").is_some());
    let observed = number("/status/observedGeneration");
    match text(object, "/kind") {
        "Pod" => {
            say("bound", !text(object, "/spec/nodeName").is_empty());
            say("ready", holds("Ready"));
            say("running", text(object, "/status/phase") == "Running");
            say("failed", text(object, "/status/phase") == "Failed");
            say("succeeded", text(object, "/status/phase") == "Succeeded");
            say(
                "counted",
                text(object, "/status/phase") == "Failed" && object.pointer("/metadata/finalizers").is_none(),
            );
        }
        "DaemonSet" => {
            say("observed", observed == number("/metadata/generation"));
            let updated = number("/status/updatedNumberScheduled").unwrap_or_default();
            say(&format!("updated {updated}"), true);
            let wanted = number("/status/desiredNumberScheduled").unwrap_or_default();
            let available = number("/status/numberAvailable").unwrap_or_default();
            say("complete", updated == wanted && available == wanted && wanted > 0);
        }
        "StatefulSet" => {
            say("observed", observed == number("/metadata/generation"));
            let updated = number("/status/updatedReplicas").unwrap_or_default();
            let (wanted, ready) = (number("/spec/replicas"), number("/status/readyReplicas"));
            say(
                "complete",
                Some(updated) == wanted && ready == wanted && number("/status/availableReplicas") == wanted,
            );
        }
        "Job" => {
            say(&format!("failed {}", number("/status/failed").unwrap_or_default()), true);
            say("bound to fail", holds("FailureTarget"));
            say("failed for good", holds("Failed"));
        }
        _ => {}
    }
    facts
}

/// The changes of a scenario, told as events. What is there at the beginning is known already.
pub(crate) fn told(present: &[Value], mut changes: Vec<Change>) -> Run {
    changes.sort_by_key(Change::version);
    let mut known: BTreeMap<String, BTreeSet<String>> =
        present.iter().map(|object| (text(object, "/metadata/uid").to_owned(), facts(object))).collect();
    let mut names = Names::new(present);
    let mut run = Run::new();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for change in changes {
        let (version, object) = (change.version(), &change.object);
        let uid = text(object, "/metadata/uid").to_owned();
        let now = facts(object);
        let before = known.insert(uid.clone(), now.clone());
        let mut events: Vec<String> = Vec::new();
        if before.is_none() {
            events.push("created".to_owned());
        }
        let before = before.unwrap_or_default();
        events.extend(now.difference(&before).cloned());
        if before.contains("ready") && !now.contains("ready") {
            events.push("unready".to_owned());
        }
        if change.kind == "DELETED" {
            events = vec!["gone".to_owned()];
        }
        for event in events {
            let event = format!("{}: {event}", names.of(object));
            let time = times.entry(event.clone()).or_default();
            *time += 1;
            let event = if *time == 1 { event } else { format!("{event} ({time})") };
            run.push((version, event));
        }
    }
    run
}

/// Names of objects by what they are to a scenario: a set's pods by their node or by when something
/// first happened to them, everything else by its kind.
struct Names {
    old: BTreeSet<String>,
    /// By kind, and within a kind by the order of their first event: objects, or nodes for what each node has one of.
    places: BTreeMap<String, Vec<String>>,
}

impl Names {
    fn new(present: &[Value]) -> Self {
        let old = present.iter().map(|object| text(object, "/metadata/uid").to_owned()).collect();
        Self { old, places: BTreeMap::new() }
    }

    fn of(&mut self, object: &Value) -> String {
        let kind = text(object, "/kind").to_owned();
        let uid = text(object, "/metadata/uid").to_owned();
        let age = if self.old.contains(&uid) { "old" } else { "new" };
        let owner = text(object, "/metadata/ownerReferences/0/kind");
        match (kind.as_str(), owner) {
            ("Pod", "DaemonSet") => {
                let number = self.place("node", node(object));
                format!("{age} pod of node {number}")
            }
            // Its name says which one it is.
            ("Pod", "StatefulSet") => {
                let name = text(object, "/metadata/name");
                format!("{age} pod {}", name.rsplit('-').next().unwrap_or_default())
            }
            ("Pod" | "ReplicaSet" | "ControllerRevision", _) => {
                let number = self.place(&kind, &uid);
                format!("{age} {} {number}", kind.to_lowercase())
            }
            _ => kind.to_lowercase(),
        }
    }

    fn place(&mut self, kind: &str, key: &str) -> usize {
        let places = self.places.entry(kind.to_owned()).or_default();
        match places.iter().position(|known| known == key) {
            Some(at) => at + 1,
            None => {
                places.push(key.to_owned());
                places.len()
            }
        }
    }
}

/// The node of a daemon set's pod, which it is made for before it is bound to it.
fn node(pod: &Value) -> &str {
    let made_for = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/\
                    matchFields/0/values/0";
    let bound = text(pod, "/spec/nodeName");
    if bound.is_empty() { text(pod, made_for) } else { bound }
}
