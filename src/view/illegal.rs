use std::fmt;

use crate::event::Event;
use crate::id::{CheckId, StepId};

/// An event that can't follow what came before it: a defect of whoever wrote the
/// stream, or a journal that was changed by hand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct IllegalTransition {
    /// Position of the event that can't be.
    pub seq: u64,
    /// The step it is about, if it is about one.
    pub step: Option<StepId>,
    /// The check it is about, if it is about one.
    pub check: Option<CheckId>,
    /// Why it can't be.
    pub because: String,
}

impl IllegalTransition {
    /// The refusal of this event.
    pub(super) fn of(event: &Event, because: impl Into<String>) -> Self {
        Self {
            seq: event.seq,
            step: event.kind.step().cloned(),
            check: event.kind.check().cloned(),
            because: because.into(),
        }
    }
}

impl fmt::Display for IllegalTransition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}", self.seq)?;
        if let Some(step) = &self.step {
            write!(f, " about `{step}`")?;
        }
        if let Some(check) = &self.check {
            write!(f, " about check `{check}`")?;
        }
        write!(f, " can't be: {}", self.because)
    }
}
