use std::cmp::Reverse;

use super::settle::is_bad;
use super::state::Phase;
use super::{Frontier, Move};
use crate::event::{CancelReason, Outcome, SkipReason, Verdict, When};
use crate::graph::StepIx;
use crate::graph::wiring::Kind;
use crate::id::StepId;

impl Frontier {
    /// All that a step waited for is there: it starts, opens or is skipped.
    pub(super) fn decide(&mut self, step: StepIx) {
        if let Some(reason) = self.objection(step) {
            self.skip(step, reason);
            return;
        }
        self.enter_phase(step, Phase::Ready);
        match self.wires[step.at()].kind {
            Kind::Leaf => self.ready.push(Reverse(step)),
            Kind::Group | Kind::Repeat { .. } | Kind::Cells => {
                self.moves.push_back(Move::Open(step));
            }
        }
    }

    /// Why a step that is due is not run. A need that failed comes before a
    /// choice: what needs the left-out step must not run on that failure.
    pub(super) fn objection(&mut self, step: StepIx) -> Option<SkipReason> {
        let wire = &self.wires[step.at()];
        let halted = self.halted(step);
        let rounds = wire.parent.and_then(|parent| match self.wires[parent.at()].kind {
            Kind::Repeat { stop_on_failure } => Some(stop_on_failure),
            Kind::Leaf | Kind::Group | Kind::Cells => None,
        });
        let unmet = wire.needs.iter().copied().find(|&need| !self.is_met(need));
        let violated = wire.needs.iter().find_map(|need| self.steps[need.at()].violated.clone());
        match (rounds, unmet) {
            (Some(true), _) if halted.is_none() && violated.is_some() => {
                self.steps[step.at()].violated.clone_from(&violated);
                return violated.map(|check| SkipReason::RoundViolated { check });
            }
            (Some(true), Some(before)) if halted.is_none() => {
                let round = self.steps[before.at()].failed_round.unwrap_or(before);
                self.steps[step.at()].failed_round = Some(round);
                let step = self.ids[round.at()].clone();
                return Some(SkipReason::RoundFailed { step });
            }
            (None, Some(need)) if wire.when == When::Passed => {
                let outcome = self.outcome(need).unwrap_or(Outcome::Skipped);
                if halted.is_none() || is_bad(outcome) {
                    let step = self.ids[need.at()].clone();
                    return Some(SkipReason::Need { step, outcome });
                }
            }
            _ => {}
        }
        if let Some(choice) = &wire.choice {
            return Some(choice.clone());
        }
        if let Some(by) = halted {
            let unneeded = self.steps[step.at()].unneeded.clone();
            return Some(unneeded.unwrap_or(SkipReason::Cancelled { by }));
        }
        let empty = wire.children.is_empty();
        match (wire.when, wire.kind) {
            (When::Failed, _) if !self.has_bad_need(step) => Some(SkipReason::NothingFailed),
            (_, Kind::Repeat { .. } | Kind::Cells) if empty => Some(SkipReason::NoCells),
            (_, Kind::Leaf | Kind::Group | Kind::Repeat { .. } | Kind::Cells) => None,
        }
    }

    pub(super) fn has_bad_need(&mut self, step: StepIx) -> bool {
        let wire = &self.wires[step.at()];
        if wire.needs.is_empty() {
            return self.scope_of(step).bad;
        }
        wire.needs.iter().any(|&need| self.outcome(need).is_some_and(is_bad))
    }

    pub(super) fn skip(&mut self, step: StepIx, reason: SkipReason) {
        let need = |id: &StepId| {
            let wire = &self.wires[step.at()];
            let found = wire.needs.iter().find(|need| self.ids[need.at()] == *id);
            found.copied()
        };
        let (worth, by) = match &reason {
            SkipReason::If { .. }
            | SkipReason::Flag { .. }
            | SkipReason::NoCells
            | SkipReason::NothingFailed
            | SkipReason::Group { .. } => (Verdict::Pass, step),
            SkipReason::Need { step: id, .. } => match need(id) {
                Some(need) => self.blame(step, need),
                None => (Verdict::Inconclusive, step),
            },
            SkipReason::RoundFailed { .. } => match self.steps[step.at()].failed_round {
                Some(round) => (self.steps[round.at()].worth, self.steps[round.at()].by),
                None => (Verdict::Inconclusive, step),
            },
            // It was to run and did not: nothing is green by accident.
            SkipReason::RoundViolated { .. } | SkipReason::Cancelled { by: CancelReason::Until } => {
                (Verdict::Inconclusive, step)
            }
            SkipReason::Cancelled { .. } => (Verdict::Cancelled, step),
        };
        let cut =
            matches!(reason, SkipReason::Cancelled { by: CancelReason::Until }) && self.steps[step.at()].halt.is_none();
        let state = &mut self.steps[step.at()];
        (state.worth, state.by, state.cut) = (worth, by, cut);
        if reason.by_choice() {
            for ended in self.wires[step.at()].ends.clone() {
                self.steps[ended.at()].unneeded = Some(reason.clone());
            }
        }
        let inside = match &reason {
            SkipReason::If { .. } | SkipReason::Flag { .. } | SkipReason::Cancelled { .. } => reason.clone(),
            SkipReason::Need { .. }
            | SkipReason::NoCells
            | SkipReason::NothingFailed
            | SkipReason::RoundFailed { .. }
            | SkipReason::RoundViolated { .. }
            | SkipReason::Group { .. } => SkipReason::Group { step: self.ids[step.at()].clone() },
        };
        self.moves.push_back(Move::Skip(step, reason));
        self.skip_inside(step, &inside);
        self.settle(step, Outcome::Skipped);
    }

    /// What a step that needs one which did not pass makes of those above it. Clean-up
    /// that fails never fails a run, but what needed it did not happen.
    pub(super) fn blame(&self, step: StepIx, need: StepIx) -> (Verdict, StepIx) {
        let cause = &self.steps[need.at()];
        if self.wires[need.at()].when != When::Passed {
            (cause.worth.clamp(Verdict::Cancelled, Verdict::Inconclusive), step)
        } else if cause.worth == Verdict::Pass || cause.cut {
            (Verdict::Inconclusive, step)
        } else {
            (cause.worth, cause.by)
        }
    }

    /// Everything inside a container that never opened settles at once.
    pub(super) fn skip_inside(&mut self, container: StepIx, reason: &SkipReason) {
        for step in (container.at() + 1..self.wires[container.at()].end).map(StepIx::new) {
            self.enter_phase(step, Phase::Settled(Outcome::Skipped));
            self.moves.push_back(Move::Skip(step, reason.clone()));
            self.unlift(step);
        }
    }
}
