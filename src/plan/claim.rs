use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{LeftOut, Place, Scope, SelectionId, Setting, Span};
use crate::event::{CheckNode, JudgeBy, Round};
use crate::expr::Cel;
use crate::id::{CheckId, StepId};

/// One check as it will be judged: parts expanded, one for each use, cell and round.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its id, unique in the plan.
    pub id: CheckId,
    /// Where its header stands.
    pub place: Place,
    /// One sentence about it; may have holes over vars, already filled in.
    pub about: String,
    /// Ids of requirements it covers.
    pub covers: Vec<String>,
    /// The step before which its window opens; none: the start of the run.
    pub opens: Option<StepId>,
    /// The step with whose end its window closes; none: the end of the run, before clean-up.
    pub closes: Option<StepId>,
    /// Whether it counts in the verdict.
    pub judge: JudgeBy,
    /// In a repeat: what all rounds share, and which this is.
    pub round: Option<Round>,
    /// Known at load: somebody chose to leave it out.
    pub left_out: Option<LeftOut>,
    /// What names mean inside its expressions; `start` comes with the window.
    pub scope: Arc<Scope>,
    /// The selection whose tracks it follows.
    pub on: SelectionId,
    /// How many tracks must have been there at least; 1 if not written.
    pub min: Option<Setting<u64>>,
    /// What is claimed.
    pub claim: Claim,
    /// The claim in one line, as written.
    pub written: String,
}

/// What is claimed of every track of a selection over a window.
#[derive(Clone, Debug)]
pub enum Claim {
    /// No version satisfies it; without `that`, nothing is ever selected.
    Never {
        /// The condition.
        that: Option<Cel>,
    },
    /// Every version satisfies it.
    Always {
        /// The condition.
        that: Cel,
    },
    /// Each track's value never changes; none is replaced or goes.
    Constant {
        /// The value.
        value: Cel,
    },
    /// Each track's value moves only along these edges.
    Transitions {
        /// The value.
        value: Cel,
        /// Which edges.
        edges: Edges,
    },
    /// On every track the values were seen in this order, others between them allowed.
    Sequence {
        /// The value.
        value: Cel,
        /// The values in order.
        seen: Setting<Vec<serde_json::Value>>,
    },
    /// Whenever it stops holding on a track it holds again in time.
    Recovers {
        /// The condition.
        that: Cel,
        /// How long it may take.
        within: Setting<Span>,
    },
    /// How often a track came to satisfy it.
    Count {
        /// The condition; without it, to exist.
        that: Option<Cel>,
        /// At least so often.
        at_least: Option<Setting<u64>>,
        /// At most so often.
        at_most: Option<Setting<u64>>,
        /// Each track alone, not all together.
        per_track: bool,
    },
}

/// Edges between values; `None` at an end is `*`, any value.
#[derive(Clone, Debug, PartialEq)]
pub enum Edges {
    /// Only these.
    Allow(Vec<Edge>),
    /// All but these.
    Forbid(Vec<Edge>),
}

/// `ready -> unknown`, `* -> failed`; a vanished entry or field is `missing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// From; none for any.
    pub from: Option<String>,
    /// To; none for any.
    pub to: Option<String>,
}

impl Edge {
    /// Whether a move from one value to another goes along it.
    pub fn fits(&self, from: &str, to: &str) -> bool {
        self.from.as_deref().is_none_or(|own| own == from) && self.to.as_deref().is_none_or(|own| own == to)
    }
}

impl Claim {
    /// Every operator.
    pub const OPERATORS: [&'static str; 7] =
        ["never", "always", "constant", "transitions", "sequence", "recovers", "count"];

    /// The operator's name as it is written in a plan.
    pub fn operator(&self) -> &'static str {
        match self {
            Self::Never { .. } => "never",
            Self::Always { .. } => "always",
            Self::Constant { .. } => "constant",
            Self::Transitions { .. } => "transitions",
            Self::Sequence { .. } => "sequence",
            Self::Recovers { .. } => "recovers",
            Self::Count { .. } => "count",
        }
    }
}

impl Check {
    /// As events and drawings know it.
    pub fn node(&self) -> CheckNode {
        CheckNode {
            id: self.id.clone(),
            operator: self.claim.operator().to_owned(),
            claim: self.written.clone(),
            about: self.about.clone(),
            opens: self.opens.clone(),
            closes: self.closes.clone(),
            judge: self.judge,
            round: self.round.clone(),
            covers: self.covers.clone(),
            file: self.place.file.clone(),
            line: self.place.line,
        }
    }
}

impl<'de> Deserialize<'de> for Edge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        if written.contains("${") {
            return Err(D::Error::custom("edges are written out: an expression has no place in them"));
        }
        let end = |text: &str| Some(text.trim().to_owned()).filter(|text| text != "*");
        match written.split_once("->") {
            Some((from, to)) if !from.trim().is_empty() && !to.trim().is_empty() => {
                Ok(Self { from: end(from), to: end(to) })
            }
            _ => Err(D::Error::custom(format!(
                "`{written}` is no edge; write it like `ready -> unknown`, or `* -> failed` for any value"
            ))),
        }
    }
}

impl JsonSchema for Edge {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Edge".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "\\S.*->.*\\S", "description": "an edge between values: ready -> unknown, * -> failed; a vanished entry or field is missing" })
    }
}

/// What a check's operator table says.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) on: String,
    pub(super) min: Option<Setting<u64>>,
    pub(super) claim: Claim,
}

impl Asked {
    /// Its expressions.
    pub(super) fn expressions(&self) -> Vec<&Cel> {
        match &self.claim {
            Claim::Never { that } | Claim::Count { that, .. } => that.iter().collect(),
            Claim::Always { that } | Claim::Recovers { that, .. } => vec![that],
            Claim::Constant { value } | Claim::Transitions { value, .. } | Claim::Sequence { value, .. } => vec![value],
        }
    }
}

