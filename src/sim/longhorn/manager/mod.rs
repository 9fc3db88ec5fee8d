//! The image `longhorn-manager`: the daemon with its phases, and the jobs around an upgrade.

mod api;
mod daemon;
mod image;
mod job;
mod lease;

pub(super) use image::{LATENCY, ManagerImage};
