//! What people see, and what they never see.

use std::io::{self, Write};

use proptest::prelude::*;

use super::bars::Bars;
use super::paper::{Paper, Screen};
use super::{Closing, Detail, Look, Mode, Output, Terminal};
use crate::clock::Elapsed;
use crate::event::{CancelReason, Class, Event, EventKind, Failure, Note, Outcome, Progress, SkipReason, Verdict};
use crate::id::StepId;
use crate::report::sample;
use crate::view::{RunView, Story, chaos, node, red};

pub(super) fn look(mode: Mode, detail: Detail) -> Look {
    Look { mode, color: false, detail }
}

fn closing() -> Closing {
    Closing {
        files: vec![("journal".into(), "reports/restart/r/events.jsonl".into())],
        html: Some("reports/restart/r/report.html".into()),
        critical: vec![
            (StepId::root("install"), Elapsed(3_600_000)),
            (StepId::root("restart[01]/back"), Elapsed(600_010_000)),
        ],
        real: None,
        extra: vec![
            "Left on the cluster: 2 objects; `lariat cleanup restart-20260101T000000Z-7f3a` deletes them.".into(),
        ],
    }
}

/// Shows events as they come, with ticks between, and closes. Gives both sides.
fn shown(events: &[Event], look: Look, every: u64) -> (String, String) {
    let (people, data) = (Paper::default(), Paper::default());
    let mut terminal = Terminal::with_bars(look, Output::new(people.clone(), data.clone()), None);
    play(&mut terminal, events, every);
    terminal.close(&closing());
    (people.text(), data.text())
}

pub(super) fn play(terminal: &mut Terminal, events: &[Event], every: u64) {
    let mut now = 0;
    for event in events {
        while now + every < event.at.0 {
            now += every;
            terminal.tick(Elapsed(now));
        }
        terminal.show(event);
    }
}

const SECOND: u64 = 1_000_000;

fn people(story: &Story, look: Look) -> String {
    shown(story.events(), look, 100 * SECOND).0
}

