//! `just bench-lab`: what a check sees, and how soon the next step acts, on a real API server.
//!
//! 1. A custom resource's status is flipped for 5 ms and back, a thousand times at random
//!    intervals, in one run beside `kubectl get -w` and polling.
//! 2. A status changes and a step that waits for it acts, two hundred times, beside a raw watch.
//!
//! Tables are printed, and what they hold goes to `reports/bench.json` as well.

#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "measures are read by people"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::core::ApiResource;
use lariat::clock::Clock;
use lariat::cluster::{Cluster as _, Live, LiveOptions};
use lariat::event::{EventKind, Outcome};
use lariat::journal;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::{interval, sleep};

const FLIPS: u32 = 1_000;
const ROUNDS: u32 = 200;
const SHORT: Duration = Duration::from_millis(5);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads can be started");
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("flip") => runtime.block_on(flip()),
        _ => runtime.block_on(measure()),
    }
}

async fn measure() {
    let live = connect().await;
    let client = live.client().expect("a real cluster has a client");
    define(&client).await;
    let only = std::env::args().nth(1);
    let flips = if only.as_deref() == Some("latency") { Value::Null } else { flips(client.clone()).await };
    let latency = latency(client.clone()).await;
    let definitions: Api<DynamicObject> = Api::all_with(client, &definitions());
    definitions.delete("flips.bench.lariat.dev", &DeleteParams::default()).await.expect("the definition is ours");
    let path = Path::new("reports/bench.json");
    let mut all: Map<String, Value> =
        std::fs::read(path).ok().and_then(|old| serde_json::from_slice(&old).ok()).unwrap_or_default();
    all.insert("flips".to_owned(), flips);
    all.insert("latency".to_owned(), latency);
    std::fs::create_dir_all("reports").expect("the folder can be made");
    std::fs::write(path, serde_json::to_string_pretty(&all).expect("it is JSON") + "\n").expect("it can be written");
    println!("written to {}", path.display());
}

fn kubeconfig() -> PathBuf {
    std::env::var_os("LARIAT_LAB_KUBECONFIG").expect("`just bench-lab` names the lab's kubeconfig").into()
}

async fn connect() -> Live {
    let options = LiveOptions {
        kubeconfig: Some(kubeconfig()),
        context: "lab".to_owned(),
        helm: "helm".into(),
        cache: std::env::temp_dir(),
        user_agent: "lariat/bench".to_owned(),
    };
    Live::connect(options).await.expect("the lab is up")
}

fn definitions() -> ApiResource {
    ApiResource {
        group: "apiextensions.k8s.io".into(),
        version: "v1".into(),
        api_version: "apiextensions.k8s.io/v1".into(),
        kind: "CustomResourceDefinition".into(),
        plural: "customresourcedefinitions".into(),
    }
}

fn kind() -> ApiResource {
    ApiResource {
        group: "bench.lariat.dev".into(),
        version: "v1".into(),
        api_version: "bench.lariat.dev/v1".into(),
        kind: "Flip".into(),
        plural: "flips".into(),
    }
}

fn api(client: &kube::Client) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), "default", &kind())
}

/// Makes the kind, and waits until it is served.
async fn define(client: &kube::Client) {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &definitions());
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "flips.bench.lariat.dev" },
        "spec": { "group": "bench.lariat.dev", "scope": "Namespaced",
            "names": { "plural": "flips", "singular": "flip", "kind": "Flip", "listKind": "FlipList" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } } }] },
    });
    let force = PatchParams::apply("lariat-bench").force();
    api.patch("flips.bench.lariat.dev", &force, &Patch::Apply(definition)).await.expect("a definition can be made");
    while self::api(client).list(&ListParams::default()).await.is_err() {
        sleep(Duration::from_millis(100)).await;
    }
}

/// Makes an object anew.
async fn make(client: &kube::Client, name: &str) {
    let api = api(client);
    // It may be left from an earlier run.
    let _ = api.delete(name, &DeleteParams::default()).await;
    api.create(&PostParams::default(), &DynamicObject::new(name, &kind())).await.expect("an object can be made");
}

async fn status(api: &Api<DynamicObject>, name: &str, status: Value) {
    let patch = Patch::Merge(json!({ "status": status }));
    api.patch_status(name, &PatchParams::default(), &patch).await.expect("a status can be written");
}

/// The binary beside this program.
fn binary() -> Command {
    let this = std::env::current_exe().expect("this program has a path");
    Command::new(this.parent().and_then(Path::parent).expect("examples are below the binary").join("lariat"))
}

