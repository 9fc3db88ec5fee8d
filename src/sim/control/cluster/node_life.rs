//! The life of nodes: whose lease runs out is marked, its pods too, and they are evicted in time.
//!
//! After `pkg/controller/nodelifecycle` and `pkg/controller/tainteviction` of v1.34.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::cache::Cache;
use super::super::controller::{Controller, Round, Runs, Trigger};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::queue::Backoff;
use super::super::select;
use super::super::timing;
use super::super::write::{Form, Write};

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// What marks nodes and the pods on them.
pub(in crate::sim) fn controller() -> Box<dyn Runs> {
    Controller {
        name: "node-controller",
        triggers: vec![
            Trigger::itself(Kind::NODE),
            Trigger::known(Kind::LEASE),
            Trigger::on(Kind::POD, |change, _| {
                let node = change.after.text("/spec/nodeName");
                if node.is_empty() || !change.touches("/spec/nodeName") { Vec::new() } else { vec![Key::alone(node)] }
            }),
        ],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(())
}

fn text(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn reconcile(key: &Key, cache: &Cache, (): &mut (), now: Timestamp) -> Round {
    let Some(node) = cache.of(&Kind::NODE, key) else {
        return Round::idle();
    };
    let lease = cache.get(&Kind::LEASE, "kube-node-lease", &key.name);
    let renewed = lease.and_then(|lease| lease.time("/spec/renewTime"));
    let heard = renewed.into_iter().chain([node.created()]).max().unwrap_or(now);
    let silent =
        now.duration_since(heard) > SignedDuration::try_from(timing::NODE_GRACE).unwrap_or(SignedDuration::MAX);
    let ready = node.condition("Ready").map_or("Unknown", |ready| ready["status"].as_str().unwrap_or("Unknown"));
    let mut writes = Vec::new();
    if silent && ready != "Unknown" {
        let unknown = |kind: &str| {
            json!({
                "type": kind, "status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": text(now),
            })
        };
        let conditions: Vec<Value> =
            ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"].into_iter().map(unknown).collect();
        writes.push(Write::patch_status(
            &Kind::NODE,
            key.clone(),
            Form::Strategic,
            json!({"status": {"conditions": conditions}}),
        ));
        writes.push(Write::event(
            node,
            "Normal",
            "NodeNotReady",
            format!("Node {} status is now: NodeNotReady", key.name),
        ));
    }
    let ready = if silent { "Unknown" } else { ready };
    if let Some(taints) = taints(node, ready, now) {
        let mut changed = node.to_value();
        changed["spec"]["taints"] = taints;
        if writes.is_empty() {
            writes.push(Write::update(&Kind::NODE, changed));
        }
    }
    if ready != "True" {
        let pods = cache.all(&Kind::POD).filter(|pod| pod.text("/spec/nodeName") == key.name && pod.is("Ready"));
        for pod in pods {
            let condition = json!({
                "type": "Ready", "status": "False", "lastTransitionTime": text(now),
                "observedGeneration": pod.generation(),
            });
            let body = json!({"status": {"conditions": [condition]}});
            writes.push(Write::patch_status(&Kind::POD, pod.key(), Form::Strategic, body).forgiving(&[404]));
            writes.push(Write::event(pod, "Warning", "NodeNotReady", "Node is not ready"));
        }
    }
    Round::writes(writes).look_again(timing::NODE_MONITORED)
}

/// The taints that a node must have, if those are not the ones that it has.
fn taints(node: &Object, ready: &str, now: Timestamp) -> Option<Value> {
    let mut wanted: Vec<(&str, &str)> = match ready {
        "True" => Vec::new(),
        "False" => vec![(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")],
        _ => vec![(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")],
    };
    if node.flag("/spec/unschedulable") {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    let own = |taint: &Value| [NOT_READY, UNREACHABLE, UNSCHEDULABLE].iter().any(|key| taint["key"] == *key);
    let is = |taint: &Value, wish: &(&str, &str)| taint["key"] == wish.0 && taint["effect"] == wish.1;
    let present = node.items("/spec/taints");
    let same = wanted.iter().all(|wish| present.iter().any(|taint| is(taint, wish)))
        && present.iter().filter(|taint| own(taint)).all(|taint| wanted.iter().any(|wish| is(taint, wish)));
    if same {
        return None;
    }
    let mut taints: Vec<Value> =
        present.iter().filter(|taint| !own(taint) || wanted.iter().any(|wish| is(taint, wish))).cloned().collect();
    for wish in &wanted {
        if !taints.iter().any(|taint| is(taint, wish)) {
            taints.push(json!({"key": wish.0, "effect": wish.1, "timeAdded": text(now)}));
        }
    }
    Some(if taints.is_empty() { Value::Null } else { taints.into() })
}

/// What deletes pods that no longer tolerate their node.
pub(in crate::sim) fn eviction() -> Box<dyn Runs> {
    Controller {
        name: "taint-eviction-controller",
        triggers: vec![
            Trigger::on(Kind::NODE, |change, cache| {
                if !change.touches("/spec/taints") {
                    return Vec::new();
                }
                let name = change.after.name();
                cache.all(&Kind::POD).filter(|pod| pod.text("/spec/nodeName") == name).map(Object::key).collect()
            }),
            Trigger::on(Kind::POD, |change, _| {
                if change.touches("/spec/nodeName") && !change.deleted { vec![change.after.key()] } else { Vec::new() }
            }),
        ],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile: evict,
    }
    .with(())
}

fn evict(key: &Key, cache: &Cache, (): &mut (), now: Timestamp) -> Round {
    let Some(pod) = cache.of(&Kind::POD, key).filter(|pod| !pod.is_terminating()) else {
        return Round::idle();
    };
    let Some(node) = cache.get(&Kind::NODE, "", pod.text("/spec/nodeName")) else {
        return Round::idle();
    };
    let mut end: Option<Timestamp> = None;
    for taint in node.items("/spec/taints").iter().filter(|taint| taint["effect"] == "NoExecute") {
        let tolerations = pod.items("/spec/tolerations").iter().filter(|own| select::tolerates(own, taint));
        let spans: Vec<Option<i64>> = tolerations.map(|own| own["tolerationSeconds"].as_i64()).collect();
        let since = taint["timeAdded"].as_str().and_then(|text| text.parse::<Timestamp>().ok()).unwrap_or(now);
        let until = match spans.as_slice() {
            [] => Some(now),
            spans => spans.iter().flatten().min().map(|seconds| since + SignedDuration::from_secs((*seconds).max(0))),
        };
        end = match (end, until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    match end {
        None => Round::idle(),
        Some(at) if at > now => Round::idle().look_at(now, at),
        Some(_) => Round::writes(vec![
            Write::event(pod, "Normal", "TaintManagerEviction", format!("Marking for deletion Pod {key}")),
            Write::patch_status(
                &Kind::POD,
                pod.key(),
                Form::Strategic,
                json!({"status": {"conditions": [{
                    "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
                    "message": "Taint manager: deleting due to NoExecute taint", "lastTransitionTime": text(now),
                }]}}),
            )
            .forgiving(&[404]),
            Write::delete(&Kind::POD, pod),
        ]),
    }
}
