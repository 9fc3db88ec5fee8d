use serde::{Deserialize, Serialize};

use super::WatchId;
use crate::clock::Elapsed;
use crate::id::{CheckId, StepId};

/// One check as it will be judged: one for each use, cell and round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckNode {
    /// Its id, unique in the run.
    pub id: CheckId,
    /// The operator: `never`, `always`, `constant`, `transitions`, `sequence`, `recovers`, `count`.
    pub operator: String,
    /// The claim in one line, as the plan writes it.
    pub claim: String,
    /// One sentence about it; empty if the plan says none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The step before which its window opens; none: the start of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<StepId>,
    /// The step with whose end its window closes; none: the end of the run, before clean-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes: Option<StepId>,
    /// Whether it counts in the verdict.
    #[serde(default, skip_serializing_if = "JudgeBy::is_fail")]
    pub judge: JudgeBy,
    /// What the same check is called over all rounds and cells, and which round it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<Round>,
    /// Ids of requirements it covers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covers: Vec<String>,
    /// The file it is written in, as in `PlanFile::path`.
    pub file: String,
    /// Line of its header in that file, from 1.
    pub line: usize,
}

/// A check of one round, among those of all rounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// The id that all rounds share: `file-states` for `file-states[03]`.
    pub of: CheckId,
    /// Which round, from 1.
    pub number: u32,
}

/// What a check does to the verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JudgeBy {
    /// A violation fails the run.
    #[default]
    Fail,
    /// It is measured and shown, and changes nothing.
    Report,
}

impl JudgeBy {
    /// Whether this is the usual case.
    pub fn is_fail(&self) -> bool {
        *self == Self::Fail
    }
}

/// What a check was armed with: a watch that was live, and the version it had reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    /// The watch.
    pub watch: WatchId,
    /// The resource version from which on every version is seen.
    pub version: String,
}

/// What a check's fold has found when its window closed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// One sentence: what decided it.
    pub message: String,
    /// The events that decided it, first ones first; for an inconclusive one those nearest to a decision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moments: Vec<Moment>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
    /// Spells inside the window that put it in doubt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blind: Vec<Blind>,
    /// For an inconclusive one: what would have decided it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub wanted: String,
    /// When its window was open.
    pub window: Option<(Elapsed, Elapsed)>,
    /// How many tracks were examined.
    pub tracks: u64,
    /// How many versions of them.
    pub versions: u64,
    /// On how many versions the expression could not be evaluated, and the first such error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored: Option<(u64, String)>,
    /// What was measured, value by value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<Measure>,
    /// What each track did over the window, for drawing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<Lane>,
    /// How many tracks have no lane here, for there were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lanes_left_out: u64,
}

/// One event that decided something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The number of the event in the journal.
    pub event: u64,
    /// When.
    pub at: Elapsed,
    /// Which track: the object's name, and the key in brackets.
    pub track: String,
    /// The object's uid, so that a reader finds it in other records; empty if no object was seen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The object's version at that event, as the server says it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// What happened, in a few words: `ready -> failed`, `appeared`, `gone`.
    pub say: String,
    /// The object (for an entry: the entry) before and after, as lines that begin with ` `, `-` or `+`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<String>,
}

/// A time in which something may have been missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blind {
    /// From.
    pub from: Elapsed,
    /// To.
    pub to: Elapsed,
    /// Why.
    pub reason: String,
    /// Whether versions may be missing; else they only came late.
    pub gap: bool,
}

/// How often and how long something was so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// What: a value, or the claim's condition.
    pub what: String,
    /// Each spell's length, in order; capped.
    pub spells: Vec<Elapsed>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

/// A track's values over a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// Which track.
    pub track: String,
    /// One after another; each lasts until the next begins or the window closes.
    pub segments: Vec<Segment>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

/// One value of a track for some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// From when.
    pub from: Elapsed,
    /// The value as text; empty while the track is not there.
    pub value: String,
    /// Whether its beginning is a violation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bad: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}
