//! The stream itself: whole, masked, the same every time.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::seconds;
use crate::engine::script::{Script, Stage, progress, stage};
use crate::event::{CancelReason, Class, EventKind, Note, Verdict};
use crate::step::{Done, Error, StepContext};

#[tokio::test(start_paused = true)]
async fn a_lost_journal_starts_nothing_more_and_spoils_the_verdict() {
    let plan = "[steps.a]
         STEP
         [steps.b]
         needs = ['a']
         STEP
         [steps.tidy]
         when = 'always'
         STEP";
    for room in 0..8 {
        let acted = Arc::new(Mutex::new(Vec::new()));
        let mut script = Script::new();
        for step in ["a", "b", "tidy"] {
            let acted = Arc::clone(&acted);
            script = script.act(step, move |_| {
                acted.lock().unwrap().push(step);
                async { Ok(Done::default()) }
            });
        }
        let told = stage(plan, script).room(room).run().await;
        assert_eq!((told.verdict, told.events.len()), (Verdict::Error, room), "{room}");
        // A step acts only when its start is written.
        let started = told.events.iter().filter(|event| matches!(event.kind, EventKind::StepStarted { .. }));
        assert_eq!(acted.lock().unwrap().len(), started.count(), "{room}");
    }
    let told = stage(plan, Script::new()).room(8).run().await;
    assert_eq!((told.verdict, told.events.len()), (Verdict::Pass, 8));
}

#[tokio::test(start_paused = true)]
async fn what_a_step_says_comes_before_its_end_and_is_masked() {
    let told = stage(
        "[steps.a]
         STEP",
        Script::new().act("a", |ctx| async move {
            ctx.note(Note::text("token is hunter22"));
            ctx.progress(progress("1 of 2", &[]));
            ctx.progress(progress("1 of 2", &[]));
            ctx.progress(progress("2 of 2", &[]));
            Ok(Done::default().with("token", "hunter22"))
        }),
    )
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r#"
    0 start a
    0 a notes Text { text: "token is ***" }
    0 a says 1 of 2
    0 a says 2 of 2
    0 passed a
    0 pass: 1 step passed
    "#);
    assert_eq!(told.outputs("a"), json!({ "token": "***" }));
}

#[tokio::test(start_paused = true)]
async fn the_same_script_tells_the_same_story() {
    let play = || async {
        let mut plan = String::new();
        for i in 0..40 {
            let needs = if i < 5 { String::new() } else { format!("needs = ['s{}', 's{}']\n", i - 5, i - 3) };
            write!(plan, "[steps.s{i}]\nretry = {{ attempts = 2 }}\n{needs}STEP\n").unwrap();
        }
        let mut script = Script::new();
        for i in 0..40 {
            script = script.act(&format!("s{i}"), move |ctx| async move {
                ctx.note(Note::pair("attempt", ctx.attempt));
                seconds(i % 4).await;
                if i % 7 == 3 && ctx.attempt == 1 {
                    Err(Error::new(Class::Refused, "not yet"))
                } else {
                    Ok(Done::default())
                }
            });
        }
        stage(&plan, script).jobs(3).run().await.events
    };
    let first = play().await;
    for _ in 0..5 {
        assert_eq!(play().await, first);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_runs_on_many_threads() {
    let quick = |ctx: StepContext| async move {
        tokio::task::yield_now().await;
        ctx.note(Note::text("done"));
        Ok(Done::default())
    };
    let mut plan = String::new();
    let mut script = Script::new();
    for i in 0..200 {
        let needs = if i < 10 { String::new() } else { format!("needs = ['s{}']\n", i - 10) };
        write!(plan, "[steps.s{i}]\n{needs}STEP\n").unwrap();
        script = script.act(&format!("s{i}"), quick);
    }
    let told = stage(&plan, script).jobs(8).run().await;
    assert_eq!(told.verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_steps_keep_all_permits_busy() {
    let began = Instant::now();
    let plan = "[steps.s]
         for-each = '${range(9990)}'
         STEP";
    let told = stage(plan, Script::new()).jobs(64).run().await;
    assert_eq!(told.verdict, Verdict::Pass);
    assert_eq!(began.elapsed(), Duration::from_secs(9990_u64.div_ceil(64)));
    let started = told.events.iter().filter(|event| matches!(event.kind, EventKind::StepStarted { .. }));
    let order: Vec<_> = started.filter_map(|event| event.kind.step()).map(|step| step.as_str().to_owned()).collect();
    assert_eq!(order[0], "s[0]");
    assert_eq!(order[9989], "s[9989]");
}

/// Plans, scripts and signals off a few numbers: whatever happens, the run ends and its story is whole.
fn any_run(seed: u64) -> Stage {
    let mut state = seed;
    let mut pick = |n: u64| {
        // Knuth's constants: any mixing will do.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let (mut plan, mut script) = (String::new(), Script::new());
    for group in 0..3 {
        let timeout = if pick(4) == 0 { "timeout = '6s'\n" } else { "" };
        let needs = if group > 0 && pick(2) == 0 { format!("needs = ['g{}']\n", group - 1) } else { String::new() };
        write!(plan, "[steps.g{group}]\n{needs}{timeout}").unwrap();
        let mut before: Option<u64> = None;
        for step in 0..4 {
            let needs = before.filter(|_| pick(2) == 0).map(|before| format!("needs = ['s{before}']\n"));
            let more = match pick(9) {
                0 => "when = 'always'\n",
                1 => "when = 'failed'\n",
                2 => "retry = { attempts = 3, delay = '1s' }\n",
                3 if step < 3 => "background = { until = 's3' }\n",
                4 => "timeout = '2s'\n",
                _ => "",
            };
            let clean_up = more.starts_with("when");
            let needs = needs.filter(|_| !clean_up).unwrap_or_default();
            // What needs clean-up that waits for it would be a circle.
            before = if clean_up { before } else { Some(step) };
            let verb = ["STEP", "WAIT", "CALL"][usize::try_from(pick(3)).unwrap()];
            write!(plan, "[steps.g{group}.steps.s{step}]\n{needs}{more}{verb}\n").unwrap();
            let id = format!("g{group}/s{step}");
            let (takes, ends) = (pick(4), pick(8));
            script = script.act(&id, move |ctx| async move {
                seconds(takes).await;
                ctx.up();
                ctx.progress(progress("half way", &["the other half"]));
                match ends {
                    0 => std::future::pending().await,
                    1 => Err(Error::new(Class::Unmet, "no")),
                    2 => Err(Error::new(Class::Unreachable, "no answer")),
                    3 if ctx.attempt == 1 => panic!("a bug"),
                    4 => {
                        ctx.cancel.cancelled().await;
                        seconds(takes * 3).await;
                        Ok(Done::default())
                    }
                    _ => Ok(Done::default()),
                }
            });
        }
    }
    let mut run = stage(&plan, script).jobs(usize::try_from(1 + pick(4)).unwrap());
    if pick(3) == 0 {
        run = run.fail_fast();
    }
    if pick(2) == 0 {
        let first = pick(20);
        run = run.signal(first, CancelReason::Interrupt);
        if pick(2) == 0 {
            run = run.signal(first + pick(8), CancelReason::Interrupt);
        }
    }
    run
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_the_run_ends_and_its_story_is_whole() {
    for seed in 0..150 {
        let run = tokio::time::timeout(Duration::from_secs(100_000), any_run(seed).run());
        let told = run.await.unwrap_or_else(|_| panic!("seed {seed} does not end"));
        let again = any_run(seed).run().await;
        assert_eq!(told.events, again.events, "seed {seed}");
    }
}
