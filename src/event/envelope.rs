use serde::{Deserialize, Serialize};

use super::EventKind;
use crate::clock::Elapsed;

/// One fact with its place in the stream and in time.
///
/// Wall-clock time is not in it: the first event holds the run's start, and a
/// wall clock that steps during a run can't reorder anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the stream, from 0, without holes.
    pub seq: u64,
    /// Time since the run began, in microseconds.
    pub at: Elapsed,
    /// The fact.
    pub kind: EventKind,
}
