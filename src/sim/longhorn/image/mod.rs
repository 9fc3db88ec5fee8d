//! Backing images: the three controllers that prepare, copy, take over and delete their files (longhorn.md 3).

mod backing_image;
mod data_source;
mod manager;
mod pods;

use crate::sim::Runs;

use super::site::Site;

/// The controllers of one manager.
pub(super) fn controllers(site: &Site) -> Vec<Box<dyn Runs>> {
    vec![backing_image::controller(site), data_source::controller(site), manager::controller(site)]
}
