use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use super::span::Spans;
use super::tape::Tape;
use super::turn::turns;

/// A turn as every run can make it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    /// What was done last, empty before anything was: what belongs to an installation
    /// or to a new image need not belong to a restart.
    pub(crate) after: &'static str,
    pub(crate) of: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { after, of, from, to } = self;
        let after = if after.is_empty() { String::new() } else { format!("after `{after}`: ") };
        write!(f, "{after}{of}: {from} → {to}")
    }
}

/// What is done to a cluster whose turns are told apart from those before.
const DONE: [&str; 2] = ["delete", "upgrade"];

/// What tapes of one scenario show, added up.
#[derive(Default)]
pub(crate) struct Tally {
    turns: BTreeMap<Kind, usize>,
    spans: Spans,
}

impl Tally {
    /// Adds a tape.
    pub(crate) fn add(&mut self, tape: &Tape) {
        let mut done: Vec<(f64, &'static str)> =
            DONE.iter().flat_map(|what| tape.marks(what).into_iter().map(|at| (at, *what))).collect();
        done.sort_by(|one, other| one.0.total_cmp(&other.0));
        for turn in turns(tape) {
            let after = done.iter().rev().find(|(at, _)| *at <= turn.at).map_or("", |(_, what)| what);
            let kind = Kind { after, of: turn.of, from: turn.from, to: turn.to };
            *self.turns.entry(kind).or_default() += 1;
        }
        self.spans.join(Spans::of(tape));
    }

    /// Everything in it, a line for each: how often, what it is, or the least, middle and most of a span.
    pub(crate) fn lines(&self) -> String {
        let turns = self
            .turns
            .iter()
            .map(|(kind, times)| format!("{times}\t{}\t{}\t{}\t{}\n", kind.after, kind.of, kind.from, kind.to));
        let spans = self.spans.ranges();
        let spans = spans.iter().map(|(name, range)| format!("span\t{name}\t{}\t{}\n", range.least, range.most));
        turns.chain(spans).collect()
    }

    /// Adds what other tapes showed.
    pub(crate) fn join(&mut self, other: Self) {
        for (kind, times) in other.turns {
            *self.turns.entry(kind).or_default() += times;
        }
        self.spans.join(other.spans);
    }
}

/// What may differ from a recording, each with its reason: `decided.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decided {
    /// Turns that the embedded Longhorn makes and the recording lacks, with what in Longhorn allows them.
    #[serde(default)]
    made: Vec<Exception>,
    /// Turns of the recording that it does not make.
    #[serde(default)]
    unmade: Vec<Exception>,
    /// Spans of the recording that lie outside.
    #[serde(default)]
    span: Vec<SpanException>,
}

/// Turns that are excused; `*` at the end of a text stands for any rest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    /// What was done before; anything, if it is not said.
    after: Option<String>,
    of: String,
    #[serde(default = "any")]
    from: String,
    #[serde(default = "any")]
    to: String,
    /// The scenarios, each of which has to need it.
    #[serde(rename = "in")]
    scenarios: Vec<String>,
    why: String,
}

/// A span that is excused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpanException {
    name: String,
    #[serde(rename = "in")]
    scenarios: Vec<String>,
    why: String,
}

fn any() -> String {
    "*".to_owned()
}

fn fits(rule: &str, text: &str) -> bool {
    rule.strip_suffix('*').map_or(rule == text, |start| text.starts_with(start))
}

impl Exception {
    fn is_of(&self, scenario: &str) -> bool {
        self.scenarios.iter().any(|name| name == scenario)
    }

    fn told(&self) -> String {
        format!("{}: {} → {}", self.of, self.from, self.to)
    }

    fn excuses(&self, scenario: &str, Kind { after, of, from, to }: &Kind) -> bool {
        let when = self.after.as_deref().is_none_or(|own| own == *after);
        when && self.is_of(scenario) && fits(&self.of, of) && fits(&self.from, from) && fits(&self.to, to)
    }
}

impl Decided {
    /// The list beside this file.
    pub(crate) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/longhorn/decided.toml");
        let text = std::fs::read_to_string(path).expect("`decided.toml` can be read");
        let decided: Self = toml::from_str(&text).expect("`decided.toml` is in order");
        let reasons = decided.made.iter().chain(&decided.unmade).map(|one| &one.why);
        let reasons = reasons.chain(decided.span.iter().map(|one| &one.why));
        assert!(reasons.clone().all(|why| why.len() > 10), "every exception has its reason");
        decided
    }

    fn spans(&self, scenario: &str) -> impl Iterator<Item = &SpanException> {
        self.span.iter().filter(move |one| one.scenarios.iter().any(|own| own == scenario))
    }
}

