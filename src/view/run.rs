use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{CheckRow, IllegalTransition, Row, RowState, WatchRow};
use crate::clock::Elapsed;
use crate::event::{Armed, CancelReason, Event, EventKind, RunStart, Verdict, WatchId};
use crate::id::{CheckId, StepId};
use crate::text;

/// A run as its events tell it so far.
///
/// Every prefix of a stream gives a view that says what is known and no more.
#[derive(Clone, Debug, PartialEq)]
pub struct RunView {
    /// The first event's facts.
    pub start: RunStart,
    /// Every step and group in plan order, a group before what is in it.
    pub rows: Vec<Row>,
    /// Every check in plan order.
    pub checks: Vec<CheckRow>,
    /// Every watch, in the order in which they opened.
    pub watches: Vec<WatchRow>,
    /// Moments that a person beside the run marked.
    pub marks: Vec<(Elapsed, String)>,
    /// What injected faults did: when, which, and what.
    pub strikes: Vec<(Elapsed, String, String)>,
    /// What belongs to no step.
    pub warnings: Vec<(Elapsed, String)>,
    /// When the run began to end early, and the most urgent reason so far.
    pub cancelled: Option<(Elapsed, CancelReason)>,
    /// The last event's facts; absent while the run goes on and in a cut recording.
    pub finished: Option<Finish>,
    /// When the last event happened.
    pub last: Elapsed,
    /// How many events were taken in.
    pub events: u64,
    places: BTreeMap<StepId, usize>,
    check_places: BTreeMap<CheckId, usize>,
    watch_places: BTreeMap<WatchId, usize>,
    children: Vec<Vec<usize>>,
    /// For a group that settled badly: the row inside that is as bad, if there is one.
    deciders: Vec<Option<usize>>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// When.
    pub at: Elapsed,
    /// How it went.
    pub verdict: Verdict,
    /// One sentence: what decided it.
    pub reason: String,
}

impl RunView {
    /// The view after the first event, which must be `RunStarted`.
    pub fn begin(event: &Event) -> Result<Self, IllegalTransition> {
        let EventKind::RunStarted(start) = &event.kind else {
            return Err(IllegalTransition::of(event, "a stream begins with the start of the run"));
        };
        if event.seq != 0 {
            return Err(IllegalTransition::of(event, "the first event of a stream has number 0"));
        }
        let mut view = Self {
            start: (**start).clone(),
            rows: Vec::with_capacity(start.steps.len()),
            checks: start.checks.iter().cloned().map(CheckRow::waiting).collect(),
            watches: Vec::new(),
            marks: Vec::new(),
            strikes: Vec::new(),
            warnings: Vec::new(),
            cancelled: None,
            finished: None,
            last: event.at,
            events: 1,
            places: BTreeMap::new(),
            check_places: BTreeMap::new(),
            watch_places: BTreeMap::new(),
            children: vec![Vec::new(); start.steps.len()],
            deciders: vec![None; start.steps.len()],
        };
        for (place, node) in start.steps.iter().enumerate() {
            let (mut depth, mut cleanup) = (0, node.when.is_cleanup());
            if let Some(parent) = &node.parent {
                let Some(&above) = view.places.get(parent).filter(|&&above| !view.rows[above].is_leaf()) else {
                    let because = format!("`{}` is in `{parent}`, which is no group before it", node.id);
                    return Err(IllegalTransition::of(event, because));
                };
                depth = view.rows[above].depth + 1;
                cleanup |= view.rows[above].cleanup;
                view.children[above].push(place);
            }
            if view.places.insert(node.id.clone(), place).is_some() {
                return Err(IllegalTransition::of(event, format!("two steps are called `{}`", node.id)));
            }
            view.rows.push(Row::waiting(node.clone(), depth, cleanup));
        }
        for (place, node) in start.checks.iter().enumerate() {
            if view.check_places.insert(node.id.clone(), place).is_some() {
                return Err(IllegalTransition::of(event, format!("two checks are called `{}`", node.id)));
            }
        }
        Ok(view)
    }

