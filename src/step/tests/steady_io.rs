use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::super::pulse;
use super::super::testing::{Bench, Trial, told};
use crate::event::Class;
use crate::sim::{Answer, Exec, Program, Says, Talk};

/// A volume as the script would find it.
#[derive(Clone, Default)]
struct Volume(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// How long a write takes, from a number on.
    slow: Option<(u64, Duration)>,
    /// The write that never comes back.
    hangs: Option<u64>,
    /// The write that reads back as the one before.
    stale: Option<u64>,
    /// The write that is refused.
    full: Option<u64>,
    writes: u64,
}

impl Program for Volume {
    fn exec(&self, exec: &Exec) -> Answer {
        Answer::fails(127, format!("{:?} is not among the commands", exec.command))
    }

    fn talk(&self, exec: &Exec) -> Option<Box<dyn Talk>> {
        assert_eq!(exec.command[..5], ["sh", "-c", pulse::SCRIPT, "steady-io", "/data/io"]);
        let block = exec.command[5].parse().unwrap();
        Some(Box::new(Script { volume: self.clone(), block }))
    }
}

struct Script {
    volume: Volume,
    block: u64,
}

impl Talk for Script {
    fn hear(&mut self, input: &[u8]) -> Says {
        let line = String::from_utf8(input.to_vec()).unwrap();
        let (number, text) = line.trim_end().split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        let mut state = self.volume.0.lock().unwrap();
        state.writes += 1;
        let mut says = vec![(Duration::ZERO, format!("{number} begun\n"))];
        if state.hangs == Some(number) {
            let dots = std::iter::repeat_with(|| (Duration::from_secs(1), b".\n".to_vec()));
            return Box::new(says.into_iter().map(|(after, text)| (after, text.into_bytes())).chain(dots));
        }
        let takes =
            state.slow.filter(|(from, _)| number >= *from).map_or(Duration::from_millis(10), |(_, takes)| takes);
        let dots = takes.as_secs();
        says.extend((0..dots).map(|_| (Duration::from_secs(1), ".\n".to_owned())));
        let text = if state.stale == Some(number) {
            text.replace(&format!(" {number}"), &format!(" {}", number - 1))
        } else {
            text.to_owned()
        };
        let digest = pulse::digest_of(&text, self.block);
        let hundredths = takes.as_millis() / 10;
        let wrote = format!("{}.{:02}", 100 + hundredths / 100, hundredths % 100);
        let last = if state.full == Some(number) {
            format!("{number} failed dd: error writing '/data/io': No space left on device\n")
        } else {
            format!("{number} ok 100.00 {wrote} {wrote} {digest}\n")
        };
        says.push((takes.saturating_sub(Duration::from_secs(dots)), last));
        Box::new(says.into_iter().map(|(after, text)| (after, text.into_bytes())))
    }
}

const PLAN: &str = r#"
[steps.io]
steady-io = { pod = "web-1", path = "/data/io", every = "100ms", max-stall = "5s" }
background = { until = "work" }
[steps.work]
sleep = { for = "1m", because = "something happens meanwhile" }
"#;

fn bench(state: State) -> (Bench, Volume) {
    let bench = Bench::new(PLAN);
    bench.pod("web-1", |_| {});
    let volume = Volume(Arc::new(Mutex::new(state)));
    bench.api.program("busybox", volume.clone());
    (bench, volume)
}

/// Ends the step after a while, as the engine does when the other step has settled.
fn end_after(trial: &Trial, span: Duration) {
    let cancel = trial.ctx.cancel.clone();
    tokio::spawn(async move {
        sleep(span).await;
        cancel.cancel();
    });
}

#[tokio::test(start_paused = true)]
async fn it_is_up_after_the_first_read_and_ends_when_asked() {
    let (bench, volume) = bench(State::default());
    let mut trial = bench.step("io");
    assert!(!trial.is_up());
    end_after(&trial, Duration::from_millis(19_950));
    let began = Instant::now();
    let done = trial.act().await.unwrap();
    assert_eq!(began.elapsed().as_millis(), 19_950);
    assert!(trial.is_up());
    assert_eq!(json!(done.outputs), json!({ "writes": 200, "wrong": 0, "stalls": 0, "longest": "10ms" }));
    assert_eq!(volume.0.lock().unwrap().writes, 200);
    assert!(trial.progress().len() <= 21);
}

