//! What happened: the one vocabulary between what acts and what shows.
//!
//! Owned, serialisable data without behaviour beyond questions. An event says
//! what happened, never how to show it. The engine makes events, the journal
//! keeps them, views fold them; none of these rooms is known here.

mod check;
mod envelope;
mod failure;
mod kind;
mod mask;
mod note;
mod outcome;
mod sink;
mod start;
mod watch;

pub use check::{Armed, Blind, CheckNode, Finding, JudgeBy, Lane, Measure, Moment, Round, Segment};
pub use envelope::Event;
pub use failure::{Class, Failure};
pub use kind::{CancelReason, EventKind, Progress};
pub use mask::Mask;
pub use note::Note;
pub use outcome::{Outcome, SkipReason, Verdict};
pub use sink::{NotWritten, Sink};
pub use start::{ClusterIdentity, FORMAT, NodeKind, PlanFile, RunStart, StepNode, When};
pub use watch::{Body, Difference, How, ObjectName, Seen, WatchId, Watched};
