use std::collections::BTreeMap;
use std::time::Duration;

use kube::Client;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::ledger::Ledger;
use super::tape::Tape;
use super::watch::{self, Opening, Order};
use crate::clock::Clock;
use crate::event::{WatchId, Watched};
use crate::plan::Query;

/// How often this process looks whether it has been standing still.
const BEAT: Duration = Duration::from_secs(1);

/// A beat that comes this much too late means that the process stood still.
const STILL: Duration = Duration::from_secs(2);

/// A request about the watch of a query.
pub(super) struct Ask {
    pub(super) query: Query,
    pub(super) order: Order,
}

/// What watches stand on.
pub(super) struct Desk {
    pub(super) client: Client,
    pub(super) tape: Tape,
    pub(super) clock: Clock,
    /// For watches to hand back what came too late for them.
    pub(super) asks: mpsc::WeakUnboundedSender<Ask>,
    /// Somebody has left.
    pub(super) left: broadcast::Receiver<()>,
}

/// Holds one watch for each query that somebody needs. Ends, with all of them, when the
/// last recorder is gone, or when the run is over and they have been confirmed.
pub(super) async fn run(
    desk: Desk,
    mut asks: mpsc::UnboundedReceiver<Ask>,
    mut over: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
) {
    let mut watches: BTreeMap<Query, mpsc::UnboundedSender<Order>> = BTreeMap::new();
    let mut running = JoinSet::new();
    let mut next = 0;
    let mut beat = Instant::now();
    loop {
        tokio::select! {
            biased;
            ask = asks.recv() => {
                let Some(Ask { query, order }) = ask else { return };
                let refused = match watches.get(&query) {
                    Some(watch) => watch.send(order).err().map(|refused| refused.0),
                    None => Some(order),
                };
                // There is no watch of this query, or it has just ended.
                if let Some(order) = refused.filter(Order::opens) {
                    let (orders, taken) = mpsc::unbounded_channel();
                    orders.send(order).expect("the receiver is held in the next line");
                    // Said here and not by the watch itself: watches are numbered in the order in which they are told.
                    let ledger = Ledger::open(WatchId(next), watched(&query), desk.tape.clone(), desk.clock);
                    running.spawn(watch::run(Opening {
                        client: desk.client.clone(),
                        query: query.clone(),
                        ledger,
                        orders: taken,
                        desk: desk.asks.clone(),
                        left: desk.left.resubscribe(),
                    }));
                    next += 1;
                    watches.retain(|_, watch| !watch.is_closed());
                    watches.insert(query, orders);
                }
            }
            Some(_) = running.join_next(), if !running.is_empty() => {}
            Some(done) = over.recv() => {
                asks.close();
                for watch in watches.values() {
                    let _ = watch.send(Order::Finish);
                }
                while running.join_next().await.is_some() {}
                let _ = done.send(());
                return;
            }
            () = sleep_until(beat + BEAT) => {
                let now = Instant::now();
                let still = now - beat;
                if still > BEAT + STILL {
                    for watch in watches.values() {
                        let _ = watch.send(Order::StoodStill(still));
                    }
                }
                beat = now;
            }
        }
    }
}

/// A query as the journal has it.
fn watched(query: &Query) -> Watched {
    Watched {
        resource: query.resource.to_string(),
        namespace: query.namespace.clone(),
        name: query.name.clone(),
        labels: query.labels.clone(),
        fields: query.fields.clone(),
    }
}
