//! `just bench`: what the embedded API server carries, measured on this machine.
//!
//! Requests go through the in-process door, one after another, on one thread, as a run's do.
//! Then watches are held open over many objects while objects change, and everything that
//! every watch is told is read. What it prints it writes to `reports/bench.json` as well.

#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(clippy::cast_precision_loss, reason = "measures are read by people")]

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use http::Request;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use lariat::sim::{Api, Options};
use serde_json::{Map, Value, json};
use tokio::task::{JoinSet, LocalSet};

/// How many objects the single requests are about.
const PODS: usize = 2_000;
/// How many changes every watch is told.
const CHANGES: usize = 200;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread can be used");
    let mut report = Map::new();
    report.insert("requests_per_second".to_owned(), runtime.block_on(requests()));
    let mut held = Vec::new();
    for (objects, watches) in [(1_000, 10), (1_000, 100), (1_000, 1_000), (10_000, 100), (10_000, 1_000)] {
        held.push(LocalSet::new().block_on(&runtime, hold(objects, watches)));
    }
    report.insert("objects_and_watches".to_owned(), held.into());
    println!("{}", serde_json::to_string_pretty(&report).expect("it is JSON"));
    let path = Path::new("reports/bench.json");
    let mut all: Map<String, Value> =
        std::fs::read(path).ok().and_then(|old| serde_json::from_slice(&old).ok()).unwrap_or_default();
    all.insert("embedded_server".to_owned(), report.into());
    std::fs::create_dir_all("reports").expect("the folder can be made");
    std::fs::write(path, serde_json::to_string_pretty(&all).expect("it is JSON") + "\n").expect("it can be written");
    println!("written to {}", path.display());
}

/// A pod as large as those of charts.
fn pod(number: usize) -> Value {
    let variables: Vec<Value> = (0..10)
        .map(|n| json!({"name": format!("SETTING_{n}"), "value": format!("a value of some length {n}")}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("web-{number:05}"), "namespace": "default",
            "labels": {"app": "web", "shard": format!("{}", number % 10)},
            "annotations": {"example.com/checksum": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
        },
        "spec": {
            "nodeName": "n1",
            "containers": [{
                "name": "main", "image": "example.com/team/web:1.2.3", "env": variables,
                "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [{"name": "data", "emptyDir": {}}],
        },
    })
}

const POD_LIST: &str = "/api/v1/namespaces/default/pods";

async fn ask(client: &Client, method: &str, path: &str, kind: &str, body: &Value) -> usize {
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = Request::builder().method(method).uri(path).header("Content-Type", kind).body(Body::from(bytes));
    let response = client.send(request.expect("it is a request")).await.expect("the server answers");
    let code = response.status();
    let answer = response.into_body().collect().await.expect("the answer comes to its end").to_bytes();
    assert!(code.is_success(), "{method} {path}: {}", String::from_utf8_lossy(&answer));
    answer.len()
}

/// Requests of each kind in a second.
async fn requests() -> Value {
    let api = Api::new(Options::new());
    let client = api.client();
    let mut rates = Map::new();
    let name = |n: usize| format!("{POD_LIST}/web-{n:05}");
    let mut note = |what: &str, count: usize, began: Instant| {
        rates.insert(what.to_owned(), (count as f64 / began.elapsed().as_secs_f64()).round().into());
    };

    let began = Instant::now();
    for n in 0..PODS {
        ask(&client, "POST", POD_LIST, "application/json", &pod(n)).await;
    }
    note("create a pod", PODS, began);
    let began = Instant::now();
    for n in 0..PODS {
        ask(&client, "GET", &name(n), "", &Value::Null).await;
    }
    note("get a pod", PODS, began);
    let began = Instant::now();
    for n in 0..PODS {
        let patch = json!({"metadata": {"labels": {"round": n.to_string()}}});
        ask(&client, "PATCH", &name(n), "application/merge-patch+json", &patch).await;
    }
    note("merge patch of a pod", PODS, began);
    let began = Instant::now();
    for n in 0..PODS {
        let status = json!({"status": {
            "phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": null}],
        }});
        ask(&client, "PATCH", &format!("{}/status", name(n)), "application/strategic-merge-patch+json", &status).await;
    }
    note("strategic patch of a pod's status", PODS, began);
    let began = Instant::now();
    for n in 0..PODS {
        let path = format!("{}?fieldManager=bench", name(n));
        let config = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("web-{n:05}"), "annotations": {"example.com/applied": "yes"}},
        });
        ask(&client, "PATCH", &path, "application/apply-patch+yaml", &config).await;
    }
    note("apply to a pod", PODS, began);
    let began = Instant::now();
    for _ in 0..20 {
        ask(&client, "GET", POD_LIST, "", &Value::Null).await;
    }
    note(&format!("list of {PODS} pods"), 20, began);
    let began = Instant::now();
    for n in 0..PODS {
        ask(&client, "DELETE", &name(n), "application/json", &json!({"gracePeriodSeconds": 0})).await;
    }
    note("delete a pod", PODS, began);
    rates.into()
}

/// Holds watches over objects while some of them change.
async fn hold(objects: usize, watches: usize) -> Value {
    let before = resident();
    let api = Api::new(Options::new());
    let client = api.client();
    for n in 0..objects {
        ask(&client, "POST", POD_LIST, "application/json", &pod(n)).await;
    }
    let with_objects = resident();
    let list = Request::get(format!("{POD_LIST}?limit=1")).body(Body::empty()).expect("it is a request");
    let list = client.send(list).await.expect("the server answers").into_body().collect().await;
    let list: Value = serde_json::from_slice(&list.expect("it comes to its end").to_bytes()).expect("it is JSON");
    let version = list["metadata"]["resourceVersion"].as_str().expect("a list has a version").to_owned();
    let told = Rc::new(Cell::new(0_usize));
    let mut readers = JoinSet::new();
    for _ in 0..watches {
        let path = format!("{POD_LIST}?watch=1&timeoutSeconds=3600&resourceVersion={version}");
        let request = Request::get(path).body(Body::empty()).expect("it is a request");
        let mut body = client.send(request).await.expect("the server answers").into_body();
        let told = told.clone();
        readers.spawn_local(async move {
            while let Some(Ok(frame)) = body.frame().await {
                let lines = frame.data_ref().map_or(0, |data| data.split(|byte| *byte == b'\n').count() - 1);
                told.set(told.get() + lines);
            }
        });
    }
    let began = Instant::now();
    for n in 0..CHANGES {
        let patch = json!({"metadata": {"labels": {"round": n.to_string()}}});
        let path = format!("{POD_LIST}/web-{:05}", n % objects);
        ask(&client, "PATCH", &path, "application/merge-patch+json", &patch).await;
    }
    while told.get() < CHANGES * watches {
        tokio::task::yield_now().await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let held = resident();
    readers.shutdown().await;
    json!({
        "objects": objects, "watches": watches, "changes": CHANGES, "told": told.get(), "seconds": seconds,
        "told_per_second": (told.get() as f64 / seconds).round(),
        "resident_mb_of_objects": with_objects.saturating_sub(before) as f64 / 1024.0,
        "resident_mb_peak": held as f64 / 1024.0,
    })
}

/// Kilobytes of memory in use, as Linux tells them; 0 elsewhere.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
