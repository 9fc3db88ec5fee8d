//! In what order: steps and what they need, as a graph.
//!
//! It is made from the flat list of steps that a run's first event carries, so
//! that a journal can be drawn without its plan. petgraph and dagre stay inside.
//! [`Frontier`] decides what may start, as a value: this room knows no plan, no
//! runtime and no clock.

mod critical;
mod dot;
mod folding;
mod frontier;
#[expect(clippy::module_inception, reason = "the type that the room is named for")]
mod graph;
mod layout;
mod mermaid;
mod svg;
mod text;
mod wiring;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod story;

pub use dot::dot;
pub use folding::LineKind;
pub use frontier::{CleanUp, Frontier, Move};
pub use graph::{Graph, StepIx};
pub use layout::{Layout, Line, Point, Tile};
pub use mermaid::mermaid;
pub use svg::svg;
pub use text::text;
pub use wiring::Rules;
