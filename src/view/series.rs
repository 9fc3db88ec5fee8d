use std::collections::BTreeMap;

use super::{CheckRow, RunView};
use crate::clock::Elapsed;
use crate::id::CheckId;

/// The same check in all its rounds; one that is judged once is a series of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<'a> {
    /// What the rounds share, as `file-states` for `file-states[03]`.
    pub id: &'a CheckId,
    /// Each round, in order.
    pub rows: Vec<&'a CheckRow>,
}

/// How often and how long one thing was so, over all rounds of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured<'a> {
    /// What: a value, or the claim's condition.
    pub what: &'a str,
    /// In how many rounds it was seen at all.
    pub seen: usize,
    /// How many rounds were judged.
    pub rounds: usize,
    /// Each spell's length, shortest first.
    pub spells: Vec<Elapsed>,
    /// How many more spells there were, whose lengths were not kept.
    pub more: u64,
}

impl Measured<'_> {
    /// The shortest spell, the one in the middle and the longest; none if it was never seen.
    ///
    /// Of an even number the lower one of the two in the middle: a length that was measured.
    pub fn lengths(&self) -> Option<[Elapsed; 3]> {
        let (shortest, longest) = (self.spells.first()?, self.spells.last()?);
        Some([*shortest, self.spells[(self.spells.len() - 1) / 2], *longest])
    }
}

impl<'a> Series<'a> {
    /// What was measured, in the order in which it was first named.
    pub fn measured(&self) -> Vec<Measured<'a>> {
        let judged: Vec<_> = self.rows.iter().filter_map(|row| row.finding.as_ref()).collect();
        let mut found: Vec<Measured<'a>> = Vec::new();
        for finding in &judged {
            for measure in &finding.measures {
                let place = found.iter().position(|known| known.what == measure.what).unwrap_or_else(|| {
                    let (what, rounds) = (measure.what.as_str(), judged.len());
                    found.push(Measured { what, seen: 0, rounds, spells: Vec::new(), more: 0 });
                    found.len() - 1
                });
                let known = &mut found[place];
                known.seen += usize::from(!measure.spells.is_empty() || measure.more > 0);
                known.spells.extend(&measure.spells);
                known.more += measure.more;
            }
        }
        for known in &mut found {
            known.spells.sort_unstable();
        }
        found
    }
}

impl RunView {
    /// Every check with its rounds gathered, in plan order.
    pub fn series(&self) -> Vec<Series<'_>> {
        let mut found: Vec<Series<'_>> = Vec::new();
        let mut places: BTreeMap<&CheckId, usize> = BTreeMap::new();
        for row in &self.checks {
            let id = row.node.round.as_ref().map_or(&row.node.id, |round| &round.of);
            let place = *places.entry(id).or_insert(found.len());
            if place == found.len() {
                found.push(Series { id, rows: Vec::new() });
            }
            found[place].rows.push(row);
        }
        found
    }
}
