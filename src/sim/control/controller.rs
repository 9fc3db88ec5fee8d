//! What a controller is: data and one function.

use std::time::Duration;

use jiff::Timestamp;

use super::cache::{Cache, Change};
use super::key::Key;
use super::kind::Kind;
use super::queue::Backoff;
use super::write::Write;

/// A controller: when it looks at what, and what it then wants written.
///
/// `reconcile` is a plain function: it neither waits nor asks anybody. It sees the cache, which is
/// as old as the process's watches, and a memory that dies with the process. Time and API are
/// brought by a [`Process`](super::Process), virtual or real.
#[derive(Clone, Debug)]
pub struct Controller<M> {
    /// Its name in events and managed fields, such as `daemonset-controller`.
    pub name: &'static str,
    /// What makes it look at something.
    pub triggers: Vec<Trigger>,
    /// How often everything that is known is looked at again, as an informer's resync does. `None`: never.
    pub resync: Option<Duration>,
    /// How long a key waits after a refused write.
    pub backoff: Backoff,
    /// Whether it looks at a key again only when its watches have delivered what it wrote before
    /// (client-go's expectations). Without it a controller may act on its own past, as many do.
    pub awaits_own_writes: bool,
    /// The one function.
    pub reconcile: fn(&Key, &Cache, &mut M, Timestamp) -> Round,
}

/// Which change of which kind queues which keys.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// What is watched.
    pub watches: Watches,
    /// The keys that a change is a reason to look at.
    pub queues: fn(&Change, &Cache) -> Vec<Key>,
}

/// What a trigger needs a watch of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watches {
    /// One kind in all namespaces; of a process's triggers on one kind the first one's field selector holds.
    Kind {
        /// The kind.
        kind: Kind,
        /// A field selector, such as `spec.nodeName=n1`.
        fields: Option<String>,
    },
    /// Every kind that discovery shows, asked again each 30 s as the garbage collector does.
    Everything,
}

impl Trigger {
    /// A trigger on all objects of a kind.
    pub fn on(kind: Kind, queues: fn(&Change, &Cache) -> Vec<Key>) -> Self {
        Self { watches: Watches::Kind { kind, fields: None }, queues }
    }

    /// A trigger on the objects of a kind that a field selector selects.
    pub fn on_fields(kind: Kind, fields: String, queues: fn(&Change, &Cache) -> Vec<Key>) -> Self {
        Self { watches: Watches::Kind { kind, fields: Some(fields) }, queues }
    }

    /// A trigger that queues nothing: the kind is watched to be known.
    pub fn known(kind: Kind) -> Self {
        Self::on(kind, |_, _| Vec::new())
    }

    /// A trigger that queues the changed object itself.
    pub fn itself(kind: Kind) -> Self {
        Self::on(kind, |change, _| vec![change.after.key()])
    }
}

/// What one look at a key comes to.
#[derive(Clone, Debug, Default)]
#[must_use = "writes are wishes until a process carries them out"]
pub struct Round {
    /// What is to be written, in this order; the first refusal ends the round, and the key is retried.
    pub writes: Vec<Write>,
    /// After which time to look again, whatever happens.
    pub again: Option<Duration>,
}

impl Round {
    /// Nothing to do.
    pub fn idle() -> Self {
        Self::default()
    }

    /// These writes.
    pub fn writes(writes: Vec<Write>) -> Self {
        Self { writes, again: None }
    }

    /// The same, and a look after this time, if it is not to be earlier anyway.
    pub fn look_again(mut self, after: Duration) -> Self {
        self.again = Some(self.again.map_or(after, |before| before.min(after)));
        self
    }

    /// The same, and a look at that time.
    pub fn look_at(self, now: Timestamp, at: Timestamp) -> Self {
        self.look_again(until(now, at))
    }
}

/// The time from now until then; zero if it is over.
pub(super) fn until(now: Timestamp, at: Timestamp) -> Duration {
    at.duration_since(now).try_into().unwrap_or(Duration::ZERO)
}

impl<M: Send + 'static> Controller<M> {
    /// The controller with its memory, ready for a process.
    pub fn with(self, memory: M) -> Box<dyn Runs> {
        Box::new(Remembering { controller: self, memory })
    }
}

/// A controller with its memory, whatever that is.
pub trait Runs: Send + 'static {
    /// Its name.
    fn name(&self) -> &'static str;
    /// What makes it look at something.
    fn triggers(&self) -> &[Trigger];
    /// How often it looks at everything.
    fn resync(&self) -> Option<Duration>;
    /// How long a refused key waits.
    fn backoff(&self) -> Backoff;
    /// Whether it waits for its own writes.
    fn awaits_own_writes(&self) -> bool;
    /// Looks at a key.
    fn reconcile(&mut self, key: &Key, cache: &Cache, now: Timestamp) -> Round;
}

struct Remembering<M> {
    controller: Controller<M>,
    memory: M,
}

impl<M: Send + 'static> Runs for Remembering<M> {
    fn name(&self) -> &'static str {
        self.controller.name
    }

    fn triggers(&self) -> &[Trigger] {
        &self.controller.triggers
    }

    fn resync(&self) -> Option<Duration> {
        self.controller.resync
    }

    fn backoff(&self) -> Backoff {
        self.controller.backoff
    }

    fn awaits_own_writes(&self) -> bool {
        self.controller.awaits_own_writes
    }

    fn reconcile(&mut self, key: &Key, cache: &Cache, now: Timestamp) -> Round {
        (self.controller.reconcile)(key, cache, &mut self.memory, now)
    }
}
