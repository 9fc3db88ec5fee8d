use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::tape::Tape;
use super::turn::{ABSENT, Turn, turns};

/// Lengths of time by name, each as often as it was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans(BTreeMap<&'static str, Vec<f64>>);

impl Spans {
    /// Every span of a tape: of its deletions, upgrades and new images, and those that are always measured.
    pub(crate) fn of(tape: &Tape) -> Self {
        let turns = turns(tape);
        let mut spans = Self::default();
        let story = |from: f64, to: f64| Story { turns: &turns, from, to };
        for (from, to) in windows(tape, "delete") {
            restart(&story(from, to), &mut spans);
        }
        for (from, to) in windows(tape, "upgrade") {
            upgrade(&story(from, to), &mut spans);
        }
        always(&story(0.0, f64::INFINITY), &mut spans);
        spans
    }

    pub(crate) fn add(&mut self, name: &'static str, span: f64) {
        self.0.entry(name).or_default().push(span);
    }

    fn add_all(&mut self, name: &'static str, spans: impl IntoIterator<Item = f64>) {
        for span in spans {
            self.add(name, span);
        }
    }

    /// Takes in what another run took.
    pub(crate) fn join(&mut self, other: Self) {
        for (name, spans) in other.0 {
            self.0.entry(name).or_default().extend(spans);
        }
    }

    /// Each with its least, middle and most.
    pub(crate) fn ranges(&self) -> BTreeMap<&'static str, Range> {
        let range = |spans: &Vec<f64>| {
            let mut spans = spans.clone();
            spans.sort_by(f64::total_cmp);
            let middle = spans.len() / 2;
            let median = if spans.len().is_multiple_of(2) {
                f64::midpoint(spans[middle - 1], spans[middle])
            } else {
                spans[middle]
            };
            Range { least: spans[0], median, most: spans[spans.len() - 1], times: spans.len() }
        };
        self.0.iter().map(|(name, spans)| (*name, range(spans))).collect()
    }

    /// A line for each: least / middle / most, and how often.
    pub(crate) fn table(&self) -> String {
        let mut table = String::new();
        for (name, range) in self.ranges() {
            writeln!(table, "{name}: {range}").expect("a String takes text");
        }
        table
    }
}

/// What a span was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
    pub(crate) times: usize,
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { least, median, most, times } = self;
        let digits = f.precision().unwrap_or(1);
        write!(f, "{least:.digits$} / {median:.digits$} / {most:.digits$} ({times})")
    }
}

/// From each such mark to the next.
fn windows(tape: &Tape, what: &str) -> Vec<(f64, f64)> {
    let marks = tape.marks(what);
    let ends = marks.iter().skip(1).copied().chain([f64::INFINITY]);
    marks.iter().copied().zip(ends).collect()
}

/// The turns of a stretch of time.
#[derive(Clone, Copy)]
struct Story<'a> {
    turns: &'a [Turn],
    from: f64,
    to: f64,
}

/// A state that held for a while.
struct Hold<'a> {
    object: &'a str,
    part: &'a str,
    begin: f64,
    end: f64,
}

const MANAGER: &str = "pod longhorn-manager";

