//! What one manager knows of itself, and how managers divide the work.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::plant::Plant;
use super::release::Release;
use super::{kind, setting};
use crate::sim::{Cache, Kind, Object, Write};

/// A manager process, as its controllers know it.
#[derive(Clone)]
pub(super) struct Site {
    /// The node that it runs on.
    pub(super) node: String,
    /// The namespace of everything.
    pub(super) namespace: String,
    /// The images that it was started with.
    pub(super) flags: Flags,
    /// What version it is.
    pub(super) release: Release,
    /// What exists outside the API.
    pub(super) plant: Plant,
}

/// The images in a manager's command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) manager: String,
    pub(super) engine: String,
    pub(super) instance_manager: String,
    pub(super) image_manager: String,
    pub(super) support_bundle: String,
}

impl Flags {
    /// The flags of a container's `command` and `args`.
    pub(super) fn of(container: &Value) -> Self {
        let words: Vec<&str> = ["command", "args"]
            .iter()
            .flat_map(|field| container[*field].as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        let flag = |name: &str| {
            let at = words.iter().position(|word| *word == name);
            at.and_then(|at| words.get(at + 1)).map_or_else(String::new, |value| (*value).to_owned())
        };
        Self {
            manager: flag("--manager-image"),
            engine: flag("--engine-image"),
            instance_manager: flag("--instance-manager-image"),
            image_manager: flag("--backing-image-manager-image"),
            support_bundle: flag("--support-bundle-manager-image"),
        }
    }
}

/// A disk that can be worked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadyDisk {
    pub(super) node: String,
    pub(super) uuid: String,
    pub(super) path: String,
}

impl Site {
    /// Whether this manager is the one to look after an object (`isControllerResponsibleFor`): the
    /// preferred owner, else the current one while the preferred is away, else anybody.
    pub(super) fn responsible(&self, cache: &Cache, preferred: &str, current: &str) -> bool {
        if self.is_available(cache, preferred) {
            self.node == preferred
        } else if self.is_available(cache, current) {
            self.node == current
        } else {
            true
        }
    }

    /// A node whose manager pod is down is still available; one whose pod is missing is not.
    pub(super) fn is_available(&self, cache: &Cache, node: &str) -> bool {
        cache.get(&kind::NODE, &self.namespace, node).is_some_and(|node| {
            let ready = condition(node.at("/status/conditions"), "Ready");
            let away = ["KubernetesNodeGone", "KubernetesNodeNotReady", "ManagerPodMissing"];
            !ready.is_some_and(|ready| {
                ready["status"] == "False" && ready["reason"].as_str().is_some_and(|reason| away.contains(&reason))
            })
        })
    }

    /// The disk of a UUID, if its node and itself are ready.
    pub(super) fn ready_disk(&self, cache: &Cache, uuid: &str) -> Option<ReadyDisk> {
        self.disks(cache).into_iter().filter(|(ready, _)| *ready).map(|(_, disk)| disk).find(|disk| disk.uuid == uuid)
    }

    /// All disks, each with whether it and its node are ready, in the order of the nodes.
    pub(super) fn disks(&self, cache: &Cache) -> Vec<(bool, ReadyDisk)> {
        let mut disks = Vec::new();
        for node in cache.within(&kind::NODE, &self.namespace) {
            let up = is(node.at("/status/conditions"), "Ready");
            for disk in node.at("/status/diskStatus").as_object().into_iter().flat_map(|disks| disks.values()) {
                let text = |field: &str| disk[field].as_str().unwrap_or_default().to_owned();
                let found = ReadyDisk { node: node.name().to_owned(), uuid: text("diskUUID"), path: text("diskPath") };
                disks.push((up && is(&disk["conditions"], "Ready"), found));
            }
        }
        disks
    }

    /// A setting's value, its default where there is none.
    pub(super) fn setting(&self, cache: &Cache, name: &str) -> String {
        setting::value(name, cache.get(&kind::SETTING, &self.namespace, name))
    }

    /// A setting's number; of one for each data engine the first engine's.
    pub(super) fn number(&self, cache: &Cache, name: &str) -> i64 {
        setting::number(&self.setting(cache, name))
    }
}

/// A condition in a list of Longhorn's own shape.
pub(super) fn condition<'a>(conditions: &'a Value, kind: &str) -> Option<&'a Value> {
    conditions.as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// Whether a condition is `True`.
pub(super) fn is(conditions: &Value, kind: &str) -> bool {
    condition(conditions, kind).is_some_and(|condition| condition["status"] == "True")
}

/// Sets a condition; its time moves only with its status.
pub(super) fn set_condition(
    conditions: &mut Value,
    kind: &str,
    truth: bool,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    put_condition(conditions, kind, truth, reason, message, &time(now));
}

/// The same with the time as objects carry it.
pub(super) fn put_condition(conditions: &mut Value, kind: &str, truth: bool, reason: &str, message: &str, now: &str) {
    let status = if truth { "True" } else { "False" };
    let before = condition(conditions, kind).filter(|own| own["status"] == status);
    let since = before.map_or_else(|| now.into(), |own| own["lastTransitionTime"].clone());
    let new = json!({
        "lastProbeTime": "", "lastTransitionTime": since, "message": message, "reason": reason, "status": status,
        "type": kind,
    });
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let list = conditions.as_array_mut().expect("it was made a list above");
    match list.iter_mut().find(|own| own["type"] == kind) {
        Some(own) => *own = new,
        None => list.push(new),
    }
}

/// A time as objects carry it.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A write of an object's changed status, if it is another one.
pub(super) fn status_write(kind: &Kind, object: &Object, changed: Value) -> Option<Write> {
    (object.value() != &changed).then(|| Write::update_status(kind, changed))
}

/// A write that takes Longhorn's finalizer away.
pub(super) fn without_finalizer(kind: &Kind, object: &Object) -> Option<Write> {
    let mut changed = object.to_value();
    let finalizers = changed["metadata"]["finalizers"].as_array_mut()?;
    let before = finalizers.len();
    finalizers.retain(|own| own != super::name::FINALIZER);
    (finalizers.len() != before).then(|| Write::update(kind, changed).forgiving(&[404]))
}