/// What came of a comparison.
pub(crate) struct Compared {
    scenario: &'static str,
    runs: usize,
    turns: usize,
    seen: usize,
    excused: usize,
    made: usize,
    made_excused: usize,
    spans: usize,
    spans_excused: usize,
    /// Turns of the recording that nothing explains.
    pub(crate) unmade: Vec<Kind>,
    /// Turns of the runs that nothing explains.
    pub(crate) unheard: Vec<(Kind, usize)>,
    /// Spans outside, as sentences.
    pub(crate) outside: Vec<String>,
    /// Exceptions that excuse nothing here.
    pub(crate) idle: Vec<String>,
}

impl Compared {
    /// Holds runs of a scenario to its recording: their turns both ways, and the recording's times inside theirs.
    pub(crate) fn of(scenario: &'static str, recorded: &Tally, made: &Tally, runs: usize, decided: &Decided) -> Self {
        let kinds: BTreeSet<&Kind> = recorded.turns.keys().collect();
        let absent: Vec<&Kind> = kinds.iter().filter(|kind| !made.turns.contains_key(**kind)).copied().collect();
        let excused = |kind: &&Kind| decided.unmade.iter().any(|one| one.excuses(scenario, kind));
        let (forgiven, unmade): (Vec<&Kind>, Vec<&Kind>) = absent.into_iter().partition(excused);
        let new: Vec<(&Kind, &usize)> = made.turns.iter().filter(|(kind, _)| !kinds.contains(kind)).collect();
        let allowed = |(kind, _): &(&Kind, &usize)| decided.made.iter().any(|one| one.excuses(scenario, kind));
        let (listed, unheard): (Vec<_>, Vec<_>) = new.into_iter().partition(allowed);
        let (mut outside, mut spans, mut spans_excused) = (Vec::new(), 0, 0);
        let mut forgiven_spans = BTreeSet::new();
        let ranges = made.spans.ranges();
        for (name, recorded) in recorded.spans.ranges() {
            spans += 1;
            let held = ranges.get(name).is_some_and(|made| made.least <= recorded.least && recorded.most <= made.most);
            if !held && decided.spans(scenario).any(|one| one.name == name) {
                forgiven_spans.insert(name);
                spans_excused += 1;
            } else if !held {
                let made = ranges.get(name).map_or_else(|| "never".to_owned(), |made| format!("{made:.3}"));
                outside.push(format!("{name}: recorded {recorded:.3}, made {made}"));
            }
        }
        let listing = decided
            .made
            .iter()
            .filter(|one| one.is_of(scenario) && !listed.iter().any(|(kind, _)| one.excuses(scenario, kind)));
        let missing = decided
            .unmade
            .iter()
            .filter(|one| one.is_of(scenario) && !forgiven.iter().any(|kind| one.excuses(scenario, kind)));
        let idle = listing.chain(missing).map(Exception::told);
        let idle_spans = decided.spans(scenario).filter(|one| !forgiven_spans.contains(one.name.as_str()));
        let idle = idle.chain(idle_spans.map(|one| one.name.clone())).collect();
        Self {
            scenario,
            runs,
            turns: kinds.len(),
            seen: kinds.len() - forgiven.len() - unmade.len(),
            excused: forgiven.len(),
            made: made.turns.len(),
            made_excused: listed.len(),
            spans,
            spans_excused,
            unmade: unmade.into_iter().cloned().collect(),
            unheard: unheard.into_iter().map(|(kind, times)| (kind.clone(), *times)).collect(),
            outside,
            idle,
        }
    }

    /// The heads of [`Self::row`].
    pub(crate) const HEAD: &str = "| recording | runs | turns in it | made | excused | unexplained | turns of the runs | listed with their source | unexplained | spans | excused | outside |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n";

    /// One line of the table.
    pub(crate) fn row(&self) -> String {
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            self.scenario,
            self.runs,
            self.turns,
            self.seen,
            self.excused,
            self.unmade.len(),
            self.made,
            self.made_excused,
            self.unheard.len(),
            self.spans,
            self.spans_excused,
            self.outside.len(),
        )
    }

    /// Everything that nothing explains.
    pub(crate) fn unexplained(&self) -> String {
        let mut text = String::new();
        for kind in &self.unmade {
            writeln!(text, "{}: recorded, never made: {kind}", self.scenario).expect("it is a String");
        }
        for (kind, times) in &self.unheard {
            writeln!(text, "{}: made {times} times, never recorded: {kind}", self.scenario).expect("it is a String");
        }
        text += &self.idle_lines();
        for span in &self.outside {
            writeln!(text, "{}: outside: {span}", self.scenario).expect("it is a String");
        }
        text
    }

    /// Every exception that excuses nothing.
    pub(crate) fn idle_lines(&self) -> String {
        let line = |what: &String| format!("{}: `decided.toml` excuses what does not come: {what}\n", self.scenario);
        self.idle.iter().map(line).collect()
    }
}
