use std::sync::Arc;

use futures::future::BoxFuture;

use crate::check::Court;
use crate::clock::Elapsed;
use crate::event::{Armed, Event, EventKind, WatchId};
use crate::expr::Env;
use crate::id::CheckId;
use crate::plan::Query;
use crate::record::{self, Confirmed, Hold, Recorder, Tape};

/// Who judges checks, fed with every fact that was written. Tests put a script in its place.
pub(super) trait Judge: Send {
    /// What must be watched for a check.
    fn queries(&self, check: &CheckId) -> Vec<Query>;

    /// Its window opens: what its tracks are now is their start. Gives the facts that follow.
    fn open(&mut self, check: &CheckId, env: Env, at: Elapsed) -> Vec<EventKind>;

    /// Takes in a fact, and gives those that follow from it.
    fn take(&mut self, event: &Event) -> Vec<EventKind>;

    /// When `pass` is to be called unless something happens before.
    fn deadline(&self) -> Option<Elapsed>;

    /// Time has passed and nothing happened.
    fn pass(&mut self, at: Elapsed) -> Vec<EventKind>;

    /// Its window closes. What is above these versions of its watches is outside;
    /// a watch that is not named has no closing list.
    fn close(&mut self, check: &CheckId, at: Elapsed, edges: &[(WatchId, String)]);

    /// Its window ends early: what was violated stays so, and all else is cancelled.
    fn cut(&mut self, check: &CheckId, at: Elapsed, why: &str);

    /// Whether all is there that its judgement waits for.
    fn ready(&self, check: &CheckId) -> bool;

    /// How it went.
    fn judge(&mut self, check: &CheckId) -> EventKind;
}

/// Who keeps watches live for checks. Tests put a script in its place.
pub(super) trait Lookout: Send + Sync {
    /// Keeps a query watched until what is given is dropped.
    fn hold(&self, query: &Query) -> Arc<dyn Outpost>;
}

/// Makes the lookout of a run from its recorder and the tape that this writes on.
pub(super) type Station = Box<dyn FnOnce(&Recorder, &Tape) -> Arc<dyn Lookout> + Send>;

/// A watch that is kept live.
pub(super) trait Outpost: Send + Sync {
    /// Returns once it is live, with the version from which on nothing is missed.
    fn synced(self: Arc<Self>) -> BoxFuture<'static, Result<Armed, record::Error>>;

    /// Lists once more, and returns that list's version. What the list and the watch do
    /// not agree on is told later, as a fact.
    fn confirm(&self) -> BoxFuture<'static, Result<Armed, record::Error>>;
}

impl Judge for Court {
    fn queries(&self, check: &CheckId) -> Vec<Query> {
        Self::queries(self, check)
    }

    fn open(&mut self, check: &CheckId, env: Env, at: Elapsed) -> Vec<EventKind> {
        Self::open(self, check, env, at)
    }

    fn take(&mut self, event: &Event) -> Vec<EventKind> {
        Self::take(self, event)
    }

    fn deadline(&self) -> Option<Elapsed> {
        Self::deadline(self)
    }

    fn pass(&mut self, at: Elapsed) -> Vec<EventKind> {
        Self::pass(self, at)
    }

    fn close(&mut self, check: &CheckId, at: Elapsed, edges: &[(WatchId, String)]) {
        Self::close(self, check, at, edges);
    }

    fn cut(&mut self, check: &CheckId, at: Elapsed, why: &str) {
        Self::cut(self, check, at, why);
    }

    fn ready(&self, check: &CheckId) -> bool {
        Self::ready(self, check)
    }

    fn judge(&mut self, check: &CheckId) -> EventKind {
        Self::judge(self, check)
    }
}

impl Lookout for Recorder {
    fn hold(&self, query: &Query) -> Arc<dyn Outpost> {
        Arc::new(self.hold(query.clone()))
    }
}

impl Outpost for Result<Hold, record::Error> {
    fn synced(self: Arc<Self>) -> BoxFuture<'static, Result<Armed, record::Error>> {
        Box::pin(async move {
            match &*self {
                Ok(hold) => hold.synced().await,
                Err(error) => Err(error.clone()),
            }
        })
    }

    fn confirm(&self) -> BoxFuture<'static, Result<Armed, record::Error>> {
        match self {
            Ok(hold) => {
                let list = hold.confirm();
                Box::pin(async move { list.await.map(|Confirmed { watch, version }| Armed { watch, version }) })
            }
            Err(error) => {
                let error = error.clone();
                Box::pin(async move { Err(error) })
            }
        }
    }
}
