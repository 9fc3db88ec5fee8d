//! Faults by name: what `--fault` takes, and what it does to an embedded cluster.
//!
//! A fault is data: a row of a table with its parameters. Whoever injects one hears of each
//! time that it strikes, so that a report can say so, and so that one that never does is seen.

mod catalog;

mod ask;

mod inject;
mod strike;

#[cfg(test)]
mod tests;

pub use ask::{Fault, FaultError};
pub use catalog::{FaultKind, Parameter, Place, Unit, faults};
pub(in crate::sim) use inject::{Injected, inject};
