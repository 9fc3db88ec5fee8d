use super::state::{Halt, Phase};
use super::{CleanUp, Frontier, Move};
use crate::event::{CancelReason, Outcome, Verdict, When};
use crate::graph::StepIx;
use crate::graph::wiring::Kind;

impl Frontier {
    /// Takes in that a step has settled; its worth is known.
    pub(super) fn settle(&mut self, step: StepIx, outcome: Outcome) {
        self.enter_phase(step, Phase::Settled(outcome));
        self.up.remove(&step);
        let state = self.steps[step.at()].clone();
        let clean_up = self.wires[step.at()].when != When::Passed;
        let scope = self.scope_of(step);
        scope.unsettled -= 1;
        if !clean_up && state.cut {
            scope.cut = true;
        } else if !clean_up {
            scope.bad |= is_bad(outcome);
            if state.worth > scope.worst {
                (scope.worst, scope.by) = (state.worth, Some(state.by));
            }
        }
        self.unlift(step);
        if !state.excused {
            self.leave_scope_end(step);
        }
        let in_repeat = self.is_in_repeat(step);
        for dependent in self.wires[step.at()].needed_by.clone() {
            let late = self.wires[dependent.at()].waits_for_the_end(in_repeat);
            let excused = state.excused && self.wires[dependent.at()].when != When::Passed;
            if !excused && (late || !state.told) {
                self.release(dependent);
            }
        }
        for ended in self.wires[step.at()].ends.clone() {
            if !matches!(self.steps[ended.at()].phase, Phase::Settled(_)) {
                let halt = &mut self.steps[ended.at()].halt;
                *halt = Some(Halt::over(*halt, CancelReason::Until, CleanUp::Kept));
                self.stop_all(ended.at()..self.wires[ended.at()].end);
            }
        }
        self.close_if_done(self.wires[step.at()].parent);
    }

    pub(super) fn is_in_repeat(&self, step: StepIx) -> bool {
        let parent = self.wires[step.at()].parent;
        parent.is_some_and(|parent| matches!(self.wires[parent.at()].kind, Kind::Repeat { .. }))
    }

    /// A container in which everything has settled is to close.
    pub(super) fn close_if_done(&mut self, container: Option<StepIx>) {
        let Some(step) = container else { return };
        let scope = &self.scopes[step.at() + 1];
        if scope.unsettled > 0 || self.steps[step.at()].phase != Phase::Running {
            return;
        }
        let (mut outcome, mut by) = (outcome_of(scope.worst), scope.by);
        let state = &self.steps[step.at()];
        let ended_beside = state.halt.is_some_and(|halt| halt.reason == CancelReason::Until);
        if scope.cut && outcome == Outcome::Passed && !ended_beside {
            outcome = Outcome::Cancelled;
        }
        if ended_beside && !state.up && scope.worst < Verdict::Inconclusive {
            (outcome, by) = (Outcome::Inconclusive, None);
        }
        self.enter_phase(step, Phase::Closing);
        self.moves.push_back(Move::Close { step, outcome, by });
    }

    /// Whether a step satisfies those that need it: it passed, is or was up, or was left out by choice.
    pub(super) fn is_met(&self, step: StepIx) -> bool {
        self.steps[step.at()].told || self.went_well(step)
    }

    /// Whether it has settled, and passed or was left out by choice.
    pub(super) fn went_well(&self, step: StepIx) -> bool {
        let state = &self.steps[step.at()];
        match state.phase {
            Phase::Settled(Outcome::Passed) => true,
            Phase::Settled(Outcome::Skipped) => state.worth == Verdict::Pass && !state.cut,
            Phase::Settled(_) | Phase::Waiting | Phase::Ready | Phase::Opening | Phase::Running | Phase::Closing => {
                false
            }
        }
    }
}

/// What `when = "failed"` runs for.
pub(super) fn is_bad(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Failed | Outcome::Errored | Outcome::Inconclusive => true,
        Outcome::Passed | Outcome::Skipped | Outcome::Cancelled => false,
    }
}

/// The outcome of a container in which this was the worst.
fn outcome_of(worst: Verdict) -> Outcome {
    match worst {
        Verdict::Pass => Outcome::Passed,
        Verdict::Cancelled => Outcome::Cancelled,
        Verdict::Inconclusive => Outcome::Inconclusive,
        Verdict::Error => Outcome::Errored,
        Verdict::Fail => Outcome::Failed,
    }
}
