use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::court::{Judge, Outpost};
use super::timer::Set;
use crate::clock::Elapsed;
use crate::event::{Armed, Failure, JudgeBy, NodeKind, Outcome, SkipReason, Verdict};
use crate::graph::{Graph, StepIx};
use crate::id::CheckId;
use crate::plan::{Check, LeftOut, Query, Scope};

/// A check of the plan by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CheckIx(usize);

/// The windows of a run's checks: which are open, and what others wait for because of them.
#[derive(Default)]
pub(super) struct Windows {
    all: Vec<Window>,
    by_id: BTreeMap<CheckId, CheckIx>,
    /// Checks by the step that opens their window; none: the start of the run.
    opening: BTreeMap<Option<StepIx>, Vec<CheckIx>>,
    /// Checks by the step that closes it; none: the end of the work.
    closing: BTreeMap<Option<StepIx>, Vec<CheckIx>>,
    /// Steps, or the run, that wait for live watches.
    pub(super) arming: BTreeMap<Option<StepIx>, Arming>,
    /// Closing lists that were asked for.
    pub(super) listing: BTreeMap<u64, Listing>,
    pub(super) next_listing: u64,
    /// What is kept watched, for as long as a check needs it.
    pub(super) outposts: BTreeMap<Query, Arc<dyn Outpost>>,
    /// Windows that have closed and wait for the watch to explain their list.
    pub(super) closed: BTreeSet<CheckIx>,
    /// Rounds that have settled and wait for the judgement on their windows.
    pub(super) rounds: BTreeMap<StepIx, Outcome>,
    /// A check was violated, and `--fail-fast` was not asked yet.
    pub(super) alarmed: bool,
    /// Steps that wait for closing lists which no step of their own stands for.
    pub(super) postponed: BTreeSet<StepIx>,
    /// Why the watches of the whole run could not be opened: then nothing is done.
    pub(super) unarmed: Option<Failure>,
}

/// The window of one check.
pub(super) struct Window {
    pub(super) id: CheckId,
    pub(super) judge: JudgeBy,
    pub(super) scope: Arc<Scope>,
    pub(super) queries: Vec<Query>,
    /// Where it closes.
    closes: Option<StepIx>,
    /// The rounds that all of it lies in.
    pub(super) rounds: Vec<StepIx>,
    pub(super) stand: Stand,
}

/// Where a check's window stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// It has not opened.
    Waiting,
    /// It is open.
    Open,
    /// Its closing lists are on their way.
    Closing,
    /// It waits for the watch to explain them, until the alarm rings.
    Closed(Set),
    /// It was judged: how, and the sentence.
    Judged(Outcome, String),
    /// It was not judged.
    Skipped,
}

/// Watches that must be live before something begins.
#[derive(Default)]
pub(super) struct Arming {
    pub(super) awaited: BTreeSet<Query>,
    pub(super) live: BTreeMap<Query, Armed>,
    pub(super) refused: BTreeMap<Query, Failure>,
    pub(super) alarm: Option<Set>,
    /// Earlier outposts of the same watches: those must not end before the new ones are heard of.
    pub(super) replaced: Vec<Arc<dyn Outpost>>,
}

/// Lists that close windows.
pub(super) struct Listing {
    pub(super) checks: Vec<CheckIx>,
    pub(super) awaited: BTreeSet<Query>,
    pub(super) edges: BTreeMap<Query, Armed>,
    /// When the windows' step settled.
    pub(super) at: Elapsed,
    pub(super) then: Then,
    pub(super) alarm: Set,
}

/// What waits for closing lists.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    /// The frontier hears that a step has settled.
    Settle(StepIx, Outcome),
    /// Whatever is next.
    GoOn,
}

impl Windows {
    /// The windows of a plan's checks, none of them open; and the checks that were left out.
    pub(super) fn new(checks: &[Check], graph: &Graph, judge: &dyn Judge) -> (Self, Vec<(CheckId, SkipReason)>) {
        let mut windows = Self::default();
        let mut left_out = Vec::new();
        for check in checks {
            let reason = check.left_out.as_ref().map(|left_out| match left_out {
                LeftOut::If(expression) => SkipReason::If { expression: expression.clone() },
                LeftOut::Flag(flag) => SkipReason::Flag { flag: flag.clone() },
            });
            let find = |step| graph.find(step).expect("the steps that a check names are in its plan");
            let (opens, closes) = (check.opens.as_ref().map(find), check.closes.as_ref().map(find));
            let place = CheckIx(windows.all.len());
            let rounds = match (opens, closes) {
                (Some(opens), Some(closes)) => {
                    let ends: BTreeSet<StepIx> = rounds(graph, closes).collect();
                    rounds(graph, opens).filter(|round| ends.contains(round)).collect()
                }
                _ => Vec::new(),
            };
            windows.by_id.insert(check.id.clone(), place);
            windows.all.push(Window {
                id: check.id.clone(),
                judge: check.judge,
                scope: Arc::clone(&check.scope),
                queries: if reason.is_some() { Vec::new() } else { judge.queries(&check.id) },
                closes,
                rounds,
                stand: if reason.is_some() { Stand::Skipped } else { Stand::Waiting },
            });
            match reason {
                Some(reason) => left_out.push((check.id.clone(), reason)),
                None => {
                    windows.opening.entry(opens).or_default().push(place);
                    windows.closing.entry(closes).or_default().push(place);
                }
            }
        }
        (windows, left_out)
    }

