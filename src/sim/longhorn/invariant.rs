//! What must hold whatever is tested: a break is a mistake of this imitation (longhorn.md 9.4).
//!
//! Looked at after every change of what it is about, for as long as no wrong is done on purpose and no
//! fault is injected. That no pod of a file or instance manager ends while only managers restart (8) is
//! no rule of every run: the plan `same-image` checks it in each of its rounds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::plant::Plant;
use super::server::RECEIVERS;
use super::store::FileName;
use super::{kind, name, setting};
use crate::sim::{Backoff, Cache, Controller, Key, Kind, Object, Round, Runs, Trigger};

/// The watch over all of it. It writes nothing.
pub(super) fn controller(plant: &Plant) -> Box<dyn Runs> {
    Controller {
        name: "longhorn-invariants",
        triggers: vec![
            Trigger::itself(kind::BACKING_IMAGE),
            Trigger::itself(kind::DATA_SOURCE),
            Trigger::itself(kind::IMAGE_MANAGER),
            Trigger::itself(kind::REPLICA),
            Trigger::itself(kind::VOLUME),
            Trigger::itself(kind::SETTING),
            Trigger::known(kind::ENGINE),
            Trigger::on(Kind::POD, |change, _| {
                let of_manager = change.after.label("app") == Some("longhorn-manager");
                of_manager.then(|| change.after.key()).into_iter().collect()
            }),
        ],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: false,
        reconcile,
    }
    .with(Memory {
        plant: plant.clone(),
        images: BTreeMap::new(),
        transferred: BTreeMap::new(),
        deletions: 0,
        default_image: String::new(),
        replaced: BTreeMap::new(),
        volumes: BTreeMap::new(),
    })
}

struct Memory {
    plant: Plant,
    /// The last state of each image, by uid.
    images: BTreeMap<String, Object>,
    /// Whether each source's file was transferred when it was last seen, by uid.
    transferred: BTreeMap<String, bool>,
    /// How many deletions were looked at.
    deletions: usize,
    /// The image that new backing image managers have.
    default_image: String,
    /// The images that were that before, with when they were last.
    replaced: BTreeMap<String, Timestamp>,
    /// The last state of each volume, by uid.
    volumes: BTreeMap<String, Object>,
}

fn reconcile(key: &Key, cache: &Cache, memory: &mut Memory, now: Timestamp) -> Round {
    let mut broken = memory.deleted(cache);
    if let Some(image) = cache.of(&kind::BACKING_IMAGE, key) {
        broken.extend(memory.image(image));
    }
    if let Some(source) = cache.of(&kind::DATA_SOURCE, key) {
        broken.extend(memory.source(source, cache.of(&kind::BACKING_IMAGE, key)));
    }
    if let Some(manager) = cache.of(&kind::IMAGE_MANAGER, key) {
        broken.extend(manager_alone(manager, cache));
        broken.extend(memory.of_an_old_image(manager));
        broken.extend(senders(manager));
    }
    if let Some(replica) = cache.of(&kind::REPLICA, key) {
        broken.extend(memory.replica(replica, cache));
    }
    if let Some(volume) = cache.of(&kind::VOLUME, key) {
        broken.extend(memory.volume(volume, cache));
    }
    if let Some(setting) = cache.of(&kind::SETTING, key) {
        memory.setting(setting, now);
    }
    if let Some(pod) = cache.of(&Kind::POD, key) {
        broken.extend(restarted(pod));
    }
    for what in broken {
        memory.plant.broke(what);
    }
    Round::idle()
}

impl Memory {
    /// 1: no finished file goes while its image wants it there, but after its copy had failed or was another one.
    fn deleted(&mut self, cache: &Cache) -> Vec<String> {
        let deletions = self.plant.deletions_from(self.deletions);
        self.deletions += deletions.len();
        let unwanted = |deletion: &&super::store::Deletion| {
            let images = kind::BACKING_IMAGE;
            let mut same = cache.all(&images).filter(|image| image.text("/status/uuid") == deletion.file.uuid);
            same.any(|image| {
                let entry = |image: &Object| image.at("/status/diskFileStatusMap")[&deletion.disk]["state"] == "failed";
                let before = self.images.get(image.uid());
                !image.is_terminating()
                    && image.at("/spec/diskFileSpecMap").get(&deletion.disk).is_some()
                    && deletion.why != "reuse failed"
                    && !entry(image)
                    && !before.is_some_and(entry)
            })
        };
        let told = |deletion: &super::store::Deletion| {
            format!(
                "the file of `{}` on {} was deleted while it was wanted: {}",
                deletion.file.image, deletion.disk, deletion.why
            )
        };
        deletions.iter().filter(unwanted).map(told).collect()
    }

