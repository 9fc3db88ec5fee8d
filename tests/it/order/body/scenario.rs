//! The scenarios: what is there, what is done to it, and when it is over.

use serde_json::{Value, json};

/// One thing that controllers are watched at.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Created first, by the collection's path below the namespace's group.
    pub(crate) setup: Vec<(&'static str, Value)>,
    /// How many ready pods there are when it has settled.
    pub(crate) settled: usize,
    pub(crate) act: Act,
    /// The collections that are watched.
    pub(crate) watched: &'static [&'static str],
    /// The event that ends it.
    pub(crate) ends_with: &'static str,
    /// What nothing puts in an order, even if it came in the same one in every run.
    pub(crate) apart: Apart,
}

/// Pairs of events that different actors bring about, each for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Apart {
    Nothing,
    /// The scheduler binds a pod while its set's controller counts it.
    BindingAndCounting,
    /// Each pod goes its own way.
    Pods,
    /// Each node's pods go their own way: one is deleted by the client, the next is made by its controller.
    Nodes,
}

impl Apart {
    /// Whether nothing puts these two events in an order.
    pub(crate) fn covers(self, one: &str, other: &str) -> bool {
        let is_binding = |event: &str| event.ends_with(": bound");
        let is_counting = |event: &str| event.contains("set: updated ");
        let (who, whom) = (subject(one), subject(other));
        match self {
            Self::Nothing => false,
            Self::BindingAndCounting => is_binding(one) && is_counting(other) || is_counting(one) && is_binding(other),
            Self::Pods => who.contains("pod ") && whom.contains("pod ") && who != whom,
            Self::Nodes => match (who.split_once(" of node "), whom.split_once(" of node ")) {
                (Some((_, node)), Some((_, other))) => node != other,
                _ => false,
            },
        }
    }
}

/// Whose event it is.
fn subject(event: &str) -> &str {
    event.split_once(": ").map_or(event, |(subject, _)| subject)
}

/// What is done to what has settled.
pub(crate) enum Act {
    /// A merge patch.
    Patch(&'static str, Value),
    /// A creation.
    Create(&'static str, Value),
    /// A deletion with options.
    Delete(&'static str, Value),
    /// A deletion of every pod, without grace.
    ForcePods,
}

const PODS: &str = "api/v1/pods";
const DAEMON_SETS: &str = "apis/apps/v1/daemonsets";
const STATEFUL_SETS: &str = "apis/apps/v1/statefulsets";
const DEPLOYMENTS: &str = "apis/apps/v1/deployments";
const REPLICA_SETS: &str = "apis/apps/v1/replicasets";
const REVISIONS: &str = "apis/apps/v1/controllerrevisions";
const JOBS: &str = "apis/batch/v1/jobs";

/// A template whose container stops when it is told to, or fails by itself.
fn template(script: &str, restart: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "x"}},
        "spec": {
            "terminationGracePeriodSeconds": 10, "restartPolicy": restart, "automountServiceAccountToken": false,
            "containers": [{
                "name": "main", "image": "busybox:1.36", "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", script],
            }],
        },
    })
}

const STAYS: &str = "trap 'exit 0' TERM; sleep 1000 & wait";
/// The script by which an arm knows a container that is to fail.
pub(crate) const FAILS: &str = "sleep 1; exit 1";

fn set(kind: &str, extra: &Value) -> Value {
    let mut spec = json!({
        "selector": {"matchLabels": {"app": "x"}}, "template": template(STAYS, "Always"),
    });
    for (name, value) in extra.as_object().into_iter().flatten() {
        spec[name] = value.clone();
    }
    json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "x"}, "spec": spec})
}

fn changed_template() -> Value {
    json!({"spec": {"template": {"metadata": {"annotations": {"changed": "yes"}}}}})
}

/// All scenarios.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"},
        "spec": {"backoffLimit": 1, "template": template(FAILS, "Never")},
    });
    vec![
        Scenario {
            name: "daemon set rollout",
            setup: vec![(DAEMON_SETS, set("DaemonSet", &json!({})))],
            settled: 3,
            act: Act::Patch("apis/apps/v1/daemonsets/x", changed_template()),
            watched: &[DAEMON_SETS, REVISIONS, PODS],
            ends_with: "daemonset: complete",
            apart: Apart::BindingAndCounting,
        },
        Scenario {
            name: "force delete of all pods",
            setup: vec![(DAEMON_SETS, set("DaemonSet", &json!({})))],
            settled: 3,
            act: Act::ForcePods,
            watched: &[PODS],
            ends_with: "3 new pods: ready",
            apart: Apart::Nodes,
        },
        Scenario {
            name: "failure of a job",
            setup: Vec::new(),
            settled: 0,
            act: Act::Create(JOBS, job),
            watched: &[JOBS, PODS],
            ends_with: "job: failed for good",
            apart: Apart::Nothing,
        },
        Scenario {
            name: "foreground deletion",
            setup: vec![(DEPLOYMENTS, set("Deployment", &json!({"replicas": 2})))],
            settled: 2,
            act: Act::Delete("apis/apps/v1/deployments/x", json!({"propagationPolicy": "Foreground"})),
            watched: &[DEPLOYMENTS, REPLICA_SETS, PODS],
            ends_with: "deployment: gone",
            apart: Apart::Pods,
        },
        Scenario {
            name: "stateful set rollout",
            setup: vec![(STATEFUL_SETS, set("StatefulSet", &json!({"replicas": 3, "serviceName": "x"})))],
            settled: 3,
            act: Act::Patch("apis/apps/v1/statefulsets/x", changed_template()),
            watched: &[STATEFUL_SETS, REVISIONS, PODS],
            ends_with: "statefulset: complete",
            apart: Apart::Nothing,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_different_actors_do_is_apart() {
        for (apart, one, other, expected) in [
            (Apart::Nothing, "new pod 1: bound", "job: failed 1", false),
            (Apart::BindingAndCounting, "new pod of node 2: bound", "daemonset: updated 2", true),
            (Apart::BindingAndCounting, "new pod of node 2: created", "daemonset: updated 2", false),
            (Apart::Pods, "old pod 1: gone", "old pod 2: succeeded", true),
            (Apart::Pods, "old pod 1: gone", "old replicaset 1: gone", false),
            (Apart::Nodes, "old pod of node 3: gone", "new pod of node 1: created", true),
            (Apart::Nodes, "old pod of node 3: gone", "new pod of node 3: created", false),
        ] {
            assert_eq!(apart.covers(one, other), expected, "{apart:?}: {one}, {other}");
        }
        assert!(scenarios().iter().any(|scenario| scenario.apart == Apart::Nothing));
    }
}
