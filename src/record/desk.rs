use std::collections::BTreeMap;

use kube::Client;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::watch::{self, Order};
use crate::plan::Query;

/// A request to follow a query.
pub(super) struct Ask {
    pub(super) query: Query,
    pub(super) order: Order,
}

/// Holds one watch for each query that somebody follows. Ends, with all of them,
/// when the last recorder is gone.
pub(super) async fn run(client: Client, mut asks: mpsc::UnboundedReceiver<Ask>, desk: mpsc::WeakUnboundedSender<Ask>) {
    let mut watches: BTreeMap<Query, mpsc::UnboundedSender<Order>> = BTreeMap::new();
    let mut running = JoinSet::new();
    while let Some(Ask { query, order }) = asks.recv().await {
        let refused = match watches.get(&query) {
            Some(watch) => watch.send(order).err().map(|refused| refused.0),
            None => Some(order),
        };
        // There is no watch of this query, or it has just ended.
        if let Some(order) = refused {
            let (orders, taken) = mpsc::unbounded_channel();
            orders.send(order).expect("the receiver is held in the next line");
            running.spawn(watch::run(client.clone(), query.clone(), taken, desk.clone()));
            watches.retain(|_, watch| !watch.is_closed());
            watches.insert(query, orders);
        }
        while running.try_join_next().is_some() {}
    }
}