    pub(super) fn get(&self, check: CheckIx) -> &Window {
        &self.all[check.0]
    }

    pub(super) fn get_mut(&mut self, check: CheckIx) -> &mut Window {
        &mut self.all[check.0]
    }

    /// The checks of the plan that were not left out.
    pub(super) fn find(&self, check: &CheckId) -> Option<CheckIx> {
        self.by_id.get(check).copied()
    }

    /// Every check of the plan.
    pub(super) fn places(&self) -> impl Iterator<Item = CheckIx> + use<> {
        (0..self.all.len()).map(CheckIx)
    }

    /// The checks whose window this step, or the start of the run, is still to open.
    pub(super) fn opening(&self, opener: Option<StepIx>) -> Vec<CheckIx> {
        self.standing(self.opening.get(&opener), |stand| *stand == Stand::Waiting)
    }

    /// The checks whose open window this step, or the end of the work, closes.
    pub(super) fn closing(&self, closer: Option<StepIx>) -> Vec<CheckIx> {
        self.standing(self.closing.get(&closer), |stand| *stand == Stand::Open)
    }

    fn standing(&self, checks: Option<&Vec<CheckIx>>, is: impl Fn(&Stand) -> bool) -> Vec<CheckIx> {
        let checks = checks.into_iter().flatten().copied();
        checks.filter(|&check| is(&self.get(check).stand)).collect()
    }

    /// Whether nothing may start before the watches of the whole run are live.
    pub(super) fn hold_the_run(&self) -> bool {
        self.arming.contains_key(&None)
    }

    /// Whether nothing new may start until closing lists are there.
    pub(super) fn hold_what_is_next(&self) -> bool {
        self.listing.values().any(|listing| matches!(listing.then, Then::GoOn))
    }

    /// Whether the judgement on a window that closes inside a step is still to come.
    pub(super) fn wait_inside(&self, step: StepIx, inside: &Range<usize>) -> bool {
        self.all.iter().any(|window| {
            let within = window.closes.is_some_and(|closes| closes == step || inside.contains(&closes.at()));
            within && matches!(window.stand, Stand::Closing | Stand::Closed(_))
        })
    }

    /// Whether every check was judged or skipped.
    pub(super) fn are_over(&self) -> bool {
        self.all.iter().all(|window| matches!(window.stand, Stand::Judged(..) | Stand::Skipped))
    }

    /// Lets go of watches that no check needs any more.
    pub(super) fn let_go(&mut self) {
        let needed: BTreeSet<&Query> = self
            .all
            .iter()
            .filter(|window| !matches!(window.stand, Stand::Judged(..) | Stand::Skipped))
            .flat_map(|window| &window.queries)
            .collect();
        self.outposts.retain(|query, _| needed.contains(query));
    }

    /// The worst of what checks came to that count in the verdict, the first that came to it,
    /// and how many did.
    pub(super) fn verdict(&self) -> (Verdict, Option<&Window>, usize) {
        let verdict = |window: &Window| match &window.stand {
            Stand::Judged(outcome, _) if window.judge.is_fail() => outcome.verdict(),
            _ => Verdict::Pass,
        };
        let worst = self.all.iter().map(verdict).max().unwrap_or(Verdict::Pass);
        let mut those = self.all.iter().filter(|window| verdict(window) == worst).peekable();
        if worst == Verdict::Pass {
            return (worst, None, 0);
        }
        let first = those.peek().copied();
        (worst, first, those.count())
    }

    /// How many checks that count in the verdict held.
    pub(super) fn held(&self) -> usize {
        let held =
            |window: &&Window| matches!(window.stand, Stand::Judged(Outcome::Passed, _)) && window.judge.is_fail();
        self.all.iter().filter(held).count()
    }
}

/// The rounds that a step is in, itself if it is one.
fn rounds(graph: &Graph, step: StepIx) -> impl Iterator<Item = StepIx> {
    let line = std::iter::successors(Some(step), |&at| graph.parent(at));
    line.filter(|&at| graph.parent(at).is_some_and(|parent| graph.node(parent).kind == NodeKind::Repeat))
}
