//! Longhorn in the embedded cluster: managers, backing images, volumes, chart.
//!
//! Its controllers are those of [`control`](super::control)'s shape and go through the API; what
//! exists outside it (disks, servers in pods, volumes' data) is the [`plant`]. It does not know
//! that plans exist. What it is held to stands in `docs/embedded.md`.

mod kind;
mod name;
mod release;
mod setting;
mod store;

mod server;
mod source;

mod internet;
mod wrong;

mod gate;
mod placement;

mod plant;

mod known;
mod site;

mod chart;
mod crd;
mod webhook;

mod image;
mod invariant;
mod node;
mod volume;

mod manager;
mod pod;

mod whole;

mod guest;

#[cfg(test)]
mod tests;

pub use gate::{Gate, Service};
pub use guest::GuestLonghorn;
pub(in crate::sim) use whole::Longhorn;
pub(in crate::sim) use wrong::WRONGS;
