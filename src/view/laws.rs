//! What every stream's view must hold, and what no stream may say.

use proptest::prelude::*;

use super::{CheckState, RowState, RunView, chaos, check, hostile, moment, node, red, watched};
use crate::clock::Elapsed;
use crate::event::{
    Armed, CancelReason, Class, EventKind, Failure, Finding, How, Measure, Outcome, SkipReason, Verdict, WatchId,
};
use crate::id::StepId;
use crate::view::Story;

proptest! {
    /// Any prefix folds, counts every step once, and never tells more than the whole does.
    #[test]
    fn a_prefix_says_what_it_knows_and_no_more(story in chaos()) {
        let whole = story.view();
        prop_assert!(whole.is_complete());
        let mut view = RunView::begin(&story.events()[0]).unwrap();
        for event in &story.events()[1..] {
            prop_assert!(!view.is_complete());
            prop_assert_eq!(view.verdict(), Verdict::Error);
            let totals = view.totals();
            let settled = totals.passed + totals.failed + totals.errored + totals.inconclusive + totals.skipped
                + totals.cancelled;
            prop_assert_eq!(totals.steps, settled + totals.running + totals.not_run);
            for (row, last) in view.rows.iter().zip(&whole.rows) {
                prop_assert!(row.started.is_none() || row.started == last.started);
                prop_assert!(row.outcome().is_none() || row.outcome() == last.outcome());
                prop_assert!(last.notes.starts_with(&row.notes));
                prop_assert!(last.attempts.len() >= row.attempts.len());
            }
            for (row, last) in view.checks.iter().zip(&whole.checks) {
                prop_assert!(row.armed.is_none() || row.armed == last.armed);
                prop_assert!(row.violated.is_none() || row.violated == last.violated);
                prop_assert!(row.outcome().is_none() || row.outcome() == last.outcome());
                prop_assert!(row.violated.is_none() || row.outcome().is_none_or(|outcome| outcome == Outcome::Failed));
            }
            let checks = [view.check_totals(), view.report_totals()];
            prop_assert_eq!(checks.iter().map(|totals| totals.steps).sum::<usize>(), view.checks.len());
            prop_assert!(view.versions() <= whole.versions() && view.watches.len() <= whole.watches.len());
            prop_assert!(view.reason().contains("has no end"));
            view.apply(event).map_err(|illegal| TestCaseError::fail(illegal.to_string()))?;
        }
        prop_assert_eq!(&view, &whole);
        prop_assert_eq!(whole.totals().running + whole.totals().not_run, 0);
        prop_assert_eq!(whole.check_totals().running + whole.check_totals().not_run, 0);
        let rounds: usize = whole.series().iter().map(|series| series.rows.len()).sum();
        prop_assert_eq!(rounds, whole.checks.len());
    }

    /// A refused event leaves no trace.
    #[test]
    fn a_refusal_changes_nothing(story in chaos(), at in any::<prop::sample::Index>()) {
        let events = story.events();
        let cut = 1 + at.index(events.len() - 1);
        let mut view = RunView::of(&events[..cut]).unwrap();
        let before = view.clone();
        for event in events {
            if event.seq != view.events {
                prop_assert!(view.apply(event).is_err());
                prop_assert_eq!(&view, &before);
            }
        }
    }
}

#[test]
fn what_can_not_follow_is_refused_with_its_reason() {
    let plan = || Story::new(vec![node("a", "exec"), node("g", "group"), node("g/b", "wait")]);
    let failure = || Failure::new(Class::Unmet, "no");
    let cases = [
        (plan().pass("a"), "event 1 about `a` can't be: it is waiting"),
        (plan().start("a").start("a"), "event 2 about `a` can't be: it is running"),
        (plan().start("a").pass("a").pass("a"), "event 3 about `a` can't be: it is passed"),
        (plan().start("a").skip("a", SkipReason::NoCells), "event 2 about `a` can't be: it is running"),
        (
            plan().start("a").end("a", Outcome::Skipped, None),
            "event 2 about `a` can't be: what has begun can't end as skipped",
        ),
        (plan().start("g"), "event 1 about `g` can't be: it is a group and not a step"),
        (plan().group("a"), "event 1 about `a` can't be: it is a step and not a group"),
        (plan().start("g/b"), "event 1 about `g/b` can't be: its group `g` is waiting"),
        (plan().group("g").start("g/b").pass("g"), "event 3 about `g` can't be: `g/b` inside it still runs"),
        (
            plan().start("a").again("a", 2, failure(), 0),
            "event 2 about `a` can't be: attempt 2 is not the one that runs",
        ),
        (plan().start("a").up("a").up("a"), "event 3 about `a` can't be: it is up already"),
        (plan().start("nobody"), "event 1 about `nobody` can't be: the plan has no such step"),
        (plan().finish(Verdict::Pass, ""), "event 1 can't be: `a` is still waiting"),
        (
            plan().cancel(CancelReason::SecondSignal).finish(Verdict::Cancelled, "").warn("late"),
            "event 3 can't be: the run has ended",
        ),
    ];
    for (story, sentence) in cases {
        assert_eq!(RunView::of(story.events()).unwrap_err().to_string(), sentence);
    }
}

