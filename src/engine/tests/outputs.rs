//! What steps leave for later ones.

use serde_json::json;

use super::seconds;
use crate::engine::script::{Script, stage, stage_of};
use crate::event::Verdict;
use crate::step::Done;

#[tokio::test(start_paused = true)]
async fn outputs_reach_later_steps_and_a_part_gives_only_what_it_declares() {
    let told = stage_of(
        &[
            (
                "p.toml",
                "[plan]
                 name = 'p'
                 [steps.make]
                 STEP
                 [steps.use]
                 needs = ['make']
                 part = { file = 'part.toml', with = { uid = '${steps.make.stdout}' } }
                 [steps.after]
                 needs = ['use']
                 command = { args = ['${steps.use.both}', '${steps.make.took}', '${run.id}', '${string(run.seed)}', '${steps.use.started}'] }",
            ),
            (
                "part.toml",
                "[plan]
                 name = 'part'
                 [vars]
                 uid = { required = true }
                 [steps.inner]
                 STEP
                 [outputs]
                 both = '${vars.uid}-${steps.inner.stdout}'",
            ),
        ],
        Script::new()
            .act("make", |_| async {
                seconds(90).await;
                Ok(Done::default().with("stdout", "u1"))
            })
            .act("use/inner", |_| async { Ok(Done::default().with("stdout", "pod")) })
            .act("after", |ctx| async move {
                let plan = ctx.env.get("steps").cloned().unwrap_or_default();
                Ok(Done::default().with("steps", plan).with("run", ctx.env.get("run").cloned().unwrap_or_default()))
            }),
    )
    .run()
    .await;
    assert_eq!(told.outputs("use"), json!({ "both": "u1-pod" }));
    let seen = told.outputs("after");
    assert_eq!(seen["steps"]["use"]["both"], "u1-pod");
    assert_eq!(seen["steps"]["use"]["started"], "2026-01-01T00:01:30Z");
    assert_eq!(seen["steps"]["make"]["took"], "90s");
    assert_eq!(seen["run"], json!({ "id": "p-1", "seed": 1, "plan": "p", "dir": "reports/p" }));
}

#[tokio::test(start_paused = true)]
async fn what_was_left_out_by_choice_has_no_outputs() {
    let told = stage(
        "[steps.a]
         if = 'false'
         STEP
         [steps.b]
         needs = ['a']
         command = { args = ['${has(steps.a.stdout) ? \"there\" : \"absent\"}'] }",
        Script::new().act("b", |ctx| async move {
            let expression = crate::expr::Cel::compile("has(steps.a.stdout)").unwrap();
            Ok(Done::default().with("there", expression.eval(&ctx.env).unwrap()))
        }),
    )
    .run()
    .await;
    insta::assert_snapshot!(told.story(), @r"
    0 skip a: its `if` is false: false
    0 start b
    0 passed b
    0 pass: 1 step passed, 1 skipped by choice
    ");
    assert_eq!(told.outputs("b"), json!({ "there": false }));
}

#[tokio::test(start_paused = true)]
async fn outputs_of_an_earlier_run_are_known() {
    let told = stage(
        "[steps.a]
         if = 'false'
         STEP
         [steps.tidy]
         needs = ['a']
         when = 'always'
         command = { args = ['${steps.a.stdout}'] }",
        Script::new().act("tidy", |ctx| async move {
            Ok(Done::default().with("steps", ctx.env.get("steps").cloned().unwrap_or_default()))
        }),
    )
    .knowing("a", json!({ "stdout": "u1" }))
    .run()
    .await;
    assert_eq!(told.outputs("tidy"), json!({ "steps": { "a": { "stdout": "u1" } } }));
}

#[tokio::test(start_paused = true)]
async fn outputs_that_have_no_value_are_an_error_of_the_part() {
    let told = stage_of(
        &[
            ("p.toml", "[plan]\nname = 'p'\n[steps.g]\npart = { file = 'part.toml' }"),
            ("part.toml", "[plan]\nname = 'part'\n[steps.x]\nSTEP\n[outputs]\nuid = '${steps.x.stdout}'"),
        ],
        Script::new(),
    )
    .run()
    .await;
    assert_eq!(told.verdict, Verdict::Error);
    assert!(told.story().contains("errored g: its `[outputs]` have no value"), "{}", told.story());
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_has_no_value_is_told_and_nothing_is_done() {
    let told = stage(
        "[steps.a]
         STEP
         [steps.b]
         needs = ['a']
         timeout = '${steps.a.stdout}'
         STEP",
        Script::new(),
    )
    .run()
    .await;
    assert_eq!((told.verdict, told.span("b")), (Verdict::Error, (1, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_masked_output_is_whole_for_the_steps_that_use_it() {
    let told = stage(
        "[steps.a]
         STEP
         [steps.b]
         needs = ['a']
         command = { args = ['${steps.a.stdout}'] }",
        Script::new().act("a", |_| async { Ok(Done::default().with("stdout", "hunter22")) }).act(
            "b",
            |ctx| async move {
                let steps = ctx.env.get("steps").cloned().unwrap_or_default();
                assert_eq!(steps["a"]["stdout"], "hunter22");
                Ok(Done::default())
            },
        ),
    )
    .run()
    .await;
    assert_eq!(told.verdict, Verdict::Pass);
}
