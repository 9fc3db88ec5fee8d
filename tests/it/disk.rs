//! A reports folder that can't be written, and a disk that is full: in a mount
//! namespace of the test's own, which `unshare` makes without being root.

use std::process::Command;

use crate::support::{Bench, Ran};

const PLAN: &str = "[plan]\nname = \"disk\"\n[steps.a]\ncommand = { args = [\"touch\", \"ran\"] }\n";

/// Runs the plan with something mounted at `reports`.
fn with_mount(bench: &Bench, mount: &str) -> Ran {
    std::fs::create_dir_all(bench.path().join("reports")).expect("a folder can be made");
    let run = bench.command(["run", "plan.toml"]);
    let script = format!("{mount} && exec \"$0\" run plan.toml");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .arg(run.get_program())
        .current_dir(bench.path())
        .env("HOME", bench.path())
        .output()
        .expect("util-linux is there");
    output.into()
}

#[test]
fn a_read_only_reports_folder() {
    let bench = Bench::with(PLAN);
    let ran = with_mount(&bench, "mount -t tmpfs -o ro none reports");
    ran.expect(4, &["reports"]);
    assert!(!bench.path().join("ran").exists(), "without a journal nothing is done");
}

#[test]
fn a_full_disk() {
    let bench = Bench::with(PLAN);
    let fill = "mount -t tmpfs -o size=16k none reports && dd if=/dev/zero of=reports/full bs=4k 2>/dev/null; true";
    let ran = with_mount(&bench, fill);
    ran.expect(4, &["reports"]);
    assert!(!bench.path().join("ran").exists(), "without a journal nothing is done");
}

#[test]
fn a_disk_that_fills_up_ends_the_run_and_spoils_the_verdict() {
    let bench = Bench::with(
        "[plan]\nname = \"disk\"\n\
         [steps.a]\ncommand = { args = [\"sh\", \"-c\", \"dd if=/dev/zero of=reports/full bs=1k 2>/dev/null; seq 1 5000\"] }\n\
         [steps.b]\nneeds = [\"a\"]\ncommand = { args = [\"touch\", \"ran\"] }\n",
    );
    let ran = with_mount(&bench, "mount -t tmpfs -o size=64k none reports");
    ran.expect(4, &["journal"]);
    assert!(!bench.path().join("ran").exists(), "a run that leaves no record is not continued");
}
