use std::fmt;

use serde::{Deserialize, Serialize};

use super::Outcome;

/// An error made storable: what went wrong, in words and in kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure it is; decides the outcome.
    pub class: Class,
    /// One line: what did not happen, and to what.
    pub message: String,
    /// The chain of causes below it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What should have been, in the plan's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was seen instead, one line for each thing: the last state of each unmet object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<String>,
}

impl Failure {
    /// A failure that needs no more than its sentence.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), causes: Vec::new(), expected: None, observed: Vec::new() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

/// Kinds of failure. The first row are definite answers, the second are Lariat's
/// own troubles, then what stayed undecided and what was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A condition or digest or exit code is not what it must be.
    Unmet,
    /// It did not come true in time.
    Timeout,
    /// The other side said no: admission, validation, an HTTP status, an empty kill.
    Refused,

    /// The other side could not be reached within the budget.
    Unreachable,
    /// The credentials do not allow it.
    Forbidden,
    /// A binary, file, kind or object that must be there is not.
    Missing,
    /// An answer that can't be understood, or a local fault such as a full disk.
    Broken,

    /// What is required before the step did not hold, and nothing was done.
    Undecided,
    /// Cut short by a signal, a deadline above it, or `--fail-fast`.
    Cancelled,
}

impl Class {
    /// The class as one word, as reports and `JUnit`'s `type` show it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unmet => "unmet",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Forbidden => "forbidden",
            Self::Missing => "missing",
            Self::Broken => "broken",
            Self::Undecided => "undecided",
            Self::Cancelled => "cancelled",
        }
    }

    /// The outcome of a step that ends with such a failure.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Unmet | Self::Timeout | Self::Refused => Outcome::Failed,
            Self::Unreachable | Self::Forbidden | Self::Missing | Self::Broken => Outcome::Errored,
            Self::Undecided => Outcome::Inconclusive,
            Self::Cancelled => Outcome::Cancelled,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
