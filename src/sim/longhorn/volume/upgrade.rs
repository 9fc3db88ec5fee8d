//! Changing a volume's engine image: in one step while it is detached, with twins of its replicas while it is attached.

use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::engine_image::commit;
use super::health::address;
use super::kind;
use super::map_of;
use super::sync::{Sync, none};
use super::{FINALIZER, labels};
use crate::sim::Write;

impl Sync<'_> {
    /// One step from the image that the volume runs on to the one that it is to run on.
    pub(super) fn upgrade(&mut self) {
        let (new, old) =
            (self.volume.text("/spec/image").to_owned(), self.volume.text("/status/currentImage").to_owned());
        let state = self.volume.text("/status/state").to_owned();
        if state == "detached" {
            self.drop_twins();
        }
        if new == old || new.is_empty() {
            return;
        }
        if state == "detached" && self.engine_state() == "stopped" {
            if self.volume.text("/spec/nodeID").is_empty() {
                self.switch_at_rest(&new);
            }
            return;
        }
        if state != "attached" || self.engine_state() != "running" {
            return;
        }
        if self.engine.text("/status/currentImage") == new {
            self.take_over(&new);
            return;
        }
        if self.engine.text("/spec/image") == new {
            return;
        }
        if self.volume.text("/status/robustness") != "healthy" {
            // What they are twins of is not what it was: they are made anew once it is healthy again.
            self.drop_twins();
            return;
        }
        if commit(&new) == commit(&old) || !self.is_deployed(&new) {
            return;
        }
        self.grow_twins(&new, &old);
    }

    /// Whether the new binaries are where the engine and its replicas are.
    fn is_deployed(&self, image: &str) -> bool {
        let nodes = self.replicas.values().map(|own| own.text("/spec/nodeID"));
        nodes.chain([self.engine.text("/spec/nodeID")]).all(|node| self.has_binaries(image, node))
    }

    fn switch_at_rest(&mut self, image: &str) {
        self.engine.set("/spec/image", image);
        for replica in self.replicas.values_mut() {
            replica.set("/spec/image", image);
        }
        self.volume.set("/status/currentImage", image);
    }

    /// Makes a twin of each replica, and hands them to the engine once all of them run.
    fn grow_twins(&mut self, new: &str, old: &str) {
        if self.post.data.is_wrong("live-upgrade-stuck") {
            return;
        }
        let mut map = Map::new();
        let mut whole = true;
        let olds: Vec<Draft> = self
            .replicas
            .values()
            .filter(|own| own.flag("/spec/active") && own.text("/spec/image") == old)
            .filter(|own| own.text("/spec/failedAt").is_empty() && own.text("/status/currentState") == "running")
            .cloned()
            .collect();
        for replica in &olds {
            let directory = replica.text("/spec/dataDirectoryName");
            let twin = self
                .replicas
                .values()
                .find(|own| own.text("/spec/dataDirectoryName") == directory && own.text("/spec/image") == new);
            match twin {
                None => {
                    let twin = self.twin(replica, new);
                    self.deeds.push(twin);
                    whole = false;
                }
                Some(twin) if twin.text("/status/currentState") == "error" => {
                    let name = twin.name().to_owned();
                    self.remove(&name);
                    whole = false;
                }
                Some(twin) if twin.text("/status/currentState") == "running" => {
                    map.insert(twin.name().to_owned(), address(twin).into());
                }
                Some(_) => whole = false,
            }
        }
        if whole && !olds.is_empty() {
            self.engine.set("/spec/upgradedReplicaAddressMap", Value::Object(map));
            self.engine.set("/spec/image", new);
        }
    }

    /// Another process on the same data, under a new name.
    fn twin(&self, replica: &Draft, image: &str) -> Write {
        let named = format!("twin/{}/{image}/{}", replica.before().uid(), self.now.as_microsecond());
        let mut spec = replica.at("/spec").clone();
        spec["active"] = false.into();
        spec["image"] = image.into();
        spec["desireState"] = "running".into();
        let name = format!("{}-r-{}", self.name(), self.post.data.chance(&named).hex(8));
        let mut labels = labels(self.name(), replica.text("/spec/nodeID"));
        for label in ["longhorndiskuuid", "longhorn.io/backing-image"] {
            if let Some(value) = replica.before().label(label) {
                labels[label] = value.into();
            }
        }
        Write::create(
            &kind::REPLICA,
            json!({
                "metadata": {
                    "name": name, "namespace": self.post.namespace, "finalizers": [FINALIZER], "labels": labels,
                    "ownerReferences": [kind::VOLUME.owner(self.name(), self.volume.before().uid())],
                },
                "spec": spec,
            }),
        )
    }

    /// The engine is the new one: its replicas are the volume's from now on.
    fn take_over(&mut self, image: &str) {
        let twins = map_of(self.engine.at("/status/currentReplicaAddressMap"));
        let old: Vec<String> = self.replicas.keys().filter(|name| !twins.contains_key(*name)).cloned().collect();
        for (name, replica) in &mut self.replicas {
            replica.set("/spec/active", twins.contains_key(name));
        }
        for name in old {
            self.remove(&name);
        }
        let map = twins.iter().map(|(name, address)| (name.clone(), address.clone().into()));
        self.engine.set("/spec/replicaAddressMap", Value::Object(map.collect()));
        if !self.post.data.is_wrong("stale-upgraded-map") {
            self.engine.set("/spec/upgradedReplicaAddressMap", none());
        }
        self.volume.set("/status/currentImage", image);
        let volume = self.name().to_owned();
        let survivor = twins.keys().next().cloned().unwrap_or_default();
        if self.post.data.is_wrong("engine-upgrade-faults") {
            for twin in twins.keys() {
                self.post.data.crash(twin);
            }
        }
        if self.post.data.is_wrong("replicas-fail-after-upgrade") {
            self.post.data.crash_once(&format!("replicas-fail-after-upgrade/{volume}"), &survivor);
        }
        if self.post.data.is_wrong("content-corrupted") {
            self.post.data.corrupt(&volume);
        }
    }

    /// Twins that were never used are no use to a volume that is at rest or not healthy.
    fn drop_twins(&mut self) {
        let idle = self.replicas.values().filter(|own| !own.flag("/spec/active"));
        let names: Vec<String> = idle.map(|own| own.name().to_owned()).collect();
        for name in names {
            self.remove(&name);
        }
    }
}
