//! Volumes: attachments, engines, replicas, instance managers, engine images (longhorn.md 4.4 and 6).

mod admission;

use crate::sim::{Runs, World};

use super::plant::Plant;
use super::site::Site;

pub(super) use admission::{deletable_engine_image, filled, valid, valid_attachment};

/// The controllers of one manager.
pub(super) fn controllers(_site: &Site) -> Vec<Box<dyn Runs>> {
    Vec::new()
}

/// Makes the images of the volumes' pods known.
pub(super) fn images(_world: &World, _plant: &Plant) {}
