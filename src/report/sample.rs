//! Runs for the tests of every report, told as stories.

mod checks;

use serde_json::{Value, json};

use crate::event::{
    CancelReason, Class, ClusterIdentity, EventKind, Failure, Note, Outcome, PlanFile, RunStart, SkipReason, StepNode,
    Verdict, When,
};
use crate::id::StepId;
use crate::view::{RunView, Story, hostile, node, red};

pub(super) use checks::{checked, flips, held, unseen, violated};

/// Every kind of run that a report must tell well, by name.
pub(super) fn all() -> Vec<(&'static str, RunView)> {
    vec![
        ("pass", pass().view()),
        ("embedded", embedded().view()),
        ("fail", fail().view()),
        ("red", red().view()),
        ("error", error().view()),
        ("inconclusive", inconclusive().view()),
        ("cancelled", cancelled().view()),
        ("incomplete", incomplete()),
        ("left", left().view()),
        ("hostile", told(&hostile())),
        ("rounds", rounds().view()),
        ("sixty", sixty().view()),
        ("retry", retry().view()),
        ("late-group", late_group().view()),
        ("checked", checks::checked().view()),
        ("held", checks::held().view()),
        ("unseen", checks::unseen().view()),
        ("violated", checks::violated()),
        ("recorded", checks::recorded().view()),
        ("flips", checks::flips().view()),
        ("empty", Story::new(Vec::new()).finish(Verdict::Pass, "nothing to do").view()),
    ]
}

const PLAN: &str = r#"#:schema ../schema/plan.schema.json

[plan]
name      = "restart"
title     = "Lab: every gadget pod killed at once, upgraded, rolled back"
about     = "Kills all pods of the DaemonSet at once, three times, and waits for new ones; then upgrades with real hooks, verifies by exec and rolls back."
namespace = "gadget-system"
covers    = ["C1", "C5", "C6", "C8"]

[vars]
rounds = 3
from   = "1.0.0"
to     = "2.0.0"

[objects.pods]
resource = "pods"
labels   = "app=gadget-node"

[steps.install]
covers       = ["C1"]
helm-install = { release = "gadget", chart = "../lab/charts/gadget-${vars.from}", timeout = "5m" }

[steps.download]
download = { url = "http://127.0.0.1:8080/parrot.qcow2", sha512 = "ab34…" }

[steps.restart]
needs  = ["install"]
repeat = { times = "${vars.rounds}" }

[steps.restart.steps.kill]
covers   = ["C5"]
pod-kill = { on = "pods", which = "all", grace = "0s" }

[steps.restart.steps.back]
needs = ["kill"]
wait  = { on = "pods", that = "ready(o) && !(o.metadata.uid in steps.kill.uids)", count = "${steps.kill.count}", stable = "5s" }

[steps.upgrade]
needs        = ["restart", "download"]
helm-upgrade = { release = "gadget", chart = "../lab/charts/gadget-${vars.to}" }

[steps.verify]
needs = ["upgrade"]
exec  = { on = "pods", command = ["cat", "/etc/gadget/version"] }
"#;

fn line_of(header: &str) -> usize {
    let at = PLAN.lines().position(|line| line == header);
    at.map_or(1, |at| at + 1)
}

fn lab(rounds: usize) -> Vec<StepNode> {
    let mut steps = vec![
        placed(node("install", "helm-install"), "[steps.install]")
            .about("The chart in its first version, with its hooks.")
            .covers(&["C1"]),
        placed(node("download", "download"), "[steps.download]")
            .about("Fetched beside the rest, with its digest checked."),
        placed(node("restart", "repeat"), "[steps.restart]")
            .about("Every pod is killed, then all must come back.")
            .needs(&["install"]),
    ];
    for round in 1..=rounds {
        let id = |inside: &str| format!("restart[{round:02}]{inside}");
        let mut group = placed(node(&id(""), "group"), "[steps.restart]");
        if round > 1 {
            group = group.needs(&[&format!("restart[{:02}]", round - 1)]);
        }
        steps.push(group);
        steps.push(
            placed(node(&id("/kill"), "pod-kill").covers(&["C5"]), "[steps.restart.steps.kill]")
                .about("All at once, without grace."),
        );
        steps.push(
            placed(node(&id("/back"), "wait").needs(&[&id("/kill")]).covers(&["C6"]), "[steps.restart.steps.back]")
                .about("As many new pods are ready as were killed, for 5 s."),
        );
    }
    steps.extend([
        placed(node("upgrade", "helm-upgrade").needs(&["restart", "download"]), "[steps.upgrade]")
            .about("To the second version; the hooks must pass."),
        placed(node("verify", "exec").needs(&["upgrade"]), "[steps.verify]")
            .about("Each pod says which version it runs.")
            .covers(&["C8"]),
        node("rollback", "helm-rollback").needs(&["verify"]),
        node("logs", "collect").needs(&["rollback"]).when(When::Always),
        node("remove", "helm-uninstall").needs(&["logs"]).when(When::Always),
    ]);
    steps
}

