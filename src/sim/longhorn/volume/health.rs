//! Replicas that failed, the robustness that is left, and the replicas that make up for it.

use std::time::Duration;

use super::draft::Draft;
use super::map_of;
use super::sync::Sync;
use super::timing::MANAGER_POLL;

/// How long a failed replica is left alone before it is used again.
const REUSE_AFTER: i64 = 5;

/// Where a running replica listens.
pub(super) fn address(replica: &Draft) -> String {
    format!("{}:{}", replica.text("/status/storageIP"), replica.at("/status/port"))
}

impl Sync<'_> {
    /// What the engine says of its replicas, and what instance managers say of their processes.
    pub(super) fn health(&mut self) {
        let at = self.stamp();
        for replica in self.replicas.values_mut() {
            let dead = replica.text("/status/currentState") == "error";
            if dead && replica.flag("/spec/active") && replica.text("/spec/desireState") == "running" {
                fail(replica, &at);
            }
        }
        let modes = map_of(self.engine.at("/status/replicaModeMap"));
        if self.engine_state() != "running" || self.volume.text("/status/state") == "detaching" {
            return;
        }
        for (name, mode) in &modes {
            let Some(replica) = self.replicas.get_mut(name) else { continue };
            match mode.as_str() {
                "ERR" => fail(replica, &at),
                "RW" if replica.text("/spec/healthyAt").is_empty() => {
                    replica.set("/spec/healthyAt", at.as_str());
                    replica.set("/spec/lastHealthyAt", at.as_str());
                    replica.set("/spec/rebuildRetryCount", 0);
                }
                _ => {}
            }
        }
        // Until the first poll nobody knows, and what was said before stands.
        if modes.is_empty() || self.volume.text("/status/state") != "attached" {
            return;
        }
        let healthy = modes.iter().filter(|(name, mode)| {
            let failed = self.replicas.get(*name).is_some_and(|own| !own.text("/spec/failedAt").is_empty());
            *mode == "RW" && !failed
        });
        self.judge(healthy.count());
    }

    fn judge(&mut self, healthy: usize) {
        let wanted = self.wanted();
        let before = self.volume.text("/status/robustness").to_owned();
        let name = self.name().to_owned();
        let new = match healthy {
            0 => "faulted",
            enough if enough >= wanted => "healthy",
            _ => "degraded",
        };
        if new == before {
            return;
        }
        self.volume.set("/status/robustness", new);
        match new {
            "healthy" => {
                self.volume.set("/status/lastDegradedAt", "");
                if before == "degraded" {
                    self.tell("Normal", "Healthy", format!("volume {name} became healthy"));
                }
            }
            "degraded" => {
                let at = self.stamp();
                self.volume.set("/status/lastDegradedAt", at);
                self.tell("Normal", "Degraded", format!("volume {name} became degraded"));
            }
            _ => self.tell("Warning", "Faulted", format!("volume {name} became faulted")),
        }
    }

    /// How many replicas there are to be.
    pub(super) fn wanted(&self) -> usize {
        let count = self.volume.at("/spec/numberOfReplicas").as_u64().unwrap_or(3);
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// Brings a degraded volume back to its number of replicas, one at a time, and tells the engine of those that run.
    pub(super) fn replenish(&mut self) {
        let attached = self.volume.text("/status/state") == "attached" && self.engine_state() == "running";
        let upgrading = self.engine.text("/spec/image") != self.engine.text("/status/currentImage");
        if !attached || upgrading || !map_of(self.engine.at("/spec/upgradedReplicaAddressMap")).is_empty() {
            return;
        }
        let robustness = self.volume.text("/status/robustness").to_owned();
        if robustness == "degraded" {
            self.reuse_or_make();
        }
        let running = self.replicas.values().filter(|own| {
            own.flag("/spec/active")
                && own.text("/spec/failedAt").is_empty()
                && own.text("/spec/desireState") == "running"
                && own.text("/status/currentState") == "running"
        });
        let map: serde_json::Map<_, _> = running.map(|own| (own.name().to_owned(), address(own).into())).collect();
        if !map.is_empty() {
            self.engine.set("/spec/replicaAddressMap", serde_json::Value::Object(map));
        }
        if robustness == "healthy" {
            self.clear_surplus();
        }
    }

    fn reuse_or_make(&mut self) {
        let fit = |own: &&Draft| own.flag("/spec/active") && own.text("/spec/failedAt").is_empty();
        if self.replicas.values().filter(fit).count() >= self.wanted() {
            return;
        }
        let stopped = |own: &&Draft| ["stopped", ""].contains(&own.text("/status/currentState"));
        let failed: Vec<(String, i64, i64)> = self
            .replicas
            .values()
            .filter(|own| own.flag("/spec/active") && !own.text("/spec/failedAt").is_empty())
            .filter(stopped)
            .map(|own| {
                let retries = own.at("/spec/rebuildRetryCount").as_i64().unwrap_or_default();
                let since = self.since(own.text("/spec/lastFailedAt")).unwrap_or(REUSE_AFTER);
                (own.name().to_owned(), since, retries)
            })
            .collect();
        let ready = failed.iter().find(|(_, since, retries)| *since >= REUSE_AFTER * (retries + 1).min(60));
        let image = self.volume.at("/status/currentImage").clone();
        if let Some((name, _, retries)) = ready {
            if let Some(replica) = self.replicas.get_mut(name) {
                replica.set("/spec/failedAt", "");
                replica.set("/spec/healthyAt", "");
                replica.set("/spec/rebuildRetryCount", retries + 1);
                replica.set("/spec/image", image);
                replica.set("/spec/desireState", "running");
            }
        } else if self.replicas.values().any(|own| !own.text("/spec/failedAt").is_empty()) {
            self.look_again(Duration::from_secs(1));
        } else {
            let mut taken = self.taken();
            if super::schedule::spot(&self.volume, self.cache, self.post, &taken).is_some() {
                let made = super::schedule::created(&self.volume, self.cache, self.post, self.now, 0, &mut taken);
                self.deeds.push(made);
            } else {
                self.look_again(MANAGER_POLL * 10);
            }
        }
        // One that was made runs as the volume does.
        for replica in self.replicas.values_mut() {
            let new = replica.text("/spec/failedAt").is_empty() && replica.text("/spec/healthyAt").is_empty();
            if new && replica.flag("/spec/active") && !replica.text("/spec/nodeID").is_empty() {
                replica.set("/spec/desireState", "running");
            }
        }
    }

    /// Takes away what is more than enough: failed ones first.
    fn clear_surplus(&mut self) {
        let active: Vec<&Draft> = self.replicas.values().filter(|own| own.flag("/spec/active")).collect();
        if active.len() <= self.wanted() {
            return;
        }
        let surplus = active.iter().find(|own| !own.text("/spec/failedAt").is_empty()).or(active.first());
        if let Some(name) = surplus.map(|own| own.name().to_owned()) {
            self.remove(&name);
        }
    }

    /// The conditions that a volume takes over from its replicas.
    pub(super) fn conditions(&mut self) {
        let at = self.stamp();
        let waits = self.replicas.values().find_map(|own| {
            let conditions = own.at("/status/conditions").as_array()?;
            let wait = conditions.iter().find(|own| own["type"] == "WaitForBackingImage" && own["status"] == "True")?;
            (own.text("/spec/desireState") == "running").then(|| wait["reason"].as_str().unwrap_or_default().to_owned())
        });
        self.volume.condition("WaitForBackingImage", waits.is_some(), waits.as_deref().unwrap_or(""), "", &at);
        for quiet in ["Restore", "TooManySnapshots", "OfflineRebuilding", "BackingImageIncompatible"] {
            self.volume.condition(quiet, false, "", "", &at);
        }
    }
}

/// Notes that a replica failed, once.
fn fail(replica: &mut Draft, at: &str) {
    if replica.text("/spec/failedAt").is_empty() {
        replica.set("/spec/failedAt", at);
        replica.set("/spec/lastFailedAt", at);
    }
    replica.set("/spec/desireState", "stopped");
}
