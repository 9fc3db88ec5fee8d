use super::line::{Ink, Line};
use super::look::Detail;
use super::{checked, note};
use crate::event::{
    CancelReason, ClusterIdentity, Event, EventKind, Failure, Note, Outcome, Progress, RunStart, SkipReason, Verdict,
};
use crate::id::StepId;
use crate::report::proof;
use crate::text;
use crate::view::{Row, RunView};

/// The lines that tell an event, given the view after it.
///
/// At each level of detail the same event gives the same lines, in whatever mode.
pub(super) fn event(event: &Event, view: &RunView, width: usize, detail: Detail) -> Vec<Line> {
    let teller = Teller { event, view, width };
    match &event.kind {
        EventKind::RunStarted(start) => teller.run_started(start),
        EventKind::GroupStarted { step } | EventKind::StepStarted { step } => teller.started(step),
        EventKind::AttemptFailed { step, attempt, failure, delay } => {
            let again = if delay.0 == 0 { "again at once".into() } else { format!("again in {}", said(*delay)) };
            let why = format!("attempt {attempt}: {failure}; {again}");
            vec![teller.line(step, "RETRY", Ink::Caution).say(&why)]
        }
        EventKind::StepProgressed { step, progress } if detail >= Detail::Notes => {
            vec![teller.line(step, "WAIT", Ink::Plain).say(&standing(progress))]
        }
        EventKind::StepNoted { step, note } => teller.noted(step, note, detail),
        EventKind::StepUp { step } => {
            vec![teller.line(step, "UP", Ink::Good).say("steps that need it may start")]
        }
        EventKind::StepFinished { step, outcome, failure, .. } => teller.finished(step, *outcome, failure.as_ref()),
        EventKind::StepSkipped { step, reason } => {
            let ink = if reason.by_choice() { Ink::Dim } else { Ink::Caution };
            vec![teller.line(step, "SKIP", ink).say(&teller.skip_reason(step, reason))]
        }
        EventKind::CancelRequested { by } => {
            vec![teller.run_line("STOP", Ink::Caution).say(&cancel(*by))]
        }
        EventKind::FaultStruck { fault, what } => {
            vec![teller.run_line("FAULT", Ink::Caution).say(&format!("{what} (`{fault}`)"))]
        }
        EventKind::Warned { message } => vec![teller.run_line("WARN", Ink::Caution).say(message)],
        EventKind::RunFinished { verdict, reason } => {
            let (word, ink) = verdict_word(*verdict);
            vec![teller.run_line(word, ink).say(reason)]
        }
        EventKind::Marked { name } => vec![teller.run_line("MARK", Ink::Bold).say(name)],
        EventKind::CheckArmed { .. }
        | EventKind::CheckViolated { .. }
        | EventKind::CheckJudged { .. }
        | EventKind::CheckSkipped { .. } => checked::check(event, view, width, detail),
        EventKind::WatchOpened { .. }
        | EventKind::WatchListed { .. }
        | EventKind::WatchGap { .. }
        | EventKind::WatchLate { .. }
        | EventKind::WatchConfirmed { .. }
        | EventKind::WatchClosed { .. } => checked::watch(event, view, width, detail),
        // There may be thousands a second; they are counted in the view.
        EventKind::StepProgressed { .. } | EventKind::ObjectSeen(_) => Vec::new(),
    }
}

/// The word and ink of an outcome.
pub(super) fn outcome_word(outcome: Outcome) -> (&'static str, Ink) {
    match outcome {
        Outcome::Passed => ("PASS", Ink::Good),
        Outcome::Failed => ("FAIL", Ink::Bad),
        Outcome::Errored => ("ERROR", Ink::Bad),
        Outcome::Inconclusive => ("UNSURE", Ink::Caution),
        Outcome::Cancelled => ("CANCEL", Ink::Caution),
        Outcome::Skipped => ("SKIP", Ink::Dim),
    }
}

/// The word and ink of a verdict.
pub(super) fn verdict_word(verdict: Verdict) -> (&'static str, Ink) {
    match verdict {
        Verdict::Pass => ("PASS", Ink::Good),
        Verdict::Fail => ("FAIL", Ink::Bad),
        Verdict::Error => ("ERROR", Ink::Bad),
        Verdict::Inconclusive => ("UNSURE", Ink::Caution),
        Verdict::Cancelled => ("CANCEL", Ink::Caution),
    }
}

/// How far a step is and what it still misses, in one line.
pub(super) fn standing(progress: &Progress) -> String {
    let missing = some_of(&progress.unmet, "; ");
    match (progress.say.is_empty(), missing.is_empty()) {
        (_, true) => progress.say.clone(),
        (true, false) => format!("missing: {missing}"),
        (false, false) => format!("{} · missing: {missing}", progress.say),
    }
}

/// How many things one line names before it only counts them.
const NAMED: usize = 5;

/// The first few of a list, and how many more.
pub(super) fn some_of<T: AsRef<str>>(items: &[T], between: &str) -> String {
    let named: Vec<&str> = items.iter().take(NAMED).map(AsRef::as_ref).collect();
    let more = items.len().saturating_sub(NAMED);
    named.join(between) + &if more > 0 { format!("{between}and {more} more") } else { String::new() }
}

/// A span as people read it.
pub(super) fn said(span: crate::clock::Elapsed) -> String {
    text::duration(span.duration())
}

/// Which cluster, in one line.
pub(super) fn cluster_line(cluster: &ClusterIdentity, seed: u64) -> String {
    if cluster.embedded {
        return format!("the embedded cluster, virtual time, seed {seed} ({})", cluster.version);
    }
    let nodes = cluster.nodes.map(|n| format!(", {}", text::count(n, "node"))).unwrap_or_default();
    format!("cluster `{}`, {}, {}{nodes}", cluster.context, cluster.server, cluster.version)
}