fn placed(mut node: StepNode, header: &str) -> StepNode {
    node.line = line_of(header);
    node
}

fn start(steps: Vec<StepNode>) -> RunStart {
    let story = Story::new(steps.clone());
    let EventKind::RunStarted(start) = story.events()[0].kind.clone() else { panic!("a story begins with its start") };
    let numbered = start.steps.clone();
    let steps = steps.into_iter().zip(numbered);
    RunStart {
        title: "Lab: every gadget pod killed at once, upgraded, rolled back".into(),
        about: "Kills all pods of the DaemonSet at once, three times, and waits for new ones; then upgrades with real hooks, verifies by exec and rolls back.".into(),
        covers: ["C1", "C5", "C6", "C8", "C9"].map(String::from).into(),
        files: vec![
            PlanFile {
                path: "plans/restart.toml".into(),
                text: PLAN.into(),
            },
            PlanFile {
                path: "helm-values/lab.yaml".into(),
                text: "image:\n  repository: gadget\n  pullPolicy: Never\n".into(),
            },
        ],
        vars: json!({ "rounds": 3, "from": "1.0.0", "to": "2.0.0" })
            .as_object()
            .cloned()
            .unwrap_or_default(),
        secrets: vec!["token".into()],
        started: "2026-11-22T14:30:00.25Z".parse().unwrap(),
        steps: steps
            .map(|(node, numbered)| StepNode {
                line: if node.line > 0 { node.line } else { numbered.line },
                ..node
            })
            .collect(),
        ..*start
    }
}

fn lab_story(rounds: usize) -> Story {
    Story::begin(start(lab(rounds)))
}

fn pods(round: usize) -> Note {
    Note::Table {
        title: "killed".into(),
        head: ["pod", "uid", "node", "answered after"].map(String::from).into(),
        rows: (1..=3)
            .map(|n| {
                vec![
                    format!("gadget-node-{}{n}x7k", ["a", "b", "c", "d"][round % 4]),
                    format!("5f1c0{n}de-77aa-4c1e-9b1d-0a{round:02}4b7e1c2d"),
                    format!("lab-{n}"),
                    format!("{}.{n}ms", round + 2),
                ]
            })
            .collect(),
    }
}

fn install(story: Story) -> Story {
    story
        .start("install")
        .start("download")
        .after(900)
        .note("download", Note::pair("size", "33.5 MB"))
        .after(3_400)
        .pass("download")
        .after(8_700)
        .note("install", Note::pair("revision", 1))
        .note(
            "install",
            Note::Block {
                title: "notes of the release".into(),
                text: "Gadget 1.0.0 is installed.\nWatch it: kubectl get gadgets -w\n".into(),
            },
        )
        .pass("install")
        .group("restart")
}

fn round(story: Story, n: usize) -> Story {
    let id = |inside: &str| format!("restart[{n:02}]{inside}");
    story
        .group(&id(""))
        .start(&id("/kill"))
        .after(45)
        .note(&id("/kill"), pods(n))
        .note(&id("/kill"), Note::pair("skew", format!("1.{n}ms")))
        .pass(&id("/kill"))
        .start(&id("/back"))
        .after(4_000)
        .progress(&id("/back"), "2 of 3 ready", &["pod/gadget-node-c: Pending"])
        .after(9_300 + 700 * n as u64)
        .pass(&id("/back"))
        .end(&id(""), Outcome::Passed, None)
        .after(2)
}

