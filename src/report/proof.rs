//! What was found of checks, in words that all reports share.

use super::{fault, when};
use crate::clock::Elapsed;
use crate::event::{Blind, Finding, Moment};
use crate::text;
use crate::view::{CheckRow, Lapse, LapseKind, Measured, RunView, Series, WatchRow};

/// A check's name where steps stand beside it: a step may be called the same.
pub(super) fn name(row: &CheckRow) -> String {
    format!("check/{}", row.node.id)
}

/// While `restart[03]` ran, from 134.204s to 175.412s; none if the window never opened.
pub(super) fn window(view: &RunView, row: &CheckRow) -> Option<String> {
    let (from, to) = row.window(view.last)?;
    Some(format!("{}, from {} to {}", during(row), when::exact_span(from), when::exact_span(to)))
}

/// The same for all rounds of a check together.
pub(super) fn during_all(series: &Series<'_>) -> String {
    let Some(first) = series.rows.first() else { return String::new() };
    let round = first.node.opens.as_ref().and_then(|step| step.as_str().rsplit_once('['));
    match round {
        Some((all, _)) if series.rows.len() > 1 && first.node.opens == first.node.closes => {
            format!("while each round of `{all}` ran")
        }
        _ => during(first),
    }
}

/// Which part of the run a check is about.
pub(super) fn during(row: &CheckRow) -> String {
    match (&row.node.opens, &row.node.closes) {
        (None, None) => "the whole run".into(),
        (Some(opens), Some(closes)) if opens == closes => format!("while `{opens}` ran"),
        (Some(opens), Some(closes)) => format!("from `{opens}` to the end of `{closes}`"),
        (Some(opens), None) => format!("from `{opens}` to the end"),
        (None, Some(closes)) => format!("from the start to the end of `{closes}`"),
    }
}

/// When the step or mark that opened the window began, and its name; the run's start if no step did.
fn opening(view: &RunView, row: &CheckRow) -> (String, Elapsed) {
    let Some(step) = &row.node.opens else { return ("the run".into(), Elapsed(0)) };
    let marked = || view.marks.iter().find(|(_, name)| name == step.as_str()).map(|(at, _)| *at);
    let began = view.row(step).and_then(|row| row.started).or_else(marked).or(row.armed);
    (format!("`{step}`"), began.unwrap_or_default())
}

/// At 135.104s, 1.204s after `restart[03]` began, 0.904s after `restart[03]/kill` (pod-kill).
pub(super) fn at(view: &RunView, row: &CheckRow, at: Elapsed) -> String {
    let (opener, began) = opening(view, row);
    let mut said = format!("at {}", when::exact_span(at));
    if at >= began {
        said += &format!(", {} after {opener} began", when::exact_span(at.since(began)));
    } else {
        said += &format!(", {} before {opener} began", when::exact_span(began.since(at)));
    }
    match fault::last_before(view, at) {
        Some((fault, began)) if row.node.opens.as_ref() != Some(&fault.node.id) => {
            said + &format!(", {} after `{}` ({})", when::exact_span(at.since(began)), fault.node.id, fault.label())
        }
        _ => said,
    }
}

/// Where in the journal, and which version of which object.
pub(super) fn source(moment: &Moment) -> String {
    let mut said = format!("event {}", moment.event);
    for (name, value) in [("version", &moment.version), ("uid", &moment.uid)] {
        if !value.is_empty() {
            said += &format!(", {name} {value}");
        }
    }
    said
}

/// What happened to which track.
pub(super) fn what(moment: &Moment) -> String {
    if moment.track.is_empty() { moment.say.clone() } else { format!("{}: {}", moment.track, moment.say) }
}

/// `gap of 2.1s, from 134.2s to 136.3s: 410 Gone`.
pub(super) fn blind(blind: &Blind) -> String {
    let kind = if blind.gap { "gap, versions may be missing" } else { "late, nothing is missing" };
    spell(kind, blind.from, blind.to, &blind.reason)
}

