//! Injected faults: what they do to a run, and what a report says of it.

use std::fmt::Write as _;
use std::time::Duration;

use lariat::event::{EventKind, Outcome};
use lariat::sim::{Place, faults};
use tokio::time::sleep;

use crate::support::Bench;
use crate::support::embedded::{Told, World};

const PLAN: &str = "
    [objects.maps]
    resource = 'configmaps'
    [steps.work]
    sleep = { for = '30s', because = 'the script beside it acts' }
    [checks.never-bad]
    during = 'work'
    never = { on = 'maps', that = 'o.data.state == \"bad\"' }
";

/// A run in which a state lives for five milliseconds while faults last.
async fn run(faults: &[String], state: &str) -> Told {
    let world = World::with_faults(faults);
    world.map("a", "good");
    let beside = async {
        sleep(Duration::from_secs(12)).await;
        world.change("a", state);
        sleep(Duration::from_millis(5)).await;
        world.change("a", "good");
    };
    world.run(PLAN, beside).await
}

/// Every fault of the API server from 10 s to 15 s; alone, and with the watches broken inside it, so that
/// they have to be opened again while it lasts. And what nobody can see: the history forgotten while there is no watch.
fn rows() -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for kind in faults().iter().filter(|kind| kind.place == Place::Api) {
        // Stale lists are told from true ones at the window's end.
        let lasts = if kind.name == "list-stale" { "25s" } else { "5s" };
        let fault = format!("{}:at=10s,for={lasts}", kind.name);
        rows.push(vec![fault.clone()]);
        if kind.name != "watch-drop" {
            rows.push(vec![fault, "watch-drop:at=11s".to_owned()]);
        }
    }
    rows.push(vec!["watch-drop:at=10s,for=5s".to_owned(), "watch-gone:at=13s".to_owned()]);
    rows
}