fn clean_up(story: Story) -> Story {
    story
        .start("logs")
        .after(1_200)
        .note("logs", Note::File { path: "logs/gadget-node.log".into(), about: "logs of 3 pods".into() })
        .pass("logs")
        .start("remove")
        .after(5_100)
        .pass("remove")
}

/// Everything passed, with notes of every shape.
pub(super) fn pass() -> Story {
    let mut story = install(lab_story(3));
    for n in 1..=3 {
        story = round(story, n);
    }
    story = story
        .end("restart", Outcome::Passed, None)
        .start("upgrade")
        .after(6_000)
        .note(
            "upgrade",
            Note::Retried { request: "GET /apis/gadgets.lab/v2".into(), reason: "connection refused".into() },
        )
        .after(11_000)
        .note("upgrade", Note::pair("revision", "1 → 2"))
        .note(
            "upgrade",
            Note::Diff {
                title: "images".into(),
                text: " DaemonSet/gadget-node\n-  image: gadget:1.0.0\n+  image: gadget:2.0.0\n".into(),
            },
        )
        .pass("upgrade")
        .start("verify")
        .after(350)
        .and(EventKind::StepFinished {
            step: StepId::root("verify"),
            outcome: Outcome::Passed,
            failure: None,
            outputs: json!({ "stdout": "2.0.0\n", "code": 0 }).as_object().cloned().unwrap_or_default(),
        })
        .start("rollback")
        .after(9_000)
        .pass("rollback");
    clean_up(story).finish(Verdict::Pass, "all 11 steps passed")
}

/// The same on the embedded cluster.
pub(super) fn embedded() -> Story {
    let whole = pass();
    let mut events = whole.events().iter().map(|event| event.kind.clone());
    let Some(EventKind::RunStarted(mut start)) = events.next() else { panic!("a story begins with its start") };
    start.cluster = Some(ClusterIdentity {
        context: "embedded".into(),
        server: "in this process".into(),
        version: "v1.34.4".into(),
        nodes: Some(3),
        embedded: true,
    });
    start.seed = 1;
    start.started = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut at = 0;
    let mut story = Story::begin(*start);
    for (kind, event) in events.zip(&whole.events()[1..]) {
        story = story.after((event.at.0 - at) / 1_000).and(kind);
        at = event.at.0 / 1_000 * 1_000;
    }
    story
}

fn unmet() -> Failure {
    Failure {
        expected: Some("3 of pods: ready(o) && !(o.metadata.uid in steps.kill.uids), for 5s".into()),
        observed: vec![
            "pod/gadget-node-b2x7k on lab-2: Running, container `gadget` not ready: readiness probe failed: HTTP 503"
                .into(),
            "pod/gadget-node-c3x7k on lab-3: Pending, waiting for `gadget`: CrashLoopBackOff (restarted 4 times)"
                .into(),
        ],
        causes: vec!["the last change was 41 s before the end".into()],
        ..Failure::new(Class::Timeout, "only 1 of 3 pods was ready again within 2m after the kill")
    }
}

/// The second round does not come back.
pub(super) fn fail() -> Story {
    let story = round(install(lab_story(3)), 1)
        .group("restart[02]")
        .start("restart[02]/kill")
        .after(48)
        .note("restart[02]/kill", pods(2))
        .note("restart[02]/kill", Note::pair("skew", "1.2ms"))
        .pass("restart[02]/kill")
        .start("restart[02]/back")
        .after(79_000)
        .progress("restart[02]/back", "1 of 3 ready", &["pod/gadget-node-b2x7k", "pod/gadget-node-c3x7k"])
        .after(41_000)
        .note(
            "restart[02]/back",
            Note::Block {
                title: "events of pod/gadget-node-c3x7k".into(),
                text: "14:31:02  Started    container gadget\n14:31:04  BackOff    restarting failed container\n"
                    .into(),
            },
        )
        .fail("restart[02]/back", unmet())
        .end("restart[02]", Outcome::Failed, Some(unmet()));
    let story = story
        .skip("restart[03]", SkipReason::RoundFailed { step: StepId::root("restart[02]") })
        .skip("restart[03]/kill", SkipReason::Group { step: StepId::root("restart[03]") })
        .skip("restart[03]/back", SkipReason::Group { step: StepId::root("restart[03]") })
        .end("restart", Outcome::Failed, Some(unmet()))
        .block("upgrade", "restart", Outcome::Failed)
        .block("verify", "upgrade", Outcome::Skipped)
        .block("rollback", "verify", Outcome::Skipped);
    clean_up(story)
        .finish(Verdict::Fail, "`restart[02]/back` failed: only 1 of 3 pods was ready again within 2m after the kill")
}

