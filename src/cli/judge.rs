use std::collections::BTreeSet;
use std::path::Path;

use super::Exit;
use super::args::JudgeArgs;
use super::door;
use super::finish::{self, Copies};
use super::look::{self, look};
use super::report;
use super::run::quote;
use super::screen::{err, told};
use crate::check;
use crate::clock::Elapsed;
use crate::event::{Armed, Event, EventKind, Outcome, PlanFile, RunStart, Verdict, WatchId};
use crate::id::CheckId;
use crate::journal::{self, RunFolder};
use crate::plan::{self, Disk, Plan};
use crate::report::{Closing, Output, Terminal};
use crate::text;
use crate::view::RunView;

/// Judges a recorded run again by the checks of a plan. The run's folder stays as it is.
pub(super) fn judge(args: &JudgeArgs) -> Exit {
    match attempt(args) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn attempt(args: &JudgeArgs) -> Result<Exit, Exit> {
    let (folder, events) = recorded(&args.reports, &args.run)?;
    let Some(EventKind::RunStarted(start)) = events.first().map(|event| &event.kind) else {
        unreachable!("a journal begins with the start of its run")
    };
    let start = start.clone();
    let plan = load(args, &start)?;
    let facts = check::rejudge(&events, &plan);
    let (verdict, reason) = conclude(&events, &plan, &facts);
    let whole = events.iter().any(|event| matches!(event.kind, EventKind::RunFinished { .. }));
    let mut story = retold(events, *start, &plan, facts);
    if let Some(EventKind::RunStarted(start)) = story.first_mut().map(|event| &mut event.kind) {
        // What is told now is about this plan, and this is how it is told again.
        start.plan.clone_from(&plan.name);
        start.title.clone_from(&plan.title);
        start.repro = again(args);
    }
    if let Some(last) = story.last().filter(|_| whole) {
        let (seq, at) = (last.seq + 1, last.at);
        story.push(Event { seq, at, kind: EventKind::RunFinished { verdict, reason: reason.clone() } });
    }
    let view = RunView::of(&story).map_err(|illegal| {
        err(&told(&illegal));
        Exit::Error
    })?;
    let copies = Copies { junit: args.junit.clone(), html: args.html.clone(), form: None };
    let written = finish::copies(&view, &folder, &copies);
    let failed = written.failed;
    let mut closing = closing(written.closing(&folder), &plan, args);
    if !whole {
        // The run itself has no verdict, for it has no end.
        closing.extra.push(format!("on what was recorded: {verdict}: {reason}"));
    }
    Terminal::recap(look(&args.show), Output::standard(), view, &closing);
    match verdict {
        Verdict::Pass if failed => Ok(Exit::Error),
        // Nobody interrupted this: the record ends in a window, and does not decide.
        Verdict::Cancelled => Ok(Exit::Inconclusive),
        verdict => Ok(Exit::of(verdict, None)),
    }
}

/// All that a run recorded.
fn recorded(reports: &Path, run: &str) -> Result<(RunFolder, Vec<Event>), Exit> {
    let folder = RunFolder::find(reports, run).map_err(|error| {
        err(&told(&error));
        Exit::Usage
    })?;
    let recording = journal::read(folder.journal()).map_err(|error| {
        err(&told(&error));
        Exit::Error
    })?;
    report::say_cut(&recording);
    Ok((folder, recording.events))
}

/// The plan, with the run's vars where the command line does not say otherwise.
fn load(args: &JudgeArgs, start: &RunStart) -> Result<Plan, Exit> {
    let mut settings = door::settings(&args.set, &args.vars)?;
    settings.vars.clone_from(&start.vars);
    settings.namespace = Some(start.namespace.clone()).filter(|namespace| !namespace.is_empty());
    let plan = plan::load(&Disk, &args.plan, &settings).map_err(|problems| {
        err(&problems.draw(look::color(args.show.color)));
        Exit::Usage
    })?;
    if plan.checks.is_empty() {
        err(&format!("lariat: `{}` has no checks: there is nothing to judge by", args.plan.display()));
        return Err(Exit::Usage);
    }
    Ok(plan)
}

/// The run's story with these checks in place of its own. Its steps, and what was seen, stay
/// as they are; the verdict is the worst of its steps and of these checks.
fn retold(events: Vec<Event>, mut start: RunStart, plan: &Plan, facts: Vec<EventKind>) -> Vec<Event> {
    start.checks = plan.check_nodes();
    let known = |file: &PlanFile| start.files.iter().any(|known| known.path == file.path);
    let new: Vec<PlanFile> = plan.files.iter().filter(|file| !known(file)).cloned().collect();
    start.files.extend(new);
    let end = events.last().map_or(Elapsed::default(), |event| event.at);
    let mut opening = Opening::of(&facts);
    let mut story = vec![(Elapsed::default(), EventKind::RunStarted(Box::new(start)))];
    for Event { at, kind, .. } in events.into_iter().skip(1).filter(|event| !is_about_checks(&event.kind)) {
        story.extend(opening.due(at));
        opening.take(&kind);
        story.push((at, kind));
    }
    story.extend(opening.rest().map(|fact| (end, fact)));
    let others = facts.into_iter().filter(|fact| !matches!(fact, EventKind::CheckArmed { .. }));
    story.extend(others.map(|fact| (end, fact)));
    story.into_iter().zip(0..).map(|((at, kind), seq)| Event { seq, at, kind }).collect()
}

/// Windows that are to open where they would have: once their watches are live.
struct Opening {
    armed: Vec<(Elapsed, CheckId, Vec<Armed>)>,
    live: BTreeSet<WatchId>,
}

impl Opening {
    fn of(facts: &[EventKind]) -> Self {
        let from = |wanted: &CheckId| {
            let window = facts.iter().find_map(|fact| match fact {
                EventKind::CheckJudged { check, finding, .. } if check == wanted => finding.window,
                _ => None,
            });
            window.map_or(Elapsed::default(), |(from, _)| from)
        };
        let armed = facts.iter().filter_map(|fact| match fact {
            EventKind::CheckArmed { check, watches } => Some((from(check), check.clone(), watches.clone())),
            _ => None,
        });
        Self { armed: armed.collect(), live: BTreeSet::new() }
    }

    fn take(&mut self, kind: &EventKind) {
        match kind {
            EventKind::WatchListed { watch, .. } => drop(self.live.insert(*watch)),
            EventKind::WatchClosed { watch } => drop(self.live.remove(watch)),
            _ => {}
        }
    }

    fn due(&mut self, now: Elapsed) -> Vec<(Elapsed, EventKind)> {
        let live = &self.live;
        let opens = |armed: &[Armed]| armed.iter().all(|armed| live.contains(&armed.watch));
        let due = self.armed.extract_if(.., |(from, _, watches)| *from <= now && opens(watches));
        due.map(|(_, check, watches)| (now, EventKind::CheckArmed { check, watches })).collect()
    }

    /// Those whose watches were never live: they opened on nothing.
    fn rest(self) -> impl Iterator<Item = EventKind> {
        self.armed.into_iter().map(|(_, check, _)| EventKind::CheckArmed { check, watches: Vec::new() })
    }
}

/// A command line that judges the same again.
fn again(args: &JudgeArgs) -> String {
    let files = args.vars.iter().map(|file| format!(" --vars {}", quote(&finish::shown(file))));
    let sets = args.set.iter().map(|set| format!(" --set {}", quote(set)));
    let more: String = files.chain(sets).collect();
    format!("lariat judge {} {}{more}", quote(&args.run), quote(&finish::shown(&args.plan)))
}

fn is_about_checks(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::CheckArmed { .. }
            | EventKind::CheckViolated { .. }
            | EventKind::CheckJudged { .. }
            | EventKind::CheckSkipped { .. }
            | EventKind::RunFinished { .. }
    )
}

