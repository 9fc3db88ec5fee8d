use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::super::file::hex;
use super::super::testing::{Bench, told};
use crate::sim::{Answer, Effect, Exec, Matching, Program, Rule, Verb};

/// The three commands, on files in memory.
#[derive(Clone, Default)]
struct Files(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl Program for Files {
    fn exec(&self, exec: &Exec) -> Answer {
        let mut files = self.0.lock().unwrap();
        let command: Vec<&str> = exec.command.iter().map(String::as_str).collect();
        match command.as_slice() {
            ["sh", "-c", r#"dd of="$1" bs=1M conv=fsync; exit $?"#, "write-file", path] => {
                let path = (*path).to_owned();
                if path.starts_with("/full/") {
                    return Answer::fails(1, format!("dd: error writing '{path}': No space left on device\n"));
                }
                // A disk that gives back other bytes.
                let mut bytes = exec.stdin.clone();
                if path.starts_with("/rotten/") {
                    bytes[7] ^= 1;
                }
                files.insert(path, bytes);
                Answer::prints("")
            }
            ["stat", "-L", "-c", "%s", path] => match files.get(*path) {
                Some(bytes) => Answer::prints(format!("{}\n", bytes.len())),
                None => Answer::fails(1, format!("stat: can't stat '{path}': No such file or directory\n")),
            },
            ["sha256sum", path] => match files.get(*path) {
                Some(bytes) => {
                    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
                    Answer::prints(format!("{}  {path}\n", hex(digest.as_ref())))
                }
                None => Answer::fails(1, format!("sha256sum: can't open '{path}': No such file or directory\n")),
            },
            other => panic!("{other:?} is not among the commands"),
        }
    }
}

const PLAN: &str = r#"
[steps.write]
write-file = { pod = "web-1", path = "/data/a", size = "3Mi" }
[steps.other]
write-file = { pod = "web-1", path = "/data/b", size = "3Mi" }
[steps.empty]
write-file = { pod = "web-1", path = "/data/c", size = 0 }
[steps.full]
write-file = { pod = "web-1", path = "/full/a", size = "64Ki" }
[steps.rotten]
write-file = { pod = "web-1", path = "/rotten/a", size = "64Ki" }
[steps.relative]
write-file = { pod = "web-1", path = "data/a", size = "64Ki" }
[steps.local]
write-file = { pod = "web-1", path = "/data/local", file = "${vars.file}" }
[steps.verify]
verify-file = { pod = "web-1", path = "/data/a", sha256 = "${steps.write.sha256}" }
needs = ["write"]
[steps.verify-short]
verify-file = { pod = "web-1", path = "/data/a", sha256 = "abc" }
[vars]
file = "/nowhere/at/all"
"#;

fn bench() -> (Bench, Files) {
    let bench = Bench::new(PLAN);
    bench.pod("web-1", |_| {});
    let files = Files::default();
    bench.api.program("busybox", files.clone());
    (bench, files)
}

#[tokio::test(start_paused = true)]
async fn bytes_follow_from_the_seed_and_the_step() {
    let (mut bench, files) = bench();
    let mut trial = bench.step("write");
    let done = trial.act().await.unwrap();
    assert_eq!(done.outputs["bytes"], 3 << 20);
    insta::assert_snapshot!(done.outputs["sha256"].as_str().unwrap(), @"10bfa5462df6f11ab994ed20657ded4d1e13a90ace8fa3d2acbcfd6dab0948b0");
    let again = bench.step("write").act().await.unwrap();
    assert_eq!(again.outputs["sha256"], done.outputs["sha256"]);
    let other = bench.step("other").act().await.unwrap();
    assert_ne!(other.outputs["sha256"], done.outputs["sha256"]);
    let empty = bench.step("empty").act().await.unwrap();
    assert_eq!(empty.outputs["bytes"], 0);

    bench.left("write", json!(done.outputs));
    let mut verify = bench.step("verify");
    assert_eq!(verify.act().await.unwrap().outputs, done.outputs);
    files.0.lock().unwrap().get_mut("/data/a").unwrap()[1 << 20] ^= 1;
    let error = bench.step("verify").act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    unmet: `/data/a` in pods/web-1 (container main) has another digest than it must have
      expected sha256 10bfa5462df6f11ab994ed20657ded4d1e13a90ace8fa3d2acbcfd6dab0948b0
      observed sha256 f301da27202f88be97f3390e54279a30f820b4546c5ac90f33da9e4a8d6189d2, of 3145728 bytes
    "#);
    files.0.lock().unwrap().remove("/data/a");
    let error = bench.step("verify").act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    unmet: `/data/a` in pods/web-1 (container main) could not be read: `stat` ended with exit code 1
      observed stderr: stat: can't stat '/data/a': No such file or directory
    "#);
}

#[tokio::test(start_paused = true)]
async fn what_can_t_be_written_or_reads_back_wrong_fails() {
    let (bench, _) = bench();
    for step in ["full", "rotten", "relative", "local", "verify-short"] {
        let error = told(&bench.step(step).act().await.unwrap_err());
        match step {
            "full" => insta::assert_snapshot!(error, @r#"
    unmet: `/full/a` in pods/web-1 (container main) could not be written: `dd` ended with exit code 1
      observed stderr: dd: error writing '/full/a': No space left on device
    "#),
            "rotten" => insta::assert_snapshot!(error, @r#"
    unmet: `/rotten/a` in pods/web-1 (container main) was written and reads back as something else
      expected 65536 bytes with sha256 d64f35eb21daaabb628295474fcff55fe789655eaba6fa558b707522dc24096e
      observed 65536 bytes with sha256 45fa53147a1f4cea45da3d08f679e1792b89f641af9918fd503ec0281aa584bb
    "#),
            "relative" => insta::assert_snapshot!(error, @r#"
    broken: `data/a` can't be used as a file in a container
      expected an absolute path without backslash and line break
    "#),
            "local" => insta::assert_snapshot!(error, @r#"
    missing: the local file `/nowhere/at/all` can't be read
      because No such file or directory (os error 2)
    "#),
            _ => insta::assert_snapshot!(error, @r#"
    broken: `abc` is no sha256 digest
      expected 64 lower-case hexadecimal digits
    "#),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_local_file_is_streamed() {
    let local = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(local.path(), vec![7; 700_000]).unwrap();
    let plan = format!(
        "[steps.w]\nwrite-file = {{ pod = \"web-1\", path = \"/data/x\", file = \"{}\" }}",
        local.path().display()
    );
    let bench = Bench::new(&plan);
    bench.pod("web-1", |_| {});
    let files = Files::default();
    bench.api.program("busybox", files.clone());
    bench.step("w").act().await.unwrap();
    assert_eq!(files.0.lock().unwrap()["/data/x"], vec![7; 700_000]);
}

#[tokio::test(start_paused = true)]
async fn a_write_goes_on_when_the_server_is_back() {
    let (bench, _) = bench();
    let connects = Matching { verb: Some(Verb::Connect), ..Matching::default() };
    let _busy = bench.api.fault(Rule::next(2, connects, Effect::Answer { code: 500, retry_after: 0 }));
    bench.step("write").act().await.unwrap();
}
