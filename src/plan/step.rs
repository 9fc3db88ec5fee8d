use std::sync::Arc;

use crate::event::When;
use crate::expr::Form;
use crate::id::StepId;

use super::verb::Verb;
use super::{Conditions, Require, Scope, Setting, Span};

/// One step as it will be run: parts expanded, cells and rounds made.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its id, unique in the plan.
    pub id: StepId,
    /// Where its header stands.
    pub place: Place,
    /// One sentence about it; may have holes over vars, already filled in.
    pub about: String,
    /// Ids of requirements it covers.
    pub covers: Vec<String>,
    /// Steps of the same scope that must settle first, and the round before.
    pub needs: Vec<StepId>,
    /// When it runs.
    pub when: When,
    /// Known at load: somebody chose to leave it out.
    pub left_out: Option<LeftOut>,
    /// For one attempt; a group's for the whole, a repeat's rounds each have it.
    pub timeout: Option<Setting<Span>>,
    /// How a failed attempt is repeated.
    pub retry: Option<Retry>,
    /// What must hold before it acts.
    pub require: Option<Require>,
    /// What must hold right after it.
    pub expect: Option<Conditions>,
    /// It runs beside others until this step settles.
    pub until: Option<StepId>,
    /// What names mean inside its expressions.
    pub scope: Arc<Scope>,
    /// What it does.
    pub body: Body,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Body {
    /// One verb.
    Verb(Arc<Verb>),
    /// Steps inside; a part's `outputs` are evaluated when it has settled.
    Group {
        /// The steps in file order.
        steps: Vec<Step>,
        /// What a part declares for its caller, and the scope it is evaluated in.
        outputs: Option<(Form, Arc<Scope>)>,
    },
    /// Rounds, one after another.
    Repeat {
        /// Each a step of its own, in order; each after the first needs the one before.
        rounds: Vec<Step>,
        /// A round that did not pass ends the rest.
        stop_on_failure: bool,
    },
    /// Cells, side by side.
    Cells {
        /// Each a step of its own.
        cells: Vec<Step>,
    },
}

impl Step {
    /// The same, to be changed.
    pub(super) fn children_mut(&mut self) -> &mut [Step] {
        match &mut self.body {
            Body::Verb(_) => &mut [],
            Body::Group { steps, .. } => steps,
            Body::Repeat { rounds, .. } => rounds,
            Body::Cells { cells } => cells,
        }
    }

    /// The steps directly inside, none for a verb.
    pub fn children(&self) -> &[Step] {
        match &self.body {
            Body::Verb(_) => &[],
            Body::Group { steps, .. } => steps,
            Body::Repeat { rounds, .. } => rounds,
            Body::Cells { cells } => cells,
        }
    }
}

/// Why a step is left out by choice, known before the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// Its `if` is false: the expression as written.
    If(String),
    /// `--only` or `--skip`: the flag with its value.
    Flag(String),
}

/// How a failed attempt is repeated.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Retry {
    /// How many attempts in all, at least 1.
    pub attempts: std::num::NonZeroU32,
    /// Time between them.
    #[serde(default)]
    pub delay: Setting<Span>,
}

/// A place in a file, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Path as shown.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
}
