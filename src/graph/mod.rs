//! In what order: steps and what they need, as a graph.
//!
//! It is made from the flat list of steps that a run's first event carries, so
//! that a journal can be drawn without its plan. petgraph and dagre stay inside.
//! [`Frontier`] decides what may start, as a value: this room knows no plan, no
//! runtime and no clock.

mod frontier;
#[expect(
    clippy::module_inception,
    reason = "the type that the room is named for"
)]
mod graph;
mod wiring;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod story;

pub use frontier::{CleanUp, Frontier, Move};
pub use graph::{Graph, StepIx};
pub use wiring::Rules;
