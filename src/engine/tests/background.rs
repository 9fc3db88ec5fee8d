//! Steps that run beside others.

use serde_json::json;

use super::seconds;
use crate::engine::script::{Script, stage, stage_of};
use crate::event::{Class, Verdict};
use crate::step::Error;

#[tokio::test(start_paused = true)]
async fn a_background_step_gives_its_permit_back_once_up() {
    let told = stage(
        "[steps.io]
         background = { until = 'b' }
         STEP
         [steps.b]
         needs = ['io']
         STEP",
        Script::new().goes_on("io", 2),
    )
    .jobs(1)
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
    0 start io
    2 up io
    2 start b
    3 passed b
    4 passed io
    4 pass: 2 steps passed
    ");
    assert_eq!(told.outputs("io"), json!({ "stdout": "none" }));
}

#[tokio::test(start_paused = true)]
async fn a_background_step_outlives_its_timeout_once_up() {
    let told = stage(
        "[steps.io]
         background = { until = 'b' }
         timeout = '5s'
         STEP
         [steps.b]
         needs = ['io']
         timeout = '1h'
         STEP",
        Script::new().goes_on("io", 2).takes("b", 1800),
    )
    .run()
    .await;
    assert_eq!((told.verdict, told.span("io")), (Verdict::Pass, (0, 1803)));
}

#[tokio::test(start_paused = true)]
async fn a_background_step_that_does_not_come_up_in_time_fails_what_needs_it() {
    let told = stage(
        "[steps.io]
         background = { until = 'b' }
         timeout = '5s'
         STEP
         [steps.b]
         needs = ['io']
         STEP",
        Script::new().hangs("io"),
    )
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
     0 start io
     0 io says 2 of 3 ready
    10 failed io: not done within 5.0s; last seen: 2 of 3 ready [pod-b: not ready]
    10 skip b: it needs `io`, which failed
    10 fail: `io` failed: not done within 5.0s; last seen: 2 of 3 ready
    ");
}

#[tokio::test(start_paused = true)]
async fn a_background_step_that_was_not_up_in_time_is_no_pass() {
    let told = stage(
        "[steps.io]
         background = { until = 'b' }
         STEP
         [steps.b]
         STEP",
        Script::new().goes_on("io", 30),
    )
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
    0 start io
    0 start b
    1 passed b
    6 inconclusive io: not up yet when the step `b` that it runs beside ended
    6 inconclusive: `io` was inconclusive: not up yet when the step `b` that it runs beside ended
    ");
}

#[tokio::test(start_paused = true)]
async fn a_background_step_may_fail_while_it_winds_down_or_never_end() {
    let plan = "[steps.io]
         background = { until = 'b' }
         STEP
         [steps.b]
         needs = ['io']
         STEP";
    let wrong = Script::new().act("io", |ctx| async move {
        ctx.up();
        ctx.cancel.cancelled().await;
        Err(Error::new(Class::Unmet, "3 wrong reads"))
    });
    insta::assert_snapshot!(stage(plan, wrong).run().await.story(), @r"
    0 start io
    0 up io
    0 start b
    1 passed b
    1 failed io: 3 wrong reads
    1 fail: `io` failed: 3 wrong reads
    ");
    let deaf = Script::new().act("io", |ctx| async move {
        ctx.up();
        std::future::pending().await
    });
    insta::assert_snapshot!(stage(plan, deaf).run().await.story(), @r"
    0 start io
    0 up io
    0 start b
    1 passed b
    6 errored io: did not end within 5.0s of being asked to, and was dropped
    6 error: `io` errored: did not end within 5.0s of being asked to, and was dropped
    ");
}

#[tokio::test(start_paused = true)]
async fn a_background_part_of_cells_runs_beside() {
    let told = stage_of(
        &[
            (
                "p.toml",
                "[plan]
                 name = 'p'
                 [steps.io]
                 for-each = ['one', 'two']
                 background = { until = 'b' }
                 part = { file = 'io.toml' }
                 [steps.b]
                 needs = ['io']
                 STEP",
            ),
            (
                "io.toml",
                "[plan]
                 name = 'io'
                 [steps.make]
                 STEP
                 [steps.run]
                 needs = ['make']
                 STEP
                 [steps.tidy]
                 when = 'always'
                 STEP
                 [outputs]
                 stalls = '${steps.run.stdout}'",
            ),
        ],
        Script::new().goes_on("io[one]/run", 1).goes_on("io[two]/run", 3).takes("b", 10),
    )
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
     0 open io
     0 open io[one]
     0 open io[two]
     0 start io[one]/make
     0 start io[two]/make
     1 passed io[one]/make
     1 start io[one]/run
     1 passed io[two]/make
     1 start io[two]/run
     2 up io[one]/run
     4 up io[two]/run
     4 up io
     4 start b
    14 passed b
    15 passed io[one]/run
    15 start io[one]/tidy
    15 passed io[two]/run
    15 start io[two]/tidy
    16 passed io[one]/tidy
    16 passed io[one]
    16 passed io[two]/tidy
    16 passed io[two]
    16 passed io
    16 pass: 5 steps passed
    ");
    assert_eq!(told.outputs("io[two]"), json!({ "stalls": "none" }));
}

#[tokio::test(start_paused = true)]
async fn only_what_runs_beside_others_is_let_off_its_timeout_by_being_up() {
    let told = stage(
        "[steps.a]
         timeout = '5s'
         CALL",
        Script::new().goes_on("a", 1),
    )
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
    0 start a
    5 failed a: not done within 5.0s
    5 fail: `a` failed: not done within 5.0s
    ");
}

#[tokio::test(start_paused = true)]
async fn a_background_step_that_failed_before_the_end_counts_and_takes_nothing_back() {
    let told = stage(
        "[steps.io]
         background = { until = 'b' }
         retry = { attempts = 2, delay = '1m' }
         STEP
         [steps.b]
         needs = ['io']
         STEP",
        Script::new()
            .act("io", |ctx| async move {
                ctx.up();
                seconds(3).await;
                Err(Error::new(Class::Unreachable, "the pod is gone"))
            })
            .takes("b", 10),
    )
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
     0 start io
     0 up io
     0 start b
     3 again io: attempt 1 the pod is gone, next in 60s
    10 passed b
    10 errored io: the pod is gone
    10 error: `io` errored: the pod is gone
    ");
}
