use super::{CheckRow, Row, RunView};
use crate::event::SkipReason;
use crate::id::StepId;

/// A row that failed by itself, with what was not run because of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Culprit<'a> {
    /// The step, or a group that failed by its own timeout or requirement.
    pub row: &'a Row,
    /// Verbs that were skipped because of it, in plan order.
    pub blocked: Vec<&'a Row>,
}

impl RunView {
    /// What failed, errored or stayed undecided by itself, in plan order, without clean-up.
    ///
    /// A group that is only as bad as a step inside it is not named again.
    pub fn failures(&self) -> Vec<&Row> {
        self.failing(false)
    }

    /// The same for clean-up, which is shown apart.
    pub fn cleanup_failures(&self) -> Vec<&Row> {
        self.failing(true)
    }

    /// Checks that count and were broken, could not be judged or stayed undecided, in plan order.
    pub fn check_failures(&self) -> Vec<&CheckRow> {
        self.checks.iter().filter(|row| row.is_failing()).collect()
    }

    /// The failures, each with what it kept from running.
    pub fn culprits(&self) -> Vec<Culprit<'_>> {
        let skipped: Vec<(&Row, Option<&StepId>)> = self
            .rows
            .iter()
            .filter(|row| row.is_leaf() && row.skip.as_ref().is_some_and(|reason| !reason.by_choice()))
            .map(|row| (row, self.because(&row.node.id).last().map(|root| &root.node.id)))
            .collect();
        let kept_by = |culprit: &Row| {
            skipped.iter().filter(|(_, root)| *root == Some(&culprit.node.id)).map(|(row, _)| *row).collect()
        };
        self.failures().into_iter().map(|row| Culprit { row, blocked: kept_by(row) }).collect()
    }

    /// Why a step was skipped, link by link, the root last; empty if it was skipped by choice
    /// or not at all. A group that failed is followed by the row inside that decided.
    pub fn because(&self, step: &StepId) -> Vec<&Row> {
        let mut chain: Vec<&Row> = Vec::new();
        let mut at = self.row(step).filter(|row| row.skip.is_some());
        while let Some(next) = at.and_then(|row| self.link(row)) {
            if next.node.id == *step || chain.iter().any(|seen| seen.node.id == next.node.id) {
                break;
            }
            chain.push(next);
            at = Some(next);
        }
        chain
    }

    /// One step back from an effect to its cause.
    fn link(&self, row: &Row) -> Option<&Row> {
        match &row.skip {
            Some(SkipReason::Need { step, .. } | SkipReason::RoundFailed { step } | SkipReason::Group { step }) => {
                self.row(step)
            }
            Some(
                SkipReason::If { .. }
                | SkipReason::Flag { .. }
                | SkipReason::NoCells
                | SkipReason::NothingFailed
                | SkipReason::RoundViolated { .. }
                | SkipReason::Cancelled { .. },
            ) => None,
            None => self.decider(&row.node.id),
        }
    }

    fn failing(&self, cleanup: bool) -> Vec<&Row> {
        let failing = self.rows.iter().filter(|row| row.cleanup == cleanup && row.is_failing());
        failing.filter(|row| self.decider(&row.node.id).is_none()).collect()
    }
}
