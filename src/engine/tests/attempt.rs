//! One step: tries, timeouts, and how it can fail.

use serde_json::json;

use super::by_attempt;
use crate::engine::script::{Script, stage};
use crate::event::{Class, Outcome, Verdict};
use crate::step::{Done, Error};

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_repeated_after_its_delay() {
    let plan = "[steps.a]
         retry = { attempts = 3, delay = '10s' }
         STEP";
    let told = stage(plan, Script::new().act("a", by_attempt(&[false, false, true]))).run().await;
    insta::assert_snapshot!(told.story(), @r"
     0 start a
     1 again a: attempt 1 the server said no, next in 10s
    12 again a: attempt 2 the server said no, next in 10s
    23 passed a
    23 pass: 1 step passed
    ");
    let told = stage(plan, Script::new().act("a", by_attempt(&[false; 3]))).run().await;
    insta::assert_snapshot!(told.story(), @r"
     0 start a
     1 again a: attempt 1 the server said no, next in 10s
    12 again a: attempt 2 the server said no, next in 10s
    23 failed a: the server said no
    23 fail: `a` failed: the server said no
    ");
}

#[tokio::test(start_paused = true)]
async fn attempts_hand_on_what_they_keep() {
    let told = stage(
        "[steps.a]
         retry = { attempts = 2, delay = '1s' }
         STEP",
        Script::new().act("a", |ctx| async move {
            if let Some(kept) = ctx.memory.recall() {
                return Ok(Done::default().with("kept", kept));
            }
            ctx.memory.keep(json!(["uid-1"]));
            Err(Error::new(Class::Unreachable, "no answer"))
        }),
    )
    .run()
    .await;
    assert_eq!(told.outputs("a"), json!({ "kept": ["uid-1"] }));
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_for_a_permit_and_holds_none_before() {
    let told = stage(
        "[steps.a]
         retry = { attempts = 2, delay = '2s' }
         STEP
         [steps.b]
         STEP",
        Script::new().act("a", by_attempt(&[false, true])).takes("b", 5),
    )
    .jobs(1)
    .run()
    .await;
    assert_eq!([told.span("a"), told.span("b")], [(0, 7), (1, 6)]);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_quotes_what_was_last_missing() {
    let told = stage(
        "[steps.a]
         timeout = '30s'
         CALL
         [steps.b]
         needs = ['a']
         STEP",
        Script::new().hangs("a"),
    )
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
     0 start a
     0 a says 2 of 3 ready
    30 failed a: not done within 30.0s; last seen: 2 of 3 ready [pod-b: not ready]
    30 skip b: it needs `a`, which failed
    30 fail: `a` failed: not done within 30.0s; last seen: 2 of 3 ready
    ");
    // Ten minutes, if the plan does not say.
    let told = stage("[steps.a]\nSTEP", Script::new().hangs("a")).run().await;
    assert_eq!(told.span("a"), (0, 605));
}

#[tokio::test(start_paused = true)]
async fn each_class_of_failure_has_its_outcome_and_verdict() {
    for (class, outcome, verdict) in [
        (Class::Unmet, Outcome::Failed, Verdict::Fail),
        (Class::Timeout, Outcome::Failed, Verdict::Fail),
        (Class::Refused, Outcome::Failed, Verdict::Fail),
        (Class::Unreachable, Outcome::Errored, Verdict::Error),
        (Class::Forbidden, Outcome::Errored, Verdict::Error),
        (Class::Missing, Outcome::Errored, Verdict::Error),
        (Class::Broken, Outcome::Errored, Verdict::Error),
        (Class::Undecided, Outcome::Inconclusive, Verdict::Inconclusive),
        (Class::Cancelled, Outcome::Cancelled, Verdict::Cancelled),
    ] {
        let told = stage("[steps.a]\nSTEP", Script::new().fails("a", class)).run().await;
        assert_eq!(told.verdict, verdict, "{class}");
        let said = format!("{outcome} a: it broke");
        assert!(told.story().contains(&said), "{class}: {}", told.story());
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_errored_step_and_not_a_hang() {
    let told =
        stage("[steps.a]\nSTEP", Script::new().act("a", |_| async { panic!("index out of bounds") })).run().await;
    insta::assert_snapshot!(told.story(), @r"
    0 start a
    0 errored a: a bug in Lariat: the step panicked: index out of bounds
    0 error: `a` errored: a bug in Lariat: the step panicked: index out of bounds
    ");
}
