//! What starts when, and what stands in the end.

use crate::engine::script::{Script, stage};
use crate::event::Class;

#[tokio::test(start_paused = true)]
async fn steps_run_in_order_and_side_by_side() {
    let told = stage(
        "[steps.a]
         STEP
         [steps.b]
         STEP
         [steps.c]
         needs = ['a', 'b']
         STEP",
        Script::new().takes("b", 3),
    )
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
    0 start a
    0 start b
    1 passed a
    3 passed b
    3 start c
    4 passed c
    4 pass: 3 steps passed
    ");
}

#[tokio::test(start_paused = true)]
async fn permits_go_to_ready_steps_in_file_order_and_waiting_takes_none() {
    let told = stage(
        "[steps.a]
         STEP
         [steps.b]
         STEP
         [steps.w]
         WAIT
         [steps.c]
         STEP
         [steps.d]
         needs = ['a']
         STEP",
        Script::new().takes("w", 9).takes("b", 2).takes("c", 2),
    )
    .jobs(2)
    .run()
    .await;
    let spans = ["a", "b", "w", "c", "d"].map(|step| told.span(step));
    assert_eq!(spans, [(0, 1), (0, 2), (0, 9), (1, 3), (2, 3)]);
}

#[tokio::test(start_paused = true)]
async fn the_worst_verdict_stands_and_clean_up_never_counts() {
    let plan = "[steps.a]
         STEP
         [steps.b]
         STEP
         [steps.tidy]
         when = 'always'
         STEP
         [steps.logs]
         when = 'failed'
         STEP";
    let script = || Script::new().fails("tidy", Class::Refused);
    let told = stage(plan, script()).run().await;
    insta::assert_snapshot!(told.story(), @r"
    0 start a
    0 start b
    1 passed a
    1 passed b
    1 skip logs: nothing it cleans up after failed
    1 start tidy
    2 failed tidy: it broke
    2 pass: 2 steps passed
    ");
    let told = stage(plan, script().fails("a", Class::Forbidden).fails("b", Class::Unmet)).run().await;
    insta::assert_snapshot!(told.story(), @r"
    0 start a
    0 start b
    1 errored a: it broke
    1 failed b: it broke
    1 start tidy
    1 start logs
    2 failed tidy: it broke
    2 passed logs
    2 fail: `b` failed: it broke
    ");
}
