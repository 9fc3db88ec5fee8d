use std::fmt;

use serde::{Deserialize, Serialize};

use super::CancelReason;
use crate::id::{CheckId, StepId};

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It did what it says.
    Passed,
    /// It was not run; its `SkipReason` says why.
    Skipped,
    /// It was cut short from outside.
    Cancelled,
    /// What it is about could not be decided, and nothing was done.
    Inconclusive,
    /// Lariat could not do its part: unreachable, forbidden, missing, broken.
    Errored,
    /// A definite no: unmet, timed out, refused.
    Failed,
}

impl Outcome {
    /// The outcome as one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Inconclusive => "inconclusive",
            Self::Errored => "errored",
            Self::Failed => "failed",
        }
    }

    /// What this outcome makes of a run in which nothing else went wrong.
    ///
    /// A skipped step says nothing by itself: what it was skipped for counts.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Passed | Self::Skipped => Verdict::Pass,
            Self::Cancelled => Verdict::Cancelled,
            Self::Inconclusive => Verdict::Inconclusive,
            Self::Errored => Verdict::Error,
            Self::Failed => Verdict::Fail,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How a run went. Ordered by precedence: the greatest of all that happened stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every claim held and every step did its work.
    Pass,
    /// Cut short from outside.
    Cancelled,
    /// Not everything that matters was seen.
    Inconclusive,
    /// Lariat could not do its part.
    Error,
    /// A definite no.
    Fail,
}

impl Verdict {
    /// The verdict as one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Cancelled => "cancelled",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Why a step was not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// A step it needs did not pass.
    Need {
        /// The needed step.
        step: StepId,
        /// How that one went.
        outcome: Outcome,
    },
    /// Its `if` is false.
    If {
        /// The expression as written.
        expression: String,
    },
    /// Left out on the command line.
    Flag {
        /// The flag with its value, such as `--skip install`.
        flag: String,
    },
    /// Its `for-each` list is empty.
    NoCells,
    /// It is a clean-up for failures, and none of its needs failed.
    NothingFailed,
    /// An earlier round failed and `stop-on-failure` is set.
    RoundFailed {
        /// The failed round.
        step: StepId,
    },
    /// A check was violated in an earlier round and `stop-on-failure` is set.
    RoundViolated {
        /// The check.
        check: CheckId,
    },
    /// The group it is in was skipped or ended before it could start.
    Group {
        /// The group.
        step: StepId,
    },
    /// The run was being cancelled.
    Cancelled {
        /// By what.
        by: CancelReason,
    },
}

impl SkipReason {
    /// Whether somebody chose to leave the step out: such a step counts as
    /// passed for those that need it.
    pub fn by_choice(&self) -> bool {
        match self {
            Self::If { .. } | Self::Flag { .. } | Self::NoCells | Self::NothingFailed => true,
            Self::Need { .. }
            | Self::RoundFailed { .. }
            | Self::RoundViolated { .. }
            | Self::Group { .. }
            | Self::Cancelled { .. } => false,
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Need { step, outcome: outcome @ (Outcome::Failed | Outcome::Errored) } => {
                write!(f, "it needs `{step}`, which {outcome}")
            }
            Self::Need { step, outcome } => write!(f, "it needs `{step}`, which was {outcome}"),
            Self::If { expression } => write!(f, "its `if` is false: {expression}"),
            Self::Flag { flag } => write!(f, "left out by {flag}"),
            Self::NoCells => write!(f, "its `for-each` list is empty"),
            Self::NothingFailed => write!(f, "nothing it cleans up after failed"),
            Self::RoundFailed { step } => write!(f, "`{step}` failed and `stop-on-failure` is set"),
            Self::RoundViolated { check } => {
                write!(f, "check `{check}` was violated and `stop-on-failure` is set")
            }
            Self::Group { step } => write!(f, "its group `{step}` did not get to it"),
            // Nobody cancelled the run: this was to run beside a step that is over.
            Self::Cancelled { by: CancelReason::Until } => write!(f, "{}", CancelReason::Until),
            Self::Cancelled { by } => write!(f, "the run was cancelled: {by}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_stands() {
        use Verdict::{Cancelled, Error, Fail, Inconclusive, Pass};
        assert!(Fail > Error && Error > Inconclusive && Inconclusive > Cancelled && Cancelled > Pass);
    }
}
