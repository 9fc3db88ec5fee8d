//! Signals, `--fail-fast` and the plan's own timeout.

use super::{by_attempt, seconds};
use crate::engine::script::{Script, progress, stage, stage_of};
use crate::event::{CancelReason, Class};
use crate::step::{Done, Error};

#[tokio::test(start_paused = true)]
async fn a_step_that_winds_up_with_its_work_done_has_passed() {
    let told = stage(
        "[steps.a]
         STEP
         [steps.b]
         needs = ['a']
         STEP",
        Script::new().act("a", |ctx| async move {
            ctx.cancel.cancelled().await;
            seconds(3).await;
            Ok(Done::default())
        }),
    )
    .signal(10, CancelReason::Interrupt)
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
     0 start a
    10 cancel: interrupted (SIGINT)
    13 passed a
    13 skip b: the run was cancelled: interrupted (SIGINT)
    13 cancelled: interrupted (SIGINT)
    ");
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_ends_what_runs_and_clean_up_still_runs() {
    let told = stage(
        "[steps.a]
         STEP
         [steps.b]
         CALL
         [steps.c]
         needs = ['a']
         STEP
         [steps.tidy]
         when = 'always'
         needs = ['c']
         STEP",
        Script::new()
            .act("a", |ctx| async move {
                ctx.progress(progress("half way", &[]));
                ctx.cancel.cancelled().await;
                seconds(2).await;
                Err(Error::new(Class::Refused, "killed by signal 15"))
            })
            .hangs("b")
            .takes("tidy", 5),
    )
    .signal(10, CancelReason::Interrupt)
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
     0 start a
     0 start b
     0 a says half way
     0 b says 2 of 3 ready
    10 cancel: interrupted (SIGINT)
    10 cancelled b: cut short: interrupted (SIGINT); last seen: 2 of 3 ready [pod-b: not ready]
    12 cancelled a: cut short: interrupted (SIGINT); last seen: half way: killed by signal 15
    12 skip c: the run was cancelled: interrupted (SIGINT)
    12 start tidy
    17 passed tidy
    17 cancelled: interrupted (SIGINT)
    ");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_wind_down_is_dropped_after_five_seconds_and_clean_up_after_the_grace() {
    let told = stage(
        "[steps.a]
         STEP
         [steps.tidy]
         when = 'always'
         CALL",
        Script::new().hangs("a").hangs("tidy"),
    )
    .signal(10, CancelReason::Terminate)
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
     0 start a
     0 a says 2 of 3 ready
    10 cancel: terminated (SIGTERM)
    15 cancelled a: cut short: terminated (SIGTERM); last seen: 2 of 3 ready: did not end within 5.0s of being asked to, and was dropped [pod-b: not ready]
    15 start tidy
    15 tidy says 2 of 3 ready
    70 warning: clean-up was not done within 1m00s and is ended
    70 cancelled tidy: cut short: terminated (SIGTERM); last seen: 2 of 3 ready [pod-b: not ready]
    70 cancelled: terminated (SIGTERM)
    ");
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_leaves_at_once() {
    let told = stage(
        "[steps.g]
         [steps.g.steps.a]
         STEP
         [steps.g.steps.b]
         needs = ['a']
         STEP
         [steps.tidy]
         when = 'always'
         STEP
         [steps.last]
         needs = ['tidy']
         when = 'always'
         STEP",
        Script::new().hangs("g/a").hangs("tidy"),
    )
    .signal(10, CancelReason::Interrupt)
    .signal(12, CancelReason::Interrupt)
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
     0 open g
     0 start g/a
     0 g/a says 2 of 3 ready
    10 cancel: interrupted (SIGINT)
    12 cancel: a second signal
    12 cancelled g/a: cut short: a second signal; last seen: 2 of 3 ready [pod-b: not ready]
    12 skip g/b: the run was cancelled: a second signal
    12 cancelled g: `g/a` cancelled: cut short: a second signal; last seen: 2 of 3 ready [pod-b: not ready]
    12 skip tidy: the run was cancelled: a second signal
    12 skip last: the run was cancelled: a second signal
    12 cancelled: a second signal
    ");
    let told = stage("[steps.a]\nSTEP\n[steps.tidy]\nwhen = 'always'\nSTEP", Script::new().hangs("a").hangs("tidy"))
        .signal(10, CancelReason::Interrupt)
        .signal(20, CancelReason::Terminate)
        .run()
        .await;
    insta::assert_snapshot!(told.story(), @r"
     0 start a
     0 a says 2 of 3 ready
    10 cancel: interrupted (SIGINT)
    15 cancelled a: cut short: interrupted (SIGINT); last seen: 2 of 3 ready: did not end within 5.0s of being asked to, and was dropped [pod-b: not ready]
    15 start tidy
    15 tidy says 2 of 3 ready
    20 cancel: a second signal
    20 cancelled tidy: cut short: a second signal; last seen: 2 of 3 ready [pod-b: not ready]
    20 cancelled: a second signal
    ");
}

#[tokio::test(start_paused = true)]
async fn a_signal_between_two_attempts_ends_the_step() {
    let told = stage(
        "[steps.a]
         retry = { attempts = 2, delay = '1m' }
         STEP",
        Script::new().act("a", by_attempt(&[false, true])),
    )
    .signal(10, CancelReason::Interrupt)
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
     0 start a
     1 again a: attempt 1 the server said no, next in 60s
    10 cancel: interrupted (SIGINT)
    10 cancelled a: cut short: interrupted (SIGINT): the server said no
    10 cancelled: interrupted (SIGINT)
    ");
}

#[tokio::test(start_paused = true)]
async fn a_signal_while_a_group_waits_for_its_requirement_opens_nothing() {
    let told = stage(
        "[objects.pods]
         resource = 'pods'
         [steps.g]
         require = { on = 'pods', within = '1m' }
         [steps.g.steps.x]
         STEP",
        Script::new().require("g", |_| std::future::pending()),
    )
    .signal(10, CancelReason::Interrupt)
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
     0 open g
    10 cancel: interrupted (SIGINT)
    10 skip g/x: its group `g` did not get to it
    10 cancelled g: cut short: interrupted (SIGINT)
    10 cancelled: interrupted (SIGINT)
    ");
}

#[tokio::test(start_paused = true)]
async fn fail_fast_ends_the_run_with_the_first_failure() {
    let told = stage(
        "[steps.a]
         STEP
         [steps.b]
         CALL
         [steps.c]
         needs = ['b']
         STEP
         [steps.logs]
         when = 'failed'
         STEP",
        Script::new().fails("a", Class::Unmet).hangs("b"),
    )
    .fail_fast()
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
    0 start a
    0 start b
    0 b says 2 of 3 ready
    1 failed a: it broke
    1 cancel: a step or check failed and `--fail-fast` is set
    1 cancelled b: cut short: a step or check failed and `--fail-fast` is set; last seen: 2 of 3 ready [pod-b: not ready]
    1 skip c: the run was cancelled: a step or check failed and `--fail-fast` is set
    1 start logs
    2 passed logs
    2 fail: `a` failed: it broke
    ");
}

#[tokio::test(start_paused = true)]
async fn a_plan_out_of_time_has_failed_and_says_where_it_was() {
    let told = stage_of(
        &[(
            "p.toml",
            "[plan]
             name = 'p'
             timeout = '1m'
             [steps.a]
             timeout = '1h'
             CALL
             [steps.b]
             needs = ['a']
             STEP
             [steps.tidy]
             when = 'always'
             STEP",
        )],
        Script::new().hangs("a"),
    )
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
     0 start a
     0 a says 2 of 3 ready
    60 cancel: the timeout above it is over
    60 cancelled a: cut short: the timeout above it is over; last seen: 2 of 3 ready [pod-b: not ready]
    60 skip b: the run was cancelled: the timeout above it is over
    60 start tidy
    61 passed tidy
    61 fail: the plan was not done within 1m00s; `a` was running
    ");
}

#[tokio::test(start_paused = true)]
async fn clean_up_that_outlives_the_plan_fails_nothing() {
    let told = stage_of(
        &[(
            "p.toml",
            "[plan]
             name = 'p'
             timeout = '1m'
             [steps.a]
             STEP
             [steps.tidy]
             when = 'always'
             timeout = '1h'
             CALL",
        )],
        Script::new().hangs("tidy"),
    )
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
      0 start a
      1 passed a
      1 start tidy
      1 tidy says 2 of 3 ready
     60 cancel: the timeout above it is over
    120 warning: clean-up was not done within 1m00s and is ended
    120 cancelled tidy: cut short: the timeout above it is over; last seen: 2 of 3 ready [pod-b: not ready]
    120 pass: 1 step passed
    ");
}
