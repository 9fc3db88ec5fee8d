use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::Error;
use super::desk::Ask;
use super::watch::Order;
use crate::event::{Armed, WatchId};
use crate::plan::Query;

/// Keeps a query's watch live for as long as it is held.
pub struct Hold {
    query: Query,
    desk: mpsc::UnboundedSender<Ask>,
    standing: watch::Receiver<Standing>,
    _leave: Leave,
}

/// A closing list was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Of which watch.
    pub watch: WatchId,
    /// The list's version: what comes later is outside the window that it closes.
    pub version: String,
}

/// How far a watch is for somebody who holds it.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// It is not live yet.
    Opening,
    /// All that came before this version is on the tape.
    Live(Armed),
    /// The server says no.
    Refused(Error),
}

/// Tells the watches, when it is dropped, that somebody has left.
pub(super) struct Leave(pub(super) broadcast::Sender<()>);

impl Drop for Leave {
    fn drop(&mut self) {
        // No watch may be left to hear it.
        let _ = self.0.send(());
    }
}

impl Hold {
    pub(super) fn new(
        query: Query,
        desk: mpsc::UnboundedSender<Ask>,
        standing: watch::Receiver<Standing>,
        leave: Leave,
    ) -> Self {
        Self { query, desk, standing, _leave: leave }
    }

    /// Waits until the watch is live and everything that stood in a list made after this was
    /// asked for is on the tape: what is seen from then on happened after it. Has no time
    /// limit of its own.
    pub async fn synced(&self) -> Result<Armed, Error> {
        let mut standing = self.standing.clone();
        let settled = standing.wait_for(|standing| !matches!(standing, Standing::Opening)).await;
        match settled.as_deref() {
            Ok(Standing::Live(armed)) => Ok(armed.clone()),
            Ok(Standing::Refused(error)) => Err(error.clone()),
            Ok(Standing::Opening) | Err(_) => Err(ended()),
        }
    }

    /// Makes the closing list. Returns as soon as that has answered; then the watch has ten
    /// seconds to show all of it before `WatchConfirmed` goes on the tape. Has no time limit
    /// of its own: dropped, the list is given up.
    pub fn confirm(&self) -> impl Future<Output = Result<Confirmed, Error>> + Send + use<> {
        let (tell, told) = oneshot::channel();
        let asked = self.desk.send(Ask { query: self.query.clone(), order: Order::Confirm(tell) });
        async move {
            match asked {
                Ok(()) => told.await.unwrap_or_else(|_| Err(ended())),
                Err(_) => Err(ended()),
            }
        }
    }
}

fn ended() -> Error {
    Error::Unreachable("the watch has ended".to_owned())
}