/// How wide the column of names is in the lines of a run.
pub(super) fn width(view: &RunView) -> usize {
    let steps = view.rows.iter().map(|row| row.node.id.as_str().chars().count());
    let checks = view.checks.iter().map(|row| proof::name(row).chars().count());
    steps.chain(checks).max().unwrap_or(0).clamp(3, WIDEST)
}

/// A longer id pushes its own line to the right and no other.
const WIDEST: usize = 28;

/// How often a request of a step was refused for a passing reason and sent again.
pub(super) fn retried(row: &Row) -> usize {
    row.notes.iter().filter(|(_, note)| matches!(note, Note::Retried { .. })).count()
}

struct Teller<'a> {
    event: &'a Event,
    view: &'a RunView,
    width: usize,
}

impl Teller<'_> {
    fn line(&self, step: &StepId, word: &str, ink: Ink) -> Line {
        Line::state(self.event.at, step.as_str(), self.width, word, ink)
    }

    fn run_line(&self, word: &str, ink: Ink) -> Line {
        Line::state(self.event.at, "run", self.width, word, ink)
    }

    fn run_started(&self, start: &RunStart) -> Vec<Line> {
        let mut steps = text::count(self.view.totals().steps + self.view.cleanup_totals().steps, "step");
        if !start.checks.is_empty() {
            steps += &format!(", {}", text::count(start.checks.len(), "check"));
        }
        let line = || self.run_line("START", Ink::Dim);
        let mut lines = vec![
            line().add(Ink::Bold, &format!("{}: {}", start.plan, start.title)),
            line().say(&format!("{steps}, seed {}, run {}, lariat {}", start.seed, start.run, start.lariat)),
        ];
        lines.extend(
            start.cluster.as_ref().map(|cluster| line().say(&format!("on {}", cluster_line(cluster, start.seed)))),
        );
        lines.extend(start.faults.iter().map(|fault| line().say(&format!("with the fault `{fault}`"))));
        if !start.flags.is_empty() {
            lines.push(line().say(&format!("with {}", start.flags.join(" "))));
        }
        lines
    }

    fn started(&self, step: &StepId) -> Vec<Line> {
        let Some(row) = self.view.row(step) else {
            return Vec::new();
        };
        let cleanup = if row.cleanup { " (clean-up)" } else { "" };
        let about = if row.node.about.is_empty() { String::new() } else { format!(": {}", row.node.about) };
        vec![self.line(step, "START", Ink::Dim).say(&format!("{}{cleanup}{about}", row.label()))]
    }

    fn noted(&self, step: &StepId, note: &Note, detail: Detail) -> Vec<Line> {
        let needed = if matches!(note, Note::Retried { .. }) { Detail::Requests } else { Detail::Notes };
        if detail < needed {
            return Vec::new();
        }
        let lines = note::lines(note, detail);
        lines.into_iter().map(|(word, text)| self.line(step, word, Ink::Dim).say(&text)).collect()
    }

    fn finished(&self, step: &StepId, outcome: Outcome, failure: Option<&Failure>) -> Vec<Line> {
        let Some(row) = self.view.row(step) else {
            return Vec::new();
        };
        let (word, ink) = outcome_word(outcome);
        let took = row.took().map(said).unwrap_or_default();
        let text = match (outcome, failure) {
            (Outcome::Passed, _) => format!("in {took}{}", efforts(row)),
            (Outcome::Cancelled, None) => format!("cut short after {took}"),
            (_, None) => format!("after {took}{}", efforts(row)),
            (_, Some(failure)) => match self.view.decider(step) {
                Some(inner) => format!("because of `{}`, after {took}", inner.node.id),
                None => format!("{failure} (after {took}{})", efforts(row)),
            },
        };
        vec![self.line(step, word, ink).say(&text)]
    }

    /// The reason, with the step at the end of the chain if that is another one.
    fn skip_reason(&self, step: &StepId, reason: &SkipReason) -> String {
        let named = match reason {
            SkipReason::Need { step, .. } | SkipReason::RoundFailed { step } | SkipReason::Group { step } => Some(step),
            SkipReason::If { .. }
            | SkipReason::Flag { .. }
            | SkipReason::NoCells
            | SkipReason::NothingFailed
            | SkipReason::RoundViolated { .. }
            | SkipReason::Cancelled { .. } => None,
        };
        match self.view.because(step).last() {
            Some(root) if named != Some(&root.node.id) => {
                format!("{reason} (because of `{}`)", root.node.id)
            }
            _ => reason.to_string(),
        }
    }
}

/// Tries and requests beyond the first, which a passed step must not hide.
fn efforts(row: &Row) -> String {
    let tries = match row.attempts.len() {
        0 | 1 => String::new(),
        n => format!(", in {n} attempts"),
    };
    let requests = match retried(row) {
        0 => String::new(),
        n => format!(", {} sent again", text::count(n, "request")),
    };
    tries + &requests
}

fn cancel(by: CancelReason) -> String {
    match by {
        CancelReason::SecondSignal => format!("{by}: leaving at once"),
        CancelReason::Mistaken | CancelReason::JournalLost => {
            format!("{by}: nothing new starts, what runs is cancelled, clean-up does not start")
        }
        _ if by.is_signal() => format!(
            "{by}: nothing new starts, what runs is cancelled, clean-up follows; a second signal leaves at once"
        ),
        _ => format!("{by}: nothing new starts, what runs is cancelled, clean-up follows"),
    }
}
