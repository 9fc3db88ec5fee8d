//! The controllers of workloads: what makes pods, and keeps as many as are wanted.

mod pods;
mod revision;

mod daemon_set;
mod deployment;
mod replica_set;

#[cfg(test)]
mod tests;

use super::controller::Runs;

/// All of them, as they run in one controller manager.
pub(super) fn controllers() -> Vec<Box<dyn Runs>> {
    vec![daemon_set::controller(), deployment::controller(), replica_set::controller()]
}
