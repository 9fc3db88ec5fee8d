//! Namespaces on their way out: emptied, then let go.
//!
//! After `pkg/controller/namespace` of v1.34.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::cache::Cache;
use super::super::controller::{Controller, Round, Runs, Trigger, Watches};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::queue::Backoff;
use super::super::write::{Form, Write};

/// From a change of a namespace until it is looked at: by then whatever was admitted before is stored
/// (`namespaceDeletionGracePeriod`).
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);

/// How long what has finalizers is thought to take (`finalizerEstimateSeconds`).
const FINALIZERS: i64 = 15;

/// The longest wait after a failure (`nsControllerRateLimiter`).
const LONGEST: Duration = Duration::from_mins(1);

/// The controller. What is in a namespace is no reason to look at it: it comes back in its own time.
pub(in crate::sim) fn controller() -> Box<dyn Runs> {
    Controller {
        name: "namespace-controller",
        triggers: vec![
            Trigger::itself(Kind::NAMESPACE),
            Trigger { watches: Watches::Everything, queues: |_, _| Vec::new() },
        ],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(BTreeMap::new())
}

/// What is known of a namespace that is on its way out.
#[derive(Default)]
struct Waiting {
    /// The version that was seen last.
    version: String,
    /// When to look at it.
    due: Option<Timestamp>,
    failures: u32,
}

fn reconcile(key: &Key, cache: &Cache, memory: &mut BTreeMap<Key, Waiting>, now: Timestamp) -> Round {
    let Some(namespace) = cache.of(&Kind::NAMESPACE, key).filter(|namespace| namespace.is_terminating()) else {
        memory.remove(key);
        return Round::idle();
    };
    let waiting = memory.entry(key.clone()).or_default();
    let version = namespace.text("/metadata/resourceVersion");
    if waiting.version != version {
        version.clone_into(&mut waiting.version);
        let then = now + PATIENCE;
        waiting.due = Some(waiting.due.map_or(then, |due| due.min(then)));
    }
    match waiting.due {
        Some(due) if due > now => return Round::idle().look_at(now, due),
        None => return Round::idle(),
        Some(_) => waiting.due = None,
    }
    if namespace.items("/spec/finalizers").is_empty() {
        return Round::idle();
    }
    let look = Look::at(namespace, cache, now);
    let mut writes = look.writes;
    writes.extend(conditions(namespace, &look.problems, now));
    let wait = if look.problems.failed {
        waiting.failures += 1;
        let factor = 1_u32.checked_shl(waiting.failures).unwrap_or(u32::MAX);
        Duration::from_millis(5).saturating_mul(factor).min(LONGEST)
    } else if look.estimate > 0 {
        waiting.failures = 0;
        Duration::from_secs(u64::try_from(look.estimate / 2 + 1).unwrap_or(1))
    } else {
        let mut emptied = namespace.to_value();
        emptied["spec"]["finalizers"] = json!([]);
        // The conditions were written a moment before.
        emptied["metadata"]["resourceVersion"] = Value::Null;
        writes.push(Write::finalize(emptied));
        return Round::writes(writes);
    };
    waiting.due = Some(now + SignedDuration::try_from(wait).unwrap_or(PATIENCE));
    Round::writes(writes).look_again(wait)
}

/// What one look at a namespace comes to.
#[derive(Default)]
struct Look {
    writes: Vec<Write>,
    /// For how many seconds something is thought to stay. Zero: everything goes.
    estimate: i64,
    problems: Problems,
}

/// What the namespace's conditions tell of.
#[derive(Default)]
struct Problems {
    /// Pods are there for longer than they were given.
    failed: bool,
    /// How many objects of a kind stay.
    left: BTreeMap<String, usize>,
    /// How many of them wait for a finalizer.
    finalizers: BTreeMap<String, usize>,
}

impl Look {
    /// Pods go first, and everything else only when they are gone (`OrderedNamespaceDeletion`, on since
    /// v1.34): a network policy, say, protects them to their end.
    fn at(namespace: &Object, cache: &Cache, now: Timestamp) -> Self {
        let name = namespace.name();
        let mut look = Self::default();
        let pods: Vec<&Object> = cache.within(&Kind::POD, name).collect();
        if !pods.is_empty() {
            look.writes.push(Write::clear(&Kind::POD, name));
        }
        // Without a node a pod goes at once.
        let stays = |pod: &&&Object| !pod.text("/spec/nodeName").is_empty() || has_finalizers(pod);
        let staying: Vec<&&Object> = pods.iter().filter(stays).collect();
        if !staying.is_empty() {
            let lives = |pod: &&&&Object| !["Succeeded", "Failed"].contains(&pod.text("/status/phase"));
            let graces = staying.iter().filter(lives).map(|pod| pod.count("/spec/terminationGracePeriodSeconds"));
            let grace = graces.max().unwrap_or_default();
            let since = namespace.time("/metadata/deletionTimestamp").map_or(0, |at| now.duration_since(at).as_secs());
            look.estimate = match (since < grace, staying.iter().any(|pod| has_finalizers(pod))) {
                (true, _) => grace,
                (false, true) => FINALIZERS,
                (false, false) => 0,
            };
            look.problems.failed = look.estimate == 0;
            return look;
        }
        for (kind, object) in cache.everything().filter(|(kind, own)| kind.namespaced && own.namespace() == name) {
            // Kinds that are shown twice, as events are, need one deletion.
            if kind.group == "events.k8s.io" || *kind == Kind::POD {
                continue;
            }
            let clear = Write::clear(kind, name);
            if !look.writes.contains(&clear) {
                look.writes.push(clear);
            }
            if has_finalizers(object) {
                let kind = format!("{}.{}", kind.plural, kind.group);
                *look.problems.left.entry(kind).or_default() += 1;
                for finalizer in object.items("/metadata/finalizers").iter().filter_map(Value::as_str) {
                    *look.problems.finalizers.entry(finalizer.to_owned()).or_default() += 1;
                }
                look.estimate = FINALIZERS;
            }
        }
        look
    }
}

fn has_finalizers(object: &Object) -> bool {
    !object.items("/metadata/finalizers").is_empty()
}

/// Writes the conditions, if they say something else by now.
fn conditions(namespace: &Object, problems: &Problems, now: Timestamp) -> Option<Write> {
    let name = namespace.name();
    let counted = |of: &BTreeMap<String, usize>, word: &str| {
        let words: Vec<String> =
            of.iter().map(|(what, count)| format!("{what} {word} {count} resource instances")).collect();
        words.join(", ")
    };
    let problem = |is: bool, reason: &'static str, message: String| is.then_some((reason, message));
    let rows = [
        ("NamespaceDeletionDiscoveryFailure", ("ResourcesDiscovered", "All resources successfully discovered"), None),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
            None,
        ),
        (
            "NamespaceDeletionContentFailure",
            ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
            problem(
                problems.failed,
                "ContentDeletionFailed",
                format!(
                    "Failed to delete all resource types, 1 remaining: failed to delete pods for namespace: {name}, err: \
                     unexpected items still remain in namespace: {name} for gvr: /v1, Resource=pods"
                ),
            ),
        ),
        (
            "NamespaceContentRemaining",
            ("ContentRemoved", "All content successfully removed"),
            problem(
                !problems.left.is_empty(),
                "SomeResourcesRemain",
                format!("Some resources are remaining: {}", counted(&problems.left, "has")),
            ),
        ),
        (
            "NamespaceFinalizersRemaining",
            ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
            problem(
                !problems.finalizers.is_empty(),
                "SomeFinalizersRemain",
                format!(
                    "Some content in the namespace has finalizers remaining: {}",
                    counted(&problems.finalizers, "in")
                ),
            ),
        ),
    ];
    let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let new: Vec<Value> = rows
        .into_iter()
        .map(|(kind, (reason, message), problem)| {
            let status = if problem.is_some() { "True" } else { "False" };
            let (reason, message) = problem.unwrap_or((reason, message.to_owned()));
            let before = namespace.condition(kind).filter(|before| before["status"] == status);
            let since = before.map_or_else(|| time.clone().into(), |before| before["lastTransitionTime"].clone());
            json!({
                "type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message,
            })
        })
        .collect();
    if namespace.items("/status/conditions") == new.as_slice() {
        return None;
    }
    let body = json!({"status": {"conditions": new}});
    Some(Write::patch_status(&Kind::NAMESPACE, Key::alone(name), Form::Merge, body).forgiving(&[404]))
}