/// `lariat run` of one of the plans, with its folder for runs.
async fn lariat(plan: &str, set: &[String]) -> (ExitStatus, tempfile::TempDir, String) {
    let reports = tempfile::tempdir().expect("a folder can be made");
    let mut command = binary();
    command.args(["run", plan, "--context", "lab", "--yes", "--progress", "plain", "--kubeconfig"]).arg(kubeconfig());
    command.arg("--reports").arg(reports.path()).stdin(Stdio::null());
    for set in set {
        command.args(["--set", set]);
    }
    let ran = command.output().await.expect("`just bench-lab` builds the binary");
    (ran.status, reports, String::from_utf8_lossy(&ran.stderr).into_owned())
}

// 1. ------------------------------------------------------------------------------------------

/// What the plan's step does: flips and flips back.
async fn flip() {
    let live = connect().await;
    let api = api(&live.client().expect("a real cluster has a client"));
    let mut chance = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..FLIPS {
        sleep(Duration::from_millis(chance.random_range(10..100))).await;
        status(&api, "flip", json!({ "state": "busy" })).await;
        sleep(SHORT).await;
        status(&api, "flip", json!({ "state": "ready" })).await;
    }
}

async fn flips(client: kube::Client) -> Value {
    make(&client, "flip").await;
    status(&api(&client), "flip", json!({ "state": "ready" })).await;
    let mut kubectl = Command::new("kubectl")
        .args(["--context=lab", "--namespace=default", "get", "flips.bench.lariat.dev", "flip", "--watch"])
        .args(["--output", "jsonpath={.status.state}{\"\\n\"}", "--kubeconfig"])
        .arg(kubeconfig())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("`just bench-lab` puts the lab's kubectl on PATH");
    let out = kubectl.stdout.take().expect("it is piped");
    let watching = tokio::spawn(async move {
        let (mut lines, mut busy) = (BufReader::new(out).lines(), 0_usize);
        while let Ok(Some(line)) = lines.next_line().await {
            busy += usize::from(line == "busy");
        }
        busy
    });
    let often = tokio::spawn(poll(client.clone(), Duration::from_millis(50)));
    let seldom = tokio::spawn(poll(client.clone(), Duration::from_secs(1)));
    let this = std::env::current_exe().expect("this program has a path");
    let (ended, reports, told) = lariat("tests/plans/flips.toml", &[format!("flipper={}", this.display())]).await;
    sleep(Duration::from_secs(2)).await;
    kubectl.kill().await.expect("it was started here");
    let watched = watching.await.expect("it was counted");
    often.abort();
    seldom.abort();
    let (often, seldom) = POLLED.lock().map(|polled| (polled[0], polled[1])).expect("nobody panics with it");
    let recording = journal::read(&reports.path().join("flips/latest/events.jsonl")).expect("the journal can be read");
    let judged = recording.events.iter().find_map(|event| match &event.kind {
        EventKind::CheckJudged { outcome, finding, .. } => Some((*outcome, finding.message.clone())),
        _ => None,
    });
    let Some((outcome, message)) = judged else { panic!("the check was not judged:\n{told}") };
    let lariat = if outcome == Outcome::Passed { FLIPS.to_string() } else { format!("not {FLIPS}: {message}") };
    println!("\n{FLIPS} flips of 5 ms at random intervals of 10 to 100 ms, seen by");
    println!("| | seen | asked |\n|---|---|---|");
    println!("| lariat's check (exit code {}: {message}) | {lariat} | |", ended.code().unwrap_or(-1));
    println!("| `kubectl get --watch` | {watched} | |");
    println!("| a GET every 50 ms | {} | {} times |", often.0, often.1);
    println!("| a GET every second | {} | {} times |", seldom.0, seldom.1);
    json!({ "flips": FLIPS, "lariat": lariat, "message": message, "kubectl_watch": watched,
        "polled_at_50_ms": often.0, "polled_at_1_s": seldom.0 })
}

/// How many busy versions each of two pollers saw, and how often it asked.
static POLLED: Mutex<[(usize, usize); 2]> = Mutex::new([(0, 0); 2]);

/// Asks again and again, as `kubectl get` would, without starting a process each time.
async fn poll(client: kube::Client, every: Duration) {
    let api = api(&client);
    let mut tick = interval(every);
    let place = usize::from(every >= Duration::from_secs(1));
    let mut busy: BTreeSet<String> = BTreeSet::new();
    for asked in 1.. {
        tick.tick().await;
        let found = api.get("flip").await.expect("it is there");
        if found.data["status"]["state"] == "busy" {
            busy.extend(found.metadata.resource_version);
        }
        POLLED.lock().expect("nobody panics with it")[place] = (busy.len(), asked);
    }
}

// 2. ------------------------------------------------------------------------------------------

/// When a raw watch showed each object with each number.
type Shown = Arc<Mutex<BTreeMap<(String, u64), Timestamp>>>;

