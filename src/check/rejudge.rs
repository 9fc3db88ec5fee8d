use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::replay::number;
use super::serve::{Sieve, serves};
use super::splice::splice;
use super::{Court, Outputs, finding};
use crate::clock::Elapsed;
use crate::event::{Armed, Blind, Event, EventKind, Finding, Outcome, RunStart, SkipReason, WatchId, Watched};
use crate::expr::Shared;
use crate::id::{CheckId, StepId};
use crate::plan::{Check, LeftOut, Plan, Query};

/// How long after a step has settled the closing lists of its windows may have been answered.
const LISTS: Elapsed = Elapsed(21_000_000);

/// Judges a recorded run by the checks of a plan, which need not be the one that ran.
///
/// Windows are those of the recorded steps, or of marks of the same name. A selection is served by
/// a recorded watch that asked for the same or for more, and several one after another count as one
/// with gaps; one that nobody watched makes its check inconclusive. Gives what a run would have said: armed, violated, judged, skipped.
pub fn rejudge(events: &[Event], plan: &Plan) -> Vec<EventKind> {
    let events = &*splice(events);
    let Some(EventKind::RunStarted(start)) = events.first().map(|event| &event.kind) else { return Vec::new() };
    let record = Record::of(events, start);
    let mut court = Court::new(&plan.checks, &plan.selections);
    let mut said = Vec::new();
    let mut trials = Vec::new();
    for check in &plan.checks {
        match record.trial(check, &court.queries(&check.id)) {
            Ok(trial) => trials.push(trial),
            Err(fact) => said.push(*fact),
        }
    }
    let run = json!({ "id": start.run.as_str(), "seed": start.seed, "plan": start.plan });
    let run = Shared::from(run);
    let outputs = Outputs::new(start.started, BTreeMap::new());
    let mut left = Left { outputs, began: BTreeMap::new() };
    let mut open: BTreeSet<usize> = BTreeSet::new();
    for (place, event) in events.iter().enumerate() {
        for (at, trial) in trials.iter().enumerate().filter(|(_, trial)| trial.opens == place) {
            let version = court.reached(trial.watch).to_string();
            let watches = vec![Armed { watch: trial.watch, version }];
            said.push(EventKind::CheckArmed { check: trial.check.id.clone(), watches });
            let env = trial.check.scope.env(&run, &|step| left.outputs.get(step));
            let (watch, sieve) = (Some(trial.watch), Some(trial.sieve.clone()));
            said.extend(court.open_on(&trial.check.id, env, trial.unseen.unwrap_or(event.at), watch, sieve));
            if let Some(from) = trial.unseen {
                court.blind(
                    &trial.check.id,
                    Blind {
                        from,
                        to: Elapsed(event.at.0.max(from.0 + 1)),
                        reason: "nobody watched these objects yet".to_owned(),
                        gap: true,
                    },
                );
            }
            open.insert(at);
        }
        while let Some(due) = court.deadline().filter(|due| *due <= event.at) {
            said.extend(court.pass(due));
        }
        said.extend(court.take(event));
        left.take(event);
        for at in open.clone() {
            let trial = &trials[at];
            match &trial.closes {
                Some((closes, edge)) if *closes == place => {
                    let reached = court.reached(trial.watch);
                    let edge = edge.map(|edge| match edge {
                        Edge::List(version) => version,
                        Edge::Later => reached,
                    });
                    let edge: Vec<(WatchId, String)> =
                        edge.map(|edge| (trial.watch, edge.to_string())).into_iter().collect();
                    court.close(&trial.check.id, event.at, &edge);
                }
                None if place + 1 == events.len() => court.cut(&trial.check.id, event.at, "the record ends here"),
                _ => {}
            }
            if court.ready(&trial.check.id) {
                said.push(court.judge(&trial.check.id));
                open.remove(&at);
            }
        }
    }
    said.extend(open.into_iter().map(|at| court.judge(&trials[at].check.id)));
    said
}

/// One check over the record.
struct Trial<'a> {
    check: &'a Check,
    watch: WatchId,
    sieve: Sieve,
    /// Before which event its window opens.
    opens: usize,
    /// When it should have opened, if nobody watched by then.
    unseen: Option<Elapsed>,
    /// After which event it closes, and where its edge is; never, if the record ends before.
    closes: Option<(usize, Option<Edge>)>,
}

/// What says how far a window reaches.
#[derive(Clone, Copy, Debug)]
enum Edge {
    /// A list that was made when the step had settled.
    List(u64),
    /// What the watch had shown by then; a later list says that nothing was missed.
    Later,
}

