use jiff::{SignedDuration, Timestamp};

use crate::clock::Elapsed;
use crate::view::RunView;

/// The wall-clock time at an elapsed time of this run.
pub(super) fn instant(view: &RunView, at: Elapsed) -> Timestamp {
    let since = SignedDuration::from_micros(i64::try_from(at.0).unwrap_or(i64::MAX));
    view.start.started.saturating_add(since).unwrap_or(view.start.started)
}

/// `2026-01-01 00:10:00 UTC`.
pub(super) fn utc(view: &RunView, at: Elapsed) -> String {
    instant(view, at).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `2026-01-01T00:10:00Z`.
pub(super) fn stamp(view: &RunView, at: Elapsed) -> String {
    instant(view, at).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A span as people read it.
pub(super) fn span(span: Elapsed) -> String {
    crate::text::duration(span.duration())
}

/// A span or a time since the start to the millisecond, for what happens in milliseconds: `135.104s`.
pub(super) fn exact_span(span: Elapsed) -> String {
    let millis = span.0 / 1_000;
    format!("{}.{:03}s", millis / 1_000, millis % 1_000)
}

/// `2026-01-01T00:10:00.25Z`, with all that is known of a second.
pub(super) fn exact(view: &RunView, at: Elapsed) -> String {
    instant(view, at).to_string()
}

/// `00:10:00`, by the wall clock in UTC.
pub(super) fn clock(view: &RunView, at: Elapsed) -> String {
    instant(view, at).strftime("%H:%M:%S").to_string()
}
