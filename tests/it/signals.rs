//! Ctrl-C, SIGTERM, SIGKILL: what is left, and what is still said.

use std::io::{BufReader, Read as _};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Bench, Ran};

/// A long step, and clean-up that leaves a trace; with `hangs` the clean-up never ends.
fn plan(hangs: bool) -> String {
    let tidy = if hangs { "touch tidying; sleep 300" } else { "touch tidied" };
    format!(
        "[plan]\nname = \"long\"\n\
         [steps.long]\ncommand = {{ args = [\"sh\", \"-c\", \"echo $$ > pid; sleep 300\"] }}\n\
         [steps.after]\nneeds = [\"long\"]\ncommand = {{ args = [\"true\"] }}\n\
         [steps.tidy]\nneeds = [\"long\"]\nwhen = \"always\"\ncommand = {{ args = [\"sh\", \"-c\", \"{tidy}\"] }}\n"
    )
}

/// Starts a run and returns when the long step acts.
fn start(bench: &Bench) -> (Child, BufReader<std::process::ChildStderr>, String) {
    let mut command = bench.command(["run", "plan.toml", "--progress", "plain"]);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the binary can be started");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped"));
    let mut told = String::new();
    wait_for(&mut lines, &mut told, "long  ");
    while !bench.path().join("pid").exists() {
        let ended = child.try_wait().expect("a child can be asked");
        assert!(ended.is_none(), "the run ended before its step acted");
        std::thread::yield_now();
    }
    (child, lines, told)
}

/// Reads on until a line holds this text.
fn wait_for(lines: &mut impl std::io::BufRead, told: &mut String, text: &str) {
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).expect("stderr can be read") > 0, "`{text}` never came:\n{told}");
        told.push_str(&line);
        if line.contains(text) && line.contains("START") {
            return;
        }
    }
}

fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a pid is small");
    kill(Pid::from_raw(pid), signal).expect("our own child can be signalled");
}

fn end(mut child: Child, mut lines: BufReader<std::process::ChildStderr>, mut told: String) -> Ran {
    lines.read_to_string(&mut told).expect("stderr can be read");
    let status = child.wait().expect("a child can be waited for");
    Ran { code: status.code(), stdout: String::new(), stderr: told }
}

/// Whether a process that a step started is gone.
fn is_gone(bench: &Bench) -> bool {
    let pid = std::fs::read_to_string(bench.path().join("pid")).expect("the step wrote its pid");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

#[test]
fn the_first_signal_cleans_up_and_reports() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let bench = Bench::with(&plan(false));
        let (child, lines, told) = start(&bench);
        send(&child, signal);
        let ran = end(child, lines, told);
        ran.expect(code, &["long", "after", "report.html"]);
        assert!(bench.path().join("tidied").exists(), "clean-up survives the first signal");
        assert!(is_gone(&bench), "what the step started lives on");
        let junit = bench.latest("long", "junit.xml");
        assert!(
            junit.contains("<failure") && junit.contains("<skipped"),
            "a cancelled run is red in every reader: {junit}"
        );
        assert!(bench.latest("long", "summary.json").contains("\"cancelled\""));
    }
}

#[test]
fn the_second_signal_leaves_at_once() {
    let bench = Bench::with(&plan(true));
    let (child, mut lines, mut told) = start(&bench);
    send(&child, Signal::SIGINT);
    wait_for(&mut lines, &mut told, "tidy  ");
    // The reports are there before clean-up has ended.
    assert!(bench.latest("long", "report.html").contains("long"));
    assert!(bench.latest("long", "junit.xml").contains("<failure"));
    send(&child, Signal::SIGTERM);
    end(child, lines, told).expect(130, &["tidy"]);
    assert!(is_gone(&bench));
}

#[test]
fn the_echo_of_a_signal_is_not_a_second_one() {
    let bench = Bench::with(&plan(false));
    let (child, lines, told) = start(&bench);
    // As `timeout -s INT` does: to the process, and to the group that it is in.
    send(&child, Signal::SIGINT);
    send(&child, Signal::SIGINT);
    end(child, lines, told).expect(130, &["long", "report.html"]);
    assert!(bench.path().join("tidied").exists(), "clean-up survives the first signal");
}

#[test]
fn a_killed_run_can_be_reported_and_cleaned_up() {
    let bench = Bench::with(&plan(false));
    let (child, lines, told) = start(&bench);
    send(&child, Signal::SIGKILL);
    let ran = end(child, lines, told);
    assert_eq!(ran.code, None, "SIGKILL is no exit code");
    bench.lariat(["report", "long"]).expect(0, &["journal stops", "`long`"]);
    bench.lariat(["cleanup", "long"]).expect(2, &["tidy", "--yes"]);
    assert!(!bench.path().join("tidied").exists(), "nothing is done before somebody agrees");
    bench.lariat(["cleanup", "long", "--yes"]).expect(0, &["tidy", "nothing is left"]);
    assert!(bench.path().join("tidied").exists());
    let pid = std::fs::read_to_string(bench.path().join("pid")).expect("the step wrote its pid");
    let pid: i32 = pid.trim().parse().expect("it is a number");
    // SIGKILL leaves nobody to end what the step started: the test does.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

#[test]
fn a_journal_cut_at_any_line_is_reported() {
    let bench = Bench::with(
        "[plan]\nname = \"short\"\n[steps.a]\ncommand = { args = [\"true\"] }\n[steps.b]\nneeds = [\"a\"]\ncommand = { args = [\"true\"] }\n",
    );
    bench.lariat(["run", "plan.toml"]).expect(0, &[]);
    let journal = bench.latest("short", "events.jsonl");
    for kept in 1..journal.lines().count() {
        let whole: String = journal.split_inclusive('\n').take(kept).collect();
        let half = &journal[whole.len()..];
        bench.write("cut/events.jsonl", whole + &half[..half.len().min(20)]);
        bench.lariat(["report", "cut"]).expect(0, &["cut", "journal stops"]);
    }
}
