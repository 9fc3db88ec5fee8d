use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::dispatch::Dispatch;
use super::message::Post;
use super::timer::Alarm;
use super::window::{CheckIx, Listing, Stand, Then};
use crate::clock::Elapsed;
use crate::event::{Armed, CancelReason, EventKind, Finding, NodeKind, Outcome, SkipReason};
use crate::graph::StepIx;
use crate::plan::Query;
use crate::record;

/// How long a closing list may take. What needs the step starts no sooner.
const LIST: Duration = Duration::from_secs(10);

/// How long after it the watch may explain it. The recorder gives up after ten seconds
/// and says what was not explained; this is for a recorder that says nothing.
const EXPLAIN: Duration = Duration::from_secs(15);

impl Dispatch<'_> {
    /// A step has settled and was said to have: the frontier hears of it when the windows that
    /// close with it know their edge, so that no later step acts inside them.
    pub(super) fn close_with(&mut self, step: StepIx, outcome: Outcome) {
        let cut = outcome == Outcome::Cancelled
            || (self.cancelled.is_some() && outcome != Outcome::Passed && !self.graph.is_leaf(step));
        let checks = self.windows.closing(Some(step));
        self.close_windows(checks, cut, Then::Settle(step, outcome));
    }

    /// A step was skipped that was to close windows.
    pub(super) fn close_without(&mut self, step: StepIx, reason: &SkipReason) {
        let checks = self.windows.closing(Some(step));
        if !checks.is_empty() {
            self.close_windows(checks, matches!(reason, SkipReason::Cancelled { .. }), Then::GoOn);
        }
    }

    /// All work has settled: the windows over the whole run close before clean-up that waits for it.
    fn close_at_the_end(&mut self) {
        let checks = self.windows.closing(None);
        if !checks.is_empty() && self.top.iter().all(|&step| self.frontier.outcome(step).is_some()) {
            self.close_windows(checks, self.cancelled.is_some(), Then::GoOn);
        }
    }

    /// Closes windows as of now. Those that were cut are judged on what was seen; for the
    /// others one more list is asked.
    fn close_windows(&mut self, checks: Vec<CheckIx>, cut: bool, then: Then) {
        let at = self.scribe.last();
        if cut {
            for &check in &checks {
                self.cut_window(check, at);
            }
        }
        let mut awaited: BTreeSet<Query> = BTreeSet::new();
        for &check in checks.iter().filter(|_| !cut) {
            let window = self.windows.get_mut(check);
            window.stand = Stand::Closing;
            awaited.extend(window.queries.iter().cloned());
        }
        if awaited.is_empty() {
            return self.go_on(then);
        }
        let number = self.windows.next_listing;
        self.windows.next_listing += 1;
        for query in &awaited {
            let outpost = Arc::clone(&self.windows.outposts[query]);
            let (to_loop, query) = (self.to_loop.clone(), query.clone());
            self.tasks.spawn(async move {
                let listed = outpost.confirm().await;
                // A loop that has left does not listen any more.
                let _ = to_loop.send(Post::Listed { number, query, listed });
            });
        }
        let alarm = self.timers.set(Instant::now() + LIST, Alarm::Lists(number));
        let listing = Listing { checks, awaited, edges: BTreeMap::new(), at, then, alarm };
        self.windows.listing.insert(number, listing);
    }

    /// A closing list has come, or will not.
    pub(super) fn listed(&mut self, number: u64, query: &Query, listed: Result<Armed, record::Error>) {
        let Some(listing) = self.windows.listing.get_mut(&number) else { return };
        if listing.awaited.remove(query)
            && let Ok(edge) = listed
        {
            listing.edges.insert(query.clone(), edge);
        }
        if listing.awaited.is_empty() {
            self.lists_over(number);
        }
    }

    /// All closing lists that will come have come: the windows have their edges.
    pub(super) fn lists_over(&mut self, number: u64) {
        let Some(listing) = self.windows.listing.remove(&number) else { return };
        self.timers.forget(Some(listing.alarm));
        for check in listing.checks {
            let window = self.windows.get(check);
            let edges = window.queries.iter().filter_map(|query| listing.edges.get(query));
            let edges: Vec<_> = edges.map(|edge| (edge.watch, edge.version.clone())).collect();
            self.judge.close(&window.id, listing.at, &edges);
            let patience = self.timers.set(Instant::now() + EXPLAIN, Alarm::Judgement(check));
            self.windows.get_mut(check).stand = Stand::Closed(patience);
            self.windows.closed.insert(check);
        }
        self.go_on(listing.then);
    }

    fn go_on(&mut self, then: Then) {
        match then {
            Then::Settle(step, outcome) => self.tell_settled(step, outcome),
            Then::GoOn if self.windows.hold_what_is_next() => {}
            Then::GoOn => {
                for step in std::mem::take(&mut self.windows.postponed) {
                    self.frontier.resume(step);
                }
            }
        }
    }

    /// Tells the frontier that a step has settled. The next round begins when the windows
    /// of the one before are judged.
    fn tell_settled(&mut self, step: StepIx, outcome: Outcome) {
        let in_repeat = self.graph.parent(step).is_some_and(|parent| self.graph.node(parent).kind == NodeKind::Repeat);
        if in_repeat && self.windows.wait_inside(step, &self.graph.inside(step)) {
            self.windows.rounds.insert(step, outcome);
        } else {
            self.frontier.settled(step, outcome);
        }
    }

    /// Does what checks ask for now: judges what can be judged, answers to violations, and
    /// closes the windows over the whole run.
    /// Called where no step is half told.
    pub(super) fn attend_to_checks(&mut self) {
        let ready: Vec<CheckIx> = self.windows.closed.iter().copied().collect();
        for check in ready {
            if self.judge.ready(&self.windows.get(check).id) {
                self.pronounce(check);
            }
        }
        let alarmed = std::mem::take(&mut self.windows.alarmed);
        if alarmed && self.fail_fast && self.cancelled.is_none() && !self.frontier.is_work_done() {
            self.cancel(CancelReason::FailFast);
        }
        self.close_at_the_end();
        if self.frontier.is_over() {
            self.close_what_is_left();
        }
    }

    /// A check that counts was violated. Rounds hear of it at once, the run when no step is half told.
    pub(super) fn violated(&mut self, check: CheckIx) {
        let window = self.windows.get(check);
        for round in &window.rounds {
            self.frontier.violated(*round, &window.id);
        }
        self.windows.alarmed = true;
    }

    /// Nothing runs any more: what is still open closes now.
    fn close_what_is_left(&mut self) {
        let standing = |stand: Stand| {
            let all = self.windows.places();
            all.filter(|&check| self.windows.get(check).stand == stand).collect::<Vec<CheckIx>>()
        };
        let (open, waiting) = (standing(Stand::Open), standing(Stand::Waiting));
        if !open.is_empty() {
            self.close_windows(open, self.cancelled.is_some(), Then::GoOn);
        }
        for check in waiting {
            let by = self.cancelled.unwrap_or(CancelReason::Deadline);
            self.skip_check(check, SkipReason::Cancelled { by });
        }
    }

    /// The watch has had its time to explain a closing list.
    pub(super) fn judgement_overdue(&mut self, check: CheckIx) {
        if self.windows.closed.contains(&check) {
            self.pronounce(check);
        }
    }

    /// A check is judged.
    fn pronounce(&mut self, check: CheckIx) {
        let EventKind::CheckJudged { outcome, finding, .. } = self.judge.judge(&self.windows.get(check).id) else {
            unreachable!("a judgement is one")
        };
        self.judged(check, outcome, finding);
    }

    /// A window ends early.
    fn cut_window(&mut self, check: CheckIx, at: Elapsed) {
        let id = self.windows.get(check).id.clone();
        let why = self.cancelled.map_or_else(|| "its step was cut short".to_owned(), |reason| reason.to_string());
        self.judge.cut(&id, at, &why);
        self.pronounce(check);
    }

    fn judged(&mut self, check: CheckIx, outcome: Outcome, finding: Box<Finding>) {
        self.windows.closed.remove(&check);
        let window = self.windows.get_mut(check);
        let before = std::mem::replace(&mut window.stand, Stand::Judged(outcome, finding.message.clone()));
        let (id, counts) = (window.id.clone(), window.judge.is_fail());
        if let Stand::Closed(patience) = before {
            self.timers.forget(Some(patience));
        }
        self.say(EventKind::CheckJudged { check: id, outcome, finding });
        // A claim that something comes is found violated only now.
        if counts && outcome == Outcome::Failed {
            self.violated(check);
        }
        self.windows.let_go();
        let settled: Vec<_> = self
            .windows
            .rounds
            .iter()
            .filter(|(round, _)| !self.windows.wait_inside(**round, &self.graph.inside(**round)))
            .map(|(round, outcome)| (*round, *outcome))
            .collect();
        for (round, outcome) in settled {
            self.windows.rounds.remove(&round);
            self.frontier.settled(round, outcome);
        }
    }

    /// Nothing is waited for any more: every window is judged as it stands. If the journal is
    /// lost nobody would read it, and none is.
    pub(super) fn leave_windows(&mut self) {
        let at = self.scribe.last();
        self.windows.arming.clear();
        let lost = self.scribe.lost().is_some();
        for number in self.windows.listing.keys().copied().collect::<Vec<u64>>() {
            self.lists_over(number);
        }
        for check in self.windows.places() {
            match self.windows.get(check).stand {
                Stand::Judged(..) | Stand::Skipped => {}
                _ if lost => self.windows.get_mut(check).stand = Stand::Skipped,
                // Its step is skipped, and it with that.
                Stand::Waiting => {}
                Stand::Open | Stand::Closing | Stand::Closed(_) => self.cut_window(check, at),
            }
        }
        self.windows.closed.clear();
        self.windows.outposts.clear();
        for (round, outcome) in std::mem::take(&mut self.windows.rounds) {
            self.frontier.settled(round, outcome);
        }
    }
}
