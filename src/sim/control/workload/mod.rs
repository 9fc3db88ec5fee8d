//! The controllers of workloads: what makes pods, and keeps as many as are wanted.

mod pods;
mod revision;

mod cron_job;
mod daemon_set;
mod deployment;
mod job;
mod replica_set;
mod stateful_set;

#[cfg(test)]
mod tests;

use super::controller::Runs;

pub(super) use pods::{scaled, status_write};

/// All of them, as they run in one controller manager.
pub(super) fn controllers() -> Vec<Box<dyn Runs>> {
    vec![
        daemon_set::controller(),
        deployment::controller(),
        replica_set::controller(),
        stateful_set::controller(),
        job::controller(),
        cron_job::controller(),
    ]
}
