//! What must hold over time.
//!
//! A selection's objects, or the entries of a map in them, are followed as tracks.
//!
//! It does not know who watches, where the events come from, or what time it is.

mod track;

pub use track::{Pipeline, Selected, Track, TrackKey, Version};
