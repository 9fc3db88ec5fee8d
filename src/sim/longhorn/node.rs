//! Nodes and disks: who is ready, and who says so (longhorn.md 3.8).
//!
//! Every manager writes the readiness of all nodes from their manager pods. Since v1.11 a node
//! that is not ready takes its disks along, and only the node's own manager sets them back,
//! at its disk monitor's next report.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::site::{Site, condition, set_condition, status_write, time};
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
    let late = i64::try_from(site.plant.below(180)).unwrap_or_default();
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
    .with(Memory {
        site: site.clone(),
        monitor: None,
        reported: false,
        late: SignedDuration::from_millis(20 + late),
    })
}

struct Memory {
    site: Site,
    /// When the disk monitor reports next; none before the first look at the own node.
    monitor: Option<Timestamp>,
    /// Whether it has reported: from then on each look at the own node has its disks to tell of.
    reported: bool,
    /// By how much its reports are later than the informers' resync (measured 0 to 0.27 s).
    late: SignedDuration,
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
    let Some(node) = cache.of(&kind::NODE, key) else { return Round::idle() };
    let mut changed = node.to_value();
    let status = &mut changed["status"];
    if !status.is_object() {
        *status = json!({"autoEvicting": false, "region": "", "snapshotCheckStatus": {}, "zone": ""});
    }
    let mut told = Vec::new();
    let ready = readiness(&memory.site, cache, node.name());
    ready.put(node, &mut status["conditions"], &mut told, now);
    let own = node.name() == memory.site.node;
    if own {
        for (kind, message) in TOOLS {
            Said::yes(kind, (*message).to_owned()).put(node, &mut status["conditions"], &mut Vec::new(), now);
        }
    }
    if ready.holds {
        Said::yes("Schedulable", String::new()).put(node, &mut status["conditions"], &mut told, now);
    } else if memory.site.release.disks_follow_nodes() {
        follow(node, status, &mut told, now);
    }
    if own && memory.ticks(now) {
        memory.reported = true;
        Said::yes("MountPropagation", String::new()).put(node, &mut status["conditions"], &mut Vec::new(), now);
    }
    if own && memory.reported {
        let plant = &memory.site.plant;
        let stuck = plant.wrongs().is_set("disk-never-ready-again") && plant.restarts() > 0;
        if ready.holds && !(stuck && plant.is_stuck(node.name())) {
            monitored(&memory.site, cache, node, status, &mut told, now);
        }
    }
    let mut writes: Vec<Write> = status_write(&kind::NODE, node, changed).into_iter().collect();
    writes.append(&mut told);
    let round = Round::writes(writes);
    match memory.monitor.filter(|_| own) {
        Some(next) => round.look_at(now, next),
        None => round,
    }
}

impl Memory {
    /// Whether the disk monitor reports now. What it reports is all that says that a disk is ready again,
    /// and the first report comes one period after the controllers' start: just after the resync of that time,
    /// so that what waits for the disk waits for the next one (measured 59.7 to 59.9 s).
    fn ticks(&mut self, now: Timestamp) -> bool {
        let period = SignedDuration::from_secs(MONITOR);
        let next = self.monitor.get_or_insert(now + period + self.late);
        let due = *next <= now;
        while *next <= now {
            *next += period;
        }
        due
    }
}

/// What a node's manager says of its tools: they are there.
const TOOLS: &[(&str, &str)] = &[
    ("RequiredPackages", "All required packages [open-iscsi cryptsetup dmsetup nfs-common] are installed"),
    ("Multipathd", ""),
    ("NFSClientInstalled", ""),
    ("KernelModulesLoaded", "Kernel modules [dm_crypt] are loaded"),
];

/// A condition that is to be said.
struct Said {
    kind: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
}

impl Said {
    fn yes(kind: &'static str, message: String) -> Self {
        Self { kind, holds: true, reason: "", message }
    }

    fn no(kind: &'static str, reason: &'static str, message: String) -> Self {
        Self { kind, holds: false, reason, message }
    }

    /// Puts it among others; a change of its status is an event.
    fn put(&self, node: &Object, conditions: &mut Value, told: &mut Vec<Write>, now: Timestamp) {
        let before = condition(conditions, self.kind).is_some_and(|own| (own["status"] == "True") == self.holds);
        set_condition(conditions, self.kind, self.holds, self.reason, &self.message, now);
        if !before {
            let kind = if self.holds { "Normal" } else { "Warning" };
            told.push(Write::event(node, kind, self.kind, self.message.clone()));
        }
    }
}

/// The disks of a node that is not ready are not ready either (v1.11 on).
fn follow(node: &Object, status: &mut Value, told: &mut Vec<Write>, now: Timestamp) {
    for (name, disk) in status["diskStatus"].as_object_mut().into_iter().flatten() {
        let path = disk["diskPath"].as_str().unwrap_or(PATH).to_owned();
        for (kind, word) in DISK_STATES {
            let message = format!("Waiting for disk {name} ({path}) on node {} to be {word}", node.name());
            Said::no(kind, "NodeNotReady", message).put(node, &mut disk["conditions"], told, now);
        }
    }
}

/// The conditions of a disk, and their words.
const DISK_STATES: [(&str, &str); 2] = [("Ready", "ready"), ("Schedulable", "schedulable")];

/// Whether a node is ready by its manager's pod and by Kubernetes.
fn readiness(site: &Site, cache: &Cache, node: &str) -> Said {
    let no = |reason, message| Said::no("Ready", reason, message);
    let Some(machine) = cache.get(&Kind::NODE, "", node) else {
        let message = format!(
            "Kubernetes node missing: node {node} has been removed from the cluster and there is no manager pod running on it"
        );
        return no("KubernetesNodeGone", message);
    };
    if !machine.is("Ready") {
        return no("KubernetesNodeNotReady", format!("Kubernetes node {node} not ready"));
    }
    let pod = cache
        .within(&Kind::POD, &site.namespace)
        .filter(|pod| pod.label("app") == Some("longhorn-manager") && pod.text("/spec/nodeName") == node);
    // Of a pod that goes and one that comes, the one that comes speaks.
    match pod.max_by_key(|pod| (pod.created(), pod.revision())) {
        None => {
            let message = format!("Manager pod is missing: node {node} has no manager pod running on it");
            no("ManagerPodMissing", message)
        }
        // A pod so new that nothing is said of its readiness yet is no reason against its node (longhorn-manager
        // `controller/node_controller.go`, `setReadyConditionForManagerPod`; recorded: a node that was marked for
        // its missing pod is ready for 0.2 s once the new one is made).
        Some(pod) if pod.is("Ready") || condition(pod.at("/status/conditions"), "Ready").is_none() => {
            Said::yes("Ready", format!("Node {node} is ready"))
        }
        Some(pod) => no("ManagerPodDown", format!("Node {node} is down: manager pod {} is not running", pod.name())),
    }
}

/// What the reports of the node's own disk monitor say.
fn monitored(site: &Site, cache: &Cache, node: &Object, status: &mut Value, told: &mut Vec<Write>, now: Timestamp) {
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
        for (kind, word) in DISK_STATES {
            let message = format!("Disk {disk}({path}) on node {} is {word}", node.name());
            Said::yes(kind, message).put(node, &mut own["conditions"], told, now);
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
