//! The story for people, on standard error: line by line while it happens, whole at the end.
//!
//! What is said is decided by pure functions from event and view to lines; only
//! `Terminal` and `Bars` write. Every text becomes harmless on its way into a line.

mod bars;
mod checked;
mod clean;
mod closing;
#[cfg(test)]
mod harmless;
mod heartbeat;
#[cfg(test)]
mod laws;
mod line;
mod live;
mod look;
mod note;
#[cfg(test)]
mod paper;
mod proven;
mod rows;
mod say;

pub use closing::Closing;
pub use live::{Output, Terminal};
pub use look::{Asked, ColorChoice, Detail, Look, Mode, ProgressChoice, Surroundings};
