//! The plans' checks on what real managers did: no false alarm where they kept every promise,
//! and a violation at the right check where the recording is bent.

use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::support::Bench;

/// Recorded streams, and the resources that a plan knows them by.
const STREAMS: [(&str, &str); 7] = [
    ("backingimages", "backingimages.longhorn.io"),
    ("backingimagemanagers", "backingimagemanagers.longhorn.io"),
    ("backingimagedatasources", "backingimagedatasources.longhorn.io"),
    ("pods", "pods"),
    ("events", "events"),
    ("lhnodes", "nodes.longhorn.io"),
    ("settings", "settings.longhorn.io"),
];

/// What was recorded in a folder, in its lines.
fn lines(run: &str, stream: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/recordings/{run}/{stream}.jsonl.gz"));
    let packed = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    GzDecoder::new(packed.as_slice()).read_to_string(&mut text).expect("it is packed text");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

fn second(line: &Value) -> f64 {
    line["t"].as_f64().expect("each line has its time")
}

/// A window: from when to when, and the step that it stands for.
type Window = (f64, f64, String);

/// From the mark where something was done to the first of another kind after it.
fn window(run: &str, from: impl Fn(&Value) -> bool, to: &str, step: &str) -> Vec<Window> {
    let marks = lines(run, "markers");
    let begins = marks.iter().filter(|mark| from(mark)).map(second);
    let rounds: Vec<f64> = begins.collect();
    let many = rounds.len() > 1;
    rounds
        .into_iter()
        .zip(1..)
        .map(|(begin, round)| {
            let end = marks.iter().find(|mark| mark["what"] == to && second(mark) > begin).expect("it ended");
            (begin, second(end), if many { format!("{step}[{round:02}]") } else { step.to_owned() })
        })
        .collect()
}

/// A recording as a run's journal whose steps are the windows.
fn journal(run: &str, windows: &[Window], bend: impl Fn(usize, f64, &mut Vec<Value>)) -> String {
    let mut facts: Vec<(f64, u8, Value)> = Vec::new();
    let mut newest = vec![1_u64; STREAMS.len()];
    let mut first = vec![1_u64; STREAMS.len()];
    for (watch, (stream, _)) in STREAMS.iter().enumerate() {
        let mut streamed = lines(run, stream);
        bend(watch, windows[0].0, &mut streamed);
        for line in streamed {
            let how = match line["type"].as_str().expect("each line says what it is") {
                "GAP" => continue,
                // Lists after the first say what is there anew.
                "LIST" if second(&line) > 0.0 => "modified",
                "LIST" => "listed",
                "ADDED" => "added",
                "DELETED" => "deleted",
                _ => "modified",
            };
            let object = &line["object"];
            let meta = &object["metadata"];
            let version: u64 = meta["resourceVersion"].as_str().and_then(|v| v.parse().ok()).expect("it is a number");
            newest[watch] = newest[watch].max(version);
            if how == "listed" {
                first[watch] = first[watch].max(version);
            }
            let body = if how == "deleted" { json!({ "patch": {} }) } else { json!({ "whole": object }) };
            let at = second(&line).max(-4.0);
            facts.push((
                at,
                u8::from(how != "listed") * 2,
                json!({ "object-seen": {
                    "watch": watch, "how": how, "namespace": "longhorn-system", "name": meta["name"],
                    "uid": meta["uid"], "version": meta["resourceVersion"], "arrived": micros(at), "body": body,
                } }),
            ));
        }
    }
    let listed = facts.iter().filter(|(_, rank, _)| *rank == 0).map(|(at, ..)| *at).fold(-4.0, f64::max);
    for (watch, version) in first.iter().enumerate() {
        let fact =
            json!({ "watch-listed": { "watch": watch, "version": version.to_string(), "objects": 0, "served": true } });
        facts.push((listed, 1, fact));
    }
    for (begin, end, step) in windows {
        facts.push((*begin, 3, json!({ "group-started": { "step": step } })));
        facts.push((*end, 3, json!({ "step-finished": { "step": step, "outcome": "passed", "outputs": {} } })));
    }
    facts.sort_by(|(one, a, _), (other, b, _)| one.total_cmp(other).then(a.cmp(b)));
    let steps: Vec<Value> = windows
        .iter()
        .map(|(.., step)| {
            json!({ "id": step, "parent": null, "kind": "group", "about": "", "needs": [], "when": "passed",
                "until": null, "covers": [], "file": "plan.toml", "line": 1 })
        })
        .collect();
    let start = json!({ "run-started": {
        "format": 2, "lariat": "0", "run": "r", "started": "2026-11-22T12:00:00Z", "plan": "p", "title": "p",
        "files": [], "vars": {}, "seed": 1, "jobs": 1, "repro": "", "steps": steps,
    } });
    let opened = STREAMS.iter().enumerate().map(|(watch, (_, resource))| {
        json!({ "watch-opened": { "watch": watch, "watched": { "resource": resource, "namespace": "longhorn-system" } } })
    });
    let end = facts.last().expect("something was recorded").0;
    let confirmed = |at: f64| {
        let seen = |watch: usize| {
            let versions = facts.iter().filter(|(when, ..)| *when <= at).filter_map(|(.., fact)| {
                let seen = fact.get("object-seen").filter(|seen| seen["watch"] == watch)?;
                seen["version"].as_str()?.parse::<u64>().ok()
            });
            versions.max().unwrap_or(first[watch])
        };
        let all: Vec<Value> = (0..STREAMS.len())
            .map(|watch| json!({ "watch-confirmed": { "watch": watch, "version": seen(watch).to_string() } }))
            .collect();
        all
    };
    let mut told: Vec<(f64, Value)> = vec![(-5.0, start)];
    told.extend(opened.map(|fact| (-5.0, fact)));
    for (at, _, fact) in &facts {
        let settled = fact.get("step-finished").is_some();
        told.push((*at, fact.clone()));
        if settled {
            told.extend(confirmed(*at).into_iter().map(|fact| (*at, fact)));
        }
    }
    told.push((end, json!({ "run-finished": { "verdict": "pass", "reason": "" } })));
    let lines = told
        .into_iter()
        .enumerate()
        .map(|(seq, (at, kind))| json!({ "seq": seq, "at": micros(at), "kind": kind }).to_string());
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes, after the start")]
fn micros(at: f64) -> u64 {
    ((at + 5.0) * 1e6) as u64
}

/// The plans' own parts over the windows of a recording.
fn plan(step: &str, rounds: usize, images: &[&str], restart_only: bool) -> String {
    let parts = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/parts");
    let parts = parts.display();
    let repeat = if rounds > 1 { format!("repeat = {{ times = {rounds} }}\n") } else { String::new() };
    let mut text = format!(
        "[plan]\nname = \"p\"\nnamespace = \"longhorn-system\"\n[steps.{step}]\n{repeat}\
         sleep = {{ for = \"1s\", because = \"it was recorded\" }}\n\
         [checks.managers]\nduring = \"{step}\"\npart = {{ file = \"{parts}/managers.toml\" }}\n"
    );
    for image in images {
        text += &format!(
            "[checks.{image}]\nduring = \"{step}\"\npart = {{ file = \"{parts}/takeover.toml\", \
             with = {{ image = \"{image}\", within = \"5m\", restart_only = {restart_only} }} }}\n"
        );
    }
    text
}

/// Judges a recording; the exit code and what was said.
fn judged(plan: &str, journal: &str) -> crate::support::Ran {
    let bench = Bench::with(plan);
    bench.write("run/events.jsonl", journal);
    bench.lariat(["judge", "run", "plan.toml"])
}

fn untouched(_: usize, _: f64, _: &mut Vec<Value>) {}

#[test]
fn a_real_upgrade_while_a_file_is_on_its_way_raises_no_alarm() {
    let windows = window("upgrade", |mark| mark["what"] == "upgrade", "all-ready", "upgrade");
    let plan = plan("upgrade", 1, &["small", "large"], false);
    judged(&plan, &journal("upgrade", &windows, untouched)).expect(0, &["20 passed"]);
}

#[test]
fn a_real_incompatible_upgrade_raises_no_alarm() {
    let windows =
        window("incompatible", |mark| mark["what"] == "upgrade" && mark["step"] == "B", "all-ready", "upgrade");
    let plan = plan("upgrade", 1, &["small", "large"], false);
    // The recording begins after the images were made: that there was never a data source pod can't be said.
    judged(&plan, &journal("incompatible", &windows, untouched))
        .expect(3, &["18 passed, 2 inconclusive", "small/no-download", "large/no-download"]);
}

#[test]
fn ten_real_restarts_raise_no_alarm() {
    let windows = window("same-image-force", |mark| mark["what"] == "delete", "round-end", "restart");
    assert_eq!(windows.len(), 10);
    let plan = plan("restart", 10, &["small"], true);
    judged(&plan, &journal("same-image-force", &windows, untouched)).expect(0, &["130 passed"]);
}

#[test]
fn a_data_source_pod_for_an_instant_is_seen() {
    let windows = window("same-image-force", |mark| mark["what"] == "delete", "round-end", "restart");
    let plan = plan("restart", 10, &["small"], true);
    let bend = |watch: usize, begin: f64, lines: &mut Vec<Value>| {
        if STREAMS[watch].0 != "pods" {
            return;
        }
        let of = |line: &Value| line["object"]["metadata"]["name"] == "backing-image-ds-small";
        let mut pod = lines.iter().rev().find(|line| of(line)).expect("there was one").clone();
        let version = lines
            .iter()
            .filter(|line| second(line) < begin + 5.0)
            .filter_map(|line| line["object"]["metadata"]["resourceVersion"].as_str()?.parse::<u64>().ok())
            .max()
            .expect("there are pods");
        pod["object"]["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000001");
        for (after, how) in [(5.0, "ADDED"), (5.2, "DELETED")] {
            pod["t"] = json!(begin + after);
            pod["type"] = json!(how);
            pod["object"]["metadata"]["resourceVersion"] = json!((version + 1).to_string());
            lines.push(pod.clone());
        }
    };
    judged(&plan, &journal("same-image-force", &windows, bend))
        .expect(1, &["small/no-download[01]", "backing-image-ds-small"]);
}

#[test]
fn a_file_that_is_copied_again_after_the_takeover_is_seen() {
    let windows = window("upgrade", |mark| mark["what"] == "upgrade", "all-ready", "upgrade");
    let plan = plan("upgrade", 1, &["small", "large"], false);
    let bend = |watch: usize, begin: f64, lines: &mut Vec<Value>| {
        if STREAMS[watch].0 != "backingimages" {
            return;
        }
        // The first version with an entry after they all had vanished.
        let back = lines.iter_mut().find(|line| {
            let map = line["object"]["status"]["diskFileStatusMap"].as_object();
            second(line) > begin + 52.0
                && line["object"]["metadata"]["name"] == "small"
                && map.is_some_and(|map| !map.is_empty())
        });
        let map = back.expect("it came back")["object"]["status"]["diskFileStatusMap"].as_object_mut();
        for entry in map.expect("it is a map").values_mut() {
            entry["state"] = json!("in-progress");
        }
    };
    judged(&plan, &journal("upgrade", &windows, bend)).expect(1, &["small/existing-files-stay", "in-progress"]);
}
