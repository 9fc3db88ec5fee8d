use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;

fn sh(script: &str) -> Program<'static> {
    Program::new("sh", ["-c", script])
}

async fn run(program: Program<'_>) -> Ended {
    let cancel = CancellationToken::new();
    let end = program.start().unwrap().end(&cancel);
    timeout(Duration::from_secs(20), end).await.expect("the program ends")
}

/// Waits until a process is gone, or is a zombie that only waits for its reader.
async fn gone(pid: i32) {
    let is_gone = || {
        fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
            || kill(Pid::from_raw(pid), None).is_err()
    };
    timeout(Duration::from_secs(10), async {
        while !is_gone() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("process {pid} lives on"));
}

/// Waits for a file that the script under test writes a process id into.
async fn pid_in(path: &Path) -> i32 {
    timeout(Duration::from_secs(10), async {
        loop {
            if let Ok(text) = fs::read_to_string(path)
                && let Ok(pid) = text.trim().parse()
            {
                return pid;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the script writes the id of its child")
}

#[tokio::test]
async fn output_code_input_folder_and_environment() {
    let dir = tempfile::tempdir().unwrap();
    let ended = run(Program {
        env: vec![("WHO".into(), Some("me".into())), ("HOME".into(), None)],
        dir: Some(dir.path().to_owned()),
        stdin: Some(b"in".to_vec()),
        ..sh("cat; echo \" $WHO ${HOME-homeless} $(pwd -P)\"; echo oops >&2; exit 3")
    })
    .await;
    let folder = dir.path().canonicalize().unwrap();
    assert_eq!(ended.stdout.text(), format!("in me homeless {}\n", folder.display()));
    assert_eq!(ended.stderr.text(), "oops\n");
    assert_eq!((ended.code(), ended.how(), ended.cancelled), (3, "exit code 3".to_owned(), false));
    assert_eq!(run(sh("kill -9 $$")).await.how(), "signal SIGKILL");
    assert_eq!(run(sh("kill -15 $$")).await.code(), 143);
}

#[tokio::test]
async fn a_program_may_leave_its_input_unread() {
    let ended = run(Program { stdin: Some(vec![b'x'; 1 << 20]), ..sh("exit 0") }).await;
    assert_eq!(ended.code(), 0);
}

#[tokio::test]
async fn long_output_keeps_its_head_and_its_tail() {
    let ended = run(Program { keep: 40, ..sh("seq 1 100000; echo end") }).await;
    assert_eq!(ended.stdout.missing(), 588_895 + 4 - 40);
    insta::assert_snapshot!(ended.stdout.text(), @r"
    1
    2
    3
    4
    5
    6
    7
    8
    9
    10
    … 588859 bytes left out …
    98
    99999
    100000
    end
    ");
    assert_eq!(ended.last_lines(2), ["100000", "end"]);
}

#[tokio::test]
async fn every_line_is_heard() {
    let heard = Mutex::new(Vec::new());
    let hear = |line: &str| heard.lock().unwrap().push(line.to_owned());
    let script = "printf 'one\\n\\ntw'; sleep 0.05; printf 'o\\n \\n'; sleep 0.05; printf three >&2";
    run(Program { heard: Some(&hear), ..sh(script) }).await;
    assert_eq!(*heard.lock().unwrap(), ["one", "two", "three"]);
}

#[tokio::test]
async fn grandchildren_die_on_cancel() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("pid");
    let cancel = CancellationToken::new();
    let script = format!("echo waiting; sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", at.display());
    let running = sh(&script).start().unwrap();
    let stop = async {
        let pid = pid_in(&at).await;
        cancel.cancel();
        pid
    };
    let (ended, pid) = tokio::join!(running.end(&cancel), stop);
    gone(pid).await;
    assert_eq!((ended.cancelled, ended.how().as_str()), (true, "signal SIGTERM"));
    assert_eq!(ended.last_lines(1), ["waiting"]);
}

#[tokio::test]
async fn who_ignores_the_request_is_killed() {
    let cancel = CancellationToken::new();
    let ready = tokio::sync::Notify::new();
    let hear = |_: &str| ready.notify_one();
    let program = Program { heard: Some(&hear), ..sh("trap '' TERM; echo ready; while :; do sleep 1; done") };
    let running = program.start().unwrap();
    let began = tokio::time::Instant::now();
    let stop = async {
        ready.notified().await;
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(running.end(&cancel), stop);
    assert_eq!(ended.how(), "signal SIGKILL");
    assert!(began.elapsed() >= GRACE, "it had its grace");
}

#[tokio::test]
async fn who_winds_up_is_heard_to_the_end() {
    let cancel = CancellationToken::new();
    let ready = tokio::sync::Notify::new();
    let hear = |_: &str| ready.notify_one();
    let script = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let running = Program { heard: Some(&hear), ..sh(script) }.start().unwrap();
    let stop = async {
        ready.notified().await;
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(running.end(&cancel), stop);
    assert_eq!((ended.code(), ended.stdout.text().as_str()), (7, "ready\nbye\n"));
}

#[tokio::test]
async fn a_dropped_future_leaves_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("pid");
    let script = format!("trap '' TERM; sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", at.display());
    let running = sh(&script).start().unwrap();
    let cancel = CancellationToken::new();
    let pid = tokio::select! {
        biased;
        _ = running.end(&cancel) => panic!("the program does not end by itself"),
        pid = pid_in(&at) => pid,
    };
    gone(pid).await;
}

#[tokio::test]
async fn a_stray_child_does_not_hold_us_up() {
    let began = tokio::time::Instant::now();
    let ended = run(sh("sleep 1000 & echo $!; exit 4")).await;
    let pid = ended.stdout.text().trim().parse().unwrap();
    gone(pid).await;
    assert_eq!(ended.code(), 4);
    assert!(began.elapsed() < Duration::from_secs(10), "it did not wait for the child");
}

#[tokio::test]
async fn what_comes_after_the_exit_is_still_read() {
    let ended = run(sh("(sleep 0.05; echo late) & exit 0")).await;
    assert_eq!(ended.stdout.text(), "late\n");
}

#[tokio::test]
async fn what_can_not_be_started_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let plain = file("plain", "echo hi\n", 0o644);
    let orphan = file("orphan", "#!/no/such/shell\n", 0o755);
    let noise = file("noise", "no first line\n", 0o755);
    let said = |program: Program<'_>| {
        let error = program.start().err().expect("it can't be started");
        assert_eq!(error.class(), Class::Missing);
        error.to_string().replace(&*dir.path().to_string_lossy(), "DIR")
    };
    let no_args: [&str; 0] = [];
    insta::assert_snapshot!(said(Program::new("no-such-program", no_args)), @"`no-such-program` is not there; install it, or write the whole path of it");
    insta::assert_snapshot!(said(Program::new(plain, no_args)), @"`DIR/plain` is not executable; `chmod +x` it, or name its interpreter first");
    insta::assert_snapshot!(said(Program::new(orphan, no_args)), @"`DIR/orphan` is a script whose first line names a program that is not there");
    insta::assert_snapshot!(said(Program::new(noise, no_args)), @"`DIR/noise` is not executable; `chmod +x` it, or name its interpreter first");
    insta::assert_snapshot!(said(Program { dir: Some("/no/such/folder".into()), ..sh("true") }), @"the folder `/no/such/folder` is not there");
    insta::assert_snapshot!(said(Program { dir: Some(dir.path().to_owned()), ..Program::new("./plain", no_args) }), @"`./plain` is not executable; `chmod +x` it, or name its interpreter first");
}
