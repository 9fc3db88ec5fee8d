use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::StreamExt as _;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use kube::Client;
use kube::client::Body;
use serde_json::json;

use super::{Bench, line, maps, query, seconds, soon};
use crate::clock::Clock;
use crate::event::EventKind;
use crate::record::{Fact, Recorder, Tape};
use crate::sim::{Api, Ending, Options};

/// What becomes of a line of a watch on its way.
pub(super) enum Way {
    Passes,
    IsLost,
    IsGarbled,
    /// So many seconds after the one before it.
    ComesLater(u64),
}

/// A client whose watches go through somebody who looks at every line.
fn between(inner: Client, way: impl Fn(&str) -> Way + Clone + Send + Sync + 'static) -> Client {
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (inner, way) = (inner.clone(), way.clone());
        async move {
            let watches = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            let (parts, body) = inner.send(request).await?.into_parts();
            let lines = body.into_data_stream().filter_map(move |chunk| {
                let mut later = 0;
                let text = chunk.as_ref().map(|line| String::from_utf8_lossy(line).into_owned()).unwrap_or_default();
                let chunk = match (watches, way(&text)) {
                    (false, _) | (true, Way::Passes) => Some(chunk.map(Frame::data)),
                    (true, Way::IsLost) => None,
                    (true, Way::ComesLater(seconds)) => {
                        later = seconds;
                        Some(chunk.map(Frame::data))
                    }
                    (true, Way::IsGarbled) => Some(Ok(Frame::data(Bytes::from_static(b"{\"type\": nonsense\n")))),
                };
                async move {
                    if later > 0 {
                        seconds(later).await;
                    }
                    chunk
                }
            });
            Ok::<_, kube::Error>(http::Response::from_parts(parts, StreamBody::new(Box::pin(lines))))
        }
    });
    Client::new(service, "default")
}

pub(super) fn bench(way: impl Fn(&str) -> Way + Clone + Send + Sync + 'static) -> Bench {
    let api = Api::new(Options::new());
    // Without a connection each line is one chunk.
    let client = between(api.direct_client(), way);
    Bench::on(api, client)
}

