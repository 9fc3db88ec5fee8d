//! Everything together: what a world has to know to run Longhorn.

use std::sync::Arc;

use super::gate::Ground;
use super::known::Known;
use super::manager::{LATENCY, ManagerImage};
use super::plant::Plant;
use super::wrong::Wrongs;
use super::{chart, internet, pod, release, volume};
use crate::sim::{Charts, Internet, World};

/// Longhorn, ready to be installed into a world by its chart.
#[derive(Clone)]
pub(in crate::sim) struct Longhorn {
    plant: Plant,
    wrongs: Wrongs,
}

impl Longhorn {
    /// Makes images, charts and addresses known.
    pub(in crate::sim) fn into(world: &World, charts: &mut Charts, online: &Internet) -> Self {
        let setting = world.setting("longhorn-manager", "", LATENCY);
        Self::onto(
            Ground { machines: world.machines().clone(), setting, gate: Arc::new(world.api().clone()) },
            charts,
            online,
        )
    }

    /// The same for machines of whatever cluster.
    pub(super) fn onto(ground: Ground, charts: &mut Charts, online: &Internet) -> Self {
        let wrongs = Wrongs::default();
        let plant = Plant::new(ground.setting.seed, ground.setting.clock, online.clone(), wrongs.clone());
        internet::publish(online);
        for version in release::CHARTS {
            charts.add(chart::longhorn(version));
        }
        let machines = ground.machines.clone();
        machines.register(
            "longhornio/longhorn-manager",
            ManagerImage { ground, plant: plant.clone(), known: Known::default() },
        );
        machines.register("longhornio/backing-image-manager", pod::BackingImagePods { plant: plant.clone() });
        machines.register("longhornio/longhorn-share-manager", pod::share_manager());
        volume::images(&machines, &plant);
        Self { plant, wrongs }
    }

    /// Does a wrong from now on. False if there is none of this name.
    pub(in crate::sim) fn wrong(&self, name: &str) -> bool {
        let known = super::WRONGS.iter().any(|wrong| wrong.name == name);
        if known {
            self.wrongs.set(name);
        }
        known
    }

    /// Asks for no invariants from now on: what breaks under faults is no mistake.
    pub(in crate::sim) fn excuse(&self) {
        self.plant.excuse();
    }

    /// What of this imitation's own invariants was broken so far.
    pub(in crate::sim) fn broken(&self) -> Vec<String> {
        self.plant.broken()
    }

    /// How many finished files were deleted so far.
    pub(in crate::sim) fn deletions(&self) -> usize {
        self.plant.disks().deletions.len()
    }
}
