//! Plays a scene on a cluster and watches.

use std::time::Duration;

use futures::StreamExt;
use kube::core::WatchEvent;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::scene::{Act, Present, Scene, collection};
use super::story::{Seen, Story};

/// Everything that a story is told of.
const WATCHED: [(&str, &str); 10] = [
    ("Namespace", "/api/v1/namespaces?fieldSelector=metadata.name%3DNS"),
    ("Pod", "/api/v1/namespaces/NS/pods"),
    ("ConfigMap", "/api/v1/namespaces/NS/configmaps"),
    ("Event", "/api/v1/namespaces/NS/events"),
    ("DaemonSet", "/apis/apps/v1/namespaces/NS/daemonsets"),
    ("Deployment", "/apis/apps/v1/namespaces/NS/deployments"),
    ("ReplicaSet", "/apis/apps/v1/namespaces/NS/replicasets"),
    ("StatefulSet", "/apis/apps/v1/namespaces/NS/statefulsets"),
    ("ControllerRevision", "/apis/apps/v1/namespaces/NS/controllerrevisions"),
    ("Job", "/apis/batch/v1/namespaces/NS/jobs"),
];

/// How long nothing has been waited for when a scene begins, and how long it is watched after its end:
/// events are told late.
const SETTLED: Duration = Duration::from_secs(4);

/// No scene takes longer, whatever else the machine does.
const LONGEST: Duration = Duration::from_mins(4);

struct Witness<'a> {
    client: &'a kube::Client,
    namespace: &'a str,
    inbox: UnboundedReceiver<Seen>,
    present: Present,
    seen: Vec<Seen>,
    _watches: JoinSet<()>,
}

/// Plays a scene in a namespace that is there and has nothing in it.
pub(crate) async fn play(scene: &Scene, client: &kube::Client, namespace: &str) -> Story {
    let mut witness = Witness::open(client, namespace).await;
    for object in &scene.given {
        witness.create(object).await;
    }
    witness.until(scene.name, scene.up).await;
    witness.settle().await;
    let given = witness.seen.len();
    match &scene.act {
        Act::Create(object) => witness.create(object).await,
        Act::Patch(path, body) => witness.send("PATCH", path, body).await,
        Act::Delete(path, options) => witness.send("DELETE", path, options).await,
        Act::DeletePods(options) => {
            let pods = witness.present.values().filter(|object| object["kind"] == "Pod");
            let names: Vec<String> =
                pods.filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_owned())).collect();
            for name in names {
                // As long as it takes somebody's tool to ask for the next.
                sleep(Duration::from_millis(10)).await;
                witness.send("DELETE", &format!("/api/v1/namespaces/NS/pods/{name}"), options).await;
            }
        }
    }
    // What was done is in the store; it need not have been told yet.
    witness.hear().await;
    witness.until(scene.name, scene.done).await;
    witness.settle().await;
    Story::of(&witness.seen, given)
}

impl<'a> Witness<'a> {
    async fn open(client: &'a kube::Client, namespace: &'a str) -> Self {
        let (sender, inbox) = unbounded_channel();
        let mut watches = JoinSet::new();
        for (kind, path) in WATCHED {
            let path = path.replace("NS", namespace);
            let list: Value = client.request(request("GET", &path, &Value::Null)).await.expect("a list is answered");
            for mut object in list["items"].as_array().cloned().unwrap_or_default() {
                object["kind"] = kind.into();
                sender.send(Seen { gone: false, object }).expect("the inbox is held");
            }
            let mark = if path.contains('?') { '&' } else { '?' };
            let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            let path = format!("{path}{mark}watch=true&resourceVersion={version}");
            let events = client.request_events::<Value>(request("GET", &path, &Value::Null)).await;
            let mut events = Box::pin(events.expect("a watch is opened"));
            let sender = sender.clone();
            watches.spawn(async move {
                while let Some(event) = events.next().await {
                    let seen = match event {
                        Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => Seen { gone: false, object },
                        Ok(WatchEvent::Deleted(object)) => Seen { gone: true, object },
                        other => panic!("a watch of {kind} ended: {other:?}"),
                    };
                    if sender.send(seen).is_err() {
                        return;
                    }
                }
            });
        }
        Self { client, namespace, inbox, present: Present::new(), seen: Vec::new(), _watches: watches }
    }

    async fn send(&self, method: &str, path: &str, body: &Value) {
        let asked = request(method, &path.replace("NS", self.namespace), body);
        let answer: Result<Value, kube::Error> = self.client.request(asked).await;
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    }

    async fn create(&self, object: &Value) {
        self.send("POST", collection(object["kind"].as_str().unwrap_or_default()), object).await;
    }

    /// Takes in the next that a watch tells.
    async fn hear(&mut self) {
        let seen = self.inbox.recv().await.expect("a watch does not end");
        let metadata = &seen.object["metadata"];
        // The certificate's map comes and goes with every namespace, and not because of us.
        if metadata["name"] == "kube-root-ca.crt" {
            return;
        }
        if seen.object["kind"] != "Event" {
            let uid = metadata["uid"].as_str().unwrap_or_default().to_owned();
            if seen.gone {
                self.present.remove(&uid);
            } else {
                self.present.insert(uid, seen.object.clone());
            }
        }
        self.seen.push(seen);
    }

    async fn until(&mut self, scene: &str, holds: fn(&Present) -> bool) {
        let wait = async {
            while !holds(&self.present) {
                self.hear().await;
            }
        };
        let at_rest = timeout(LONGEST, wait).await.is_ok();
        assert!(at_rest, "{scene}: not at rest after {LONGEST:?}: {:#}", json!(self.present));
    }

    async fn settle(&mut self) {
        let _ = timeout(SETTLED, async {
            loop {
                self.hear().await;
            }
        })
        .await;
        sleep(Duration::from_millis(1)).await;
    }
}

fn request(method: &str, path: &str, body: &Value) -> http::Request<Vec<u8>> {
    let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = http::Request::builder().method(method).uri(path).header("Content-Type", kind);
    request.body(bytes).expect("a path and a body are a request")
}