#[tokio::test(start_paused = true)]
async fn a_closing_list_that_names_what_the_watch_never_showed_is_a_gap() {
    let bench = bench(|line| if line.contains("\"hidden\"") { Way::IsLost } else { Way::Passes });
    let hold = bench.recorder.hold(maps()).unwrap();
    soon(hold.synced()).await.unwrap();
    seconds(10).await;
    bench.map("seen", &json!({ "n": "1" }));
    bench.map("hidden", &json!({ "n": "1" }));
    seconds(10).await;
    let began = tokio::time::Instant::now();
    let edge = soon(hold.confirm()).await.unwrap();
    assert_eq!(edge.version, bench.api.revision().to_string());
    assert!(began.elapsed().is_zero(), "the edge does not wait for what is to be explained");
    seconds(9).await;
    bench.change("seen", "n", "2");
    assert!(!bench.told().contains("confirmed"), "ten seconds for explaining it");
    seconds(9).await;
    insta::assert_snapshot!(bench.told(), @r#"
    0 modified seen v9 ~ {"n":"2"}
    0 confirmed v8; hidden: it is there in version 8, and the watch has not shown it
    0 listed hidden v8 = {"n":"1"}
    0 listed v9: 2, gone []
    0 gap 0.0-30.0s, changed true: a list (version 8) is not what the watch has shown: `hidden`: it is there in version 8, and the watch has not shown it
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_closing_list_may_be_behind_the_watch_or_ahead_of_it() {
    let bench = bench(|_| Way::Passes);
    bench.map("a", &json!({ "n": "0" }));
    bench.map("b", &json!({ "n": "0" }));
    let hold = bench.recorder.hold(maps()).unwrap();
    soon(hold.synced()).await.unwrap();
    let confirm = tokio::spawn(hold.confirm());
    // While the list is on its way things go on.
    for n in 0..20 {
        tokio::task::yield_now().await;
        bench.change("a", "n", &n.to_string());
        if n == 10 {
            bench.api.remove("configmap", "ns", "b");
        }
    }
    soon(confirm).await.unwrap().unwrap();
    seconds(11).await;
    let told = bench.told();
    assert!(!told.contains("gap") && !told.contains(';'), "{told}");
    assert_eq!(told.matches("confirmed").count(), 1, "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_can_not_be_understood_is_a_gap() {
    let bench = bench(|line| if line.contains("\"n\":\"2\"") { Way::IsGarbled } else { Way::Passes });
    bench.map("a", &json!({ "n": "1" }));
    let hold = bench.recorder.hold(maps()).unwrap();
    soon(hold.synced()).await.unwrap();
    seconds(1).await;
    bench.change("a", "n", "2");
    bench.change("a", "n", "3");
    seconds(1).await;
    bench.change("a", "n", "4");
    seconds(1).await;
    insta::assert_snapshot!(bench.told(), @r#"
    0 opened configmaps
    0 listed a v7 = {"n":"1"}
    0 listed v7: 1, gone []
    0 listed a v9 ~ {"n":"3"}
    0 listed v9: 1, gone []
    0 gap 0.0-1.0s, changed true: an event of the watch can't be understood: expected ident at line 1 column 11
    0 modified a v10 ~ {"n":"4"}
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_goes_silent_without_closing_is_found_within_75_seconds() {
    let silent = Arc::new(AtomicBool::new(false));
    let bench = {
        let silent = Arc::clone(&silent);
        bench(move |_| if silent.load(Ordering::Relaxed) { Way::IsLost } else { Way::Passes })
    };
    bench.map("a", &json!({ "n": "1" }));
    let hold = bench.recorder.hold(maps()).unwrap();
    soon(hold.synced()).await.unwrap();
    // Bookmarks alone keep it from being called silent.
    seconds(300).await;
    assert!(!bench.told().contains("late"));
    silent.store(true, Ordering::Relaxed);
    bench.change("a", "n", "2");
    seconds(60).await;
    silent.store(false, Ordering::Relaxed);
    seconds(10).await;
    insta::assert_snapshot!(bench.told(), @r#"
    0 modified a v8 ~ {"n":"2"}
    0 late 290.0-365.0s: nothing came for 1m15s, not even a bookmark
    "#);
    // One that lets requests through and still shows nothing is found out by the list beside it.
    silent.store(true, Ordering::Relaxed);
    bench.change("a", "n", "3");
    seconds(90).await;
    silent.store(false, Ordering::Relaxed);
    insta::assert_snapshot!(bench.told(), @r#"
    0 listed a v9 ~ {"n":"3"}
    0 listed v9: 1, gone []
    0 gap 365.0-451.0s, changed true: nothing came for 1m15s, not even a bookmark; a list (version 9) is not what the watch has shown: `a`: it is there in version 9, and the watch has shown version 8 as its last
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stood_still_is_late() {
    let bench = Bench::new();
    bench.map("a", &json!({ "n": "1" }));
    let hold = bench.recorder.hold(maps()).unwrap();
    soon(hold.synced()).await.unwrap();
    seconds(10).await;
    // Time passes and nobody is let run, as under SIGSTOP.
    tokio::time::advance(std::time::Duration::from_secs(20)).await;
    bench.change("a", "n", "2");
    seconds(5).await;
    insta::assert_snapshot!(bench.told(), @r#"
    0 opened configmaps
    0 listed a v7 = {"n":"1"}
    0 listed v7: 1, gone []
    0 late 9.0-30.0s: this process stood still for 21.0s
    0 modified a v8 ~ {"n":"2"}
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stood_still_for_too_long_has_a_gap_only_if_the_version_is_forgotten() {
    let bench = Bench::new();
    bench.map("a", &json!({ "n": "1" }));
    let hold = bench.recorder.hold(maps()).unwrap();
    soon(hold.synced()).await.unwrap();
    seconds(10).await;
    // Meanwhile the server ends the watch, and its store forgets.
    bench.api.drop_watches("configmap", &Ending::Expired);
    bench.change("a", "n", "2");
    bench.change("a", "n", "3");
    bench.api.compact();
    tokio::time::advance(std::time::Duration::from_secs(20)).await;
    seconds(5).await;
    insta::assert_snapshot!(bench.told(), @r#"
    0 opened configmaps
    0 listed a v7 = {"n":"1"}
    0 listed v7: 1, gone []
    0 listed a v9 ~ {"n":"3"}
    0 listed v9: 1, gone []
    0 gap 0.0-30.0s, changed true: the API server had forgotten version 7 (410 Gone)
    "#);
}

#[tokio::test(start_paused = true)]
async fn the_wall_clock_of_neither_side_is_asked() {
    let api = Api::new(Options::new());
    let written: Arc<Mutex<Vec<EventKind>>> = Arc::default();
    let tape = {
        let written = Arc::clone(&written);
        Tape::new(move |fact: Fact| written.lock().unwrap().push(fact.kind))
    };
    // Years apart from the server's.
    let clock = Clock::starting_at("1999-12-31T23:59:59Z".parse().unwrap());
    let recorder = Recorder::new(Some(api.client()), Vec::new(), tape, clock);
    let bench = Bench { api, recorder, written: Arc::clone(&written) };
    bench.map("a", &json!({ "n": "0" }));
    let hold = bench.recorder.hold(maps()).unwrap();
    soon(hold.synced()).await.unwrap();
    let mut expected = vec![0];
    for n in 1..=5 {
        seconds(7).await;
        // What the server writes as its time jumps to and fro.
        let stamp = format!("20{:02}-01-01T00:00:00Z", 40 - 7 * n);
        bench.change("a", "stamp", &stamp);
        seconds(1).await;
        expected.push(8 * n - 1);
    }
    soon(hold.confirm()).await.unwrap();
    seconds(1).await;
    let kinds = std::mem::take(&mut *written.lock().unwrap());
    let arrived: Vec<u64> = kinds
        .iter()
        .filter_map(|kind| match kind {
            EventKind::ObjectSeen(seen) => Some(seen.arrived.duration().as_secs()),
            _ => None,
        })
        .collect();
    assert_eq!(arrived, expected, "seconds since the run's start, whatever the time of day");
    let apart = |kind: &EventKind| matches!(kind, EventKind::WatchGap { .. } | EventKind::WatchLate { .. });
    assert!(!kinds.iter().any(apart), "a clock is no reason to doubt what was seen");
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_served_is_empty_and_live() {
    let bench = Bench::new();
    let widgets = query("widgets.example.com");
    let hold = bench.recorder.hold(widgets.clone()).unwrap();
    let armed = soon(hold.synced()).await.unwrap();
    assert_eq!(armed.version, "0");
    // Somebody who comes later is served as well.
    let late = bench.recorder.hold(widgets.clone()).unwrap();
    soon(late.synced()).await.unwrap();
    let mut feed = bench.recorder.follow_query(widgets).unwrap();
    soon(feed.changed()).await.unwrap();
    soon(hold.confirm()).await.unwrap();
    seconds(10).await;
    bench.api.put(definition()).unwrap();
    seconds(10).await;
    let put =
        json!({ "apiVersion": "example.com/v1", "kind": "Widget", "metadata": { "name": "w", "namespace": "ns" } });
    bench.api.put(put).unwrap();
    seconds(10).await;
    soon(hold.confirm()).await.unwrap();
    insta::assert_snapshot!(bench.told(), @r#"
    0 opened widgets.example.com
    0 listed v0: 0, gone [], not served
    0 confirmed v0
    0 listed v7: 0, gone []
    0 added w v9 = null
    0 confirmed v9
    "#);
}

#[tokio::test(start_paused = true)]
async fn objects_in_the_first_list_of_a_new_kind_were_missed() {
    let bench = Bench::new();
    let hold = bench.recorder.hold(query("widgets.example.com")).unwrap();
    soon(hold.synced()).await.unwrap();
    seconds(10).await;
    bench.api.put(definition()).unwrap();
    let put =
        json!({ "apiVersion": "example.com/v1", "kind": "Widget", "metadata": { "name": "w", "namespace": "ns" } });
    bench.api.put(put).unwrap();
    seconds(10).await;
    insta::assert_snapshot!(bench.told(), @r#"
    0 opened widgets.example.com
    0 listed v0: 0, gone [], not served
    0 listed w v9 = null
    0 listed v9: 1, gone []
    0 gap 10.0-10.0s, changed true: `widgets.example.com` came to be served, and its first list was not empty
    "#);
}

fn definition() -> serde_json::Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "widgets.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": { "plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true } } }],
        },
        "status": { "acceptedNames": { "plural": "widgets", "kind": "Widget" }, "storedVersions": ["v1"],
            "conditions": [{ "type": "NamesAccepted", "status": "True" }, { "type": "Established", "status": "True" }] },
    })
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_can_not_keep_up_is_a_gap_and_never_more_memory() {
    let api = Api::new(Options::new());
    let queue: Arc<Mutex<Vec<Fact>>> = Arc::default();
    let tape = {
        let queue = Arc::clone(&queue);
        Tape::with_budget(20_000, move |fact| queue.lock().unwrap().push(fact))
    };
    let recorder = Recorder::new(Some(api.client()), Vec::new(), tape, api.clock());
    let written = Arc::new(Mutex::new(Vec::new()));
    let bench = Bench { api, recorder, written };
    bench.map("a", &json!({ "n": "0" }));
    bench.map("gone", &json!({ "n": "0" }));
    let hold = bench.recorder.hold(maps()).unwrap();
    soon(hold.synced()).await.unwrap();
    seconds(5).await;
    // Nobody writes: the queue fills up and grows no further.
    for n in 0..1000 {
        bench.change("a", "n", &n.to_string());
        tokio::task::yield_now().await;
    }
    bench.api.remove("configmap", "ns", "gone");
    bench.map("new", &json!({}));
    bench.map("short", &json!({}));
    bench.api.remove("configmap", "ns", "short");
    seconds(5).await;
    let held = queue.lock().unwrap().len();
    assert!((10..60).contains(&held), "{held} facts take 20 kB");
    let write = || {
        let facts = std::mem::take(&mut *queue.lock().unwrap());
        facts.into_iter().map(|fact| fact.kind).collect::<Vec<EventKind>>()
    };
    let before = write();
    assert!(before.iter().all(|kind| !matches!(kind, EventKind::WatchGap { .. })));
    seconds(5).await;
    bench.change("a", "n", "after");
    seconds(1).await;
    let told: Vec<String> = write().iter().map(line).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    0 listed a v1007 = {"n":"999"}
    0 listed new v1009 = {}
    0 listed v1011: 2, gone ["gone"]
    0 gap 5.0-10.0s, changed true: the journal could not keep up, and versions were left out
    0 modified a v1012 ~ {"n":"after"}
    "#);
}

#[tokio::test(start_paused = true)]
async fn data_of_secrets_is_nowhere_and_a_large_object_passes() {
    let bench = Bench::new();
    let secret = |word: &str| {
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s", "namespace": "ns" },
            "data": { "key": word }, "type": "Opaque" })
    };
    bench.api.put(secret("aHVudGVyMjI=")).unwrap();
    let hold = bench.recorder.hold(query("secrets")).unwrap();
    let large = bench.recorder.hold(maps()).unwrap();
    soon(hold.synced()).await.unwrap();
    soon(large.synced()).await.unwrap();
    bench.api.put(secret("aHVudGVyMjM=")).unwrap();
    bench.map("large", &json!({ "a": "x".repeat(1_500_000), "b": "0" }));
    bench.change("large", "b", "1");
    seconds(1).await;
    bench.api.remove("secret", "ns", "s");
    seconds(1).await;
    let kinds = std::mem::take(&mut *bench.written.lock().unwrap());
    let text = serde_json::to_string(&kinds).unwrap();
    assert!(!text.contains("aHVudGVy"), "a Secret's data was recorded");
    assert!(text.len() < 1_600_000, "the large object stands there once: {}", text.len());
    assert_eq!(text.matches("Opaque").count(), 1, "the second version of the Secret is a patch, its end too");
}