/// The chart can't be fetched: nothing could be tried.
fn error() -> Story {
    let failure = Failure {
        causes: vec![
            "helm exited with 1".into(),
            "Error: INSTALLATION FAILED: Kubernetes cluster unreachable: Get \"https://127.0.0.1:6443/version\": dial tcp 127.0.0.1:6443: connect: connection refused".into(),
        ],
        ..Failure::new(Class::Unreachable, "`helm install gadget` could not reach the cluster within 5m")
    };
    let mut story = lab_story(3)
        .start("install")
        .start("download")
        .after(4_300)
        .pass("download")
        .after(296_000)
        .fail("install", failure);
    story = story.block("restart", "install", Outcome::Errored);
    for n in 1..=3 {
        for inside in ["", "/kill", "/back"] {
            story =
                story.skip(&format!("restart[{n:02}]{inside}"), SkipReason::Group { step: StepId::root("restart") });
        }
    }
    let story = story
        .block("upgrade", "restart", Outcome::Skipped)
        .block("verify", "upgrade", Outcome::Skipped)
        .block("rollback", "verify", Outcome::Skipped)
        .start("logs")
        .after(10)
        .fail("logs", Failure::new(Class::Unreachable, "no pod could be listed"))
        .start("remove")
        .after(10)
        .pass("remove");
    story
        .warn("the journal's disk is 96 % full")
        .finish(Verdict::Error, "`install` errored: `helm install gadget` could not reach the cluster within 5m")
}

fn inconclusive() -> Story {
    Story::new(vec![
        node("upgrade", "helm-upgrade").about("While the image is still being copied."),
        node("check", "exec").needs(&["upgrade"]),
    ])
    .start("upgrade")
    .after(700)
    .fail(
        "upgrade",
        Failure {
            expected: Some("file/lab-1 in-progress".into()),
            observed: vec!["file/lab-1: ready".into()],
            ..Failure::new(Class::Undecided, "the race was lost: the copy ended before the upgrade began")
        },
    )
    .block("check", "upgrade", Outcome::Inconclusive)
    .finish(Verdict::Inconclusive, "`upgrade` is inconclusive: the race was lost")
}

/// Ctrl-C in the middle of a wait; clean-up ran.
pub(super) fn cancelled() -> Story {
    let by = CancelReason::Interrupt;
    let mut story = round(install(lab_story(2)), 1)
        .group("restart[02]")
        .start("restart[02]/kill")
        .after(40)
        .pass("restart[02]/kill")
        .start("restart[02]/back")
        .after(2_400)
        .cancel(by)
        .after(20)
        .end(
            "restart[02]/back",
            Outcome::Cancelled,
            Some(Failure::new(Class::Cancelled, "interrupted (SIGINT) with 2 of 3 ready")),
        )
        .end("restart[02]", Outcome::Cancelled, None)
        .end("restart", Outcome::Cancelled, None);
    for step in ["upgrade", "verify", "rollback"] {
        story = story.skip(step, SkipReason::Cancelled { by });
    }
    clean_up(story).finish(Verdict::Cancelled, "interrupted (SIGINT) after 32.8s")
}

/// Killed while the second round waits: the journal just stops.
pub(super) fn incomplete() -> RunView {
    let story = fail();
    let events = story.events();
    let back = events.iter().position(
        |event| matches!(&event.kind, EventKind::StepProgressed { step, .. } if step.as_str() == "restart[02]/back"),
    );
    RunView::of(&events[..=back.expect("the story tells progress")]).expect("a prefix is legal")
}

/// A second signal: clean-up was left where it stood.
fn left() -> Story {
    lab_story(1)
        .start("install")
        .after(3_000)
        .cancel(CancelReason::Interrupt)
        .after(900)
        .cancel(CancelReason::SecondSignal)
        .finish(Verdict::Cancelled, "left at once after a second signal")
}

