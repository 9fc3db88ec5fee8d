//! Jobs: pods that are to end well so many times.
//!
//! After `pkg/controller/job` of v1.34, with its way of counting by finalizers. Indexed
//! completion, pod failure policies and success policies are not imitated.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::cache::Cache;
use super::super::controller::{Controller, Round, Runs, Trigger};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::queue::Backoff;
use super::super::write::{Form, Write};
use super::pods::{controller_of, from_template, is_over, made, status_write, taken_away, text, with_condition};

/// Keeps a pod from going before it was counted.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// The first wait after a failed pod, doubled up to the longest (`DefaultJobPodFailureBackOff`, `MaxJobPodFailureBackOff`).
const FIRST_WAIT: i64 = 10;
const LONGEST_WAIT: i64 = 600;

/// The controller.
pub(super) fn controller() -> Box<dyn Runs> {
    Controller {
        name: "job-controller",
        triggers: vec![Trigger::itself(Kind::JOB), Trigger::on(Kind::POD, |change, _| controller_of(change, "Job"))],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(())
}

fn reconcile(key: &Key, cache: &Cache, (): &mut (), now: Timestamp) -> Round {
    let Some(job) = cache.of(&Kind::JOB, key) else {
        // Nobody will count the pods that it left.
        let left = cache.within(&Kind::POD, &key.namespace).filter(|pod| {
            pod.has_finalizer(TRACKING)
                && pod.controller().is_some_and(|owner| owner["kind"] == "Job" && owner["name"] == key.name.as_str())
        });
        return Round::writes(left.map(freed).collect());
    };
    let pods: Vec<&Object> = cache.controlled(&Kind::POD, job).collect();
    if job.is_terminating() {
        return Round::writes(pods.into_iter().filter(|pod| pod.has_finalizer(TRACKING)).map(freed).collect());
    }
    if let Some(finished) = finished(job) {
        let mut round =
            Round::writes(pods.iter().filter(|pod| pod.has_finalizer(TRACKING)).map(|pod| freed(pod)).collect());
        if let Some(seconds) = job.number("/spec/ttlSecondsAfterFinished") {
            let at = finished + SignedDuration::from_secs(seconds);
            if at <= now {
                round.writes.push(Write::delete(&Kind::JOB, job).with_propagation("Background"));
            } else {
                round = round.look_at(now, at);
            }
        }
        return round;
    }
    Sync { job, pods, now }.step()
}

/// When it finished, if it has.
fn finished(job: &Object) -> Option<Timestamp> {
    ["Complete", "Failed"].iter().find_map(|kind| {
        let condition = job.condition(kind).filter(|condition| condition["status"] == "True")?;
        condition["lastTransitionTime"].as_str()?.parse().ok()
    })
}

fn freed(pod: &Object) -> Write {
    let body = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": [TRACKING], "uid": pod.uid()}});
    Write::patch(&Kind::POD, pod.key(), Form::Strategic, body).forgiving(&[404, 409])
}

struct Sync<'a> {
    job: &'a Object,
    pods: Vec<&'a Object>,
    now: Timestamp,
}

/// A pod that has failed, or is on its way out before it succeeded.
fn has_failed(pod: &Object) -> bool {
    let phase = pod.text("/status/phase");
    phase == "Failed" || pod.is_terminating() && phase != "Succeeded"
}

/// When the last of its containers ended.
fn ended(pod: &Object) -> Option<Timestamp> {
    let ends = pod.items("/status/containerStatuses").iter();
    ends.filter_map(|own| own.pointer("/state/terminated/finishedAt")?.as_str()?.parse().ok()).max()
}

