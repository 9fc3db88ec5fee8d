//! What must hold over time.
//!
//! A selection's objects, or the entries of a map in them, are followed as tracks.
//! A check is a pure fold over recorded events: the court hands each event to the
//! windows that are open, and each window to its fold. The same events give the
//! same verdict, while a run goes on and a year later from its journal.
//!
//! It does not know who watches, where the events come from, or what time it is.

mod court;
mod diff;
mod finding;
mod fold;
mod gauge;
mod outputs;
mod reading;
mod rejudge;
mod replay;
mod serve;
mod splice;
#[cfg(test)]
mod tests;
mod track;
mod window;

pub use court::Court;
pub use outputs::Outputs;
pub use rejudge::rejudge;
pub use replay::{Change, Replay};
pub use track::{Pipeline, Selected, Track, TrackKey, Version};
