//! How a verb is done.
//!
//! Each verb is one file with one `act`. It knows its arguments and its
//! `StepContext`; neither the engine nor its own place in the graph.

mod act;
#[cfg(test)]
mod alone;
mod apply;
mod ask;
mod board;
mod brief;
mod cabinet;
mod calm;
mod capture;
mod chance;
mod collect;
mod command;
mod constant;
mod container;
mod context;
mod delete;
mod describe;
mod difference;
mod download;
mod drain;
mod drawer;
mod edit_constant;
mod error;
mod exec;
mod file;
mod gone;
mod helm_install;
mod helm_rollback;
mod helm_uninstall;
mod helm_upgrade;
mod http;
mod log;
mod mark;
mod patch;
mod pod_kill;
mod pulse;
mod release;
mod session;
mod shell;
mod sleep;
mod steady_io;
mod target;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verify_file;
mod wait;
mod workload;
mod write_file;

pub use act::act;
pub use context::{Done, Memory, RunFacts, Said, StepContext};
pub use error::Error;
pub use mark::RUN_LABEL;
use mark::{MANAGED_BY, MANAGER};
pub use wait::{expect, require};