    /// Folds a whole stream.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<Self, IllegalTransition> {
        let mut events = events.into_iter();
        let nothing = || IllegalTransition { seq: 0, step: None, check: None, because: "the stream is empty".into() };
        let mut view = Self::begin(events.next().ok_or_else(nothing)?)?;
        for event in events {
            view.apply(event)?;
        }
        Ok(view)
    }

    /// Takes in the next event, or refuses it and stays as it was.
    pub fn apply(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        self.in_order(event)?;
        if let Some(step) = event.kind.step() {
            let Some(&place) = self.places.get(step) else {
                return Err(IllegalTransition::of(event, "the plan has no such step"));
            };
            self.fits_the_groups(event, place)?;
            self.rows[place].apply(event)?;
            self.deciders[place] = self.find_decider(place);
        } else if let Some(check) = event.kind.check() {
            let Some(&place) = self.check_places.get(check) else {
                return Err(IllegalTransition::of(event, "the plan has no such check"));
            };
            self.sees_through_open_watches(event)?;
            self.checks[place].apply(event)?;
        } else if let Some(watch) = event.kind.watch() {
            self.apply_to_watch(event, watch)?;
        } else {
            self.apply_to_run(event)?;
        }
        self.last = event.at;
        self.events += 1;
        Ok(())
    }

    /// The row of a step or group.
    pub fn row(&self, step: &StepId) -> Option<&Row> {
        self.places.get(step).map(|&place| &self.rows[place])
    }

    /// The row of a check.
    pub fn check(&self, check: &CheckId) -> Option<&CheckRow> {
        self.check_places.get(check).map(|&place| &self.checks[place])
    }

    /// A watch by its number.
    pub fn watch(&self, watch: WatchId) -> Option<&WatchRow> {
        self.watch_places.get(&watch).map(|&place| &self.watches[place])
    }

    /// How many versions of objects all watches recorded.
    pub fn versions(&self) -> u64 {
        self.watches.iter().map(|watch| watch.versions).sum()
    }

    /// What is directly inside a group, in plan order.
    pub fn children(&self, group: &StepId) -> impl Iterator<Item = &Row> {
        let inside = self.places.get(group).map_or(&[][..], |&place| &self.children[place]);
        inside.iter().map(|&place| &self.rows[place])
    }

    /// What is inside a group at any depth, in plan order.
    pub fn inside(&self, group: &StepId) -> Vec<&Row> {
        let mut found = Vec::new();
        for child in self.children(group) {
            found.push(child);
            found.extend(self.inside(&child.node.id));
        }
        found
    }

    /// The row inside a group that made it settle as badly as it did, the first in plan order.
    /// None for a group that failed by itself, for one that did not fail, and for a step.
    pub fn decider(&self, group: &StepId) -> Option<&Row> {
        let place = self.places.get(group)?;
        self.deciders[*place].map(|inside| &self.rows[inside])
    }

    /// Verbs that have begun and not ended, oldest first.
    pub fn running(&self) -> Vec<&Row> {
        let mut running: Vec<&Row> =
            self.rows.iter().filter(|row| row.is_leaf() && row.state == RowState::Running).collect();
        running.sort_by_key(|row| row.started);
        running
    }

    /// The rows of a chain, each with its share of the time: what came before it ended is not
    /// counted twice, as with a background step that ran beside the others.
    pub fn shares(&self, chain: &[StepId]) -> Vec<(&Row, Elapsed)> {
        let mut until = Elapsed::default();
        let mut shares = Vec::new();
        for row in chain.iter().filter_map(|step| self.row(step)) {
            let Some((began, ended)) = row.span(self.last) else { continue };
            shares.push((row, ended.since(began.max(until))));
            until = ended;
        }
        shares
    }

    /// How the run went; a run whose end was not heard of is an error.
    pub fn verdict(&self) -> Verdict {
        self.finished.as_ref().map_or(Verdict::Error, |finish| finish.verdict)
    }

    /// Whether the last event was heard.
    pub fn is_complete(&self) -> bool {
        self.finished.is_some()
    }

    /// From the run's start to the last event.
    pub fn took(&self) -> Elapsed {
        self.last
    }

    /// The wall-clock time of an instant of the run.
    pub fn moment(&self, at: Elapsed) -> Timestamp {
        let span = SignedDuration::from_micros(i64::try_from(at.0).unwrap_or(i64::MAX));
        self.start.started.checked_add(span).unwrap_or(Timestamp::MAX)
    }

    /// One sentence: what decided the verdict, or where the stream ends.
    pub fn reason(&self) -> String {
        if let Some(finish) = &self.finished {
            return finish.reason.clone();
        }
        let running: Vec<String> = self.running().iter().map(|row| format!("`{}`", row.node.id)).collect();
        let doing = match running.len() {
            0 => "while no step was running".to_owned(),
            1 => format!("while {} was running", running[0]),
            2..=5 => format!("while {} were running", text::and(&running)),
            n => format!("while {} and {} more were running", running[..4].join(", "), n - 4),
        };
        format!(
            "the run has no end: its journal stops after event {} at {}, {doing}",
            self.events - 1,
            text::duration(self.last.duration())
        )
    }

    /// Position, time, and nothing after the end.
    fn in_order(&self, event: &Event) -> Result<(), IllegalTransition> {
        if self.finished.is_some() {
            return Err(IllegalTransition::of(event, "the run has ended"));
        }
        if event.seq != self.events {
            return Err(IllegalTransition::of(event, format!("event {} comes next", self.events)));
        }
        if event.at < self.last {
            let because = format!(
                "it happened at {} and the one before it at {}",
                text::duration(event.at.duration()),
                text::duration(self.last.duration())
            );
            return Err(IllegalTransition::of(event, because));
        }
        Ok(())
    }

    /// A step starts inside a running group; a group ends when nothing inside runs.
    fn fits_the_groups(&self, event: &Event, place: usize) -> Result<(), IllegalTransition> {
        match &event.kind {
            EventKind::GroupStarted { .. } | EventKind::StepStarted { .. } => {
                let above = self.rows[place].node.parent.as_ref().and_then(|parent| self.row(parent));
                match above {
                    Some(group) if group.state != RowState::Running => {
                        let because = format!("its group `{}` is {}", group.node.id, group.state);
                        Err(IllegalTransition::of(event, because))
                    }
                    _ => Ok(()),
                }
            }
            EventKind::StepFinished { .. } => {
                let busy = self.children[place].iter().map(|&inside| &self.rows[inside]);
                match busy.into_iter().find(|row| row.state == RowState::Running) {
                    Some(row) => Err(IllegalTransition::of(event, format!("`{}` inside it still runs", row.node.id))),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Asked when a group settles: what is inside has settled before.
    fn find_decider(&self, group: usize) -> Option<usize> {
        let row = &self.rows[group];
        if !row.is_failing() {
            return None;
        }
        let as_bad = |inside: &&usize| {
            let inner = &self.rows[**inside];
            inner.cleanup == row.cleanup && inner.outcome() == row.outcome()
        };
        let inside = *self.children[group].iter().find(as_bad)?;
        Some(self.deciders[inside].unwrap_or(inside))
    }

    fn apply_to_run(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        match &event.kind {
            EventKind::RunStarted(_) => {
                return Err(IllegalTransition::of(event, "the run has begun already"));
            }
            EventKind::CancelRequested { by } => {
                let (since, before) = self.cancelled.unwrap_or((event.at, *by));
                self.cancelled = Some((since, before.max(*by)));
            }
            EventKind::FaultStruck { fault, what } => self.strikes.push((event.at, fault.clone(), what.clone())),
            EventKind::Warned { message } => self.warnings.push((event.at, message.clone())),
            EventKind::RunFinished { verdict, reason } => {
                self.may_end(event)?;
                self.finished = Some(Finish { at: event.at, verdict: *verdict, reason: reason.clone() });
            }
            EventKind::Marked { name } => self.marks.push((event.at, name.clone())),
            // About a watch, a check or a step: its row takes it in.
            EventKind::WatchOpened { .. }
            | EventKind::ObjectSeen(_)
            | EventKind::WatchListed { .. }
            | EventKind::WatchGap { .. }
            | EventKind::WatchLate { .. }
            | EventKind::WatchConfirmed { .. }
            | EventKind::WatchClosed { .. }
            | EventKind::CheckArmed { .. }
            | EventKind::CheckViolated { .. }
            | EventKind::CheckJudged { .. }
            | EventKind::CheckSkipped { .. }
            | EventKind::GroupStarted { .. }
            | EventKind::StepStarted { .. }
            | EventKind::AttemptFailed { .. }
            | EventKind::StepProgressed { .. }
            | EventKind::StepNoted { .. }
            | EventKind::StepUp { .. }
            | EventKind::StepFinished { .. }
            | EventKind::StepSkipped { .. } => {}
        }
        Ok(())
    }

    /// A run ends when everything has settled. Only a second signal leaves steps and checks behind.
    fn may_end(&self, event: &Event) -> Result<(), IllegalTransition> {
        if self.cancelled.is_some_and(|(_, by)| by == CancelReason::SecondSignal) {
            return Ok(());
        }
        if let Some(row) = self.rows.iter().find(|row| row.outcome().is_none()) {
            return Err(IllegalTransition::of(event, format!("`{}` is still {}", row.node.id, row.state)));
        }
        match self.checks.iter().find(|row| row.outcome().is_none()) {
            Some(row) => Err(IllegalTransition::of(event, format!("check `{}` is still {}", row.node.id, row.state))),
            None => Ok(()),
        }
    }

    /// A watch opens once; the others are about one that has. Two that open at the same time may
    /// come in any order.
    fn apply_to_watch(&mut self, event: &Event, watch: WatchId) -> Result<(), IllegalTransition> {
        let place = self.watch_places.get(&watch).copied();
        match (&event.kind, place) {
            (EventKind::WatchOpened { .. }, Some(_)) => {
                Err(IllegalTransition::of(event, format!("watch {} has opened already", watch.0)))
            }
            (EventKind::WatchOpened { watched, .. }, None) => {
                self.watch_places.insert(watch, self.watches.len());
                self.watches.push(WatchRow::opened(watch, watched.clone(), event.at));
                Ok(())
            }
            (_, Some(place)) => self.watches[place].apply(event),
            (_, None) => Err(IllegalTransition::of(event, format!("watch {} has not opened", watch.0))),
        }
    }

    /// A check is armed with watches whose first list is complete.
    fn sees_through_open_watches(&self, event: &Event) -> Result<(), IllegalTransition> {
        let EventKind::CheckArmed { watches, .. } = &event.kind else { return Ok(()) };
        let blind =
            |armed: &&Armed| !self.watch(armed.watch).is_some_and(|row| row.listed.is_some() && row.closed.is_none());
        match watches.iter().find(blind) {
            Some(armed) => Err(IllegalTransition::of(event, format!("watch {} is not live", armed.watch.0))),
            None => Ok(()),
        }
    }
}
