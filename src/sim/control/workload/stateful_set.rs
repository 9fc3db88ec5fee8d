//! Stateful sets: pods with names of their own, one after another, each with its claims.
//!
//! After `pkg/controller/statefulset` of v1.34 (`stateful_set_control.go`).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::cache::Cache;
use super::super::controller::{Controller, Round, Runs, Trigger};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::queue::Backoff;
use super::super::write::Write;
use super::pods::{controller_of, from_template, is_available, is_over, next_available, status_write};
use super::revision::{HASH, history};

/// The controller.
pub(super) fn controller() -> Box<dyn Runs> {
    Controller {
        name: "statefulset-controller",
        triggers: vec![
            Trigger::itself(Kind::STATEFUL_SET),
            Trigger::on(Kind::POD, |change, _| controller_of(change, "StatefulSet")),
            Trigger::on(Kind::REVISION, |change, _| controller_of(change, "StatefulSet")),
            Trigger::known(Kind::CLAIM),
        ],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(())
}

fn reconcile(key: &Key, cache: &Cache, (): &mut (), now: Timestamp) -> Round {
    let Some(set) = cache.of(&Kind::STATEFUL_SET, key) else {
        return Round::idle();
    };
    if set.is_terminating() {
        return Round::idle();
    }
    let history = history(set, &Kind::STATEFUL_SET, cache);
    let mut pods: Vec<(i64, &Object)> =
        cache.controlled(&Kind::POD, set).filter_map(|pod| Some((ordinal(set, pod)?, pod))).collect();
    pods.sort_by_key(|(at, _)| *at);
    let sync = Sync { set, name: &history.name, pods, now };
    let mut writes = history.writes.clone();
    let replaced = if sync.act(cache, &mut writes) { sync.roll() } else { None };
    writes.extend(replaced.map(|pod| sync.taken_away(pod)));
    writes.extend(status_write(&Kind::STATEFUL_SET, set, sync.status(replaced)));
    let mut used: Vec<String> = sync.pods.iter().filter_map(|(_, pod)| pod.label(HASH)).map(str::to_owned).collect();
    used.push(sync.current());
    let limit = set.number("/spec/revisionHistoryLimit").unwrap_or(10);
    writes.extend(history.cleaned(limit, |hash| used.iter().any(|own| own.ends_with(hash))));
    let mut round = Round::writes(writes);
    round.again = next_available(sync.pods.iter().map(|(_, pod)| *pod), set.count("/spec/minReadySeconds"), now);
    round
}

fn ordinal(set: &Object, pod: &Object) -> Option<i64> {
    pod.name().strip_prefix(set.name())?.strip_prefix('-')?.parse().ok()
}

struct Sync<'a> {
    set: &'a Object,
    /// The name of the revision that is to be.
    name: &'a str,
    pods: Vec<(i64, &'a Object)>,
    now: Timestamp,
}

impl Sync<'_> {
    fn replicas(&self) -> i64 {
        self.set.number("/spec/replicas").unwrap_or(1)
    }

    /// The revision that was before the one that is to be.
    fn current(&self) -> String {
        let known = self.set.text("/status/currentRevision");
        if known.is_empty() { self.name.to_owned() } else { known.to_owned() }
    }

    fn pod(&self, at: i64) -> Option<&Object> {
        self.pods.iter().find(|(own, _)| *own == at).map(|(_, pod)| *pod)
    }

    fn is_healthy(&self, pod: &Object) -> bool {
        let min_ready = self.set.count("/spec/minReadySeconds");
        pod.text("/status/phase") == "Running" && !pod.is_terminating() && is_available(pod, min_ready, self.now)
    }

    /// Makes what is missing and takes away what is too much; whether there is nothing of that left to do.
    fn act(&self, cache: &Cache, writes: &mut Vec<Write>) -> bool {
        let start = self.set.count("/spec/ordinals/start");
        let end = start + self.replicas();
        let parallel = self.set.text("/spec/podManagementPolicy") == "Parallel";
        let before = writes.len();
        for at in start..end {
            match self.pod(at) {
                None => {
                    writes.extend(self.start(at, cache));
                    if !parallel {
                        return false;
                    }
                }
                Some(pod) if is_over(pod) && !pod.is_terminating() => {
                    writes.push(Write::delete(&Kind::POD, pod));
                    if !parallel {
                        return false;
                    }
                }
                Some(pod) if !self.is_healthy(pod) && !parallel => return false,
                Some(_) => {}
            }
        }
        for (at, pod) in self.pods.iter().rev() {
            if *at >= start && *at < end {
                continue;
            }
            if pod.is_terminating() {
                if !parallel {
                    return false;
                }
                continue;
            }
            // The one above goes only while those below stand.
            writes.push(self.taken_away(pod));
            if !parallel {
                return false;
            }
        }
        writes.len() == before
    }

    /// The next pod that a rolling update replaces: from the highest number down, each when those above are well.
    fn roll(&self) -> Option<&Object> {
        if self.set.text("/spec/updateStrategy/type") == "OnDelete" {
            return None;
        }
        let start = self.set.count("/spec/ordinals/start");
        let partition = self.set.count("/spec/updateStrategy/rollingUpdate/partition");
        for at in (start + partition..start + self.replicas()).rev() {
            let Some(pod) = self.pod(at) else { continue };
            if pod.label(HASH) != Some(self.name) && !pod.is_terminating() {
                return Some(pod);
            }
            if !self.is_healthy(pod) {
                return None;
            }
        }
        None
    }

    fn taken_away(&self, pod: &Object) -> Write {
        let text = format!("delete Pod {} in StatefulSet {} successful", pod.name(), self.set.name());
        Write::delete(&Kind::POD, pod).telling(self.set, "SuccessfulDelete", &text)
    }

    fn start(&self, at: i64, cache: &Cache) -> Vec<Write> {
        let set = self.set;
        let name = format!("{}-{at}", set.name());
        let partition = self.set.count("/spec/updateStrategy/rollingUpdate/partition");
        let old = at < set.count("/spec/ordinals/start") + partition && self.current() != self.name;
        let revision = if old { self.current() } else { self.name.to_owned() };
        let mut pod = from_template(set.at("/spec/template"), &Kind::STATEFUL_SET, set);
        if old && let Some(known) = cache.get(&Kind::REVISION, set.namespace(), &revision) {
            let mut template = known.at("/data/spec/template").clone();
            if let Some(fields) = template.as_object_mut() {
                fields.shift_remove("$patch");
            }
            pod = from_template(&template, &Kind::STATEFUL_SET, set);
        }
        if let Some(metadata) = pod["metadata"].as_object_mut() {
            metadata.shift_remove("generateName");
        }
        pod["metadata"]["name"] = name.clone().into();
        pod["metadata"]["labels"][HASH] = revision.into();
        pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = name.clone().into();
        pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"] = at.to_string().into();
        pod["spec"]["hostname"] = name.clone().into();
        pod["spec"]["subdomain"] = set.text("/spec/serviceName").into();
        let mut writes = Vec::new();
        let mut volumes = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
        for template in set.items("/spec/volumeClaimTemplates") {
            let volume = template["metadata"]["name"].as_str().unwrap_or_default();
            let claim = format!("{volume}-{name}");
            volumes.retain(|own| own["name"] != volume);
            volumes.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}}));
            if cache.get(&Kind::CLAIM, set.namespace(), &claim).is_none() {
                let mut metadata = template["metadata"].clone();
                metadata["name"] = claim.into();
                metadata["namespace"] = set.namespace().into();
                for (label, value) in set.at("/spec/selector/matchLabels").as_object().into_iter().flatten() {
                    metadata["labels"][label] = value.clone();
                }
                let object = json!({"metadata": metadata, "spec": template["spec"]});
                writes.push(Write::create(&Kind::CLAIM, object).forgiving(&[409]));
            }
        }
        if !volumes.is_empty() {
            pod["spec"]["volumes"] = volumes.into();
        }
        let text = format!("create Pod {name} in StatefulSet {} successful", set.name());
        writes.push(Write::create(&Kind::POD, pod).telling(set, "SuccessfulCreate", &text));
        writes
    }

    /// The status of the pods as they were when the round began, what it did shows in the next one; but
    /// one that is replaced is no longer counted among the current.
    fn status(&self, replaced: Option<&Object>) -> Value {
        let current = self.current();
        let count = |of: &dyn Fn(&Object) -> bool| {
            i64::try_from(self.pods.iter().filter(|(_, pod)| of(pod)).count()).unwrap_or_default()
        };
        let living = |pod: &Object| !pod.is_terminating() && !is_over(pod);
        let updated = count(&|pod| living(pod) && pod.label(HASH) == Some(self.name));
        let total = count(&|_| true);
        let runs = |pod: &Object| pod.text("/status/phase") == "Running";
        let ready = count(&|pod| runs(pod) && pod.is("Ready"));
        // One that is on its way out is available for as long as it is ready.
        let min_ready = self.set.count("/spec/minReadySeconds");
        let available = count(&|pod| runs(pod) && is_available(pod, min_ready, self.now));
        let wanted = self.replicas();
        // The new revision becomes the current one when all pods are of it and ready.
        let done = updated == wanted && total == wanted && ready == wanted;
        let current = if done { self.name.to_owned() } else { current };
        let stays = |pod: &Object| replaced.is_none_or(|replaced| replaced.uid() != pod.uid());
        let of_current = count(&|pod| living(pod) && stays(pod) && pod.label(HASH) == Some(&current));
        let mut status = json!({
            "observedGeneration": self.set.generation(), "replicas": total, "availableReplicas": available,
            "currentRevision": current, "updateRevision": self.name, "collisionCount": self.set.count("/status/collisionCount"),
        });
        for (field, count) in [("readyReplicas", ready), ("currentReplicas", of_current), ("updatedReplicas", updated)]
        {
            if count != 0 {
                status[field] = count.into();
            }
        }
        status
    }
}
