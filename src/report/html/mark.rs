use super::markup::Markup;
use crate::event::{Outcome, SkipReason, Verdict};
use crate::view::{CheckRow, CheckState, Row, RowState, Totals};

/// A state as the page shows it: always a shape, a letter and a word, so that
/// nothing hangs on colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Passed,
    Failed,
    Errored,
    Inconclusive,
    Cancelled,
    /// By choice.
    Skipped,
    /// Because of something else that happened.
    Blocked,
    /// Begun, and nothing more is known.
    Unfinished,
    /// Not heard of.
    NotRun,
}

impl Mark {
    /// In the order in which a reader wants to hear of them.
    pub(super) const ALL: [Self; 9] = [
        Self::Failed,
        Self::Errored,
        Self::Inconclusive,
        Self::Unfinished,
        Self::Cancelled,
        Self::Passed,
        Self::Blocked,
        Self::Skipped,
        Self::NotRun,
    ];

    /// Where a row stands.
    pub(super) fn of(row: &Row) -> Self {
        match row.state {
            RowState::Waiting => Self::NotRun,
            RowState::Running => Self::Unfinished,
            RowState::Settled(Outcome::Skipped) if !row.skip.as_ref().is_some_and(SkipReason::by_choice) => {
                Self::Blocked
            }
            RowState::Settled(outcome) => Self::from(outcome),
        }
    }

    /// Where a check stands.
    pub(super) fn of_check(row: &CheckRow) -> Self {
        match row.state {
            CheckState::Waiting => Self::NotRun,
            CheckState::Armed => Self::Unfinished,
            // Seen broken: no judge can take it back.
            CheckState::Violated => Self::Failed,
            CheckState::Settled(Outcome::Skipped) if !row.skip.as_ref().is_some_and(SkipReason::by_choice) => {
                Self::Blocked
            }
            CheckState::Settled(outcome) => Self::from(outcome),
        }
    }

    /// How many of these there are.
    pub(super) fn count(self, totals: &Totals) -> usize {
        match self {
            Self::Passed => totals.passed,
            Self::Failed => totals.failed,
            Self::Errored => totals.errored,
            Self::Inconclusive => totals.inconclusive,
            Self::Cancelled => totals.cancelled,
            Self::Skipped => totals.skipped - totals.blocked,
            Self::Blocked => totals.blocked,
            Self::Unfinished => totals.running,
            Self::NotRun => totals.not_run,
        }
    }

    /// In words.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Errored => "errored",
            Self::Inconclusive => "inconclusive",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Blocked => "blocked",
            Self::Unfinished => "unfinished",
            Self::NotRun => "not run",
        }
    }

    /// The class that gives it its colour.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::NotRun => "s-not-run",
            Self::Passed => "s-passed",
            Self::Failed => "s-failed",
            Self::Errored => "s-errored",
            Self::Inconclusive => "s-inconclusive",
            Self::Cancelled => "s-cancelled",
            Self::Skipped => "s-skipped",
            Self::Blocked => "s-blocked",
            Self::Unfinished => "s-unfinished",
        }
    }

    /// Its symbol in the page.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Passed => "#mark-passed",
            Self::Failed => "#mark-failed",
            Self::Errored => "#mark-errored",
            Self::Inconclusive => "#mark-inconclusive",
            Self::Cancelled => "#mark-cancelled",
            Self::Skipped => "#mark-skipped",
            Self::Blocked => "#mark-blocked",
            Self::Unfinished => "#mark-unfinished",
            Self::NotRun => "#mark-not-run",
        }
    }

    /// The shape alone; a word must stand beside it.
    pub(super) fn draw(self, page: &mut Markup) {
        page.open(
            "svg",
            &[("class", &format!("mark {}", self.class())), ("width", &16), ("height", &16), ("aria-hidden", &"true")],
        );
        page.void("use", &[("href", &self.symbol())]).close("svg");
    }

    /// Shape and word.
    pub(super) fn say(self, page: &mut Markup) {
        page.open("span", &[("class", &format!("state {}", self.class()))]);
        self.draw(page);
        page.raw(" ").text(self.word()).close("span");
    }
}

