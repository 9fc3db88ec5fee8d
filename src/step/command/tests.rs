use std::time::Duration;

use futures::FutureExt as _;
use serde_json::{Value, json};

use super::super::alone::{Alone, told};
use super::*;

async fn run(alone: &mut Alone, arguments: Value) -> Result<Done, Error> {
    alone.act::<Command>(arguments, |args, ctx| act(args, ctx).boxed()).await
}

fn sh(script: &str) -> Value {
    json!({ "args": ["sh", "-c", script] })
}

#[tokio::test]
async fn outputs_and_evidence() {
    let mut alone = Alone::new();
    alone.file("sub/there", "");
    let arguments = json!({
        "args": ["sh", "-c", "ls; cat; echo \" $WHO\"; echo oops >&2; exit 3"],
        "env": { "WHO": "me" }, "dir": "sub", "stdin": "in", "codes": [0, 3],
    });
    let done = run(&mut alone, arguments).await.unwrap();
    insta::assert_snapshot!(Value::from(done.outputs), @r#"{"stdout":"there\nin me","stderr":"oops","code":3}"#);
    insta::assert_snapshot!(alone.notes(), @"
    ended with: exit code 3
    [stdout]
    there
    in me
    [stderr]
    oops
    ");
}

#[tokio::test]
async fn a_program_beside_the_plan() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut alone = Alone::new();
    let script = alone.file("bin/tool", "#!/bin/sh\necho ran in $(basename $PWD)\n");
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let done = run(&mut alone, json!({ "args": ["./tool"], "dir": "bin" })).await.unwrap();
    assert_eq!(done.outputs["stdout"], "ran in bin");
}

#[tokio::test]
async fn a_code_that_is_a_failure_quotes_the_last_lines() {
    let error = run(&mut Alone::new(), sh("seq 1 20; echo no such luck >&2; exit 4")).await.unwrap_err();
    insta::assert_snapshot!(told(error), @"
    unmet: `sh` ended with exit code 4
    expected exit code 0
    no such luck
    ");
    let error = run(&mut Alone::new(), sh("seq 1 20; kill -9 $$")).await.unwrap_err();
    insta::assert_snapshot!(told(error).lines().next().unwrap(), @"unmet: `sh` ended with signal SIGKILL");
}

#[tokio::test]
async fn what_can_not_be_run() {
    let said = async |arguments: Value| told(run(&mut Alone::new(), arguments).await.unwrap_err());
    insta::assert_snapshot!(said(json!({ "args": [] })).await, @"broken: `args` names no program");
    insta::assert_snapshot!(said(json!({ "args": ["no-such-program"] })).await, @"missing: the program was not run: `no-such-program` is not there; install it, or write the whole path of it");
    let missing = said(json!({ "args": ["true"], "dir": "nowhere" })).await;
    assert!(missing.contains("/nowhere` is not there"), "{missing}");
}

#[tokio::test]
async fn its_last_lines_are_told_before_its_time_is_over() {
    let mut alone = Alone::new().within(Duration::from_millis(500));
    let cancel = alone.ctx.cancel.clone();
    let late = alone.ctx.deadline;
    let engine = async {
        tokio::time::sleep_until(late).await;
        cancel.cancel();
    };
    let ended = tokio::join!(run(&mut alone, sh("echo one; echo two; sleep 1000")), engine).0;
    assert_eq!(ended.unwrap_err().class, Class::Cancelled);
    let words = alone.progress();
    assert_eq!(words[0].say, "one");
    let last = words.last().unwrap();
    assert_eq!((last.say.as_str(), last.unmet.join(" ").as_str()), ("two", "one two"));
}

#[tokio::test]
async fn beside_others_it_is_up_and_ends_well_when_told_to() {
    let mut alone = Alone::new();
    alone.ctx.background = true;
    let cancel = alone.ctx.cancel.clone();
    let engine = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cancel.cancel();
    };
    let script = "trap 'echo bye; exit 9' TERM; while :; do sleep 0.05; done";
    let done = tokio::join!(run(&mut alone, sh(script)), engine).0.unwrap();
    assert!(alone.is_up());
    assert_eq!((&done.outputs["stdout"], &done.outputs["code"]), (&json!("bye"), &json!(9)));
}

#[tokio::test]
async fn beside_others_it_may_not_fail_before() {
    let mut alone = Alone::new();
    alone.ctx.background = true;
    assert_eq!(run(&mut alone, sh("exit 9")).await.unwrap_err().class, Class::Unmet);
}