impl Sync<'_> {
    fn listed(&self, what: &str) -> Vec<String> {
        let list = self.job.items(&format!("/status/uncountedTerminatedPods/{what}"));
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn step(&self) -> Round {
        let (job, now) = (self.job, self.now);
        let (mut lost, mut won) = (self.listed("failed"), self.listed("succeeded"));
        // Those that were written down lose their finalizer, and are counted when it is gone.
        let waiting: Vec<&&Object> = self
            .pods
            .iter()
            .filter(|pod| {
                pod.has_finalizer(TRACKING) && [&lost, &won].iter().any(|list| list.iter().any(|uid| uid == pod.uid()))
            })
            .collect();
        if !waiting.is_empty() {
            return Round::writes(waiting.into_iter().map(|pod| freed(pod)).collect());
        }
        let mut failed = job.count("/status/failed") + size(&lost);
        let mut succeeded = job.count("/status/succeeded") + size(&won);
        lost.clear();
        won.clear();
        for pod in self.pods.iter().filter(|pod| pod.has_finalizer(TRACKING)) {
            if pod.text("/status/phase") == "Succeeded" {
                won.push(pod.uid().to_owned());
            } else if has_failed(pod) {
                lost.push(pod.uid().to_owned());
            }
        }
        let (all_failed, all_won) = (failed + size(&lost), succeeded + size(&won));
        let active: Vec<&&Object> = self.pods.iter().filter(|pod| !is_over(pod) && !pod.is_terminating()).collect();
        let suspended = job.flag("/spec/suspend");
        let mut conditions = job.items("/status/conditions").to_vec();
        let mut writes = Vec::new();
        let verdict = self.verdict(all_failed, all_won, &active).filter(|_| !suspended);
        let settled =
            conditions.iter().any(|own| own["type"] == "FailureTarget" || own["type"] == "SuccessCriteriaMet");
        let mut again = None;
        let mut stops = suspended;
        let mut told = None;
        if let Some((kind, interim, reason, message)) = &verdict {
            stops = true;
            self.condition(&mut conditions, interim, reason, message);
            // The last word comes when everything is counted and nothing runs any more.
            if lost.is_empty() && won.is_empty() && active.is_empty() && settled {
                self.condition(&mut conditions, kind, reason, message);
                told = Some(if *kind == "Complete" {
                    Write::event(job, "Normal", "Completed", "Job completed")
                } else {
                    Write::event(job, "Warning", reason, *message)
                });
            }
        }
        let mut count = size(&active);
        if stops {
            for pod in &active {
                writes.push(taken_away(job, pod));
            }
        } else if lost.is_empty() && won.is_empty() {
            let (wanted, wait) = (self.wanted(all_won, count), self.wait(all_failed));
            if let Some(wait) = wait.filter(|_| wanted > count) {
                again = Some(wait);
            } else {
                for _ in count..wanted {
                    writes.push(self.pod());
                }
                count = count.max(wanted);
            }
            for pod in active.iter().skip(usize::try_from(wanted).unwrap_or_default()) {
                writes.push(taken_away(job, pod));
            }
        }
        if suspended && !conditions.iter().any(|own| own["type"] == "Suspended" && own["status"] == "True") {
            self.condition(&mut conditions, "Suspended", "JobSuspended", "Job suspended");
        }
        failed = failed.max(0);
        succeeded = succeeded.max(0);
        let status = self.status(&conditions, (count, failed, succeeded), &lost, &won, stops);
        writes.extend(status_write(&Kind::JOB, job, status));
        // Its end is told when it is written down.
        writes.extend(told);
        let mut round = Round::writes(writes);
        if let Some(again) = again {
            round = round.look_again(again);
        }
        if let Some(end) = self.deadline() {
            round = round.look_at(now, end);
        }
        round
    }

    fn deadline(&self) -> Option<Timestamp> {
        let seconds = self.job.number("/spec/activeDeadlineSeconds")?;
        Some(self.job.time("/status/startTime")? + SignedDuration::from_secs(seconds))
    }

    /// How it ends, if it does: the last condition, the one before it, reason and message.
    fn verdict(
        &self,
        failed: i64,
        won: i64,
        active: &[&&Object],
    ) -> Option<(&'static str, &'static str, &'static str, &'static str)> {
        let limit = self.job.number("/spec/backoffLimit").unwrap_or(6);
        let restarts: i64 = if self.job.text("/spec/template/spec/restartPolicy") == "OnFailure" {
            let statuses = active.iter().flat_map(|pod| pod.items("/status/containerStatuses"));
            statuses.filter_map(|own| own["restartCount"].as_i64()).sum()
        } else {
            0
        };
        if failed > limit || restarts > 0 && restarts >= limit {
            let text = "Job has reached the specified backoff limit";
            return Some(("Failed", "FailureTarget", "BackoffLimitExceeded", text));
        }
        if self.deadline().is_some_and(|at| at <= self.now) {
            let text = "Job was active longer than specified deadline";
            return Some(("Failed", "FailureTarget", "DeadlineExceeded", text));
        }
        let done = match self.job.number("/spec/completions") {
            Some(completions) => won >= completions,
            None => won > 0 && active.is_empty(),
        };
        done.then_some((
            "Complete",
            "SuccessCriteriaMet",
            "CompletionsReached",
            "Reached expected number of succeeded pods",
        ))
    }

    fn wanted(&self, won: i64, active: i64) -> i64 {
        let parallel = self.job.number("/spec/parallelism").unwrap_or(1);
        match self.job.number("/spec/completions") {
            Some(completions) => parallel.min(completions - won),
            None if won > 0 => active,
            None => parallel,
        }
    }

    /// How long the next pod waits after failures in a row.
    fn wait(&self, failed: i64) -> Option<Duration> {
        if failed == 0 {
            return None;
        }
        let last = self.pods.iter().filter(|pod| has_failed(pod)).filter_map(|pod| ended(pod)).max()?;
        let doubled = FIRST_WAIT.saturating_mul(1 << (failed - 1).clamp(0, 20)).min(LONGEST_WAIT);
        let at = last + SignedDuration::from_secs(doubled);
        (at > self.now).then(|| super::super::controller::until(self.now, at))
    }

    fn pod(&self) -> Write {
        let mut pod = from_template(self.job.at("/spec/template"), &Kind::JOB, self.job);
        let mut finalizers = pod["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        finalizers.push(TRACKING.into());
        pod["metadata"]["finalizers"] = finalizers.into();
        made(self.job, pod)
    }

    fn condition(&self, conditions: &mut Vec<Value>, kind: &str, reason: &str, message: &str) {
        if conditions.iter().any(|own| own["type"] == kind && own["status"] == "True") {
            return;
        }
        let now = text(self.now);
        let condition = json!({
            "type": kind, "status": "True", "lastProbeTime": now, "lastTransitionTime": now,
            "reason": reason, "message": message,
        });
        with_condition(conditions, condition);
    }

    fn status(
        &self,
        conditions: &[Value],
        counts: (i64, i64, i64),
        lost: &[String],
        won: &[String],
        stops: bool,
    ) -> Value {
        let (active, failed, succeeded) = counts;
        let ready = self.pods.iter().filter(|pod| !is_over(pod) && !pod.is_terminating() && pod.is("Ready")).count();
        let terminating = self.pods.iter().filter(|pod| pod.is_terminating() && !is_over(pod)).count();
        let mut uncounted = json!({});
        for (field, list) in [("failed", lost), ("succeeded", won)] {
            if !list.is_empty() {
                uncounted[field] = json!(list);
            }
        }
        let started = self.job.at("/status/startTime");
        let started = if started.is_null() { text(self.now).into() } else { started.clone() };
        let mut status = json!({
            "ready": ready, "terminating": terminating, "startTime": started, "uncountedTerminatedPods": uncounted,
        });
        for (field, count) in [("active", if stops { 0 } else { active }), ("failed", failed), ("succeeded", succeeded)]
        {
            if count != 0 {
                status[field] = count.into();
            }
        }
        if !conditions.is_empty() {
            status["conditions"] = json!(conditions);
        }
        if let Some(complete) = conditions.iter().find(|own| own["type"] == "Complete") {
            status["completionTime"] = complete["lastTransitionTime"].clone();
        }
        status
    }
}

fn size<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).unwrap_or(i64::MAX)
}
