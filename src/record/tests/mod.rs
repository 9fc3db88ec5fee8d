//! Watches on the embedded API server, in virtual time: what goes on the tape.

mod feeds;
mod gaps;
mod live;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::Client;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{Fact, Recorder, Tape};
use crate::event::{Body, EventKind};
use crate::plan::{Query, Resource};
use crate::sim::{Api, Options};

/// A server, a recorder, and the tape between.
struct Bench {
    api: Api,
    recorder: Recorder,
    written: Arc<Mutex<Vec<EventKind>>>,
}

impl Bench {
    fn new() -> Self {
        let api = Api::new(Options::new());
        let client = api.client();
        Self::on(api, client)
    }

    /// With a client that may come between.
    fn on(api: Api, client: Client) -> Self {
        let written: Arc<Mutex<Vec<EventKind>>> = Arc::default();
        let tape = {
            let written = Arc::clone(&written);
            Tape::new(move |fact: Fact| written.lock().unwrap().push(fact.kind))
        };
        let recorder = Recorder::new(Some(client), Vec::new(), tape, api.clock());
        Self { api, recorder, written }
    }

    fn map(&self, name: &str, data: &Value) -> Value {
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "ns" }, "data": data });
        self.api.put(map).expect("the map is one")
    }

    fn change(&self, name: &str, key: &str, value: &str) {
        self.api.change("configmap", "ns", name, |map| map["data"][key] = value.into());
    }

    /// Tells what was written since it was last asked, one line for each fact.
    fn told(&self) -> String {
        let mut out = String::new();
        for kind in std::mem::take(&mut *self.written.lock().unwrap()) {
            writeln!(out, "{}", line(&kind)).unwrap();
        }
        out
    }
}

fn maps() -> Query {
    query("configmaps")
}

fn query(resource: &str) -> Query {
    let resource = Resource::parse(resource).unwrap();
    Query { resource, namespace: "ns".to_owned(), name: None, labels: None, fields: None }
}

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

/// Within a minute of virtual time, or the test has found a watch that hangs.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(1), future).await.expect("it comes within a minute")
}

fn secs(at: crate::clock::Elapsed) -> String {
    format!("{:.1}", at.duration().as_secs_f64())
}

fn line(kind: &EventKind) -> String {
    match kind {
        EventKind::WatchOpened { watch, watched } => format!("{} opened {}", watch.0, watched.resource),
        EventKind::ObjectSeen(seen) => {
            let how = serde_json::to_value(seen.how).unwrap();
            let body = match &seen.body {
                Body::Whole(value) => format!("= {}", value["data"]),
                Body::Patch(patch) => format!("~ {}", patch["data"]),
            };
            format!("{} {} {} v{} {body}", seen.watch.0, how.as_str().unwrap(), seen.name, seen.version)
        }
        EventKind::WatchListed { watch, version, objects, gone, served } => {
            let gone: Vec<&str> = gone.iter().map(|name| name.name.as_str()).collect();
            let served = if *served { "" } else { ", not served" };
            format!("{} listed v{version}: {objects}, gone {gone:?}{served}", watch.0)
        }
        EventKind::WatchGap { watch, from, to, reason, changed } => {
            format!("{} gap {}-{}s, changed {changed}: {reason}", watch.0, secs(*from), secs(*to))
        }
        EventKind::WatchLate { watch, from, to, reason } => {
            format!("{} late {}-{}s: {reason}", watch.0, secs(*from), secs(*to))
        }
        EventKind::WatchConfirmed { watch, version, differences } => {
            let differences: Vec<String> =
                differences.iter().map(|each| format!("; {}: {}", each.object.name, each.say)).collect();
            format!("{} confirmed v{version}{}", watch.0, differences.concat())
        }
        EventKind::WatchClosed { watch } => format!("{} closed", watch.0),
        other => format!("{other:?}"),
    }
}
