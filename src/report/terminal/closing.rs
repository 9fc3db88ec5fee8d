use std::time::Duration;

use super::clean;
use super::line::{Ink, Line};
use super::proven;
use super::say::{cluster_line, outcome_word, retried, said, some_of, verdict_word};
use crate::clock::Elapsed;
use crate::event::{Failure, Outcome, Verdict};
use crate::id::StepId;
use crate::text;
use crate::view::{Row, RowState, RunView};

/// What the last lines tell besides the run itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closing {
    /// What was written and where, in the order in which it is listed; the HTML report is not among them.
    pub files: Vec<(String, String)>,
    /// The HTML report, named in the very last line.
    pub html: Option<String>,
    /// The steps on the critical path, each with its share of the time.
    pub critical: Vec<(StepId, Elapsed)>,
    /// How long it took in real time, where the run's own time was simulated.
    pub real: Option<Duration>,
    /// Lines about what was left behind and how to clean it up.
    pub extra: Vec<String>,
}

/// How many failures are told in full before the others are only named.
pub(super) const TOLD: usize = 20;

/// How many lines of one failure are shown.
pub(super) const OBSERVED: usize = 40;

/// The longest of them: enough for a pod's whole status.
const LONGEST: usize = 600;

/// All that is said at the end: the verdict in words, each failure in full, what
/// to know besides, where the files are, and a last line that stands alone.
pub(super) fn whole(view: &RunView, closing: &Closing) -> Vec<Line> {
    let mut lines = vec![Line::new()];
    lines.push(headline(view));
    lines.extend(failures(view));
    lines.push(Line::new());
    lines.extend(facts(view, closing));
    if view.verdict() != Verdict::Pass {
        lines.push(fact("again", &view.start.repro));
    }
    lines.extend(closing.files.iter().map(|(what, path)| fact(what, path)));
    lines.extend(extra(closing));
    lines.push(last(view, closing));
    lines
}

/// What is said at the end of a quiet run: failures, what was left behind, the last line.
pub(super) fn quiet(view: &RunView, closing: &Closing) -> Vec<Line> {
    let mut lines = failures(view);
    if view.verdict() != Verdict::Pass && lines.is_empty() {
        lines.push(headline(view));
    }
    lines.extend(extra(closing));
    lines.push(last(view, closing));
    lines
}

/// What was left behind, near the end where it is seen.
fn extra(closing: &Closing) -> impl Iterator<Item = Line> {
    closing.extra.iter().map(|text| Line::of("  ").say(text))
}

/// `FAIL  The plan restart failed: …`
fn headline(view: &RunView) -> Line {
    let (word, ink) = verdict_word(view.verdict());
    let sentence = format!("The plan {} {}: {}.", view.start.plan, ended(view.verdict()), view.reason());
    Line::new().add(ink, word).add(Ink::Bold, &format!("  {sentence}"))
}

/// What became of a plan, after its name.
fn ended(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "passed",
        Verdict::Fail => "failed",
        Verdict::Error => "could not be carried out",
        Verdict::Inconclusive => "is undecided",
        Verdict::Cancelled => "was cancelled",
    }
}

fn failures(view: &RunView) -> Vec<Line> {
    let mut lines = Vec::new();
    let culprits = view.culprits();
    for culprit in culprits.iter().take(TOLD) {
        lines.extend(failure(culprit.row, &culprit.blocked));
    }
    if culprits.len() > TOLD {
        let ids: Vec<&str> = culprits[TOLD..].iter().map(|culprit| culprit.row.node.id.as_str()).collect();
        lines.push(Line::new());
        lines.push(fact("also", &format!("{} more: {}", ids.len(), some_of(&ids, ", "))));
    }
    lines.extend(proven::failures(view));
    for row in view.cleanup_failures().into_iter().take(TOLD) {
        lines.extend(failure(row, &[]));
    }
    lines
}

/// One failure in full, after an empty line.
fn failure(row: &Row, blocked: &[&Row]) -> Vec<Line> {
    let (word, ink) = outcome_word(row.outcome().unwrap_or(Outcome::Errored));
    let cleanup = if row.cleanup { "clean-up, " } else { "" };
    let tries = if row.attempts.len() > 1 { format!(", {} attempts", row.attempts.len()) } else { String::new() };
    let took = row.took().map(said).unwrap_or_default();
    let head = Line::new()
        .add(ink, word)
        .add(Ink::Bold, &format!("  {}", row.node.id))
        .say(&format!("  ({cleanup}{}{tries}, after {took})", row.label()));
    let mut lines = vec![Line::new(), head];
    if let Some(Failure { class, message, causes, expected, observed }) = &row.failure {
        lines.extend(part("", message));
        lines.push(fact("at", &row.place()));
        lines.push(fact("class", class.word()));
        lines.extend(causes.iter().flat_map(|cause| part("cause", cause)));
        lines.extend(expected.iter().flat_map(|expected| part("expected", expected)));
        lines.extend(list("observed", observed));
    } else {
        lines.push(fact("at", &row.place()));
    }
    for attempt in row.attempts.iter().rev().skip(1).rev() {
        if let Some(failure) = &attempt.failure {
            lines.push(fact("earlier", &format!("attempt {}: {failure}", attempt.number)));
        }
    }
    if !blocked.is_empty() {
        let ids: Vec<&str> = blocked.iter().map(|row| row.node.id.as_str()).collect();
        lines.push(fact("blocked", &format!("{}: {}", text::count(ids.len(), "step"), some_of(&ids, ", "))));
    }
    lines
}

