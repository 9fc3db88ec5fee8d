use std::collections::BTreeMap;

use super::finding;
use super::replay::{Change, Replay, number};
use super::serve::{Sieve, serves};
use super::window::{Closed, Window};
use super::{Pipeline, Version};
use crate::clock::Elapsed;
use crate::event::{Armed, Blind, Difference, Event, EventKind, Finding, Outcome, WatchId};
use crate::expr::{Env, Shared};
use crate::id::CheckId;
use crate::plan::{Check, Claim, Query, Selection, SelectionId, Source};

/// How many confirmations of a watch are remembered: a closing list is often confirmed before
/// whoever asked for it has closed the window.
const CONFIRMATIONS: usize = 8;

/// All checks of a plan, and the windows that are open.
///
/// It is handed every event once it is written, in order; what it answers is to be written
/// too. `open` and `close` say when windows begin and end, `judge` what came of one.
#[derive(Debug)]
pub struct Court {
    checks: BTreeMap<CheckId, Case>,
    replay: Replay,
    windows: BTreeMap<CheckId, Window>,
    armed: BTreeMap<CheckId, Vec<Armed>>,
    confirmations: BTreeMap<WatchId, Vec<(u64, Vec<Difference>)>>,
    /// Selections of claims about existence, and whether each ever had anything.
    matched: BTreeMap<SelectionId, Matched>,
    /// Checks whose settings could not be filled in.
    broken: BTreeMap<CheckId, (Elapsed, String)>,
}

/// A check, with what its selection asks for.
#[derive(Debug)]
struct Case {
    check: Check,
    query: Query,
    pipeline: Pipeline,
}

#[derive(Debug)]
struct Matched {
    query: Query,
    pipeline: Pipeline,
    ever: bool,
}

impl Court {
    /// Takes a plan's checks and its selections. No window is open yet.
    pub fn new(checks: &[Check], selections: &[Selection]) -> Self {
        let by_id: BTreeMap<&SelectionId, &Selection> =
            selections.iter().map(|selection| (&selection.id, selection)).collect();
        let find = |id: &SelectionId| *by_id.get(id).expect("every selection that a check names is in the plan");
        let mut matched = BTreeMap::new();
        let case = |check: &Check| {
            let (base, pipeline) = Pipeline::of(find(&check.on), find);
            let Source::Api(query) = &base.source else { unreachable!("a pipeline ends at the API server") };
            if matches!(check.claim, Claim::Never { that: None } | Claim::Count { that: None, .. }) {
                matched.entry(check.on.clone()).or_insert_with(|| Matched {
                    query: query.clone(),
                    pipeline: pipeline.clone(),
                    ever: false,
                });
            }
            (check.id.clone(), Case { check: check.clone(), query: query.clone(), pipeline })
        };
        let checks = checks.iter().map(case).collect();
        Self {
            checks,
            replay: Replay::new(),
            windows: BTreeMap::new(),
            armed: BTreeMap::new(),
            confirmations: BTreeMap::new(),
            matched,
            broken: BTreeMap::new(),
        }
    }

    /// What must be watched for a check.
    pub fn queries(&self, check: &CheckId) -> Vec<Query> {
        self.checks.get(check).map(|case| case.query.clone()).into_iter().collect()
    }

    /// Opens a check's window on the watch that it was armed with: each track's present value is its
    /// start. A claim about versions is asked of the start too, and may be violated by it.
    ///
    /// Comes after the `CheckArmed` was taken. `env` has what the check's scope means now.
    pub fn open(&mut self, check: &CheckId, env: Env, at: Elapsed) -> Vec<EventKind> {
        let watch = self.armed.get(check).and_then(|armed| armed.first()).map(|armed| armed.watch);
        let sieve = watch.and_then(|watch| serves(self.replay.watched(watch)?, &self.checks.get(check)?.query));
        self.open_on(check, env, at, watch, sieve)
    }

