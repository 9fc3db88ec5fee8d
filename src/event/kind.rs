use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Armed, Difference, Failure, Finding, Moment, Note, ObjectName, Outcome, RunStart, Seen, SkipReason, Verdict,
    WatchId, Watched,
};
use crate::clock::Elapsed;
use crate::id::{CheckId, StepId};

/// One variant for each fact. A reader matches all of them: a new fact stops the
/// build where it must be thought of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// Always first.
    RunStarted(Box<RunStart>),
    /// A group, repeat or set of cells began: what is inside may start.
    GroupStarted {
        /// The group.
        step: StepId,
    },
    /// A step is about to act. Written before it does.
    StepStarted {
        /// The step.
        step: StepId,
    },
    /// One try failed and another follows.
    AttemptFailed {
        /// The step.
        step: StepId,
        /// Which try it was, from 1.
        attempt: u32,
        /// Why it failed.
        failure: Failure,
        /// How long until the next.
        delay: Elapsed,
    },
    /// What is still missing, or how far it is. Said when it changes.
    StepProgressed {
        /// The step.
        step: StepId,
        /// How far.
        progress: Progress,
    },
    /// A step left evidence.
    StepNoted {
        /// The step.
        step: StepId,
        /// The evidence.
        note: Note,
    },
    /// A background step is up: steps that need it may start.
    StepUp {
        /// The step.
        step: StepId,
    },
    /// A step or group settled after having started.
    StepFinished {
        /// The step.
        step: StepId,
        /// How it went.
        outcome: Outcome,
        /// Why, unless it passed. A group's is the one of the step that decided.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// What later steps may use.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        outputs: Map<String, Value>,
    },
    /// A step or group settled without having started.
    StepSkipped {
        /// The step.
        step: StepId,
        /// Why.
        reason: SkipReason,
    },
    /// A watch opened: from its first list on, every version is recorded.
    WatchOpened {
        /// The watch.
        watch: WatchId,
        /// What it asks for.
        watched: Watched,
    },
    /// One version of one object.
    ObjectSeen(Box<Seen>),
    /// A list is complete: the objects in it came before, as `ObjectSeen`; those whose
    /// version was known already are not said again.
    WatchListed {
        /// The watch.
        watch: WatchId,
        /// The list's version: the watch goes on from here.
        version: String,
        /// How many objects it has.
        objects: u64,
        /// Objects that were known and are not in it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        gone: Vec<ObjectName>,
        /// Whether the kind is served at all; a kind that is not has no objects.
        served: bool,
    },
    /// A watch was blind, and versions may be missing. Said when it sees again, or when a window closes.
    WatchGap {
        /// The watch.
        watch: WatchId,
        /// The last moment at which it surely saw.
        from: Elapsed,
        /// When it saw again.
        to: Elapsed,
        /// Why.
        reason: String,
        /// Whether anything was different after it: an object's uid or version, or a new object.
        changed: bool,
    },
    /// A watch stood still and missed nothing: versions came later than they were made.
    WatchLate {
        /// The watch.
        watch: WatchId,
        /// The last moment at which it surely saw.
        from: Elapsed,
        /// When it had caught up.
        to: Elapsed,
        /// Why.
        reason: String,
    },
    /// A closing list: what the server has now, beside what the watch has shown.
    WatchConfirmed {
        /// The watch.
        watch: WatchId,
        /// The list's version.
        version: String,
        /// What they do not agree on after the time for explaining it; empty: nothing was missed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        differences: Vec<Difference>,
    },
    /// Nobody needs a watch any more: from here on it records nothing.
    WatchClosed {
        /// The watch.
        watch: WatchId,
    },
    /// A check's window opened: its watches are live. Written before the step acts.
    CheckArmed {
        /// The check.
        check: CheckId,
        /// What it sees through.
        watches: Vec<Armed>,
    },
    /// A check was violated. Said for the first violation only, when it is seen.
    CheckViolated {
        /// The check.
        check: CheckId,
        /// What happened.
        moment: Box<Moment>,
    },
    /// A check's window closed and it was judged.
    CheckJudged {
        /// The check.
        check: CheckId,
        /// How it went.
        outcome: Outcome,
        /// What was found.
        finding: Box<Finding>,
    },
    /// A check was not judged: its window never opened.
    CheckSkipped {
        /// The check.
        check: CheckId,
        /// Why.
        reason: SkipReason,
    },
    /// A person beside the run marked a moment: a window of this name opens, the one before closes.
    Marked {
        /// The name.
        name: String,
    },
    /// The run began to end early: nothing new starts, what runs is cancelled.
    CancelRequested {
        /// By what.
        by: CancelReason,
    },
    /// An injected fault struck.
    FaultStruck {
        /// Which, as it was asked for.
        fault: String,
        /// Whom or what.
        what: String,
    },
    /// Something the reader of a report should know that belongs to no step.
    Warned {
        /// The sentence.
        message: String,
    },
    /// Always last.
    RunFinished {
        /// How the run went.
        verdict: Verdict,
        /// One sentence: what decided it.
        reason: String,
    },
}

