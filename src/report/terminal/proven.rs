//! What is said of checks and watches at the end.

use super::closing::{OBSERVED, TOLD, fact, part, under};
use super::line::{Ink, Line};
use super::look::Detail;
use super::say::{outcome_word, said, some_of};
use crate::event::Outcome;
use crate::report::proof;
use crate::text;
use crate::view::{CheckRow, Lapse, RunView, WatchRow};

/// How many deciding events of one check are told.
const MOMENTS: usize = 5;

/// How many gaps, and how many late spells.
const LAPSES: usize = 10;

/// How many differences of a closing list.
pub(super) const DIFFERENCES: usize = 10;

/// Each check that did not hold or could not be decided, in full.
pub(super) fn failures(view: &RunView) -> Vec<Line> {
    let failing = view.check_failures();
    let mut lines: Vec<Line> = failing.iter().take(TOLD).flat_map(|row| failure(view, row)).collect();
    if failing.len() > TOLD {
        let names: Vec<String> = failing[TOLD..].iter().map(|row| proof::name(row)).collect();
        lines.push(Line::new());
        lines.push(fact("also", &format!("{} more: {}", names.len(), some_of(&names, ", "))));
    }
    lines
}

/// One check after an empty line: what it claims, what decided it, what was not seen, and
/// what would have decided it.
fn failure(view: &RunView, row: &CheckRow) -> Vec<Line> {
    // A violation whose judge was never heard stays one.
    let (word, ink) = outcome_word(row.outcome().unwrap_or(Outcome::Failed));
    let mut ground = vec![row.node.operator.clone()];
    ground.extend(row.finding.as_ref().map(proof::examined));
    let head = Line::new()
        .add(ink, word)
        .add(Ink::Bold, &format!("  {}", proof::name(row)))
        .say(&format!("  ({})", ground.join(", ")));
    let mut lines = vec![Line::new(), head];
    lines.extend(part("", &row.message()));
    lines.push(fact("at", &row.place()));
    lines.extend(part("claim", &row.node.claim));
    lines.extend(proof::window(view, row).map(|window| fact("window", &window)));
    let moments = row.moments();
    for moment in moments.iter().take(MOMENTS) {
        lines.push(fact("moment", &proof::what(moment)));
        let mut more = vec![proof::at(view, row, moment.at), proof::source(moment)];
        more.extend(diff(&moment.diff, Detail::Notes));
        lines.extend(under("", &more));
    }
    let kept = row.finding.as_ref().map_or(0, |finding| usize::try_from(finding.more).unwrap_or(usize::MAX));
    let more = moments.len().saturating_sub(MOMENTS).saturating_add(kept);
    if more > 0 {
        lines.push(fact("", &format!("and {more} more, in the report")));
    }
    if let Some(finding) = &row.finding {
        let blind: Vec<String> = finding.blind.iter().take(LAPSES).map(proof::blind).collect();
        lines.extend(under("unseen", &blind));
        if finding.blind.len() > LAPSES {
            lines.push(fact("", &format!("and {} more, in the report", finding.blind.len() - LAPSES)));
        }
        lines.extend(proof::ignored(finding).map(|ignored| fact("ignored", &ignored)));
        if !finding.wanted.is_empty() {
            lines.extend(part("wanted", &finding.wanted));
        }
    }
    lines
}

/// The lines of a diff behind a bar, so that none begins like a command of a CI system.
pub(super) fn diff(lines: &[String], detail: Detail) -> Vec<String> {
    let most = if detail == Detail::Requests { usize::MAX } else { OBSERVED / 2 };
    let mut shown: Vec<String> = lines.iter().take(most).map(|line| format!("│ {line}")).collect();
    if lines.len() > most {
        shown.push(format!("│ … ({} more)", text::count(lines.len() - most, "line")));
    }
    shown
}

/// Counts of checks, what reports measured, what was watched and when it was not seen.
pub(super) fn facts(view: &RunView) -> Vec<Line> {
    let mut lines = Vec::new();
    let (checks, reports) = (view.check_totals(), view.report_totals());
    if checks.steps > 0 {
        lines.push(fact("checks", &checks.sentence()));
    }
    if reports.steps > 0 {
        let measured = view.series().into_iter().filter(|series| series.rows.iter().any(|row| !row.counts()));
        let measured: Vec<String> = measured
            .map(|series| match proof::measured(&series) {
                told if told.is_empty() => {
                    let first = series.rows.iter().find(|row| row.outcome().is_some());
                    format!("{}: {}", series.id, first.map_or_else(|| "not measured".into(), |row| row.message()))
                }
                told => format!("{}: {}", series.id, told.join(" · ")),
            })
            .collect();
        lines.extend(under("measured", &measured));
    }
    if !view.watches.is_empty() {
        let watches =
            if view.watches.len() == 1 { "1 watch".into() } else { format!("{} watches", view.watches.len()) };
        lines.push(fact("watched", &format!("{} versions on {watches}", view.versions())));
    }
    lines.extend(lapses(view, "gap", Lapse::is_gap));
    lines.extend(lapses(view, "late", |lapse| !lapse.is_gap()));
    lines
}

fn lapses(view: &RunView, name: &str, is: impl Fn(&Lapse) -> bool) -> Vec<Line> {
    let all: Vec<(&WatchRow, &Lapse)> = view
        .watches
        .iter()
        .flat_map(|watch| watch.lapses.iter().map(move |lapse| (watch, lapse)))
        .filter(|(_, lapse)| is(lapse))
        .collect();
    let mut told: Vec<String> = all.iter().take(LAPSES).map(|(watch, lapse)| proof::lapse(watch, lapse)).collect();
    if all.len() > LAPSES {
        let rest = all[LAPSES..].iter().fold(0, |sum, (_, lapse)| sum + lapse.to.since(lapse.from).0);
        told.push(format!("and {} more, {} in all", all.len() - LAPSES, said(crate::clock::Elapsed(rest))));
    }
    under(name, &told)
}
