//! Daemon sets: one pod on each node that they are meant for.
//!
//! After `pkg/controller/daemon` of v1.34: `daemon_controller.go`, `update.go`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::cache::Cache;
use super::super::controller::{Controller, Round, Runs, Trigger};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::queue::Backoff;
use super::super::select;
use super::super::write::Write;
use super::pods::{
    controller_of, from_template, is_available, is_over, made, next_available, scaled, status_write, taken_away,
};
use super::revision::{HASH, history};

/// The controller.
pub(super) fn controller() -> Box<dyn Runs> {
    Controller {
        name: "daemonset-controller",
        triggers: vec![
            Trigger::itself(Kind::DAEMON_SET),
            Trigger::on(Kind::POD, |change, _| controller_of(change, "DaemonSet")),
            Trigger::on(Kind::REVISION, |change, _| controller_of(change, "DaemonSet")),
            Trigger::on(Kind::NODE, |change, cache| {
                let matters = ["/metadata/labels", "/spec/taints", "/spec/unschedulable"];
                if matters.iter().any(|part| change.touches(part)) {
                    cache.all(&Kind::DAEMON_SET).map(Object::key).collect()
                } else {
                    Vec::new()
                }
            }),
        ],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(())
}

fn reconcile(key: &Key, cache: &Cache, (): &mut (), now: Timestamp) -> Round {
    let Some(set) = cache.of(&Kind::DAEMON_SET, key) else {
        return Round::idle();
    };
    if set.is_terminating() {
        return Round::idle();
    }
    let history = history(set, &Kind::DAEMON_SET, cache);
    let mut writes = history.writes.clone();
    let pods: Vec<&Object> = cache.controlled(&Kind::POD, set).collect();
    let nodes: Vec<Place> = places(set, &pods, cache);
    let sync = Sync { set, hash: &history.hash, nodes: &nodes, now };
    let mut deeds = sync.manage();
    if deeds.is_empty() && set.text("/spec/updateStrategy/type") == "RollingUpdate" {
        deeds = sync.roll();
    }
    let made = deeds.iter().filter(|deed| deed.creates()).count();
    writes.extend(deeds);
    let hashes: Vec<&str> = pods.iter().filter_map(|pod| pod.label(HASH)).collect();
    let limit = set.number("/spec/revisionHistoryLimit").unwrap_or(10);
    writes.extend(history.cleaned(limit, |hash| hashes.contains(&hash)));
    let min_ready = set.count("/spec/minReadySeconds");
    writes.extend(status_write(&Kind::DAEMON_SET, set, sync.status(made)));
    let mut round = Round::writes(writes);
    round.again = next_available(pods, min_ready, now);
    round
}

/// A node with the set's pods on it, or bound for it.
struct Place<'a> {
    name: String,
    pods: Vec<&'a Object>,
    /// Whether a pod is to be started there.
    runs: bool,
    /// Whether one that is there may stay.
    stays: bool,
}

/// Where a pod of the set is or is to be.
fn target(pod: &Object) -> &str {
    let node = pod.text("/spec/nodeName");
    if !node.is_empty() {
        return node;
    }
    let terms = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";
    pod.text(terms)
}

fn places<'a>(set: &Object, pods: &[&'a Object], cache: &Cache) -> Vec<Place<'a>> {
    let mut by_node: BTreeMap<&str, Vec<&'a Object>> = BTreeMap::new();
    // One that has ended and is about to go holds no place: its successor is made before it is gone.
    for pod in pods.iter().filter(|pod| !(is_over(pod) && pod.is_terminating())) {
        by_node.entry(target(pod)).or_default().push(pod);
    }
    let spec = set.at("/spec/template/spec");
    let tolerations = tolerations(spec);
    let mut places: Vec<Place> = cache
        .all(&Kind::NODE)
        .map(|node| {
            let wanted =
                select::wants_node(spec, node) && (spec["nodeName"].is_null() || spec["nodeName"] == node.name());
            let runs = wanted && select::untolerated(node, &tolerations, &["NoSchedule", "NoExecute"]).is_none();
            let stays = wanted && select::untolerated(node, &tolerations, &["NoExecute"]).is_none();
            Place { name: node.name().to_owned(), pods: by_node.remove(node.name()).unwrap_or_default(), runs, stays }
        })
        .collect();
    // What is bound for a node that is no more has nowhere to run.
    places.extend(by_node.into_iter().map(|(name, pods)| Place {
        name: name.to_owned(),
        pods,
        runs: false,
        stays: false,
    }));
    places
}

