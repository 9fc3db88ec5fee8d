use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use super::SelectionId;
use crate::expr::Form;
use crate::id::StepId;

/// What names mean inside one step's expressions.
///
/// A scope is a file, or the inside of a group; a part has its own. All of it is
/// known when the plan is loaded but for the outputs of steps and vars that use them.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The vars of the file the step is written in.
    pub vars: Arc<Vars>,
    /// The selections of that file.
    pub objects: Arc<IndexMap<String, SelectionId>>,
    /// The cell of a `for-each`, here or further out in the same file.
    pub item: Option<Value>,
    /// The round of a `repeat`, from 1, here or further out in the same file.
    pub round: Option<u32>,
    /// Steps that can be named here, by name, nearest first outwards to the end of the file.
    pub steps: BTreeMap<String, StepName>,
    /// Default namespace.
    pub namespace: String,
    /// The folder of the file the step is written in: paths start here.
    pub folder: std::path::PathBuf,
}

/// What a step's name leads to.
#[derive(Clone, Debug)]
pub enum StepName {
    /// A step or group: its outputs, and those inside it by their names.
    Step(StepId, Arc<BTreeMap<String, StepName>>),
    /// A `for-each`: its cells by item as text.
    Cells(StepId, Arc<IndexMap<String, StepName>>),
    /// A `repeat`, seen from outside: its last round.
    LastRound(StepId, Box<StepName>),
}

/// The vars of one file, as used once.
#[derive(Clone, Debug, Default)]
pub struct Vars {
    /// Each var by name, in file order.
    pub values: IndexMap<String, Var>,
}

/// One var.
#[derive(Clone, Debug)]
pub enum Var {
    /// Known when the plan is loaded.
    Known(Value),
    /// An argument that uses outputs of steps: evaluated in the caller's scope, when
    /// the step acts.
    Late(Form, Arc<Scope>),
}
