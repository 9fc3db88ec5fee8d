//! From what a window saw to what is said of it.

use super::fold::End;
use super::window::{Closed, Window};
use crate::clock::Elapsed;
use crate::event::{Blind, Finding, Outcome};
use crate::plan::{Check, Claim};
use crate::text;

/// What would have decided a check whose objects nobody watched.
pub(super) const RECORDED: &str = "a record of these objects: a check, a `wait`, or `lariat watch` makes one";

/// Judges a closed window. `matched`: the selection had objects earlier in the run.
pub(super) fn judge(check: &Check, mut window: Window, matched: bool) -> (Outcome, Finding) {
    let Closed { at, edge, cut } = window.closed.clone().unwrap_or(Closed { at: window.opened, edge: None, cut: None });
    // With a closing list that agrees it is certain that nothing more came until then.
    let confirmed = window.confirmed.as_ref().is_some_and(Vec::is_empty);
    let blind = window.blind.iter().any(|spell| spell.counts);
    if cut.is_none() {
        window.pass(at, confirmed && !blind);
    }
    let end = window.end(at);
    let mut finding = Finding { window: Some((window.opened, at)), ..Finding::default() };
    let outcome = if window.is_violated() {
        finding.message = violated(check, &window);
        finding.moments = std::mem::take(&mut window.moments);
        finding.more = window.more;
        Outcome::Failed
    } else if let Some(why) = cut {
        finding.message = format!("its window was cut short: {why}; nothing was violated until then");
        Outcome::Cancelled
    } else if let Some((message, wanted)) = unseen(check, &window, edge, matched) {
        (finding.message, finding.wanted) = (message, wanted);
        Outcome::Inconclusive
    } else {
        match end {
            End::Held => {
                finding.message = held(check, &window);
                Outcome::Passed
            }
            End::Unmet(tracks, said) => {
                finding.message = format!("{said}{}", on(&window, &tracks));
                Outcome::Failed
            }
            End::Open(tracks, said, wanted) => {
                finding.message = format!("{said}{}", on(&window, &tracks));
                finding.wanted = wanted;
                finding.moments = window.beginnings(&tracks);
                Outcome::Inconclusive
            }
        }
    };
    finding.blind = window.blind.iter().map(|spell| spell.blind.clone()).collect();
    finding.tracks = window.tracks.len() as u64;
    finding.versions = window.versions;
    finding.ignored = window.ignored.take();
    let names: Vec<String> = (0..window.tracks.len()).map(|track| window.called(track)).collect();
    (finding.measures, finding.lanes, finding.lanes_left_out) = window.gauge.close(at, |track| names[track].clone());
    (outcome, finding)
}

fn violated(check: &Check, window: &Window) -> String {
    let Some(first) = window.moments.first() else { return String::new() };
    let claim = match &check.claim {
        Claim::Never { that: Some(_) } => "what must never hold did",
        Claim::Never { that: None } => "what must never be selected was",
        Claim::Always { .. } => "what must always hold did not",
        Claim::Constant { .. } => "what must stay the same did not",
        Claim::Transitions { .. } => "a value moved as it must not",
        Claim::Sequence { .. } => "the values were not seen in order",
        Claim::Recovers { .. } => "what stopped holding did not hold again in time",
        Claim::Count { .. } => "it was counted too often",
    };
    let others = window.moments.len() as u64 - 1 + window.more;
    let more = match others {
        0 => String::new(),
        others => format!(", and {others} more after it"),
    };
    let within = match &check.claim {
        Claim::Recovers { within, .. } => within.plain().map(|within| format!(" (within {within})")),
        _ => None,
    };
    format!(
        "{claim}{}: `{}` {}, {} into the window{more}",
        within.unwrap_or_default(),
        first.track,
        first.say,
        since(window, first.at)
    )
}

