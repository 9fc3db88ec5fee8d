//! Deployments: replica sets that follow one another.
//!
//! After `pkg/controller/deployment` of v1.34: `rolling.go`, `recreate.go`, `sync.go`, `progress.go`.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::cache::Cache;
use super::super::controller::{Controller, Round, Runs, Trigger};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::queue::Backoff;
use super::super::write::Write;
use super::pods::{controller_of, is_active, is_over, scaled, status_write, text};
use super::revision;

const REVISION: &str = "deployment.kubernetes.io/revision";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MOST: &str = "deployment.kubernetes.io/max-replicas";
const HASH: &str = "pod-template-hash";

/// The controller.
pub(super) fn controller() -> Box<dyn Runs> {
    Controller {
        name: "deployment-controller",
        triggers: vec![
            Trigger::itself(Kind::DEPLOYMENT),
            Trigger::on(Kind::REPLICA_SET, |change, _| controller_of(change, "Deployment")),
            // Recreate waits for the last old pod to go.
            Trigger::on(Kind::POD, |change, cache| {
                let sets = controller_of(change, "ReplicaSet");
                let sets = sets.iter().filter_map(|key| cache.of(&Kind::REPLICA_SET, key));
                sets.filter_map(|set| {
                    let owner = set.controller().filter(|owner| owner["kind"] == "Deployment")?;
                    Some(Key::new(set.namespace(), owner["name"].as_str()?))
                })
                .filter(|_| change.deleted || is_over(&change.after))
                .collect()
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
    let Some(deployment) = cache.of(&Kind::DEPLOYMENT, key) else {
        return Round::idle();
    };
    let mut sets: Vec<&Object> = cache.controlled(&Kind::REPLICA_SET, deployment).collect();
    sets.sort_by_key(|set| (set.created(), set.name().to_owned()));
    let new = sets.iter().position(|set| same_template(set, deployment));
    let new = new.map(|at| sets.remove(at));
    let sync = Sync { deployment, new, old: sets, now };
    if deployment.is_terminating() || deployment.flag("/spec/paused") {
        let mut writes = if deployment.is_terminating() { Vec::new() } else { sync.proportional() };
        writes.extend(status_write(&Kind::DEPLOYMENT, deployment, sync.status(None)));
        return Round::writes(writes);
    }
    let mut writes = match deployment.text("/spec/strategy/type") {
        "Recreate" => sync.recreate(cache),
        _ => sync.roll(),
    };
    let created = sync.created(&writes);
    if writes.is_empty() {
        writes.extend(sync.clean());
    }
    writes.extend(sync.told(created.as_deref()));
    let mut round = Round::writes(writes);
    if let Some(at) = sync.deadline() {
        round = round.look_at(now, at);
    }
    round
}

/// Whether a replica set is of the deployment's present template: equal but for the hash.
fn same_template(set: &Object, deployment: &Object) -> bool {
    let mut own = set.at("/spec/template").clone();
    if let Some(labels) = own["metadata"]["labels"].as_object_mut() {
        labels.shift_remove(HASH);
    }
    own == *deployment.at("/spec/template")
}

fn replicas(set: &Object) -> i64 {
    set.number("/spec/replicas").unwrap_or(1)
}

struct Sync<'a> {
    deployment: &'a Object,
    new: Option<&'a Object>,
    /// The oldest first.
    old: Vec<&'a Object>,
    now: Timestamp,
}

impl Sync<'_> {
    fn wanted(&self) -> i64 {
        replicas(self.deployment)
    }

    fn surge(&self) -> i64 {
        if self.deployment.text("/spec/strategy/type") == "Recreate" {
            return 0;
        }
        scaled(self.deployment.at("/spec/strategy/rollingUpdate/maxSurge"), self.wanted(), true)
    }

    fn unavailable(&self) -> i64 {
        if self.deployment.text("/spec/strategy/type") == "Recreate" || self.wanted() == 0 {
            return 0;
        }
        let most = scaled(self.deployment.at("/spec/strategy/rollingUpdate/maxUnavailable"), self.wanted(), false);
        // Both zero would be a standstill.
        let most = if most == 0 && self.surge() == 0 { 1 } else { most };
        most.min(self.wanted())
    }

    fn all(&self) -> impl Iterator<Item = &Object> {
        self.old.iter().copied().chain(self.new)
    }

    fn sum(&self, of: impl Fn(&Object) -> i64) -> i64 {
        self.all().map(of).sum()
    }

    /// How many pods the new set may have now (`NewRSNewReplicas`).
    fn new_size(&self) -> i64 {
        if self.deployment.text("/spec/strategy/type") == "Recreate" {
            return self.wanted();
        }
        let (total, own) = (self.sum(replicas), self.new.map_or(0, replicas));
        let most = self.wanted() + self.surge();
        if own > self.wanted() {
            self.wanted()
        } else if total >= most {
            own
        } else {
            own + (most - total).min(self.wanted() - own)
        }
    }

    /// The revision of the present template.
    fn number(&self) -> i64 {
        let of = |set: &Object| set.annotation(REVISION).and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
        let newest = self.old.iter().map(|set| of(set)).max().unwrap_or_default();
        self.new.map_or(0, of).max(newest + 1)
    }

    /// The writes that make the new set what it must be; it may not be scaled yet.
    fn settle_new(&self, size: i64) -> Vec<Write> {
        let number = self.number().to_string();
        let mut writes = Vec::new();
        let most = (self.wanted() + self.surge()).to_string();
        match self.new {
            None => {
                let template = self.deployment.at("/spec/template");
                let hash = revision::hash(template, self.deployment.count("/status/collisionCount"));
                let name = format!("{}-{hash}", self.deployment.name());
                let mut template = template.clone();
                template["metadata"]["labels"][HASH] = hash.clone().into();
                let mut selector = self.deployment.at("/spec/selector").clone();
                selector["matchLabels"][HASH] = hash.into();
                let mut annotations = json!({DESIRED: self.wanted().to_string(), MOST: most, REVISION: number});
                for (key, value) in self.deployment.at("/metadata/annotations").as_object().into_iter().flatten() {
                    if key != REVISION && key != "kubectl.kubernetes.io/last-applied-configuration" {
                        annotations[key] = value.clone();
                    }
                }
                let set = json!({
                    "metadata": {
                        "name": name, "namespace": self.deployment.namespace(),
                        "labels": template["metadata"]["labels"], "annotations": annotations,
                        "ownerReferences": [Kind::DEPLOYMENT.owner(self.deployment.name(), self.deployment.uid())],
                    },
                    "spec": {
                        "replicas": size, "selector": selector, "template": template,
                        "minReadySeconds": self.deployment.at("/spec/minReadySeconds"),
                    },
                });
                let create = Write::create(&Kind::REPLICA_SET, without_nulls(set));
                let text = format!("Scaled up replica set {name} from 0 to {size}");
                let told = size > 0;
                writes.push(if told { create.telling(self.deployment, "ScalingReplicaSet", &text) } else { create });
            }
            Some(set) => {
                let stale = set.annotation(REVISION) != Some(&number)
                    || set.annotation(DESIRED) != Some(&*self.wanted().to_string())
                    || set.annotation(MOST) != Some(&*most);
                if stale || replicas(set) != size {
                    writes.push(self.resize(set, size, Some(&number)));
                }
            }
        }
        writes
    }

    fn resize(&self, set: &Object, size: i64, number: Option<&str>) -> Write {
        let before = replicas(set);
        let mut changed = set.to_value();
        changed["spec"]["replicas"] = size.into();
        changed["metadata"]["annotations"][DESIRED] = self.wanted().to_string().into();
        changed["metadata"]["annotations"][MOST] = (self.wanted() + self.surge()).to_string().into();
        if let Some(number) = number {
            changed["metadata"]["annotations"][REVISION] = number.into();
        }
        let update = Write::update(&Kind::REPLICA_SET, changed);
        if before == size {
            return update;
        }
        let word = if size > before { "up" } else { "down" };
        let text = format!("Scaled {word} replica set {} from {before} to {size}", set.name());
        update.telling(self.deployment, "ScalingReplicaSet", &text)
    }

    /// One step of a rolling update.
    fn roll(&self) -> Vec<Write> {
        let writes = self.settle_new(self.new_size());
        if !writes.is_empty() {
            return writes;
        }
        let Some(new) = self.new else { return Vec::new() };
        let total = self.sum(replicas);
        let least = self.wanted() - self.unavailable();
        let new_unavailable = replicas(new) - new.count("/status/availableReplicas");
        let mut room = total - least - new_unavailable;
        // What old sets say of themselves may be older than what they were told to be.
        if room <= 0 {
            return Vec::new();
        }
        let mut writes = Vec::new();
        let mut left: Vec<(&Object, i64)> = self.old.iter().map(|set| (*set, replicas(set))).collect();
        // What is not healthy anyway goes first.
        for (set, size) in &mut left {
            let sick = (*size - set.count("/status/availableReplicas")).min(room).max(0);
            *size -= sick;
            room -= sick;
        }
        let available = self.sum(|set| set.count("/status/availableReplicas"));
        let mut room = (available - least).max(0);
        for (set, size) in &mut left {
            let healthy = (*size).min(room);
            let healthy = if *size == replicas(set) || healthy > 0 { healthy } else { 0 };
            *size -= healthy;
            room -= healthy;
        }
        for (set, size) in left {
            if size < replicas(set) {
                writes.push(self.resize(set, size, None));
            }
        }
        writes
    }

    /// One step of a change that first takes all old pods away.
    fn recreate(&self, cache: &Cache) -> Vec<Write> {
        let mut writes = Vec::new();
        for set in self.old.iter().filter(|set| replicas(set) > 0) {
            writes.push(self.resize(set, 0, None));
        }
        let lives = |set: &&Object| {
            cache.controlled(&Kind::POD, set).any(|pod| !is_over(pod) && (is_active(pod) || pod.is_terminating()))
        };
        if !writes.is_empty() || self.old.iter().any(lives) {
            return writes;
        }
        self.settle_new(self.wanted())
    }

    /// A paused deployment is still scaled: its newest set takes the difference.
    fn proportional(&self) -> Vec<Write> {
        let active: Vec<&Object> = self.all().filter(|set| replicas(set) > 0).collect();
        match active.as_slice() {
            [only] if replicas(only) != self.wanted() => vec![self.resize(only, self.wanted(), None)],
            _ => Vec::new(),
        }
    }

    /// Deletes the oldest sets beyond the limit, once the rollout is complete.
    fn clean(&self) -> Vec<Write> {
        if !self.is_complete() {
            return Vec::new();
        }
        let limit =
            usize::try_from(self.deployment.number("/spec/revisionHistoryLimit").unwrap_or(10)).unwrap_or_default();
        let empty: Vec<&&Object> = self
            .old
            .iter()
            .filter(|set| replicas(set) == 0 && set.count("/status/replicas") == 0 && !set.is_terminating())
            .collect();
        let excess = empty.len().saturating_sub(limit);
        empty.into_iter().take(excess).map(|set| Write::delete(&Kind::REPLICA_SET, set)).collect()
    }

    fn is_complete(&self) -> bool {
        let total = self.sum(|set| set.count("/status/replicas"));
        let new = |field: &str| self.new.map_or(0, |set| set.count(field));
        let wanted = self.wanted();
        new("/status/replicas") == wanted
            && total == wanted
            && self.sum(|set| set.count("/status/availableReplicas")) == wanted
            && self.deployment.count("/status/observedGeneration") >= self.deployment.generation()
    }

    /// The name of the set that these writes create.
    fn created(&self, writes: &[Write]) -> Option<String> {
        if self.new.is_some() || writes.is_empty() {
            return None;
        }
        let hash =
            revision::hash(self.deployment.at("/spec/template"), self.deployment.count("/status/collisionCount"));
        let scaled_only =
            self.deployment.text("/spec/strategy/type") == "Recreate" && self.old.iter().any(|set| replicas(set) > 0);
        (!scaled_only).then(|| format!("{}-{hash}", self.deployment.name()))
    }

    /// The write of status and revision, which upstream writes together.
    fn told(&self, created: Option<&str>) -> Option<Write> {
        let status = self.status(created);
        let number = self.number().to_string();
        let numbered = created.is_none() && self.new.is_none() || self.deployment.annotation(REVISION) == Some(&number);
        if numbered {
            return status_write(&Kind::DEPLOYMENT, self.deployment, status);
        }
        let mut changed = self.deployment.to_value();
        changed["status"] = status;
        changed["metadata"]["annotations"][REVISION] = number.into();
        Some(Write::update_status(&Kind::DEPLOYMENT, changed))
    }

    fn status(&self, created: Option<&str>) -> Value {
        if created.is_some() {
            // Of a set that was just made only the condition is told; the counts follow when it has been seen.
            let mut status = self.deployment.at("/status").clone();
            if status.is_null() {
                status = json!({});
            }
            let conditions = self.conditions(created, (0, 0, 0, 0));
            if !conditions.is_empty() {
                status["conditions"] = conditions.into();
            }
            return status;
        }
        let sum = |field: &str| self.sum(|set| set.count(field));
        let total = sum("/status/replicas");
        let (ready, available) = (sum("/status/readyReplicas"), sum("/status/availableReplicas"));
        let updated = self.new.map_or(0, |set| set.count("/status/replicas"));
        let wanted_now = self.sum(replicas);
        let mut status = json!({});
        let mut set = |field: &str, count: i64| {
            if count != 0 {
                status[field] = count.into();
            }
        };
        set("observedGeneration", self.deployment.generation());
        set("replicas", total);
        set("updatedReplicas", updated);
        set("readyReplicas", ready);
        set("availableReplicas", available);
        set("unavailableReplicas", (wanted_now - available).max(0));
        let collisions = self.deployment.number("/status/collisionCount");
        set("collisionCount", collisions.unwrap_or_default());
        let conditions = self.conditions(None, (total, updated, ready, available));
        if !conditions.is_empty() {
            status["conditions"] = conditions.into();
        }
        status
    }

    fn conditions(&self, created: Option<&str>, counts: (i64, i64, i64, i64)) -> Vec<Value> {
        let deployment = self.deployment;
        let (total, updated, ready, available) = counts;
        let mut conditions: Vec<Value> = deployment.items("/status/conditions").to_vec();
        let now = text(self.now);
        let mut set = |kind: &str, status: &str, reason: &str, message: String| {
            let before = conditions.iter().position(|old| old["type"] == kind);
            if let Some(old) = before.map(|at| &conditions[at])
                && old["status"] == status
                && old["reason"] == reason
                && (kind == "Available" || reason != "ReplicaSetUpdated")
            {
                return;
            }
            let since = before.map(|at| &conditions[at]).filter(|old| old["status"] == status);
            let since = since.map_or_else(|| now.clone().into(), |old| old["lastTransitionTime"].clone());
            let condition = json!({
                "type": kind, "status": status, "lastUpdateTime": now, "lastTransitionTime": since,
                "reason": reason, "message": message,
            });
            if let Some(at) = before {
                conditions.remove(at);
            }
            conditions.push(condition);
        };
        let progresses =
            deployment.number("/spec/progressDeadlineSeconds").is_some_and(|seconds| seconds < i64::from(i32::MAX));
        if let Some(name) = created {
            if progresses {
                let text = format!("Created new replica set \"{name}\"");
                set("Progressing", "True", "NewReplicaSetCreated", text);
            }
            return conditions;
        }
        if available >= self.wanted() - self.unavailable() {
            set("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.".to_owned());
        } else {
            let text = "Deployment does not have minimum availability.".to_owned();
            set("Available", "False", "MinimumReplicasUnavailable", text);
        }
        if !progresses || deployment.is_terminating() || deployment.flag("/spec/paused") {
            return conditions;
        }
        let before = |field: &str| deployment.count(&format!("/status/{field}"));
        let name = self.new.map_or_else(
            || format!("Deployment \"{}\"", deployment.name()),
            |set| format!("ReplicaSet \"{}\"", set.name()),
        );
        let done = deployment.condition("Progressing").is_some_and(|old| old["reason"] == "NewReplicaSetAvailable");
        let complete = updated == self.wanted() && total == self.wanted() && available == self.wanted();
        let old_before = before("replicas") - before("updatedReplicas");
        let moved = updated > before("updatedReplicas")
            || total - updated < old_before
            || ready > before("readyReplicas")
            || available > before("availableReplicas");
        if done && before("replicas") == before("updatedReplicas") && total == updated {
            // A rollout that was once complete stays so.
        } else if complete {
            set("Progressing", "True", "NewReplicaSetAvailable", format!("{name} has successfully progressed."));
        } else if moved {
            set("Progressing", "True", "ReplicaSetUpdated", format!("{name} is progressing."));
        } else if self.is_late() {
            set("Progressing", "False", "ProgressDeadlineExceeded", format!("{name} has timed out progressing."));
        }
        conditions
    }

    /// When the rollout will have taken too long without a step; `None` if it is complete.
    fn deadline(&self) -> Option<Timestamp> {
        let seconds = self.deployment.number("/spec/progressDeadlineSeconds")?;
        let progressing = self.deployment.condition("Progressing")?;
        if ["NewReplicaSetAvailable", "ProgressDeadlineExceeded"].iter().any(|reason| progressing["reason"] == *reason)
        {
            return None;
        }
        let since: Timestamp = progressing["lastUpdateTime"].as_str()?.parse().ok()?;
        // One second more than upstream's comparison needs: times in objects are cut to seconds.
        Some(since + SignedDuration::from_secs(seconds.min(i64::from(i32::MAX)) + 1))
    }

    fn is_late(&self) -> bool {
        self.deadline().is_some_and(|at| at <= self.now)
    }
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(fields) = value["spec"].as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    value
}
