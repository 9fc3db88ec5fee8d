//! How a run is shown: to machines in a few lines, to people while it goes on.
//!
//! Everything here is a fold over the same events through the same view, so that
//! no two reports can disagree. Knows no plan, no step and no cluster: a recording
//! of last year is enough.

mod clean;
mod digest;
mod fault;
mod html;
mod junit;
mod link;
mod proof;
#[cfg(test)]
mod sample;
mod summary;
mod terminal;
mod when;

pub use html::html;
pub use junit::{Form, Paths, junit};
pub use summary::summary;
pub use terminal::{Asked, Closing, ColorChoice, Detail, Look, Mode, Output, ProgressChoice, Surroundings, Terminal};
