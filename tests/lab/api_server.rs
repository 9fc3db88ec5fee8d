//! `tests/plans/api-server.toml`: what is printed, and the exit codes, when the API server is away
//! within a window.

use std::process::Command;

/// Runs the plan; its exit code and what it told.
fn run(set: &[&str]) -> (Option<i32>, String) {
    let reports = tempfile::tempdir().expect("a temporary folder can be made");
    let kubeconfig = std::env::var("LARIAT_LAB_KUBECONFIG").expect("`just lab-test` names the lab's kubeconfig");
    let mut command = Command::new(env!("CARGO_BIN_EXE_lariat"));
    command
        .args(["run", "tests/plans/api-server.toml", "--context", "lab", "--yes", "--progress", "plain"])
        .args(["--color", "never", "--kubeconfig", &kubeconfig, "--reports"])
        .arg(reports.path())
        .args(set.iter().flat_map(|set| ["--set", set]))
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let ran = command.output().expect("the binary can be started");
    (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

/// The lines that tell of something, as `[  0.1s] check/same  PASS  …`.
fn says(told: &str, what: &str, word: &str, text: &str) -> bool {
    told.lines().any(|line| {
        let mut words = line.split(']').nth(1).unwrap_or_default().split_whitespace();
        words.next() == Some(what) && words.next() == Some(word) && line.contains(text)
    })
}

#[test]
fn an_api_server_that_is_restarted_within_a_window() {
    let _alone = crate::disturbing();

    // Nothing was lost: late, and a pass.
    let (code, told) = run(&[]);
    assert_eq!(code, Some(0), "{told}");
    let reason = "versions of the store since then were read one by one";
    assert!(says(&told, "watch", "LATE", reason) && says(&told, "watch", "LATE", "(nothing is missing)"), "{told}");
    assert!(!told.contains("GAP") && !told.contains("docs.rs"), "{told}");
    for check in ["check/never-bad", "check/same"] {
        assert!(says(&told, check, "PASS", "held on 1 track in 4 versions"), "{check}: {told}");
    }

    // The store has forgotten what was written meanwhile: nobody can say what it was.
    let (code, told) = run(&["compacted=true"]);
    assert_eq!(code, Some(3), "{told}");
    let reason = "(versions may be missing, and objects had changed): the API server had forgotten version";
    assert!(says(&told, "watch", "GAP", reason) && !told.contains("LATE"), "{told}");
    for check in ["check/never-bad", "check/same"] {
        assert!(says(&told, check, "UNSURE", "versions of `subject` were not seen"), "{check}: {told}");
    }
    assert!(told.contains("wanted     a watch that saw all of the window"), "{told}");

    // What was seen before was seen.
    let (code, told) = run(&["compacted=true", "wrong=true"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(says(&told, "watch", "GAP", "had forgotten version"), "{told}");
    assert!(says(&told, "check/never-bad", "FAIL", "what must never hold did: `api-server-subject` held"), "{told}");
    assert!(says(&told, "check/same", "UNSURE", "versions of `subject` were not seen"), "{told}");
    assert!(told.contains("-  state: good") && told.contains("+  state: bad"), "{told}");
}
