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
    /// At which tick of its monitor a server's files were listed last, or until when it is not heard.
    listed: BTreeMap<String, Timestamp>,
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
        memory.monitors.remove(&key.name);
        memory.listed.remove(&key.name);
        memory.pods.remove(&key.name);
        memory.files.retain(|(own, _), _| *own != key.name);
        return Round::idle();
    };
    if !site.responsible(cache, manager.text("/spec/nodeID"), manager.text("/status/ownerID")) {
        memory.monitors.remove(&key.name);
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
    look.state(pod, &mut changed["status"]);
    if default {
        look.pod(pod, memory, &mut changed["status"]);
        let running = changed["status"]["currentState"] == "running";
        if running && site.node == manager.text("/spec/nodeID") {
            look.files(memory, &mut changed["status"]);
        } else {
            memory.monitors.remove(manager.name());
        }
    } else {
        memory.monitors.remove(manager.name());
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

    /// The state that node, disk and pod leave (longhorn.md 3.4).
    fn state(&mut self, pod: Option<&Object>, status: &mut Value) {
        let name = self.manager.name();
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
            }
            self.unknown(status, "", true);
            return;
        }
        let lost = match pod {
            None => Some(format!("No pod for backing image manager {name}")),
            Some(pod) if pod.is_terminating() => {
                Some(format!("Pod deletion timestamp is set for backing image manager {name}"))
            }
            Some(pod) if matches!(pod.text("/status/phase"), "Failed" | "Succeeded" | "Unknown") => {
                Some(format!("Unexpected pod phase {} for backing image manager {name}", pod.text("/status/phase")))
            }
            Some(_) => None,
        };
        let works = pod.is_some_and(pods::works);
        match before.as_str() {
            "" | "stopped" if pod.is_none() => status["currentState"] = "stopped".into(),
            "unknown" | "starting" if works => {
                status["currentState"] = "running".into();
                let ip = pod.map_or("", |pod| pod.text("/status/podIP"));
                status["ip"] = ip.into();
                status["storageIP"] = ip.into();
                self.event("Normal", "Update", "Backing image manager becomes state running".to_owned());
            }
            "starting" | "running" | "unknown" => {
                let why = lost.or_else(|| {
                    (before == "running" && !works).then(|| format!("Backing image manager {name} container not ready"))
                });
                if let Some(why) = why {
                    status["currentState"] = "error".into();
                    self.event("Warning", "Update", why);
                }
            }
            _ => {}
        }
        let after = status["currentState"].as_str().unwrap_or_default().to_owned();
        if matches!(after.as_str(), "error" | "stopped" | "starting" | "") {
            status["apiVersion"] = 0.into();
            status["apiMinVersion"] = 0.into();
        }
        if matches!(after.as_str(), "error" | "stopped") {
            status["ip"] = "".into();
            status["storageIP"] = "".into();
            self.unknown(status, "Backing image manager pod is not running", false);
        }
    }

    /// All files that have not failed become unknown, with those that were never seen, if asked.
    fn unknown(&self, status: &mut Value, message: &str, unseen: bool) {
        if !status["backingImageFileMap"].is_object() {
            status["backingImageFileMap"] = json!({});
        }
        let files = status["backingImageFileMap"].as_object_mut().expect("it was made an object above");
        for file in files.values_mut().filter(|file| file["state"] != "failed") {
            file["state"] = "unknown".into();
            file["message"] = message.into();
        }
        if unseen {
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
    }

    /// Brings the pod up, or takes one away that is of no use.
    fn pod(&mut self, pod: Option<&Object>, memory: &mut Memory, status: &mut Value) {
        let state = status["currentState"].as_str().unwrap_or_default().to_owned();
        if !matches!(state.as_str(), "" | "stopped" | "error") || self.site.node != self.manager.text("/spec/nodeID") {
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
        let Some(served_since) = self.site.plant.server_since(&name) else { return };
        if !memory.monitors.contains_key(&name) {
            memory.listed.remove(&name);
        }
        let since = *memory.monitors.entry(name.clone()).or_insert(self.now);
        let first = since.max(served_since) + MONITOR;
        if self.now < first {
            // The first list comes with the monitor's first tick; requests do not wait for it.
            self.look_at(first);
            if self.manager.at("/status/backingImageFileMap").as_object().is_none_or(Map::is_empty) {
                self.prepare(memory, status);
            }
            return;
        }
        // Whatever happens at a server, its monitor hears of it at its next tick.
        let tick = |at: Timestamp| {
            let ticks = (at.duration_since(since).as_millis() + MONITOR.as_millis() - 1) / MONITOR.as_millis();
            since + MONITOR * i32::try_from(ticks.max(1)).unwrap_or(i32::MAX)
        };
        let last = if tick(self.now) == self.now { self.now } else { tick(self.now) - MONITOR };
        if memory.listed.get(&name).is_none_or(|listed| *listed < last) {
            self.list(memory, status);
            memory.listed.insert(name.clone(), last);
        }
        if let Some(next) = self.site.plant.served_next(&name) {
            self.look_at(tick(next));
        }
        self.remove_invalid(memory, status);
        self.prepare(memory, status);
        if self.is_behind(status) {
            let next = tick(self.now + SignedDuration::from_millis(1));
            self.look_at(next.max(memory.listed.get(&name).map_or(next, |listed| *listed + MONITOR)));
        }
    }

    /// Whether the server says something that was not listed.
    fn is_behind(&self, status: &Value) -> bool {
        let served = self.site.plant.served(self.manager.name());
        let map = &status["backingImageFileMap"];
        served.len() != map.as_object().map_or(0, Map::len)
            || served.iter().any(|(image, told)| {
                map[image]["state"] != told.state || map[image]["sendingReference"] != told.sending
            })
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
                let own = entries.and_then(|entries| entries.get(&disk));
                own.is_some_and(|own| own["state"] == "failed")
                    && entries.is_some_and(|entries| entries.values().any(|entry| entry["state"] != "failed"))
            });
            if !gone && (!failed || self.site.plant.wrongs().is_set("failed-copy-not-cleaned")) {
                continue;
            }
            let uuid = file["uuid"].as_str().unwrap_or_default();
            let why = if gone { "no longer wanted on the disk" } else { "its copy had failed" };
            self.site.plant.delete(self.manager.name(), &FileName::new(&image, uuid), why);
            memory.files.remove(&(self.manager.name().to_owned(), image.clone()));
            // What comes of the next try is read with the monitor's next tick: while another copy's manager
            // starts, and that copy is unknown, this goes round about once a second.
            memory.monitors.insert(self.manager.name().to_owned(), self.now);
            self.look_at(self.now + MONITOR);
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
            let missing = !known.contains(image) || entry["state"] == "failed" || served[image].state == "failed";
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
                    self.look_at(self.now + MONITOR);
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
            self.look_at(self.now + MONITOR);
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
        let comes = site.plant.served(manager.name()).get(image.name()).is_some_and(|told| told.state == "starting");
        if comes && site.plant.below(3) == 0 {
            // The first notice of a transfer is missed now and then (recorded: an entry that begins `in-progress`).
            memory.listed.insert(manager.name().to_owned(), self.now + SignedDuration::from_millis(2_500));
        }
        let message = format!(
            "Syncing backing image {} in disk {disk} on node {} from {sender}({address})",
            image.name(),
            site.node
        );
        self.event("Normal", "Syncing", message);
        self.look_at(self.now + MONITOR);
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
