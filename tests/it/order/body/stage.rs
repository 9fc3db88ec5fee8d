//! A scenario carried out on a cluster, whichever it is.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{BoxStream, select_all};
use http_body_util::{BodyExt, BodyStream};
use kube::client::Body;
use serde_json::{Value, json};

use super::partial::Run;
use super::scenario::{Act, Scenario};
use super::seen::{Change, facts, told};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(4);

/// Carries a scenario out in a namespace that is empty, and tells what was seen.
pub(crate) async fn perform(scenario: &Scenario, client: &kube::Client, namespace: &str) -> Run {
    let stage = Stage { client, namespace };
    for (path, object) in &scenario.setup {
        stage.send("POST", &stage.below(path), "application/json", object).await;
    }
    stage.settle(scenario.settled).await;
    let mut present = Vec::new();
    let mut watches = Vec::new();
    for path in scenario.watched {
        let (objects, version) = stage.list(path).await;
        present.extend(objects);
        watches.push(stage.watch(path, &version).await);
    }
    stage.act(&scenario.act, &present).await;
    let mut changes = Vec::new();
    let mut stream = select_all(watches);
    let over = tokio::time::timeout(PATIENCE, async {
        while let Some(change) = stream.next().await {
            changes.push(change);
            if end(scenario, &told(&present, changes.clone())).is_some() {
                return;
            }
        }
    });
    let in_time = over.await.is_ok();
    // What came before the end by another watch is told within a moment.
    let late = async {
        while let Some(change) = stream.next().await {
            changes.push(change);
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), late).await;
    let run = told(&present, changes);
    let Some(end) = end(scenario, &run).filter(|_| in_time) else {
        panic!("{}: `{}` does not come: {run:#?}", scenario.name, scenario.ends_with);
    };
    run.into_iter().filter(|(place, _)| *place <= end).collect()
}

/// The place of the event that ends a scenario.
fn end(scenario: &Scenario, run: &Run) -> Option<u64> {
    let Some(wanted) = scenario.ends_with.strip_suffix(" new pods: ready") else {
        return run.iter().find(|(_, event)| event == scenario.ends_with).map(|(place, _)| *place);
    };
    let wanted: usize = wanted.parse().expect("a number of pods is a number");
    let mut ready = run.iter().filter(|(_, event)| event.starts_with("new pod") && event.ends_with(": ready"));
    ready.nth(wanted - 1).map(|(place, _)| *place)
}

struct Stage<'a> {
    client: &'a kube::Client,
    namespace: &'a str,
}

impl Stage<'_> {
    /// `apis/apps/v1/daemonsets/x` in the namespace.
    fn below(&self, path: &str) -> String {
        let version = if path.starts_with("api/") { 2 } else { 3 };
        let parts: Vec<&str> = path.split('/').collect();
        format!("/{}/namespaces/{}/{}", parts[..version].join("/"), self.namespace, parts[version..].join("/"))
    }

    async fn send(&self, method: &str, path: &str, kind: &str, body: &Value) -> Value {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = http::Request::builder().method(method).uri(path).header("Content-Type", kind);
        let request = request.body(Body::from(bytes)).expect("a path and a body are a request");
        let response = self.client.send(request).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let code = response.status();
        let bytes = response.into_body().collect().await.expect("an answer comes to its end").to_bytes();
        assert!(code.is_success(), "{method} {path}: {code}: {}", String::from_utf8_lossy(&bytes));
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    async fn list(&self, path: &str) -> (Vec<Value>, String) {
        let list = self.send("GET", &self.below(path), "application/json", &Value::Null).await;
        let kind = list["kind"].as_str().unwrap_or_default().trim_end_matches("List").to_owned();
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let mut items = list["items"].as_array().cloned().unwrap_or_default();
        // In a list objects do not say what they are.
        for item in &mut items {
            item["kind"] = json!(kind);
        }
        (items, version)
    }

    async fn settle(&self, ready: usize) {
        let mut waited = Duration::ZERO;
        loop {
            let (pods, _) = self.list("api/v1/pods").await;
            if pods.iter().filter(|pod| facts(pod).contains("ready")).count() == ready {
                break;
            }
            assert!(waited < PATIENCE, "{}: there are never {ready} ready pods: {pods:?}", self.namespace);
            let step = Duration::from_millis(200);
            tokio::time::sleep(step).await;
            waited += step;
        }
        // The last statuses are written a moment after the pods are ready.
        tokio::time::sleep(Duration::from_secs(3)).await;
    }

    async fn watch(&self, path: &str, version: &str) -> BoxStream<'static, Change> {
        let path = format!("{}?watch=1&timeoutSeconds=600&resourceVersion={version}", self.below(path));
        let request = http::Request::get(&path).body(Body::empty()).expect("a path is a request");
        let response = self.client.send(request).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(response.status(), 200, "{path}");
        let frames = BodyStream::new(response.into_body());
        let lines = frames.scan(Vec::new(), |left: &mut Vec<u8>, frame| {
            let data = frame.ok().and_then(|frame| frame.into_data().ok());
            let lines = data.map(|data| {
                left.extend(data);
                let end = left.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                let whole: Vec<u8> = left.drain(..end).collect();
                let lines = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                lines.map(|line| serde_json::from_slice::<Value>(line).expect("a line of a watch is JSON")).collect()
            });
            futures::future::ready(lines)
        });
        let lines = lines.flat_map(|lines: Vec<Value>| futures::stream::iter(lines));
        lines
            .map(|line| Change {
                kind: line["type"].as_str().unwrap_or_default().to_owned(),
                object: line["object"].clone(),
            })
            .boxed()
    }

    async fn act(&self, act: &Act, present: &[Value]) {
        match act {
            Act::Patch(path, body) => self.send("PATCH", &self.below(path), "application/merge-patch+json", body).await,
            Act::Create(path, body) => self.send("POST", &self.below(path), "application/json", body).await,
            Act::Delete(path, body) => self.send("DELETE", &self.below(path), "application/json", body).await,
            Act::ForcePods => {
                let pods = present.iter().filter(|object| object["kind"] == "Pod");
                let names: BTreeSet<&str> =
                    pods.map(|pod| pod["metadata"]["name"].as_str().unwrap_or_default()).collect();
                for name in names {
                    let path = self.below(&format!("api/v1/pods/{name}"));
                    self.send("DELETE", &path, "application/json", &json!({"gracePeriodSeconds": 0})).await;
                }
                Value::Null
            }
        };
    }
}
