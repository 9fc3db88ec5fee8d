//! Real managers, watched: what must hold there holds, and claims made wrong on purpose go red at
//! the version that is named beforehand.
//!
//! `tests/data/longhorn-v1.12.1.jsonl` is an excerpt, recorded from real longhorn-manager v1.12.1
//! on Kubernetes v1.34.4: the backing images and the pods of three runs, trimmed to what is asked
//! here, as first versions and merge patches.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::event::{PlanFile, RunStart};
use crate::id::StepId;
use crate::plan::{Plan, Recorded, Settings, load};

const IMAGES: WatchId = WatchId(0);
const PODS: WatchId = WatchId(1);

/// The lines of one of the runs.
fn lines(run: &str) -> Vec<Value> {
    let text = include_str!("../../../tests/data/longhorn-v1.12.1.jsonl");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of = lines.skip_while(|line| line["run"] != run).skip(1);
    of.take_while(|line| line.get("run").is_none()).collect()
}

/// A run's events; marks begin and end the steps of the plan.
fn events(plan: &Plan, run: &str, steps: impl Fn(&Value) -> Vec<EventKind>) -> Vec<Event> {
    let start: RunStart = serde_json::from_value(json!({
        "format": crate::event::FORMAT, "lariat": "0", "run": "r", "started": "2026-11-22T12:31:40Z", "plan": "p",
        "title": "p", "files": [], "vars": {}, "seed": 1, "jobs": 1, "repro": "", "steps": plan.nodes(),
    }))
    .unwrap();
    let mut events = Vec::new();
    let mut put = |seconds: f64, kind: EventKind| {
        let at = Elapsed::from(std::time::Duration::from_secs_f64(seconds + 2.0));
        events.push(Event { seq: events.len() as u64, at, kind });
    };
    put(-2.0, EventKind::RunStarted(Box::new(start)));
    for (watch, resource) in [(IMAGES, "backingimages.longhorn.io"), (PODS, "pods")] {
        let namespace = "longhorn-system".to_owned();
        let watched = Watched { resource: resource.to_owned(), namespace, name: None, labels: None, fields: None };
        put(-2.0, EventKind::WatchOpened { watch, watched });
    }
    let mut uids: BTreeMap<String, (String, u64)> = BTreeMap::new();
    let mut newest = [1_u64; 2];
    let mut listing = true;
    for line in lines(run) {
        let at = line["t"].as_f64().unwrap().max(-2.0);
        if listing && line["type"] != "LIST" {
            for watch in [IMAGES, PODS] {
                let version = newest[watch.0 as usize].to_string();
                put(at, EventKind::WatchListed { watch, version, objects: 0, gone: Vec::new(), served: true });
            }
            listing = false;
        }
        if line.get("mark").is_some() {
            for kind in steps(&line) {
                let ends = matches!(kind, EventKind::StepFinished { .. });
                put(at, kind);
                for watch in [IMAGES, PODS].into_iter().filter(|_| ends) {
                    let version = newest[watch.0 as usize].to_string();
                    put(at, EventKind::WatchConfirmed { watch, version, differences: Vec::new() });
                }
            }
            continue;
        }
        let watch = if line["kind"] == "pods" { PODS } else { IMAGES };
        let name = line["name"].as_str().unwrap().to_owned();
        let said = line.get("whole").or(line.get("patch"));
        let meta = |key: &str| said.and_then(|said| said["metadata"][key].as_str());
        let uid =
            meta("uid").map_or_else(|| uids.get(&name).map(|(uid, _)| uid.clone()).unwrap_or_default(), str::to_owned);
        let version = meta("resourceVersion").or(line["version"].as_str()).unwrap();
        let number: u64 = version.parse().unwrap();
        newest[watch.0 as usize] = newest[watch.0 as usize].max(number);
        uids.insert(name.clone(), (uid.clone(), number));
        let (how, body) = match (line["type"].as_str().unwrap(), line.get("patch")) {
            ("DELETED", _) => (How::Deleted, Body::Patch(json!({}))),
            (how, patch) => {
                let how = if how == "LIST" {
                    How::Listed
                } else if how == "ADDED" {
                    How::Added
                } else {
                    How::Modified
                };
                (how, patch.map_or_else(|| Body::Whole(line["whole"].clone()), |patch| Body::Patch(patch.clone())))
            }
        };
        put(
            at,
            EventKind::ObjectSeen(Box::new(Seen {
                watch,
                how,
                namespace: "longhorn-system".to_owned(),
                name,
                uid,
                version: version.to_owned(),
                arrived: Elapsed::from(std::time::Duration::from_secs_f64(at + 2.0)),
                body,
            })),
        );
    }
    let end = lines(run).last().unwrap()["t"].as_f64().unwrap();
    for watch in [IMAGES, PODS] {
        let version = newest[watch.0 as usize].to_string();
        put(end, EventKind::WatchConfirmed { watch, version, differences: Vec::new() });
    }
    put(end, EventKind::RunFinished { verdict: crate::event::Verdict::Pass, reason: String::new() });
    events
}

