use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use kube::Client;
use kube::core::WatchEvent;
use lariat::clock::Clock;
use lariat::sim::World;
use serde_json::Value;
use tokio::task::JoinSet;

use super::scenario::NAMESPACE;
use super::tape::{Change, Line, Mark, Tape, WATCHED};

/// Watches an embedded cluster as the recordings' watches did.
pub(crate) struct Witness {
    tape: Arc<Mutex<Tape>>,
    clock: Clock,
    began: Duration,
    _watches: JoinSet<()>,
}

/// How long a watch waits for a kind that is not there yet.
const AGAIN: Duration = Duration::from_millis(50);

impl Witness {
    /// Watches from now on.
    pub(crate) async fn new(world: &World) -> Self {
        let tape: Arc<Mutex<Tape>> = Arc::default();
        let began = world.clock().elapsed().duration();
        let mut watches = JoinSet::new();
        for (watch, api) in WATCHED {
            let resource = if *watch == "lhnodes" { "nodes" } else { watch };
            let path = format!("{api}/namespaces/{NAMESPACE}/{resource}");
            let (client, clock, tape) = (world.api().direct_client(), world.clock(), tape.clone());
            watches.spawn(async move {
                follow(&client, &path, |change, object| {
                    let at = clock.elapsed().duration().saturating_sub(began).as_secs_f64();
                    let mut tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
                    tape.lines.push(Line { at, watch, change, object });
                })
                .await;
            });
        }
        world.pass(AGAIN).await;
        Self { tape, clock: world.clock(), began, _watches: watches }
    }

    /// Marks that something is done now.
    pub(crate) fn mark(&self, what: &str) {
        let at = self.clock.elapsed().duration().saturating_sub(self.began).as_secs_f64();
        let mut tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        tape.marks.push(Mark { at, what: what.to_owned() });
    }

    /// What was seen.
    pub(crate) fn end(self) -> Tape {
        let mut tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *tape).in_order()
    }
}

fn get(path: &str) -> http::Request<Vec<u8>> {
    http::Request::get(path).body(Vec::new()).expect("a path of names is a URI")
}

/// Lists and watches, and begins anew when a watch ends.
async fn follow(client: &Client, path: &str, mut tell: impl FnMut(Change, Value)) {
    // What is there when the watching begins was there before; what comes with a kind's definition is new.
    let mut change = Change::Listed;
    loop {
        let Ok(mut list) = client.request::<Value>(get(path)).await else {
            change = Change::Set;
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let revision = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        for object in list["items"].as_array_mut().into_iter().flat_map(|items| items.drain(..)) {
            tell(change, object);
        }
        change = Change::Listed;
        let watch = format!("{path}?watch=true&resourceVersion={revision}");
        let Ok(events) = client.request_events::<Value>(get(&watch)).await else { continue };
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => tell(Change::Set, object),
                Ok(WatchEvent::Deleted(object)) => tell(Change::Gone, object),
                Ok(WatchEvent::Bookmark(_)) => {}
                Ok(WatchEvent::Error(_)) | Err(_) => break,
            }
        }
    }
}
