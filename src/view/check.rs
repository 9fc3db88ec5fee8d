use std::fmt;

use super::IllegalTransition;
use crate::clock::Elapsed;
use crate::event::{Armed, CheckNode, Event, EventKind, Finding, JudgeBy, Moment, Outcome, SkipReason};

/// One check of one round or cell, as far as the events tell.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckRow {
    /// What the plan says about it.
    pub node: CheckNode,
    /// Where it stands.
    pub state: CheckState,
    /// What it sees through, once armed.
    pub watches: Vec<Armed>,
    /// When its window opened.
    pub armed: Option<Elapsed>,
    /// Its first violation, and when that was written.
    pub violated: Option<(Elapsed, Moment)>,
    /// When it settled, skipped included.
    pub ended: Option<Elapsed>,
    /// What its judge found.
    pub finding: Option<Finding>,
    /// Why it was not judged.
    pub skip: Option<SkipReason>,
}

/// Where a check stands. The only way from one state to the next is `after`.
///
/// | state | armed | violated | judged | skipped |
/// |---|---|---|---|---|
/// | waiting | armed | – | settled, but neither passed nor failed | settled |
/// | armed | – | violated | settled | – |
/// | violated | – | – | settled as failed | – |
/// | settled | – | – | – | – |
///
/// What never had a window can't have held or been broken, and what was seen broken
/// stays so, whatever was missed besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// Its window has not opened.
    Waiting,
    /// Its window is open, and all that was seen agrees with it.
    Armed,
    /// Its window is open, and it was seen broken.
    Violated,
    /// Judged or skipped.
    Settled(Outcome),
}

impl CheckState {
    /// The state after an event about this check: the table above.
    pub fn after(self, event: &Event) -> Result<Self, IllegalTransition> {
        use EventKind as Fact;
        let refuse = |because: String| Err(IllegalTransition::of(event, because));
        match (self, &event.kind) {
            (Self::Waiting, Fact::CheckArmed { .. }) => Ok(Self::Armed),
            (Self::Armed, Fact::CheckViolated { .. }) => Ok(Self::Violated),
            (Self::Waiting, Fact::CheckSkipped { .. }) => Ok(Self::Settled(Outcome::Skipped)),
            (Self::Waiting | Self::Armed | Self::Violated, Fact::CheckJudged { outcome, .. }) => {
                match (self, outcome) {
                    (_, Outcome::Skipped) => refuse("what was judged can't end as skipped".into()),
                    (Self::Waiting, Outcome::Passed | Outcome::Failed) => {
                        refuse(format!("its window never opened, so it can't have {outcome}"))
                    }
                    (
                        Self::Violated,
                        Outcome::Passed | Outcome::Inconclusive | Outcome::Errored | Outcome::Cancelled,
                    ) => refuse(format!("a violation was seen, so it can't end as {outcome}")),
                    (_, outcome) => Ok(Self::Settled(*outcome)),
                }
            }
            (
                _,
                Fact::CheckArmed { .. }
                | Fact::CheckViolated { .. }
                | Fact::CheckJudged { .. }
                | Fact::CheckSkipped { .. },
            ) => refuse(format!("it is {self}")),
            (
                _,
                Fact::RunStarted(_)
                | Fact::GroupStarted { .. }
                | Fact::StepStarted { .. }
                | Fact::AttemptFailed { .. }
                | Fact::StepProgressed { .. }
                | Fact::StepNoted { .. }
                | Fact::StepUp { .. }
                | Fact::StepFinished { .. }
                | Fact::StepSkipped { .. }
                | Fact::WatchOpened { .. }
                | Fact::ObjectSeen(_)
                | Fact::WatchListed { .. }
                | Fact::WatchGap { .. }
                | Fact::WatchLate { .. }
                | Fact::WatchConfirmed { .. }
                | Fact::WatchClosed { .. }
                | Fact::Marked { .. }
                | Fact::FaultStruck { .. }
                | Fact::CancelRequested { .. }
                | Fact::Warned { .. }
                | Fact::RunFinished { .. },
            ) => refuse("it is not about a check".into()),
        }
    }

