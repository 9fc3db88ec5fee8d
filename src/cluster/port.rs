use std::path::PathBuf;

use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::{Fetch, Helm};
use crate::clock::Clock;
use crate::event::ClusterIdentity;

/// What steps may touch. A step can't tell a real cluster from the embedded one.
pub trait Cluster: Send + Sync {
    /// A client of the API server. Cheap to clone.
    ///
    /// A plan without objects and cluster verbs runs without a cluster: there this is an error.
    fn client(&self) -> Result<kube::Client, NoCluster>;

    /// Helm against this cluster.
    fn helm(&self) -> &dyn Helm;

    /// Downloads.
    fn fetch(&self) -> &dyn Fetch;

    /// The time, virtual or real.
    fn clock(&self) -> Clock;

    /// Which cluster it is; `None` without one.
    fn identity(&self) -> Option<ClusterIdentity>;

    /// Whether local child processes may be run: not while time is virtual.
    fn processes(&self) -> bool {
        true
    }

    /// What an imitation found wrong with itself: whatever was tested on it proves nothing.
    fn mistake(&self) -> Option<String> {
        None
    }

    /// What injected faults do, as they do it. Whoever asks first hears it.
    fn strikes(&self) -> Option<mpsc::UnboundedReceiver<Strike>> {
        None
    }
}

/// An injected fault has struck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strike {
    /// Which, as it was written.
    pub fault: String,
    /// Whom or what, in a few words.
    pub what: String,
}

/// The plan needs a cluster and none was named.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no cluster was named; choose one with `--context NAME`")]
pub struct NoCluster;

/// Progress of something that is counted in bytes: done so far, and the total if known.
pub type Progressed<'a> = &'a (dyn Fn(u64, Option<u64>) + Send + Sync);

/// A file that was fetched and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Where it is.
    pub path: PathBuf,
    /// Its digest, lower-case hexadecimal.
    pub sha512: String,
    /// Its digest, lower-case hexadecimal, if this one was wanted: counting it takes time.
    pub sha256: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// Which of the given addresses it came from; `None` if the cache had it.
    pub from: Option<String>,
    /// How often a broken transfer was resumed.
    pub resumed: u32,
}

/// Shorthand for what the port's methods give.
pub type Answer<'a, T, E> = BoxFuture<'a, Result<T, E>>;
