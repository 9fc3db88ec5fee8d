//! Disruption budgets: how many of their pods may be missing now.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::super::cache::Cache;
use super::super::controller::{Controller, Round, Runs, Trigger};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::queue::Backoff;
use super::super::select;
use super::super::workload::{scaled, status_write};
use super::super::write::Write;

/// An eviction that was granted counts for this long, until its pod is seen to go (`DeletionTimeout`).
const GRANTED: SignedDuration = SignedDuration::from_secs(120);

/// The controller.
pub(in crate::sim) fn controller() -> Box<dyn Runs> {
    Controller {
        name: "disruption-controller",
        triggers: vec![
            Trigger::itself(Kind::DISRUPTION_BUDGET),
            Trigger::on(Kind::POD, |change, cache| {
                let budgets = cache.within(&Kind::DISRUPTION_BUDGET, change.after.namespace());
                let meant =
                    |budget: &&Object| change.states().any(|pod| select::selects(budget.at("/spec/selector"), pod));
                budgets.filter(meant).map(Object::key).collect()
            }),
            Trigger::known(Kind::REPLICA_SET),
            Trigger::known(Kind::STATEFUL_SET),
        ],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(())
}

fn reconcile(key: &Key, cache: &Cache, (): &mut (), now: Timestamp) -> Round {
    let Some(budget) = cache.of(&Kind::DISRUPTION_BUDGET, key) else {
        return Round::idle();
    };
    let pods: Vec<&Object> = cache
        .within(&Kind::POD, &key.namespace)
        .filter(|pod| select::selects(budget.at("/spec/selector"), pod))
        .filter(|pod| !["Succeeded", "Failed"].contains(&pod.text("/status/phase")))
        .collect();
    let there = i64::try_from(pods.len()).unwrap_or_default();
    let (expected, desired) = if budget.at("/spec/maxUnavailable").is_null() {
        let least = budget.at("/spec/minAvailable");
        let expected = if least.is_string() { scale(&pods, cache) } else { there };
        (expected, if least.is_null() { 1 } else { scaled(least, expected, true) })
    } else {
        let expected = scale(&pods, cache);
        (expected, (expected - scaled(budget.at("/spec/maxUnavailable"), expected, true)).max(0))
    };
    let granted: Map<String, Value> = budget
        .at("/status/disruptedPods")
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, since)| {
            let since: Option<Timestamp> = since.as_str().and_then(|text| text.parse().ok());
            let still = since.is_some_and(|since| now.duration_since(since) < GRANTED);
            still && pods.iter().any(|pod| pod.name() == *name && !pod.is_terminating())
        })
        .map(|(name, since)| (name.clone(), since.clone()))
        .collect();
    let healthy =
        pods.iter().filter(|pod| pod.is("Ready") && !pod.is_terminating() && !granted.contains_key(pod.name())).count();
    let healthy = i64::try_from(healthy).unwrap_or_default();
    let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    let (truth, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let before = budget.condition("DisruptionAllowed").filter(|own| own["status"] == truth);
    let since = before
        .map_or_else(|| now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into(), |own| own["lastTransitionTime"].clone());
    let mut status = json!({
        "conditions": [{
            "type": "DisruptionAllowed", "status": truth, "reason": reason, "message": "",
            "lastTransitionTime": since, "observedGeneration": budget.generation(),
        }],
        "currentHealthy": healthy, "desiredHealthy": desired, "disruptionsAllowed": allowed, "expectedPods": expected,
        "observedGeneration": budget.generation(),
    });
    let waits = !granted.is_empty();
    if waits {
        status["disruptedPods"] = granted.into();
    }
    let writes: Vec<Write> = status_write(&Kind::DISRUPTION_BUDGET, budget, status).into_iter().collect();
    let round = Round::writes(writes);
    if waits { round.look_again(std::time::Duration::from_secs(120)) } else { round }
}

/// How many pods their controllers want together.
fn scale(pods: &[&Object], cache: &Cache) -> i64 {
    let owners: BTreeSet<(String, String)> = pods
        .iter()
        .filter_map(|pod| {
            let owner = pod.controller()?;
            Some((owner["kind"].as_str()?.to_owned(), owner["name"].as_str()?.to_owned()))
        })
        .collect();
    let Some(namespace) = pods.first().map(|pod| pod.namespace()) else {
        return 0;
    };
    let wanted = owners.iter().filter_map(|(kind, name)| {
        let kind = match kind.as_str() {
            "ReplicaSet" => Kind::REPLICA_SET,
            "StatefulSet" => Kind::STATEFUL_SET,
            _ => return None,
        };
        cache.get(&kind, namespace, name)?.number("/spec/replicas")
    });
    wanted.sum()
}