#[test]
fn a_failed_run_in_plain_lines() {
    insta::assert_snapshot!(people(&red(), look(Mode::Plain, Detail::States)), @r"
    [    0.0s] run                 START  restart: All managers restart
    [    0.0s] run                 START  7 steps, seed 7, run restart-20260101T000000Z-7f3a, lariat 0.1.0
    [    0.0s] run                 START  on cluster `lab`, https://127.0.0.1:6443, v1.34.4, 3 nodes
    [    0.0s] install             START  helm-install: The chart is installed.
    [    1.5s] install             RETRY  attempt 1: the chart was not fetched; again in 2.0s
    [    3.6s] install             PASS   in 3.6s, in 2 attempts
    [    3.6s] extra               SKIP   left out by --skip extra
    [    3.6s] restart             START  repeat
    [    3.6s] restart[01]         START  group
    [    3.6s] restart[01]/kill    START  pod-kill
    [    3.8s] restart[01]/kill    PASS   in 0.2s
    [    3.8s] restart[01]/back    START  wait
    [  100.0s] restart[01]/back    WAIT   still running after 1m36s · 1 of 3 ready · missing: pod/manager-a: Pending; pod/manager-c: gone · unchanged for 1m36s
    [  200.0s] restart[01]/back    WAIT   still running after 3m16s · 1 of 3 ready · missing: pod/manager-a: Pending; pod/manager-c: gone · unchanged for 3m16s
    [  300.0s] restart[01]/back    WAIT   still running after 4m56s · 1 of 3 ready · missing: pod/manager-a: Pending; pod/manager-c: gone · unchanged for 4m56s
    [  400.0s] restart[01]/back    WAIT   still running after 6m36s · 1 of 3 ready · missing: pod/manager-a: Pending; pod/manager-c: gone · unchanged for 6m36s
    [  500.0s] restart[01]/back    WAIT   still running after 8m16s · 1 of 3 ready · missing: pod/manager-a: Pending; pod/manager-c: gone · unchanged for 8m16s
    [  600.0s] restart[01]/back    WAIT   still running after 9m56s · 1 of 3 ready · missing: pod/manager-a: Pending; pod/manager-c: gone · unchanged for 9m56s
    [  603.8s] restart[01]/back    FAIL   2 of 3 managers were not ready within 10m: the last change was 41s ago (after 10m00s)
    [  603.8s] restart[01]/verify  SKIP   it needs `restart[01]/back`, which failed
    [  603.8s] restart[01]         FAIL   because of `restart[01]/back`, after 10m00s
    [  603.8s] restart             FAIL   because of `restart[01]/back`, after 10m00s
    [  603.8s] upgrade             SKIP   it needs `restart`, which failed (because of `restart[01]/back`)
    [  603.8s] logs                START  collect (clean-up)
    [  604.3s] logs                ERROR  logs were not collected: connect to 127.0.0.1:6443: connection refused (after 0.5s)
    [  604.3s] run                 FAIL   `restart[01]/back` failed: 2 of 3 managers were not ready within 10m

    FAIL  The plan restart failed: `restart[01]/back` failed: 2 of 3 managers were not ready within 10m.

    FAIL  restart[01]/back  (wait, after 10m00s)
      2 of 3 managers were not ready within 10m
      at         plans/restart.toml:50
      class      timeout
      cause      the last change was 41s ago
      expected   ready(o) on 3 of managers
      observed   pod/manager-a: Pending, 0/1 ready
                 pod/manager-c: gone
      blocked    2 steps: restart[01]/verify, upgrade

    ERROR  logs  (clean-up, collect, after 0.5s)
      logs were not collected
      at         plans/restart.toml:90
      class      unreachable
      cause      connect to 127.0.0.1:6443
      cause      connection refused

      steps      2 passed, 1 failed, 3 skipped (2 blocked)
      clean-up   1 errored
      took       10m04s
      critical   10m03s: install 3.6s → restart[01]/back 10m00s
      on         cluster `lab`, https://127.0.0.1:6443, v1.34.4, 3 nodes
      run        restart-20260101T000000Z-7f3a, seed 7
      again      lariat run plans/restart.toml --context lab --seed 7 --set rounds=2
      journal    reports/restart/r/events.jsonl
      Left on the cluster: 2 objects; `lariat cleanup restart-20260101T000000Z-7f3a` deletes them.
    FAIL  restart: 2 passed, 1 failed, 3 skipped (2 blocked) in 10m04s; report: reports/restart/r/report.html
    ");
}

/// A run that leaves one note of each shape and is interrupted.
fn talkative() -> Story {
    Story::new(vec![node("a", "exec"), node("b", "steady-io").needs(&["a"])])
        .start("a")
        .note("a", Note::text("one sentence"))
        .note("a", Note::pair("skew", "1.2ms"))
        .note(
            "a",
            Note::Table {
                title: "killed".into(),
                head: vec!["pod".into(), "uid".into()],
                rows: vec![vec!["manager-a".into(), "1-2".into()]],
            },
        )
        .note(
            "a",
            Note::Block {
                title: "output".into(),
                text: (1..=12).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n"),
            },
        )
        .note("a", Note::File { path: "a/log.txt".into(), about: "its log".into() })
        .note("a", Note::Retried { request: "DELETE pods/a".into(), reason: "429 Too Many Requests".into() })
        .progress("a", "2 of 3 ready", &["pod/a: Pending", "b", "c", "d", "e", "f", "g"])
        .after(2500)
        .pass("a")
        .start("b")
        .up("b")
        .warn("the clock of node-2 is 3s off")
        .cancel(CancelReason::Interrupt)
        .end("b", Outcome::Cancelled, None)
        .finish(Verdict::Cancelled, "interrupted (SIGINT)")
}

#[test]
fn checks_are_told_when_seen_and_in_full_at_the_end() {
    let story = sample::checked();
    let said = people(&story, look(Mode::Plain, Detail::States));
    let from = said.find("restart[02]  ").unwrap();
    let from = said[..from].rfind('\n').unwrap() + 1;
    let until = said.find("\n  steps  ").unwrap() + 1;
    insta::assert_snapshot!(&said[from..until], @r#"
    [   26.5s] restart[02]                   START  group
    [   26.5s] restart[02]/kill              START  pod-kill: All at once, without grace.
    [   26.5s] restart[02]/kill              PASS   in 45ms
    [   26.5s] restart[02]/back              START  wait: As many new pods are ready as were killed, for 5 s.
    [   27.5s] check/no-second-download[02]  ALARM  backing-image-ds-same-image: appeared, at 27.587s, 1.065s after `restart[02]` began, 1.065s after `restart[02]/kill` (pod-kill)
    [   27.5s] check/no-second-download[02]         │ + metadata.name: backing-image-ds-same-image
    [   27.5s] check/no-second-download[02]         │ + metadata.labels.longhorn.io/component: backing-image-data-source
    [   27.5s] check/no-second-download[02]         │ + spec.nodeName: lab-2
    [   27.5s] check/no-second-download[02]         │ + status.phase: Pending
    [   41.5s] restart[02]/back              PASS   in 15.0s
    [   41.5s] restart[02]                   PASS   in 15.0s
    [   41.5s] check/no-second-download[02]  FAIL   1 object of `data-source-pods` was there, and none may be (1 track in 2 versions over 15.0s)
    [   41.5s] check/file-states[02]         PASS   every change was along an allowed edge (3 tracks in 9 versions over 15.0s)
    [   41.5s] check/back-in-time[02]        PASS   each of 3 tracks came back within 20s; the longest took 11.2s (3 tracks in 9 versions over 15.0s)
    [   41.5s] check/unknown-then-ready[02]  REPORT not held: `unknown` was not seen on `same-image[lab-1]` · `unknown` not seen (3 tracks in 9 versions over 15.0s)
    [   41.6s] restart[03]                   START  group
    [   41.6s] restart[03]/kill              START  pod-kill: All at once, without grace.
    [   41.6s] restart[03]/kill              PASS   in 45ms
    [   41.6s] restart[03]/back              START  wait: As many new pods are ready as were killed, for 5 s.
    [   47.9s] watch                         GAP    backingimages.longhorn.io/same-image -n gadget-system: 2.1s from 45.879s to 47.979s (versions may be missing, and objects had changed): 410 Gone: the version is too old
    [   47.9s] watch                         LATE   pods -n gadget-system -l app=gadget-node: 1.4s from 46.579s to 47.979s (nothing is missing): the connection broke and resumed
    [   62.8s] restart[03]/back              PASS   in 21.2s
    [   62.8s] restart[03]                   PASS   in 21.2s
    [   62.8s] check/no-second-download[03]  PASS   nothing of `data-source-pods` was ever there (0 tracks in 0 versions over 21.2s)
    [   62.8s] check/file-states[03]         UNSURE no forbidden change was seen, but versions of `files` may be missing for 2.1s (3 tracks in 8 versions over 21.2s)
    [   62.8s] check/back-in-time[03]        UNSURE no forbidden change was seen, but versions of `files` may be missing for 2.1s (3 tracks in 8 versions over 21.2s)
    [   62.8s] check/unknown-then-ready[03]  REPORT held: 3 of 3 tracks went that way · `unknown` seen 3 times; shortest 16.8s, median 16.8s, longest 16.8s (3 tracks in 9 versions over 21.2s)
    [   62.8s] restart                       PASS   in 49.8s
    [   62.8s] upgrade                       START  helm-upgrade: To the second version; the hooks must pass.
    [   65.8s] upgrade                       FAIL   a hook failed: `pre-upgrade` exited with 1 (after 3.0s)
    [   65.8s] check/no-crash                SKIP   it needs `upgrade`, which failed
    [   65.8s] verify                        SKIP   it needs `upgrade`, which failed
    [   65.8s] rollback                      SKIP   it needs `verify`, which was skipped (because of `upgrade`)
    [   65.8s] check/identity                PASS   1 of 1 tracks never changed (1 track in 21 versions over 1m05s)
    [   65.8s] check/leases                  REPORT undecided: not measured: the watch of leases was refused: 403 Forbidden (0 tracks in 0 versions)
    [   65.8s] logs                          START  collect (clean-up)
    [   67.0s] logs                          PASS   in 1.2s
    [   67.0s] remove                        START  helm-uninstall (clean-up)
    [   72.1s] remove                        PASS   in 5.1s
    [   72.1s] run                           FAIL   `upgrade` failed: a hook failed; check `no-second-download[02]` was violated

    FAIL  The plan restart failed: `upgrade` failed: a hook failed; check `no-second-download[02]` was violated.

    FAIL  upgrade  (helm-upgrade, after 3.0s)
      a hook failed: `pre-upgrade` exited with 1
      at         plans/restart.toml:38
      class      refused
      blocked    2 steps: verify, rollback

    FAIL  check/no-second-download[02]  (never, 1 track in 2 versions)
      1 object of `data-source-pods` was there, and none may be
      at         plans/restart.toml:90
      claim      never = { on = "data-source-pods" }
      window     while `restart[02]` ran, from 26.492s to 41.582s
      moment     backing-image-ds-same-image: appeared
                 at 27.587s, 1.065s after `restart[02]` began, 1.065s after `restart[02]/kill` (pod-kill)
                 event 54, version 4054, uid 6f1d2c3b-0a4e-4c1e-9b1d-0a014b7e1c2d
                 │ + metadata.name: backing-image-ds-same-image
                 │ + metadata.labels.longhorn.io/component: backing-image-data-source
                 │ + spec.nodeName: lab-2
                 │ + status.phase: Pending
                 and 1 more, in the report

    UNSURE  check/file-states[03]  (transitions, 3 tracks in 8 versions)
      no forbidden change was seen, but versions of `files` may be missing for 2.1s
      at         plans/restart.toml:90
      claim      transitions = { on = "files", value = "o.state", allow = ["ready -> unknown", "unknown -> ready"] }
      window     while `restart[03]` ran, from 41.584s to 62.874s
      unseen     2.1s from 45.879s to 47.979s (gap, versions may be missing): 410 Gone: the version is too old
      wanted     a watch without a gap, or the same uid and version of every object before and after it

    UNSURE  check/back-in-time[03]  (recovers, 3 tracks in 8 versions)
      no forbidden change was seen, but versions of `files` may be missing for 2.1s
      at         plans/restart.toml:90
      claim      recovers = { on = "files", that = "o.state == 'ready'", within = "20s" }
      window     while `restart[03]` ran, from 41.584s to 62.874s
      unseen     2.1s from 45.879s to 47.979s (gap, versions may be missing): 410 Gone: the version is too old
      ignored    on 2 of 8 versions the expression could not be evaluated: no such key: state
      wanted     a watch without a gap, or the same uid and version of every object before and after it
    "#);
    insta::assert_snapshot!(&said[until..], @r"
      steps      8 passed, 1 failed, 2 blocked
      clean-up   2 passed
      checks     7 passed, 1 failed, 2 inconclusive, 1 blocked
      measured   unknown-then-ready: `unknown` seen in 2 of 3 rounds, 6 times; shortest 9.0s, median 9.0s, longest 16.8s
                 leases: not measured: the watch of leases was refused: 403 Forbidden
      watched    23 versions on 3 watches
      gap        backingimages.longhorn.io/same-image -n gadget-system: 2.1s from 45.879s to 47.979s (versions may be missing, and objects had changed): 410 Gone: the version is too old
      late       pods -n gadget-system -l app=gadget-node: 1.4s from 46.579s to 47.979s (nothing is missing): the connection broke and resumed
      took       1m12s
      critical   10m03s: install 3.6s → restart[01]/back 10m00s
      on         cluster `lab`, https://127.0.0.1:6443, v1.34.4, 3 nodes
      run        restart-20260101T000000Z-7f3a, seed 7
      again      lariat run plans/restart.toml --context lab --seed 7 --set rounds=2
      journal    reports/restart/r/events.jsonl
      Left on the cluster: 2 objects; `lariat cleanup restart-20260101T000000Z-7f3a` deletes them.
    FAIL  restart: 8 passed, 1 failed, 2 blocked; checks: 7 passed, 1 failed, 2 inconclusive, 1 blocked, in 1m12s; report: reports/restart/r/report.html
    ");
}

#[test]
fn watches_are_told_when_asked_for() {
    let story = sample::unseen();
    let said = people(&story, look(Mode::Plain, Detail::Notes));
    let kept =
        |line: &&str| ["ARMED", "OPEN", "LIST", "GAP", "LATE", "│", "REPORT"].iter().any(|word| line.contains(word));
    insta::assert_snapshot!(said.lines().filter(kept).collect::<Vec<_>>().join("\n"), @r"
    [    0.0s] watch                         OPEN   backingimages.longhorn.io/same-image -n gadget-system
    [    0.0s] watch                         LIST   backingimages.longhorn.io/same-image -n gadget-system: 1 object at version 4000
    [    0.0s] watch                         OPEN   pods -n gadget-system -l app=gadget-node
    [    0.0s] watch                         LIST   pods -n gadget-system -l app=gadget-node: 3 objects at version 4000
    [    0.0s] watch                         OPEN   pods -n gadget-system -l longhorn.io/component=backing-image-data-source
    [    0.0s] watch                         LIST   pods -n gadget-system -l longhorn.io/component=backing-image-data-source: 0 objects at version 4000
    [    0.0s] check/identity                ARMED  live, through 1 watch
    [   13.0s] install                              │ Gadget 1.0.0 is installed.
    [   13.0s] install                              │ Watch it: kubectl get gadgets -w
    [   13.0s] check/no-second-download[01]  ARMED  live, through 1 watch
    [   13.0s] check/file-states[01]         ARMED  live, through 1 watch
    [   13.0s] check/back-in-time[01]        ARMED  live, through 1 watch
    [   13.0s] check/unknown-then-ready[01]  ARMED  live, through 1 watch
    [   13.0s] restart[01]/kill                     │ pod  uid  node  answered after
    [   13.0s] restart[01]/kill                     │ gadget-node-b1x7k  5f1c01de-77aa-4c1e-9b1d-0a014b7e1c2d  lab-1  3.1ms
    [   13.0s] restart[01]/kill                     │ gadget-node-b2x7k  5f1c02de-77aa-4c1e-9b1d-0a014b7e1c2d  lab-2  3.2ms
    [   13.0s] restart[01]/kill                     │ gadget-node-b3x7k  5f1c03de-77aa-4c1e-9b1d-0a014b7e1c2d  lab-3  3.3ms
    [   26.4s] check/unknown-then-ready[01]  REPORT held: 3 of 3 tracks went that way · `unknown` seen 3 times; shortest 9.0s, median 9.0s, longest 9.0s (3 tracks in 9 versions over 13.4s)
    [   26.4s] check/no-second-download[02]  ARMED  live, through 1 watch
    [   26.4s] check/file-states[02]         ARMED  live, through 1 watch
    [   26.4s] check/back-in-time[02]        ARMED  live, through 1 watch
    [   26.4s] check/unknown-then-ready[02]  ARMED  live, through 1 watch
    [   26.5s] restart[02]/kill                     │ pod  uid  node  answered after
    [   26.5s] restart[02]/kill                     │ gadget-node-c1x7k  5f1c01de-77aa-4c1e-9b1d-0a024b7e1c2d  lab-1  4.1ms
    [   26.5s] restart[02]/kill                     │ gadget-node-c2x7k  5f1c02de-77aa-4c1e-9b1d-0a024b7e1c2d  lab-2  4.2ms
    [   26.5s] restart[02]/kill                     │ gadget-node-c3x7k  5f1c03de-77aa-4c1e-9b1d-0a024b7e1c2d  lab-3  4.3ms
    [   32.8s] watch                         GAP    backingimages.longhorn.io/same-image -n gadget-system: 2.1s from 30.787s to 32.887s (versions may be missing, and objects had changed): 410 Gone: the version is too old
    [   32.8s] watch                         LATE   pods -n gadget-system -l app=gadget-node: 1.4s from 31.487s to 32.887s (nothing is missing): the connection broke and resumed
    [   46.8s] check/unknown-then-ready[02]  REPORT not held: `unknown` was not seen on `same-image[lab-1]` · `unknown` not seen (3 tracks in 9 versions over 20.3s)
    [   46.8s] check/no-crash                ARMED  live, through 1 watch
    [   73.2s] watch                         LIST   backingimages.longhorn.io/same-image -n gadget-system: closing list at version 4990, nothing was missed
    [   73.2s] watch                         LIST   pods -n gadget-system -l app=gadget-node: closing list at version 4990, nothing was missed
    [   73.2s] watch                         LIST   pods -n gadget-system -l longhorn.io/component=backing-image-data-source: closing list at version 4990, 1 difference
    [   73.2s] watch                                │ backing-image-ds-x: the list has version 4981, the watch never showed it
    [   73.2s] check/leases                  REPORT undecided: not measured: the watch of leases was refused: 403 Forbidden (0 tracks in 0 versions)
    ");
    for detail in [Detail::States, Detail::Requests] {
        let said = people(&story, look(Mode::Plain, detail));
        assert!(!said.contains("same-image-ds-7fk2") && !said.contains("object-0"), "objects are never printed");
    }
}

#[test]
fn a_talkative_run_in_more_detail() {
    let story = talkative();
    insta::assert_snapshot!(people(&story, look(Mode::Plain, Detail::Notes)), @r"
    [    0.0s] run  START  restart: All managers restart
    [    0.0s] run  START  2 steps, seed 7, run restart-20260101T000000Z-7f3a, lariat 0.1.0
    [    0.0s] run  START  on cluster `lab`, https://127.0.0.1:6443, v1.34.4, 3 nodes
    [    0.0s] a    START  exec
    [    0.0s] a    NOTE   one sentence
    [    0.0s] a    NOTE   skew: 1.2ms
    [    0.0s] a    NOTE   killed
    [    0.0s] a           │ pod  uid
    [    0.0s] a           │ manager-a  1-2
    [    0.0s] a    NOTE   output
    [    0.0s] a           │ line 1
    [    0.0s] a           │ line 2
    [    0.0s] a           │ line 3
    [    0.0s] a           │ line 4
    [    0.0s] a           │ line 5
    [    0.0s] a           │ line 6
    [    0.0s] a           │ line 7
    [    0.0s] a           │ line 8
    [    0.0s] a           │ line 9
    [    0.0s] a           │ line 10
    [    0.0s] a           │ … (2 lines more)
    [    0.0s] a    FILE   a/log.txt: its log
    [    0.0s] a    WAIT   2 of 3 ready · missing: pod/a: Pending; b; c; d; e; and 2 more
    [    2.5s] a    PASS   in 2.5s, 1 request sent again
    [    2.5s] b    START  steady-io
    [    2.5s] b    UP     steps that need it may start
    [    2.5s] run  WARN   the clock of node-2 is 3s off
    [    2.5s] run  STOP   interrupted (SIGINT): nothing new starts, what runs is cancelled, clean-up follows; a second signal leaves at once
    [    2.5s] b    CANCEL cut short after 0ms
    [    2.5s] run  CANCEL interrupted (SIGINT)

    CANCEL  The plan restart was cancelled: interrupted (SIGINT).

      steps      1 passed, 1 cancelled
      cut short  b
      stopped    at 2.5s: interrupted (SIGINT)
      requests   1 refused for a passing reason and sent again
      warning    the clock of node-2 is 3s off
      took       2.5s
      critical   10m03s: install 3.6s → restart[01]/back 10m00s
      on         cluster `lab`, https://127.0.0.1:6443, v1.34.4, 3 nodes
      run        restart-20260101T000000Z-7f3a, seed 7
      again      lariat run plans/restart.toml --context lab --seed 7 --set rounds=2
      journal    reports/restart/r/events.jsonl
      Left on the cluster: 2 objects; `lariat cleanup restart-20260101T000000Z-7f3a` deletes them.
    CANCEL  restart: 1 passed, 1 cancelled in 2.5s; report: reports/restart/r/report.html
    ");
    let all = people(&story, look(Mode::Plain, Detail::Requests));
    assert!(all.contains("AGAIN  DELETE pods/a: 429 Too Many Requests") && all.contains("│ line 12"), "{all}");
}

#[test]
fn a_quiet_run_says_failures_and_the_last_line() {
    insta::assert_snapshot!(people(&red(), look(Mode::Quiet, Detail::States)), @r"

    FAIL  restart[01]/back  (wait, after 10m00s)
      2 of 3 managers were not ready within 10m
      at         plans/restart.toml:50
      class      timeout
      cause      the last change was 41s ago
      expected   ready(o) on 3 of managers
      observed   pod/manager-a: Pending, 0/1 ready
                 pod/manager-c: gone
      blocked    2 steps: restart[01]/verify, upgrade

    ERROR  logs  (clean-up, collect, after 0.5s)
      logs were not collected
      at         plans/restart.toml:90
      class      unreachable
      cause      connect to 127.0.0.1:6443
      cause      connection refused
      Left on the cluster: 2 objects; `lariat cleanup restart-20260101T000000Z-7f3a` deletes them.
    FAIL  restart: 2 passed, 1 failed, 3 skipped (2 blocked) in 10m04s; report: reports/restart/r/report.html
    ");
    let green =
        Story::new(vec![node("a", "exec")]).start("a").after(1200).pass("a").finish(Verdict::Pass, "all passed");
    let (said, _) = shown(green.events(), look(Mode::Quiet, Detail::Requests), SECOND);
    assert_eq!(
        said.replace(&closing().extra[0], "EXTRA"),
        "  EXTRA\nPASS  restart: 1 passed in 1.2s; report: reports/restart/r/report.html\n"
    );
}

#[test]
fn a_simulated_run_has_no_heartbeats_and_two_durations() {
    let EventKind::RunStarted(mut start) = red().events()[0].kind.clone() else { panic!("no start") };
    let cluster = start.cluster.as_mut().unwrap();
    (cluster.embedded, cluster.context) = (true, "embedded".into());
    let mut events = red().events().to_vec();
    events[0].kind = EventKind::RunStarted(start);
    let paper = Paper::default();
    let mut terminal =
        Terminal::with_bars(look(Mode::Plain, Detail::States), Output::new(paper.clone(), io::sink()), None);
    play(&mut terminal, &events, SECOND);
    terminal.close(&Closing { real: Some(std::time::Duration::from_millis(820)), ..closing() });
    let text = paper.text();
    assert!(!text.contains("still running"), "{text}");
    assert!(text.contains("took       10m04s simulated, 0.8s real"), "{text}");
    assert!(text.contains("the embedded cluster, virtual time, seed"), "{text}");
}

#[test]
fn a_cut_recording_says_what_is_known() {
    let view = RunView::of(&red().events()[..12]).unwrap();
    let paper = Paper::default();
    let closing = Closing { html: None, critical: vec![], extra: vec![], ..closing() };
    Terminal::recap(look(Mode::Plain, Detail::States), Output::new(paper.clone(), io::sink()), view, &closing);
    insta::assert_snapshot!(paper.text(), @r"

    ERROR  The plan restart could not be carried out: the run has no end: its journal stops after event 11 at 3.8s, while `restart[01]/back` was running.

      steps      2 passed, 1 skipped, 1 unfinished, 2 not run
      clean-up   1 not run
      unfinished restart[01]/back
      took       3.8s
      on         cluster `lab`, https://127.0.0.1:6443, v1.34.4, 3 nodes
      run        restart-20260101T000000Z-7f3a, seed 7
      again      lariat run plans/restart.toml --context lab --seed 7 --set rounds=2
      journal    reports/restart/r/events.jsonl
    ERROR  restart: 2 passed, 1 skipped, 1 unfinished, 2 not run in 3.8s; no report was written
    ");
}

#[test]
fn a_running_step_is_heard_of_every_thirty_seconds() {
    let events = red();
    let (said, _) = shown(events.events(), look(Mode::Plain, Detail::States), SECOND / 4);
    let beats: Vec<&str> = said.lines().filter(|line| line.contains("still running")).collect();
    assert_eq!(beats.len(), 19, "{beats:#?}");
    insta::assert_snapshot!(beats[1], @"[   64.0s] restart[01]/back    WAIT   still running after 1m00s · 1 of 3 ready · missing: pod/manager-a: Pending; pod/manager-c: gone · unchanged for 1m00s");
}

#[test]
fn what_runs_beside_others_is_silent_unless_it_is_alone() {
    let plan = || Story::new(vec![node("io", "steady-io"), node("wait", "wait")]).start("io").after(10).up("io");
    let beats = |story: &Story| {
        let (said, _) = shown(story.events(), look(Mode::Plain, Detail::States), SECOND);
        let who = |line: &str| line.split_whitespace().nth(2).unwrap_or_default().to_owned();
        said.lines().filter(|line| line.contains("still running")).map(who).collect::<Vec<_>>()
    };
    let end = |story: Story| story.after(65_000).pass("io");
    let alone = end(plan()).skip("wait", SkipReason::NoCells).finish(Verdict::Pass, "");
    assert_eq!(beats(&alone), ["io", "io"]);
    let both = end(plan().start("wait")).pass("wait").finish(Verdict::Pass, "");
    assert_eq!(beats(&both), ["wait", "wait"]);
}

#[test]
fn events_go_to_standard_output_and_nothing_else_does() {
    let story = red();
    let (said, data) = shown(story.events(), look(Mode::Json, Detail::Requests), SECOND);
    let events: Vec<Event> = data.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events, story.events());
    assert_eq!(said, people(&story, look(Mode::Quiet, Detail::States)));
    for mode in [Mode::Plain, Mode::Quiet, Mode::Bars] {
        assert_eq!(shown(story.events(), look(mode, Detail::Requests), SECOND).1, "");
    }
}

#[test]
fn a_closed_pipe_ends_nothing() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for mode in [Mode::Plain, Mode::Json, Mode::Quiet] {
        let mut terminal = Terminal::with_bars(look(mode, Detail::Requests), Output::new(Closed, Closed), None);
        play(&mut terminal, red().events(), SECOND);
        terminal.close(&closing());
        assert!(terminal.view().unwrap().is_complete());
    }
}

#[test]
fn a_hole_in_the_story_is_said_and_survived() {
    let mut events = red().events().to_vec();
    events.remove(3);
    let (said, _) = shown(&events, look(Mode::Plain, Detail::States), SECOND);
    assert!(
        said.contains("WARN  the story has a hole: event 4 about `install` can't be: event 3 comes next"),
        "{said}"
    );
}

/// Sixty steps at once, and lines printed while they run.
fn crowd() -> Story {
    let nodes = (0..60).map(|n| node(&format!("step-{n:02}"), "wait")).collect();
    let mut story = Story::new(nodes);
    for n in 0..60 {
        let id = format!("step-{n:02}");
        story = story.after(50).start(&id).progress(&id, "0 of 1 ready", &["pod/x: Pending"]);
    }
    for n in 0..60 {
        story = story.after(400).pass(&format!("step-{n:02}"));
    }
    story.finish(Verdict::Pass, "all passed")
}

#[test]
fn rows_fit_the_screen_and_leave_nothing_behind() {
    for (width, height, most) in [(40, 10, 7), (100, 24, 9), (80, 3, 2)] {
        let screen = Screen::new(width, height);
        let bars = Bars::on(screen.clone());
        let output = Output::new(screen.clone(), io::sink());
        let mut terminal = Terminal::with_bars(look(Mode::Bars, Detail::States), output, Some(bars));
        play(&mut terminal, crowd().events(), SECOND / 10);
        terminal.close(&closing());
        let rows = screen.rows();
        assert!((2..=most).contains(&rows), "{rows} rows on {height} lines");
        let plain = people(&crowd(), look(Mode::Plain, Detail::States));
        assert_eq!(screen.text(), plain.trim_end(), "the same lines, and no bar");
    }
}

#[test]
fn rows_say_what_is_missing_and_since_when() {
    let story = red();
    let view = RunView::of(&story.events()[..13]).unwrap();
    let rows = |height| {
        let lines = super::rows::rows(&view, Elapsed(134_000_000), height);
        lines.iter().map(|line| line.render(false)).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(rows(24), @r"
    ⠸ restart[01]/back   2m10s  1 of 3 ready · missing: pod/manager-a: Pending; pod/manager-c: gone  last change 2m10s ago
    3/6 steps · 1 running · 0:02:14 · ^C to stop
    ");
    let progress = Progress { say: "3.1 of 7.0 MB".into(), unmet: vec![], done: Some(31), total: Some(70) };
    let loading = Story::new(vec![node("download", "download"), node("b", "wait"), node("c", "wait")])
        .start("download")
        .and(EventKind::StepProgressed { step: StepId::root("download"), progress })
        .start("b")
        .again("b", 1, Failure::new(Class::Unmet, "no"), 30_000)
        .start("c")
        .cancel(CancelReason::Terminate);
    let lines = super::rows::rows(&loading.view(), Elapsed(12_000_000), 24);
    insta::assert_snapshot!(lines.iter().map(|line| line.render(false)).collect::<Vec<_>>().join("\n"), @r"
    ⠋ download   12.0s  [####------]  44% 3.1 of 7.0 MB  last change 12.0s ago
    ⠋ b          12.0s  attempt 2 in 18.0s
    ⠋ c          12.0s  wait
    0/3 steps · 3 running · 0:00:12 · stopping, ^C again to leave at once
    ");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Colour adds nothing and takes nothing away, and bars lose no line.
    #[test]
    fn every_look_tells_the_same(story in chaos()) {
        for detail in [Detail::States, Detail::Requests] {
            let plain = shown(story.events(), look(Mode::Plain, detail), 1000 * SECOND).0;
            let colored = shown(story.events(), Look { color: true, ..look(Mode::Plain, detail) }, 1000 * SECOND).0;
            prop_assert!(!plain.contains('\x1b'));
            prop_assert!(colored.contains('\x1b'));
            prop_assert_eq!(console::strip_ansi_codes(&colored), plain.as_str());
            prop_assert_eq!(shown(story.events(), look(Mode::Bars, detail), 1000 * SECOND).0, plain.as_str(), "hidden bars");

            let screen = Screen::new(200, 24);
            let output = Output::new(screen.clone(), io::sink());
            let mut terminal = Terminal::with_bars(look(Mode::Bars, detail), output, Some(Bars::on(screen.clone())));
            play(&mut terminal, story.events(), 1000 * SECOND);
            terminal.close(&closing());
            prop_assert_eq!(screen.text(), plain.trim_end(), "bars");
        }
    }

    /// Every change of state is told in one line with the step and a word.
    #[test]
    fn every_change_of_state_is_told(story in chaos()) {
        let said = people(&story, look(Mode::Plain, Detail::States));
        let view = story.view();
        for row in &view.rows {
            let of_it = |word: &str| said.lines().filter(|line| {
                let mut words = line.trim_start_matches(|c| c != ']').split_whitespace().skip(1);
                words.next() == Some(row.node.id.as_str()) && words.next() == Some(word)
            }).count();
            prop_assert_eq!(of_it("START"), usize::from(row.started.is_some()), "{}", row.node.id);
            let (word, _) = super::say::outcome_word(row.outcome().unwrap());
            prop_assert_eq!(of_it(word), 1, "{} {}", row.node.id, word);
        }
        for row in &view.checks {
            let name = format!("check/{}", row.node.id);
            let told = |word: &str| said.lines().filter(|line| {
                let mut words = line.trim_start_matches(|c| c != ']').split_whitespace().skip(1);
                words.next() == Some(name.as_str()) && words.next() == Some(word)
            }).count();
            prop_assert_eq!(told("ALARM"), usize::from(row.violated.is_some() && row.counts()));
            let (word, _) = super::say::outcome_word(row.outcome().unwrap());
            let word = if row.counts() || row.skip.is_some() { word } else { "REPORT" };
            prop_assert_eq!(told(word), 1, "{} {}", name, word);
        }
        let last = said.lines().last().unwrap_or_default();
        prop_assert!(last.ends_with("report: reports/restart/r/report.html"), "{}", last);
    }
}
