use std::collections::BTreeSet;
use std::sync::Arc;

use super::{End, Fold, Sight, What, Word, slot};
use crate::check::reading::{MISSING, Reading};
use crate::clock::Elapsed;
use crate::plan::{Edge, Edges};

/// Each track's value moves only along these edges.
#[derive(Debug)]
pub(in crate::check) struct Transitions {
    edges: Edges,
    values: Vec<Option<Arc<str>>>,
}

impl Transitions {
    pub(in crate::check) fn new(edges: Edges) -> Self {
        Self { edges, values: Vec::new() }
    }
}

impl Fold for Transitions {
    fn see(&mut self, sight: &Sight<'_>) -> Word {
        let held = slot(&mut self.values, sight.track);
        let (reading, entered) = match sight.what {
            What::Start(reading) | What::Seen(reading) | What::Replaced(reading) => (reading, false),
            What::Entered(reading) => (reading, true),
            What::Missing => (&Reading::Value(MISSING.into()), false),
            // One that is made again under its name goes on from here.
            What::Gone => return Word::Fine,
        };
        let Reading::Value(value) = reading else { return Word::Fine };
        let before = held.replace(Arc::clone(value)).or_else(|| entered.then(|| MISSING.into()));
        match before {
            Some(before) if before != *value && !self.may(&before, value, sight.after_gap) => {
                Word::Breach(format!("`{before} -> {value}`"))
            }
            _ => Word::Fine,
        }
    }

    fn end(&self, _: Elapsed) -> End {
        End::Held
    }
}

impl Transitions {
    /// Whether a track may have come from one value to the other. While nobody looked it may have
    /// taken any way there is; only what no way explains is a violation.
    fn may(&self, from: &str, to: &str, after_gap: bool) -> bool {
        match (&self.edges, after_gap) {
            (Edges::Allow(edges), false) => edges.iter().any(|edge| edge.fits(from, to)),
            (Edges::Forbid(edges), false) => !edges.iter().any(|edge| edge.fits(from, to)),
            (Edges::Allow(edges), true) => reachable(edges, from, to),
            (Edges::Forbid(edges), true) => !edges.iter().any(|edge| match (&edge.from, &edge.to) {
                (None, None) => true,
                (Some(left), None) => left == from,
                (None, Some(entered)) => entered == to,
                (Some(_), Some(_)) => false,
            }),
        }
    }
}

/// Whether a way of allowed edges leads from one value to the other.
fn reachable(edges: &[Edge], from: &str, to: &str) -> bool {
    let mut known: BTreeSet<&str> = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for edge in edges.iter().filter(|edge| edge.from.as_deref().is_none_or(|left| left == at)) {
            // To `*`: it may be any value by now.
            let Some(next) = edge.to.as_deref() else { return true };
            if known.insert(next) {
                open.push(next);
            }
        }
    }
    from == to || known.contains(to)
}