/// What a record has, by its events' places.
struct Record<'a> {
    events: &'a [Event],
    start: &'a RunStart,
    watches: Vec<Span<'a>>,
    began: BTreeMap<&'a str, usize>,
    settled: BTreeMap<&'a str, usize>,
    skipped: BTreeMap<&'a str, &'a SkipReason>,
    /// When the work began, and when all that is not clean-up had settled.
    first: Option<usize>,
    last: usize,
}

/// A recorded watch.
struct Span<'a> {
    watch: WatchId,
    watched: &'a Watched,
    /// The place of its first list.
    listed: Option<usize>,
    closed: usize,
}

impl<'a> Record<'a> {
    fn of(events: &'a [Event], start: &'a RunStart) -> Self {
        let mut record = Self {
            events,
            start,
            watches: Vec::new(),
            began: BTreeMap::new(),
            settled: BTreeMap::new(),
            skipped: BTreeMap::new(),
            first: None,
            last: events.len() - 1,
        };
        let mut mark: Option<&str> = None;
        let mut marked = false;
        let mut work = None;
        for (place, event) in events.iter().enumerate() {
            match &event.kind {
                EventKind::WatchOpened { watch, watched } => {
                    record.watches.push(Span { watch: *watch, watched, listed: None, closed: events.len() });
                }
                EventKind::WatchListed { watch, .. } => {
                    let span = record.watches.iter_mut().find(|span| span.watch == *watch);
                    if let Some(span) = span {
                        span.listed.get_or_insert(place);
                    }
                }
                EventKind::WatchClosed { watch } => {
                    if let Some(span) = record.watches.iter_mut().find(|span| span.watch == *watch) {
                        span.closed = place;
                    }
                }
                EventKind::StepStarted { step } | EventKind::GroupStarted { step } => {
                    record.began.entry(step.as_str()).or_insert(place);
                    record.first.get_or_insert(place);
                }
                EventKind::StepFinished { step, .. } | EventKind::StepSkipped { step, .. } => {
                    if let EventKind::StepSkipped { reason, .. } = &event.kind {
                        record.skipped.insert(step.as_str(), reason);
                    }
                    record.settled.insert(step.as_str(), place);
                    if !record.cleans(step) {
                        work = Some(place);
                    }
                }
                EventKind::Marked { name } => {
                    if let Some(before) = mark.replace(name) {
                        record.settled.entry(before).or_insert(place);
                    }
                    record.began.entry(name.as_str()).or_insert(place);
                    record.first.get_or_insert(place);
                    marked = true;
                }
                EventKind::RunFinished { .. } => record.last = place,
                _ => {}
            }
        }
        if let Some(mark) = mark {
            record.settled.entry(mark).or_insert(record.last);
        }
        // A record of marks goes on to its end.
        if !marked {
            record.last = work.unwrap_or(record.last);
        }
        record
    }

    /// Whether a step is clean-up, or inside of it.
    fn cleans(&self, step: &StepId) -> bool {
        let mut at = Some(step);
        while let Some(id) = at {
            let Some(node) = self.start.steps.iter().find(|node| node.id == *id) else { return false };
            if node.when.is_cleanup() {
                return true;
            }
            at = node.parent.as_ref();
        }
        false
    }

    /// Where a check's window is and what it sees through; or what is said of it instead.
    fn trial(&self, check: &'a Check, queries: &[Query]) -> Result<Trial<'a>, Box<EventKind>> {
        let skip = |reason: SkipReason| Box::new(EventKind::CheckSkipped { check: check.id.clone(), reason });
        match &check.left_out {
            Some(LeftOut::If(expression)) => return Err(skip(SkipReason::If { expression: expression.clone() })),
            Some(LeftOut::Flag(flag)) => return Err(skip(SkipReason::Flag { flag: flag.clone() })),
            None => {}
        }
        let query = queries.first().expect("a check of the plan asks for something");
        let opens = match &check.opens {
            Some(step) => match (self.began.get(step.as_str()), self.skipped.get(step.as_str())) {
                (Some(place), _) => *place,
                (None, Some(reason)) => return Err(skip((*reason).clone())),
                (None, None) => return Err(self.no_window(check, step)),
            },
            // Without steps or marks the window opens as soon as something is seen.
            None => self.first.unwrap_or(0),
        };
        let closes = match &check.closes {
            Some(step) => self.settled.get(step.as_str()).copied().filter(|place| *place >= opens),
            None => Some(self.last).filter(|_| self.is_whole()),
        };
        let until = closes.unwrap_or(self.events.len());
        let seen = |span: &Span<'_>| {
            let listed = span.listed?;
            let from = opens.max(listed + 1);
            (from < until.min(span.closed)).then(|| until.min(span.closed) - from)
        };
        let served = self.watches.iter().filter_map(|span| {
            let sieve = serves(span.watched, query)?;
            Some((seen(span)?, sieve.is_open(), span, sieve))
        });
        let Some((_, _, span, sieve)) = served.max_by_key(|(seen, same, ..)| (*seen, *same)) else {
            return Err(unrecorded(check, query, self.events[opens].at));
        };
        let listed = span.listed.expect("it was seen") + 1;
        let asked = check.opens.is_some() || self.first.is_some();
        let unseen = (listed > opens && asked).then(|| self.events[opens].at);
        let opens = opens.max(listed);
        Ok(Trial {
            check,
            watch: span.watch,
            sieve,
            opens,
            unseen,
            closes: closes.map(|closes| self.edge(check, span.watch, opens, closes)),
        })
    }