impl From<Outcome> for Mark {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Passed => Self::Passed,
            Outcome::Skipped => Self::Skipped,
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Inconclusive => Self::Inconclusive,
            Outcome::Errored => Self::Errored,
            Outcome::Failed => Self::Failed,
        }
    }
}

impl From<Verdict> for Mark {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Passed,
            Verdict::Cancelled => Self::Cancelled,
            Verdict::Inconclusive => Self::Inconclusive,
            Verdict::Error => Self::Errored,
            Verdict::Fail => Self::Failed,
        }
    }
}

/// The hatching of gaps, and every shape once, for `use`: circle, octagon, triangle, diamond, square, dashed
/// and dotted ones for what did not run. Colours come from where it is used.
pub(super) const SYMBOLS: &str = concat!(
    r##"<svg width="0" height="0" class="symbols" aria-hidden="true"><defs>"##,
    r##"<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path class="hatch" d="M0 0V6" stroke="#a2460c" stroke-width="3"/></pattern>"##,
    r##"<symbol id="mark-passed" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7.5" fill="currentColor"/><text class="letter" text-anchor="middle" font-size="10" font-weight="700" x="8" y="11.6" fill="#fff">P</text></symbol>"##,
    r##"<symbol id="mark-failed" viewBox="0 0 16 16"><path d="M4.9.5h6.2l4.4 4.4v6.2l-4.4 4.4H4.9L.5 11.1V4.9z" fill="currentColor"/><text class="letter" text-anchor="middle" font-size="10" font-weight="700" x="8" y="11.6" fill="#fff">F</text></symbol>"##,
    r##"<symbol id="mark-errored" viewBox="0 0 16 16"><path d="M8 .2L16 15.6H0z" fill="currentColor" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round"/><text class="letter" text-anchor="middle" font-size="9" font-weight="700" x="8" y="13.9" fill="#fff">E</text></symbol>"##,
    r##"<symbol id="mark-inconclusive" viewBox="0 0 16 16"><path d="M8 0l8 8-8 8-8-8z" fill="currentColor"/><text class="letter" text-anchor="middle" font-size="10" font-weight="700" x="8" y="11.6" fill="#fff">I</text></symbol>"##,
    r##"<symbol id="mark-cancelled" viewBox="0 0 16 16"><rect x=".5" y=".5" width="15" height="15" rx="2" fill="currentColor"/><text class="letter" text-anchor="middle" font-size="10" font-weight="700" x="8" y="11.6" fill="#fff">C</text></symbol>"##,
    r##"<symbol id="mark-skipped" viewBox="0 0 16 16"><rect x="1" y="1" width="14" height="14" rx="2" fill="none" stroke="currentColor" stroke-width="1.5"/><text class="letter hollow" text-anchor="middle" font-size="10" font-weight="700" x="8" y="11.6" fill="currentColor">S</text></symbol>"##,
    r##"<symbol id="mark-blocked" viewBox="0 0 16 16"><rect x="1" y="1" width="14" height="14" rx="2" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="3 1.7"/><text class="letter hollow" text-anchor="middle" font-size="10" font-weight="700" x="8" y="11.6" fill="currentColor">B</text></symbol>"##,
    r##"<symbol id="mark-unfinished" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="4 2"/><text class="letter hollow" text-anchor="middle" font-size="10" font-weight="700" x="8" y="11.6" fill="currentColor">U</text></symbol>"##,
    r##"<symbol id="mark-not-run" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="1.5 2"/><text class="letter hollow" text-anchor="middle" font-size="10" font-weight="700" x="8" y="11.6" fill="currentColor">N</text></symbol>"##,
    "</defs></svg>"
);
