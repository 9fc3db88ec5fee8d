use super::line::{Ink, Line};
use super::say::{said, standing};
use crate::clock::Elapsed;
use crate::event::Progress;
use crate::text;
use crate::view::{Row, RunView};

/// The live rows and the footer, for a terminal of this height.
///
/// Oldest first, at most eight and never more than fit: a screen that scrolls by
/// itself shows nothing. What does not fit is counted.
pub(super) fn rows(view: &RunView, now: Elapsed, height: usize) -> Vec<Line> {
    let running = view.running();
    let room = height.saturating_sub(KEPT_FREE).clamp(1, MOST);
    let shown = if running.len() > room { room - 1 } else { running.len() };
    let width = running.iter().take(shown).map(|row| row.node.id.as_str().chars().count()).max().unwrap_or(0);
    let mut lines: Vec<Line> = running.iter().take(shown).map(|row| live(row, now, width)).collect();
    if shown < running.len() {
        lines.push(Line::new().add(Ink::Dim, &format!(" +{} more running", running.len() - shown)));
    }
    lines.push(footer(view, now));
    lines
}

/// The most rows above the footer.
const MOST: usize = 8;

/// Lines that are left to what is printed above, and to the footer.
const KEPT_FREE: usize = 4;

/// One running step: how long, how far, what is missing, and how long since that changed.
fn live(row: &Row, now: Elapsed, width: usize) -> Line {
    let frames = ['⠋', '⠙', '⠸', '⠴', '⠦', '⠇'];
    let frame = frames[usize::try_from(now.0 / 100_000 % 6).unwrap_or(0)];
    let took = said(now.since(row.started.unwrap_or(now)));
    let line =
        Line::new().add(Ink::Dim, &format!(" {frame} ")).say(&format!("{:<width$}  {took:>6}", row.node.id.as_str()));
    if let Some((number, due)) = row.retry.filter(|(_, due)| *due > now) {
        return line.add(Ink::Caution, &format!("  attempt {number} in {}", said(due.since(now))));
    }
    match &row.progress {
        None => line.add(Ink::Dim, &format!("  {}", if row.up.is_some() { "up" } else { row.label() })),
        Some((at, progress)) => line
            .say(&format!("  {}{}", gauge(progress), standing(progress)))
            .add(Ink::Dim, &format!("  last change {} ago", said(now.since(*at)))),
    }
}

/// `[####------]  40% `, where there is something to count.
fn gauge(progress: &Progress) -> String {
    match (progress.done, progress.total) {
        (Some(done), Some(total)) if total > 0 => {
            let share = done.min(total).saturating_mul(100) / total;
            let full = usize::try_from(share / 10).unwrap_or(10);
            format!("[{}{}] {share:>3}% ", "#".repeat(full), "-".repeat(10 - full))
        }
        _ => String::new(),
    }
}

/// ` 12/31 steps · 2 running · 1 failed · 0:14:02 · ^C to stop`
fn footer(view: &RunView, now: Elapsed) -> Line {
    let totals = view.totals();
    let seconds = now.duration().as_secs();
    let clock = format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let dot = " · ";
    let mut line = Line::of(&format!(" {}/{}", totals.settled(), text::count(totals.steps, "step")));
    let running = view.running().len();
    if running > 0 {
        line = line.say(&format!("{dot}{running} running"));
    }
    let violated = view.check_failures().len();
    if violated > 0 {
        line = line.say(dot).add(Ink::Bad, &format!("{} not held", text::count(violated, "check")));
    }
    for (count, word, ink) in [
        (totals.failed, "failed", Ink::Bad),
        (totals.errored, "errored", Ink::Bad),
        (totals.inconclusive, "inconclusive", Ink::Caution),
        (totals.blocked, "blocked", Ink::Caution),
    ] {
        if count > 0 {
            line = line.say(dot).add(ink, &format!("{count} {word}"));
        }
    }
    if !view.watches.is_empty() {
        line = line.say(&format!("{dot}{} versions seen", view.versions()));
    }
    let stop = match view.cancelled {
        None => "^C to stop",
        Some((_, by)) if by.is_signal() => "stopping, ^C again to leave at once",
        Some(_) => "stopping",
    };
    line.say(&format!("{dot}{clock}{dot}{stop}"))
}
