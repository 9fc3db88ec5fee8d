use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::graph::StepIx;

/// Whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A container's timeout.
    Container(StepIx),
    /// The plan's timeout.
    Plan,
    /// The time for clean-up after a signal.
    Grace,
}

/// The deadlines above attempts, the nearest first.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BTreeSet<(Instant, Due)>);

impl Deadlines {
    pub(super) fn set(&mut self, at: Instant, due: Due) {
        self.0.insert((at, due));
    }

    /// Forgets a container that has closed in time.
    pub(super) fn forget(&mut self, container: StepIx) {
        self.0.retain(|(_, due)| *due != Due::Container(container));
    }

    /// Waits for the nearest; for ever if there is none.
    pub(super) async fn next(&mut self) -> Due {
        let Some((at, due)) = self.0.first().copied() else { return std::future::pending().await };
        tokio::time::sleep_until(at).await;
        self.0.remove(&(at, due));
        due
    }
}