/// No version of any track satisfies it; without `that`, nothing is ever selected.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NeverTable {
    /// The selection, by its name in `[objects]`.
    on: String,
    /// What must never hold of `o`.
    that: Option<Cel>,
    /// How many tracks there must have been (1).
    min: Option<Setting<u64>>,
}

/// Every version of every track satisfies it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AlwaysTable {
    /// The selection, by its name in `[objects]`.
    on: String,
    /// What must always hold of `o`.
    that: Cel,
    /// How many tracks there must have been (1).
    min: Option<Setting<u64>>,
}

/// Each track's value never changes, no track is replaced or goes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConstantTable {
    /// The selection, by its name in `[objects]`.
    on: String,
    /// What must stay the same.
    value: Cel,
    /// How many tracks there must have been (1).
    min: Option<Setting<u64>>,
}

/// Each track's value moves only along allowed edges.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TransitionsTable {
    /// The selection, by its name in `[objects]`.
    on: String,
    /// The value that moves.
    value: Cel,
    /// Only along these edges.
    allow: Option<Vec<Edge>>,
    /// Along any edge but these.
    forbid: Option<Vec<Edge>>,
    /// How many tracks there must have been (1).
    min: Option<Setting<u64>>,
}

/// On every track the values were seen in this order, others between them allowed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SequenceTable {
    /// The selection, by its name in `[objects]`.
    on: String,
    /// The value that is looked at.
    value: Cel,
    /// The values in order; the one at the start counts.
    seen: Setting<Vec<serde_json::Value>>,
    /// How many tracks there must have been (1).
    min: Option<Setting<u64>>,
}

/// Whenever it stops holding on a track it holds again in time.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecoversTable {
    /// The selection, by its name in `[objects]`.
    on: String,
    /// What must hold again.
    that: Cel,
    /// How long it may take.
    within: Setting<Span>,
    /// How many tracks there must have been (1).
    min: Option<Setting<u64>>,
}

/// How often a track came to satisfy it, not counting those that did at the start.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CountTable {
    /// The selection, by its name in `[objects]`.
    on: String,
    /// What a track comes to satisfy; without it, to exist.
    that: Option<Cel>,
    /// At least so often.
    at_least: Option<Setting<u64>>,
    /// At most so often.
    at_most: Option<Setting<u64>>,
    /// Each track by itself, not all together.
    #[serde(default)]
    per_track: bool,
    /// How many tracks there must have been (1).
    min: Option<Setting<u64>>,
}

impl From<NeverTable> for Asked {
    fn from(NeverTable { on, that, min }: NeverTable) -> Self {
        Self { on, min, claim: Claim::Never { that } }
    }
}

impl From<AlwaysTable> for Asked {
    fn from(AlwaysTable { on, that, min }: AlwaysTable) -> Self {
        Self { on, min, claim: Claim::Always { that } }
    }
}

impl From<ConstantTable> for Asked {
    fn from(ConstantTable { on, value, min }: ConstantTable) -> Self {
        Self { on, min, claim: Claim::Constant { value } }
    }
}

impl From<RecoversTable> for Asked {
    fn from(RecoversTable { on, that, within, min }: RecoversTable) -> Self {
        Self { on, min, claim: Claim::Recovers { that, within } }
    }
}

impl TryFrom<TransitionsTable> for Asked {
    type Error = String;

    fn try_from(TransitionsTable { on, value, allow, forbid, min }: TransitionsTable) -> Result<Self, String> {
        let edges = match (allow, forbid) {
            (Some(allow), None) => Edges::Allow(allow),
            (None, Some(forbid)) if forbid.is_empty() => {
                return Err("`forbid` names no edge, so that every move is allowed".to_owned());
            }
            (None, Some(forbid)) => Edges::Forbid(forbid),
            (Some(_), Some(_)) => {
                return Err("`allow` and `forbid` exclude each other; what is not allowed is forbidden".to_owned());
            }
            (None, None) => {
                return Err(
                    "which moves? write `allow` or `forbid`; such as `allow = [\"ready -> unknown\"]`".to_owned()
                );
            }
        };
        Ok(Self { on, min, claim: Claim::Transitions { value, edges } })
    }
}

impl TryFrom<SequenceTable> for Asked {
    type Error = String;

    fn try_from(SequenceTable { on, value, seen, min }: SequenceTable) -> Result<Self, String> {
        if seen.plain().is_some_and(Vec::is_empty) {
            return Err("`seen` names no value".to_owned());
        }
        Ok(Self { on, min, claim: Claim::Sequence { value, seen } })
    }
}

impl TryFrom<CountTable> for Asked {
    type Error = String;

    fn try_from(table: CountTable) -> Result<Self, String> {
        let CountTable { on, that, at_least, at_most, per_track, min } = table;
        let plain = |setting: &Option<Setting<u64>>| setting.as_ref().and_then(|setting| setting.plain().copied());
        match (plain(&at_least), plain(&at_most)) {
            _ if at_least.is_none() && at_most.is_none() => {
                return Err("how often? write `at-least`, `at-most` or both".to_owned());
            }
            (Some(least), Some(most)) if least > most => {
                return Err(format!("at least {least} and at most {most} exclude each other"));
            }
            (Some(0), _) if at_most.is_none() => {
                return Err("`at-least = 0` always holds; write `at-most` to bound it".to_owned());
            }
            _ => {}
        }
        Ok(Self { on, min, claim: Claim::Count { that, at_least, at_most, per_track } })
    }
}
