//! Groups and rounds.

use crate::engine::script::{Script, stage};
use crate::event::Class;

#[tokio::test(start_paused = true)]
async fn rounds_go_on_after_a_failure_or_stop() {
    let rounds = |stop: &str| {
        format!(
            "[steps.r]
             repeat = {{ times = 3{stop} }}
             [steps.r.steps.x]
             STEP
             [steps.after]
             needs = ['r']
             STEP"
        )
    };
    let script = || Script::new().fails("r[01]/x", Class::Unmet);
    insta::assert_snapshot!(stage(&rounds(""), script()).run().await.story(), @r"
    0 open r
    0 open r[01]
    0 start r[01]/x
    1 failed r[01]/x: it broke
    1 failed r[01]: `r[01]/x` failed: it broke
    1 open r[02]
    1 start r[02]/x
    2 passed r[02]/x
    2 passed r[02]
    2 open r[03]
    2 start r[03]/x
    3 passed r[03]/x
    3 passed r[03]
    3 failed r: `r[01]/x` failed: it broke
    3 skip after: it needs `r`, which failed
    3 fail: `r[01]/x` failed: it broke
    ");
    insta::assert_snapshot!(stage(&rounds(", stop-on-failure = true"), script()).run().await.story(), @r"
    0 open r
    0 open r[01]
    0 start r[01]/x
    1 failed r[01]/x: it broke
    1 failed r[01]: `r[01]/x` failed: it broke
    1 skip r[02]: `r[01]` failed and `stop-on-failure` is set
    1 skip r[02]/x: its group `r[02]` did not get to it
    1 skip r[03]: `r[01]` failed and `stop-on-failure` is set
    1 skip r[03]/x: its group `r[03]` did not get to it
    1 failed r: `r[01]/x` failed: it broke
    1 skip after: it needs `r`, which failed
    1 fail: `r[01]/x` failed: it broke
    ");
}

#[tokio::test(start_paused = true)]
async fn a_round_that_runs_out_of_time_does_not_end_the_others() {
    let told = stage(
        "[steps.r]
         repeat = { times = 2 }
         timeout = '20s'
         [steps.r.steps.x]
         STEP
         [steps.r.steps.y]
         needs = ['x']
         STEP
         [steps.r.steps.tidy]
         when = 'always'
         STEP",
        Script::new().hangs("r[01]/x"),
    )
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
     0 open r
     0 open r[01]
     0 start r[01]/x
     0 r[01]/x says 2 of 3 ready
    25 cancelled r[01]/x: cut short: the timeout above it is over; last seen: 2 of 3 ready: did not end within 5.0s of being asked to, and was dropped [pod-b: not ready]
    25 skip r[01]/y: the run was cancelled: the timeout above it is over
    25 start r[01]/tidy
    26 passed r[01]/tidy
    26 failed r[01]: not done within 20.0s; `r[01]/x` was running [`r[01]/x`; last seen: 2 of 3 ready |   pod-b: not ready]
    26 open r[02]
    26 start r[02]/x
    27 passed r[02]/x
    27 start r[02]/y
    28 passed r[02]/y
    28 start r[02]/tidy
    29 passed r[02]/tidy
    29 passed r[02]
    29 failed r: `r[01]` failed: not done within 20.0s; `r[01]/x` was running [`r[01]/x`; last seen: 2 of 3 ready |   pod-b: not ready]
    29 fail: `r[01]` failed: not done within 20.0s; `r[01]/x` was running
    ");
}

#[tokio::test(start_paused = true)]
async fn clean_up_in_a_group_out_of_time_has_the_grace() {
    let told = stage(
        "[steps.g]
         timeout = '20s'
         [steps.g.steps.x]
         CALL
         [steps.g.steps.tidy]
         when = 'always'
         CALL",
        Script::new().hangs("g/x").hangs("g/tidy"),
    )
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
     0 open g
     0 start g/x
     0 g/x says 2 of 3 ready
    20 cancelled g/x: cut short: the timeout above it is over; last seen: 2 of 3 ready [pod-b: not ready]
    20 start g/tidy
    20 g/tidy says 2 of 3 ready
    80 cancelled g/tidy: cut short: the timeout above it is over; last seen: 2 of 3 ready [pod-b: not ready]
    80 failed g: not done within 20.0s; `g/x` was running [`g/x`; last seen: 2 of 3 ready |   pod-b: not ready]
    80 fail: `g` failed: not done within 20.0s; `g/x` was running
    ");
}