/// The template's tolerations, and those that every pod of a daemon set has.
fn tolerations(spec: &Value) -> Vec<Value> {
    let mut all = spec["tolerations"].as_array().cloned().unwrap_or_default();
    let mut given = vec![
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ];
    if spec["hostNetwork"] == true {
        given.push(("network-unavailable", "NoSchedule"));
    }
    for (key, effect) in given {
        let toleration = json!({"key": format!("node.kubernetes.io/{key}"), "operator": "Exists", "effect": effect});
        if !all.contains(&toleration) {
            all.push(toleration);
        }
    }
    all
}

struct Sync<'a> {
    set: &'a Object,
    hash: &'a str,
    nodes: &'a [Place<'a>],
    now: Timestamp,
}

impl Sync<'_> {
    fn surge(&self) -> i64 {
        scaled(self.set.at("/spec/updateStrategy/rollingUpdate/maxSurge"), self.desired(), true)
    }

    fn desired(&self) -> i64 {
        i64::try_from(self.nodes.iter().filter(|node| node.runs).count()).unwrap_or_default()
    }

    fn available(&self, pod: &Object) -> bool {
        is_available(pod, self.set.count("/spec/minReadySeconds"), self.now)
    }

    /// Starts what is missing and takes away what is too much.
    fn manage(&self) -> Vec<Write> {
        let mut writes = Vec::new();
        for node in self.nodes {
            if node.runs && node.pods.is_empty() {
                writes.push(self.start(&node.name));
                continue;
            }
            if !node.stays {
                for pod in node.pods.iter().filter(|pod| !pod.is_terminating()) {
                    writes.push(self.stop(pod));
                }
                continue;
            }
            let mut living: Vec<&Object> = Vec::new();
            for pod in node.pods.iter().filter(|pod| !pod.is_terminating()) {
                if is_over(pod) {
                    let text =
                        format!("Found failed daemon pod {} on node {}, will try to kill it", pod.key(), node.name);
                    writes.push(Write::event(self.set, "Warning", "FailedDaemonPod", text));
                    writes.push(self.stop(pod));
                } else {
                    living.push(pod);
                }
            }
            // With surge, an old and a new one may stand beside each other.
            let allowed = if self.surge() > 0 { self.beside(&living) } else { 1 };
            living.sort_by_key(|pod| (!pod.is("Ready"), pod.created(), pod.name().to_owned()));
            for pod in living.into_iter().skip(allowed) {
                writes.push(self.stop(pod));
            }
        }
        writes
    }

    fn beside(&self, living: &[&Object]) -> usize {
        let new = living.iter().any(|pod| self.is_new(pod));
        let old = living.iter().any(|pod| !self.is_new(pod));
        usize::from(new) + usize::from(old)
    }

    fn is_new(&self, pod: &Object) -> bool {
        pod.label(HASH) == Some(self.hash)
    }

    /// One step of a rolling update.
    fn roll(&self) -> Vec<Write> {
        let desired = self.desired();
        let surge = self.surge();
        let mut unavailable = scaled(self.set.at("/spec/updateStrategy/rollingUpdate/maxUnavailable"), desired, true);
        if surge == 0 && unavailable == 0 {
            unavailable = 1;
        }
        let (mut down, mut surging) = (0, 0);
        let (mut must, mut may): (Vec<&Object>, Vec<&Object>) = (Vec::new(), Vec::new());
        let (mut starts, mut could_start): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        for node in self.nodes.iter().filter(|node| node.runs || !node.pods.is_empty()) {
            let living: Vec<&&Object> = node.pods.iter().filter(|pod| !pod.is_terminating()).collect();
            let new: Vec<&&&Object> = living.iter().filter(|pod| self.is_new(pod)).collect();
            let old: Vec<&&&Object> = living.iter().filter(|pod| !self.is_new(pod)).collect();
            match (new.as_slice(), old.as_slice()) {
                ([], []) => down += i64::from(surge == 0),
                ([new], []) => down += i64::from(surge == 0 && !self.available(new)),
                ([], [old]) if surge == 0 => {
                    if self.available(old) {
                        may.push(old);
                    } else {
                        down += 1;
                        must.push(old);
                    }
                }
                ([], [old]) => {
                    if self.available(old) {
                        could_start.push(&node.name);
                    } else {
                        starts.push(&node.name);
                    }
                }
                ([new], [old]) if surge > 0 => {
                    if self.available(new) {
                        must.push(old);
                    } else {
                        surging += 1;
                    }
                }
                _ => {}
            }
        }
        let some = |count: i64| usize::try_from(count).unwrap_or_default();
        must.extend(may.into_iter().take(some(unavailable - down)));
        starts.extend(could_start.into_iter().take(some(surge - surging)));
        let mut writes: Vec<Write> = starts.into_iter().map(|node| self.start(node)).collect();
        for pod in must {
            writes.push(self.stop(pod));
        }
        writes
    }

    fn start(&self, node: &str) -> Write {
        let mut pod = from_template(self.set.at("/spec/template"), &Kind::DAEMON_SET, self.set);
        pod["metadata"]["labels"][HASH] = self.hash.into();
        pod["metadata"]["labels"]["pod-template-generation"] = self.set.generation().to_string().into();
        pod["spec"]["tolerations"] = tolerations(&pod["spec"]).into();
        let only = json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]);
        pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
            json!({"nodeSelectorTerms": only});
        made(self.set, pod)
    }

    fn stop(&self, pod: &Object) -> Write {
        taken_away(self.set, pod)
    }

    /// The status is written after each round, of what is known by then: of what the round has made too.
    fn status(&self, made: usize) -> Value {
        let (mut current, mut ready, mut available, mut updated, mut misplaced) = (0, 0, 0, 0, 0);
        for node in self.nodes {
            let mut pods: Vec<&&Object> = node.pods.iter().collect();
            pods.sort_by_key(|pod| (pod.is_terminating(), !pod.is("Ready"), std::cmp::Reverse(pod.created())));
            if !node.runs {
                misplaced += i64::from(!pods.is_empty());
                continue;
            }
            current += i64::from(!pods.is_empty());
            let Some(pod) = pods.first() else { continue };
            ready += i64::from(pod.is("Ready"));
            available += i64::from(self.available(pod));
            updated += i64::from(self.is_new(pod));
        }
        let desired = self.desired();
        let made = i64::try_from(made).unwrap_or_default();
        current += made;
        updated += made;
        let mut status = json!({
            "currentNumberScheduled": current, "numberMisscheduled": misplaced, "desiredNumberScheduled": desired,
            "numberReady": ready, "observedGeneration": self.set.generation(),
        });
        // What is zero is left out, as Go leaves it out of these.
        for (field, count) in [
            ("updatedNumberScheduled", updated),
            ("numberAvailable", available),
            ("numberUnavailable", desired - available),
        ] {
            if count != 0 {
                status[field] = count.into();
            }
        }
        if let Some(collisions) = self.set.number("/status/collisionCount") {
            status["collisionCount"] = collisions.into();
        }
        status
    }
}