    /// 2: what identifies an image's content does not change.
    fn image(&mut self, image: &Object) -> Option<String> {
        let before = self.images.insert(image.uid().to_owned(), image.clone())?;
        let changed = ["/status/uuid", "/status/checksum"].into_iter().find(|pointer| {
            let old = before.text(pointer);
            !old.is_empty() && old != image.text(pointer)
        })?;
        let (old, new) = (before.text(changed), image.text(changed));
        Some(format!("`{changed}` of `{}` changed from {old} to {new}", image.name()))
    }

    /// 3: a file is prepared anew only when every copy had failed.
    fn source(&mut self, source: &Object, image: Option<&Object>) -> Option<String> {
        let now = source.flag("/spec/fileTransferred");
        let before = self.transferred.insert(source.uid().to_owned(), now).unwrap_or_default();
        let entries = image.and_then(|image| image.at("/status/diskFileStatusMap").as_object());
        let failed = |entry: &Value| entry["state"] == "failed";
        let left = entries.is_some_and(|entries| entries.values().any(|entry| !failed(entry)));
        (before && !now && left)
            .then(|| format!("`{}` is prepared anew though not every copy had failed", source.name()))
    }

    /// 4: once another image is the default, no manager of the old one is made.
    fn of_an_old_image(&self, manager: &Object) -> Option<String> {
        let since = self.replaced.get(manager.text("/spec/image"))?;
        // Times of creation have no fractions.
        let later = manager.created().as_second() > since.as_second() + 1;
        later.then(|| {
            let image = manager.text("/spec/image");
            format!("`{}` was made of {image} when {} was the default", manager.name(), self.default_image)
        })
    }

    fn setting(&mut self, setting: &Object, now: Timestamp) {
        let value = setting.text("/value");
        if setting.name() == setting::IMAGE_MANAGER_IMAGE && value != self.default_image {
            let before = std::mem::replace(&mut self.default_image, value.to_owned());
            self.replaced.remove(value);
            if !before.is_empty() {
                self.replaced.insert(before, now);
            }
        }
    }

    /// 7: an attached volume's image is its engine's.
    fn volume(&mut self, volume: &Object, cache: &Cache) -> Option<String> {
        let before = self.volumes.insert(volume.uid().to_owned(), volume.clone())?;
        let (old, new) = (before.text("/status/currentImage"), volume.text("/status/currentImage"));
        let detached = |volume: &Object| volume.text("/status/state") != "attached";
        if old.is_empty() || old == new || detached(&before) || detached(volume) {
            return None;
        }
        let same = |engine: &Object| {
            engine.text("/spec/volumeName") == volume.name() && engine.text("/status/currentImage") == new
        };
        (!cache.within(&kind::ENGINE, volume.namespace()).any(same))
            .then(|| format!("attached volume `{}` is at {new}, and its engine is not", volume.name()))
    }

    /// 6: a replica runs only on a file that is there.
    fn replica(&self, replica: &Object, cache: &Cache) -> Option<String> {
        let image = replica.label(name::REPLICA_IMAGE).filter(|image| !image.is_empty())?;
        let object = cache.get(&kind::BACKING_IMAGE, replica.namespace(), image)?;
        let disk = replica.text("/spec/diskID");
        let file = FileName::new(image, object.text("/status/uuid"));
        let runs = replica.text("/status/currentState") == "running";
        let there = self.plant.disks().finished(disk, &file).is_some();
        (runs && !there && !disk.is_empty())
            .then(|| format!("replica `{}` runs without the file of `{image}` on {disk}", replica.name()))
    }
}

/// 4: one manager for each image and disk.
fn manager_alone(manager: &Object, cache: &Cache) -> Option<String> {
    let same = |other: &&Object| {
        let equal = |pointer| other.at(pointer) == manager.at(pointer);
        equal("/spec/image") && equal("/spec/diskUUID")
    };
    let count = cache.within(&kind::IMAGE_MANAGER, manager.namespace()).filter(same).count();
    let (image, disk) = (manager.text("/spec/image"), manager.text("/spec/diskUUID"));
    (count > 1).then(|| format!("{count} backing image managers of {image} on {disk}"))
}

/// 9: no manager ends by itself. Real ones do at times, at their first start: that is not imitated.
fn restarted(pod: &Object) -> Option<String> {
    let ended = |status: &&Value| {
        let code = &status["lastState"]["terminated"]["exitCode"];
        status["name"] == "longhorn-manager" && code.as_i64().is_some_and(|code| code != 0)
    };
    pod.items("/status/containerStatuses").iter().find(ended)?;
    Some(format!("the container of manager `{}` ended by itself", pod.name()))
}

/// 5: nobody sends to more than three at once.
fn senders(manager: &Object) -> Option<String> {
    let files = manager.at("/status/backingImageFileMap").as_object()?;
    let most = i64::try_from(RECEIVERS).unwrap_or(i64::MAX);
    let (image, _) = files.iter().find(|(_, file)| file["sendingReference"].as_i64().unwrap_or_default() > most)?;
    Some(format!("`{}` sends `{image}` to more than {RECEIVERS} at once", manager.name()))
}
