//! All that was watched beside real managers: `tests/data/recordings`, every resource of it.
//!
//! Claims that must hold there hold, and those made wrong on purpose go red at the version that is
//! named beforehand: it was looked up in the recording, not in what the folds said.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::recordings::{began, ended};
use super::*;
use crate::event::{PlanFile, RunStart};
use crate::plan::{Plan, Recorded, Settings, load};

const OBJECTS: &str = r#"
    [plan]
    name = "p"
    namespace = "longhorn-system"
    [objects]
    nodes = { resource = "nodes.longhorn.io" }
    no-node = { resource = "nodes.longhorn.io", name = "n9" }
    images = { resource = "backingimages.longhorn.io" }
    image-managers = { resource = "backingimagemanagers.longhorn.io" }
    sources = { resource = "backingimagedatasources.longhorn.io" }
    engine-images = { resource = "engineimages.longhorn.io" }
    settings = { resource = "settings.longhorn.io" }
    version = { resource = "settings.longhorn.io", name = "current-longhorn-version" }
    manager = { resource = "daemonsets.apps", name = "longhorn-manager" }
    jobs = { resource = "jobs.batch" }
    webhook = { resource = "endpointslices.discovery.k8s.io", where = "o.metadata.name.startsWith('longhorn-admission-webhook')" }
    turns = { resource = "leases.coordination.k8s.io", name = "longhorn-manager-webhook-lock" }
    of-images = { resource = "events", where = "o.involvedObject.kind == 'BackingImage'" }
    "#;

/// The resource that a file holds.
fn resource(file: &str) -> &'static str {
    match file {
        "lhnodes" => "nodes.longhorn.io",
        "backingimages" => "backingimages.longhorn.io",
        "backingimagemanagers" => "backingimagemanagers.longhorn.io",
        "backingimagedatasources" => "backingimagedatasources.longhorn.io",
        "engineimages" => "engineimages.longhorn.io",
        "instancemanagers" => "instancemanagers.longhorn.io",
        "settings" => "settings.longhorn.io",
        "daemonsets" => "daemonsets.apps",
        "jobs" => "jobs.batch",
        "endpointslices" => "endpointslices.discovery.k8s.io",
        "leases" => "leases.coordination.k8s.io",
        "events" => "events",
        "pods" => "pods",
        other => panic!("nobody knows what `{other}` holds"),
    }
}

