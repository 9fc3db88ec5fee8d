use std::sync::Arc;

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
