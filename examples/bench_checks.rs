//! `just bench`: what judging costs, measured on this machine.
//!
//! The versions of 10,000 pod-sized objects are handed to a court with no, one and seven open
//! windows. What it prints it writes to `reports/bench.json` as well.

#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(clippy::cast_precision_loss, reason = "measures are read by people")]

use std::path::Path;
use std::time::Instant;

use lariat::check::Court;
use lariat::clock::Elapsed;
use lariat::event::{Armed, Body, Event, EventKind, How, PlanFile, Seen, WatchId, Watched};
use lariat::expr::Shared;
use lariat::plan::{Recorded, Settings, load};
use serde_json::{Map, Value, json};

const OBJECTS: u64 = 10_000;
const CHANGES: u64 = 40_000;

/// The rate at which the share of a core is told.
const RATE: f64 = 2_000.0;

const PLAN: &str = r#"
[plan]
name = "bench"
namespace = "bench"
[objects]
pods = { resource = "pods" }
conditions = { on = "pods", each = "o.metadata.labels" }
[steps.a]
command = { args = ["true"] }
[checks]
a = { never = { on = "pods", that = "o.status.phase == 'Failed'" } }
b = { always = { on = "pods", that = "o.metadata.namespace == 'bench'" } }
c = { constant = { on = "pods", value = "o.spec.nodeName" } }
d = { transitions = { on = "pods", value = "o.status.phase", forbid = ["* -> Failed"] } }
e = { sequence = { on = "pods", value = "o.status.phase", seen = ["Running", "Pending"] } }
f = { recovers = { on = "pods", that = "condition(o, 'Ready') == 'True'", within = "5m" } }
g = { count = { on = "conditions", that = "o == 'web'", at-most = 100000 } }
"#;

fn main() {
    let file = PlanFile { path: "bench.toml".to_owned(), text: PLAN.to_owned() };
    let plan = load(&Recorded::new(&[file]), Path::new("bench.toml"), &Settings::default()).expect("the plan is right");
    let mut report = Map::new();
    for windows in [0, 1, 7] {
        let mut court = Court::new(&plan.checks, &plan.selections);
        let mut seq = 0;
        let mut take = |court: &mut Court, kind: EventKind| {
            let event = Event { seq, at: Elapsed(seq * 500), kind };
            seq += 1;
            court.take(&event);
        };
        let watch = WatchId(0);
        let namespace = "bench".to_owned();
        let watched = Watched { resource: "pods".to_owned(), namespace, name: None, labels: None, fields: None };
        take(&mut court, EventKind::WatchOpened { watch, watched });
        for n in 0..OBJECTS {
            take(&mut court, seen(How::Listed, n, n + 1, Body::Whole(pod(n))));
        }
        let version = OBJECTS.to_string();
        take(&mut court, EventKind::WatchListed { watch, version, objects: OBJECTS, gone: Vec::new(), served: true });
        for check in plan.checks.iter().take(windows) {
            let watches = vec![Armed { watch, version: OBJECTS.to_string() }];
            take(&mut court, EventKind::CheckArmed { check: check.id.clone(), watches });
            court.open(&check.id, check.scope.env(&Shared::from(json!({})), &|_| None), Elapsed(0));
        }
        let changes: Vec<EventKind> = (0..CHANGES)
            .map(|n| {
                let ready = if (n / OBJECTS).is_multiple_of(2) { "False" } else { "True" };
                let version = OBJECTS + n + 1;
                let patch = json!({ "metadata": { "resourceVersion": version.to_string() },
                    "status": { "conditions": [{ "type": "Ready", "status": ready }] } });
                seen(How::Modified, n % OBJECTS, version, Body::Patch(patch))
            })
            .collect();
        let began = Instant::now();
        for change in changes {
            take(&mut court, change);
        }
        let per_second = CHANGES as f64 / began.elapsed().as_secs_f64();
        let said = json!({
            "versions_per_second": per_second.round(),
            "share_of_one_core_at_2000_a_second": (RATE / per_second * 1000.0).round() / 1000.0,
            "resident_mb": resident() as f64 / 1024.0,
        });
        println!("{windows} open windows: {said}");
        report.insert(format!("{windows}_windows"), said);
    }
    let path = Path::new("reports/bench.json");
    let mut all: Map<String, Value> =
        std::fs::read(path).ok().and_then(|old| serde_json::from_slice(&old).ok()).unwrap_or_default();
    all.insert("checks".to_owned(), Value::Object(report));
    std::fs::create_dir_all("reports").expect("the folder can be made");
    std::fs::write(path, serde_json::to_string_pretty(&all).expect("it is JSON") + "\n").expect("it can be written");
}

fn seen(how: How, n: u64, version: u64, body: Body) -> EventKind {
    EventKind::ObjectSeen(Box::new(Seen {
        watch: WatchId(0),
        how,
        namespace: "bench".to_owned(),
        name: format!("web-{n:05}"),
        uid: format!("0f3c5a1e-7b2d-4e61-9c1a-{n:012}"),
        version: version.to_string(),
        arrived: Elapsed(version * 500),
        body,
    }))
}

/// A pod without its managed fields: about three kilobytes.
fn pod(n: u64) -> Value {
    let env: Vec<Value> = (0..12)
        .map(|n| json!({ "name": format!("SETTING_{n}"), "value": format!("value number {n} of this") }))
        .collect();
    let container = |name: &str| {
        json!({ "name": name, "image": "registry.example.com/team/web:1.2.3", "env": env,
            "resources": { "limits": { "cpu": "500m", "memory": "256Mi" }, "requests": { "cpu": "100m", "memory": "128Mi" } },
            "ports": [{ "containerPort": 8080, "name": "http", "protocol": "TCP" }] })
    };
    json!({
        "metadata": { "name": format!("web-{n:05}"), "namespace": "bench", "uid": format!("0f3c5a1e-7b2d-4e61-9c1a-{n:012}"),
            "resourceVersion": (n + 1).to_string(), "labels": { "app": "web", "team": "storage" } },
        "spec": { "nodeName": format!("node-{}", n % 50), "containers": [container("main"), container("side")] },
        "status": { "phase": "Running", "podIP": "10.1.2.3", "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": [{ "name": "main", "ready": true, "restartCount": 0 }, { "name": "side", "ready": true, "restartCount": 0 }] },
    })
}

/// Resident memory of this process in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
