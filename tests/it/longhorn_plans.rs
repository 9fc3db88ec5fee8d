//! The plans for Longhorn on the embedded cluster: healthy ones pass, wrongs that are built in are
//! found by the check that is there for them, and a mistaken imitation stops the run.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::{Bench, Ran};

/// Less of everything: what decides is the same.
const SMALL: [&str; 2] = ["volumes=1", "write_size=64Ki"];
/// One round that is soon over.
const SHORT: [&str; 4] = ["rounds=1", "calm=10s", "quiet=30s", "write_size=64Ki"];

fn run(bench: &Bench, plan: &str, seed: u64, set: &[&str], fault: Option<&str>) -> Ran {
    let plan = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("plans/{plan}.toml"));
    let mut args = vec!["run".to_owned(), plan.display().to_string(), "--seed".to_owned(), seed.to_string()];
    args.extend(set.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]));
    args.extend(fault.into_iter().flat_map(|fault| ["--fault".to_owned(), fault.to_owned()]));
    bench.lariat(args)
}

/// A run as it is written, and two smaller ones with other seeds.
fn passes(plan: &str, smaller: &[&str]) {
    let bench = Bench::new();
    run(&bench, plan, 1, &[], None).expect(0, &["PASS"]);
    for seed in [2, 3] {
        run(&bench, plan, seed, smaller, None).expect(0, &["PASS"]);
    }
}

#[test]
fn a_compatible_upgrade_passes() {
    passes("compatible", &SMALL);
}

#[test]
fn an_incompatible_upgrade_passes() {
    passes("incompatible", &SMALL);
}

#[test]
fn ten_restarts_of_all_managers_pass() {
    let set: Vec<&str> = SHORT.into_iter().chain(["volumes=0"]).collect();
    passes("same-image", &set);
}

/// What a violated check says in the journal: its first moment.
fn moment(bench: &Bench, plan: &str, check: &str) -> Value {
    let journal = bench.latest(plan, "events.jsonl");
    let events = journal.lines().map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
    let mut violated = events.map(|event| event["kind"]["check-violated"].clone());
    violated.find(|violated| violated["check"] == check).unwrap_or_else(|| panic!("{check} was not violated"))["moment"]
        .clone()
}

/// The test case of a check in the `JUnit` report, with all that stands in it.
fn case(bench: &Bench, plan: &str, check: &str) -> String {
    let junit = bench.latest(plan, "junit.xml");
    let begins = format!("<testcase name=\"check/{check}\"");
    let (_, rest) = junit.split_once(&begins).unwrap_or_else(|| panic!("no case {check}"));
    rest.split_once("</testcase>").expect("a case ends").0.to_owned()
}

/// Red at this check, by a moment of this track; the same in the report for machines.
fn red_at(bench: &Bench, plan: &str, check: &str, track: &str, shows: &[&str]) {
    let moment = moment(bench, plan, check);
    assert!(moment["track"].as_str().is_some_and(|own| own.starts_with(track)), "{check}: {moment}");
    let case = case(bench, plan, check);
    assert!(case.contains("<failure type=\"violated\""), "{case}");
    assert!(case.contains(&format!("event {}", moment["event"])), "{case}");
    for text in shows {
        assert!(case.contains(text), "`{text}` is not in\n{case}");
    }
}

#[test]
fn a_data_source_pod_of_an_instant_is_seen() {
    let bench = Bench::new();
    let set: Vec<&str> = SHORT.into_iter().chain(["volumes=0"]).collect();
    let ran = run(&bench, "same-image", 1, &set, Some("bids-relaunch-on-unknown"));
    ran.expect(1, &["check `no-second-download` failed"]);
    let pod = "backing-image-ds-lariat-c-image";
    red_at(&bench, "same-image", "no-second-download", pod, &["appeared", "restart[01]/kill", "kind: Pod"]);
}

#[test]
fn files_that_old_managers_delete_are_missed() {
    let bench = Bench::new();
    let ran = run(&bench, "incompatible", 1, &SMALL, Some("old-bim-deletes-files"));
    ran.expect(1, &["check `image/existing-files-stay` failed"]);
    let shows = ["after `upgrade/helm` (helm-upgrade)", "state: "];
    red_at(&bench, "incompatible", "image/existing-files-stay", "lariat-b-image[", &shows);
}

