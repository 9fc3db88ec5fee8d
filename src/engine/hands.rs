use futures::future::{BoxFuture, FutureExt as _};

use crate::plan::{Conditions, Require, Verb};
use crate::step::{self, Done, Error, StepContext};

/// How verbs are done. There is one real way; tests of the loop script their own.
pub(super) trait Hands: Send + Sync {
    /// Does what a verb says.
    fn act<'a>(&'a self, verb: &'a Verb, ctx: &'a StepContext) -> BoxFuture<'a, Result<Done, Error>>;
    /// Asks what must hold before.
    fn require<'a>(&'a self, require: &'a Require, ctx: &'a StepContext) -> BoxFuture<'a, Result<(), Error>>;
    /// Asks what must hold after.
    fn expect<'a>(&'a self, expect: &'a Conditions, ctx: &'a StepContext) -> BoxFuture<'a, Result<(), Error>>;
}

/// The real way.
pub(super) struct Real;

impl Hands for Real {
    fn act<'a>(&'a self, verb: &'a Verb, ctx: &'a StepContext) -> BoxFuture<'a, Result<Done, Error>> {
        step::act(verb, ctx).boxed()
    }

    fn require<'a>(&'a self, require: &'a Require, ctx: &'a StepContext) -> BoxFuture<'a, Result<(), Error>> {
        step::require(require, ctx).boxed()
    }

    fn expect<'a>(&'a self, expect: &'a Conditions, ctx: &'a StepContext) -> BoxFuture<'a, Result<(), Error>> {
        step::expect(expect, ctx).boxed()
    }
}
