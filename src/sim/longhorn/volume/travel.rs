//! A volume's way to a node and back, and what happens when its engine dies.

use serde_json::Value;

use super::draft::Draft;
use super::sync::{Sync, none};
use super::timing::MANAGER_POLL;

impl Sync<'_> {
    /// One step on the way from where the volume is to where it is wanted.
    pub(super) fn travel(&mut self) {
        let wanted = self.volume.text("/spec/nodeID").to_owned();
        let at = self.engine.text("/spec/nodeID").to_owned();
        let state = self.volume.text("/status/state").to_owned();
        let dead = self.engine_state() == "error";
        if dead && state == "attached" {
            let text =
                format!("Engine of volume {} dead unexpectedly, setting v.Status.Robustness to faulted", self.name());
            self.tell("Warning", "DetachedUnexpectedly", text);
            self.volume.set("/status/robustness", "faulted");
        }
        let faulted = self.volume.text("/status/robustness") == "faulted";
        let elsewhere = !at.is_empty() && at != wanted;
        let leaving = state == "detaching";
        if wanted.is_empty() || faulted || elsewhere || dead || leaving {
            self.close(&state);
        } else {
            self.open(&wanted, &state);
        }
    }

    /// Starts replicas, then the engine.
    fn open(&mut self, node: &str, state: &str) {
        if state != "attached" && state != "attaching" {
            self.volume.set("/status/state", "attaching");
        }
        let image = self.volume.at("/status/currentImage").clone();
        for replica in self.replicas.values_mut().filter(|own| own.flag("/spec/active")) {
            let fit = replica.text("/spec/failedAt").is_empty() && !replica.text("/spec/nodeID").is_empty();
            if fit && replica.text("/spec/desireState") != "running" && state != "attached" {
                replica.set("/spec/desireState", "running");
                replica.set("/spec/image", image.clone());
            }
        }
        if self.engine.text("/spec/desireState") != "running" {
            let Some(addresses) = self.addresses() else { return };
            let placed = self.replicas.values().any(|own| !own.text("/spec/nodeID").is_empty());
            if addresses.is_empty() && placed {
                self.volume.set("/status/robustness", "faulted");
            }
            if addresses.is_empty() || !self.has_binaries(image.as_str().unwrap_or_default(), node) {
                self.look_again(MANAGER_POLL);
                return;
            }
            self.engine.set("/spec/nodeID", node);
            self.engine.set("/metadata/labels/longhornnode", node);
            self.engine.set("/spec/image", image);
            self.engine.set("/spec/disableFrontend", self.volume.flag("/spec/disableFrontend"));
            self.engine.set("/spec/replicaAddressMap", Value::Object(addresses));
            self.engine.set("/spec/upgradedReplicaAddressMap", self.leftover());
            self.engine.set("/spec/desireState", "running");
            return;
        }
        if self.engine_state() == "running" && state != "attached" {
            self.volume.set("/status/state", "attached");
            self.volume.set("/status/currentNodeID", node);
            let text = format!("volume {} has been attached to {node}", self.name());
            self.tell("Normal", "Attached", text);
            let (salvaged, remounted) =
                (self.volume.text("/status/lastAutoSalvagedAt"), self.volume.text("/status/remountRequestedAt"));
            if salvaged > remounted {
                let at = self.stamp();
                self.volume.set("/status/remountRequestedAt", at.as_str());
                let text = format!("Volume {} requested remount at {at}", self.name());
                self.tell("Normal", "Remount", text);
            }
        }
    }

    /// The map a wrong leaves behind; empty as it should be otherwise.
    fn leftover(&self) -> Value {
        let old = self.engine.at("/spec/upgradedReplicaAddressMap");
        if self.post.data.is_wrong("stale-upgraded-map") && old.is_object() { old.clone() } else { none() }
    }

    /// The replicas that hold what was written last: of a volume that was attached before, those that were healthy.
    fn counted(&self) -> impl Iterator<Item = &Draft> {
        let old = self.replicas.values().any(|own| !own.text("/spec/healthyAt").is_empty());
        self.replicas.values().filter(move |own| {
            own.flag("/spec/active")
                && (!old || !own.text("/spec/healthyAt").is_empty())
                && own.text("/spec/failedAt").is_empty()
                && !own.text("/spec/nodeID").is_empty()
        })
    }

    /// The addresses of all replicas that count; `None` while one of them is not running yet.
    fn addresses(&self) -> Option<serde_json::Map<String, Value>> {
        self.counted()
            .map(|own| {
                let running = own.text("/status/currentState") == "running";
                running.then(|| (own.name().to_owned(), super::health::address(own).into()))
            })
            .collect()
    }

    /// Stops the engine, then the replicas.
    fn close(&mut self, state: &str) {
        if ["attached", "attaching"].contains(&state) {
            self.volume.set("/status/state", "detaching");
        }
        self.engine.set("/spec/desireState", "stopped");
        if self.engine_state() != "stopped" {
            return;
        }
        for field in ["replicaAddressMap", "upgradedReplicaAddressMap"] {
            let left = if field.starts_with('u') { self.leftover() } else { none() };
            self.engine.set(&format!("/spec/{field}"), left);
        }
        self.engine.set("/spec/nodeID", "");
        let mut still = true;
        for replica in self.replicas.values_mut() {
            replica.set("/spec/desireState", "stopped");
            still &= ["stopped", ""].contains(&replica.text("/status/currentState"));
        }
        if !still {
            return;
        }
        if state != "detached" {
            self.volume.set("/status/state", "detached");
            self.volume.set("/status/currentNodeID", "");
            if ["detaching", "attached"].contains(&state) {
                let text = format!("volume {} has been detached", self.name());
                self.tell("Normal", "Detached", text);
            }
        }
        if self.volume.text("/status/robustness") == "faulted" {
            self.salvage();
        } else {
            self.volume.set("/status/robustness", "unknown");
        }
        self.volume.set("/status/lastDegradedAt", "");
    }

    /// Brings a volume back whose replicas all failed, if it is to be.
    fn salvage(&mut self) {
        if self.post.setting(self.cache, "auto-salvage", "true") != "true" {
            return;
        }
        let at = self.stamp();
        let healthy = self.counted().next().is_some();
        let failed: Vec<String> = self
            .replicas
            .values()
            .filter(|own| !own.text("/spec/failedAt").is_empty())
            .map(|own| own.text("/spec/failedAt").to_owned())
            .collect();
        // Those that failed last, all together, have the newest contents.
        let newest = failed.iter().max().cloned().unwrap_or_default();
        let limit: Option<jiff::Timestamp> = newest.parse().ok();
        let mut saved = Vec::new();
        for replica in self.replicas.values_mut().filter(|_| !healthy) {
            let when: Option<jiff::Timestamp> = replica.text("/spec/failedAt").parse().ok();
            let (Some(when), Some(limit)) = (when, limit) else { continue };
            if limit.duration_since(when).as_secs() <= 10 {
                replica.set("/spec/failedAt", "");
                saved.push(replica.name().to_owned());
            }
        }
        self.volume.set("/status/robustness", "unknown");
        self.volume.set("/status/lastAutoSalvagedAt", at);
        for name in saved {
            let text = format!("Replica {name} of volume {} will be automatically salvaged", self.name());
            self.tell("Warning", "AutoSalvaged", text);
        }
    }

    /// Whether an engine image's binaries are on a node.
    pub(super) fn has_binaries(&self, image: &str, node: &str) -> bool {
        let name = super::name::engine_image(image);
        let found = self.cache.get(&super::kind::ENGINE_IMAGE, &self.post.namespace, &name);
        found.is_some_and(|own| own.at("/status/nodeDeploymentMap")[node] == true)
    }

    /// So many seconds after a time that an object carries.
    pub(super) fn since(&self, at: &str) -> Option<i64> {
        let at: jiff::Timestamp = at.parse().ok()?;
        Some(self.now.duration_since(at).as_secs())
    }
}
