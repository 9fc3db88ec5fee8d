//! `just bench`: what recording costs, measured on this machine.
//!
//! A server in a process of its own streams pod-sized objects at a steady rate over
//! loopback; this process records them into a journal as a run does. What it prints it
//! writes to `reports/bench.json` as well.

#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "measures are read by people"
)]

use std::convert::Infallible;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::{Client, Config};
use lariat::clock::{Clock, Elapsed};
use lariat::cluster::{Cluster, ClusterIdentity, Fetch, Helm, Local, NoCluster};
use lariat::engine::{self, Vigil};
use lariat::event::{Event, EventKind, FORMAT, Mask, NotWritten, RunStart, Sink};
use lariat::id::RunId;
use lariat::journal::Writer;
use lariat::plan::{Query, Resource};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{interval, sleep};

/// Objects, changes in a second, and for how long.
const OBJECTS: usize = 10_000;
const RATE: usize = 2_000;
const SECONDS: u64 = 20;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads can be started");
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("serve") => runtime.block_on(serve(arguments.next().expect("a rate").parse().expect("a number"))),
        _ => runtime.block_on(measure()),
    }
}

async fn measure() {
    let steady = record(RATE).await;
    let flood = record(usize::MAX).await;
    let report = json!({ "objects": OBJECTS, "steady": steady, "flood": flood });
    let path = Path::new("reports/bench.json");
    let mut all: Map<String, Value> =
        std::fs::read(path).ok().and_then(|old| serde_json::from_slice(&old).ok()).unwrap_or_default();
    all.insert("recorder".to_owned(), report);
    std::fs::create_dir_all("reports").expect("the folder can be made");
    std::fs::write(path, serde_json::to_string_pretty(&all).expect("it is JSON") + "\n").expect("it can be written");
    println!("written to {}", path.display());
}

/// Records what a server of its own streams at this rate.
async fn record(rate: usize) -> Value {
    let this = std::env::current_exe().expect("this program has a path");
    let server = Command::new(this).args(["serve", &rate.to_string()]).stdout(Stdio::piped()).spawn();
    let mut server = server.expect("the server starts");
    let out = tokio::process::ChildStdout::from_std(server.stdout.take().expect("it is piped")).expect("it is a pipe");
    let mut lines = BufReader::new(out).lines();
    let address = lines.next_line().await.expect("the server speaks").expect("it says where it listens");
    let config = Config::new(format!("http://{address}").parse().expect("it is a URI"));
    let client = Client::try_from(config).expect("a client can be made");

    let folder = tempfile::tempdir().expect("a folder can be made");
    let writer = Writer::create(folder.path()).expect("a journal");
    let mut sink = Counted { writer, seen: 0, gaps: 0, lag: Vec::new(), steady: None, last: Elapsed(0), used: 0.0 };
    let clock = Clock::real();
    let (stop, signals) = mpsc::unbounded_channel();
    let (_marks, marks) = mpsc::unbounded_channel();
    let vigil = Vigil {
        start: start(clock),
        cluster: Arc::new(Server { client, local: Local::new(&std::env::temp_dir(), "lariat/bench") }),
        queries: vec![Query {
            resource: Resource::core("pods"),
            namespace: "bench".into(),
            name: None,
            labels: None,
            fields: None,
        }],
        mask: Mask::new(["a-secret-word".to_owned()]),
        marks,
        signals,
    };
    let peak = tokio::spawn(async move {
        let mut peak = 0;
        // The first list takes a second or two; what is measured comes after it.
        for _ in 0..(SECONDS + 2) * 4 {
            sleep(Duration::from_millis(250)).await;
            peak = peak.max(resident());
        }
        let _ = stop.send(lariat::event::CancelReason::Interrupt);
        peak
    });
    engine::watch(vigil, &mut sink).await;
    let peak = peak.await.expect("it was measured");
    server.kill().expect("the server was started here");
    server.wait().expect("it was killed");
    let bytes = std::fs::metadata(folder.path().join(Writer::FILE)).expect("the journal is there").len();
    let (from, used) = sink.steady.expect("there were changes");
    let took = sink.last.since(from).duration().as_secs_f64();
    let processor = sink.used - used;
    let changes = sink.seen - OBJECTS;
    sink.lag.sort_unstable();
    let lag =
        |part: f64| sink.lag.get((sink.lag.len() as f64 * part) as usize).copied().unwrap_or_default() as f64 / 1000.0;
    let report = json!({
        "asked_per_second": if rate == usize::MAX { Value::from("as fast as it goes") } else { rate.into() },
        "steady_seconds": took,
        "versions": sink.seen,
        "changes_per_second_into_the_journal": changes as f64 / took,
        "gaps": sink.gaps,
        "resident_mb_peak": peak as f64 / 1024.0,
        "processor_seconds": processor,
        "processor_share_of_one_core": processor / took,
        "journal_bytes": bytes,
        "journal_bytes_per_version": bytes as f64 / sink.seen as f64,
        "arrived_to_written_ms_p50": lag(0.50),
        "arrived_to_written_ms_p99": lag(0.99),
    });
    println!("{}", serde_json::to_string_pretty(&report).expect("it is JSON"));
    report
}

