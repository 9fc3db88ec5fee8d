//! How a verb is done.
//!
//! Each verb is one file with one `act`. It knows its arguments and its
//! `StepContext`; neither the engine nor its own place in the graph.

mod context;
mod error;

pub use context::{Done, Memory, RunFacts, Said, StepContext};
pub use error::Error;
