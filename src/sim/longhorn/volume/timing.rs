//! How long the data path's acts take. Longhorn's data path was not measured: the ranges are assumptions.

use std::time::Duration;

use crate::sim::{Chance, Span};

/// Starting a replica's process.
pub(super) const REPLICA_START: Span = Span::millis(1_000, 10_000);
/// Starting an engine's process.
pub(super) const ENGINE_START: Span = Span::millis(1_000, 15_000);
/// An engine replacing itself in place.
pub(super) const ENGINE_UPGRADE: Span = Span::millis(1_000, 15_000);
/// Stopping an engine, most of what a detachment takes.
pub(super) const ENGINE_STOP: Span = Span::millis(800, 12_000);
/// Stopping a replica.
pub(super) const REPLICA_STOP: Span = Span::millis(200, 3_000);
/// What a rebuild takes beside copying.
pub(super) const REBUILD: Span = Span::millis(3_000, 20_000);
/// Bytes that are copied to a replica in a second.
pub(super) const COPY_PER_SECOND: u64 = 50_000_000;
/// From an instance manager's container until it is ready.
pub(super) const MANAGER_READY: Span = Span::millis(4_000, 50_000);
/// From an engine image's container until its binaries are on the node.
pub(super) const BINARIES_READY: Span = Span::millis(2_000, 100_000);

/// How often an engine is asked about its replicas (`EnginePollInterval` in `engineapi/types.go`).
pub(super) const ENGINE_POLL: Duration = Duration::from_secs(5);
/// How often an instance manager is asked what runs in it; the original is told at once.
pub(super) const MANAGER_POLL: Duration = Duration::from_secs(1);
/// The informers' resync.
pub(super) const RESYNC: Duration = Duration::from_secs(30);
/// After how long an engine image that nobody uses is removed, in seconds.
pub(super) const UNUSED_IMAGE: i64 = 3_600;

/// Out of a range whose long end is rare: nine in ten lie in its first quarter.
pub(super) fn drawn(chance: &mut Chance, span: Span) -> Duration {
    let usual = Span { low: span.low, high: span.low + (span.high.saturating_sub(span.low)) / 4 };
    if chance.happens(0.1) { chance.draw(span) } else { chance.draw(usual) }
}
