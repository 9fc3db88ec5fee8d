use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::super::testing::{Bench, told};
use crate::event::Class;
use crate::sim::{Answer, Effect, Exec, Matching, Rule, Verb};

const PLAN: &str = r#"
[objects.web]
resource = "pods"
labels = "app=web"
[objects.maps]
resource = "configmaps"
[steps.hello]
exec = { on = "web", command = ["echo", "hello"] }
[steps.stdin]
exec = { pod = "web-1", command = ["cat"], stdin = "one\ntwo\n" }
[steps.code]
exec = { pod = "web-1", command = ["grep", "x"], codes = [0, 1] }
[steps.side]
exec = { pod = "web-1", container = "side", command = ["true"] }
[steps.nobody]
exec = { pod = "nobody", command = ["true"] }
[steps.maps]
exec = { on = "maps", command = ["true"] }
"#;

fn bench() -> Bench {
    let bench = Bench::new(PLAN);
    bench.pod("web-1", |_| {});
    bench.api.program("busybox", |exec: &Exec| match exec.command[0].as_str() {
        "echo" => Answer::prints(format!("{}\n", exec.command[1..].join(" "))),
        "cat" => Answer::prints(exec.stdin.clone()),
        "grep" => Answer { stdout: b"nothing\nhere\n".to_vec(), ..Answer::fails(2, "grep: x: No such file\n") },
        "sleep" => Answer::default().hangs(),
        "long" => Answer::prints("a line of some length\n".repeat(100_000)),
        _ => Answer::prints(""),
    });
    bench
}

#[tokio::test(start_paused = true)]
async fn what_it_prints_is_an_output_without_the_last_newline() {
    let bench = bench();
    let mut trial = bench.step("hello");
    let done = trial.act().await.unwrap();
    assert_eq!(json!(done.outputs), json!({ "stdout": "hello", "stderr": "", "code": 0 }));
    assert_eq!(trial.notes(), ["container: pods/web-1 (container main)", "exit code: 0", "stdout\nhello"]);
    let done = bench.step("stdin").act().await.unwrap();
    assert_eq!(done.outputs["stdout"], "one\ntwo");
}

#[tokio::test(start_paused = true)]
async fn an_exit_code_that_is_not_wanted_is_unmet_and_quotes_the_last_lines() {
    let bench = bench();
    let error = bench.step("code").act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    unmet: `grep x` in pods/web-1 (container main) ended with exit code 2
      expected exit code 0 or 1
      observed stderr: grep: x: No such file
      observed stdout: nothing
      observed stdout: here
    "#);
    bench.api.program("busybox", |_: &Exec| Answer::fails(1, ""));
    assert_eq!(bench.step("code").act().await.unwrap().outputs["code"], 1);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_run_is_told_apart() {
    let bench = bench();
    for step in ["nobody", "side", "maps"] {
        let error = bench.step(step).act().await.unwrap_err();
        match step {
            "nobody" => insta::assert_snapshot!(told(&error), @"missing: there is no pod `nobody` in namespace `ns`"),
            "side" => insta::assert_snapshot!(told(&error), @r#"
    missing: pods/web-1 has no container `side`
      expected one of main
    "#),
            _ => insta::assert_snapshot!(told(&error), @"broken: `maps` selects configmaps, not pods"),
        }
    }
    bench.pod("web-2", |_| {});
    bench.pod("web-3", |pod| pod["status"]["phase"] = "Failed".into());
    insta::assert_snapshot!(told(&bench.step("hello").act().await.unwrap_err()), @r#"
    refused: `web` must select exactly one live pod and selects 2, so nothing was done
      observed pods/web-1: Running
      observed pods/web-2: Running
      observed pods/web-3: Failed
    "#);
    bench.api.remove("pod", "ns", "web-1");
    bench.step("hello").act().await.unwrap();
    bench.api.remove("pod", "ns", "web-2");
    insta::assert_snapshot!(told(&bench.step("hello").act().await.unwrap_err()), @r#"
    refused: `web` must select exactly one live pod and selects 0, so nothing was done
      observed pods/web-3: Failed
    "#);
    bench.pod("web-1", |pod| {
        pod["status"]["containerStatuses"][0]["state"] = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
    });
    insta::assert_snapshot!(told(&bench.step("code").act().await.unwrap_err()), @r#"
    refused: container main of pods/web-1 is not running: waiting (CrashLoopBackOff)
      observed pods/web-1: Running, main CrashLoopBackOff
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_does_not_end_is_left_at_the_deadline() {
    let bench = Bench::new("[steps.s]\nexec = { pod = \"web-1\", command = [\"sleep\", \"inf\"] }");
    bench.pod("web-1", |_| {});
    bench.api.program("busybox", |_: &Exec| Answer::default().hangs());
    let began = Instant::now();
    let error = bench.step_within("s", Duration::from_secs(90)).act().await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_secs(90));
    insta::assert_snapshot!(told(&error), @"timeout: `sleep inf` in pods/web-1 (container main) did not end within 1m30s, and may still be running there");
}

#[tokio::test(start_paused = true)]
async fn it_is_begun_when_the_server_is_back_and_never_twice() {
    let bench = bench();
    let connects = || Matching { verb: Some(Verb::Connect), ..Matching::default() };
    let busy = bench.api.fault(Rule::next(2, connects(), Effect::Answer { code: 503, retry_after: 0 }));
    let mut trial = bench.step("hello");
    trial.act().await.unwrap();
    assert!(trial.notes().iter().any(|note| note.starts_with("EXEC pods/web-1 again:")), "{:?}", trial.notes());
    drop(busy);
    // The connection breaks before the answer: whether it ran is not known.
    let _lost = bench.api.fault(Rule::next(1, connects(), Effect::LoseAnswer));
    let before = bench.api.requests_of(Verb::Connect, "pods").len();
    let error = bench.step("hello").act().await.unwrap_err();
    assert_eq!(error.class, Class::Unreachable, "{}", told(&error));
    assert_eq!(bench.api.requests_of(Verb::Connect, "pods").len(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn of_a_long_output_the_beginning_and_the_end_are_kept() {
    let bench = Bench::new("[steps.s]\nexec = { pod = \"web-1\", command = [\"long\"] }");
    bench.pod("web-1", |_| {});
    bench.api.program("busybox", |_: &Exec| Answer::prints("a line of some length\n".repeat(100_000)));
    let done = bench.step("s").act().await.unwrap();
    let stdout = done.outputs["stdout"].as_str().unwrap();
    assert!(stdout.len() < (1 << 20) + 100 && stdout.contains("[1151424 bytes left out]"), "{}", stdout.len());
}
