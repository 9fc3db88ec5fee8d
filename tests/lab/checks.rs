//! `tests/plans/checks.toml` on the lab: each operator holds, and each goes red.

use std::path::Path;
use std::process::{Command, Output};

fn lariat(reports: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lariat"));
    command.args(args).arg("--reports").arg(reports).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.output().expect("the binary can be started")
}

fn run(reports: &Path, set: &str) -> (Option<i32>, String) {
    let kubeconfig = std::env::var("LARIAT_LAB_KUBECONFIG").expect("`just lab-test` names the lab's kubeconfig");
    let args = ["run", "tests/plans/checks.toml", "--context", "lab", "--yes", "--progress", "plain"];
    let ran = lariat(reports, &[&args[..], &["--kubeconfig", &kubeconfig, "--set", set]].concat());
    (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

const OPERATORS: [&str; 7] = ["never", "always", "constant", "transitions", "sequence", "recovers", "count"];

#[test]
fn each_operator_holds_and_goes_red() {
    let _alone = crate::alone();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (code, told) = run(folder.path(), "wrong=false");
    assert_eq!(code, Some(0), "{told}");
    let junit = |file: &str| {
        std::fs::read_to_string(folder.path().join("checks/latest").join(file)).expect("a run leaves its reports")
    };
    assert!(!junit("junit.xml").contains("<failure"));

    // The same journal, judged by claims that were not made when it was recorded.
    let judge = ["judge", "checks", "tests/plans/checks.toml", "--set", "wrong=true", "--color", "never"];
    let judged = lariat(folder.path(), &judge);
    let later = String::from_utf8_lossy(&judged.stderr).into_owned();
    assert_eq!(judged.status.code(), Some(1), "{later}");

    let (code, told) = run(folder.path(), "wrong=true");
    assert_eq!(code, Some(1), "{told}");
    for operator in OPERATORS {
        let wrong = format!("{operator}-wrong");
        for told in [&told, &later] {
            assert!(told.lines().any(|line| line.contains(&wrong) && line.contains("FAIL")), "{wrong}:\n{told}");
        }
        assert!(junit("junit.xml").contains(&format!("check/{wrong}")), "{wrong}");
    }
}
