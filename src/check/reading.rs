//! What a claim's expression says of one version of a track.

use std::sync::Arc;

use serde_json::Value;

use crate::expr::{Cel, Env};
use crate::plan::Claim;

/// The value of a field that is not there, and of an entry that vanished.
pub(super) const MISSING: &str = "missing";

/// The longest value that is kept as it is.
const LONGEST: usize = 400;

/// What an expression came to on one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// A condition; to be there is one too.
    Holds(bool),
    /// A value as text.
    Value(Arc<str>),
    /// It could not be evaluated: this version says nothing.
    Unreadable,
}

/// What is asked of every version.
#[derive(Clone, Debug)]
pub(super) enum Question {
    /// Whether it is there at all.
    Exists,
    /// Whether a condition holds.
    That(Cel),
    /// What a value is.
    Value(Cel),
}

impl Question {
    pub(super) fn of(claim: &Claim) -> Self {
        match claim {
            Claim::Never { that: None } | Claim::Count { that: None, .. } => Self::Exists,
            Claim::Never { that: Some(that) }
            | Claim::Count { that: Some(that), .. }
            | Claim::Always { that }
            | Claim::Recovers { that, .. } => Self::That(that.clone()),
            Claim::Constant { value } | Claim::Transitions { value, .. } | Claim::Sequence { value, .. } => {
                Self::Value(value.clone())
            }
        }
    }

    /// Whether it compares with the track as it was when the window opened.
    pub(super) fn asks_start(&self) -> bool {
        match self {
            Self::Exists => false,
            Self::That(cel) | Self::Value(cel) => cel.paths().iter().any(|path| path.root() == "start"),
        }
    }

    /// Asks it; with the error if it has no answer, and whether it was a real one: a field that is
    /// missing everywhere is perhaps only mistyped.
    pub(super) fn ask(&self, env: &Env) -> Answer {
        match self {
            Self::Exists => Answer { reading: Reading::Holds(true), error: None, real: true },
            Self::That(that) => match that.holds(env) {
                Ok(holds) => Answer { reading: Reading::Holds(holds), error: None, real: true },
                Err(error) => Answer { reading: Reading::Unreadable, error: Some(error.to_string()), real: false },
            },
            Self::Value(value) => match value.eval(env) {
                Ok(Value::Null) => Answer { reading: Reading::Value(MISSING.into()), error: None, real: false },
                Ok(found) => Answer { reading: Reading::Value(spelled(&found).into()), error: None, real: true },
                Err(error) if error.is_missing() => {
                    Answer { reading: Reading::Value(MISSING.into()), error: None, real: false }
                }
                Err(error) => Answer { reading: Reading::Unreadable, error: Some(error.to_string()), real: false },
            },
        }
    }
}

/// What came of asking.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) reading: Reading,
    pub(super) error: Option<String>,
    pub(super) real: bool,
}

/// A value as edges and reports write it: a text bare, anything else as JSON. A very long one is
/// told from others by a digest of all of it.
pub(super) fn spelled(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.len() <= LONGEST {
        return text;
    }
    let head: String = text.chars().take(LONGEST / 2).collect();
    let digest = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        // FNV-1a.
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{head}… ({} bytes, {digest:016x})", text.len())
}