    pub(super) fn open_on(
        &mut self,
        check: &CheckId,
        env: Env,
        at: Elapsed,
        watch: Option<WatchId>,
        sieve: Option<Sieve>,
    ) -> Vec<EventKind> {
        let Some(case) = self.checks.get(check) else { return Vec::new() };
        let mut window = match Window::open(&case.check, case.pipeline.clone(), env, at, (watch, sieve)) {
            Ok(window) => window,
            Err(error) => {
                self.broken.insert(check.clone(), (at, error.to_string()));
                return Vec::new();
            }
        };
        if let Some(watch) = watch {
            for (name, last) in self.replay.lasts(watch) {
                window.start(name, last);
            }
        }
        self.windows.insert(check.clone(), window);
        self.violations()
    }

    /// A time of which nothing is known puts a check in doubt.
    pub(super) fn blind(&mut self, check: &CheckId, blind: Blind) {
        if let Some(window) = self.windows.get_mut(check) {
            window.unseen(blind);
        }
    }

    /// The newest version that a watch has shown.
    pub(super) fn reached(&self, watch: WatchId) -> u64 {
        self.replay.reached(watch)
    }

    /// The next event of the stream; the answer is to be written after it.
    pub fn take(&mut self, event: &Event) -> Vec<EventKind> {
        let sign = match &event.kind {
            EventKind::ObjectSeen(seen) => Some((seen.watch, seen.arrived)),
            EventKind::WatchListed { watch, .. } | EventKind::WatchConfirmed { watch, .. } => Some((*watch, event.at)),
            _ => None,
        };
        if let Some((watch, at)) = sign {
            self.on(watch).for_each(|window| window.witness(at));
        }
        match &event.kind {
            // What no check can ever ask for is not kept.
            EventKind::WatchOpened { watched, .. }
                if !self.checks.values().any(|case| serves(watched, &case.query).is_some()) => {}
            EventKind::WatchOpened { .. } | EventKind::ObjectSeen(_) | EventKind::WatchListed { .. } => {
                for change in self.replay.fold(event) {
                    self.changed(&change);
                }
            }
            EventKind::WatchGap { watch, from, to, reason, changed } => {
                let reached = self.replay.reached(*watch);
                for window in self.on(*watch) {
                    let blind = Blind { from: *from, to: *to, reason: reason.clone(), gap: true };
                    window.gap(blind, *changed, reached);
                }
            }
            EventKind::WatchLate { watch, from, to, reason } => {
                for window in self.on(*watch) {
                    window.late(Blind { from: *from, to: *to, reason: reason.clone(), gap: false });
                }
            }
            EventKind::WatchConfirmed { watch, version, differences } => {
                let version = number(version);
                for window in self.on(*watch) {
                    if window.closed.as_ref().is_some_and(|closed| closed.edge.is_some_and(|edge| edge <= version)) {
                        window.confirmed.get_or_insert_with(|| differences.clone());
                    }
                }
                let known = self.confirmations.entry(*watch).or_default();
                known.push((version, differences.clone()));
                if known.len() > CONFIRMATIONS {
                    known.remove(0);
                }
            }
            EventKind::WatchClosed { watch } => {
                let (at, reached) = (event.at, self.replay.reached(*watch));
                for window in self.on(*watch).filter(|window| window.confirmed.is_none()) {
                    let reason = "the watch was closed".to_owned();
                    window.gap(Blind { from: at, to: Elapsed(at.0 + 1), reason, gap: true }, true, reached);
                    window.ended = true;
                }
                self.replay.close(*watch);
                self.confirmations.remove(watch);
            }
            EventKind::CheckArmed { check, watches } => {
                self.armed.insert(check.clone(), watches.clone());
            }
            _ => {}
        }
        self.violations()
    }

    fn changed(&mut self, change: &Change) {
        let mut value: Option<Shared> = None;
        let mut shared = || {
            value
                .get_or_insert_with(|| {
                    Shared::new(change.after.as_ref().map_or(&serde_json::Value::Null, |after| &after.value))
                })
                .clone()
        };
        if let Some(after) = &change.after {
            let watched = self.replay.watched(change.watch).expect("a change comes from a watch that was opened");
            for matched in self.matched.values_mut().filter(|matched| !matched.ever) {
                let Some(sieve) = serves(watched, &matched.query) else { continue };
                if sieve.admits(&change.name, &after.value) {
                    let version = Version {
                        namespace: &change.name.namespace,
                        name: &change.name.name,
                        uid: &after.uid,
                        version: &after.version,
                        value: &shared(),
                    };
                    matched.ever = !matched.pipeline.tracks(&version).is_empty();
                }
            }
        }
        for window in self.windows.values_mut().filter(|window| window.watch == Some(change.watch)) {
            let value = change.after.is_some().then(&mut shared);
            window.see(change, value.as_ref());
        }
    }