    /// Whether the record has its end.
    fn is_whole(&self) -> bool {
        self.events.last().is_some_and(|event| matches!(event.kind, EventKind::RunFinished { .. }))
    }

    /// Where a window closes and how far it reaches.
    fn edge(&self, check: &Check, watch: WatchId, opens: usize, closes: usize) -> (usize, Option<Edge>) {
        let confirmed = |place: usize| match &self.events[place].kind {
            EventKind::WatchConfirmed { watch: of, version, .. } if *of == watch => Some(number(version)),
            _ => None,
        };
        let of_watch = |place: usize| match &self.events[place].kind {
            EventKind::ObjectSeen(seen) => seen.watch == watch,
            EventKind::WatchGap { watch: of, .. } | EventKind::WatchListed { watch: of, .. } => *of == watch,
            _ => false,
        };
        let mut shown = 0;
        for place in 0..=closes {
            match &self.events[place].kind {
                EventKind::ObjectSeen(seen) if seen.watch == watch => shown = shown.max(number(&seen.version)),
                EventKind::WatchListed { watch: of, version, .. } if *of == watch => shown = shown.max(number(version)),
                _ => {}
            }
        }
        let after = (closes + 1..self.events.len())
            .take_while(
                |place| !matches!(&self.events[*place].kind, EventKind::WatchGap { watch: of, .. } if *of == watch),
            )
            .find_map(|place| confirmed(place).filter(|version| *version >= shown).map(|version| (place, version)));
        if let Some((place, version)) = after {
            // The run itself closed windows here: what its list had is inside.
            let own = check.closes.is_none() || self.start.checks.iter().any(|node| node.closes == check.closes);
            let near = self.events[place].at.since(self.events[closes].at) <= LISTS;
            return (closes, Some(if own && near { Edge::List(version) } else { Edge::Later }));
        }
        // The last list before, if nothing was seen after it.
        let before = (opens..=closes).rev().take_while(|place| !of_watch(*place));
        let before = before.filter_map(|place| confirmed(place).map(|version| (place, version))).last();
        match before {
            Some((place, version)) if place > opens => (place - 1, Some(Edge::List(version))),
            _ => (closes, None),
        }
    }

    fn no_window(&self, check: &Check, step: &StepId) -> Box<EventKind> {
        let known = self.start.steps.iter().any(|node| node.id == *step);
        let (message, wanted) = if known {
            (format!("the record ends before `{step}` began"), "a run that came so far")
        } else {
            (format!("the run has no step or mark `{step}`, so that there is no window"), "a run with such a step")
        };
        judged(&check.id, message, wanted, None)
    }
}

fn unrecorded(check: &Check, query: &Query, at: Elapsed) -> Box<EventKind> {
    let of = match (&query.name, &query.labels) {
        (Some(name), _) => format!(" named `{name}`"),
        (None, Some(labels)) => format!(" with `{labels}`"),
        (None, None) => String::new(),
    };
    let message = format!("`{}` was not recorded: nobody watched {}{of} in its window", check.on, query.resource);
    judged(&check.id, message, finding::RECORDED, Some((at, at)))
}

fn judged(check: &CheckId, message: String, wanted: &str, window: Option<(Elapsed, Elapsed)>) -> Box<EventKind> {
    let finding = Finding { message, wanted: wanted.to_owned(), window, ..Finding::default() };
    Box::new(EventKind::CheckJudged {
        check: check.clone(),
        outcome: Outcome::Inconclusive,
        finding: Box::new(finding),
    })
}

/// What steps have left, read from the journal.
struct Left {
    outputs: Outputs,
    began: BTreeMap<StepId, Elapsed>,
}

impl Left {
    fn take(&mut self, event: &Event) {
        match &event.kind {
            EventKind::StepStarted { step } | EventKind::GroupStarted { step } => {
                self.began.insert(step.clone(), event.at);
                self.outputs.began(step, event.at);
            }
            EventKind::StepFinished { step, outputs, .. } => {
                let began = self.began.get(step).copied().unwrap_or(event.at);
                self.outputs.settled(step, began, event.at, outputs);
            }
            EventKind::StepSkipped { step, .. } => self.outputs.skipped(step),
            _ => {}
        }
    }
}