#[test]
fn numbers_and_times_go_forward() {
    let story = Story::new(vec![node("a", "exec")]).after(5).start("a").after(5).pass("a");
    let mut events = story.events().to_vec();
    events[2].seq = 7;
    assert_eq!(RunView::of(&events).unwrap_err().because, "event 2 comes next");
    events[2].seq = 2;
    events[2].at.0 = 1;
    assert_eq!(RunView::of(&events).unwrap_err().because, "it happened at 0ms and the one before it at 5ms");
    assert_eq!(RunView::of(&events[1..]).unwrap_err().because, "a stream begins with the start of the run");
    assert_eq!(RunView::of([]).unwrap_err().because, "the stream is empty");
}

#[test]
fn a_plan_with_a_bad_tree_is_refused() {
    let because = |story: Story| RunView::of(story.events()).unwrap_err().because;
    let twice = Story::new(vec![node("a", "exec"), node("a", "wait")]);
    assert_eq!(because(twice), "two steps are called `a`");
    let orphan = Story::new(vec![node("g/a", "exec")]);
    assert_eq!(because(orphan), "`g/a` is in `g`, which is no group before it");
    let in_a_verb = Story::new(vec![node("g", "exec"), node("g/a", "exec")]);
    assert_eq!(because(in_a_verb), "`g/a` is in `g`, which is no group before it");
}

#[test]
fn a_red_run_is_counted_and_explained() {
    let view = red().view();
    assert_eq!(view.totals().sentence(), "2 passed, 1 failed, 3 skipped (2 blocked)");
    assert_eq!(view.cleanup_totals().sentence(), "1 errored");
    let culprits = view.culprits();
    let named: Vec<_> = culprits.iter().map(|culprit| culprit.row.node.id.as_str()).collect();
    assert_eq!(named, ["restart[01]/back"]);
    let blocked: Vec<_> = culprits[0].blocked.iter().map(|row| row.node.id.as_str()).collect();
    assert_eq!(blocked, ["restart[01]/verify", "upgrade"]);
    assert_eq!(view.cleanup_failures().len(), 1);
    let chain: Vec<_> = view.because(&StepId::root("upgrade")).iter().map(|row| row.node.id.as_str()).collect();
    assert_eq!(chain, ["restart", "restart[01]/back"]);
    assert!(view.because(&StepId::root("extra")).is_empty());
    let covered: Vec<_> = view.requirements().iter().map(|found| (found.id.to_owned(), found.held())).collect();
    assert_eq!(covered, [("C1".to_owned(), true), ("C5".to_owned(), false)]);
    assert_eq!(view.rows[3].depth, 2);
}

#[test]
fn a_group_that_fails_alone_is_named() {
    let timeout = Failure::new(Class::Timeout, "the group was not done within 5m");
    let story = Story::new(vec![node("g", "group"), node("g/a", "wait"), node("b", "exec").needs(&["g"])])
        .group("g")
        .start("g/a")
        .end("g/a", Outcome::Cancelled, Some(Failure::new(Class::Cancelled, "the timeout above it is over")))
        .fail("g", timeout)
        .block("b", "g", Outcome::Failed)
        .finish(Verdict::Fail, "`g` failed");
    let view = story.view();
    let culprits = view.culprits();
    assert_eq!(culprits.len(), 1);
    assert_eq!(culprits[0].row.node.id.as_str(), "g");
    assert_eq!(culprits[0].blocked.len(), 1);
}

