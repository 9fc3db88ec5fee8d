//! One state machine for each operator; `docs/checks.md` has their tables.
//!
//! A fold sees one thing after another that happened to a track, and keeps no object.

mod always;
mod constant;
mod count;
mod never;
mod recovers;
mod sequence;
mod transitions;

pub(super) use always::Always;
pub(super) use constant::Constant;
pub(super) use count::Count;
pub(super) use never::Never;
pub(super) use recovers::Recovers;
pub(super) use sequence::Sequence;
pub(super) use transitions::Transitions;

use super::reading::Reading;
use crate::clock::Elapsed;

/// Something that happened to a track.
#[derive(Clone, Debug)]
pub(super) struct Sight<'a> {
    /// The track, by its number in the window.
    pub(super) track: usize,
    /// When it came in.
    pub(super) at: Elapsed,
    pub(super) what: What<'a>,
    /// It shows what came of a time in which the watch was blind.
    pub(super) after_gap: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What<'a> {
    /// It was there when the window opened.
    Start(&'a Reading),
    /// A version of it.
    Seen(&'a Reading),
    /// The first version of an entry that was never there, in an object that was.
    Entered(&'a Reading),
    /// A version under the same name, of another object.
    Replaced(&'a Reading),
    /// An entry vanished, and the object it was in lives.
    Missing,
    /// The object is gone, or left the selection.
    Gone,
}

/// What a fold says to a sight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Nothing is wrong with it.
    Fine,
    /// A violation, in a few words.
    Breach(String),
    /// It begins something that must end in time.
    Opened(String),
}

/// A violation by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overdue {
    pub(super) track: usize,
    /// When it began.
    pub(super) since: Elapsed,
    /// When its time was over.
    pub(super) at: Elapsed,
}

/// What is left when the window has closed and nothing was violated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It held.
    Held,
    /// The window is over and it was not fulfilled: these tracks, and what is said of it.
    Unmet(Vec<usize>, String),
    /// It can't be told: these tracks, why, and what would have decided it.
    Open(Vec<usize>, String, String),
}

/// One operator's state machine.
pub(super) trait Fold: Send + std::fmt::Debug {
    /// The next thing that happened.
    fn see(&mut self, sight: &Sight<'_>) -> Word;

    /// What is left at the end of the window.
    fn end(&self, at: Elapsed) -> End;

    /// A watch stood still for a while and missed nothing.
    fn late(&mut self, _from: Elapsed, _to: Elapsed) {}

    /// The watch has shown something, of whatever object: it sees.
    fn witness(&mut self, _at: Elapsed) {}

    /// When the passing of time alone may decide something.
    fn deadline(&self) -> Option<Elapsed> {
        None
    }

    /// What is overdue by now. `closing`: the server has confirmed that nothing more will come.
    fn pass(&mut self, _now: Elapsed, _closing: bool) -> Vec<Overdue> {
        Vec::new()
    }
}

/// A track's slot in a list that grows with the tracks.
fn slot<T: Default>(slots: &mut Vec<T>, track: usize) -> &mut T {
    if slots.len() <= track {
        slots.resize_with(track + 1, T::default);
    }
    &mut slots[track]
}
