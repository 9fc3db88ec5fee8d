//! Instance managers: one per node and image, each with a pod in which engines and replicas run.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::kind;
use super::name;
use super::post::Post;
use super::process::{Deed, Life};
use super::site::time;
use super::timing::{MANAGER_POLL, RESYNC};
use super::{BACKOFF, FINALIZER};
use crate::sim::{Cache, Controller, Key, Kind, Object, Round, Runs, Trigger, Write};

/// The controller. Its keys are instance managers, and nodes for the one that each is to have.
pub(super) fn controller(post: &Post) -> Box<dyn Runs> {
    Controller {
        name: "longhorn-instance-manager-controller",
        triggers: vec![
            Trigger::itself(kind::INSTANCE_MANAGER),
            Trigger::itself(kind::NODE),
            Trigger::on(Kind::POD, |change, _| {
                let manages = change.after.label(COMPONENT) == Some("instance-manager");
                manages.then(|| change.after.key()).into_iter().collect()
            }),
        ],
        resync: Some(RESYNC),
        backoff: BACKOFF,
        awaits_own_writes: true,
        reconcile,
    }
    .with(post.clone())
}

pub(super) const COMPONENT: &str = "longhorn.io/component";

fn reconcile(key: &Key, cache: &Cache, post: &mut Post, now: Timestamp) -> Round {
    if key.namespace != post.namespace {
        return Round::idle();
    }
    if let Some(node) = cache.of(&kind::NODE, key) {
        return Round::writes(wanted(node, cache, post).into_iter().collect());
    }
    let Some(manager) = cache.of(&kind::INSTANCE_MANAGER, key) else { return Round::idle() };
    if !post.responsible(cache, manager.text("/spec/nodeID"), manager.text("/status/ownerID")) {
        return Round::idle();
    }
    let pod = cache.of(&Kind::POD, key);
    let mut draft = Draft::of(&kind::INSTANCE_MANAGER, manager);
    if manager.is_terminating() {
        return Round::writes(match pod {
            Some(pod) if !pod.is_terminating() => vec![Write::delete(&Kind::POD, pod)],
            Some(_) => Vec::new(),
            None => {
                draft.set("/metadata/finalizers", Value::Array(Vec::new()));
                draft.writes()
            }
        });
    }
    draft.set("/status/ownerID", post.node.as_str());
    let mut writes = tend(&mut draft, pod, cache, post, now);
    let deeds = match draft.text("/status/currentState") {
        "running" => post.data.instances(manager.name()).unwrap_or_default(),
        _ => std::collections::BTreeMap::new(),
    };
    let part = |engine: bool| -> Value {
        let own = deeds.iter().filter(|(_, deed)| deed.engine == engine);
        Value::Object(own.map(|(name, deed)| (name.clone(), shown(name, deed))).collect::<Map<_, _>>())
    };
    draft.set("/status/instanceEngines", part(true));
    draft.set("/status/instanceReplicas", part(false));
    if is_obsolete(manager, cache, post) && deeds.is_empty() && !post.data.is_wrong("old-im-kept") {
        writes.push(Write::delete(&kind::INSTANCE_MANAGER, manager));
    }
    let mut all = draft.writes();
    all.append(&mut writes);
    Round::writes(all).look_again(MANAGER_POLL)
}

/// The instance manager of this manager's own node and flags, if it is not there yet.
fn wanted(node: &Object, cache: &Cache, post: &Post) -> Option<Write> {
    let image = &post.instance_manager_image;
    let setting = post.setting(cache, "default-instance-manager-image", image);
    let name = name::instance_manager(&post.node, image);
    let there = cache.get(&kind::INSTANCE_MANAGER, &post.namespace, &name).is_some();
    (node.name() == post.node && setting == image && !there).then(|| {
        Write::create(
            &kind::INSTANCE_MANAGER,
            json!({
                "metadata": {
                    "name": name, "namespace": post.namespace, "finalizers": [FINALIZER], "labels": labels(&post.node, image),
                },
                "spec": {"image": image, "nodeID": post.node, "type": "aio", "dataEngine": "v1"},
            }),
        )
        .forgiving(&[409])
    })
}

fn labels(node: &str, image: &str) -> Value {
    json!({
        COMPONENT: "instance-manager", "longhorn.io/managed-by": "longhorn-manager",
        "longhorn.io/instance-manager-type": "aio", "longhorn.io/node": node,
        "longhorn.io/instance-manager-image": name::instance_manager_image(image), "longhorn.io/data-engine": "v1",
    })
}

