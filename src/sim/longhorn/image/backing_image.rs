//! The controller of backing images: data source, managers, status, copies, deletion (longhorn-manager
//! `controller/backing_image_controller.go`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::super::setting::{CLEANUP_WAIT, RECOVERY_WAIT, REPLENISH_LIMIT};
use super::super::site::{ReadyDisk, Site, status_write, time, without_finalizer};
use super::super::{kind, name};
use crate::sim::{Backoff, Cache, Controller, Form, Key, Object, Round, Runs, Trigger, Write};

/// States of which nobody expects a file soon.
const BAD: [&str; 3] = ["failed", "failed-and-cleanup", "unknown"];

/// The controller.
pub(super) fn controller(site: &Site) -> Box<dyn Runs> {
    Controller {
        name: "longhorn-backing-image-controller",
        triggers: vec![
            Trigger::itself(kind::BACKING_IMAGE),
            Trigger::on(kind::IMAGE_MANAGER, |change, _| {
                let named = |object: &Object| -> BTreeSet<Key> {
                    let of = |pointer| object.at(pointer).as_object().into_iter().flat_map(Map::keys);
                    let names = of("/spec/backingImages").chain(of("/status/backingImageFileMap"));
                    names.map(|image| Key::new(object.namespace(), image)).collect()
                };
                change.states().flat_map(named).collect::<BTreeSet<_>>().into_iter().collect()
            }),
            Trigger::on(kind::DATA_SOURCE, |change, _| vec![change.after.key()]),
            Trigger::on(kind::REPLICA, |change, _| {
                let image = change.after.label(name::REPLICA_IMAGE).filter(|image| !image.is_empty());
                image.map(|image| Key::new(change.after.namespace(), image)).into_iter().collect()
            }),
            // Of a node only an eviction is a reason to look: a disk that gets ready is not (measured).
            Trigger::on(kind::NODE, |change, cache| {
                let evicts = change.touches("/spec/evictionRequested") && change.before.is_some();
                if evicts { cache.all(&kind::BACKING_IMAGE).map(Object::key).collect() } else { Vec::new() }
            }),
            Trigger::known(kind::SETTING),
        ],
        resync: Some(Duration::from_secs(30)),
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(Memory { begins: after(site, site.plant.now(), FIRST_TURN), site: site.clone(), paces: BTreeMap::new() })
}

/// From the controllers' start to the first backing image's turn, in milliseconds: by then the other nodes are
/// marked as what they are (recorded: marks 0.21–0.41 s after the webhook's lease, all within 0.03 s, and new managers
/// 0.29–0.60 s; here one node is marked after the other).
const FIRST_TURN: (usize, usize) = (240, 380);
/// From the first file's transfer, or from one copy more, to the next, in milliseconds (measured 0.1 and 0.3 s
/// after the transfer).
const PACE: (usize, usize) = (30, 180);

struct Memory {
    site: Site,
    /// When images are looked at first.
    begins: Timestamp,
    /// From when on an image gets one copy more.
    paces: BTreeMap<Key, Timestamp>,
}

/// A time after this one, by chance.
fn after(site: &Site, now: Timestamp, (low, high): (usize, usize)) -> Timestamp {
    let wait = low + site.plant.below(high - low);
    now + SignedDuration::from_millis(i64::try_from(wait).unwrap_or_default())
}

impl Memory {
    /// Whether an image may get one copy more now, or from when on.
    fn paced(&mut self, key: &Key, now: Timestamp) -> Result<(), Timestamp> {
        let from = self.paces.get(key).copied().unwrap_or_else(|| after(&self.site, now, PACE));
        self.paces.insert(key.clone(), from);
        if now < from { Err(from) } else { Ok(()) }
    }
}

fn reconcile(key: &Key, cache: &Cache, memory: &mut Memory, now: Timestamp) -> Round {
    if now < memory.begins {
        return Round::idle().look_at(now, memory.begins);
    }
    let Some(image) = cache.of(&kind::BACKING_IMAGE, key) else {
        memory.paces.remove(key);
        return Round::idle();
    };
    let owner = image.text("/status/ownerID");
    if !memory.site.responsible(cache, owner, owner) {
        return Round::idle();
    }
    let mut changed = image.to_value();
    if !changed["status"].is_object() {
        changed["status"] = json!({
            "checksum": "", "diskFileStatusMap": {}, "diskLastRefAtMap": {}, "ownerID": "", "realSize": 0, "size": 0,
            "uuid": "", "virtualSize": 0, "v2FirstCopyDisk": "", "v2FirstCopyStatus": "",
        });
    }
    let fresh = image.text("/status/uuid").is_empty() && !image.is_terminating();
    if owner != memory.site.node {
        changed["status"]["ownerID"] = memory.site.node.clone().into();
        if !fresh {
            return Round::writes(status_write(&kind::BACKING_IMAGE, image, changed).into_iter().collect());
        }
    }
    let source = cache.of(&kind::DATA_SOURCE, key);
    let needs = source.is_some_and(|source| source.flag("/spec/fileTransferred") && wants_copies(image));
    let pace = if needs {
        memory.paced(key, now)
    } else {
        memory.paces.remove(key);
        Ok(())
    };
    let site = &memory.site;
    let uuid = if fresh { site.plant.hex(8) } else { image.text("/status/uuid").to_owned() };
    let mut look = Look { site, cache, image, uuid, now, pace, added: false, writes: Vec::new(), again: None };
    if image.is_terminating() {
        look.delete();
        return Round::writes(look.writes);
    }
    if fresh {
        // One look takes a new image over, names it, and makes its data source (recorded: within 0.05 s).
        changed["status"]["uuid"] = look.uuid.clone().into();
        look.event("Normal", "Update", format!("Initialized UUID to {}", look.uuid));
        look.source();
        let mut writes: Vec<Write> = status_write(&kind::BACKING_IMAGE, image, changed).into_iter().collect();
        writes.append(&mut look.writes);
        return Round::writes(writes);
    }
    look.source();
    let gone = look.clean_up();
    look.managers(&gone);
    look.sync(&mut changed["status"], &gone);
    look.references(&mut changed["status"]);
    look.copies(&changed["status"]);
    let Look { writes, again, added, pace, .. } = look;
    if added {
        memory.paces.remove(key);
    }
    let again = [again, pace.err()].into_iter().flatten().min();
    let mut all: Vec<Write> = status_write(&kind::BACKING_IMAGE, image, changed).into_iter().collect();
    all.extend(writes);
    let round = Round::writes(all);
    match again {
        Some(at) => round.look_at(now, at),
        None => round,
    }
}

/// One look at one backing image.
struct Look<'a> {
    site: &'a Site,
    cache: &'a Cache,
    image: &'a Object,
    /// The image's identity, which a new one gets in this look.
    uuid: String,
    now: Timestamp,
    /// Whether there may be one copy more, or from when on.
    pace: Result<(), Timestamp>,
    /// Whether there is one more.
    added: bool,
    writes: Vec<Write>,
    again: Option<Timestamp>,
}

