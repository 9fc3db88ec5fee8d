//! Runs without a cluster: what they leave, and how they end.

use crate::support::Bench;

/// A plan of local commands; `fails` is the middle one's exit code.
fn plan(code: i32) -> String {
    format!(
        "[plan]\nname = \"local\"\ntitle = \"Three commands\"\n\
         [steps.first]\ncommand = {{ args = [\"echo\", \"one\"] }}\n\
         [steps.middle]\nneeds = [\"first\"]\ncommand = {{ args = [\"sh\", \"-c\", \"echo went wrong >&2; exit {code}\"] }}\n\
         [steps.last]\nneeds = [\"middle\"]\ncommand = {{ args = [\"echo\", \"${{steps.first.stdout}}\"] }}\n\
         [steps.tidy]\nwhen = \"always\"\ncommand = {{ args = [\"touch\", \"tidied\"] }}\n"
    )
}

#[test]
fn a_pass_leaves_every_report() {
    let bench = Bench::with(&plan(0));
    let ran = bench.lariat(["run", "plan.toml"]);
    ran.expect(0, &["first", "middle", "last", "tidy"]);
    assert!(ran.stdout.is_empty(), "stdout holds only what was asked for: {}", ran.stdout);
    assert!(ran.stderr.trim_end().lines().last().is_some_and(|line| line.contains("report.html")), "{}", ran.stderr);
    assert!(bench.path().join("tidied").exists());
    let summary: serde_json::Value = serde_json::from_str(&bench.latest("local", "summary.json")).expect("it is JSON");
    assert_eq!(summary["verdict"], "pass");
    assert!(!bench.latest("local", "junit.xml").contains("<failure"));
    assert!(bench.latest("local", "report.html").contains("Three commands"));
}

#[test]
fn a_failure_is_red_everywhere() {
    let bench = Bench::with(&plan(3));
    bench.lariat(["run", "plan.toml"]).expect(1, &["middle", "went wrong", "plan.toml:", "last"]);
    assert!(bench.path().join("tidied").exists(), "clean-up runs after a failure");
    let junit = bench.latest("local", "junit.xml");
    assert!(junit.contains("<failure") && junit.contains("<skipped"), "{junit}");
    let summary: serde_json::Value = serde_json::from_str(&bench.latest("local", "summary.json")).expect("it is JSON");
    assert_eq!(summary["verdict"], "fail");
}

#[test]
fn reports_are_made_again_byte_for_byte() {
    let bench = Bench::with(&plan(3));
    bench.lariat(["run", "plan.toml"]).expect(1, &[]);
    let files = ["junit.xml", "report.html", "summary.json"];
    let first = files.map(|file| bench.latest("local", file));
    bench.lariat(["report", "local", "--junit", "copy.xml", "--html", "copy.html"]).expect(0, &["middle"]);
    assert_eq!(first, files.map(|file| bench.latest("local", file)));
    let copy = std::fs::read_to_string(bench.path().join("copy.xml")).expect("the copy is there");
    assert_eq!(copy, first[0]);
}

#[test]
fn a_missing_program_is_an_error() {
    let bench = Bench::with("[plan]\nname = \"local\"\n[steps.a]\ncommand = { args = [\"no-such-program\"] }\n");
    bench.lariat(["run", "plan.toml"]).expect(4, &["no-such-program"]);
}

#[test]
fn a_timeout_kills_the_grandchildren() {
    let bench = Bench::with(
        "[plan]\nname = \"local\"\n[steps.a]\ntimeout = \"500ms\"\n\
         command = { args = [\"sh\", \"-c\", \"sleep 300 & echo $! > pid; sleep 300\"] }\n",
    );
    bench.lariat(["run", "plan.toml"]).expect(1, &["0.5s", "a"]);
    let pid = std::fs::read_to_string(bench.path().join("pid")).expect("the child wrote its pid");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "the grandchild lives: {stat}");
}

#[test]
fn events_as_lines_are_all_of_stdout() {
    let bench = Bench::with(&plan(0));
    let ran = bench.lariat(["run", "plan.toml", "--progress", "json"]);
    ran.expect(0, &[]);
    let events: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert!(events.first().is_some_and(|event| event["kind"].get("run-started").is_some()), "{}", ran.stdout);
    assert!(events.last().is_some_and(|event| event["kind"].get("run-finished").is_some()), "{}", ran.stdout);
}

#[test]
fn a_secret_is_nowhere() {
    let bench = Bench::with(
        "[plan]\nname = \"local\"\n[vars]\ntoken = { env = \"TEST_TOKEN\", required = true, secret = true }\n\
         [steps.a]\ncommand = { args = [\"sh\", \"-c\", \"echo $1; exit 1\", \"x\", \"${vars.token}\"] }\n",
    );
    let output = bench.command(["run", "plan.toml"]).env("TEST_TOKEN", "tulip-festival").output().expect("it runs");
    let ran: crate::support::Ran = output.into();
    ran.expect(1, &[]);
    let mut all = ran.stdout + &ran.stderr;
    for file in ["events.jsonl", "junit.xml", "report.html", "summary.json"] {
        all += &bench.latest("local", file);
    }
    assert!(!all.contains("tulip-festival"), "a secret was written");
}
