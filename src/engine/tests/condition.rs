//! What is required before and expected after.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::seconds;
use crate::engine::script::{Script, progress, stage};
use crate::event::{Class, Verdict};
use crate::step::Error;

#[tokio::test(start_paused = true)]
async fn what_is_required_is_asked_before_the_step_acts() {
    let plan = "[objects.pods]
         resource = 'pods'
         [steps.a]
         require = { on = 'pods' }
         STEP
         [steps.b]
         needs = ['a']
         STEP";
    let no = Script::new().require("a", |_| async { Err(Error::new(Class::Undecided, "no pod is there")) });
    insta::assert_snapshot!(stage(plan, no).run().await.story(), @r"
    0 start a
    0 inconclusive a: no pod is there
    0 skip b: it needs `a`, which was inconclusive
    0 inconclusive: `a` was inconclusive: no pod is there
    ");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_waits_for_its_requirement_holds_no_permit_and_then_acts_at_once() {
    let told = stage(
        "[objects.pods]
         resource = 'pods'
         [steps.a]
         require = { on = 'pods', within = '20m' }
         timeout = '5s'
         STEP
         [steps.b]
         STEP",
        Script::new()
            .require("a", |_| async {
                seconds(900).await;
                Ok(())
            })
            .takes("a", 3)
            .takes("b", 500),
    )
    .jobs(1)
    .run()
    .await;
    assert_eq!([told.span("a"), told.span("b")], [(0, 903), (0, 500)]);
    assert_eq!(told.verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn a_requirement_without_patience_is_asked_when_the_step_may_act_and_not_before() {
    let plan = "[objects.pods]
         resource = 'pods'
         [steps.a]
         STEP
         [steps.b]
         require = { on = 'pods' }
         STEP";
    let asked = Arc::new(Mutex::new(None));
    let when = Arc::clone(&asked);
    let script = Script::new().takes("a", 30).require("b", move |_| {
        *when.lock().unwrap() = Some(Instant::now());
        async { Ok(()) }
    });
    let began = Instant::now();
    let told = stage(plan, script).jobs(1).run().await;
    assert_eq!(told.span("b"), (30, 31));
    assert_eq!(asked.lock().unwrap().map(|at| at - began), Some(Duration::from_secs(30)));
}

#[tokio::test(start_paused = true)]
async fn what_is_expected_is_judged_after_the_step_and_repeated_with_it() {
    let told = stage(
        "[objects.pods]
         resource = 'pods'
         [steps.a]
         expect = { on = 'pods' }
         retry = { attempts = 2, delay = '1s' }
         STEP",
        Script::new().expect("a", |ctx| async move {
            if ctx.attempt == 1 { Err(Error::new(Class::Unmet, "0 of 1 pods")) } else { Ok(()) }
        }),
    )
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
    0 start a
    1 again a: attempt 1 0 of 1 pods, next in 1s
    3 passed a
    3 pass: 1 step passed
    ");
}

#[tokio::test(start_paused = true)]
async fn a_group_asks_before_its_first_step_and_after_its_last() {
    let plan = "[objects.pods]
         resource = 'pods'
         [steps.g]
         require = { on = 'pods', within = '1m' }
         expect = { on = 'pods' }
         [steps.g.steps.x]
         STEP
         [steps.after]
         needs = ['g']
         STEP";
    let late = || {
        Script::new().require("g", |ctx| async move {
            ctx.progress(progress("0 of 1 pods", &[]));
            seconds(7).await;
            Ok(())
        })
    };
    insta::assert_snapshot!(stage(plan, late()).run().await.story(), @r"
    0 open g
    0 g says 0 of 1 pods
    7 start g/x
    8 passed g/x
    8 passed g
    8 start after
    9 passed after
    9 pass: 2 steps passed
    ");
    let never = Script::new().require("g", |_| async { Err(Error::new(Class::Undecided, "it was not so")) });
    insta::assert_snapshot!(stage(plan, never).run().await.story(), @r"
    0 open g
    0 skip g/x: its group `g` did not get to it
    0 inconclusive g: it was not so
    0 skip after: it needs `g`, which was inconclusive
    0 inconclusive: `g` was inconclusive: it was not so
    ");
    let after = late().expect("g", |_| async { Err(Error::new(Class::Unmet, "a pod is left")) });
    insta::assert_snapshot!(stage(plan, after).run().await.story(), @r"
    0 open g
    0 g says 0 of 1 pods
    7 start g/x
    8 passed g/x
    8 failed g: a pod is left
    8 skip after: it needs `g`, which failed
    8 fail: `g` failed: a pod is left
    ");
}