fn plan(text: &str) -> Plan {
    let objects = r#"
        [plan]
        name = "p"
        namespace = "longhorn-system"
        [objects]
        images = { resource = "backingimages.longhorn.io" }
        small = { resource = "backingimages.longhorn.io", name = "small" }
        large = { resource = "backingimages.longhorn.io", name = "large" }
        files = { on = "images", each = "o.status.diskFileStatusMap" }
        large-files = { on = "large", each = "o.status.diskFileStatusMap" }
        managers = { resource = "pods", labels = "app=longhorn-manager" }
        data-source-pods = { resource = "pods", labels = "longhorn.io/component=backing-image-data-source" }
        image-manager-pods = { resource = "pods", labels = "longhorn.io/component=backing-image-manager" }
        "#;
    let file = PlanFile { path: "p.toml".to_owned(), text: format!("{objects}{text}") };
    load(&Recorded::new(&[file]), Path::new("p.toml"), &Settings::default()).unwrap_or_else(|wrong| panic!("{wrong}"))
}

pub(super) fn began(step: &str) -> EventKind {
    EventKind::GroupStarted { step: StepId::root(step) }
}

pub(super) fn ended(step: &str) -> EventKind {
    EventKind::StepFinished {
        step: StepId::root(step),
        outcome: Outcome::Passed,
        failure: None,
        outputs: serde_json::Map::new(),
    }
}

/// Each check that is not green in all of its windows, with the version that decided it.
fn verdicts(plan: &Plan, events: &[Event]) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut green: BTreeMap<String, usize> = BTreeMap::new();
    for fact in super::super::rejudge(events, plan) {
        let EventKind::CheckJudged { check, outcome, finding } = fact else { continue };
        if outcome == Outcome::Passed {
            let name = check.as_str().split('[').next().unwrap().to_owned();
            *green.entry(name).or_default() += 1;
            continue;
        }
        let moment = finding.moments.first();
        let of = moment.map(|moment| {
            let track: String = moment.track.chars().take(10).collect();
            format!(" at {track} {}", moment.version)
        });
        said.push(format!("{check}: {outcome}{}: {}", of.unwrap_or_default(), finding.message));
    }
    let green = green.into_iter().map(|(check, times)| format!("{check}: passed {times}"));
    green.chain(said).collect::<Vec<_>>().join("\n")
}

