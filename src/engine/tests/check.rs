//! Windows of checks: what waits for them, when they open and close, and what they decide.

use crate::engine::script::{Script, stage, stage_of};
use crate::engine::watching::Watching;
use crate::event::{CancelReason, Class, EventKind, Outcome, Verdict};

/// A step, one that needs it, and clean-up.
const LINE: &str = "
    [steps.kill]
    STEP
    [steps.back]
    needs = ['kill']
    STEP
    [steps.tidy]
    when = 'always'
    STEP";

const ROUNDS: &str = "
    [steps.r]
    repeat = { times = 2 }
    [steps.r.steps.x]
    STEP
    [steps.after]
    needs = ['r']
    STEP";

#[tokio::test(start_paused = true)]
async fn a_window_opens_before_its_step_and_closes_after_it() {
    let watching = Watching::default().check("claim", "kill").armed_after(3).listed_after(2, 4);
    insta::assert_snapshot!(stage(LINE, Script::new()).watching(watching).run().await.story(), @r"
     3 armed claim
     3 start kill
     4 passed kill
     6 start back
     7 passed back
     7 start tidy
     8 passed tidy
    10 passed claim: as the script says
    10 pass: 2 steps passed, 1 check held
    ");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_watches_holds_no_permit() {
    let plan = "
        [steps.watched]
        STEP
        [steps.free]
        STEP";
    let watching = || Watching::default().check("claim", "watched").armed_after(5);
    let told = stage(plan, Script::new().takes("free", 2)).jobs(1).watching(watching()).run().await;
    assert_eq!([told.span("free"), told.span("watched")], [(0, 2), (5, 6)]);
    let told = stage(plan, Script::new().takes("free", 8)).jobs(1).watching(watching()).run().await;
    insta::assert_snapshot!(told.story(), @r"
    0 start free
    8 passed free
    8 armed claim
    8 start watched
    9 passed watched
    9 passed claim: as the script says
    9 pass: 2 steps passed, 1 check held
    ");
}

#[tokio::test(start_paused = true)]
async fn a_step_whose_watch_cant_be_opened_does_nothing() {
    let watching = Watching::default().check("claim", "kill").forbidden().check("other", "kill");
    insta::assert_snapshot!(stage(LINE, Script::new()).watching(watching).run().await.story(), @r"
    0 errored claim: its window never opened: `claim` can't be watched: things is forbidden
    0 skip other: it needs `kill`, which errored
    0 start kill
    0 errored kill: nothing was done: check `claim`: `claim` can't be watched: things is forbidden
    0 skip back: it needs `kill`, which errored
    0 start tidy
    1 passed tidy
    1 error: `kill` errored: nothing was done: check `claim`: `claim` can't be watched: things is forbidden; 1 check errored too
    ");
    let late = Watching::default().check("claim", "kill").never_armed().armed_after(61).comes_to(Outcome::Failed);
    insta::assert_snapshot!(stage(LINE, Script::new()).watching(late).run().await.story(), @r"
    60 errored claim: its window never opened: the watch of `claim` was not live within 1m00s
    60 start kill
    60 errored kill: nothing was done: check `claim`: the watch of `claim` was not live within 1m00s
    60 skip back: it needs `kill`, which errored
    60 start tidy
    61 passed tidy
    61 error: `kill` errored: nothing was done: check `claim`: the watch of `claim` was not live within 1m00s; 1 check errored too
    ");
    let group = Watching::default().check("claim", "r[01]").forbidden();
    insta::assert_snapshot!(stage(ROUNDS, Script::new()).watching(group).run().await.story(), @r"
    0 open r
    0 errored claim: its window never opened: `claim` can't be watched: things is forbidden
    0 open r[01]
    0 skip r[01]/x: its group `r[01]` did not get to it
    0 errored r[01]: nothing was done: check `claim`: `claim` can't be watched: things is forbidden
    0 open r[02]
    0 start r[02]/x
    1 passed r[02]/x
    1 passed r[02]
    1 errored r: `r[01]` errored: nothing was done: check `claim`: `claim` can't be watched: things is forbidden
    1 skip after: it needs `r`, which errored
    1 error: `r[01]` errored: nothing was done: check `claim`: `claim` can't be watched: things is forbidden; 1 check errored too
    ");
}

#[tokio::test(start_paused = true)]
async fn a_report_that_cant_be_measured_stops_nothing() {
    let watching =
        Watching::default().check("claim", "kill").report().forbidden().check("late", "back").report().never_armed();
    insta::assert_snapshot!(stage(LINE, Script::new()).watching(watching).run().await.story(), @r"
     0 inconclusive claim: not measured: `claim` can't be watched: things is forbidden
     0 start kill
     1 passed kill
    61 inconclusive late: not measured: the watch of `late` was not live within 1m00s
    61 start back
    62 passed back
    62 start tidy
    63 passed tidy
    63 pass: 2 steps passed
    ");
}

#[tokio::test(start_paused = true)]
async fn a_round_begins_when_the_windows_of_the_one_before_are_judged() {
    let watching = Watching::default()
        .check("claim[01]", "r[01]")
        .listed_after(1, 5)
        .check("claim[02]", "r[02]")
        .check("inner[01]", "r[01]/x")
        .listed_after(0, 8);
    insta::assert_snapshot!(stage(ROUNDS, Script::new()).watching(watching).run().await.story(), @r"
     0 open r
     0 armed claim[01]
     0 open r[01]
     0 armed inner[01]
     0 start r[01]/x
     1 passed r[01]/x
     1 passed r[01]
     7 passed claim[01]: as the script says
     9 passed inner[01]: as the script says
     9 armed claim[02]
     9 open r[02]
     9 start r[02]/x
    10 passed r[02]/x
    10 passed r[02]
    16 passed claim[02]: as the script says
    16 passed r
    16 start after
    17 passed after
    17 pass: 3 steps passed, 3 checks held
    ");
}

#[tokio::test(start_paused = true)]
async fn a_window_may_span_steps() {
    let watching = Watching::default().span("claim", "kill", "back").listed_after(1, 1).violated_after(1);
    insta::assert_snapshot!(stage(LINE, Script::new()).watching(watching).run().await.story(), @r"
    0 armed claim
    0 start kill
    1 violated claim: appeared
    1 passed kill
    1 start back
    2 passed back
    3 start tidy
    4 failed claim: thing appeared
    4 passed tidy
    4 fail: check `claim` failed: thing appeared
    ");
}

#[tokio::test(start_paused = true)]
async fn the_whole_run_ends_before_clean_up() {
    let watching = Watching::default().whole("claim").armed_after(4).listed_after(3, 6);
    insta::assert_snapshot!(stage(LINE, Script::new()).watching(watching).run().await.story(), @r"
     4 armed claim
     4 start kill
     5 passed kill
     5 start back
     6 passed back
     9 start tidy
    10 passed tidy
    15 passed claim: as the script says
    15 pass: 2 steps passed, 1 check held
    ");
    let plan = "
        [steps.a]
        STEP
        [steps.b]
        needs = ['a']
        STEP
        [steps.tidy]
        needs = ['a']
        when = 'always'
        STEP";
    let watching = Watching::default().whole("claim").listed_after(3, 0);
    let told = stage(plan, Script::new().fails("a", Class::Unmet)).watching(watching).run().await;
    insta::assert_snapshot!(told.story(), @r"
    0 armed claim
    0 start a
    1 failed a: it broke
    1 skip b: it needs `a`, which failed
    4 start tidy
    4 passed claim: as the script says
    5 passed tidy
    5 fail: `a` failed: it broke
    ");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_can_see_nothing_does_nothing() {
    let watching = Watching::default().whole("claim").forbidden().whole("other").check("inner", "back");
    insta::assert_snapshot!(stage(LINE, Script::new()).watching(watching).run().await.story(), @r"
    0 errored claim: its window never opened: `claim` can't be watched: things is forbidden
    0 errored other: its window never opened: the watch for check `claim` could not be opened
    0 start kill
    0 errored kill: nothing was done: check `claim`: `claim` can't be watched: things is forbidden
    0 skip back: it needs `kill`, which errored
    0 skip inner: it needs `back`, which was skipped
    0 start tidy
    1 passed tidy
    1 error: `kill` errored: nothing was done: check `claim`: `claim` can't be watched: things is forbidden; 2 checks errored too
    ");
}

#[tokio::test(start_paused = true)]
async fn a_check_whose_step_never_began_is_skipped() {
    let watching = Watching::default().check("claim", "back").check("out", "kill").left_out();
    let told = stage(LINE, Script::new().fails("kill", Class::Unmet)).watching(watching).run().await;
    insta::assert_snapshot!(told.story(), @r"
    0 skip out: left out by --skip it
    0 start kill
    1 failed kill: it broke
    1 skip back: it needs `kill`, which failed
    1 skip claim: it needs `back`, which was skipped
    1 start tidy
    2 passed tidy
    2 fail: `kill` failed: it broke
    ");
}

#[tokio::test(start_paused = true)]
async fn a_window_closes_with_a_last_step_that_is_skipped() {
    let watching = Watching::default().span("claim", "kill", "back").listed_after(2, 1);
    let told = stage(LINE, Script::new().fails("kill", Class::Unmet)).watching(watching).run().await;
    insta::assert_snapshot!(told.story(), @r"
    0 armed claim
    0 start kill
    1 failed kill: it broke
    1 skip back: it needs `kill`, which failed
    3 start tidy
    4 passed claim: as the script says
    4 passed tidy
    4 fail: `kill` failed: it broke
    ");
}

#[tokio::test(start_paused = true)]
async fn a_closing_list_has_ten_seconds_and_its_explanation_a_little_more() {
    let watching = Watching::default().check("claim", "kill").never_listed();
    insta::assert_snapshot!(stage(LINE, Script::new()).watching(watching).run().await.story(), @r"
     0 armed claim
     0 start kill
     1 passed kill
    11 inconclusive claim: no closing list
    11 start back
    12 passed back
    12 start tidy
    13 passed tidy
    13 inconclusive: check `claim` was inconclusive: no closing list
    ");
    let watching = Watching::default().check("claim", "kill").listed_after(0, 3600);
    let told = stage(LINE, Script::new()).watching(watching).run().await;
    assert_eq!((told.verdict, told.span("back")), (Verdict::Inconclusive, (1, 2)));
}

#[tokio::test(start_paused = true)]
async fn a_first_signal_cuts_what_is_open_and_judges_what_has_closed() {
    let script = || Script::new().hangs("back");
    let watching = || {
        Watching::default()
            .check("before", "kill")
            .listed_after(0, 8)
            .whole("whole")
            .check("cut", "back")
            .check("seen", "back")
            .violated_after(1)
    };
    let told = stage(LINE, script()).watching(watching()).signal(5, CancelReason::Interrupt).run().await;
    insta::assert_snapshot!(told.story(), @r"
     0 armed whole
     0 armed before
     0 start kill
     1 passed kill
     1 armed cut
     1 armed seen
     1 start back
     1 back says 2 of 3 ready
     2 violated seen: appeared
     5 cancel: interrupted (SIGINT)
     9 passed before: as the script says
    10 cancelled back: cut short: interrupted (SIGINT); last seen: 2 of 3 ready: did not end within 5.0s of being asked to, and was dropped [pod-b: not ready]
    10 cancelled cut: interrupted (SIGINT)
    10 failed seen: thing appeared
    10 cancelled whole: interrupted (SIGINT)
    10 start tidy
    11 passed tidy
    11 fail: check `seen` failed: thing appeared
    ");
    let told = stage(LINE, script())
        .watching(watching())
        .signal(5, CancelReason::Interrupt)
        .signal(6, CancelReason::SecondSignal)
        .run()
        .await;
    insta::assert_snapshot!(told.story(), @r"
    0 armed whole
    0 armed before
    0 start kill
    1 passed kill
    1 armed cut
    1 armed seen
    1 start back
    1 back says 2 of 3 ready
    2 violated seen: appeared
    5 cancel: interrupted (SIGINT)
    6 cancel: a second signal
    6 cancelled before: a second signal
    6 cancelled whole: a second signal
    6 cancelled cut: a second signal
    6 failed seen: thing appeared
    6 cancelled back: cut short: a second signal; last seen: 2 of 3 ready [pod-b: not ready]
    6 skip tidy: the run was cancelled: a second signal
    6 fail: check `seen` failed: thing appeared
    ");
    let cut = Watching::default().check("cut", "back");
    let told = stage(LINE, script()).watching(cut).signal(5, CancelReason::Terminate).run().await;
    assert_eq!(told.verdict, Verdict::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_signal_before_watches_are_live_skips() {
    for watching in [Watching::default().whole("claim"), Watching::default().check("claim", "kill")] {
        let told =
            stage(LINE, Script::new()).watching(watching.never_armed()).signal(5, CancelReason::Interrupt).run().await;
        assert_eq!((told.verdict, told.events.last().expect("an end").at.0), (Verdict::Cancelled, 6_000_000));
        assert!(told.events.iter().any(|event| matches!(
            &event.kind,
            EventKind::CheckSkipped { reason, .. } if reason.to_string().contains("SIGINT")
        )));
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_does_not_wait_for_lists() {
    let watching = Watching::default().check("claim", "kill").never_listed();
    let told = stage(LINE, Script::new())
        .watching(watching)
        .signal(2, CancelReason::Interrupt)
        .signal(3, CancelReason::Interrupt)
        .run()
        .await;
    insta::assert_snapshot!(told.story(), @r"
    0 armed claim
    0 start kill
    1 passed kill
    2 cancel: interrupted (SIGINT)
    3 cancel: a second signal
    3 cancelled claim: a second signal
    3 skip back: the run was cancelled: a second signal
    3 skip tidy: the run was cancelled: a second signal
    3 cancelled: a second signal
    ");
}

#[tokio::test(start_paused = true)]
async fn a_lost_journal_ends_all_windows() {
    for room in 1..14 {
        let watching = Watching::default().whole("whole").check("claim", "kill").listed_after(2, 2).check("b", "back");
        let told = stage(LINE, Script::new()).watching(watching).room(room).run().await;
        assert_eq!((told.verdict, told.events.len()), (Verdict::Error, room), "after {room} events");
    }
}

#[tokio::test(start_paused = true)]
async fn the_plans_time_cuts_windows() {
    let watching = Watching::default().check("claim", "back").whole("whole");
    let told = stage(LINE, Script::new().hangs("back")).watching(watching).timeout(30).run().await;
    insta::assert_snapshot!(told.story(), @r"
     0 armed whole
     0 start kill
     1 passed kill
     1 armed claim
     1 start back
     1 back says 2 of 3 ready
    30 cancel: the timeout above it is over
    35 cancelled back: cut short: the timeout above it is over; last seen: 2 of 3 ready: did not end within 5.0s of being asked to, and was dropped [pod-b: not ready]
    35 cancelled claim: the timeout above it is over
    35 cancelled whole: the timeout above it is over
    35 start tidy
    36 passed tidy
    36 fail: the plan was not done within 30.0s; `back` was running
    ");
}

#[tokio::test(start_paused = true)]
async fn fail_fast_hears_a_violation_when_it_is_seen() {
    let watching = |report: bool| {
        let watching = Watching::default().check("claim", "kill").violated_after(2);
        if report { watching.report() } else { watching }
    };
    let script = || Script::new().takes("kill", 9);
    let told = stage(LINE, script()).watching(watching(false)).fail_fast().run().await;
    insta::assert_snapshot!(told.story(), @r"
    0 armed claim
    0 start kill
    2 violated claim: appeared
    2 cancel: a step or check failed and `--fail-fast` is set
    7 cancelled kill: cut short: a step or check failed and `--fail-fast` is set: did not end within 5.0s of being asked to, and was dropped
    7 failed claim: thing appeared
    7 skip back: the run was cancelled: a step or check failed and `--fail-fast` is set
    7 start tidy
    8 passed tidy
    8 fail: check `claim` failed: thing appeared
    ");
    let told = stage(LINE, script()).watching(watching(true)).fail_fast().run().await;
    assert_eq!((told.verdict, told.span("back")), (Verdict::Pass, (9, 10)));
    let late = Watching::default().check("claim", "kill").comes_to(Outcome::Failed);
    let told = stage(LINE, script()).watching(late).fail_fast().run().await;
    insta::assert_snapshot!(told.story(), @r"
     0 armed claim
     0 start kill
     9 passed kill
     9 start back
     9 failed claim: as the script says
     9 cancel: a step or check failed and `--fail-fast` is set
    10 passed back
    10 start tidy
    11 passed tidy
    11 fail: check `claim` failed: as the script says
    ");
}

#[tokio::test(start_paused = true)]
async fn stop_on_failure_takes_a_violation_as_a_failed_round() {
    let plan = ROUNDS.replace("times = 2", "times = 3, stop-on-failure = true");
    let watching = Watching::default()
        .check("claim[01]", "r[01]")
        .violated_after(0)
        .check("claim[02]", "r[02]")
        .check("claim[03]", "r[03]");
    insta::assert_snapshot!(stage(&plan, Script::new()).watching(watching).run().await.story(), @r"
    0 open r
    0 armed claim[01]
    0 violated claim[01]: appeared
    0 open r[01]
    0 start r[01]/x
    1 passed r[01]/x
    1 passed r[01]
    1 failed claim[01]: thing appeared
    1 skip r[02]: check `claim[01]` was violated and `stop-on-failure` is set
    1 skip claim[02]: it needs `r[02]`, which was skipped
    1 skip r[02]/x: its group `r[02]` did not get to it
    1 skip r[03]: check `claim[01]` was violated and `stop-on-failure` is set
    1 skip claim[03]: it needs `r[03]`, which was skipped
    1 skip r[03]/x: its group `r[03]` did not get to it
    1 inconclusive r: `r[02]` did not run
    1 skip after: it needs `r`, which was inconclusive
    1 fail: check `claim[01]` failed: thing appeared
    ");
    let watching = Watching::default().check("claim[01]", "r[01]").comes_to(Outcome::Failed);
    let told = stage(&plan, Script::new()).watching(watching).run().await;
    assert!(told.story().contains("skip r[02]: check `claim[01]` was violated"), "{}", told.story());
    let watching = Watching::default().check("claim[01]", "r[01]").report().violated_after(0);
    assert_eq!(stage(&plan, Script::new()).watching(watching).run().await.verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn the_worst_of_steps_and_checks_is_the_verdict() {
    use Outcome::{Cancelled, Errored, Failed, Inconclusive, Passed};
    let mut said = String::new();
    for outcome in [Passed, Cancelled, Inconclusive, Errored, Failed] {
        for step in [None, Some(Class::Undecided), Some(Class::Forbidden), Some(Class::Unmet)] {
            let script = step.map_or_else(Script::new, |class| Script::new().fails("back", class));
            let watching = Watching::default().check("claim", "kill").comes_to(outcome).check("held", "kill");
            let told = stage(LINE, script).watching(watching).run().await;
            said += told.story().lines().last().expect("an end").trim();
            said.push('\n');
        }
    }
    insta::assert_snapshot!(said, @r"
    3 pass: 2 steps passed, 2 checks held
    3 inconclusive: `back` was inconclusive: it broke
    3 error: `back` errored: it broke
    3 fail: `back` failed: it broke
    3 cancelled: check `claim` was cut short: as the script says
    3 inconclusive: `back` was inconclusive: it broke
    3 error: `back` errored: it broke
    3 fail: `back` failed: it broke
    3 inconclusive: check `claim` was inconclusive: as the script says
    3 inconclusive: `back` was inconclusive: it broke; 1 check was inconclusive too
    3 error: `back` errored: it broke
    3 fail: `back` failed: it broke
    3 error: check `claim` errored: as the script says
    3 error: check `claim` errored: as the script says
    3 error: `back` errored: it broke; 1 check errored too
    3 fail: `back` failed: it broke
    3 fail: check `claim` failed: as the script says
    3 fail: check `claim` failed: as the script says
    3 fail: check `claim` failed: as the script says
    3 fail: `back` failed: it broke; 1 check failed too
    ");
    let report = Watching::default().check("claim", "kill").report().comes_to(Failed);
    assert_eq!(stage(LINE, Script::new()).watching(report).run().await.verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn deadlines_hold_while_watches_bring_more_than_can_be_taken_in() {
    let plan = "[plan]
        name = 'p'
        timeout = '5s'
        [steps.long]
        STEP";
    let watching = Watching::default().check("claim", "long").floods();
    let told = stage_of(&[("p.toml", plan)], Script::new().takes("long", 60)).watching(watching).run().await;
    let story = told.story();
    let cancelled = story.lines().find(|line| line.contains("cancel:")).unwrap_or_default();
    let at: u64 = cancelled.split_whitespace().next().and_then(|at| at.parse().ok()).unwrap_or(u64::MAX);
    assert!((5..8).contains(&at), "the plan's five seconds are over: {cancelled}");
}
