use std::collections::BTreeMap;

use tokio::time::Instant;

use super::window::CheckIx;
use crate::graph::StepIx;

/// What happens at a certain time unless something else comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    /// A failed step is tried again.
    Retry(StepIx),
    /// A container's time is over.
    Container(StepIx),
    /// The time for clean-up in a container whose time was over is over too.
    ContainerGrace(StepIx),
    /// The time for making watches live is over.
    Arming(Option<StepIx>),
    /// The time for closing lists is over.
    Lists(u64),
    /// The time in which a closing list is explained is over.
    Judgement(CheckIx),
    /// The plan's time is over.
    Plan,
    /// The time for clean-up is over.
    Grace,
}

/// An alarm that was set: when, and which it is of those for that instant.
pub(super) type Set = (Instant, u64);

/// Alarms in the order in which they ring; those for the same instant in the order in which they were set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    alarms: BTreeMap<Set, Alarm>,
    set: u64,
}

impl Timers {
    /// Sets an alarm.
    pub(super) fn set(&mut self, at: Instant, alarm: Alarm) -> Set {
        self.set += 1;
        self.alarms.insert((at, self.set), alarm);
        (at, self.set)
    }

    /// When the next one rings.
    pub(super) fn next(&self) -> Option<Instant> {
        self.alarms.keys().next().map(|(at, _)| *at)
    }

    /// The first alarm that is due.
    pub(super) fn take(&mut self, now: Instant) -> Option<Alarm> {
        let first = self.alarms.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Forgets an alarm that is not wanted any more; one that has rung is gone already.
    pub(super) fn forget(&mut self, set: Option<Set>) {
        if let Some(set) = set {
            self.alarms.remove(&set);
        }
    }
}