#[test]
fn ten_rounds_of_killed_managers() {
    let plan = plan(
        r#"
        [steps.restart]
        repeat.times = 10
        sleep = { for = "1s", because = "it was recorded" }
        [checks.file-states]
        during = "restart"
        transitions = { on = "files", value = "o.state", allow = ["ready -> unknown", "unknown -> ready"] }
        [checks.no-second-download]
        during = "restart"
        never = { on = "data-source-pods" }
        [checks.identity]
        during = "restart"
        constant = { on = "small", value = "[o.status.uuid, o.metadata.uid]" }
        [checks.image-managers-stay]
        during = "restart"
        constant = { on = "image-manager-pods", value = "[o.metadata.uid, string(o.status.restarts)]", min = 3 }
        [checks.back-in-time]
        during = "restart"
        recovers = { on = "small", that = "values(o.status.diskFileStatusMap).all(f, f.state == 'ready')", within = "5m" }
        [checks.unknown-then-ready]
        during = "restart"
        sequence = { on = "files", value = "o.state", seen = ["ready", "unknown", "ready"], min = 3 }
        [checks.new-managers]
        during = "restart"
        count = { on = "managers", at-least = 3, at-most = 3 }
        [checks.no-file-lost]
        during = "restart"
        never = { on = "small", that = "keys(start.status.diskFileStatusMap) != keys(o.status.diskFileStatusMap)" }
        "#,
    );
    let rounds = |line: &Value| {
        let round = || format!("restart[{:02}]", line["round"].as_u64().unwrap());
        match line["mark"].as_str().unwrap() {
            "delete" => vec![began(&round())],
            "round-end" => vec![ended(&round())],
            _ => Vec::new(),
        }
    };
    let events = events(&plan, "same-image-force", rounds);
    insta::assert_snapshot!(verdicts(&plan, &events), @r"
    back-in-time: passed 10
    file-states: passed 10
    identity: passed 10
    image-managers-stay: passed 10
    new-managers: passed 10
    no-file-lost: passed 10
    no-second-download: passed 10
    unknown-then-ready: passed 10
    ");
}

#[test]
fn claims_made_wrong_go_red_at_the_version_named_beforehand() {
    let plan = plan(
        r#"
        [steps.restart]
        sleep = { for = "1s", because = "it was recorded" }
        # Disk 49aa is the first to become unknown: version 1831.
        [checks.never-unknown]
        during = "restart"
        never = { on = "files", that = "o.state == 'unknown'" }
        [checks.always-ready]
        during = "restart"
        always = { on = "files", that = "o.state == 'ready'" }
        [checks.no-edge]
        during = "restart"
        transitions = { on = "files", value = "o.state", forbid = ["ready -> unknown"] }
        # It comes back first, after 35.7 s: version 2019.
        [checks.no-way-back]
        during = "restart"
        transitions = { on = "files", value = "o.state", allow = ["ready -> unknown"] }
        [checks.too-slow]
        during = "restart"
        recovers = { on = "files", that = "o.state == 'ready'", within = "35s" }
        # The third is version 1962.
        [checks.twice]
        during = "restart"
        count = { on = "files", that = "o.state == 'unknown'", at-most = 2 }
        [checks.failed-first]
        during = "restart"
        sequence = { on = "files", value = "o.state", seen = ["failed", "ready"] }
        "#,
    );
    let first = |line: &Value| match (line["mark"].as_str().unwrap(), line["round"].as_u64()) {
        ("delete", Some(1)) => vec![began("restart")],
        ("round-end", Some(1)) => vec![ended("restart")],
        _ => Vec::new(),
    };
    let events = events(&plan, "same-image-force", first);
    insta::assert_snapshot!(verdicts(&plan, &events), @r"
    never-unknown: failed at small[49aa 1831: what must never hold did: `small[49aaffc0-057a-4068-aed1-04d94fa9a83f]` held, 0.4s into the window, and 2 more after it
    always-ready: failed at small[49aa 1831: what must always hold did not: `small[49aaffc0-057a-4068-aed1-04d94fa9a83f]` did not hold, 0.4s into the window, and 2 more after it
    no-edge: failed at small[49aa 1831: a value moved as it must not: `small[49aaffc0-057a-4068-aed1-04d94fa9a83f]` `ready -> unknown`, 0.4s into the window, and 2 more after it
    no-way-back: failed at small[49aa 2019: a value moved as it must not: `small[49aaffc0-057a-4068-aed1-04d94fa9a83f]` `unknown -> ready`, 36.1s into the window, and 2 more after it
    too-slow: failed at small[49aa 1831: what stopped holding did not hold again in time (within 35.0s): `small[49aaffc0-057a-4068-aed1-04d94fa9a83f]` stopped holding, and did not hold again in time, 0.4s into the window
    twice: failed at small[9c69 1962: it was counted too often: `small[9c69116d-6187-4110-a54c-a92363d5ecb1]` counted 3 times, at most 2 allowed, 8.1s into the window
    failed-first: failed: `failed` was not seen on `small[49aaffc0-057a-4068-aed1-04d94fa9a83f]` and 2 other tracks
    ");
}

#[test]
fn an_upgrade_while_a_file_is_on_its_way() {
    let plan = plan(
        r#"
        [steps.upgrade]
        sleep = { for = "1s", because = "it was recorded" }
        [checks.never-failed]
        during = "upgrade"
        never = { on = "files", that = "o.state in ['failed', 'unknown', 'pending']" }
        [checks.taken-over]
        during = "upgrade"
        sequence = { on = "files", value = "o.state", seen = ["missing", "ready"] }
        [checks.identity]
        during = "upgrade"
        constant = { on = "images", value = "o.status.uuid" }
        # All entries vanish 49.8 s after helm was started.
        [checks.never-missing]
        during = "upgrade"
        transitions = { on = "files", value = "o.state", forbid = ["* -> missing"] }
        # The disks that come late are missing for 68 s.
        [checks.within-a-minute]
        during = "upgrade"
        recovers = { on = "small", that = "keys(o.status.diskFileStatusMap) == keys(o.spec.diskFileSpecMap)", within = "1m" }
        "#,
    );
    let upgrade = |line: &Value| match line["mark"].as_str().unwrap() {
        "upgrade" => vec![began("upgrade")],
        "all-ready" => vec![ended("upgrade")],
        _ => Vec::new(),
    };
    let events = events(&plan, "upgrade", upgrade);
    insta::assert_snapshot!(verdicts(&plan, &events), @r"
    identity: passed 1
    never-failed: passed 1
    taken-over: passed 1
    never-missing: failed at large[2b5f 9783: a value moved as it must not: `large[2b5fa37b-421a-4100-96b6-64e8a7f2e27b]` `in-progress -> missing`, 49.8s into the window, and 5 more after it
    within-a-minute: failed at small 9792: what stopped holding did not hold again in time (within 1m00s): `small` stopped holding, and did not hold again in time, 49.9s into the window
    ");
}

#[test]
fn a_manager_of_the_wrong_version_hands_over_nothing() {
    let plan = plan(
        r#"
        [steps.mistake]
        sleep = { for = "1s", because = "it was recorded" }
        # The entries are gone from version 10528 on, and stay away.
        [checks.back-in-time]
        during = "mistake"
        recovers = { on = "images", that = "keys(o.status.diskFileStatusMap) == keys(o.spec.diskFileSpecMap)", within = "2m" }
        # What an empty map passes.
        [checks.all-ready]
        during = "mistake"
        always = { on = "images", that = "values(o.status.diskFileStatusMap).all(f, f.state == 'ready')" }
        [checks.elsewhere]
        during = "mistake"
        never = { on = "other", that = "true" }
        [objects.other]
        resource = "pods"
        namespace = "other"
        "#,
    );
    let mistake = |line: &Value| match line["mark"].as_str().unwrap() {
        "upgrade" if line["t"].as_f64().unwrap() < 1.0 => vec![began("mistake")],
        "state" if line["t"].as_f64().unwrap() < 202.0 => vec![ended("mistake")],
        _ => Vec::new(),
    };
    let marked = |line: &Value| {
        let name = match line["t"].as_f64().unwrap() {
            t if t > 0.1 && t < 1.0 => "mistake",
            t if t > 201.0 && t < 201.7 => "after",
            _ => return Vec::new(),
        };
        vec![EventKind::Marked { name: name.to_owned() }]
    };
    let by_marks = verdicts(&plan, &events(&plan, "incompatible", marked));
    let events = events(&plan, "incompatible", mistake);
    assert_eq!(by_marks, verdicts(&plan, &events), "a mark opens a window as a step does");
    insta::assert_snapshot!(verdicts(&plan, &events), @r"
    all-ready: passed 1
    elsewhere: inconclusive: `other` was not recorded: nobody watched pods in its window
    back-in-time: failed at small 10528: what stopped holding did not hold again in time (within 2m00s): `small` stopped holding, and did not hold again in time, 44.7s into the window, and 1 more after it
    ");
}
