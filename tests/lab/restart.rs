//! `plans/restart.toml` on the lab: real helm, real containers, killed all at once.
//!
//! One test, since both runs use one namespace.

use std::path::Path;
use std::process::{Command, Output};

/// Runs the plan from the checkout, with its run folders elsewhere.
fn run(reports: &Path, set: &[&str]) -> Output {
    let kubeconfig = std::env::var("LARIAT_LAB_KUBECONFIG").expect("`just lab-test` names the lab's kubeconfig");
    let mut command = Command::new(env!("CARGO_BIN_EXE_lariat"));
    command
        .args(["run", "plans/restart.toml", "--context", "lab", "--yes", "--progress", "plain"])
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .arg("--reports")
        .arg(reports)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    for value in set {
        command.args(["--set", value]);
    }
    command.output().expect("the binary can be started")
}

fn latest(reports: &Path, file: &str) -> String {
    std::fs::read_to_string(reports.join("restart/latest").join(file)).expect("a run leaves its reports")
}

#[test]
fn the_plan_passes_and_a_failing_hook_is_red() {
    let _alone = crate::alone();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let ran = run(folder.path(), &[]);
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(0), "{told}");
    for step in ["download", "install", "restart[03]/kill", "upgrade", "verify[2]", "rollback", "uninstall"] {
        assert!(told.lines().any(|line| line.contains(step) && line.contains("PASS")), "{step} did not pass:\n{told}");
    }
    let journal = latest(folder.path(), "events.jsonl");
    assert_eq!(journal.matches("3 pods killed").count(), 3, "each round kills three pods");
    assert!(journal.contains("skew, first to last request"));
    assert!(!latest(folder.path(), "junit.xml").contains("<failure"));

    let ran = run(folder.path(), &["fail_hook=true", "rounds=1"]);
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(1), "{told}");
    let last: Vec<&str> = told.lines().rev().take(30).collect();
    assert!(last.iter().any(|line| line.contains("gadget-after")), "the reason stands in the last lines:\n{told}");
    assert!(latest(folder.path(), "junit.xml").contains("hook `gadget-after`"));
    assert!(latest(folder.path(), "report.html").contains("gadget-after"));
}
