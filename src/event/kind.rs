use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Failure, Note, Outcome, RunStart, SkipReason, Verdict};
use crate::clock::Elapsed;
use crate::id::StepId;

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
    /// The run began to end early: nothing new starts, what runs is cancelled.
    CancelRequested {
        /// By what.
        by: CancelReason,
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
            Self::RunStarted(_) | Self::CancelRequested { .. } | Self::Warned { .. } | Self::RunFinished { .. } => None,
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
    /// A step failed under `--fail-fast`.
    FailFast,
    /// A group's or the plan's timeout.
    Deadline,
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
            Self::FailFast => "a step failed and `--fail-fast` is set",
            Self::Deadline => "the timeout above it is over",
            Self::JournalLost => "the journal can't be written any more",
            Self::Interrupt => "interrupted (SIGINT)",
            Self::Terminate => "terminated (SIGTERM)",
            Self::SecondSignal => "a second signal",
        })
    }
}