/// The verdict of the retold run, and what decided it.
fn conclude(events: &[Event], plan: &Plan, facts: &[EventKind]) -> (Verdict, String) {
    let counts = |id: &CheckId| plan.checks.iter().any(|check| check.id == *id && check.judge.is_fail());
    let judged = facts.iter().filter_map(|fact| match fact {
        EventKind::CheckJudged { check, outcome, finding } if counts(check) => {
            Some((outcome.verdict(), format!("check `{check}` {}: {}", did(*outcome), finding.message)))
        }
        _ => None,
    });
    // A group's outcome is that of what is inside it; clean-up is in no verdict.
    let view = RunView::of(events).ok();
    let rows = view.iter().flat_map(|view| view.rows.iter().filter(|row| row.is_leaf() && !row.cleanup));
    let steps = rows.filter_map(|row| {
        let outcome = row.outcome()?;
        let why = row.failure.as_ref().map_or_else(String::new, |failure| format!(": {}", failure.message));
        Some((outcome.verdict(), format!("`{}` {} when it ran{why}", row.node.id, did(outcome))))
    });
    let mut all: Vec<(Verdict, String)> = judged.chain(steps).collect();
    // The first of the worst, checks before steps.
    all.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
    let held = plan.checks.iter().filter(|check| check.judge.is_fail() && check.left_out.is_none()).count();
    match all.into_iter().next() {
        Some((verdict, reason)) if verdict != Verdict::Pass => (verdict, reason),
        _ => (Verdict::Pass, format!("{} judged from the journal", text::count(held, "check"))),
    }
}

fn did(outcome: Outcome) -> String {
    match outcome {
        Outcome::Passed | Outcome::Failed | Outcome::Errored => outcome.to_string(),
        Outcome::Skipped | Outcome::Cancelled | Outcome::Inconclusive => format!("was {outcome}"),
    }
}

/// What stands under the verdict.
fn closing(closing: Closing, plan: &Plan, args: &JudgeArgs) -> Closing {
    let mut closing = closing;
    let checks = text::count(plan.checks.len(), "check");
    closing.extra.push(format!("judged from the journal by {checks} of {}; nothing was run", args.plan.display()));
    closing
}
