//! `lariat judge`, and reports of runs that were cut off: the real binary on journals of runs on
//! the embedded API server.

use std::time::Duration;

use lariat::event::{EventKind, Verdict};
use tokio::time::sleep;

use crate::support::Bench;
use crate::support::embedded::{Told, World};

const PLAN: &str = "
    [vars]
    wrong = 'bad'
    [objects.maps]
    resource = 'configmaps'
    [steps.work]
    sleep = { for = '10s', because = 'the script beside it acts' }
    [checks.there]
    during = 'work'
    constant = { on = 'maps', value = 'o.metadata.uid' }
";

const NEVER: &str = "
    [checks.never]
    during = 'work'
    never = { on = 'maps', that = 'o.data.state == vars.wrong' }
";

/// A run in which a state came and went, and a bench beside its folder.
async fn recorded() -> (Bench, Told) {
    let world = World::new();
    world.map("a", "good");
    let told = world
        .run(PLAN, async {
            sleep(Duration::from_secs(3)).await;
            world.change("a", "bad");
            sleep(Duration::from_millis(5)).await;
            world.change("a", "good");
        })
        .await;
    assert_eq!(told.verdict, Verdict::Pass, "{}", told.text());
    let bench = Bench::new();
    bench.write("world.toml", plan(""));
    told.write(&bench.path().join("run"));
    (bench, told)
}

fn plan(more: &str) -> String {
    format!("[plan]\nname = 'world'\nnamespace = 'ns'\n{PLAN}{more}")
}

#[tokio::test(start_paused = true)]
async fn a_check_that_was_not_in_the_plan_is_judged_on_the_journal() {
    let (bench, _) = recorded().await;
    bench.write("never.toml", plan(NEVER).replace("name = 'world'", "name = 'other'"));
    let args = ["judge", "run", "never.toml", "--junit", "out/junit.xml", "--html", "out/page.html"];
    let judged = bench.lariat(args);
    judged.expect(1, &["check `never` failed", "judged from the journal by 2 checks of never.toml"]);
    // The last words are about this judgement and not about the run.
    judged.expect(1, &["The plan other failed", "lariat judge run never.toml", "report: out/page.html"]);
    assert!(!judged.stderr.contains("no report was written"), "{}", judged.stderr);
    let read = |file: &str| std::fs::read_to_string(bench.path().join(file)).expect("it was written");
    assert!(read("out/junit.xml").contains("check/never"), "{}", read("out/junit.xml"));
    assert!(read("out/page.html").contains("never"));
    assert!(!bench.path().join("run/junit.xml").exists(), "the run's folder stays as it is");

    bench.lariat(["judge", "run", "never.toml", "--set", "wrong=worse"]).expect(0, &["2 checks judged"]);
    bench.lariat(["judge", "run", "world.toml"]).expect(0, &["1 check judged"]);
}

/// Each `wait` has a watch of its own; what one of them saw counts, and between them nothing is known.
#[tokio::test(start_paused = true)]
async fn what_the_watches_of_waits_saw_is_judged_together() {
    const WAITS: &str = "
        [objects.maps]
        resource = 'configmaps'
        [steps.spoiled]
        wait = { on = 'maps', that = \"o.data.state == 'bad'\" }
        [steps.between]
        needs = ['spoiled']
        sleep = { for = '2s', because = 'nobody watches' }
        [steps.mended]
        needs = ['between']
        wait = { on = 'maps', that = \"o.data.state == 'good'\" }
        [vars]
        wrong = 'bad'
    ";
    let world = World::new();
    world.map("a", "good");
    let told = world
        .run(WAITS, async {
            sleep(Duration::from_secs(1)).await;
            world.change("a", "bad");
            sleep(Duration::from_secs(1)).await;
            world.change("a", "good");
        })
        .await;
    assert_eq!(told.verdict, Verdict::Pass, "{}", told.text());
    let bench = Bench::new();
    let never = "[checks.never]\nnever = { on = 'maps', that = 'o.data.state == vars.wrong' }\n";
    bench.write("again.toml", format!("[plan]\nname = 'world'\nnamespace = 'ns'\n{WAITS}{never}"));
    told.write(&bench.path().join("run"));
    bench
        .lariat(["judge", "run", "again.toml"])
        .expect(1, &["what must never hold did: `a` held, 1.0s into the window"]);
    let unsure = bench.lariat(["judge", "run", "again.toml", "--set", "wrong=worse"]);
    unsure.expect(3, &["nobody watched these objects in between"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_recorded_is_not_judged() {
    let (bench, _) = recorded().await;
    let pods = "
        [objects.pods]
        resource = 'pods'
        [checks.nobody]
        during = 'work'
        never = { on = 'pods' }
    ";
    bench.write("pods.toml", plan(pods));
    bench.lariat(["judge", "run", "pods.toml"]).expect(3, &["check `nobody` was inconclusive", "was not recorded"]);
}

#[test]
fn a_judgement_needs_a_run_and_checks() {
    let bench = Bench::with("[plan]\nname = 'p'\n[steps.a]\nsleep = { for = '1s', because = 'x' }\n");
    bench.lariat(["judge", "nothing", "plan.toml"]).expect(2, &["nothing"]);
    bench.lariat(["run", "plan.toml"]).expect(0, &[]);
    bench.lariat(["judge", "p", "plan.toml"]).expect(2, &["has no checks"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_cut_off_says_what_was_not_judged() {
    let (bench, told) = recorded().await;
    // As after SIGKILL: the journal ends with any line, or in the middle of one.
    for cut in 1..=told.events.len() {
        let events = told.events[..cut].to_vec();
        let whole = events.iter().any(|event| matches!(event.kind, EventKind::RunFinished { .. }));
        let judged = events.iter().any(|event| matches!(event.kind, EventKind::CheckJudged { .. }));
        let folder = bench.path().join(format!("cut-{cut}"));
        Told { events, verdict: told.verdict }.write(&folder);
        if cut % 4 != 0 && !whole {
            continue;
        }
        let name = format!("cut-{cut}");
        let ran = bench.lariat(["report", &name]);
        ran.expect(0, &[]);
        let says = ran.stderr.contains(&format!("lariat judge {name} world.toml"));
        assert_eq!(says, !whole && !judged, "after {cut} events:\n{}", ran.stderr);
        let again = bench.lariat(["judge", &name, "world.toml"]);
        again.expect(if judged { 0 } else { 3 }, &["judged from the journal"]);
    }
}
