//! Replica sets: so many pods of one template.
//!
//! After `pkg/controller/replicaset` of v1.34.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::cache::Cache;
use super::super::controller::{Controller, Round, Runs, Trigger};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::queue::Backoff;
use super::super::select;
use super::pods::{
    controller_of, from_template, is_active, is_available, made, next_available, status_write, taken_away,
};

/// The controller.
pub(super) fn controller() -> Box<dyn Runs> {
    Controller {
        name: "replicaset-controller",
        triggers: vec![
            Trigger::itself(Kind::REPLICA_SET),
            Trigger::on(Kind::POD, |change, _| controller_of(change, "ReplicaSet")),
        ],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(())
}

fn reconcile(key: &Key, cache: &Cache, (): &mut (), now: Timestamp) -> Round {
    let Some(set) = cache.of(&Kind::REPLICA_SET, key) else {
        return Round::idle();
    };
    let pods: Vec<&Object> = cache.controlled(&Kind::POD, set).filter(|pod| is_active(pod)).collect();
    let wanted = set.number("/spec/replicas").unwrap_or(1);
    let some = |count: i64| usize::try_from(count).unwrap_or_default();
    let there = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    let mut writes = Vec::new();
    if !set.is_terminating() {
        for _ in 0..some(wanted - there) {
            let pod = from_template(set.at("/spec/template"), &Kind::REPLICA_SET, set);
            writes.push(made(set, pod));
        }
        for pod in least_missed(&pods, cache).into_iter().take(some(there - wanted)) {
            writes.push(taken_away(set, pod));
        }
    }
    // Of the pods as they were when the round began: what it did shows in the next one.
    writes.extend(status_write(&Kind::REPLICA_SET, set, status(set, &pods, now)));
    let mut round = Round::writes(writes);
    round.again = next_available(pods, set.count("/spec/minReadySeconds"), now);
    round
}

/// The pods in the order in which they are taken away (`ActivePodsWithRanks` in `controller_utils.go`):
/// without a node, not running, not ready, on nodes with many siblings, ready for less time, restarted, young.
fn least_missed<'a>(pods: &[&'a Object], cache: &Cache) -> Vec<&'a Object> {
    let node = |pod: &Object| pod.text("/spec/nodeName").to_owned();
    let owner = pods.first().and_then(|pod| pod.controller()).map(|owner| owner["uid"].clone());
    let siblings = |pod: &Object| {
        let on = node(pod);
        // Pods of a deployment's other replica sets count as siblings too.
        let same = cache.within(&Kind::POD, pod.namespace()).filter(|own| is_active(own) && node(own) == on);
        same.filter(|own| own.controller().map(|owner| owner["uid"].clone()) == owner).count()
    };
    let phase = |pod: &Object| match pod.text("/status/phase") {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let restarts = |pod: &Object| -> i64 {
        pod.items("/status/containerStatuses").iter().filter_map(|own| own["restartCount"].as_i64()).sum()
    };
    let mut sorted = pods.to_vec();
    sorted.sort_by_cached_key(|pod| {
        (
            !node(pod).is_empty(),
            phase(pod),
            pod.is("Ready"),
            Reverse(siblings(pod)),
            Reverse(super::pods::ready_since(pod)),
            Reverse(restarts(pod)),
            Reverse(pod.created()),
            pod.name().to_owned(),
        )
    });
    sorted
}

fn status(set: &Object, pods: &[&Object], now: Timestamp) -> Value {
    let min_ready = set.count("/spec/minReadySeconds");
    let template = set.at("/spec/template/metadata/labels");
    let count = |of: &dyn Fn(&Object) -> bool| pods.iter().filter(|pod| of(pod)).count();
    let mut status = json!({"replicas": pods.len(), "observedGeneration": set.generation()});
    for (field, count) in [
        ("fullyLabeledReplicas", count(&|pod| select::has_labels(template, pod.at("/metadata/labels")))),
        ("readyReplicas", count(&|pod| pod.is("Ready"))),
        ("availableReplicas", count(&|pod| is_available(pod, min_ready, now))),
    ] {
        if count > 0 {
            status[field] = count.into();
        }
    }
    status
}