impl<'a> Story<'a> {
    fn turns(self, of: &'static str) -> impl Iterator<Item = &'a Turn> {
        let within = move |turn: &&Turn| turn.of == of && turn.at >= self.from && turn.at < self.to;
        self.turns.iter().filter(within)
    }

    /// When a thing became this, counted from the beginning.
    fn became(self, of: &'static str, to: &'static str) -> impl Iterator<Item = f64> {
        self.turns(of).filter(move |turn| turn.to == to).map(move |turn| turn.at - self.from)
    }

    /// Every stretch that begins here in which a thing was in such a state.
    fn holds(self, of: &'static str, is: impl Fn(&str) -> bool + Copy) -> Vec<Hold<'a>> {
        let begins = self.turns(of).filter(move |turn| is(&turn.to) && !is(&turn.from));
        begins
            .filter_map(|begin| {
                let mut later = self.turns.iter().filter(|turn| turn.of == of && turn.at >= begin.at);
                let end = later.find(|turn| {
                    turn.object == begin.object && turn.part == begin.part && is(&turn.from) && !is(&turn.to)
                })?;
                Some(Hold { object: &begin.object, part: &begin.part, begin: begin.at, end: end.at })
            })
            .collect()
    }
}

/// The parts of things that a hold was of, each once.
fn count(holds: &[Hold<'_>]) -> f64 {
    let mut things: Vec<_> = holds.iter().map(|hold| (hold.object, hold.part)).collect();
    things.sort_unstable();
    things.dedup();
    f64::from(u32::try_from(things.len()).expect("a cluster is small"))
}

fn lengths<'a>(holds: &'a [Hold<'_>]) -> impl Iterator<Item = f64> + 'a {
    holds.iter().map(|hold| hold.end - hold.begin)
}

fn last(times: impl Iterator<Item = f64>) -> Option<f64> {
    times.max_by(f64::total_cmp)
}

fn first(times: impl Iterator<Item = f64>) -> Option<f64> {
    times.min_by(f64::total_cmp)
}

/// All manager pods deleted at once: `README.md` of the recordings, C.
fn restart(story: &Story<'_>, spans: &mut Spans) {
    let from = story.from;
    spans.add_all("restart: old pod gone", story.became(MANAGER, ABSENT));
    let created = story.turns(MANAGER).filter(|turn| turn.from == ABSENT);
    spans.add_all("restart: new pod created", created.map(|turn| turn.at - from));
    spans.add_all("restart: container running", story.became(MANAGER, "Running"));
    spans.add_all("restart: first manager Ready", first(story.became(MANAGER, "Running ready")));
    spans.add_all("restart: all managers Ready", last(story.became(MANAGER, "Running ready")));
    let nodes = story.holds("node Ready", |state| state.starts_with("False"));
    spans.add("restart: nodes marked", count(&nodes));
    spans.add_all("restart: node not Ready", lengths(&nodes));
    let disks = story.holds("disk Ready", |state| state.starts_with("False"));
    spans.add("restart: disks marked", count(&disks));
    spans.add_all("restart: disk not Ready", lengths(&disks));
    let entries = story.holds("entry", |state| state == "`unknown`");
    spans.add("restart: entries unknown", count(&entries));
    spans.add_all("restart: unknown begins", entries.iter().map(|hold| hold.begin - from));
    spans.add_all("restart: unknown lasts", lengths(&entries));
    spans.add_all("restart: all entries ready again", last(entries.iter().map(|hold| hold.end - from)));
    let sources = story.turns("pod backing-image-data-source").count();
    let others = story.turns("pod backing-image-manager").count();
    let moved = f64::from(u32::try_from(sources + others).expect("a run is short"));
    spans.add("restart: turns of pods that stay", moved);
    let webhook = story.holds("webhook endpoints", |state| state == "none ready");
    spans.add_all("restart: no webhook endpoint", lengths(&webhook));
}

/// A helm upgrade with another default image: `README.md` of the recordings, A and B.
fn upgrade(story: &Story<'_>, spans: &mut Spans) {
    let from = story.from;
    let is_there = |state: &str| state != ABSENT;
    spans.add_all("upgrade: pre-upgrade job lasts", lengths(&story.holds("job longhorn-pre-upgrade", is_there)));
    spans.add_all("upgrade: post-upgrade job lasts", lengths(&story.holds("job longhorn-post-upgrade", is_there)));
    let dying = story.turns(MANAGER).filter(|turn| turn.to.ends_with("terminating"));
    spans.add_all("upgrade: first old manager told to end", first(dying.map(|turn| turn.at - from)));
    spans.add_all("upgrade: old manager gone", story.became(MANAGER, ABSENT));
    let created = story.turns(MANAGER).filter(|turn| turn.from == ABSENT);
    spans.add_all("upgrade: new manager pod made", created.map(|turn| turn.at - from));
    spans.add_all("upgrade: first manager Ready", first(story.became(MANAGER, "Running ready")));
    spans.add_all("upgrade: all managers Ready", last(story.became(MANAGER, "Running ready")));
    let webhook = story.holds("webhook endpoints", |state| state == "none ready");
    spans.add_all("upgrade: no webhook endpoint", lengths(&webhook));
    let nodes = story.holds("node Ready", |state| state.starts_with("False"));
    spans.add("upgrade: nodes marked", count(&nodes));
    spans.add_all("upgrade: node not Ready", lengths(&nodes));
    let disks = story.holds("disk Ready", |state| state.starts_with("False"));
    spans.add("upgrade: disks marked", count(&disks));
    spans.add_all("upgrade: disk Ready again", disks.iter().map(|hold| hold.end - from));
    takeover(story, spans);
}

/// How new backing image managers take the files of old ones over.
fn takeover(story: &Story<'_>, spans: &mut Spans) {
    let from = story.from;
    let ending = story.turns("manager").filter(|turn| turn.to.ends_with("terminating"));
    let Some(sync) = first(ending.map(|turn| turn.at)) else { return };
    spans.add("takeover: first old one deleted", sync - from);
    spans.add_all("takeover: old one gone after that", {
        story.turns("manager").filter(|turn| turn.to == ABSENT).map(move |turn| turn.at - sync)
    });
    let mut made: Vec<f64> = story.turns("manager").filter(|turn| turn.from == ABSENT).map(|turn| turn.at).collect();
    made.sort_by(f64::total_cmp);
    spans.add_all("takeover: first new one made after that", made.first().map(|at| at - sync));
    spans.add_all("takeover: later new ones made after that", made.iter().skip(1).map(|at| at - sync));
    // Entries that an incompatible manager never brings back are missing until the next upgrade.
    let mut missing = story.holds("entry", |state| state == ABSENT);
    missing.retain(|hold| hold.end < story.to);
    let back = first(missing.iter().map(|hold| hold.end));
    for hold in &missing {
        let early = back.is_some_and(|back| hold.end - back < 5.0);
        let name =
            if early { "takeover: entry missing on the first disk" } else { "takeover: entry missing elsewhere" };
        spans.add(name, hold.end - hold.begin);
    }
    spans.add_all("takeover: first entry ready again", first(missing.iter().map(|hold| hold.end - from)));
    spans.add_all("takeover: all entries ready again", last(story.became("entry", "`ready`")));
}

/// What is measured in every run: `README.md` of the recordings, timings to calibrate on.
fn always(story: &Story<'_>, spans: &mut Spans) {
    let file = "pod backing-image-manager";
    for (of, ready, ending) in [
        (file, "manager pod: created to Ready", Some("manager pod: termination")),
        ("pod backing-image-data-source", "data source pod: created to Ready", None),
    ] {
        for hold in story.holds(of, |state| state == "Pending" || state == "Running") {
            spans.add(ready, hold.end - hold.begin);
        }
        if let Some(ending) = ending {
            spans.add_all(ending, lengths(&story.holds(of, |state| state.ends_with("terminating"))));
        }
    }
    let pending = story.holds(MANAGER, |state| state == "Pending");
    spans.add_all("longhorn-manager: created to running", lengths(&pending));
    spans.add_all(
        "webhook lease held",
        lengths(&story.holds("lease longhorn-manager-webhook-lock", |held| held == "held")),
    );
    spans.add_all(
        "upgrade lease held",
        lengths(&story.holds("lease longhorn-manager-upgrade-lock", |held| held == "held")),
    );
    // A file of a manager that runs again is listed a moment later.
    for again in
        story.turns("manager").filter(|turn| turn.from == "`unknown`, API known" && turn.to == "`running`, API known")
    {
        let listed = story
            .turns("manager's file")
            .find(|turn| turn.object == again.object && turn.at >= again.at && turn.to == "`ready`");
        spans.add_all("manager running again to its file ready", listed.map(|turn| turn.at - again.at));
    }
    let images: Vec<&Turn> = story.turns("backing image").filter(|turn| turn.from == ABSENT).collect();
    for image in images {
        let of_image = |of: &'static str, to: &'static str| {
            let mut found = story.turns(of).filter(move |turn| turn.object == image.object && turn.to == to);
            found.next().map(|turn| turn.at - image.at)
        };
        spans.add_all("new image: data source made", of_image("data source", "``, not transferred"));
        spans.add_all("new image: data source ready", of_image("data source", "`ready`, not transferred"));
        let transferred = of_image("data source", "`ready`, transferred");
        spans.add_all("new image: file transferred", transferred);
        spans.add_all("new image: first entry ready", of_image("entry", "`ready`"));
        let copies: Vec<f64> =
            story.turns("copy").filter(|turn| turn.object == image.object).map(|turn| turn.at - image.at).collect();
        if let ([_, second, third], Some(transferred), "small") = (&copies[..], transferred, &*image.object) {
            spans.add("small image: second copy wanted after the transfer", second - transferred);
            spans.add("small image: third copy wanted after the transfer", third - transferred);
            let ready: Vec<f64> = story
                .turns("entry")
                .filter(|turn| turn.object == image.object && turn.to == "`ready`")
                .map(|turn| turn.at - image.at)
                .collect();
            spans.add_all("small image: three copies ready", ready.get(2).copied());
        }
    }
}
