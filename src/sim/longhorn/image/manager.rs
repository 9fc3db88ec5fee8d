//! The controller of backing image managers: their pods, and the files that they are asked for
//! (longhorn-manager `controller/backing_image_manager_controller.go`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::super::release::Api;
use super::super::server::RECEIVERS;
use super::super::setting::REPLENISH_LIMIT;
use super::super::site::{Site, status_write, without_finalizer};
use super::super::store::{Content, FileName};
use super::super::{kind, name, server};
use super::pods;
use crate::sim::{Backoff, Cache, Controller, Key, Kind, Object, Round, Runs, Trigger, Write};

/// The monitor's period (longhorn-manager `engineapi/types.go`).
const MONITOR: SignedDuration = SignedDuration::from_secs(1);
/// The wait of a file that failed: doubled each time, up to the longest.
const FILE_BACKOFF: (i64, i64) = (60, 300);
/// The wait of a pod that was lost.
const POD_BACKOFF: (i64, i64) = (1, 120);

/// The controller.
pub(super) fn controller(site: &Site) -> Box<dyn Runs> {
    Controller {
        name: "longhorn-backing-image-manager-controller",
        triggers: vec![
            Trigger::itself(kind::IMAGE_MANAGER),
            Trigger::on(Kind::POD, |change, _| {
                let own = change.after.label(name::COMPONENT) == Some(name::IMAGE_MANAGER);
                if own { vec![change.after.key()] } else { Vec::new() }
            }),
            Trigger::on(kind::BACKING_IMAGE, |_, cache| cache.all(&kind::IMAGE_MANAGER).map(Object::key).collect()),
            Trigger::on(kind::DATA_SOURCE, |change, cache| {
                let of = |manager: &&Object| manager.at("/spec/backingImages").get(change.after.name()).is_some();
                cache.all(&kind::IMAGE_MANAGER).filter(of).map(Object::key).collect()
            }),
            Trigger::on(kind::NODE, |_, cache| cache.all(&kind::IMAGE_MANAGER).map(Object::key).collect()),
            Trigger::known(kind::SETTING),
        ],
        resync: Some(Duration::from_secs(30)),
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(Memory {
        site: site.clone(),
        files: BTreeMap::new(),
        pods: BTreeMap::new(),
        monitors: BTreeMap::new(),
        listed: BTreeMap::new(),
    })
}

/// What dies with the process.
struct Memory {
    site: Site,
    /// Until when a file of a manager waits, and how long it waits next.
    files: BTreeMap<(String, String), Wait>,
    pods: BTreeMap<String, Wait>,
    /// Since when a manager's server is monitored.
    monitors: BTreeMap<String, Timestamp>,
    /// When a server's files were listed last.
    listed: BTreeMap<String, Timestamp>,
}

impl Memory {
    /// A manager that does not run is not monitored; the next monitor lists first of all.
    fn stop(&mut self, manager: &str) {
        self.monitors.remove(manager);
        self.listed.remove(manager);
    }
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    until: Timestamp,
    last: i64,
}

impl Wait {
    fn next(before: Option<&Self>, (first, most): (i64, i64), now: Timestamp) -> Self {
        let last = before.map_or(first, |before| (before.last * 2).min(most));
        Self { until: now + SignedDuration::from_secs(last), last }
    }
}

fn reconcile(key: &Key, cache: &Cache, memory: &mut Memory, now: Timestamp) -> Round {
    let site = memory.site.clone();
    let Some(manager) = cache.of(&kind::IMAGE_MANAGER, key) else {
        memory.stop(&key.name);
        memory.pods.remove(&key.name);
        memory.files.retain(|(own, _), _| *own != key.name);
        return Round::idle();
    };
    if !site.responsible(cache, manager.text("/spec/nodeID"), manager.text("/status/ownerID")) {
        memory.stop(&key.name);
        return Round::idle();
    }
    let mut changed = manager.to_value();
    if !changed["status"].is_object() {
        changed["status"] = json!({
            "apiMinVersion": 0, "apiVersion": 0, "backingImageFileMap": {}, "currentState": "", "ip": "",
            "ownerID": "", "storageIP": "",
        });
    }
    if manager.text("/status/ownerID") != site.node {
        changed["status"]["ownerID"] = site.node.clone().into();
        return Round::writes(status_write(&kind::IMAGE_MANAGER, manager, changed).into_iter().collect());
    }
    let pod = cache.get(&Kind::POD, manager.namespace(), manager.name());
    let default = manager.text("/spec/image") == site.flags.image_manager;
    if manager.is_terminating() {
        return finalized(&site, manager, pod, default);
    }
    let mut look = Look { site: &site, cache, manager, now, writes: Vec::new(), again: None };
    let there = look.state(pod, &mut changed["status"]);
    if !there {
        // Whoever forgets its files forgets how long they wait.
        memory.files.retain(|(own, _), _| *own != key.name);
    } else if default {
        look.pod(pod, memory, &mut changed["status"]);
    }
    let running = changed["status"]["currentState"] == "running";
    if default && running && site.node == manager.text("/spec/nodeID") {
        look.files(memory, &mut changed["status"]);
    } else {
        memory.stop(manager.name());
    }
    let Look { writes, again, .. } = look;
    let mut all: Vec<Write> = status_write(&kind::IMAGE_MANAGER, manager, changed).into_iter().collect();
    all.extend(writes);
    let round = Round::writes(all);
    match again {
        Some(at) => round.look_at(now, at),
        None => round,
    }
}

/// A manager that goes. Its files go with it only if it has the default image and runs.
fn finalized(site: &Site, manager: &Object, pod: Option<&Object>, default: bool) -> Round {
    let mut writes = Vec::new();
    let wrong = site.plant.wrongs().is_set("old-bim-deletes-files");
    if default && manager.text("/status/currentState") == "running" || wrong {
        for (image, uuid) in manager.at("/spec/backingImages").as_object().into_iter().flatten() {
            let file = FileName::new(image, uuid.as_str().unwrap_or_default());
            if wrong {
                site.plant.destroy(manager.text("/spec/diskUUID"), &file, "the wrong old-bim-deletes-files");
            } else {
                site.plant.delete(manager.name(), &file, "its manager was deleted");
            }
        }
    }
    writes.extend(pod.filter(|pod| !pod.is_terminating()).map(|pod| Write::delete(&Kind::POD, pod)));
    writes.extend(without_finalizer(&kind::IMAGE_MANAGER, manager));
    Round::writes(writes)
}

/// One look at one manager.
struct Look<'a> {
    site: &'a Site,
    cache: &'a Cache,
    manager: &'a Object,
    now: Timestamp,
    writes: Vec<Write>,
    again: Option<Timestamp>,
}

