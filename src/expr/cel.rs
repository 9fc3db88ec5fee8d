use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use cel::common::ast::IdedExpr;
use cel::{Context, ExecutionError};
use serde_json::Value;

use super::env::{Env, Shared};
use super::error::{self, Error};
use super::function::{refuel, standard, take_answer};
use super::lower::{answer, lower};
use super::mistake::Mistake;
use super::node::Node;
use super::path::Path;
use super::survey::survey;
use super::syntax::parse;

/// A compiled expression.
///
/// What it may cost is bounded when it is compiled, so it is evaluated where
/// one stands; two are equal when their sources are.
#[derive(Clone)]
pub struct Cel(Arc<Compiled>);

struct Compiled {
    source: String,
    tree: IdedExpr,
    /// The tree with its value wrapped up, as the interpreter cannot hand out ours as they are.
    answer: IdedExpr,
    paths: Vec<Path>,
    calls: BTreeSet<String>,
}

impl Cel {
    /// Reads a source: its syntax, the functions it calls, and what it may cost.
    ///
    /// What its variables are called is for the caller to judge ([`Cel::paths`]).
    pub fn compile(source: &str) -> Result<Cel, Mistake> {
        let (mut tree, info) = parse(source)?;
        let found = survey(&tree, &info)?;
        lower(&mut tree);
        let answer = answer(tree.clone());
        let source = source.to_owned();
        Ok(Cel(Arc::new(Compiled { source, tree, answer, paths: found.paths, calls: found.calls })))
    }

    /// The source as it was written.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Every way from a free variable that the source shows, each once, in reading order.
    pub fn paths(&self) -> &[Path] {
        &self.0.paths
    }

    /// Whether it calls a function: `age` needs a present moment.
    pub fn calls(&self, function: &str) -> bool {
        self.0.calls.contains(function)
    }

    /// What it comes to.
    ///
    /// Durations, timestamps and versions come out as text.
    pub fn eval(&self, env: &Env) -> Result<Value, Error> {
        let node = self.node(env)?;
        node.to_json().map_err(|message| Error::refused(self.source(), message))
    }

    /// What it comes to, to be bound again without a way through JSON.
    pub fn eval_shared(&self, env: &Env) -> Result<Shared, Error> {
        self.node(env).map(Shared::of)
    }

    /// Whether it is true; anything but a bool is an error.
    pub fn holds(&self, env: &Env) -> Result<bool, Error> {
        let found = match Self::run(&self.0.tree, env) {
            Ok(cel::Value::Bool(truth)) => return Ok(truth),
            Ok(other) => error::of_value(&other).to_owned(),
            Err(ExecutionError::UnexpectedType { got, want }) if want == error::NO_VALUE => got,
            Err(error) => return Err(Error::of(error, self.source())),
        };
        Err(Error::mismatched(self.source(), format!("expected bool, found {}", error::plain(&found))))
    }

    fn node(&self, env: &Env) -> Result<Node, Error> {
        let answer = Self::run(&self.0.answer, env).map_err(|error| Error::of(error, self.source()))?;
        take_answer(&answer).map_err(|message| Error::refused(self.source(), message))
    }

    /// Evaluation stays on the far side of this call: the interpreter's own
    /// recursion is `inline(always)`, and a copy of it in this crate would be
    /// built without optimisation in a debug build, with ten times the stack.
    fn run(tree: &IdedExpr, env: &Env) -> Result<cel::Value, ExecutionError> {
        refuel();
        let mut context = Context::with_env(Arc::clone(standard()));
        context.set_variable_resolver(env);
        cel::Value::resolve(tree, &context)
    }
}

impl fmt::Debug for Cel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cel").field(&self.source()).finish()
    }
}

impl fmt::Display for Cel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source())
    }
}

impl PartialEq for Cel {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Cel {}
