//! What is said of checks and watches while they happen.

use super::line::{Ink, Line};
use super::look::Detail;
use super::proven;
use super::say::outcome_word;
use crate::event::{Event, EventKind, Outcome};
use crate::report::proof;
use crate::text;
use crate::view::{CheckRow, RunView, Series};

/// The lines that tell an event about a check.
///
/// A violation is told when it is seen and not when its window closes: whoever watches may
/// want to look at the cluster while it is so.
pub(super) fn check(event: &Event, view: &RunView, width: usize, detail: Detail) -> Vec<Line> {
    let Some(row) = event.kind.check().and_then(|check| view.check(check)) else {
        return Vec::new();
    };
    let line = |word: &str, ink: Ink| Line::state(event.at, &proof::name(row), width, word, ink);
    match &event.kind {
        EventKind::CheckArmed { watches, .. } if detail >= Detail::Notes => {
            let through = match watches.len() {
                1 => "1 watch".to_owned(),
                n => format!("{n} watches"),
            };
            vec![line("ARMED", Ink::Dim).say(&format!("live, through {through}"))]
        }
        EventKind::CheckViolated { moment, .. } if row.counts() || detail >= Detail::Notes => {
            let (word, ink) = if row.counts() { ("ALARM", Ink::Bad) } else { ("SEEN", Ink::Plain) };
            let told = format!("{}, {}", proof::what(moment), proof::at(view, row, moment.at));
            let diff = proven::diff(&moment.diff, detail);
            let diff = diff.into_iter().map(|text| line("", Ink::Plain).say(&text));
            std::iter::once(line(word, ink).say(&told)).chain(diff).collect()
        }
        EventKind::CheckJudged { outcome, .. } => {
            let (word, ink) = if row.counts() { outcome_word(*outcome) } else { ("REPORT", Ink::Plain) };
            vec![line(word, ink).say(&judged(row, *outcome))]
        }
        EventKind::CheckSkipped { reason, .. } => {
            let ink = if reason.by_choice() { Ink::Dim } else { Ink::Caution };
            vec![line("SKIP", ink).say(&reason.to_string())]
        }
        _ => Vec::new(),
    }
}

/// What its judge said, and on what ground.
fn judged(row: &CheckRow, outcome: Outcome) -> String {
    let Some(finding) = &row.finding else { return row.message() };
    let mut said = row.message();
    if !row.counts() {
        // The outcome of a report is a fact among others.
        let measured = proof::measured(&Series { id: &row.node.id, rows: vec![row] });
        let held = match outcome {
            Outcome::Passed => "held",
            Outcome::Failed => "not held",
            Outcome::Inconclusive | Outcome::Errored | Outcome::Cancelled | Outcome::Skipped => "undecided",
        };
        said = format!("{held}: {said}");
        if !measured.is_empty() {
            said += &format!(" · {}", measured.join(" · "));
        }
    }
    let examined = proof::examined(finding);
    let mut ground = if said.contains(&examined) { Vec::new() } else { vec![examined] };
    ground.extend(finding.window.map(|(from, to)| format!("over {}", super::say::said(to.since(from)))));
    if ground.is_empty() { said } else { format!("{said} ({})", ground.join(" ")) }
}

/// The lines that tell an event about a watch: gaps and late spells always, the rest when asked for.
pub(super) fn watch(event: &Event, view: &RunView, width: usize, detail: Detail) -> Vec<Line> {
    let Some(row) = event.kind.watch().and_then(|watch| view.watch(watch)) else {
        return Vec::new();
    };
    let line = |word: &str, ink: Ink| Line::state(event.at, "watch", width, word, ink);
    let quiet = detail < Detail::Notes;
    match &event.kind {
        EventKind::WatchGap { .. } => row
            .lapses
            .last()
            .map(|lapse| line("GAP", Ink::Caution).say(&proof::lapse(row, lapse)))
            .into_iter()
            .collect(),
        EventKind::WatchLate { .. } => {
            row.lapses.last().map(|lapse| line("LATE", Ink::Dim).say(&proof::lapse(row, lapse))).into_iter().collect()
        }
        _ if quiet => Vec::new(),
        EventKind::WatchOpened { .. } => vec![line("OPEN", Ink::Dim).say(&row.asks())],
        EventKind::WatchListed { objects, served, version, .. } => {
            let count = text::count(usize::try_from(*objects).unwrap_or(usize::MAX), "object");
            let said =
                if *served { format!("{count} at version {version}") } else { "its kind is not served yet".into() };
            vec![line("LIST", Ink::Dim).say(&format!("{}: {said}", row.asks()))]
        }
        EventKind::WatchConfirmed { differences, version, .. } => {
            let mut lines = vec![line("LIST", Ink::Dim).say(&format!(
                "{}: closing list at version {version}, {}",
                row.asks(),
                match differences.len() {
                    0 => "nothing was missed".to_owned(),
                    n => text::count(n, "difference"),
                }
            ))];
            let differences = differences.iter().take(proven::DIFFERENCES);
            lines.extend(differences.map(|difference| {
                line("", Ink::Plain).say(&format!("│ {}: {}", difference.object.name, difference.say))
            }));
            lines
        }
        EventKind::WatchClosed { .. } => vec![line("CLOSE", Ink::Dim).say(&row.asks())],
        _ => Vec::new(),
    }
}