impl Look<'_> {
    fn event(&mut self, kind: &'static str, reason: &str, message: String) {
        self.writes.push(Write::event(self.manager, kind, reason, message));
    }

    fn look_at(&mut self, at: Timestamp) {
        self.again = Some(self.again.map_or(at, |before| before.min(at)));
    }

    /// The state that node, disk and pod leave (longhorn.md 3.4). False if there is no ready disk.
    fn state(&mut self, pod: Option<&Object>, status: &mut Value) -> bool {
        let disk = self.site.ready_disk(self.cache, self.manager.text("/spec/diskUUID"));
        let there = disk.is_some_and(|disk| {
            disk.node == self.manager.text("/spec/nodeID") && disk.path == self.manager.text("/spec/diskPath")
        });
        let before = self.manager.text("/status/currentState").to_owned();
        if !there {
            if before != "unknown" {
                status["currentState"] = "unknown".into();
                let message =
                    format!("Node or disk is not ready, will update state from {before} to unknown then return");
                self.event("Warning", "Unknown", message);
                self.unknown(status);
            }
            return false;
        }
        let name = self.manager.name();
        let new = matches!(before.as_str(), "" | "stopped");
        let was = format!("with state {before}, will update to state error");
        let (after, why) = match pod {
            None if new => ("stopped", None),
            None => ("error", Some(format!("No pod for backing image manager {was}"))),
            Some(pod) if pod.is_terminating() => {
                let why = format!("Pod deletion timestamp is set for backing image manager {was}");
                ("error", (before != "error").then_some(why))
            }
            Some(pod) => match pod.text("/status/phase") {
                "Pending" | "" if before == "running" => {
                    ("error", Some("Backing image manager is state running but the related pod is pending".to_owned()))
                }
                "Pending" | "" => ("starting", None),
                "Running" if pods::works(pod) => ("running", None),
                "Running" if before == "running" => {
                    let why = format!(
                        "Backing image manager {name} is state running but the related pod container not ready, will update to state error"
                    );
                    ("error", Some(why))
                }
                "Running" => (before.as_str(), None),
                phase => {
                    let why = format!("Unexpected pod phase {phase}, will update backing image manager to state error");
                    ("error", Some(why))
                }
            },
        };
        if let Some(why) = why {
            self.event("Warning", "Update", why);
        }
        if after == "running" {
            let ip = pod.map_or("", |pod| pod.text("/status/podIP"));
            status["ip"] = ip.into();
            status["storageIP"] = ip.into();
            if before != "running" {
                self.event("Normal", "Update", "Backing image manager becomes state running".to_owned());
            }
        } else {
            status["apiVersion"] = 0.into();
            status["apiMinVersion"] = 0.into();
        }
        status["currentState"] = after.into();
        true
    }

    /// All files that have not failed become unknown, with those that were never seen.
    fn unknown(&self, status: &mut Value) {
        if !status["backingImageFileMap"].is_object() {
            status["backingImageFileMap"] = json!({});
        }
        let files = status["backingImageFileMap"].as_object_mut().expect("it was made an object above");
        for file in files.values_mut().filter(|file| file["state"] != "failed") {
            file["state"] = "unknown".into();
        }
        for (image, uuid) in self.manager.at("/spec/backingImages").as_object().into_iter().flatten() {
            files.entry(image.clone()).or_insert_with(|| {
                json!({
                    "name": image, "uuid": uuid, "state": "unknown", "message": "", "progress": 0, "size": 0,
                    "virtualSize": 0, "realSize": 0, "currentChecksum": "", "sendingReference": 0,
                    "senderManagerAddress": "",
                })
            });
        }
    }

    /// Brings the pod up, or takes one away that is of no use.
    fn pod(&mut self, pod: Option<&Object>, memory: &mut Memory, status: &mut Value) {
        let state = status["currentState"].as_str().unwrap_or_default().to_owned();
        if !matches!(state.as_str(), "stopped" | "error") {
            return;
        }
        for file in status["backingImageFileMap"].as_object_mut().into_iter().flat_map(|files| files.values_mut()) {
            if file["state"] != "failed" {
                file["state"] = "unknown".into();
                file["message"] = "Backing image manager pod is not running".into();
            }
        }
        if self.site.node != self.manager.text("/spec/nodeID") {
            return;
        }
        if let Some(pod) = pod {
            if !pod.is_terminating() {
                self.writes.push(Write::delete(&Kind::POD, pod));
            }
            return;
        }
        let name = self.manager.name();
        let before = memory.pods.get(name).copied();
        if let Some(wait) = before.filter(|wait| wait.until > self.now) {
            self.look_at(wait.until);
            return;
        }
        memory.pods.insert(name.to_owned(), Wait::next(before.as_ref(), POD_BACKOFF, self.now));
        self.writes.push(Write::create(&Kind::POD, pods::of_manager(self.manager)).forgiving(&[409]));
        status["currentState"] = "starting".into();
        let message = format!(
            "Creating backing image manager pod {name} for disk {} on node {}. Backing image manager state will become starting",
            self.manager.text("/spec/diskUUID"),
            self.site.node
        );
        self.event("Normal", "Create", message);
    }

    /// What a running manager of the default image is asked for.
    fn files(&mut self, memory: &mut Memory, status: &mut Value) {
        let name = self.manager.name().to_owned();
        let api = Api::of(self.manager.text("/spec/image"));
        status["apiVersion"] = api.current.into();
        status["apiMinVersion"] = api.min.into();
        if !self.site.release.api.takes(api) {
            // "Skipping handling files for incompatible backing image manager": no state tells of it.
            return;
        }
        let plant = &self.site.plant;
        let since = *memory.monitors.entry(name.clone()).or_insert(self.now);
        // The monitor ticks once a second. It lists at its first tick, and at the next one after the server
        // told that its look at its files found something new.
        let tick = |at: Timestamp| {
            let ticks = (at.duration_since(since).as_millis() + MONITOR.as_millis() - 1) / MONITOR.as_millis();
            since + MONITOR * i32::try_from(ticks.max(1)).unwrap_or(i32::MAX)
        };
        let due = match (memory.listed.get(&name), plant.looked(&name)) {
            (None, _) => Some(tick(since)),
            (Some(listed), Some((look, seen))) if look > *listed && differs(&seen, status) => Some(tick(look)),
            _ => None,
        };
        match due {
            Some(due) if due <= self.now => {
                self.list(memory, status);
                memory.listed.insert(name.clone(), self.now);
            }
            Some(due) => self.look_at(due),
            None => {}
        }
        self.remove_invalid(memory, status);
        self.prepare(memory, status);
        let next =
            if differs(&plant.served(&name), status) { plant.next_look(&name) } else { plant.served_next(&name) };
        if let Some(next) = next {
            self.look_at(tick(next));
        }
    }

    /// What the server says, taken over.
    fn list(&self, memory: &mut Memory, status: &mut Value) {
        let name = self.manager.name();
        let mut map = Map::new();
        for (image, told) in self.site.plant.served(name) {
            if told.state == "ready" {
                memory.files.remove(&(name.to_owned(), image.clone()));
            }
            map.insert(image.clone(), entry(&image, &told));
        }
        status["backingImageFileMap"] = map.into();
    }

    /// Files that nobody wants any more, and failed ones of which there is another copy.
    fn remove_invalid(&mut self, memory: &mut Memory, status: &mut Value) {
        let Some(files) = status["backingImageFileMap"].as_object().cloned() else { return };
        let disk = self.manager.text("/spec/diskUUID").to_owned();
        for (image, file) in files {
            let wanted = self.manager.at("/spec/backingImages").get(&image);
            let object = self.cache.get(&kind::BACKING_IMAGE, self.manager.namespace(), &image);
            let gone = object.is_none() || wanted != file.get("uuid");
            let failed = object.is_some_and(|object| {
                let entries = object.at("/status/diskFileStatusMap").as_object();
                let own = entries.and_then(|entries| entries.get(&disk)).unwrap_or(&file);
                own["state"] == "failed"
                    && entries.is_some_and(|entries| entries.values().any(|entry| entry["state"] != "failed"))
            });
            if !gone && (!failed || self.site.plant.wrongs().is_set("failed-copy-not-cleaned")) {
                continue;
            }
            let uuid = file["uuid"].as_str().unwrap_or_default();
            let why = if gone { "no longer wanted on the disk" } else { "its copy had failed" };
            self.site.plant.delete(self.manager.name(), &FileName::new(&image, uuid), why);
            memory.files.remove(&(self.manager.name().to_owned(), image.clone()));
            if let Some(map) = status["backingImageFileMap"].as_object_mut() {
                map.remove(&image);
            }
            self.event(
                "Normal",
                "Delete",
                format!("Deleted backing image {image} in disk {disk} on node {}", self.site.node),
            );
        }
    }

    /// Asks for the files that are missing or failed.
    fn prepare(&mut self, memory: &mut Memory, status: &Value) {
        let manager = self.manager;
        let served = self.site.plant.served(manager.name());
        let known: BTreeSet<String> = served.keys().cloned().collect();
        for (image, uuid) in manager.at("/spec/backingImages").as_object().into_iter().flatten() {
            let entry = &status["backingImageFileMap"][image];
            // A server that has the file already says so, and nothing is asked for twice.
            let missing = entry.is_null() && !known.contains(image) || entry["state"] == "failed";
            let source = self.cache.get(&kind::DATA_SOURCE, manager.namespace(), image);
            let failing = source.is_some_and(|source| source.text("/status/currentState") == "failed");
            if !missing && !failing {
                continue;
            }
            let (Some(object), Some(source)) =
                (self.cache.get(&kind::BACKING_IMAGE, manager.namespace(), image), source)
            else {
                continue;
            };
            if object.is_terminating() && !failing {
                continue;
            }
            let file = FileName::new(image, uuid.as_str().unwrap_or_default());
            if self.request(memory, object, source, &file) {
                // One transfer for each look.
                return;
            }
        }
    }

    /// Makes one request; true if it is a transfer from another manager.
    fn request(&mut self, memory: &mut Memory, image: &Object, source: &Object, file: &FileName) -> bool {
        let (manager, site) = (self.manager, self.site);
        let disk = manager.text("/spec/diskUUID");
        let checksum = [image.text("/spec/checksum"), image.text("/status/checksum")]
            .into_iter()
            .find(|own| !own.is_empty())
            .unwrap_or_default();
        if !source.flag("/spec/fileTransferred") {
            if source.text("/spec/diskUUID") != disk {
                return false;
            }
            match source.text("/status/currentState") {
                "failed" => {
                    site.plant.drop_work(disk, file);
                    let mut changed = source.to_value();
                    changed["status"]["currentState"] = "failed-and-cleanup".into();
                    self.writes.push(Write::update_status(&kind::DATA_SOURCE, changed));
                }
                "ready-for-transfer" => {
                    let pod = name::data_source_pod(source.name());
                    site.plant.fetch(manager.name(), file, checksum, Some(&pod));
                    let message = format!(
                        "Fetched the first file for backing image {} in disk {disk} on node {}",
                        image.name(),
                        site.node
                    );
                    self.event("Normal", "Fetching", message);
                }
                _ => {}
            }
            return false;
        }
        let key = (manager.name().to_owned(), image.name().to_owned());
        let before = memory.files.get(&key).copied();
        if let Some(wait) = before.filter(|wait| wait.until > self.now) {
            self.look_at(wait.until);
            return false;
        }
        let limit = site.number(self.cache, REPLENISH_LIMIT);
        if i64::try_from(site.plant.receiving(manager.name())).unwrap_or(i64::MAX) >= limit.max(1) {
            return false;
        }
        let senders = self.senders(image.name());
        let wait = Wait::next(before.as_ref(), FILE_BACKOFF, self.now);
        if senders.is_empty() {
            memory.files.insert(key, wait);
            site.plant.fetch(manager.name(), file, checksum, None);
            let message = format!(
                "Reuse the existing file for backing image {} in disk {disk} on node {}",
                image.name(),
                site.node
            );
            self.event("Normal", "Fetching", message);
            return false;
        }
        let Some((sender, address, content)) = senders
            .into_iter()
            .find(|(name, ..)| site.plant.served(name).get(image.name()).is_some_and(|told| told.sending < RECEIVERS))
        else {
            self.look_at(self.now + SignedDuration::from_secs(3));
            return false;
        };
        memory.files.insert(key, wait);
        if site.plant.wrongs().is_set("takeover-resyncs-ready") {
            site.plant.destroy(disk, file, "the wrong takeover-resyncs-ready");
        }
        site.plant.sync(manager.name(), file, &sender, content);
        let message = format!(
            "Syncing backing image {} in disk {disk} on node {} from {sender}({address})",
            image.name(),
            site.node
        );
        self.event("Normal", "Syncing", message);
        true
    }

    /// The managers of the default image that run and say that they have the file.
    fn senders(&self, image: &str) -> Vec<(String, String, Content)> {
        let managers = self.cache.within(&kind::IMAGE_MANAGER, self.manager.namespace());
        managers
            .filter(|other| other.text("/spec/image") == self.site.flags.image_manager)
            .filter(|other| other.text("/status/currentState") == "running" && !other.is_terminating())
            .filter(|other| other.at("/status/backingImageFileMap")[image]["state"] == "ready")
            .filter_map(|other| {
                let told = self.site.plant.served(other.name()).remove(image)?;
                Some((other.name().to_owned(), other.text("/status/storageIP").to_owned(), told.content))
            })
            .collect()
    }
}

/// Whether a server says something else than what was listed.
fn differs(served: &BTreeMap<String, server::Told>, status: &Value) -> bool {
    let map = &status["backingImageFileMap"];
    served.len() != map.as_object().map_or(0, Map::len)
        || served.iter().any(|(image, told)| {
            let known = &map[image];
            known["state"] != told.state
                || known["sendingReference"] != told.sending
                || known["progress"] != told.progress
        })
}

/// An entry of `backingImageFileMap`.
fn entry(image: &str, told: &server::Told) -> Value {
    let ready = told.state == "ready";
    let size = |size: u64| if ready { size } else { 0 };
    json!({
        "name": image, "uuid": told.uuid, "state": told.state, "progress": told.progress, "message": told.message,
        "size": told.content.size, "virtualSize": size(told.content.virtual_size), "realSize": size(told.content.size),
        "currentChecksum": if ready { told.content.sha512.as_str() } else { "" },
        "sendingReference": told.sending, "senderManagerAddress": "",
    })
}
