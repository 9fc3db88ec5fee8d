//! What the image does, by the command that a container gives it.

use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

use super::super::gate::Ground;
use super::super::known::Known;
use super::super::plant::Plant;
use super::super::site::Flags;
use super::{daemon, job};
use crate::sim::{Chance, Image, Life, Setting, Span, Start};

/// The image `longhorn-manager`.
pub(in super::super) struct ManagerImage {
    pub(in super::super) ground: Ground,
    pub(in super::super) plant: Plant,
    pub(in super::super) known: Known,
}

/// How long a write of a manager takes to reach the embedded server (recorded: 10 to 45 ms from one deletion of a takeover
/// to the next, 0.04 to 0.18 s from a new image over its status to its data source).
pub(in super::super) const LATENCY: Span = Span::millis(5, 55);

/// How much longer than others a manager's container takes to show itself running: one in four takes long
/// (recorded: 1.1 to 2.9 s from its pod's making, 3.6 s at upgrades, where others take 1.0 to 1.7 s).
const SHOWN: (Span, Span) = (Span::millis(0, 1_300), Span::millis(1_300, 2_200));

/// Ends with the container that started it.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Whether a container's command has a word.
fn has(container: &Value, word: &str) -> bool {
    container["command"].as_array().into_iter().flatten().filter_map(Value::as_str).any(|own| own == word)
}

impl Image for ManagerImage {
    fn creation(&self, container: &Value, chance: &mut Chance) -> Duration {
        if !has(container, "daemon") {
            return Duration::ZERO;
        }
        let span = if chance.happens(0.75) { SHOWN.0 } else { SHOWN.1 };
        chance.draw(span)
    }

    fn start(&self, start: &Start, chance: &mut Chance) -> Life {
        let containers = start.pod.items("/spec/containers");
        let container = containers.iter().find(|own| own["name"] == start.container.as_str());
        let container = container.cloned().unwrap_or_default();
        let has = |word: &str| has(&container, word);
        let namespace = start.pod.namespace().to_owned();
        let setting = Setting { host: start.node.clone(), ..self.ground.setting.clone() };
        if has("daemon") {
            let circumstances = daemon::Circumstances {
                ground: self.ground.clone(),
                plant: self.plant.clone(),
                known: self.known.clone(),
                setting,
                flags: Flags::of(&container),
                node: start.node.clone(),
                namespace,
                pod: start.pod.name().to_owned(),
                image: start.image.clone(),
                switch: start.switch.clone(),
                chance: Chance::of(self.ground.setting.seed, &format!("longhorn-manager/{}", start.pod.uid())),
            };
            let holds = Task(tokio::spawn(daemon::run(circumstances)));
            return Life { ready_after: None, holds: Some(Box::new(holds)), ..Life::sleeps() };
        }
        let job = ["pre-upgrade", "post-upgrade", "uninstall", "deploy-driver"].into_iter().find(|job| has(job));
        let Some(job) = job else { return Life::sleeps() };
        let circumstances = job::Circumstances {
            client: self.ground.setting.client.clone(),
            clock: self.ground.setting.clock,
            namespace,
            image: start.image.clone(),
            switch: start.switch.clone(),
            begins: chance.draw(Span::millis(10, 500)),
            lingers: chance.draw(Span::millis(4500, 7000)),
        };
        let holds = Task(tokio::spawn(job::run(job, circumstances)));
        Life { ready_after: Some(Duration::ZERO), holds: Some(Box::new(holds)), ..Life::sleeps() }
    }
}
