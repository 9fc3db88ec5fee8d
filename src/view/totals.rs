use super::{CheckRow, CheckState, Row, RowState, RunView};
use crate::event::{Outcome, SkipReason};

/// How many steps, or checks, went which way. Each is counted in `steps` and in exactly
/// one of the others, except that `blocked` is a part of `skipped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All of them.
    pub steps: usize,
    /// Did what they say.
    pub passed: usize,
    /// A definite no.
    pub failed: usize,
    /// Lariat could not do its part.
    pub errored: usize,
    /// Could not be decided.
    pub inconclusive: usize,
    /// Not run, by choice or not.
    pub skipped: usize,
    /// Of the skipped: not by choice, because of something else that happened.
    pub blocked: usize,
    /// Cut short.
    pub cancelled: usize,
    /// Begun and not ended; of checks: a window that is open.
    pub running: usize,
    /// Not heard of: still to come, or lost with the end of a cut recording.
    pub not_run: usize,
}

impl Totals {
    /// Counts these rows; groups among them are left out, what they hold is in the list itself.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut totals = Self::default();
        for row in rows.into_iter().filter(|row| row.is_leaf()) {
            totals.steps += 1;
            match row.state {
                RowState::Waiting => totals.not_run += 1,
                RowState::Running => totals.running += 1,
                RowState::Settled(outcome) => totals.settle(outcome, row.skip.as_ref()),
            }
        }
        totals
    }

    /// Counts these checks.
    pub fn of_checks<'a>(rows: impl IntoIterator<Item = &'a CheckRow>) -> Self {
        let mut totals = Self::default();
        for row in rows {
            totals.steps += 1;
            match row.state {
                CheckState::Waiting => totals.not_run += 1,
                CheckState::Armed | CheckState::Violated => totals.running += 1,
                CheckState::Settled(outcome) => totals.settle(outcome, row.skip.as_ref()),
            }
        }
        totals
    }

    fn settle(&mut self, outcome: Outcome, skip: Option<&SkipReason>) {
        let count = match outcome {
            Outcome::Passed => &mut self.passed,
            Outcome::Failed => &mut self.failed,
            Outcome::Errored => &mut self.errored,
            Outcome::Inconclusive => &mut self.inconclusive,
            Outcome::Cancelled => &mut self.cancelled,
            Outcome::Skipped => &mut self.skipped,
        };
        *count += 1;
        self.blocked += usize::from(skip.is_some_and(|reason| !reason.by_choice()));
    }

    /// How many have settled.
    pub fn settled(&self) -> usize {
        self.steps - self.running - self.not_run
    }

    /// The counts that are not zero, as words: `9 passed, 1 failed, 2 skipped (1 blocked)`.
    pub fn sentence(&self) -> String {
        let skipped = match (self.skipped, self.blocked) {
            (0, _) => String::new(),
            (skipped, 0) => format!("{skipped} skipped"),
            (skipped, blocked) if skipped == blocked => format!("{blocked} blocked"),
            (skipped, blocked) => format!("{skipped} skipped ({blocked} blocked)"),
        };
        let counts = [
            (self.passed, "passed"),
            (self.failed, "failed"),
            (self.errored, "errored"),
            (self.inconclusive, "inconclusive"),
            (self.cancelled, "cancelled"),
        ];
        let rest = [(self.running, "unfinished"), (self.not_run, "not run")];
        let say = |counts: &[(usize, &str)]| -> Vec<String> {
            counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect()
        };
        let mut parts = say(&counts);
        parts.extend(Some(skipped).filter(|skipped| !skipped.is_empty()));
        parts.extend(say(&rest));
        if parts.is_empty() { "no steps".into() } else { parts.join(", ") }
    }
}

impl RunView {
    /// The plan's own steps: verbs that are not clean-up.
    pub fn totals(&self) -> Totals {
        Totals::of(self.rows.iter().filter(|row| !row.cleanup))
    }

    /// The checks that count in the verdict, one for each round and cell.
    pub fn check_totals(&self) -> Totals {
        Totals::of_checks(self.checks.iter().filter(|row| row.counts()))
    }

    /// The checks that only report.
    pub fn report_totals(&self) -> Totals {
        Totals::of_checks(self.checks.iter().filter(|row| !row.counts()))
    }

    /// The clean-up steps, which never count in the verdict.
    pub fn cleanup_totals(&self) -> Totals {
        Totals::of(self.rows.iter().filter(|row| row.cleanup))
    }
}