#[test]
fn a_retry_begins_only_when_its_time_has_come() {
    let failure = || Failure::new(Class::Refused, "no");
    let story = Story::new(vec![node("a", "exec")]).start("a").after(10).again("a", 1, failure(), 100);
    let view = story.view();
    assert_eq!(view.rows[0].attempts.len(), 1);
    assert_eq!(view.rows[0].retry.map(|(number, due)| (number, due.0)), Some((2, 110_000)));

    let cut = story.clone().after(50).end("a", Outcome::Cancelled, None).view();
    assert_eq!((cut.rows[0].attempts.len(), cut.rows[0].retry), (1, None));

    let again = story.after(150).pass("a").view();
    let tries: Vec<_> = again.rows[0].attempts.iter().map(|attempt| (attempt.number, attempt.started.0)).collect();
    assert_eq!(tries, [(1, 0), (2, 110_000)]);
    assert_eq!(again.rows[0].state, RowState::Settled(Outcome::Passed));
    assert!(again.rows[0].attempts[0].failure.is_some() && again.rows[0].attempts[1].failure.is_none());
}

#[test]
fn a_cut_run_says_where_it_stops() {
    let story = red();
    let cut = RunView::of(&story.events()[..12]).unwrap();
    assert_eq!(
        cut.reason(),
        "the run has no end: its journal stops after event 11 at 3.8s, while `restart[01]/back` was running"
    );
    assert_eq!(cut.totals().sentence(), "2 passed, 1 skipped, 1 unfinished, 2 not run");
}

#[test]
fn text_is_kept_as_it_came() {
    let view = Story::new(vec![]).warn(&hostile()).finish(Verdict::Pass, &hostile()).view();
    assert_eq!((view.warnings[0].1.as_str(), view.reason()), (hostile().as_str(), hostile()));
}

fn found() -> Finding {
    Finding { message: "no pod appeared".into(), ..Finding::default() }
}

#[test]
fn a_check_goes_only_where_its_table_says() {
    let plan = || {
        Story::checked(vec![node("a", "exec")], vec![check("c", "never", "a")]).watch(0, watched("pods", "app=x"), 1)
    };
    let broken = || moment(4, 0, "pod-a", "appeared", &[]);
    let skip = |story: Story| story.leave("c", SkipReason::NoCells);
    let judge = |story: Story, outcome| story.judge("c", outcome, found());
    let cases = [
        (plan().violate("c", broken()), "event 4 about check `c` can't be: it is waiting"),
        (
            judge(plan(), Outcome::Passed),
            "event 4 about check `c` can't be: its window never opened, so it can't have passed",
        ),
        (plan().arm("c", &[0]).arm("c", &[0]), "event 5 about check `c` can't be: it is armed"),
        (skip(plan().arm("c", &[0])), "event 5 about check `c` can't be: it is armed"),
        (
            judge(plan().arm("c", &[0]), Outcome::Skipped),
            "event 5 about check `c` can't be: what was judged can't end as skipped",
        ),
        (
            plan().arm("c", &[0]).violate("c", broken()).violate("c", broken()),
            "event 6 about check `c` can't be: it is violated",
        ),
        (
            judge(plan().arm("c", &[0]).violate("c", broken()), Outcome::Inconclusive),
            "event 6 about check `c` can't be: a violation was seen, so it can't end as inconclusive",
        ),
        (judge(skip(plan()), Outcome::Failed), "event 5 about check `c` can't be: it is skipped"),
        (plan().arm("nobody", &[0]), "event 4 about check `nobody` can't be: the plan has no such check"),
        (plan().arm("c", &[1]), "event 4 about check `c` can't be: watch 1 is not live"),
        (
            plan().and(EventKind::WatchClosed { watch: WatchId(0) }).see(0, How::Added, "x"),
            "event 5 can't be: watch 0 is closed",
        ),
        (plan().see(3, How::Added, "x"), "event 4 can't be: watch 3 has not opened"),
        (
            plan().and(EventKind::WatchOpened { watch: WatchId(0), watched: watched("pods", "") }),
            "event 4 can't be: watch 0 has opened already",
        ),
        (plan().start("a").pass("a").finish(Verdict::Pass, ""), "event 6 can't be: check `c` is still waiting"),
    ];
    for (story, sentence) in cases {
        assert_eq!(RunView::of(story.events()).unwrap_err().to_string(), sentence);
    }
    let twice = Story::checked(vec![node("a", "exec")], vec![check("c", "never", "a"), check("c", "always", "")]);
    assert_eq!(RunView::of(twice.events()).unwrap_err().because, "two checks are called `c`");
}

