//! Partial orders: what several runs have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// One run: each event with its place. Events of one place came together.
pub(crate) type Run = Vec<(u64, String)>;

/// Which events always come, which sometimes, and what always comes before what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Partial {
    pub(crate) always: BTreeSet<String>,
    pub(crate) sometimes: BTreeSet<String>,
    pub(crate) before: BTreeSet<(String, String)>,
}

impl Partial {
    /// What runs have in common, but for pairs that are known to have nothing to do with each other.
    pub(crate) fn of(runs: &[Run], apart: impl Fn(&str, &str) -> bool) -> Self {
        let events: Vec<BTreeSet<String>> =
            runs.iter().map(|run| run.iter().map(|(_, event)| event.clone()).collect()).collect();
        let all: BTreeSet<String> = events.iter().flatten().cloned().collect();
        let (always, sometimes): (BTreeSet<String>, BTreeSet<String>) =
            all.into_iter().partition(|event| events.iter().all(|events| events.contains(event)));
        let places: Vec<BTreeMap<&str, u64>> =
            runs.iter().map(|run| run.iter().map(|(place, event)| (event.as_str(), *place)).collect()).collect();
        let mut before = BTreeSet::new();
        for one in &always {
            for other in &always {
                if !apart(one, other) && places.iter().all(|place| place[one.as_str()] < place[other.as_str()]) {
                    before.insert((one.clone(), other.clone()));
                }
            }
        }
        Self { always, sometimes, before }
    }

    /// What a run does that no recorded run did.
    pub(crate) fn breaches(&self, run: &Run) -> Vec<String> {
        let place: BTreeMap<&str, u64> = run.iter().map(|(place, event)| (event.as_str(), *place)).collect();
        let missing = self.always.iter().filter(|event| !place.contains_key(event.as_str()));
        let mut told: Vec<String> = missing.map(|event| format!("`{event}` does not come")).collect();
        let foreign = place.keys().filter(|event| !self.always.contains(**event) && !self.sometimes.contains(**event));
        told.extend(foreign.map(|event| format!("`{event}` comes, which never came")));
        for (one, other) in &self.before {
            if let (Some(first), Some(second)) = (place.get(one.as_str()), place.get(other.as_str()))
                && first >= second
            {
                told.push(format!("`{one}` does not come before `{other}`"));
            }
        }
        told
    }

    /// The order as text: only the steps that do not follow from others.
    pub(crate) fn write(&self) -> String {
        let mut text = String::new();
        for event in &self.sometimes {
            writeln!(text, "? {event}").expect("a String takes text");
        }
        for event in &self.always {
            let told = self.before.iter().any(|(one, other)| one == event || other == event);
            if !told {
                writeln!(text, "{event}").expect("a String takes text");
            }
        }
        for (one, other) in &self.before {
            let between = |event: &&String| {
                self.before.contains(&(one.clone(), (*event).clone()))
                    && self.before.contains(&((*event).clone(), other.clone()))
            };
            if !self.always.iter().any(|event| between(&event)) {
                writeln!(text, "{one} < {other}").expect("a String takes text");
            }
        }
        text
    }

    /// Reads what [`Self::write`] wrote. Lines that begin with `#` say something to people.
    pub(crate) fn read(text: &str) -> Self {
        let mut partial = Self::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(event) = line.strip_prefix("? ") {
                partial.sometimes.insert(event.to_owned());
            } else if let Some((one, other)) = line.split_once(" < ") {
                partial.always.extend([one.to_owned(), other.to_owned()]);
                partial.before.insert((one.to_owned(), other.to_owned()));
            } else {
                partial.always.insert(line.to_owned());
            }
        }
        partial.close();
        partial
    }

    /// Adds what follows: before what is before.
    fn close(&mut self) {
        for middle in &self.always {
            let ahead: Vec<String> =
                self.before.iter().filter(|(_, other)| other == middle).map(|(one, _)| one.clone()).collect();
            let behind: Vec<String> =
                self.before.iter().filter(|(one, _)| one == middle).map(|(_, other)| other.clone()).collect();
            for one in &ahead {
                self.before.extend(behind.iter().map(|other| (one.clone(), other.clone())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(events: &[(u64, &str)]) -> Run {
        events.iter().map(|(place, event)| (*place, (*event).to_owned())).collect()
    }

    #[test]
    fn what_runs_have_in_common_is_kept_and_read_back() {
        let partial = Partial::of(
            &[run(&[(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "x")]), run(&[(1, "a"), (2, "c"), (3, "b"), (4, "d")])],
            |_, _| false,
        );
        assert_eq!(partial.write(), "? x\na < b\na < c\nb < d\nc < d\n");
        assert_eq!(Partial::read(&partial.write()), partial);
        assert!(partial.before.contains(&("a".to_owned(), "d".to_owned())));
        let both = [run(&[(1, "a"), (2, "b")]), run(&[(3, "a"), (4, "b")])];
        assert_eq!(Partial::of(&both, |one, other| one == "a" && other == "b").write(), "a\nb\n");
    }

    #[test]
    fn another_order_and_other_events_are_breaches() {
        let partial = Partial::read("a < b\nb < c\n? x\n");
        assert_eq!(partial.breaches(&run(&[(1, "a"), (2, "b"), (3, "c"), (3, "x")])), Vec::<String>::new());
        assert_eq!(
            partial.breaches(&run(&[(1, "b"), (2, "a"), (2, "y")])),
            ["`c` does not come", "`y` comes, which never came", "`a` does not come before `b`"]
        );
    }
}
