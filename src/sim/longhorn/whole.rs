//! Everything together: what a world has to know to run Longhorn.

use super::known::Known;
use super::manager::ManagerImage;
use super::plant::Plant;
use super::wrong::Wrongs;
use super::{chart, internet, pod, release, volume};
use crate::sim::{Charts, Internet, Span, World};

/// Longhorn, ready to be installed into a world by its chart.
#[derive(Clone)]
pub(in crate::sim) struct Longhorn {
    plant: Plant,
    wrongs: Wrongs,
}

impl Longhorn {
    /// Makes images, charts and addresses known.
    pub(in crate::sim) fn into(world: &World, charts: &mut Charts, online: &Internet) -> Self {
        let wrongs = Wrongs::default();
        let plant = Plant::new(world.seed(), world.clock(), online.clone(), wrongs.clone());
        internet::publish(online);
        for version in release::CHARTS {
            charts.add(chart::longhorn(version));
        }
        let setting = world.setting("longhorn-manager", "", Span::millis(2, 8));
        world.image(
            "longhornio/longhorn-manager",
            ManagerImage { api: world.api().clone(), plant: plant.clone(), known: Known::default(), setting },
        );
        world.image("longhornio/backing-image-manager", pod::BackingImagePods { plant: plant.clone() });
        world.image("longhornio/longhorn-share-manager", pod::share_manager());
        volume::images(world, &plant);
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
