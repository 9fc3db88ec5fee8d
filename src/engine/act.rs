use futures::future::BoxFuture;

use crate::plan::{Conditions, Require, Verb};
use crate::step::{self, Done, StepContext};

/// What attempts are made of. Tests put a script in its place.
pub(super) trait Actor: Send + Sync {
    /// Does what a verb says.
    fn act<'a>(&'a self, verb: &'a Verb, ctx: &'a StepContext) -> BoxFuture<'a, Result<Done, step::Error>>;

    /// Holds a step back until what it requires holds.
    fn require<'a>(&'a self, require: &'a Require, ctx: &'a StepContext) -> BoxFuture<'a, Result<(), step::Error>>;

    /// Judges once what is expected after a step.
    fn expect<'a>(&'a self, conditions: &'a Conditions, ctx: &'a StepContext)
    -> BoxFuture<'a, Result<(), step::Error>>;
}

/// The verbs themselves.
pub(super) struct Verbs;

impl Actor for Verbs {
    fn act<'a>(&'a self, verb: &'a Verb, ctx: &'a StepContext) -> BoxFuture<'a, Result<Done, step::Error>> {
        Box::pin(step::act(verb, ctx))
    }

    fn require<'a>(&'a self, require: &'a Require, ctx: &'a StepContext) -> BoxFuture<'a, Result<(), step::Error>> {
        Box::pin(step::require(require, ctx))
    }

    fn expect<'a>(
        &'a self,
        conditions: &'a Conditions,
        ctx: &'a StepContext,
    ) -> BoxFuture<'a, Result<(), step::Error>> {
        Box::pin(step::expect(conditions, ctx))
    }
}