fn held(check: &Check, window: &Window) -> String {
    let seen = format!(
        "on {} in {}",
        text::count(window.tracks.len(), "track"),
        text::count(usize::try_from(window.versions).unwrap_or(usize::MAX), "version")
    );
    match &check.claim {
        Claim::Never { that: None } => "nothing was selected".to_owned(),
        _ => format!("held {seen}"),
    }
}

/// Why it can't be said to have held, and what would have decided it.
fn unseen(check: &Check, window: &Window, edge: Option<u64>, matched: bool) -> Option<(String, String)> {
    if let Some(spell) = window.blind.iter().find(|spell| spell.counts) {
        let more = window.blind.iter().filter(|spell| spell.counts).count() - 1;
        let more = if more == 0 { String::new() } else { format!(", and {} more", text::count(more, "gap")) };
        return Some((
            format!(
                "versions of `{}` were not seen {}: {}{more}",
                check.on,
                span(window, &spell.blind),
                spell.blind.reason
            ),
            "a watch that saw all of the window: what was there in between can't be found out afterwards".to_owned(),
        ));
    }
    if window.watch.is_none() {
        return Some((format!("`{}` was not recorded", check.on), RECORDED.to_owned()));
    }
    match &window.confirmed {
        None => {
            let why = if edge.is_some() { "was not answered by the watch" } else { "could not be had" };
            return Some((
                format!("the closing list of `{}` {why}, so that it can't be said that nothing was missed", check.on),
                "a list of the objects when the window closed, that the watch agrees with".to_owned(),
            ));
        }
        Some(differences) => {
            if let Some(first) = differences.first() {
                let more = differences.len() - 1;
                let more = if more == 0 { String::new() } else { format!(", and {more} more") };
                return Some((
                    format!(
                        "the closing list of `{}` and its watch do not agree: `{}`: {}{more}",
                        check.on, first.object.name, first.say
                    ),
                    "a watch that has shown what the closing list has".to_owned(),
                ));
            }
        }
    }
    if window.versions > 0 && window.evaluated == 0 {
        let why = window.ignored.as_ref().map_or_else(
            || "the field was `missing` in all of them".to_owned(),
            |(_, error)| format!("the first error: {error}"),
        );
        let versions = text::count(usize::try_from(window.versions).unwrap_or(usize::MAX), "version");
        return Some((
            format!("the expression could be evaluated on none of the {versions} seen; {why}"),
            "an expression that fits the objects, or objects that have the field".to_owned(),
        ));
    }
    let tracks = window.tracks.len() as u64;
    if window.is_existence() {
        let enough = window.min == 0 || matched || tracks > 0 || is_at_least(check);
        return (!enough).then(|| {
            (
                format!(
                    "`{}` has selected nothing in this run, so that a mistyped selector would look the same",
                    check.on
                ),
                "that it matches something earlier in the run, or `min = 0`".to_owned(),
            )
        });
    }
    (tracks < window.min).then(|| {
        (
            format!(
                "{} seen of the {} that there must be at least",
                text::count(usize::try_from(tracks).unwrap_or(usize::MAX), "track"),
                window.min
            ),
            "more tracks, or a smaller `min`".to_owned(),
        )
    })
}

/// Whether too few is a definite answer here.
fn is_at_least(check: &Check) -> bool {
    matches!(check.claim, Claim::Count { at_least: Some(_), .. })
}

fn on(window: &Window, tracks: &[usize]) -> String {
    match tracks {
        [] => String::new(),
        [one] => format!(" on `{}`", window.called(*one)),
        [first, rest @ ..] => format!(" on `{}` and {}", window.called(*first), text::count(rest.len(), "other track")),
    }
}

fn since(window: &Window, at: Elapsed) -> String {
    text::duration(at.since(window.opened).duration())
}

/// From when to when, counted from the window's opening.
fn span(window: &Window, blind: &Blind) -> String {
    let from = if blind.from <= window.opened {
        "from its opening".to_owned()
    } else {
        format!("from {}", since(window, blind.from))
    };
    format!("{from} to {} into the window", since(window, blind.to))
}