struct Counted {
    writer: Writer,
    seen: usize,
    gaps: usize,
    /// From a version's arrival to its line in the journal, in microseconds.
    lag: Vec<u64>,
    /// When the first change came, and the processor time until then.
    steady: Option<(Elapsed, f64)>,
    /// The same of about the last.
    last: Elapsed,
    used: f64,
}

impl Sink for Counted {
    fn put(&mut self, event: &Event) -> Result<(), NotWritten> {
        self.writer.put(event)?;
        match &event.kind {
            EventKind::ObjectSeen(seen) => {
                self.seen += 1;
                if self.seen == OBJECTS + 1 {
                    self.steady = Some((event.at, usage()));
                }
                if self.seen > OBJECTS && self.seen.is_multiple_of(100) {
                    (self.last, self.used) = (event.at, usage());
                }
                if self.seen > OBJECTS && self.lag.len() < 1_000_000 {
                    self.lag.push(event.at.0 - seen.arrived.0);
                }
            }
            EventKind::WatchGap { .. } => self.gaps += 1,
            _ => {}
        }
        Ok(())
    }
}

fn start(clock: Clock) -> RunStart {
    RunStart {
        format: FORMAT,
        lariat: env!("CARGO_PKG_VERSION").to_owned(),
        run: RunId::new("bench-1").expect("it is an id"),
        started: clock.start(),
        plan: "bench".to_owned(),
        title: String::new(),
        about: String::new(),
        covers: Vec::new(),
        files: Vec::new(),
        vars: Map::new(),
        secrets: Vec::new(),
        set: Vec::new(),
        flags: Vec::new(),
        namespace: "bench".to_owned(),
        seed: 1,
        jobs: 1,
        faults: Vec::new(),
        cluster: None,
        steps: Vec::new(),
        checks: Vec::new(),
        repro: String::new(),
    }
}

/// Processor time of this process in seconds.
fn usage() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