fn plan(text: &str) -> Plan {
    let file = PlanFile { path: "p.toml".to_owned(), text: format!("{OBJECTS}{text}") };
    load(&Recorded::new(&[file]), Path::new("p.toml"), &Settings::default()).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn lines(file: &Path) -> Vec<Value> {
    let mut text = String::new();
    let file = std::fs::File::open(file).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// One watch of a recording on its way into a journal.
struct Watch {
    id: WatchId,
    /// The last version of each object.
    last: BTreeMap<String, String>,
    newest: u64,
    at: f64,
    listed: bool,
}

impl Watch {
    fn seen(&mut self, line: &Value) -> EventKind {
        let object = &line["object"];
        let text = |key: &str| object["metadata"][key].as_str().unwrap().to_owned();
        let (name, version) = (text("name"), text("resourceVersion"));
        let how = match line["type"].as_str().unwrap() {
            "LIST" => How::Listed,
            "ADDED" => How::Added,
            "MODIFIED" => How::Modified,
            "DELETED" => How::Deleted,
            other => panic!("an event has the type `{other}`"),
        };
        if how == How::Deleted {
            self.last.remove(&name);
        } else {
            self.last.insert(name.clone(), version.clone());
        }
        self.newest = self.newest.max(version.parse().unwrap());
        EventKind::ObjectSeen(Box::new(Seen {
            watch: self.id,
            how,
            namespace: "longhorn-system".to_owned(),
            name,
            uid: text("uid"),
            version,
            arrived: moment(line["t"].as_f64().unwrap()),
            body: Body::Whole(object.clone()),
        }))
    }

    fn list(&mut self) -> EventKind {
        self.listed = true;
        let (watch, objects) = (self.id, self.last.len() as u64);
        EventKind::WatchListed { watch, version: self.newest.to_string(), objects, gone: Vec::new(), served: true }
    }
}

/// Seconds of a recording, which begins before its zero.
fn moment(seconds: f64) -> Elapsed {
    Elapsed::from(Duration::from_secs_f64((seconds + 2.0).max(0.0)))
}

/// A recording as a journal; marks begin and end the steps of the plan.
fn journal(plan: &Plan, run: &str, steps: impl Fn(&Value) -> Vec<EventKind>) -> Vec<Event> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings").join(run);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().replace(".jsonl.gz", "");
    let mut watches: BTreeMap<String, Watch> = BTreeMap::new();
    let mut all: Vec<(String, Value)> = Vec::new();
    for file in &files {
        let name = name(file);
        // The files on the nodes' disks are no objects.
        if name == "files" {
            continue;
        }
        if name != "markers" {
            let id = WatchId(u32::try_from(watches.len()).unwrap());
            let watch = Watch { id, last: BTreeMap::new(), newest: 1, at: -2.0, listed: false };
            watches.insert(name.clone(), watch);
        }
        all.extend(lines(file).into_iter().map(|line| (name.clone(), line)));
    }
    all.sort_by(|(_, one), (_, other)| one["t"].as_f64().unwrap().total_cmp(&other["t"].as_f64().unwrap()));

    let start: RunStart = serde_json::from_value(json!({
        "format": crate::event::FORMAT, "lariat": "0", "run": "r", "started": "2026-11-22T12:31:40Z", "plan": "p",
        "title": "p", "files": [], "vars": {}, "seed": 1, "jobs": 1, "repro": "", "steps": plan.nodes(),
    }))
    .unwrap();
    let mut events: Vec<Event> = Vec::new();
    let mut put = |at: f64, kind: EventKind| events.push(Event { seq: events.len() as u64, at: moment(at), kind });
    put(-2.0, EventKind::RunStarted(Box::new(start)));
    for (name, watch) in &watches {
        let (resource, namespace) = (resource(name).to_owned(), "longhorn-system".to_owned());
        let watched = Watched { resource, namespace, name: None, labels: None, fields: None };
        put(-2.0, EventKind::WatchOpened { watch: watch.id, watched });
    }
    let mut rest = all.iter().peekable();
    while let Some((name, line)) = rest.next() {
        let at = line["t"].as_f64().unwrap();
        // What is listed at first is listed before anything happens.
        if line["type"] != "LIST" {
            for watch in watches.values_mut().filter(|watch| !watch.listed) {
                let listed = watch.list();
                put(at.min(0.0), listed);
            }
        }
        if name == "markers" {
            for kind in steps(line) {
                let ends = matches!(kind, EventKind::StepFinished { .. });
                put(at, kind);
                for watch in watches.values().filter(|_| ends) {
                    let (watch, version) = (watch.id, watch.newest.to_string());
                    put(at, EventKind::WatchConfirmed { watch, version, differences: Vec::new() });
                }
            }
            continue;
        }
        let watch = watches.get_mut(name).unwrap();
        if line["type"] == "GAP" {
            let before = watch.last.clone();
            while let Some((_, line)) = rest.next_if(|(of, line)| of == name && line["type"] == "LIST") {
                let seen = watch.seen(line);
                put(at, seen);
            }
            let listed = watch.list();
            put(at, listed);
            let (reason, changed) = ("the watch had to begin again".to_owned(), watch.last != before);
            put(at, EventKind::WatchGap { watch: watch.id, from: moment(watch.at), to: moment(at), reason, changed });
        } else {
            let seen = watch.seen(line);
            put(at, seen);
        }
        watch.at = at;
    }
    let end = all.last().unwrap().1["t"].as_f64().unwrap();
    for watch in watches.values() {
        let (watch, version) = (watch.id, watch.newest.to_string());
        put(end, EventKind::WatchConfirmed { watch, version, differences: Vec::new() });
    }
    put(end, EventKind::RunFinished { verdict: crate::event::Verdict::Pass, reason: String::new() });
    events
}

/// How often each check passed, and each other outcome with the version that decided it.
fn decided(plan: &Plan, events: &[Event]) -> String {
    let mut green: BTreeMap<String, usize> = BTreeMap::new();
    let mut others: BTreeMap<String, String> = BTreeMap::new();
    for fact in super::super::rejudge(events, plan) {
        let EventKind::CheckJudged { check, outcome, finding } = fact else { continue };
        if outcome == Outcome::Passed {
            *green.entry(check.as_str().split('[').next().unwrap().to_owned()).or_default() += 1;
        } else {
            let moment = finding.moments.first();
            let at = moment.map(|moment| format!(" at version {}", moment.version)).unwrap_or_default();
            others.insert(check.to_string(), format!("{outcome}{at}"));
        }
    }
    let green = green.into_iter().map(|(check, times)| format!("{check}: passed {times}"));
    green.chain(others.into_iter().map(|(check, how)| format!("{check}: {how}"))).collect::<Vec<_>>().join("\n")
}

#[test]
fn ten_rounds_in_everything_that_was_watched() {
    let plan = plan(
        r#"
        [steps.restart]
        repeat.times = 10
        sleep = { for = "1s", because = "it was recorded" }
        [checks.nodes-move]
        during = "restart"
        transitions = { on = "nodes", value = "condition(o, 'Ready')", allow = ["True -> False", "False -> True"] }
        [checks.nodes-come-back]
        during = "restart"
        recovers = { on = "nodes", that = "condition(o, 'Ready') == 'True'", within = "30s" }
        [checks.managers-come-back]
        during = "restart"
        recovers = { on = "manager", that = "o.status.numberReady == 3", within = "30s" }
        [checks.webhook-comes-back]
        during = "restart"
        recovers = { on = "webhook", that = "o.?endpoints.orValue([]).exists(e, e.conditions.ready)", within = "10s" }
        [checks.image-managers-move]
        during = "restart"
        transitions = { on = "image-managers", value = "o.status.currentState", allow = ["running -> unknown", "unknown -> running"] }
        [checks.image-managers-stay]
        during = "restart"
        constant = { on = "image-managers", value = "o.metadata.uid", min = 3 }
        [checks.never-fetched-again]
        during = "restart"
        constant = { on = "sources", value = "o.spec.fileTransferred" }
        [checks.engine-images-stay]
        during = "restart"
        always = { on = "engine-images", that = "o.status.state == 'deployed'" }
        [checks.settings-stay]
        during = "restart"
        constant = { on = "settings", value = "o.value" }
        [checks.nothing-is-said]
        during = "restart"
        count = { on = "of-images", that = "o.reason in ['Syncing', 'Fetching', 'Create', 'Delete']", at-most = 0 }
        [checks.everybody-has-a-turn]
        during = "restart"
        count = { on = "turns", that = "o.spec.holderIdentity != ''", at-least = 3 }
        "#,
    );
    let rounds = |line: &Value| {
        let round = || format!("restart[{:02}]", line["round"].as_u64().unwrap());
        match line["what"].as_str().unwrap() {
            "delete" => vec![began(&round())],
            "round-end" => vec![ended(&round())],
            _ => Vec::new(),
        }
    };
    insta::assert_snapshot!(decided(&plan, &journal(&plan, "same-image-force", rounds)), @r"
    engine-images-stay: passed 10
    everybody-has-a-turn: passed 10
    image-managers-move: passed 10
    image-managers-stay: passed 10
    managers-come-back: passed 10
    never-fetched-again: passed 10
    nodes-come-back: passed 10
    nodes-move: passed 10
    nothing-is-said: passed 10
    settings-stay: passed 10
    webhook-comes-back: passed 10
    ");
}

#[test]
fn wrong_claims_about_everything_go_red_at_the_version_named_beforehand() {
    let plan = plan(
        r#"
        [steps.restart]
        sleep = { for = "1s", because = "it was recorded" }
        # n2 is the first that is not Ready: version 1809.
        [checks.nodes-stay]
        during = "restart"
        always = { on = "nodes", that = "condition(o, 'Ready') == 'True'" }
        # The first status without three ready pods is version 1847.
        [checks.managers-stay]
        during = "restart"
        always = { on = "manager", that = "o.status.numberReady == 3" }
        # The webhook's last endpoint is gone in version 1879.
        [checks.webhook-stays]
        during = "restart"
        always = { on = "webhook", that = "o.?endpoints.orValue([]).exists(e, e.conditions.ready)" }
        # n2 takes the lease in version 1889.
        [checks.no-turn]
        during = "restart"
        never = { on = "turns", that = "o.spec.holderIdentity != start.spec.holderIdentity" }
        # The manager of disk 49aa is unknown in version 1822.
        [checks.image-managers-known]
        during = "restart"
        never = { on = "image-managers", that = "o.status.currentState == 'unknown'" }
        # n2, n1 and n3 fall, in versions 1809, 1832 and 1935; n1 has not come back when it is marked again in 1933.
        [checks.two-falls]
        during = "restart"
        count = { on = "nodes", that = "condition(o, 'Ready') == 'False'", at-most = 2 }
        "#,
    );
    let first = |line: &Value| match (line["what"].as_str().unwrap(), line["round"].as_u64()) {
        ("delete", Some(1)) => vec![began("restart")],
        ("round-end", Some(1)) => vec![ended("restart")],
        _ => Vec::new(),
    };
    insta::assert_snapshot!(decided(&plan, &journal(&plan, "same-image-force", first)), @r"
    image-managers-known: failed at version 1822
    managers-stay: failed at version 1847
    no-turn: failed at version 1889
    nodes-stay: failed at version 1809
    two-falls: failed at version 1935
    webhook-stays: failed at version 1879
    ");
}

#[test]
fn an_upgrade_breaks_watches_by_itself() {
    let plan = plan(
        r#"
        [steps.upgrade]
        sleep = { for = "1s", because = "it was recorded" }
        [checks.version]
        during = "upgrade"
        transitions = { on = "version", value = "o.value", allow = ["v1.11.3 -> v1.12.1"] }
        [checks.two-jobs]
        during = "upgrade"
        count = { on = "jobs", at-least = 2, at-most = 2 }
        [checks.managers-come-back]
        during = "upgrade"
        recovers = { on = "manager", that = "o.status.numberReady == 3", within = "1m" }
        # The gap at 12.5 s: no node had changed, so that it counts only against what says that nothing was there.
        [checks.nodes-are-the-same]
        during = "upgrade"
        constant = { on = "nodes", value = "o.metadata.uid", min = 3 }
        [checks.no-fourth-node]
        during = "upgrade"
        never = { on = "no-node", min = 0 }
        # Written 46.9 s after helm was started: version 9670.
        [checks.version-stays]
        during = "upgrade"
        constant = { on = "version", value = "o.value" }
        # The post-upgrade job is made in version 9518.
        [checks.one-job]
        during = "upgrade"
        count = { on = "jobs", at-most = 1 }
        # n3 is marked in version 9675, behind the gap.
        [checks.nodes-stay]
        during = "upgrade"
        always = { on = "nodes", that = "condition(o, 'Ready') == 'True'" }
        "#,
    );
    let upgrade = |line: &Value| match line["what"].as_str().unwrap() {
        "upgrade" => vec![began("upgrade")],
        "all-ready" => vec![ended("upgrade")],
        _ => Vec::new(),
    };
    insta::assert_snapshot!(decided(&plan, &journal(&plan, "upgrade", upgrade)), @r"
    managers-come-back: passed 1
    nodes-are-the-same: passed 1
    two-jobs: passed 1
    version: passed 1
    no-fourth-node: inconclusive
    nodes-stay: failed at version 9675
    one-job: failed at version 9518
    version-stays: failed at version 9670
    ");
}

#[test]
fn an_install_and_a_wrong_version_over_the_whole_record() {
    let plan = plan(
        r#"
        [checks.three-nodes]
        count = { on = "nodes", at-least = 3, at-most = 3 }
        [checks.deployed]
        sequence = { on = "engine-images", value = "o.status.state", seen = ["deployed"] }
        [checks.managers-in-time]
        recovers = { on = "manager", that = "o.status.numberReady == 3", within = "2m" }
        "#,
    );
    let nobody = |_: &Value| Vec::new();
    let install = decided(&plan, &journal(&plan, "install", nobody));
    insta::assert_snapshot!(install, @r"
    deployed: passed 1
    managers-in-time: passed 1
    three-nodes: passed 1
    ");
    // There the nodes were listed at the beginning: none came to exist.
    let incompatible = decided(&plan, &journal(&plan, "incompatible", nobody));
    insta::assert_snapshot!(incompatible, @r"
    deployed: passed 1
    managers-in-time: passed 1
    three-nodes: failed
    ");
}