#[test]
fn what_never_opened_may_stay_undecided() {
    let story = Story::checked(vec![], vec![check("c", "never", "").reported()]);
    let view = story.judge("c", Outcome::Inconclusive, found()).finish(Verdict::Pass, "").view();
    assert_eq!(view.checks[0].state, CheckState::Settled(Outcome::Inconclusive));
    assert!(view.check_failures().is_empty(), "a report spoils nothing");
}

#[test]
fn a_violation_counts_before_its_judge_speaks() {
    let story = Story::checked(vec![node("a", "exec")], vec![check("c", "never", "a")])
        .watch(0, watched("pods", ""), 2)
        .arm("c", &[0])
        .start("a")
        .after(40)
        .see(0, How::Added, "pod-x")
        .violate("c", moment(7, 40, "pod-x", "appeared", &["+ name: pod-x"]))
        .late(0, 10, "the connection broke")
        .gap(0, 20, "410 Gone");
    let view = story.view();
    assert_eq!(view.check_failures().len(), 1);
    assert_eq!(view.checks[0].message(), "pod-x: appeared");
    assert_eq!(view.checks[0].window(view.last), Some((Elapsed(0), Elapsed(40_000))));
    assert_eq!(view.checks[0].watches, [Armed { watch: WatchId(0), version: "4000".into() }]);
    assert_eq!((view.versions(), view.watches[0].objects), (3, 2));
    assert_eq!(view.watches[0].lapses.iter().map(super::Lapse::is_gap).collect::<Vec<_>>(), [false, true]);
    assert_eq!(view.watches[0].asks(), "pods -n gadget-system");
    assert_eq!(view.check_totals().sentence(), "1 unfinished");
}

#[test]
fn rounds_are_measured_together() {
    let ids = ["m[01]", "m[02]", "m[03]"];
    let checks = ids.map(|id| check(id, "sequence", "").reported().covering(&["C6"])).to_vec();
    let mut story = Story::checked(vec![], checks).watch(0, watched("pods", ""), 0);
    for (id, spells) in ids.into_iter().zip([vec![31, 4], vec![], vec![410, 7, 9]]) {
        let spells = spells.into_iter().map(|millis| Elapsed(millis * 1000)).collect();
        let measures = vec![
            Measure { what: "ready".into(), spells: vec![Elapsed(1)], more: 0 },
            Measure { what: "unknown".into(), spells, more: 0 },
        ];
        story = story.arm(id, &[0]).judge(id, Outcome::Passed, Finding { measures, ..found() });
    }
    let view = story.finish(Verdict::Pass, "").view();
    let series = view.series();
    assert_eq!((series.len(), series[0].id.as_str(), series[0].rows.len()), (1, "m", 3));
    let measured = series[0].measured();
    let unknown = &measured[1];
    assert_eq!((measured.len(), unknown.what, unknown.seen, unknown.rounds), (2, "unknown", 2, 3));
    assert_eq!(unknown.lengths(), Some([4_000, 9_000, 410_000].map(Elapsed)));
    assert!(view.requirements().iter().any(|found| found.id == "C6" && found.held()));
    assert_eq!((view.check_totals().steps, view.report_totals().sentence().as_str()), (0, "3 passed"));
}

#[test]
fn a_share_of_a_chain_is_counted_once() {
    let story = Story::new(vec![node("a", "exec"), node("beside", "steady-io"), node("tidy", "exec")])
        .start("a")
        .after(10)
        .start("beside")
        .after(30)
        .pass("a")
        .after(5)
        .pass("beside")
        .start("tidy")
        .after(2)
        .pass("tidy")
        .finish(Verdict::Pass, "");
    let view = story.view();
    let chain = ["a", "beside", "tidy"].map(StepId::root);
    let shares: Vec<u64> = view.shares(&chain).iter().map(|(_, share)| share.0 / 1000).collect();
    assert_eq!(shares, [40, 5, 2]);
}