/// Resident memory of this process in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The server: as much of an API server as a list and a watch of pods need.
async fn serve(rate: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    println!("{}", listener.local_addr().expect("it listens"));
    let pods: Arc<Vec<Value>> = Arc::new((0..OBJECTS).map(pod).collect());
    loop {
        let (socket, _) = listener.accept().await.expect("it listens");
        let pods = Arc::clone(&pods);
        let answer = service_fn(move |request: Request<Incoming>| {
            let pods = Arc::clone(&pods);
            async move { Ok::<_, Infallible>(answer(&request, &pods, rate)) }
        });
        tokio::spawn(async move {
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}

type Body = StreamBody<stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

fn answer(request: &Request<Incoming>, pods: &Arc<Vec<Value>>, rate: usize) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    let whole = |value: Value| {
        let frame = Ok(Frame::data(Bytes::from(value.to_string())));
        Response::new(StreamBody::new(Box::pin(stream::iter([frame])) as stream::BoxStream<'static, _>))
    };
    if query.contains("watch=true") {
        return Response::new(StreamBody::new(Box::pin(changes(Arc::clone(pods), rate))));
    }
    if request.uri().path() == "/api/v1" {
        return whole(json!({ "kind": "APIResourceList", "resources": [
            { "name": "pods", "kind": "Pod", "namespaced": true, "verbs": ["list", "watch"] }] }));
    }
    let from: usize = query.split("continue=").nth(1).and_then(|token| token.parse().ok()).unwrap_or(0);
    let to = (from + 500).min(pods.len());
    let next = if to < pods.len() { to.to_string() } else { String::new() };
    whole(
        json!({ "kind": "PodList", "apiVersion": "v1", "metadata": { "resourceVersion": "1000000", "continue": next },
        "items": &pods[from..to] }),
    )
}

/// One pod after another changes its status.
fn changes(pods: Arc<Vec<Value>>, rate: usize) -> impl futures::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send {
    /// How many changes go out together: a watch's lines come in bursts.
    const BURST: usize = 20;
    let tick = interval(Duration::from_secs_f64(BURST as f64 / rate.min(10_000_000) as f64));
    stream::unfold((tick, 0_usize, pods), |(mut tick, mut n, pods)| async move {
        tick.tick().await;
        let mut lines = Vec::with_capacity(BURST * 5000);
        for _ in 0..BURST {
            let mut pod = pods[n % pods.len()].clone();
            pod["kind"] = "Pod".into();
            pod["apiVersion"] = "v1".into();
            pod["metadata"]["resourceVersion"] = (1_000_001 + n).to_string().into();
            pod["status"]["phase"] = if (n / pods.len()).is_multiple_of(2) { "Pending" } else { "Running" }.into();
            pod["status"]["conditions"][0]["lastTransitionTime"] = format!("2026-01-01T00:00:{:02}Z", n % 60).into();
            lines.extend_from_slice(json!({ "type": "MODIFIED", "object": pod }).to_string().as_bytes());
            lines.push(b'\n');
            n += 1;
        }
        Some((Ok(Frame::data(Bytes::from(lines))), (tick, n, pods)))
    })
}

/// A pod as a deployment's are: about four and a half kilobytes, a third of it managed fields.
fn pod(n: usize) -> Value {
    let name = format!("web-7d4b9c6f5d-{n:05}");
    let env: Vec<Value> = (0..12)
        .map(|n| json!({ "name": format!("SETTING_{n}"), "value": format!("value number {n} of this") }))
        .collect();
    let condition = |kind: &str| json!({ "type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": "2026-01-01T00:00:00Z" });
    let container = |name: &str| {
        json!({ "name": name, "image": "registry.example.com/team/web:1.2.3", "imagePullPolicy": "IfNotPresent", "env": env,
            "resources": { "limits": { "cpu": "500m", "memory": "256Mi" }, "requests": { "cpu": "100m", "memory": "128Mi" } },
            "ports": [{ "containerPort": 8080, "name": "http", "protocol": "TCP" }],
            "volumeMounts": [{ "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "kube-api-access-x2k5z", "readOnly": true }],
            "livenessProbe": { "httpGet": { "path": "/healthz", "port": 8080, "scheme": "HTTP" }, "periodSeconds": 10, "failureThreshold": 3 } })
    };
    let fields: Vec<Value> = (0..20).map(|n| json!({ format!("f:field-{n}"): { ".": {}, "f:value": {} } })).collect();
    json!({
        "metadata": {
            "name": name, "generateName": "web-7d4b9c6f5d-", "namespace": "bench",
            "uid": format!("0f3c5a1e-7b2d-4e61-9c1a-{n:012}"), "resourceVersion": "1000", "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": { "app": "web", "pod-template-hash": "7d4b9c6f5d", "team": "storage" },
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9c6f5d", "uid": "5d1c9a7e-1111-2222-3333-444455556666", "controller": true, "blockOwnerDeletion": true }],
            "managedFields": [{ "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields }],
        },
        "spec": {
            "nodeName": format!("node-{}", n % 50), "restartPolicy": "Always", "serviceAccountName": "default", "dnsPolicy": "ClusterFirst",
            "containers": [container("main"), container("side")],
            "tolerations": [{ "effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300 }],
            "volumes": [{ "name": "kube-api-access-x2k5z", "projected": { "defaultMode": 420, "sources": [{ "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } }] } }],
        },
        "status": {
            "phase": "Running", "podIP": "10.1.2.3", "hostIP": "192.168.1.2", "startTime": "2026-01-01T00:00:00Z", "qosClass": "Burstable",
            "conditions": [condition("Ready"), condition("Initialized"), condition("ContainersReady"), condition("PodScheduled")],
            "containerStatuses": [
                { "name": "main", "ready": true, "restartCount": 0, "image": "registry.example.com/team/web:1.2.3", "state": { "running": { "startedAt": "2026-01-01T00:00:01Z" } } },
                { "name": "side", "ready": true, "restartCount": 0, "image": "registry.example.com/team/web:1.2.3", "state": { "running": { "startedAt": "2026-01-01T00:00:01Z" } } },
            ],
        },
    })
}

/// The test server as a cluster of which only the API is there.
struct Server {
    client: Client,
    local: Local,
}

impl Cluster for Server {
    fn client(&self) -> Result<Client, NoCluster> {
        Ok(self.client.clone())
    }

    fn helm(&self) -> &dyn Helm {
        self.local.helm()
    }

    fn fetch(&self) -> &dyn Fetch {
        self.local.fetch()
    }

    fn clock(&self) -> Clock {
        self.local.clock()
    }

    fn identity(&self) -> Option<ClusterIdentity> {
        None
    }
}