/// Ten rounds, the fourth and the eighth fail.
pub(super) fn rounds() -> Story {
    let mut story = install(lab_story(10));
    for n in 1..=10 {
        if n == 4 || n == 8 {
            let id = |inside: &str| format!("restart[{n:02}]{inside}");
            story = story
                .group(&id(""))
                .start(&id("/kill"))
                .after(50)
                .note(&id("/kill"), pods(n))
                .pass(&id("/kill"))
                .start(&id("/back"))
                .after(120_000)
                .fail(&id("/back"), unmet())
                .end(&id(""), Outcome::Failed, Some(unmet()));
        } else {
            story = round(story, n);
        }
    }
    let story = story
        .end("restart", Outcome::Failed, Some(unmet()))
        .block("upgrade", "restart", Outcome::Failed)
        .block("verify", "upgrade", Outcome::Skipped)
        .block("rollback", "verify", Outcome::Skipped);
    clean_up(story).finish(
        Verdict::Fail,
        "2 of 10 rounds failed; first `restart[04]/back`: only 1 of 3 pods was ready again within 2m after the kill",
    )
}

/// A wide plan: cells side by side, and long names.
pub(super) fn sixty() -> Story {
    let mut steps = vec![node("install", "helm-install"), node("volumes", "cells").needs(&["install"])];
    let cells: Vec<String> = (1..=11).map(|n| format!("volumes[volume-{n:02}]")).collect();
    for cell in &cells {
        steps.push(node(cell, "group"));
        steps.push(node(&format!("{cell}/claim"), "apply"));
        steps.push(node(&format!("{cell}/bound"), "wait").needs(&[&format!("{cell}/claim")]));
        steps.push(node(&format!("{cell}/pod"), "apply").needs(&[&format!("{cell}/bound")]));
        steps.push(node(&format!("{cell}/write"), "write-file").needs(&[&format!("{cell}/pod")]));
        steps.push(node(&format!("{cell}/verify-what-was-written"), "verify-file").needs(&[&format!("{cell}/write")]));
    }
    steps.push(node("upgrade", "helm-upgrade").needs(&["volumes"]));
    steps.push(node("after", "verify-file").needs(&["upgrade"]));
    let mut story = Story::begin(start(steps)).start("install").after(9_000).pass("install").group("volumes");
    for cell in &cells {
        story = story.group(cell);
    }
    for (n, step) in ["claim", "bound", "pod", "write", "verify-what-was-written"].into_iter().enumerate() {
        for cell in &cells {
            story = story.start(&format!("{cell}/{step}")).after(40 + 30 * n as u64);
        }
        for cell in &cells {
            story = story.after(300 * (n as u64 + 1)).pass(&format!("{cell}/{step}"));
        }
    }
    for cell in &cells {
        story = story.end(cell, Outcome::Passed, None);
    }
    story
        .end("volumes", Outcome::Passed, None)
        .start("upgrade")
        .after(30_000)
        .pass("upgrade")
        .start("after")
        .after(900)
        .pass("after")
        .finish(Verdict::Pass, "all 58 steps passed")
}

/// Retries that the plan allows: one that helps, one that does not.
pub(super) fn retry() -> Story {
    let refused = |n: u32| Failure {
        causes: vec![format!("connection refused (try {n})")],
        ..Failure::new(Class::Unreachable, "the chart was not fetched")
    };
    Story::new(vec![
        node("fetch", "download").about("Three attempts are allowed."),
        node("probe", "http").needs(&["fetch"]),
    ])
    .start("fetch")
    .after(1_500)
    .again("fetch", 1, refused(1), 2_000)
    .after(3_100)
    .again("fetch", 2, refused(2), 2_000)
    .after(4_000)
    .pass("fetch")
    .start("probe")
    .after(300)
    .again("probe", 1, Failure::new(Class::Refused, "HTTP 503"), 1_000)
    .after(1_300)
    .fail("probe", Failure::new(Class::Refused, "HTTP 500"))
    .finish(Verdict::Fail, "`probe` failed: HTTP 500")
}