    /// The outcome, once settled.
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Settled(outcome) => Some(outcome),
            Self::Waiting | Self::Armed | Self::Violated => None,
        }
    }

    /// The state as one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Armed => "armed",
            Self::Violated => "violated",
            Self::Settled(outcome) => outcome.word(),
        }
    }
}

impl fmt::Display for CheckState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl CheckRow {
    /// A check of which nothing has been heard.
    pub(super) fn waiting(node: CheckNode) -> Self {
        Self {
            node,
            state: CheckState::Waiting,
            watches: Vec::new(),
            armed: None,
            violated: None,
            ended: None,
            finding: None,
            skip: None,
        }
    }

    /// Takes in an event about this check, or refuses it and stays as it was.
    pub(super) fn apply(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        let state = self.state.after(event)?;
        match &event.kind {
            EventKind::CheckArmed { watches, .. } => {
                self.armed = Some(event.at);
                self.watches.clone_from(watches);
            }
            EventKind::CheckViolated { moment, .. } => self.violated = Some((event.at, (**moment).clone())),
            EventKind::CheckJudged { finding, .. } => {
                self.finding = Some((**finding).clone());
                self.ended = Some(event.at);
            }
            EventKind::CheckSkipped { reason, .. } => {
                self.skip = Some(reason.clone());
                self.ended = Some(event.at);
            }
            // Refused by the table.
            _ => {}
        }
        self.state = state;
        Ok(())
    }

    /// The outcome, once settled.
    pub fn outcome(&self) -> Option<Outcome> {
        self.state.outcome()
    }

    /// Whether it counts in the verdict.
    pub fn counts(&self) -> bool {
        self.node.judge == JudgeBy::Fail
    }

    /// Whether it spoils the run: it counts, and it failed, errored or is inconclusive, or
    /// was seen broken and the stream ends before its judge spoke.
    pub fn is_failing(&self) -> bool {
        let bad = match self.state {
            CheckState::Settled(outcome) => {
                matches!(outcome, Outcome::Failed | Outcome::Errored | Outcome::Inconclusive)
            }
            CheckState::Violated => true,
            CheckState::Waiting | CheckState::Armed => false,
        };
        bad && self.counts()
    }

    /// When its window was open; until `now` if it still is. None if it never was.
    pub fn window(&self, now: Elapsed) -> Option<(Elapsed, Elapsed)> {
        let judged = self.finding.as_ref().and_then(|finding| finding.window);
        judged.or_else(|| Some((self.armed?, self.ended.unwrap_or(now))))
    }

    /// What decided it, as far as it is known: all that its judge named, or the first violation.
    pub fn moments(&self) -> Vec<&Moment> {
        match (&self.finding, &self.violated) {
            (Some(finding), _) if !finding.moments.is_empty() => finding.moments.iter().collect(),
            (_, Some((_, moment))) => vec![moment],
            (_, None) => Vec::new(),
        }
    }

    /// One sentence: what decided it, or where it stands.
    pub fn message(&self) -> String {
        let judged = self.finding.as_ref().map(|finding| finding.message.as_str());
        match (judged.filter(|message| !message.is_empty()), &self.skip, &self.violated) {
            (Some(message), _, _) => message.to_owned(),
            (None, Some(reason), _) => reason.to_string(),
            (None, None, Some((_, moment))) => format!("{}: {}", moment.track, moment.say),
            (None, None, None) => match self.state {
                CheckState::Waiting => "its window never opened".into(),
                CheckState::Armed | CheckState::Violated => "its window was open".into(),
                CheckState::Settled(outcome) => format!("it {outcome}"),
            },
        }
    }

    /// Where it is written, as `plans/x.toml:40`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.node.file, self.node.line)
    }
}
