use std::fmt;

use serde_json::{Map, Value};

use super::IllegalTransition;
use crate::clock::Elapsed;
use crate::event::{Event, EventKind, Failure, NodeKind, Note, Outcome, Progress, SkipReason, StepNode};

/// One step or group, as far as the events tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What the plan says about it.
    pub node: StepNode,
    /// How many groups it is in.
    pub depth: usize,
    /// Whether it is clean-up, or inside clean-up: shown apart, never in the verdict.
    pub cleanup: bool,
    /// Where it stands.
    pub state: RowState,
    /// Its tries, the current one last. A group has none.
    pub attempts: Vec<Attempt>,
    /// The next try and when it is due, while the step waits for it.
    pub retry: Option<(u32, Elapsed)>,
    /// Evidence it left, in order.
    pub notes: Vec<(Elapsed, Note)>,
    /// The last progress it told, and when that changed.
    pub progress: Option<(Elapsed, Progress)>,
    /// Why it did not pass.
    pub failure: Option<Failure>,
    /// What later steps may use.
    pub outputs: Map<String, Value>,
    /// When it began.
    pub started: Option<Elapsed>,
    /// When a background step was up.
    pub up: Option<Elapsed>,
    /// When it settled, skipped included.
    pub ended: Option<Elapsed>,
    /// Why it was not run.
    pub skip: Option<SkipReason>,
}

/// Where a row stands. The only way from one state to the next is `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowState {
    /// Not begun.
    Waiting,
    /// Begun.
    Running,
    /// Over.
    Settled(Outcome),
}

/// One try of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which try it is, from 1.
    pub number: u32,
    /// When it began.
    pub started: Elapsed,
    /// When it ended.
    pub ended: Option<Elapsed>,
    /// Why it did not succeed.
    pub failure: Option<Failure>,
}

impl RowState {
    /// The state after an event about this row.
    ///
    /// This is the whole table: what it does not name can't happen.
    pub fn after(self, event: &Event) -> Result<Self, IllegalTransition> {
        use EventKind as Fact;
        match (self, &event.kind) {
            (Self::Waiting, Fact::GroupStarted { .. } | Fact::StepStarted { .. })
            | (
                Self::Running,
                Fact::AttemptFailed { .. } | Fact::StepProgressed { .. } | Fact::StepNoted { .. } | Fact::StepUp { .. },
            ) => Ok(Self::Running),
            (Self::Waiting, Fact::StepSkipped { .. }) => Ok(Self::Settled(Outcome::Skipped)),
            (Self::Running, Fact::StepFinished { outcome: Outcome::Skipped, .. }) => {
                Err(IllegalTransition::of(event, "what has begun can't end as skipped"))
            }
            (Self::Running, Fact::StepFinished { outcome, .. }) => Ok(Self::Settled(*outcome)),
            (
                _,
                Fact::GroupStarted { .. }
                | Fact::StepStarted { .. }
                | Fact::AttemptFailed { .. }
                | Fact::StepProgressed { .. }
                | Fact::StepNoted { .. }
                | Fact::StepUp { .. }
                | Fact::StepFinished { .. }
                | Fact::StepSkipped { .. },
            ) => Err(IllegalTransition::of(event, format!("it is {self}"))),
            (
                _,
                Fact::RunStarted(_)
                | Fact::WatchOpened { .. }
                | Fact::ObjectSeen(_)
                | Fact::WatchListed { .. }
                | Fact::WatchGap { .. }
                | Fact::WatchLate { .. }
                | Fact::WatchConfirmed { .. }
                | Fact::WatchClosed { .. }
                | Fact::CheckArmed { .. }
                | Fact::CheckViolated { .. }
                | Fact::CheckJudged { .. }
                | Fact::CheckSkipped { .. }
                | Fact::Marked { .. }
                | Fact::FaultStruck { .. }
                | Fact::CancelRequested { .. }
                | Fact::Warned { .. }
                | Fact::RunFinished { .. },
            ) => Err(IllegalTransition::of(event, "it is about the run and not about a step")),
        }
    }

    /// The outcome, once settled.
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Settled(outcome) => Some(outcome),
            Self::Waiting | Self::Running => None,
        }
    }

    /// The state as one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Settled(outcome) => outcome.word(),
        }
    }
}

impl fmt::Display for RowState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Row {
    /// A row of which nothing has been heard.
    pub(super) fn waiting(node: StepNode, depth: usize, cleanup: bool) -> Self {
        Self {
            node,
            depth,
            cleanup,
            state: RowState::Waiting,
            attempts: Vec::new(),
            retry: None,
            notes: Vec::new(),
            progress: None,
            failure: None,
            outputs: Map::new(),
            started: None,
            up: None,
            ended: None,
            skip: None,
        }
    }