/// A group fails by its own timeout: no verb failed.
fn late_group() -> Story {
    let late = Failure::new(Class::Timeout, "the group did not end within 1m");
    Story::new(vec![node("all", "group"), node("all/slow", "wait"), node("after", "exec").needs(&["all"])])
        .group("all")
        .start("all/slow")
        .after(60_000)
        .end("all/slow", Outcome::Cancelled, Some(Failure::new(Class::Cancelled, "the timeout above it is over")))
        .fail("all", late)
        .block("after", "all", Outcome::Failed)
        .finish(Verdict::Fail, "`all` failed: the group did not end within 1m")
}

/// The same text from outside in every field that takes one.
pub(super) fn told(text: &str) -> RunView {
    let failure = Failure {
        causes: vec![text.into(), text.into()],
        expected: Some(text.into()),
        observed: vec![text.into(), String::new()],
        ..Failure::new(Class::Unmet, text)
    };
    let odd = |id: StepId, kind: &str| StepNode {
        id,
        about: text.into(),
        covers: vec![text.into()],
        file: text.into(),
        ..node("x", kind)
    };
    let (first, second) = (StepId::root("first").index(text), StepId::root("second").index(text));
    let mut start = start(vec![
        odd(first.clone(), text),
        odd(second.clone(), "exec").needs(&[first.as_str()]),
        odd(StepId::root("third"), "wait"),
    ]);
    start.title = text.into();
    start.about = text.into();
    start.plan = text.into();
    start.repro = text.into();
    start.lariat = text.into();
    start.files = vec![PlanFile { path: text.into(), text: text.into() }];
    start.vars = [(text.to_owned(), Value::from(text))].into_iter().collect();
    start.set = vec![text.into()];
    start.flags = vec![text.into()];
    start.secrets = vec![text.into()];
    start.covers = vec![text.into()];
    start.checks = checks::told(text);
    if let Some(cluster) = &mut start.cluster {
        cluster.context = text.into();
        cluster.server = text.into();
        cluster.version = text.into();
    }
    let mut story =
        Story::begin(start).start(first.as_str()).after(10).again(first.as_str(), 1, failure.clone(), 5).after(10);
    for note in [
        Note::text(text),
        Note::pair(text, text),
        Note::Table {
            title: text.into(),
            head: vec![text.into(), text.into()],
            rows: vec![vec![text.into(), text.into()]],
        },
        Note::Block { title: text.into(), text: text.into() },
        Note::Diff { title: text.into(), text: format!("-{text}\n+{text}") },
        Note::File { path: text.into(), about: text.into() },
        Note::Retried { request: text.into(), reason: text.into() },
    ] {
        story = story.note(first.as_str(), note);
    }
    story = story.progress(first.as_str(), text, &[text]);
    let outputs = [(text.to_owned(), Value::from(text))].into_iter().collect();
    let story = story
        .and(EventKind::StepFinished {
            step: first.clone(),
            outcome: Outcome::Failed,
            failure: Some(failure.clone()),
            outputs,
        })
        .block(second.as_str(), first.as_str(), Outcome::Failed)
        .start("third")
        .end("third", Outcome::Errored, Some(failure))
        .warn(text);
    checks::tell(story, text).finish(Verdict::Fail, text).view()
}

/// Every sample as every report, left in the folder that `LARIAT_SAMPLES` names for
/// browsers and parsers outside this process, else in one that goes again.
#[test]
fn samples_are_left_where_asked() {
    let brief = tempfile::tempdir().unwrap();
    let asked = std::env::var_os("LARIAT_SAMPLES").map(std::path::PathBuf::from);
    let folder = asked.as_deref().unwrap_or(brief.path());
    std::fs::create_dir_all(folder).unwrap();
    let paths = super::Paths { page: "report.html".into(), page_exists: true, ..super::Paths::default() };
    for (name, view) in all() {
        let leave = |kind: &str, text: String| {
            let path = folder.join(format!("{name}.{kind}"));
            assert!(!path.exists() || asked.is_some(), "two samples are called {name}");
            std::fs::write(path, text).unwrap();
        };
        leave("html", super::html(&view));
        leave("xml", super::junit(&view, super::Form::Extended, &paths));
        leave("strict.xml", super::junit(&view, super::Form::Strict, &paths));
    }
}
