//! Nodes and disks: who is ready, and who says so (longhorn.md 3.8).
//!
//! Every manager writes the readiness of all nodes from their manager pods. Since v1.11 a node
//! that is not ready takes its disks along, and only the node's own manager sets them back,
//! at its disk monitor's next tick.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::site::{Site, is, set_condition, status_write, time};
use super::{kind, name};
use crate::sim::{Backoff, Cache, Controller, Key, Kind, Object, Round, Runs, Trigger, Write};

/// The disk monitor's period (longhorn-manager `controller/monitor/disk_monitor.go`).
const MONITOR: i64 = 30;
/// Where the default disk is.
const PATH: &str = "/var/lib/longhorn/";
/// What the default disk is called; upstream's name ends in a hash of the path.
const DISK: &str = "default-disk-acc194bbe3d3f761";

/// The controller.
pub(super) fn controller(site: &Site) -> Box<dyn Runs> {
    Controller {
        name: "longhorn-node-controller",
        triggers: vec![
            Trigger::itself(kind::NODE),
            Trigger::on(Kind::POD, |change, cache| {
                let manager = change.after.label("app") == Some("longhorn-manager");
                // Who is on which node does not matter: every node is looked at again.
                if manager { cache.all(&kind::NODE).map(Object::key).collect() } else { Vec::new() }
            }),
            Trigger::on(Kind::NODE, |change, cache| {
                let of = |node: &&Object| node.name() == change.after.name();
                if change.before.as_ref().is_some_and(|before| before.is("Ready") == change.after.is("Ready")) {
                    return Vec::new();
                }
                cache.all(&kind::NODE).filter(of).map(Object::key).collect()
            }),
            Trigger::known(kind::BACKING_IMAGE),
        ],
        resync: Some(Duration::from_secs(30)),
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(Memory { site: site.clone() })
}

struct Memory {
    site: Site,
}

/// A node's object, as the node's own manager makes it at its first start.
pub(super) fn object(namespace: &str, node: &str) -> Value {
    json!({
        "metadata": {"name": node, "namespace": namespace, "finalizers": [name::FINALIZER]},
        "spec": {
            "name": node, "allowScheduling": true, "evictionRequested": false, "instanceManagerCPURequest": 0,
            "tags": [],
            "disks": {DISK: {
                "allowScheduling": true, "diskDriver": "", "diskType": "filesystem", "evictionRequested": false,
                "path": PATH, "storageReserved": 0, "tags": [],
            }},
        },
    })
}

fn reconcile(key: &Key, cache: &Cache, memory: &mut Memory, now: Timestamp) -> Round {
    let site = &memory.site;
    let Some(node) = cache.of(&kind::NODE, key) else { return Round::idle() };
    let mut changed = node.to_value();
    let status = &mut changed["status"];
    if !status.is_object() {
        *status = json!({});
    }
    let (ready, reason, message) = readiness(site, cache, node.name());
    let before = is(node.at("/status/conditions"), "Ready");
    set_condition(&mut status["conditions"], "Ready", ready, reason, &message, now);
    let own = node.name() == site.node;
    if own {
        for kind in ["Schedulable", "MountPropagation", "RequiredPackages", "Multipathd", "KernelModulesLoaded"] {
            set_condition(&mut status["conditions"], kind, true, "", "", now);
        }
        for (field, value) in [("region", json!("")), ("zone", json!("")), ("autoEvicting", json!(false))] {
            status[field] = value;
        }
    }
    if !ready && site.release.disks_follow_nodes() {
        let disks = status["diskStatus"].as_object_mut();
        for (name, disk) in disks.into_iter().flatten() {
            let message = format!("Disk {name}({PATH}) on node {} is not ready: the node is not ready", node.name());
            for kind in ["Ready", "Schedulable"] {
                set_condition(&mut disk["conditions"], kind, false, "NodeNotReady", &message, now);
            }
        }
    }
    // The monitor ticks at whole periods after the controllers' start, the first of them after one period.
    let passed = now.duration_since(site.since).as_secs();
    let next = site.since + SignedDuration::from_secs((passed / MONITOR + 1) * MONITOR);
    let ticks = own && passed >= MONITOR;
    if ticks && ready {
        let wrong = site.plant.wrongs().is_set("disk-never-ready-again") && site.plant.restarts() > 0;
        if !(wrong && site.plant.is_stuck(node.name())) {
            monitored(site, cache, node, status, now);
        }
    }
    let mut writes: Vec<Write> = status_write(&kind::NODE, node, changed).into_iter().collect();
    if before != ready && !node.at("/status/conditions").is_null() || node.at("/status/conditions").is_null() {
        let kind = if ready { "Normal" } else { "Warning" };
        writes.push(Write::event(node, kind, "Ready", message));
    }
    let round = Round::writes(writes);
    if own { round.look_at(now, next) } else { round }
}

/// Whether a node is ready by its manager's pod and by Kubernetes.
fn readiness(site: &Site, cache: &Cache, node: &str) -> (bool, &'static str, String) {
    let Some(machine) = cache.get(&Kind::NODE, "", node) else {
        let message = format!(
            "Kubernetes node missing: node {node} has been removed from the cluster and there is no manager pod running on it"
        );
        return (false, "KubernetesNodeGone", message);
    };
    if !machine.is("Ready") {
        return (false, "KubernetesNodeNotReady", format!("Kubernetes node {node} not ready"));
    }
    let pod = cache
        .within(&Kind::POD, &site.namespace)
        .filter(|pod| pod.label("app") == Some("longhorn-manager") && pod.text("/spec/nodeName") == node);
    // Of a pod that goes and one that comes, the one that comes speaks.
    let pod = pod.max_by_key(|pod| (pod.created(), pod.revision()));
    match pod {
        None => {
            let message = format!("manager pod missing: node {node} has no manager pod running on it");
            (false, "ManagerPodMissing", message)
        }
        Some(pod) if pod.is("Ready") => (true, "", format!("Node {node} is ready")),
        Some(pod) => {
            (false, "ManagerPodDown", format!("Node {node} is down: the manager pod {} is not running", pod.name()))
        }
    }
}

/// What a tick of the node's own disk monitor writes.
fn monitored(site: &Site, cache: &Cache, node: &Object, status: &mut Value, now: Timestamp) {
    let spec = node.at("/spec/disks").as_object().cloned().unwrap_or_default();
    if !status["diskStatus"].is_object() {
        status["diskStatus"] = json!({});
    }
    for (disk, wanted) in &spec {
        let path = wanted["path"].as_str().unwrap_or(PATH);
        let own = &mut status["diskStatus"][disk];
        if own["diskUUID"].as_str().is_none_or(str::is_empty) {
            *own = json!({
                "diskUUID": uuid(&site.plant.hex(32)), "diskName": disk, "diskPath": path, "diskType": "filesystem",
                "diskDriver": "", "filesystemType": "ext4", "scheduledReplica": {}, "conditions": [],
                "storageMaximum": 100_000_000_000_i64, "storageAvailable": 80_000_000_000_i64, "storageScheduled": 0,
                "healthDataLastCollectedAt": time(now),
            });
        }
        for (kind, word) in [("Ready", "ready"), ("Schedulable", "schedulable")] {
            let message = format!("Disk {disk}({path}) on node {} is {word}", node.name());
            set_condition(&mut own["conditions"], kind, true, "", &message, now);
        }
        let uuid = own["diskUUID"].as_str().unwrap_or_default().to_owned();
        let images = cache
            .within(&kind::BACKING_IMAGE, &site.namespace)
            .filter(|image| image.at("/spec/diskFileSpecMap").get(&uuid).is_some());
        let images: serde_json::Map<String, Value> =
            images.map(|image| (image.name().to_owned(), json!(image.count("/status/size")))).collect();
        own["scheduledBackingImage"] = images.into();
    }
}

fn uuid(hex: &str) -> String {
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}