/// Whether fewer disks are named than copies are wanted.
fn wants_copies(image: &Object) -> bool {
    let named = image.at("/spec/diskFileSpecMap").as_object().map_or(0, Map::len);
    usize::try_from(image.count("/spec/minNumberOfCopies")).is_ok_and(|wanted| named < wanted)
}

impl<'a> Look<'a> {
    fn event(&mut self, kind: &'static str, reason: &str, message: String) {
        self.writes.push(Write::event(self.image, kind, reason, message));
    }

    fn data_source(&self) -> Option<&'a Object> {
        self.cache.of(&kind::DATA_SOURCE, &self.image.key())
    }

    fn all_managers(&self) -> impl Iterator<Item = &'a Object> + use<'a> {
        let namespace = self.image.namespace();
        self.cache.within(&kind::IMAGE_MANAGER, namespace)
    }

    /// The disks that are to hold a copy.
    fn disks(&self) -> Vec<String> {
        self.image.at("/spec/diskFileSpecMap").as_object().into_iter().flat_map(Map::keys).cloned().collect()
    }

    fn state(&self, disk: &str) -> &'a str {
        self.image.at("/status/diskFileStatusMap")[disk]["state"].as_str().unwrap_or_default()
    }

    /// The replicas that use the image, by the label that Longhorn gives them.
    fn replicas(&self) -> impl Iterator<Item = &'a Object> + use<'a> {
        let (namespace, image) = (self.image.namespace(), self.image.name());
        self.cache
            .within(&kind::REPLICA, namespace)
            .filter(move |replica| replica.label(name::REPLICA_IMAGE) == Some(image))
    }

    /// Makes the data source, moves it from a disk that is not ready, and ends it when its file is taken.
    fn source(&mut self) {
        let image = self.image;
        let Some(source) = self.data_source() else {
            let Some((disk, transferred)) = self.first_disk() else {
                self.again = Some(self.now + SignedDuration::from_secs(30));
                return;
            };
            let object = json!({
                "metadata": {
                    "name": image.name(), "namespace": image.namespace(), "finalizers": [name::FINALIZER],
                    "ownerReferences": [kind::BACKING_IMAGE.owner(image.name(), image.uid())],
                },
                "spec": {
                    "nodeID": disk.node, "uuid": self.uuid, "diskUUID": disk.uuid, "diskPath": disk.path,
                    "checksum": image.text("/spec/checksum"), "sourceType": image.text("/spec/sourceType"),
                    "parameters": image.at("/spec/sourceParameters"), "fileTransferred": transferred,
                },
            });
            self.writes.push(Write::create(&kind::DATA_SOURCE, object).forgiving(&[409]));
            return;
        };
        let disk = source.text("/spec/diskUUID");
        if source.flag("/spec/fileTransferred") {
            self.recover(source);
            return;
        }
        if source.text("/status/currentState") == "ready" && self.state(disk) == "ready" {
            let body = json!({"spec": {"fileTransferred": true}});
            self.writes.push(Write::patch(&kind::DATA_SOURCE, source.key(), Form::Merge, body));
            return;
        }
        if self.site.ready_disk(self.cache, disk).is_none()
            && let Some((other, _)) = self.first_disk()
            && other.uuid != disk
        {
            let spec = json!({"nodeID": other.node, "diskUUID": other.uuid, "diskPath": other.path});
            self.writes.push(Write::patch(&kind::DATA_SOURCE, source.key(), Form::Merge, json!({"spec": spec})));
        }
    }

    /// A ready disk for the first file: of those that hold a copy one with a ready file, else any.
    fn first_disk(&self) -> Option<(ReadyDisk, bool)> {
        let ready: Vec<ReadyDisk> =
            self.site.disks(self.cache).into_iter().filter(|(ready, _)| *ready).map(|(_, disk)| disk).collect();
        let wanted = self.disks();
        let held: Vec<&ReadyDisk> = ready.iter().filter(|disk| wanted.contains(&disk.uuid)).collect();
        if wanted.is_empty() {
            let at = self.site.plant.below(ready.len());
            return ready.get(at).cloned().map(|disk| (disk, false));
        }
        let whole = held.iter().find(|disk| self.state(&disk.uuid) == "ready");
        whole.map(|disk| ((*disk).clone(), true)).or_else(|| held.first().map(|disk| ((*disk).clone(), false)))
    }

    /// Downloads again what has failed everywhere for long enough (longhorn.md 3.7).
    fn recover(&mut self, source: &Object) {
        let entries = self.image.at("/status/diskFileStatusMap").as_object();
        let failed = |entry: &Value| entry["state"] == "failed";
        let lost = entries.is_some_and(|entries| !entries.is_empty() && entries.values().all(failed));
        if !lost || self.image.text("/spec/sourceType") != "download" {
            return;
        }
        let since: Vec<Timestamp> = entries
            .into_iter()
            .flat_map(|entries| entries.values())
            .filter_map(|entry| entry["lastStateTransitionTime"].as_str()?.parse().ok())
            .collect();
        let wait = SignedDuration::from_secs(self.site.number(self.cache, RECOVERY_WAIT));
        let Some(last) = since.into_iter().max() else { return };
        if last + wait > self.now {
            self.again = Some(last + wait);
            return;
        }
        let body = json!({"spec": {"fileTransferred": false, "nodeID": "", "diskUUID": "", "diskPath": ""}});
        self.writes.push(Write::patch(&kind::DATA_SOURCE, source.key(), Form::Merge, body));
    }

    /// Deletes every manager of another image than the default, compatible or not, busy or not.
    fn clean_up(&mut self) -> Vec<&'a Object> {
        let mut gone = Vec::new();
        if self.site.plant.wrongs().is_set("old-bim-kept") {
            return gone;
        }
        let old: Vec<&Object> = self
            .all_managers()
            .filter(|manager| manager.text("/spec/image") != self.site.flags.image_manager && !manager.is_terminating())
            .collect();
        for manager in old {
            let message = format!(
                "deleted old/non-default backing image manager {} in disk {} on node {}",
                manager.name(),
                manager.text("/spec/diskUUID"),
                manager.text("/spec/nodeID")
            );
            self.writes.push(Write::delete(&kind::IMAGE_MANAGER, manager));
            self.event("Normal", "Delete", message);
            gone.push(manager);
        }
        gone
    }

    /// Sees to it that each disk has a manager of the default image that knows this one. A new one
    /// takes over the records of those that were deleted in this very look.
    fn managers(&mut self, gone: &[&Object]) {
        let (image, site) = (self.image, self.site);
        let misses = site.plant.wrongs().is_set("takeover-misses-image");
        for uuid in self.disks() {
            let known = self.all_managers().find(|manager| {
                manager.text("/spec/image") == site.flags.image_manager && manager.text("/spec/diskUUID") == uuid
            });
            if let Some(manager) = known {
                if manager.at("/spec/backingImages")[image.name()] != self.uuid.as_str()
                    && !manager.is_terminating()
                    && !(misses && image.name().len() % 2 == 0)
                {
                    let body = json!({"spec": {"backingImages": {image.name(): self.uuid}}});
                    self.writes.push(Write::patch(&kind::IMAGE_MANAGER, manager.key(), Form::Merge, body));
                }
                continue;
            }
            let Some(disk) = site.ready_disk(self.cache, &uuid) else { continue };
            let mut records = Map::new();
            for old in gone.iter().filter(|old| old.text("/spec/diskUUID") == uuid && !misses) {
                records.extend(old.at("/spec/backingImages").as_object().cloned().unwrap_or_default());
            }
            records.insert(image.name().to_owned(), self.uuid.clone().into());
            let name = name::image_manager(&site.release, &site.flags.image_manager, &uuid);
            let object = json!({
                "metadata": {
                    "name": name, "namespace": image.namespace(), "finalizers": [name::FINALIZER],
                    "labels": name::image_manager_labels(&disk.node, &uuid),
                },
                "spec": {
                    "image": site.flags.image_manager, "nodeID": disk.node, "diskUUID": uuid, "diskPath": disk.path,
                    "backingImages": records,
                },
            });
            self.writes.push(Write::create(&kind::IMAGE_MANAGER, object).forgiving(&[409]));
            let message = format!("created default backing image manager {name} in disk {uuid} on node {}", disk.node);
            self.event("Normal", "Create", message);
        }
    }

    /// The status, made anew from the data source and the managers; an entry without a source goes.
    fn sync(&mut self, status: &mut Value, gone: &[&Object]) {
        let mut entries: BTreeMap<String, (String, i64, String)> = BTreeMap::new();
        let mut masked = None;
        if let Some(source) = self.data_source()
            && source.text("/status/currentState") != "ready"
            && !source.flag("/spec/fileTransferred")
        {
            let disk = source.text("/spec/diskUUID");
            if !disk.is_empty() && (source.at("/status").is_object()) {
                let told = (
                    source.text("/status/currentState").to_owned(),
                    source.count("/status/progress"),
                    source.text("/status/message").to_owned(),
                );
                entries.insert(disk.to_owned(), told);
            }
            masked = Some(disk.to_owned());
            self.measure(status, "size", source.count("/status/size"));
            let checksum = source.text("/status/checksum");
            if !checksum.is_empty() && status["checksum"] == "" {
                status["checksum"] = checksum.into();
            }
        }
        for manager in self.all_managers() {
            let disk = manager.text("/spec/diskUUID");
            let file = &manager.at("/status/backingImageFileMap")[self.image.name()];
            let ignored = manager.is_terminating() || gone.iter().any(|old| old.uid() == manager.uid());
            if ignored || file["uuid"] != self.uuid.as_str() || masked.as_deref() == Some(disk) {
                continue;
            }
            let text = |field: &str| file[field].as_str().unwrap_or_default().to_owned();
            let mut told = (text("state"), file["progress"].as_i64().unwrap_or_default(), text("message"));
            if told.0 == "ready" {
                for field in ["size", "virtualSize", "realSize"] {
                    let own = file[field].as_i64().unwrap_or_default();
                    if field != "realSize" && status[field].as_i64().is_some_and(|known| known != 0 && known != own) {
                        told = ("failed".to_owned(), 0, format!("found mismatching {field} {own}"));
                    }
                    self.measure(status, field, own);
                }
                let checksum = text("currentChecksum");
                if status["checksum"] == "" {
                    status["checksum"] = checksum.into();
                } else if status["checksum"] != checksum.as_str() {
                    told =
                        ("failed".to_owned(), 0, "Backing image recorded checksum doesn't match the file's".to_owned());
                }
            }
            entries.insert(disk.to_owned(), told);
        }
        let before = self.image.at("/status/diskFileStatusMap");
        let map: Map<String, Value> = entries
            .into_iter()
            .map(|(disk, (state, progress, message))| {
                let known = &before[&disk];
                let since = if known["state"] == state.as_str() {
                    known["lastStateTransitionTime"].clone()
                } else {
                    time(self.now).into()
                };
                let entry = json!({
                    "dataEngine": "v1", "state": state, "progress": progress, "message": message,
                    "lastStateTransitionTime": since,
                });
                (disk, entry)
            })
            .collect();
        status["diskFileStatusMap"] = map.into();
    }

    /// A size is set once, by the first report; of the file's own size nothing is told.
    fn measure(&mut self, status: &mut Value, field: &str, value: i64) {
        if value != 0 && status[field].as_i64().unwrap_or_default() == 0 {
            status[field] = value.into();
            if field != "size" {
                self.event("Normal", "Update", format!("Set {field} to {value}"));
            }
        }
    }

    /// Since when each disk's copy is used by no replica.
    fn references(&self, status: &mut Value) {
        let used: BTreeSet<&str> = self.replicas().map(|replica| replica.text("/spec/diskID")).collect();
        let before = self.image.at("/status/diskLastRefAtMap");
        let map: Map<String, Value> = self
            .disks()
            .into_iter()
            .filter(|disk| !used.contains(disk.as_str()))
            .map(|disk| {
                let since = before.get(&disk).cloned().unwrap_or_else(|| time(self.now).into());
                (disk, since)
            })
            .collect();
        status["diskLastRefAtMap"] = map.into();
    }

    /// Adds one copy if there are too few, takes one away that nobody used for long or that is to leave.
    fn copies(&mut self, status: &Value) {
        let image = self.image;
        if !self.data_source().is_some_and(|source| source.flag("/spec/fileTransferred")) {
            return;
        }
        let wanted = usize::try_from(image.count("/spec/minNumberOfCopies").max(1)).unwrap_or(1);
        let specs = image.at("/spec/diskFileSpecMap").as_object().cloned().unwrap_or_default();
        let entry = |disk: &str| status["diskFileStatusMap"][disk]["state"].as_str().unwrap_or_default().to_owned();
        let evicted = |disk: &str| specs[disk]["evictionRequested"] == true;
        let good = specs.keys().filter(|disk| !BAD.contains(&entry(disk).as_str()) && !evicted(disk)).count();
        if good > 0 && good < wanted && self.site.number(self.cache, REPLENISH_LIMIT) > 0 {
            let free: Vec<ReadyDisk> = self
                .site
                .disks(self.cache)
                .into_iter()
                .filter(|(ready, disk)| *ready && !specs.contains_key(&disk.uuid))
                .map(|(_, disk)| disk)
                .collect();
            if self.pace.is_ok()
                && let Some(disk) = free.get(self.site.plant.below(free.len()))
            {
                self.added = true;
                self.spec(&disk.uuid, &json!({"dataEngine": "v1", "evictionRequested": false}));
                return;
            }
        }
        let used: BTreeSet<&str> = self.replicas().map(|replica| replica.text("/spec/diskID")).collect();
        let ready = specs.keys().filter(|disk| entry(disk) == "ready").count();
        let minutes = self.site.number(self.cache, CLEANUP_WAIT);
        for disk in specs.keys().filter(|disk| !used.contains(disk.as_str())) {
            let others = ready - usize::from(entry(disk) == "ready");
            if evicted(disk) {
                if others == 0 {
                    self.event(
                        "Warning",
                        "FailedDeleting",
                        format!("Failed to evict backing image copy on disk {disk}: it is the last healthy one"),
                    );
                } else {
                    self.spec(disk, &Value::Null);
                    return;
                }
            }
            let since: Option<Timestamp> = status["diskLastRefAtMap"][disk].as_str().and_then(|at| at.parse().ok());
            let due = since.map(|since| since + SignedDuration::from_mins(minutes));
            if others >= wanted && due.is_some_and(|due| due <= self.now) {
                self.spec(disk, &Value::Null);
                return;
            }
        }
        // A copy that left the specification leaves its manager's record too.
        for manager in self.all_managers().filter(|manager| !manager.is_terminating()) {
            let disk = manager.text("/spec/diskUUID");
            if manager.at("/spec/backingImages").get(image.name()).is_some() && !specs.contains_key(disk) {
                self.forget(manager);
            }
        }
    }

    fn spec(&mut self, disk: &str, value: &Value) {
        let body = json!({"spec": {"diskFileSpecMap": {disk: value}}});
        self.writes.push(Write::patch(&kind::BACKING_IMAGE, self.image.key(), Form::Merge, body));
    }

    /// Takes the image out of a manager's record; a manager without any goes.
    fn forget(&mut self, manager: &Object) {
        let records = manager.at("/spec/backingImages").as_object();
        if records.is_some_and(|records| records.len() == 1) {
            let message = format!(
                "deleting unused backing image manager {} in disk {} on node {}",
                manager.name(),
                manager.text("/spec/diskUUID"),
                manager.text("/spec/nodeID")
            );
            self.writes.push(Write::delete(&kind::IMAGE_MANAGER, manager));
            self.event("Normal", "Delete", message);
        } else {
            let body = json!({"spec": {"backingImages": {self.image.name(): null}}});
            self.writes.push(Write::patch(&kind::IMAGE_MANAGER, manager.key(), Form::Merge, body));
        }
    }

    /// The end: replicas first, then the first file's preparation, then the copies (longhorn.md 3.11).
    fn delete(&mut self) {
        if self.replicas().next().is_some() || self.site.plant.wrongs().is_set("bi-undeletable") {
            return;
        }
        if let Some(source) = self.data_source()
            && !source.flag("/spec/fileTransferred")
            && source.text("/status/currentState") != "failed-and-cleanup"
        {
            return;
        }
        let mut waits = false;
        for manager in self.all_managers().collect::<Vec<_>>() {
            let recorded = manager.at("/spec/backingImages").get(self.image.name()).is_some();
            let held = manager.at("/status/backingImageFileMap").get(self.image.name()).is_some();
            waits |= recorded || held;
            if recorded && !manager.is_terminating() {
                self.forget(manager);
            }
        }
        if !waits {
            self.writes.extend(without_finalizer(&kind::BACKING_IMAGE, self.image));
        }
    }
}
