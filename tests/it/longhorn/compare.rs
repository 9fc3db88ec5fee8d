use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use super::span::Spans;
use super::tape::Tape;
use super::turn::turns;

/// A turn as every run can make it: what of, from, to.
type Kind = (String, String, String);

/// What tapes of one scenario show, added up.
#[derive(Default)]
pub(crate) struct Tally {
    turns: BTreeMap<Kind, usize>,
    spans: Spans,
}

impl Tally {
    /// Adds a tape.
    pub(crate) fn add(&mut self, tape: &Tape) {
        for turn in turns(tape) {
            *self.turns.entry((turn.of, turn.from, turn.to)).or_default() += 1;
        }
        self.spans.join(Spans::of(tape));
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
    of: String,
    #[serde(default = "any")]
    from: String,
    #[serde(default = "any")]
    to: String,
    /// The scenarios; all, if none is named.
    #[serde(default, rename = "in")]
    scenarios: Vec<String>,
    why: String,
}

/// A span that is excused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpanException {
    name: String,
    #[serde(default, rename = "in")]
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
    fn excuses(&self, scenario: &str, (of, from, to): &Kind) -> bool {
        let here = self.scenarios.is_empty() || self.scenarios.iter().any(|name| name == scenario);
        here && fits(&self.of, of) && fits(&self.from, from) && fits(&self.to, to)
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

    fn span(&self, scenario: &str, name: &str) -> bool {
        let here = |one: &&SpanException| one.scenarios.is_empty() || one.scenarios.iter().any(|own| own == scenario);
        self.span.iter().filter(here).any(|one| one.name == name)
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
        let ranges = made.spans.ranges();
        for (name, recorded) in recorded.spans.ranges() {
            spans += 1;
            let held = ranges.get(name).is_some_and(|made| made.least <= recorded.least && recorded.most <= made.most);
            if !held && decided.span(scenario, name) {
                spans_excused += 1;
            } else if !held {
                let made = ranges.get(name).map_or_else(|| "never".to_owned(), ToString::to_string);
                outside.push(format!("{name}: recorded {recorded}, made {made}"));
            }
        }
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
        for (of, from, to) in &self.unmade {
            writeln!(text, "{}: recorded, never made: {of}: {from} → {to}", self.scenario).expect("it is a String");
        }
        for ((of, from, to), times) in &self.unheard {
            writeln!(text, "{}: made {times} times, never recorded: {of}: {from} → {to}", self.scenario)
                .expect("it is a String");
        }
        for span in &self.outside {
            writeln!(text, "{}: outside: {span}", self.scenario).expect("it is a String");
        }
        text
    }
}