/// The same for a watch, with what it watches.
pub(super) fn lapse(watch: &WatchRow, lapse: &Lapse) -> String {
    format!("{}: {}", watch.asks(), lapse_alone(lapse))
}

/// The same where it stands beside what is watched.
pub(super) fn lapse_alone(lapse: &Lapse) -> String {
    let kind = match lapse.kind {
        LapseKind::Gap { changed: true } => "versions may be missing, and objects had changed",
        LapseKind::Gap { changed: false } => "versions may be missing, but no object had changed",
        LapseKind::Late => "nothing is missing",
    };
    spell(kind, lapse.from, lapse.to, &lapse.reason)
}

fn spell(kind: &str, from: Elapsed, to: Elapsed, reason: &str) -> String {
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let long = when::span(to.since(from));
    format!("{long} from {} to {} ({kind}){reason}", when::exact_span(from), when::exact_span(to))
}

/// `3 tracks in 41 versions`.
pub(super) fn examined(finding: &Finding) -> String {
    let count = |n: u64, noun: &str| text::count(usize::try_from(n).unwrap_or(usize::MAX), noun);
    format!("{} in {}", count(finding.tracks, "track"), count(finding.versions, "version"))
}

/// On how many versions the expression said nothing, and why not.
pub(super) fn ignored(finding: &Finding) -> Option<String> {
    let (count, error) = finding.ignored.as_ref()?;
    Some(format!("on {count} of {} versions the expression could not be evaluated: {error}", finding.versions))
}

/// All that a check's rounds measured, one sentence for each thing.
pub(super) fn measured(series: &Series<'_>) -> Vec<String> {
    series.measured().iter().map(say_measured).collect()
}

/// `unknown` seen in 10 of 10 rounds; shortest 0.4s, median 31.0s, longest 41.0s.
fn say_measured(found: &Measured<'_>) -> String {
    let count = found.spells.len() + usize::try_from(found.more).unwrap_or(usize::MAX);
    let times = match count {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    };
    let seen = match found.rounds {
        0 | 1 if count == 0 => "not seen".to_owned(),
        0 | 1 => format!("seen {times}"),
        rounds if count == found.seen => format!("seen in {} of {rounds} rounds", found.seen),
        rounds => format!("seen in {} of {rounds} rounds, {times}", found.seen),
    };
    let lengths = match (found.lengths(), found.spells.len()) {
        (None, _) => String::new(),
        (Some([only, ..]), 1) => format!(", for {}", when::span(only)),
        (Some([shortest, median, longest]), _) => format!(
            "; shortest {}, median {}, longest {}",
            when::span(shortest),
            when::span(median),
            when::span(longest)
        ),
    };
    let kept =
        if found.more > 0 { format!(" (of {} whose length was kept)", found.spells.len()) } else { String::new() };
    format!("`{}` {seen}{lengths}{kept}", found.what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_one_sentence() {
        let measured = |seen, rounds, millis: &[u64], more| {
            let spells = millis.iter().map(|millis| Elapsed(millis * 1000)).collect();
            say_measured(&Measured { what: "unknown", seen, rounds, spells, more })
        };
        for (said, expected) in [
            (measured(0, 10, &[], 0), "`unknown` seen in 0 of 10 rounds"),
            (
                measured(3, 10, &[400, 31_000, 41_000], 0),
                "`unknown` seen in 3 of 10 rounds; shortest 0.4s, median 31.0s, longest 41.0s",
            ),
            (
                measured(2, 2, &[1, 2, 3, 4], 0),
                "`unknown` seen in 2 of 2 rounds, 4 times; shortest 1ms, median 2ms, longest 4ms",
            ),
            (measured(1, 1, &[5], 0), "`unknown` seen once, for 5ms"),
            (measured(0, 1, &[], 0), "`unknown` not seen"),
            (
                measured(1, 1, &[5, 6], 998),
                "`unknown` seen 1000 times; shortest 5ms, median 5ms, longest 6ms (of 2 whose length was kept)",
            ),
        ] {
            assert_eq!(said, expected);
        }
    }
}