impl EventKind {
    /// The step or group it is about, unless it is about the run.
    pub fn step(&self) -> Option<&StepId> {
        match self {
            Self::GroupStarted { step }
            | Self::StepStarted { step }
            | Self::AttemptFailed { step, .. }
            | Self::StepProgressed { step, .. }
            | Self::StepNoted { step, .. }
            | Self::StepUp { step }
            | Self::StepFinished { step, .. }
            | Self::StepSkipped { step, .. } => Some(step),
            Self::RunStarted(_)
            | Self::WatchOpened { .. }
            | Self::ObjectSeen(_)
            | Self::WatchListed { .. }
            | Self::WatchGap { .. }
            | Self::WatchLate { .. }
            | Self::WatchConfirmed { .. }
            | Self::WatchClosed { .. }
            | Self::CheckArmed { .. }
            | Self::CheckViolated { .. }
            | Self::CheckJudged { .. }
            | Self::CheckSkipped { .. }
            | Self::Marked { .. }
            | Self::FaultStruck { .. }
            | Self::CancelRequested { .. }
            | Self::Warned { .. }
            | Self::RunFinished { .. } => None,
        }
    }
}

impl EventKind {
    /// The check it is about, if it is about one.
    pub fn check(&self) -> Option<&CheckId> {
        match self {
            Self::CheckArmed { check, .. }
            | Self::CheckViolated { check, .. }
            | Self::CheckJudged { check, .. }
            | Self::CheckSkipped { check, .. } => Some(check),
            _ => None,
        }
    }

    /// The watch it is about, if it is about one.
    pub fn watch(&self) -> Option<WatchId> {
        match self {
            Self::ObjectSeen(seen) => Some(seen.watch),
            Self::WatchOpened { watch, .. }
            | Self::WatchListed { watch, .. }
            | Self::WatchGap { watch, .. }
            | Self::WatchLate { watch, .. }
            | Self::WatchConfirmed { watch, .. }
            | Self::WatchClosed { watch } => Some(*watch),
            _ => None,
        }
    }
}

/// How far a step is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// One line, such as `2 of 3 ready`.
    pub say: String,
    /// What is still missing, one line for each thing, with its last seen state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<String>,
    /// How much is done, in the unit that `say` uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// How much there is in all, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// What ends a run, or a part of it, early. Ordered by urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CancelReason {
    /// The step that this background step runs beside has settled: a normal end.
    Until,
    /// A step or check failed under `--fail-fast`.
    FailFast,
    /// A group's or the plan's timeout.
    Deadline,
    /// The embedded cluster is mistaken: what is tested on it proves nothing.
    Mistaken,
    /// The journal can't be written: a run that leaves no record is not continued.
    JournalLost,
    /// Ctrl-C (SIGINT).
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// A second signal: leave at once.
    SecondSignal,
}

impl CancelReason {
    /// Whether a person or a system asked from outside.
    pub fn is_signal(self) -> bool {
        self >= Self::Interrupt
    }
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Until => "the step it runs beside has ended",
            Self::FailFast => "a step or check failed and `--fail-fast` is set",
            Self::Deadline => "the timeout above it is over",
            Self::Mistaken => "the embedded cluster is mistaken, which is a bug in lariat",
            Self::JournalLost => "the journal can't be written any more",
            Self::Interrupt => "interrupted (SIGINT)",
            Self::Terminate => "terminated (SIGTERM)",
            Self::SecondSignal => "a second signal",
        })
    }
}