#[test]
fn a_replica_that_crashed_and_is_healthy_again_is_not_forgotten() {
    let bench = Bench::new();
    let ran = run(&bench, "incompatible", 1, &SMALL, Some("replica-crash-during-takeover"));
    ran.expect(1, &["check `volumes/replica-error` failed"]);
    red_at(&bench, "incompatible", "volumes/replica-error", "lariat-b-0-r-", &["currentState: error"]);
    red_at(&bench, "incompatible", "volumes/replica-failed", "lariat-b-0-r-", &["failedAt"]);
    red_at(&bench, "incompatible", "volumes/never-degraded", "lariat-b-0", &["robustness: degraded"]);
    // Rebuilt in the end: no step is red, and waiting for a healthy system alone would have passed.
    let outcomes = outcomes(&bench, "incompatible");
    assert_eq!(outcomes["complete/complete"], "passed");
    assert!(!outcomes.values().any(|outcome| outcome == "failed"), "{outcomes:?}");
}

/// How each step went, by the journal; one that did not run was skipped.
fn outcomes(bench: &Bench, plan: &str) -> BTreeMap<String, String> {
    let journal = bench.latest(plan, "events.jsonl");
    let events = journal.lines().map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
    let ends = events.filter_map(|event| {
        let (kind, facts) = event["kind"].as_object()?.iter().next()?;
        let outcome = match kind.as_str() {
            "step-finished" => facts["outcome"].as_str()?,
            "step-skipped" => "skipped",
            _ => return None,
        };
        Some((facts["step"].as_str()?.to_owned(), outcome.to_owned()))
    });
    ends.collect()
}

/// A plan that does from outside what the imitation promises never to do: a uuid changes.
const BENT: &str = r#"
[plan]
name      = "bent"
namespace = "longhorn-system"

[objects.image]
resource = "backingimages.longhorn.io"
name     = "small"

[objects.nodes]
resource = "nodes.longhorn.io"

[steps.install]
helm-install = { release = "longhorn", chart = "longhorn", repo = "https://charts.longhorn.io", version = "1.12.1" }

[steps.nodes]
needs   = ["install"]
timeout = "5m"
wait    = { on = "nodes", min = 3, that = "values(o.status.diskStatus).exists(d, condition(d, 'Ready') == 'True')" }

[steps.image]
needs = ["nodes"]

[steps.image.apply.object]
apiVersion = "longhorn.io/v1beta2"
kind       = "BackingImage"
metadata   = { name = "small" }
spec       = { sourceType = "download", sourceParameters = { url = "https://longhorn-backing-image.s3-us-west-1.amazonaws.com/parrot.qcow2" } }

[steps.known]
needs   = ["image"]
timeout = "5m"
wait    = { on = "image", that = "o.status.uuid != ''" }

[steps.bend]
needs = ["known"]
patch = { on = "image", subresource = "status", merge = { status = { uuid = "deadbeef" } } }

[steps.after]
needs = ["bend"]
sleep = { for = "10m", because = "it is never waited for" }

[steps.tidy]
when   = "always"
delete = { on = "image" }
"#;

#[test]
fn a_mistake_of_the_imitation_stops_the_run_as_our_bug() {
    let bench = Bench::with(BENT);
    let ran = bench.lariat(["run", "plan.toml"]);
    let told = "this is a bug in lariat, not in your plan or in what it tests: the embedded Longhorn broke a rule";
    ran.expect(4, &[told, "`/status/uuid` of `small` changed from"]);
    assert!(bench.latest("bent", "summary.json").contains(r#""verdict": "error""#));
    assert!(bench.latest("bent", "events.jsonl").contains(r#""by":"mistaken""#));
    let outcomes = outcomes(&bench, "bent");
    assert_eq!((outcomes["after"].as_str(), outcomes["tidy"].as_str()), ("skipped", "skipped"));
    // With a fault in it nothing is promised.
    let ran = bench.lariat(["run", "plan.toml", "--fault", "api-slow:by=1ms", "--skip", "after"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}