#[tokio::test(start_paused = true)]
async fn a_stall_is_counted_and_one_that_is_too_long_fails() {
    let slow = |takes| State { slow: Some((10, takes)), ..State::default() };
    let (bench, _) = self::bench(slow(Duration::from_millis(2500)));
    let mut trial = bench.step("io");
    end_after(&trial, Duration::from_secs(9));
    let done = trial.act().await.unwrap();
    assert_eq!(json!(done.outputs), json!({ "writes": 12, "wrong": 0, "stalls": 3, "longest": "2500ms" }));
    assert_eq!(trial.notes()[0], "write 10 took 2.5s");

    let (bench, _) = self::bench(slow(Duration::from_millis(5500)));
    insta::assert_snapshot!(told(&bench.step("io").act().await.unwrap_err()), @r#"
    unmet: `/data/io` in pods/web-1 (container main) stalled: write 10 took 5.5s
      expected every write and read within 5.0s
      observed 10 writes, 1 stall, longest 5.5s
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_never_comes_back_fails_though_the_way_is_open() {
    let (bench, _) = bench(State { hangs: Some(5), ..State::default() });
    let began = Instant::now();
    let error = bench.step("io").act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    unmet: `/data/io` in pods/web-1 (container main) stalled: write 5 has not come back for 6.0s
      expected every write and read within 5.0s
      observed 4 writes, 0 stalls, longest 10ms
    "#);
    assert!((6..=8).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn wrong_bytes_and_refused_writes_fail_at_once() {
    let (stale, _) = bench(State { stale: Some(12), ..State::default() });
    let error = stale.step("io").act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    unmet: `/data/io` in pods/web-1 (container main) read back wrong: block 12 has other bytes than were written
      expected sha256 6794468250be59c1e3190509c114b1261bead4eb7c67ea5051fa3569bdbe536c
      observed sha256 ca9334d424b1c35f8e36969cd6cc539c5a83c0b0fb16a40084bce516a9650ac6
      observed 11 writes, 0 stalls, longest 10ms
    "#);
    let (full, _) = bench(State { full: Some(12), ..State::default() });
    let error = full.step("io").act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    unmet: write 12 to `/data/io` in pods/web-1 (container main) was refused
      observed dd: error writing '/data/io': No space left on device
      observed 11 writes, 0 stalls, longest 10ms
    "#);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_is_no_stall_of_the_volume() {
    let (bench, _) = bench(State::default());
    let mut trial = bench.step("io");
    end_after(&trial, Duration::from_secs(60));
    let api = bench.api.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(20)).await;
        let _outage = api.outage(Duration::from_secs(12));
        sleep(Duration::from_secs(30)).await;
    });
    let done = trial.act().await.unwrap();
    assert_eq!(done.outputs["stalls"], 0);
    insta::assert_snapshot!(trial.notes().join("\n"), @r#"
    GET pods/web-1 again: tcp connect error: Connection refused (os error 111)
    GET pods/web-1 was answered after 10 refusals, in 13.1s
    the connection was lost (WebSocket protocol error: Connection reset without closing handshake) and nothing measured for 13.1s
    469 writes, 0 stalls, longest 10ms, not measured for 13.1s
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_replaced_meanwhile_fails_it() {
    for gone in [true, false] {
        let (bench, _) = bench(State::default());
        let mut trial = bench.step("io");
        let api = bench.api.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(20)).await;
            let mut pod = api.get("pod", "ns", "web-1").unwrap();
            api.remove("pod", "ns", "web-1");
            if !gone {
                pod["metadata"].as_object_mut().unwrap().remove("uid");
                api.put(pod).unwrap();
            }
            drop(api.outage(Duration::ZERO));
        });
        let error = trial.act().await.unwrap_err();
        assert_eq!(error.class, Class::Unmet);
        let word = if gone { "is gone" } else { "was replaced" };
        assert!(error.message.ends_with(word), "{}", told(&error));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_goes_takes_the_step_with_it() {
    let (bench, _) = bench(State { hangs: Some(50), ..State::default() });
    let mut trial = bench.step("io");
    trial.ctx.timeout = Duration::from_secs(30);
    bench.api.remove("pod", "ns", "web-1");
    let error = trial.act().await.unwrap_err();
    assert_eq!(error.class, Class::Missing, "{}", told(&error));
}
