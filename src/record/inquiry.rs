use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::ledger::Ledger;
use super::list::{Listing, Roll};
use super::object::{ObjectKey, number};
use super::sight::Spell;
use super::{Confirmed, Error};
use crate::event::{Difference, ObjectName};

/// How long a watch has to show what a list beside it has.
pub(super) const EXPLAIN: Duration = Duration::from_secs(10);

/// How many objects a closing list's differences name; a watch that is wholly apart would name all.
const NAMED: usize = 20;

/// A list made beside a watch, to find out whether the watch has shown all of it.
///
/// | stage | what comes | then |
/// |---|---|---|
/// | asked | a version | it is remembered: it may be newer than what the list says |
/// | asked | the list | explaining, with what the watch has not shown yet |
/// | explaining | a version of such an object, or a list | it is struck off; nothing left: they agree |
/// | explaining | ten seconds are over | they differ |
pub(super) struct Inquiry {
    pub(super) number: u64,
    pub(super) purpose: Purpose,
    stage: Stage,
}

/// What a list beside a watch is made for.
pub(super) enum Purpose {
    /// A window closes: its edge is told as soon as the list is there.
    Close(oneshot::Sender<Result<Confirmed, Error>>),
    /// A window opens on a watch that is open already: what stands in the list came before it.
    Arm(u64),
    /// The watch stood still or was away: whether it has caught up.
    CatchUp(Spell),
    /// Somebody follows who came later: the list is for it, once all of that is on the tape.
    Join { follower: u64, listing: Option<Listing> },
    /// The run ends.
    Finish,
}

enum Stage {
    /// With the versions that came meanwhile: the watch may be ahead of the list.
    Asked {
        since: BTreeMap<ObjectKey, u64>,
        listed: Option<u64>,
    },
    Explaining {
        version: String,
        open: BTreeMap<ObjectKey, Expected>,
        until: Instant,
    },
}

/// What a list has of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expected {
    /// This uid in this version.
    There { uid: String, version: String },
    /// It is gone.
    Gone,
}

impl Inquiry {
    pub(super) fn new(number: u64, purpose: Purpose) -> Self {
        Self { number, purpose, stage: Stage::Asked { since: BTreeMap::new(), listed: None } }
    }

    /// The list is there.
    pub(super) fn answer(&mut self, roll: Roll, ledger: &Ledger) {
        let gone =
            ledger.keys().filter(|key| !roll.entries.contains_key(*key)).map(|key| (key.clone(), Expected::Gone));
        let mut open: BTreeMap<ObjectKey, Expected> = gone.collect();
        let there = roll.entries.into_iter().map(|(key, (uid, version))| (key, Expected::There { uid, version }));
        open.extend(there);
        let edge = number(&roll.version);
        if let Stage::Asked { since, listed } = &self.stage {
            open.retain(|key, _| since.get(key).copied() <= edge);
            if *listed >= Some(edge.unwrap_or(u64::MAX)) {
                open.clear();
            }
        }
        self.stage = Stage::Explaining { version: roll.version, open, until: Instant::now() + EXPLAIN };
        self.review(ledger);
    }

    /// Strikes off all that the watch has shown by now.
    fn review(&mut self, ledger: &Ledger) {
        if let Stage::Explaining { version, open, .. } = &mut self.stage {
            let edge = number(version);
            open.retain(|key, expected| !expected.is_shown(ledger.last(key), edge));
        }
    }

    /// One version came.
    pub(super) fn saw(&mut self, key: &ObjectKey, came: u64, ledger: &Ledger) {
        match &mut self.stage {
            Stage::Asked { since, .. } => {
                since.insert(key.clone(), came);
            }
            Stage::Explaining { version, open, .. } => {
                let edge = number(version);
                // A version beyond the list's own came after all that the list has of this object.
                let beyond = edge.is_some_and(|edge| came > edge);
                if open.get(key).is_some_and(|expected| beyond || expected.is_shown(ledger.last(key), edge)) {
                    open.remove(key);
                }
            }
        }
    }

    /// The watch has listed anew: what it has is at least as new as an older list.
    pub(super) fn listed(&mut self, at: u64, ledger: &Ledger) {
        match &mut self.stage {
            Stage::Asked { listed, .. } => *listed = Some(at),
            Stage::Explaining { version, open, .. } => {
                if number(version).is_some_and(|edge| at >= edge) {
                    open.clear();
                }
            }
        }
        self.review(ledger);
    }

    /// The list's version, once it is there.
    pub(super) fn version(&self) -> Option<&str> {
        match &self.stage {
            Stage::Asked { .. } => None,
            Stage::Explaining { version, .. } => Some(version),
        }
    }

    /// Whether the watch has shown all of the list.
    pub(super) fn agrees(&self) -> bool {
        matches!(&self.stage, Stage::Explaining { open, .. } if open.is_empty())
    }

    /// When the time for explaining is over.
    pub(super) fn until(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Asked { .. } => None,
            Stage::Explaining { until, .. } => Some(*until),
        }
    }

    /// What the watch has not shown.
    pub(super) fn differences(&self, ledger: &Ledger) -> Vec<Difference> {
        let Stage::Explaining { open, .. } = &self.stage else { return Vec::new() };
        let mut differences: Vec<Difference> = open
            .iter()
            .take(NAMED)
            .map(|(key, expected)| Difference {
                object: ObjectName { namespace: key.namespace.clone(), name: key.name.clone() },
                say: expected.say(ledger.last(key)),
            })
            .collect();
        if let (Some(last), more @ 1..) = (differences.last_mut(), open.len().saturating_sub(NAMED)) {
            last.say.push_str(&format!("; and {more} more objects differ"));
        }
        differences
    }
}

impl Expected {
    /// Whether the watch, which has this last version of the object, has shown what the list has.
    fn is_shown(&self, last: Option<(&str, &str)>, edge: Option<u64>) -> bool {
        let beyond = |version: &str| matches!((number(version), edge), (Some(version), Some(edge)) if version > edge);
        match (self, last) {
            (Self::There { uid, version }, Some((last_uid, last_version))) => {
                let reached = match (number(last_version), number(version)) {
                    (Some(last), Some(listed)) => last >= listed,
                    (_, _) => last_version == version,
                };
                (reached && uid == last_uid) || beyond(last_version)
            }
            (Self::There { .. }, None) => false,
            (Self::Gone, last) => last.is_none_or(|(_, version)| beyond(version)),
        }
    }

    fn say(&self, last: Option<(&str, &str)>) -> String {
        match (self, last) {
            (Self::There { version, .. }, None) => {
                format!("it is there in version {version}, and the watch has not shown it")
            }
            (Self::There { uid, version }, Some((last_uid, last))) if uid == last_uid => {
                format!("it is there in version {version}, and the watch has shown version {last} as its last")
            }
            (Self::There { uid, version }, Some((last_uid, _))) => {
                format!("it is there as uid {uid} in version {version}, and the watch has shown uid {last_uid}")
            }
            (Self::Gone, _) => {
                let last = last.map_or("none", |(_, version)| version);
                format!("it is gone, and the watch has shown version {last} as its last")
            }
        }
    }
}
