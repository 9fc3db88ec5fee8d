//! The controllers of the cluster itself: where pods go, who serves them, what goes with what.

mod disruption;
mod endpoints;
mod garbage;
mod namespace;
mod node_life;
mod scheduler;
mod volume;

#[cfg(test)]
mod tests;

use super::controller::Runs;

pub(in crate::sim) use scheduler::controller as scheduler;
pub use volume::PROVISIONER;

/// Those that run in the controller manager, on a cache of some kinds.
pub(super) fn controllers() -> Vec<Box<dyn Runs>> {
    vec![
        endpoints::controller(),
        disruption::controller(),
        node_life::controller(),
        node_life::eviction(),
        volume::controller(),
    ]
}

/// Those that have to know everything there is.
pub(super) fn caretakers() -> Vec<Box<dyn Runs>> {
    vec![garbage::controller(), namespace::controller()]
}
