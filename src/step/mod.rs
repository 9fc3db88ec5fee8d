//! How a verb is done.
//!
//! Each verb is one file with one `act`. It knows its arguments and its
//! `StepContext`; neither the engine nor its own place in the graph.

mod apply;
mod ask;
mod board;
mod brief;
mod context;
mod delete;
mod difference;
mod drain;
mod error;
mod mark;
mod patch;
mod pod_kill;
mod target;
mod wait;
mod workload;

pub use context::{Done, Memory, RunFacts, Said, StepContext};
pub use error::Error;
pub use mark::RUN_LABEL;
use mark::{MANAGED_BY, MANAGER};
pub use wait::{expect, require};
