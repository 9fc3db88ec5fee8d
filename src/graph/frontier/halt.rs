use std::cmp::Reverse;
use std::ops::Range;

use super::state::{Halt, Phase};
use super::{CleanUp, Frontier, Move};
use crate::event::{CancelReason, When};
use crate::graph::StepIx;
use crate::graph::wiring::Kind;

impl Frontier {
    /// Whether, and for what, a step is to end early or not to start. Clean-up is
    /// spared by a halt of something above it, unless clean-up was dropped.
    pub(super) fn halted(&self, step: StepIx) -> Option<CancelReason> {
        let mut found: Option<CancelReason> = None;
        let mut clean_up = false;
        let spares = |halt: Halt, clean_up: bool| clean_up && halt.clean_up == CleanUp::Kept;
        for at in self.line(step) {
            if let Some(halt) = self.steps[at.at()].halt.filter(|&halt| !spares(halt, clean_up)) {
                found = found.max(Some(halt.reason));
            }
            clean_up |= self.wires[at.at()].when != When::Passed;
        }
        let run = self.halt.filter(|&halt| !spares(halt, clean_up));
        found.max(run.map(|halt| halt.reason))
    }

    /// Tells everything that runs in a range to stop, and skips what was about to start.
    pub(super) fn stop_all(&mut self, range: Range<usize>) {
        for step in range.map(StepIx::new) {
            let phase = self.steps[step.at()].phase;
            if matches!(phase, Phase::Waiting | Phase::Settled(_)) {
                continue;
            }
            let Some(reason) = self.halted(step) else {
                continue;
            };
            let leaf = self.wires[step.at()].kind == Kind::Leaf;
            match phase {
                Phase::Ready => {
                    self.enter_phase(step, Phase::Waiting);
                    self.due.push(Reverse(step));
                }
                // An open container ends with what is inside it.
                Phase::Running if !leaf => {}
                Phase::Opening | Phase::Running | Phase::Closing => {
                    if self.steps[step.at()].stopping < Some(reason) {
                        self.count(step, |state| state.stopping = Some(reason));
                        self.moves.push_back(Move::Stop(step, reason));
                    }
                }
                Phase::Waiting | Phase::Settled(_) => {}
            }
        }
    }

    /// Nothing moves by itself any more: all that still runs is up and waits for
    /// what waits for its end, as in `until = "clean-up"`. First such waits are
    /// let go; if there are none the background steps end.
    pub(super) fn unblock(&mut self) -> bool {
        let up: Vec<StepIx> = self.up.iter().copied().collect();
        assert!(!up.is_empty(), "needs form no circle, so something can be decided");
        for &step in &up {
            if self.steps[step.at()].excused {
                continue;
            }
            self.steps[step.at()].excused = true;
            for dependent in self.wires[step.at()].needed_by.clone() {
                if self.wires[dependent.at()].when != When::Passed {
                    self.release(dependent);
                }
            }
            self.leave_scope_end(step);
        }
        if self.due.is_empty() {
            for step in up {
                let halt = &mut self.steps[step.at()].halt;
                *halt = Some(Halt::over(*halt, CancelReason::Until, CleanUp::Kept));
                self.stop_all(step.at()..self.wires[step.at()].end);
            }
        }
        !self.due.is_empty()
    }
}