/// Brings the pod to where it is to be, and the state to what the pod says.
fn tend(draft: &mut Draft, pod: Option<&Object>, cache: &Cache, post: &Post, now: Timestamp) -> Vec<Write> {
    let state = draft.text("/status/currentState").to_owned();
    let node_down = cache
        .get(&kind::NODE, &post.namespace, draft.before().text("/spec/nodeID"))
        .and_then(|node| node.condition("Ready"))
        .is_some_and(|ready| {
            let reason = ready["reason"].as_str().unwrap_or_default();
            ready["status"] == "False" && ["KubernetesNodeGone", "KubernetesNodeNotReady"].contains(&reason)
        });
    let (new, reason, writes) = match pod {
        _ if node_down => ("unknown", "NotFound", Vec::new()),
        None if ["running", "starting", "unknown"].contains(&state.as_str()) => ("error", "NotFound", Vec::new()),
        None => ("starting", "Starting", vec![Write::create(&Kind::POD, built(draft.before())).forgiving(&[409])]),
        Some(pod) if pod.is_terminating() => ("error", "Deleting", Vec::new()),
        Some(pod) if pod.is("Ready") => ("running", "Running", Vec::new()),
        Some(pod) if state == "running" || ["Failed", "Succeeded"].contains(&pod.text("/status/phase")) => {
            ("error", "Failed", vec![Write::delete(&Kind::POD, pod)])
        }
        Some(_) if state == "error" => ("error", "Failed", Vec::new()),
        Some(_) => ("starting", "Starting", Vec::new()),
    };
    draft.set("/status/currentState", new);
    let ip = pod.filter(|_| new == "running").map(|pod| pod.text("/status/podIP")).unwrap_or_default();
    draft.set("/status/ip", ip);
    for (field, number) in [("apiVersion", 6), ("apiMinVersion", 1), ("proxyApiVersion", 6), ("proxyApiMinVersion", 1)]
    {
        draft.set(&format!("/status/{field}"), if new == "running" { number } else { 0 });
    }
    let at = time(now);
    draft.condition("NodeReady", !node_down, "", "", &at);
    draft.condition("PodReady", new == "running", reason, "", &at);
    draft.condition("SettingSynced", true, "", "", &at);
    writes
}

/// Whether another image is this node's by now, and its instance manager runs.
fn is_obsolete(manager: &Object, cache: &Cache, post: &Post) -> bool {
    let image = post.setting(cache, "default-instance-manager-image", &post.instance_manager_image);
    let successor = name::instance_manager(manager.text("/spec/nodeID"), image);
    manager.text("/spec/image") != image
        && cache
            .get(&kind::INSTANCE_MANAGER, &post.namespace, &successor)
            .is_some_and(|own| own.text("/status/currentState") == "running")
}

fn shown(name: &str, deed: &Deed) -> Value {
    let error = if let Life::Error { message } = &deed.life { message.as_str() } else { "" };
    json!({
        "spec": {"name": name, "dataEngine": "v1"},
        "status": {
            "state": deed.life.word(), "errorMsg": error, "portStart": deed.port, "portEnd": deed.port,
            "type": if deed.engine { "engine" } else { "replica" },
        },
    })
}

/// Its pod.
fn built(manager: &Object) -> Value {
    let (node, image) = (manager.text("/spec/nodeID"), manager.text("/spec/image"));
    json!({
        "metadata": {
            "name": manager.name(), "namespace": manager.namespace(), "labels": labels(node, image),
            "ownerReferences": [kind::INSTANCE_MANAGER.owner(manager.name(), manager.uid())],
        },
        "spec": {
            "nodeName": node, "restartPolicy": "Never", "serviceAccountName": "longhorn-service-account",
            "automountServiceAccountToken": false, "tolerations": [{"operator": "Exists"}],
            "terminationGracePeriodSeconds": 30,
            "containers": [{
                "name": "instance-manager", "image": image, "imagePullPolicy": "IfNotPresent",
                "args": ["instance-manager", "--debug", "daemon", "--listen", "0.0.0.0:8500"],
                "readinessProbe": {
                    "tcpSocket": {"port": 8500}, "initialDelaySeconds": 3, "periodSeconds": 5, "timeoutSeconds": 4,
                },
            }],
        },
    })
}