async fn latency(client: kube::Client) -> Value {
    let clock = Clock::real();
    for name in ["cause", "effect"] {
        make(&client, name).await;
    }
    let shown: Shown = Arc::default();
    let watching = tokio::spawn(watch(client.clone(), clock, Arc::clone(&shown)));
    let running = tokio::spawn(async { lariat("tests/plans/latency.toml", &[]).await });
    let is_shown =
        |name: &str, n: u64| shown.lock().expect("nobody panics with it").get(&(name.to_owned(), n)).copied();
    let api = api(&client);
    let mut chance = ChaCha8Rng::seed_from_u64(2);
    let mut rounds: Vec<(Timestamp, Timestamp)> = Vec::new();
    sleep(Duration::from_secs(3)).await;
    for n in 1..=u64::from(ROUNDS) {
        sleep(Duration::from_millis(chance.random_range(100..200))).await;
        let sent = clock.now();
        status(&api, "cause", json!({ "n": n })).await;
        rounds.push((sent, clock.now()));
        while is_shown("effect", n).is_none() {
            assert!(!running.is_finished(), "the run ended in round {n}: {}", running.await.expect("it ran").2);
            sleep(Duration::from_millis(1)).await;
        }
    }
    let (ended, reports, told) = running.await.expect("it ran");
    watching.abort();
    assert!(ended.success(), "{told}");
    judge_again(reports.path()).await;
    let recording =
        journal::read(&reports.path().join("latency/latest/events.jsonl")).expect("the journal can be read");
    let mut zero = clock.start();
    let mut acted: BTreeMap<u64, Timestamp> = BTreeMap::new();
    for event in &recording.events {
        match &event.kind {
            EventKind::RunStarted(start) => zero = start.started,
            EventKind::StepStarted { step } => {
                let id = step.as_str();
                if let Some(round) = id.strip_prefix("rounds[").and_then(|id| id.strip_suffix("]/act")) {
                    let span = SignedDuration::from_micros(i64::try_from(event.at.0).expect("a run is short"));
                    acted.insert(round.parse().expect("rounds are numbered"), zero + span);
                }
            }
            _ => {}
        }
    }
    let ms = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs_f64() * 1000.0;
    let mut rows: Vec<(&str, Vec<f64>)> = [
        "the change's own request was answered",
        "a raw watch showed the change",
        "the dependent step started",
        "the effect of its request was shown by the raw watch",
        "the same, from the step's start",
    ]
    .map(|name| (name, Vec::new()))
    .into();
    for (n, (sent, answered)) in (1..).zip(&rounds) {
        let effect = is_shown("effect", n).expect("it was waited for");
        let started = acted[&n];
        let shown = is_shown("cause", n).expect("the effect came after it");
        for (row, span) in rows.iter_mut().zip([
            ms(*sent, *answered),
            ms(*sent, shown),
            ms(*sent, started),
            ms(*sent, effect),
            ms(started, effect),
        ]) {
            row.1.push(span);
        }
    }
    println!(
        "\n{ROUNDS} changes of a status, and the step that waits for it; milliseconds from before the change was sent until"
    );
    println!("| | p50 | p90 | p99 | most |\n|---|---|---|---|---|");
    let mut report = Map::new();
    for (name, mut spans) in rows {
        spans.sort_by(f64::total_cmp);
        let at = |part: f64| spans[((spans.len() - 1) as f64 * part).round() as usize];
        println!("| {name} | {:.1} | {:.1} | {:.1} | {:.1} |", at(0.5), at(0.9), at(0.99), at(1.0));
        report.insert(name.to_owned(), json!({ "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "most": at(1.0) }));
    }
    Value::Object(report)
}

/// What the journal says when it is asked something that was not in the plan.
async fn judge_again(reports: &Path) {
    let mut judge = binary();
    judge.args(["judge", "latency", "tests/plans/latency-again.toml", "--color", "never", "--reports"]).arg(reports);
    let judged = judge.output().await.expect("`just bench-lab` builds the binary");
    let code = judged.status.code().unwrap_or(-1);
    println!("\nlariat judge latency tests/plans/latency-again.toml: exit code {code}");
    print!("{}", String::from_utf8_lossy(&judged.stderr));
}

/// A watch as anybody would write one.
async fn watch(client: kube::Client, clock: Clock, shown: Shown) {
    let api = api(&client);
    let listed = api.list(&ListParams::default()).await.expect("it can be listed");
    let version = listed.metadata.resource_version.expect("a list has a version");
    let stream = api.watch(&WatchParams::default().timeout(290), &version).await.expect("it can be watched");
    let mut stream = std::pin::pin!(stream);
    while let Some(event) = stream.try_next().await.expect("the watch goes on") {
        let now = clock.now();
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                if let (Some(name), Some(n)) = (object.metadata.name, object.data["status"]["n"].as_u64()) {
                    shown.lock().expect("nobody panics with it").entry((name, n)).or_insert(now);
                }
            }
            WatchEvent::Error(error) => panic!("the watch ended: {error}"),
            WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => {}
        }
    }
}
