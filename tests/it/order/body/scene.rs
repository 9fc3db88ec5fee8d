//! What is done to a cluster, and when it has come to rest again.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The objects that there are, by uid.
pub(crate) type Present = BTreeMap<String, Value>;

/// A cluster's own work after one act. `NS` in a path is the namespace.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    /// What is there before.
    pub(crate) given: Vec<Value>,
    /// Whether all of that is up.
    pub(crate) up: fn(&Present) -> bool,
    pub(crate) act: Act,
    /// Whether the work is done.
    pub(crate) done: fn(&Present) -> bool,
}

pub(crate) enum Act {
    Create(Value),
    Patch(&'static str, Value),
    Delete(&'static str, Value),
    /// Deletes each pod, one after another.
    DeletePods(Value),
}

/// The collection of a built-in kind.
pub(crate) fn collection(kind: &str) -> &'static str {
    match kind {
        "ConfigMap" => "/api/v1/namespaces/NS/configmaps",
        "DaemonSet" => "/apis/apps/v1/namespaces/NS/daemonsets",
        "Deployment" => "/apis/apps/v1/namespaces/NS/deployments",
        "StatefulSet" => "/apis/apps/v1/namespaces/NS/statefulsets",
        "Job" => "/apis/batch/v1/namespaces/NS/jobs",
        other => unreachable!("no scene makes a {other}"),
    }
}

const UP: &str = "trap 'exit 0' TERM; sleep 1; touch /up; sleep 100000 & wait";

fn template(shell: &str, probe: bool) -> Value {
    let mut container = json!({
        "name": "main", "image": "busybox:1.36", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", shell],
    });
    if probe {
        container["readinessProbe"] =
            json!({"exec": {"command": ["test", "-f", "/up"]}, "periodSeconds": 1, "failureThreshold": 1});
    }
    json!({
        "metadata": {"labels": {"app": "x"}},
        "spec": {
            "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 5, "containers": [container],
        },
    })
}

fn selector() -> Value {
    json!({"matchLabels": {"app": "x"}})
}

fn daemon_set() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "x"},
        "spec": {"selector": selector(), "template": template(UP, true)},
    })
}

fn deployment(replicas: u64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"},
        "spec": {
            "replicas": replicas, "selector": selector(), "template": template(UP, true),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        },
    })
}

fn stateful_set(replicas: u64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "x"},
        "spec": {
            "replicas": replicas, "serviceName": "x", "selector": selector(), "template": template(UP, true),
        },
    })
}

fn job(backoff_limit: u64) -> Value {
    let mut template = template("sleep 1; exit 1", false);
    template["spec"]["restartPolicy"] = "Never".into();
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"},
        "spec": {"backoffLimit": backoff_limit, "template": template},
    })
}

/// All scenes.
pub(crate) fn scenes() -> Vec<Scene> {
    let new_template = || json!({"spec": {"template": {"metadata": {"annotations": {"v": "2"}}}}});
    let base = |name, given: Vec<Value>, up, act, done| Scene { name, given, up, act, done };
    vec![
        base("daemon-set-start", Vec::new(), anything, Act::Create(daemon_set()), daemons_up),
        base(
            "daemon-set-rollout",
            vec![daemon_set()],
            daemons_up,
            Act::Patch("/apis/apps/v1/namespaces/NS/daemonsets/x", new_template()),
            daemons_up,
        ),
        base(
            "daemon-set-force-delete",
            vec![daemon_set()],
            daemons_up,
            Act::DeletePods(json!({"gracePeriodSeconds": 0})),
            daemons_up,
        ),
        base("deployment-start", Vec::new(), anything, Act::Create(deployment(2)), deployment_up),
        base(
            "deployment-rollout",
            vec![deployment(2)],
            deployment_up,
            Act::Patch("/apis/apps/v1/namespaces/NS/deployments/x", new_template()),
            deployment_up,
        ),
        base(
            "foreground-deletion",
            vec![deployment(2)],
            deployment_up,
            Act::Delete("/apis/apps/v1/namespaces/NS/deployments/x", json!({"propagationPolicy": "Foreground"})),
            nothing_left,
        ),
        base(
            "background-deletion",
            vec![daemon_set()],
            daemons_up,
            Act::Delete("/apis/apps/v1/namespaces/NS/daemonsets/x", json!({"propagationPolicy": "Background"})),
            nothing_left,
        ),
        base("stateful-set-start", Vec::new(), anything, Act::Create(stateful_set(2)), stateful_up),
        base(
            "stateful-set-rollout",
            vec![stateful_set(3)],
            stateful_up,
            Act::Patch("/apis/apps/v1/namespaces/NS/statefulsets/x", new_template()),
            stateful_rolled_out,
        ),
        base(
            "stateful-set-scale-down",
            vec![stateful_set(2)],
            stateful_up,
            Act::Patch("/apis/apps/v1/namespaces/NS/statefulsets/x", json!({"spec": {"replicas": 0}})),
            stateful_up,
        ),
        base("job-failure", Vec::new(), anything, Act::Create(job(1)), |present| {
            all(present, "Job").iter().any(|job| has_condition(job, "Failed"))
        }),
        base(
            "namespace-deletion",
            vec![
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "b"}}),
                deployment(1),
            ],
            deployment_up,
            Act::Delete("/api/v1/namespaces/NS", json!({})),
            Present::is_empty,
        ),
    ]
}

fn all<'a>(present: &'a Present, kind: &str) -> Vec<&'a Value> {
    present.values().filter(|object| object["kind"] == kind).collect()
}

fn has_condition(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|own| own["type"] == kind && own["status"] == "True")
}

fn anything(_: &Present) -> bool {
    true
}

/// The controllers have seen the latest specification.
fn observed(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

fn pods(present: &Present, count: u64) -> bool {
    let pods = all(present, "Pod");
    pods.len() as u64 == count && pods.iter().all(|pod| pod["metadata"]["deletionTimestamp"].is_null())
}

fn daemons_up(present: &Present) -> bool {
    all(present, "DaemonSet").iter().any(|set| {
        let counts = ["numberReady", "updatedNumberScheduled", "numberAvailable", "currentNumberScheduled"];
        observed(set) && counts.iter().all(|count| set["status"][*count] == 3)
    }) && pods(present, 3)
}

fn deployment_up(present: &Present) -> bool {
    all(present, "Deployment").iter().any(|deployment| {
        let wanted = &deployment["spec"]["replicas"];
        let counts = ["replicas", "readyReplicas", "updatedReplicas", "availableReplicas"];
        observed(deployment)
            && counts.iter().all(|count| deployment["status"][*count] == *wanted)
            && pods(present, wanted.as_u64().unwrap_or_default())
    })
}

fn stateful_up(present: &Present) -> bool {
    all(present, "StatefulSet").iter().any(|set| {
        let wanted = set["spec"]["replicas"].as_u64().unwrap_or_default();
        let is = |count: &str| set["status"][count].as_u64().unwrap_or_default() == wanted;
        observed(set) && is("replicas") && is("availableReplicas") && pods(present, wanted)
    })
}

fn stateful_rolled_out(present: &Present) -> bool {
    let done = |set: &&Value| set["status"]["currentRevision"] == set["status"]["updateRevision"];
    stateful_up(present) && all(present, "StatefulSet").iter().any(done)
}

fn nothing_left(present: &Present) -> bool {
    ["Pod", "ReplicaSet", "Deployment", "DaemonSet", "ControllerRevision"]
        .iter()
        .all(|kind| all(present, kind).is_empty())
}