    /// Takes in an event about this row, or refuses it and stays as it was.
    pub(super) fn apply(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        let state = self.state.after(event)?;
        self.fits(event)?;
        let at = event.at;
        self.begin_due_retry(event);
        match &event.kind {
            EventKind::GroupStarted { .. } => self.started = Some(at),
            EventKind::StepStarted { .. } => {
                self.started = Some(at);
                self.attempts.push(Attempt { number: 1, started: at, ended: None, failure: None });
            }
            EventKind::AttemptFailed { attempt, failure, delay, .. } => {
                self.end_attempt(at, Some(failure));
                self.retry = Some((attempt.saturating_add(1), Elapsed(at.0.saturating_add(delay.0))));
            }
            EventKind::StepProgressed { progress, .. } => {
                self.progress = Some((at, progress.clone()));
            }
            EventKind::StepNoted { note, .. } => self.notes.push((at, note.clone())),
            EventKind::StepUp { .. } => self.up = Some(at),
            EventKind::StepFinished { failure, outputs, .. } => {
                self.end_attempt(at, failure.as_ref());
                self.retry = None;
                self.failure.clone_from(failure);
                self.outputs.clone_from(outputs);
                self.ended = Some(at);
            }
            EventKind::StepSkipped { reason, .. } => {
                self.skip = Some(reason.clone());
                self.ended = Some(at);
            }
            EventKind::RunStarted(_)
            | EventKind::WatchOpened { .. }
            | EventKind::ObjectSeen(_)
            | EventKind::WatchListed { .. }
            | EventKind::WatchGap { .. }
            | EventKind::WatchLate { .. }
            | EventKind::WatchConfirmed { .. }
            | EventKind::WatchClosed { .. }
            | EventKind::CheckArmed { .. }
            | EventKind::CheckViolated { .. }
            | EventKind::CheckJudged { .. }
            | EventKind::CheckSkipped { .. }
            | EventKind::Marked { .. }
            | EventKind::FaultStruck { .. }
            | EventKind::CancelRequested { .. }
            | EventKind::Warned { .. }
            | EventKind::RunFinished { .. } => {}
        }
        self.state = state;
        Ok(())
    }

    /// Whether it is a verb: a step with nothing inside.
    pub fn is_leaf(&self) -> bool {
        matches!(self.node.kind, NodeKind::Verb(_))
    }

    /// The verb's name, or `group`, `repeat`, `cells`.
    pub fn label(&self) -> &str {
        match &self.node.kind {
            NodeKind::Verb(verb) => verb,
            NodeKind::Group => "group",
            NodeKind::Repeat => "repeat",
            NodeKind::Cells => "cells",
        }
    }

    /// The outcome, once settled.
    pub fn outcome(&self) -> Option<Outcome> {
        self.state.outcome()
    }

    /// Whether it settled in a way that spoils a run: failed, errored or inconclusive.
    pub fn is_failing(&self) -> bool {
        matches!(self.outcome(), Some(Outcome::Failed | Outcome::Errored | Outcome::Inconclusive))
    }

    /// How long it ran: none for what did not begin or did not end.
    pub fn took(&self) -> Option<Elapsed> {
        Some(self.ended?.since(self.started?))
    }

    /// From its start to its end, or to `now` while it runs.
    pub fn span(&self, now: Elapsed) -> Option<(Elapsed, Elapsed)> {
        Some((self.started?, self.ended.unwrap_or(now)))
    }

    /// Where it is written, as `plans/x.toml:40`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.node.file, self.node.line)
    }

    /// What the state table can't see: kinds of rows, numbers of tries.
    fn fits(&self, event: &Event) -> Result<(), IllegalTransition> {
        let refuse = |because: String| Err(IllegalTransition::of(event, because));
        match &event.kind {
            EventKind::GroupStarted { .. } if self.is_leaf() => refuse("it is a step and not a group".into()),
            EventKind::StepStarted { .. } if !self.is_leaf() => refuse("it is a group and not a step".into()),
            EventKind::AttemptFailed { .. } if !self.is_leaf() => refuse("a group is not tried again".into()),
            EventKind::AttemptFailed { attempt, .. } => {
                let running = self.retry.map(|(next, _)| next).or(self.attempts.last().map(|last| last.number));
                match running {
                    Some(number) if number == *attempt => Ok(()),
                    _ => refuse(format!("attempt {attempt} is not the one that runs")),
                }
            }
            EventKind::StepUp { .. } if self.up.is_some() => refuse("it is up already".into()),
            _ => Ok(()),
        }
    }

    /// No event tells that a retry began; the next one about the step does, if
    /// its time had come. A step that ended in the pause before never began it.
    fn begin_due_retry(&mut self, event: &Event) {
        if let Some((number, due)) = self.retry.filter(|(_, due)| event.at >= *due) {
            self.attempts.push(Attempt { number, started: due, ended: None, failure: None });
            self.retry = None;
        }
    }

    fn end_attempt(&mut self, at: Elapsed, failure: Option<&Failure>) {
        if let Some(last) = self.attempts.last_mut().filter(|last| last.ended.is_none()) {
            last.ended = Some(at);
            last.failure = failure.cloned();
        }
    }
}