    fn on(&mut self, watch: WatchId) -> impl Iterator<Item = &mut Window> {
        self.windows.values_mut().filter(move |window| window.watch == Some(watch))
    }

    /// The first violation of each check that has one now and had none before.
    fn violations(&mut self) -> Vec<EventKind> {
        let mut found = Vec::new();
        for (check, window) in self.windows.iter_mut().filter(|(_, window)| !window.told) {
            let Some(moment) = window.moments.first() else { continue };
            window.told = true;
            found.push(EventKind::CheckViolated { check: check.clone(), moment: Box::new(moment.clone()) });
        }
        found
    }

    /// When `pass` must be called, if nothing happens before.
    pub fn deadline(&self) -> Option<Elapsed> {
        self.windows.values().filter_map(Window::deadline).min()
    }

    /// Time has passed. A claim about time is violated only when it is certain that no watch
    /// stood still meanwhile, which is why deadlines lie well after what they are about.
    pub fn pass(&mut self, at: Elapsed) -> Vec<EventKind> {
        for window in self.windows.values_mut().filter(|window| window.deadline().is_some_and(|due| due <= at)) {
            window.pass(at, false);
        }
        self.violations()
    }

    /// The step has settled, and the closing lists were asked: versions above theirs are outside.
    /// Without a list whatever comes from now on is.
    pub fn close(&mut self, check: &CheckId, at: Elapsed, edge: &[(WatchId, String)]) {
        let Some(window) = self.windows.get_mut(check) else { return };
        let edge = edge.iter().find(|(watch, _)| Some(*watch) == window.watch);
        let edge = edge.map(|(watch, version)| (*watch, number(version)));
        window.closed = Some(Closed { at: at.max(window.opened), edge: edge.map(|(_, version)| version), cut: None });
        if let Some((watch, edge)) = edge {
            let known = self.confirmations.get(&watch).into_iter().flatten();
            window.confirmed =
                known.into_iter().find(|(version, _)| *version >= edge).map(|(_, differences)| differences.clone());
        }
    }

    /// The window ends early, by something from outside: what was violated stays so, and the
    /// rest is cancelled.
    pub fn cut(&mut self, check: &CheckId, at: Elapsed, why: &str) {
        let Some(window) = self.windows.get_mut(check) else { return };
        let edge = window.closed.take().and_then(|closed| closed.edge);
        window.closed = Some(Closed { at: at.max(window.opened), edge, cut: Some(why.to_owned()) });
    }

    /// Whether a closed window has everything it will get.
    pub fn ready(&self, check: &CheckId) -> bool {
        let Some(window) = self.windows.get(check) else { return true };
        let Some(closed) = &window.closed else { return false };
        closed.edge.is_none() || closed.cut.is_some() || window.confirmed.is_some() || window.ended
    }

    /// Judges a check whose window has closed, and forgets the window.
    pub fn judge(&mut self, check: &CheckId) -> EventKind {
        let (outcome, finding) = match (self.windows.remove(check), self.checks.get(check)) {
            (Some(window), Some(case)) => {
                let matched = self.matched.get(&case.check.on).is_some_and(|matched| matched.ever);
                finding::judge(&case.check, window, matched)
            }
            _ => {
                let (at, why) = self.broken.remove(check).unwrap_or((Elapsed(0), "its window never opened".to_owned()));
                let message = format!("it could not be judged: {why}");
                (Outcome::Errored, Finding { message, window: Some((at, at)), ..Finding::default() })
            }
        };
        self.armed.remove(check);
        EventKind::CheckJudged { check: check.clone(), outcome, finding: Box::new(finding) }
    }

    /// The judgement of a check whose watch could not be opened, and that only measures.
    pub fn unmeasured(check: &CheckId, why: &str) -> EventKind {
        let finding = Finding {
            message: format!("not measured: {why}"),
            wanted: "a watch of its objects".to_owned(),
            ..Finding::default()
        };
        EventKind::CheckJudged { check: check.clone(), outcome: Outcome::Inconclusive, finding: Box::new(finding) }
    }
}
