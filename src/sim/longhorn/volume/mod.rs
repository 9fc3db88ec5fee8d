//! Volumes: attachments, engines, replicas, instance managers, engine images, and the way to pods.
//!
//! The controllers know the API alone; the [`DataPath`] outlives them, so that reads and writes go
//! on while no manager runs.

mod timing;

mod draft;
mod process;

mod data;

mod post;
mod room;

mod instance;
mod schedule;

mod engine;
mod replica;

mod engine_image;
mod instance_manager;

mod csi;

mod attachment;
mod health;
mod sync;
mod travel;
mod upgrade;

mod admission;
mod program;

#[cfg(test)]
mod stage;
#[cfg(test)]
mod tests;

use super::{internet, kind, name, placement, plant, site, wrong};
use room::{BACKOFF, FINALIZER, labels, map_of, tags_fit};

pub(super) use admission::{deletable_engine_image, filled, valid, valid_attachment};
pub(super) use data::DataPath;
pub(super) use program::images;
pub(super) use room::controllers;
