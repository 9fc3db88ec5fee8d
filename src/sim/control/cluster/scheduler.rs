//! The scheduler: a node for each pod.
//!
//! It filters as the real one does (selector, affinity to nodes, taints, capacity, host ports,
//! volumes), and of what is left takes the node with the fewest of the pod's siblings, then the
//! fewest pods. Affinity between pods is not imitated, topology spread neither.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::cache::Cache;
use super::super::controller::{Controller, Round, Runs, Trigger};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::quantity;
use super::super::queue::Backoff;
use super::super::select;
use super::super::timing;
use super::super::write::{Form, Write};

/// The controller.
pub(in crate::sim) fn controller() -> Box<dyn Runs> {
    Controller {
        name: "default-scheduler",
        triggers: vec![
            Trigger::on(Kind::POD, |change, cache| {
                if waits(&change.after) && !change.deleted {
                    return vec![change.after.key()];
                }
                // Room was made.
                let freed = change.deleted || is_over(&change.after);
                if freed { waiting(cache) } else { Vec::new() }
            }),
            Trigger::on(Kind::NODE, |change, cache| {
                let matters = ["/metadata/labels", "/spec", "/status/allocatable", "/status/conditions"];
                let told = change.before.is_none() || matters.iter().any(|part| change.touches(part));
                if told { waiting(cache) } else { Vec::new() }
            }),
            Trigger::on(Kind::CLAIM, |_, cache| waiting(cache)),
            Trigger::on(Kind::VOLUME, |_, cache| waiting(cache)),
            Trigger::known(Kind::STORAGE_CLASS),
        ],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(Memory::default())
}

/// What was decided and has not come back by the watch yet, by uid.
#[derive(Default)]
struct Memory {
    assumed: BTreeMap<String, String>,
}

fn waits(pod: &Object) -> bool {
    let mine = ["", "default-scheduler"].contains(&pod.text("/spec/schedulerName"));
    mine && pod.text("/spec/nodeName").is_empty()
        && !pod.is_terminating()
        && !is_over(pod)
        && pod.items("/spec/schedulingGates").is_empty()
}

fn waiting(cache: &Cache) -> Vec<Key> {
    cache.all(&Kind::POD).filter(|pod| waits(pod)).map(Object::key).collect()
}

fn is_over(pod: &Object) -> bool {
    ["Succeeded", "Failed"].contains(&pod.text("/status/phase"))
}

fn reconcile(key: &Key, cache: &Cache, memory: &mut Memory, now: Timestamp) -> Round {
    memory
        .assumed
        .retain(|uid, _| cache.all(&Kind::POD).any(|pod| pod.uid() == uid && pod.text("/spec/nodeName").is_empty()));
    let Some(pod) = cache.of(&Kind::POD, key).filter(|pod| waits(pod) && !memory.assumed.contains_key(pod.uid()))
    else {
        return Round::idle();
    };
    if let Some(round) = claims_wait(pod, cache, now) {
        return round;
    }
    let mut refusals: BTreeMap<String, usize> = BTreeMap::new();
    let mut fits: Vec<(usize, usize, &str)> = Vec::new();
    for node in cache.all(&Kind::NODE) {
        let there: Vec<&Object> = cache
            .all(&Kind::POD)
            .filter(|own| !is_over(own))
            .filter(|own| {
                let on = own.text("/spec/nodeName");
                on == node.name() || on.is_empty() && memory.assumed.get(own.uid()).is_some_and(|on| on == node.name())
            })
            .collect();
        match refusal(pod, node, &there, cache) {
            Some(why) => *refusals.entry(why).or_default() += 1,
            None => {
                let owner = pod.controller().map(|owner| &owner["uid"]);
                let siblings =
                    there.iter().filter(|own| owner.is_some() && own.controller().map(|owner| &owner["uid"]) == owner);
                fits.push((siblings.count(), there.len(), node.name()));
            }
        }
    }
    if let Some((_, _, node)) = fits.into_iter().min() {
        memory.assumed.insert(pod.uid().to_owned(), node.to_owned());
        let text = format!("Successfully assigned {key} to {node}");
        let bind = Write::bind(pod, node).forgiving(&[404, 409]).telling(pod, "Scheduled", &text);
        return Round::writes(vec![bind]);
    }
    let total: usize = refusals.values().sum();
    let mut reasons: Vec<String> = refusals.iter().map(|(why, count)| format!("{count} {why}")).collect();
    reasons.sort_unstable();
    let nodes = if total == 0 {
        "no nodes available to schedule pods".to_owned()
    } else {
        format!(
            "0/{total} nodes are available: {}. preemption: 0/{total} nodes are available: {total} Preemption is not helpful for scheduling.",
            reasons.join(", ")
        )
    };
    unschedulable(pod, &nodes, now)
}

/// Says why a pod is not scheduled, if that is news.
fn unschedulable(pod: &Object, message: &str, now: Timestamp) -> Round {
    let before = pod.condition("PodScheduled");
    if before.is_some_and(|before| before["message"] == message) {
        return Round::idle().look_again(timing::UNSCHEDULABLE);
    }
    let since = before.filter(|before| before["status"] == "False").map(|before| before["lastTransitionTime"].clone());
    let condition = json!({
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
        "lastProbeTime": null, "lastTransitionTime": since.unwrap_or_else(|| now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()), "observedGeneration": pod.generation(),
    });
    let body = json!({"status": {"conditions": [condition]}});
    Round::writes(vec![
        Write::patch_status(&Kind::POD, pod.key(), Form::Strategic, body).forgiving(&[404]),
        Write::event(pod, "Warning", "FailedScheduling", message),
    ])
    .look_again(timing::UNSCHEDULABLE)
}

/// Why a pod can't be on a node, in the scheduler's words.
fn refusal(pod: &Object, node: &Object, there: &[&Object], cache: &Cache) -> Option<String> {
    let spec = pod.at("/spec");
    let tolerations = pod.items("/spec/tolerations");
    if node.flag("/spec/unschedulable") {
        let taint = json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"});
        if !tolerations.iter().any(|own| select::tolerates(own, &taint)) {
            return Some("node(s) were unschedulable".to_owned());
        }
    }
    if let Some(taint) = select::untolerated(node, tolerations, &["NoSchedule", "NoExecute"]) {
        let (key, value) = (taint["key"].as_str().unwrap_or_default(), taint["value"].as_str().unwrap_or_default());
        return Some(format!("node(s) had untolerated taint {{{key}: {value}}}"));
    }
    if !select::wants_node(spec, node) {
        return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    let ports = |pod: &Object| -> Vec<(i64, String)> {
        let containers = pod.items("/spec/containers").iter();
        let ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
        ports
            .filter_map(|port| {
                Some((port["hostPort"].as_i64()?, port["protocol"].as_str().unwrap_or("TCP").to_owned()))
            })
            .collect()
    };
    let taken: Vec<_> = there.iter().flat_map(|own| ports(own)).collect();
    if ports(pod).iter().any(|port| taken.contains(port)) {
        return Some("node(s) didn't have free ports for the requested pod ports".to_owned());
    }
    for claim in claims(pod, cache) {
        let volume = claim.and_then(|claim| cache.get(&Kind::VOLUME, "", claim.text("/spec/volumeName")));
        let affinity = volume.map(|volume| volume.at("/spec/nodeAffinity/required"));
        if affinity.is_some_and(|affinity| !affinity.is_null() && !select::selects_node(affinity, node)) {
            return Some("node(s) didn't match PersistentVolume's node affinity".to_owned());
        }
    }
    let room = |what: &str| quantity::milli(&node.at("/status/allocatable")[what]);
    if room("pods").is_some_and(|room| i64::try_from(there.len()).unwrap_or(i64::MAX) * 1000 >= room) {
        return Some("Too many pods".to_owned());
    }
    for what in ["cpu", "memory"] {
        let wanted = requested(pod, what);
        let used: i64 = there.iter().map(|own| requested(own, what)).sum();
        if wanted > 0 && room(what).is_some_and(|room| used + wanted > room) {
            return Some(format!("Insufficient {what}"));
        }
    }
    None
}

/// What a pod's containers ask for together, in thousandths.
fn requested(pod: &Object, what: &str) -> i64 {
    let of = |container: &Value| quantity::milli(&container["resources"]["requests"][what]).unwrap_or_default();
    let main: i64 = pod.items("/spec/containers").iter().map(of).sum();
    let init = pod.items("/spec/initContainers").iter().map(of).max().unwrap_or_default();
    main.max(init)
}

/// The pod's claims; `None` for those that are not there.
fn claims<'a>(pod: &'a Object, cache: &'a Cache) -> impl Iterator<Item = Option<&'a Object>> {
    let names =
        pod.items("/spec/volumes").iter().filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str());
    names.map(|name| cache.get(&Kind::CLAIM, pod.namespace(), name))
}

/// Tells a provisioner for which node a volume is wanted.
const SELECTED: &str = "volume.kubernetes.io/selected-node";

/// What there is to do before a pod with such claims can be placed; `None`: nothing.
fn claims_wait(pod: &Object, cache: &Cache, now: Timestamp) -> Option<Round> {
    let total = cache.all(&Kind::NODE).count();
    for (at, claim) in claims(pod, cache).enumerate() {
        let Some(claim) = claim else {
            let name = pod
                .items("/spec/volumes")
                .iter()
                .filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())
                .nth(at)
                .unwrap_or_default();
            let text = format!("0/{total} nodes are available: persistentvolumeclaim \"{name}\" not found.");
            return Some(unschedulable(pod, &text, now));
        };
        if claim.text("/status/phase") == "Bound" {
            continue;
        }
        let class = cache.get(&Kind::STORAGE_CLASS, "", claim.text("/spec/storageClassName"));
        let waits = class.is_some_and(|class| class.text("/volumeBindingMode") == "WaitForFirstConsumer");
        if !waits {
            let text = format!("0/{total} nodes are available: pod has unbound immediate PersistentVolumeClaims.");
            return Some(unschedulable(pod, &text, now));
        }
        if claim.annotation(SELECTED).is_none() {
            let node = cache.all(&Kind::NODE).find(|node| refusal(pod, node, &[], &Cache::default()).is_none())?;
            let body = json!({"metadata": {"annotations": {SELECTED: node.name()}}});
            return Some(Round::writes(vec![Write::patch(&Kind::CLAIM, claim.key(), Form::Merge, body)]));
        }
        return Some(Round::idle());
    }
    None
}
