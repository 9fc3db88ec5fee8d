use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::SelectionId;
use crate::expr::{Env, Form, Shared};
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
    /// The steps that the step's expressions name, and only those, each by its name
    /// with `_` for `-`.
    pub steps: BTreeMap<String, StepName>,
    /// Default namespace.
    pub namespace: String,
    /// The folder of the file the step is written in: paths start here.
    pub folder: PathBuf,
}

/// What a step's name leads to.
#[derive(Clone, Debug)]
pub enum StepName {
    /// A step or group: its outputs, and those inside it by their names.
    Step(StepId, Arc<BTreeMap<String, StepName>>),
    /// A `for-each`.
    Cells(Arc<Cells>),
    /// A `repeat`, seen from outside: its last round; `None` if it has no rounds.
    LastRound(Option<Box<StepName>>),
}

/// The cells of a `for-each`, as expressions name them: `steps.volumes[item]`.
#[derive(Clone, Debug)]
pub struct Cells {
    /// Each by its item as text.
    pub by_item: IndexMap<String, StepName>,
    /// The items are 0, 1, 2, …: then the cells are a list, else a map.
    pub counted: bool,
}

/// The vars of one file, as used once.
#[derive(Clone, Debug)]
pub struct Vars {
    values: IndexMap<String, Var>,
    /// Those that are known, converted once for all expressions.
    known: Shared,
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

impl Vars {
    /// Takes vars in file order.
    pub fn new(values: IndexMap<String, Var>) -> Self {
        let known: Map<String, Value> = values
            .iter()
            .filter_map(|(name, var)| match var {
                Var::Known(value) => Some((name.clone(), value.clone())),
                Var::Late(..) => None,
            })
            .collect();
        Self { values, known: Shared::from(Value::Object(known)) }
    }

    /// A var by its name.
    pub fn get(&self, name: &str) -> Option<&Var> {
        self.values.get(name)
    }

    /// Each var by name, in file order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.values.iter().map(|(name, var)| (name.as_str(), var))
    }
}

impl Default for Vars {
    fn default() -> Self {
        Self::new(IndexMap::new())
    }
}

impl Scope {
    /// What is known when the plan is loaded: `vars`, `item`, `round`.
    pub fn known(&self) -> Env {
        known(&self.vars, self.item.as_ref(), self.round)
    }

    /// What names mean when the step acts: `vars`, `item`, `round`, `run` and `steps`.
    ///
    /// `outputs` gives what a step has left, and nothing for a step that has not
    /// settled or was skipped: then the name is absent, and `has(…)` is false.
    pub fn env(&self, run: &Shared, outputs: &dyn Fn(&StepId) -> Option<Shared>) -> Env {
        let mut env = self.known().with_shared("run", run.clone());
        let late: Vec<(&str, Shared)> = self
            .vars
            .iter()
            .filter_map(|(name, var)| match var {
                Var::Known(_) => None,
                // What cannot be had is absent: a step was skipped by choice, and the var may not be needed.
                Var::Late(form, scope) => {
                    let value = form.eval(&scope.env(run, outputs)).ok()?;
                    Some((name, Shared::from(value)))
                }
            })
            .collect();
        if !late.is_empty() {
            env = env.with_shared("vars", Shared::map(self.vars.known.members().chain(late)));
        }
        let steps = self.steps.iter().filter_map(|(name, step)| Some((name.as_str(), step.value(outputs)?)));
        env.with_shared("steps", Shared::map(steps))
    }
}

/// An environment of what is known while a plan is loaded.
pub(super) fn known(vars: &Vars, item: Option<&Value>, round: Option<u32>) -> Env {
    let mut env = Env::new().with_shared("vars", vars.known.clone());
    if let Some(item) = item {
        env = env.with("item", item.clone());
    }
    if let Some(round) = round {
        env = env.with("round", Value::from(round));
    }
    env
}

impl StepName {
    fn value(&self, outputs: &dyn Fn(&StepId) -> Option<Shared>) -> Option<Shared> {
        match self {
            Self::Step(id, inner) if inner.is_empty() => outputs(id),
            Self::Step(id, inner) => {
                let own = outputs(id);
                let own = own.iter().flat_map(Shared::members).map(|(name, value)| (name.to_owned(), value));
                let inner = inner.iter().filter_map(|(name, step)| Some((name.clone(), step.value(outputs)?)));
                // A step inside hides what the group itself would be asked for.
                let all: BTreeMap<String, Shared> = own.chain(inner).collect();
                Some(Shared::map(all.iter().map(|(name, value)| (name.as_str(), value.clone()))))
            }
            Self::Cells(cells) if cells.counted => {
                let values = cells.by_item.values().map(|cell| cell.value(outputs));
                Some(Shared::list(values.map(|value| value.unwrap_or_else(|| Shared::from(Value::Null)))))
            }
            Self::Cells(cells) => {
                let cells = cells.by_item.iter();
                Some(Shared::map(cells.filter_map(|(item, cell)| Some((item.as_str(), cell.value(outputs)?)))))
            }
            Self::LastRound(round) => round.as_ref()?.value(outputs),
        }
    }
}
