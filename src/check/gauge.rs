use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::clock::Elapsed;
use crate::event::{Lane, Measure, Segment};

/// How many tracks are drawn; one that violates its check is drawn besides.
const LANES: usize = 48;

/// How many values of one track are drawn.
const SEGMENTS: usize = 120;

/// How many values are measured, and how many spells of each are kept.
const VALUES: usize = 16;
const SPELLS: usize = 256;

/// What each track did over a window: how long which value stood.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    now: Vec<Option<(Arc<str>, Elapsed)>>,
    measures: IndexMap<Arc<str>, Spells>,
    lanes: BTreeMap<usize, Drawn>,
    left_out: u64,
}

#[derive(Debug, Default)]
struct Spells {
    kept: Vec<Elapsed>,
    more: u64,
}

#[derive(Debug, Default)]
struct Drawn {
    segments: Vec<Segment>,
    more: u64,
}

impl Gauge {
    /// From now on a track has this value; without one it is not there.
    pub(super) fn set(&mut self, track: usize, value: Option<&Arc<str>>, at: Elapsed, bad: bool) {
        if self.now.len() <= track {
            self.left_out += (track + 1).saturating_sub(self.now.len().max(LANES)) as u64;
            self.now.resize_with(track + 1, || None);
        }
        let held = &mut self.now[track];
        if !bad && held.as_ref().map(|(value, _)| value) == value {
            return;
        }
        if let Some((before, since)) = held.take() {
            spell(&mut self.measures, &before, at.since(since));
        }
        *held = value.map(|value| (Arc::clone(value), at));
        if track >= LANES && !self.lanes.contains_key(&track) {
            if !bad || self.lanes.len() >= 2 * LANES {
                return;
            }
            self.left_out -= 1;
        }
        let lane = self.lanes.entry(track).or_default();
        if lane.segments.len() < SEGMENTS {
            let value = value.map(ToString::to_string).unwrap_or_default();
            lane.segments.push(Segment { from: at, value, bad });
        } else {
            lane.more += 1;
        }
    }

    /// The measures and lanes when the window closes, with how many tracks have no lane.
    pub(super) fn close(mut self, at: Elapsed, name: impl Fn(usize) -> String) -> (Vec<Measure>, Vec<Lane>, u64) {
        for (value, since) in self.now.into_iter().flatten() {
            spell(&mut self.measures, &value, at.since(since));
        }
        let measures = self.measures.into_iter().map(|(what, spells)| Measure {
            what: what.to_string(),
            spells: spells.kept,
            more: spells.more,
        });
        let lanes = self.lanes.into_iter().map(|(track, drawn)| Lane {
            track: name(track),
            segments: drawn.segments,
            more: drawn.more,
        });
        (measures.collect(), lanes.collect(), self.left_out)
    }
}

fn spell(measures: &mut IndexMap<Arc<str>, Spells>, value: &Arc<str>, length: Elapsed) {
    if !measures.contains_key(value) && measures.len() >= VALUES {
        return;
    }
    let spells = measures.entry(Arc::clone(value)).or_default();
    if spells.kept.len() < SPELLS {
        spells.kept.push(length);
    } else {
        spells.more += 1;
    }
}