/// What to know besides the failures.
fn facts(view: &RunView, closing: &Closing) -> Vec<Line> {
    let mut lines = vec![fact("steps", &view.totals().sentence())];
    let cleanup = view.cleanup_totals();
    if cleanup.steps > 0 {
        lines.push(fact("clean-up", &cleanup.sentence()));
    }
    lines.extend(proven::facts(view));
    for (state, label) in [(RowState::Settled(Outcome::Cancelled), "cut short"), (RowState::Running, "unfinished")] {
        let ids: Vec<&str> = view
            .rows
            .iter()
            .filter(|row| row.is_leaf() && row.state == state)
            .map(|row| row.node.id.as_str())
            .collect();
        if !ids.is_empty() {
            lines.push(fact(label, &some_of(&ids, ", ")));
        }
    }
    if let Some((at, by)) = view.cancelled {
        lines.push(fact("stopped", &format!("at {}: {by}", said(at))));
    }
    let again: usize = view.rows.iter().map(retried).sum();
    if again > 0 {
        lines.push(fact("requests", &format!("{again} refused for a passing reason and sent again")));
    }
    lines.extend(view.warnings.iter().take(TOLD).map(|(_, warning)| fact("warning", warning)));
    if view.warnings.len() > TOLD {
        lines.push(fact("warning", &format!("and {} more, all in the report", view.warnings.len() - TOLD)));
    }
    lines.push(fact("took", &took(view, closing)));
    if !closing.critical.is_empty() {
        lines.push(fact("critical", &critical(&closing.critical)));
    }
    if let Some(cluster) = &view.start.cluster {
        lines.push(fact("on", &cluster_line(cluster, view.start.seed)));
    }
    lines.push(fact("run", &format!("{}, seed {}", view.start.run, view.start.seed)));
    lines
}

fn took(view: &RunView, closing: &Closing) -> String {
    match closing.real {
        None => said(view.took()),
        Some(real) => format!("{} simulated, {} real", said(view.took()), text::duration(real)),
    }
}

/// `8m12s: install 2m00s → restart[01]/back 6m12s`
fn critical(path: &[(StepId, Elapsed)]) -> String {
    let total = path.iter().fold(Elapsed(0), |sum, (_, took)| Elapsed(sum.0.saturating_add(took.0)));
    let steps: Vec<String> = path.iter().map(|(step, took)| format!("{step} {}", said(*took))).collect();
    format!("{}: {}", said(total), steps.join(" → "))
}

/// The one line that is left when all others have scrolled away.
fn last(view: &RunView, closing: &Closing) -> Line {
    let (word, ink) = verdict_word(view.verdict());
    let report = match &closing.html {
        Some(html) => format!("report: {html}"),
        None => "no report was written".into(),
    };
    let steps = view.totals().sentence();
    let counted = match view.check_totals() {
        checks if checks.steps == 0 => steps,
        checks => format!("{steps}; checks: {},", checks.sentence()),
    };
    let counts = format!("  {}: {counted} in {}; {report}", view.start.plan, took(view, closing));
    Line::new().add(ink, word).say(&counts)
}

/// How wide the names of facts are.
const NAMES: usize = 10;

/// `  observed  text`
pub(super) fn fact(name: &str, text: &str) -> Line {
    Line::new().add(Ink::Dim, &format!("  {name:<NAMES$}")).say(" ").say(text)
}

/// A text of one or more lines under one name.
pub(super) fn part(name: &str, text: &str) -> Vec<Line> {
    if name.is_empty() {
        return clean::lines(text, OBSERVED, LONGEST).iter().map(|line| Line::of("  ").say(line)).collect();
    }
    under(name, &clean::lines(text, OBSERVED, LONGEST))
}

/// Things under one name, one or more lines each.
fn list(name: &str, items: &[String]) -> Vec<Line> {
    let more = items.len().saturating_sub(OBSERVED);
    let mut lines: Vec<String> =
        items.iter().take(OBSERVED).flat_map(|item| clean::lines(item, OBSERVED, LONGEST)).collect();
    lines.truncate(OBSERVED);
    if more > 0 {
        lines.push(format!("… (and {more} more, all in the report)"));
    }
    under(name, &lines)
}

pub(super) fn under(name: &str, lines: &[String]) -> Vec<Line> {
    let names = std::iter::once(name).chain(std::iter::repeat(""));
    lines.iter().zip(names).map(|(line, name)| fact(name, line)).collect()
}