/// No silent pass: what was violated while the API server was in trouble is a failure, or the run
/// says that it could not see. And no false alarm.
#[tokio::test(start_paused = true)]
async fn a_violation_inside_a_fault_never_passes_silently() {
    let mut table = format!("{:<46}{:<16}{:<16}strikes\n", "faults", "violated", "not violated");
    let mut wrong = Vec::new();
    for faults in rows() {
        let violated = run(&faults, "bad").await;
        let strikes = violated.events.iter().filter(|event| matches!(event.kind, EventKind::FaultStruck { .. }));
        let (strikes, violated) = (strikes.count(), violated.check("never-bad"));
        let clean = run(&faults, "fine").await.check("never-bad");
        let name = faults.join(" ");
        writeln!(table, "{name:<46}{:<16}{:<16}{strikes}", violated.to_string(), clean.to_string())
            .expect("a String takes text");
        if !matches!(violated, Outcome::Failed | Outcome::Inconclusive) {
            wrong.push(format!("{name}: a violation inside it {violated}"));
        }
        if !matches!(clean, Outcome::Passed | Outcome::Inconclusive) {
            wrong.push(format!("{name}: without a violation it {clean}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}\n{table}");
    insta::assert_snapshot!(table, @"
    faults                                        violated        not violated    strikes
    watch-drop:at=10s,for=5s                      failed          passed          2
    watch-gone:at=10s,for=5s                      failed          passed          2
    watch-gone:at=10s,for=5s watch-drop:at=11s    failed          passed          2
    watch-repeat:at=10s,for=5s                    failed          passed          2
    watch-repeat:at=10s,for=5s watch-drop:at=11s  failed          passed          3
    list-stale:at=10s,for=25s                     failed          passed          1
    list-stale:at=10s,for=25s watch-drop:at=11s   failed          passed          2
    api-slow:at=10s,for=5s                        failed          passed          1
    api-slow:at=10s,for=5s watch-drop:at=11s      failed          passed          2
    api-busy:at=10s,for=5s                        failed          passed          1
    api-busy:at=10s,for=5s watch-drop:at=11s      failed          passed          2
    api-error:at=10s,for=5s                       failed          passed          1
    api-error:at=10s,for=5s watch-drop:at=11s     failed          passed          2
    api-conflict:at=10s,for=5s                    failed          passed          1
    api-conflict:at=10s,for=5s watch-drop:at=11s  failed          passed          2
    answer-cut:at=10s,for=5s                      failed          passed          1
    answer-cut:at=10s,for=5s watch-drop:at=11s    failed          passed          2
    answer-lost:at=10s,for=5s                     failed          passed          1
    answer-lost:at=10s,for=5s watch-drop:at=11s   failed          passed          2
    api-down:at=10s,for=5s                        failed          passed          2
    api-down:at=10s,for=5s watch-drop:at=11s      failed          passed          2
    watch-drop:at=10s,for=5s watch-gone:at=13s    inconclusive    inconclusive    2
    ");
}

const POD: &str = r#"
[plan]
name      = "small"
namespace = "default"

[objects.pods]
resource = "pods"
labels   = "app=db"

[steps.db.apply.object]
apiVersion = "apps/v1"
kind       = "Deployment"
metadata   = { name = "db" }

[steps.db.apply.object.spec]
replicas = 1
selector = { matchLabels = { app = "db" } }
template = { metadata = { labels = { app = "db" } }, spec = { containers = [{ name = "db", image = "example/db:1" }] } }

[steps.up]
needs = ["db"]
wait  = { on = "pods", that = "ready(o)", count = 1, stable = "1m" }
"#;

#[test]
fn every_report_says_what_was_injected_and_what_it_met() {
    let bench = Bench::with(POD);
    let (met, unmet) = ("pod-crash:at=20s,label=app=db", "site-slow");
    bench.lariat(["run", "plan.toml", "--fault", met, "--fault", unmet]).expect(
        0,
        &[
            "embedded cluster, virtual time, seed 1",
            "with the fault `pod-crash:at=20s,label=app=db`",
            "/db ended with code 1",
            "the fault `site-slow` was injected and met nothing",
        ],
    );
    let report = |file: &str, told: &[&str]| {
        let text = bench.latest("small", file);
        for told in told {
            assert!(text.contains(told), "`{told}` is not in {file}:\n{text}");
        }
    };
    report(
        "report.html",
        &["embedded cluster, virtual time, seed 1", met, "ended with code 1", "site-slow: met nothing"],
    );
    report("junit.xml", &["embedded cluster, virtual time, seed 1", "pod-crash:at=20s,label=app=db (struck 1 time)"]);
    report("summary.json", &["embedded cluster, virtual time, seed 1", "\"struck\": []", "ended with code 1"]);
    report("events.jsonl", &["\"faults\":[\"pod-crash:at=20s,label=app=db\",\"site-slow\"]", "fault-struck"]);
    let summary: serde_json::Value = serde_json::from_str(&bench.latest("small", "summary.json")).expect("JSON");
    assert!(
        summary["repro"].as_str().expect("a line").ends_with("--fault pod-crash:at=20s,label=app=db --fault site-slow")
    );
    // What the crash did is in the same journal again.
    let first = bench.latest("small", "events.jsonl");
    bench.lariat(["run", "plan.toml", "--fault", met, "--fault", unmet]).expect(0, &[]);
    assert!(first == bench.latest("small", "events.jsonl"), "the same seed and faults gave another journal");
}

#[test]
fn faults_that_are_none_are_usage_errors() {
    let bench = Bench::with(POD);
    let says = |fault: &str, told: &[&str]| {
        bench.lariat(["run", "plan.toml", "--fault", fault]).expect(2, told);
    };
    says("watch-dorp", &["there is no fault `watch-dorp`, did you mean `watch-drop`?", "lariat sim faults"]);
    says("api-slow:buy=2s", &["has no `buy`, did you mean `by`?"]);
    says("api-slow:by=soon", &["`soon` is no `by` of the fault `api-slow`, which is a duration, such as `30s`"]);
    bench
        .lariat(["run", "plan.toml", "--fault", "api-slow", "--context", "prod"])
        .expect(2, &["`--fault api-slow` can't be injected: the cluster `prod` is a real one"]);
    let local = Bench::with("[plan]\nname = \"p\"\n[steps.s]\nsleep = { for = \"1s\", because = \"it is a test\" }\n");
    local.lariat(["run", "plan.toml", "--fault", "api-slow"]).expect(2, &["runs without the embedded cluster"]);
    assert!(!bench.path().join("reports").exists(), "nothing was run");
    let list = bench.lariat(["sim", "faults"]);
    list.expect(0, &["watch-drop: ", "pod-stuck: ", "site-wrong: ", "(2s)"]);
}
