use super::state::Phase;
use super::{Frontier, Move};
use crate::graph::StepIx;
use crate::graph::wiring::Kind;

impl Frontier {
    /// A step is up: containers above may be too, and those that need it may start.
    pub(super) fn rise(&mut self, step: StepIx) {
        self.up.insert(step);
        let wire = &self.wires[step.at()];
        // Those that hold the step it runs beside wait for its end all the same.
        let beside = wire.beside.unwrap_or(0);
        let lifted = wire.reach.min((wire.depth - 1).saturating_sub(beside));
        let (background, leaf) = (wire.background, wire.kind == Kind::Leaf);
        self.steps[step.at()].lifted = lifted;
        let above: Vec<StepIx> = self.line(step).skip(1).take(lifted).collect();
        for &above in &above {
            let scope = &mut self.scopes[above.at() + 1];
            scope.blocks -= 1;
            scope.ups += usize::from(background);
        }
        // Inside a background part nobody can say until when a step runs: those
        // that need it there wait for its end.
        if background || (!leaf && self.scopes[step.at() + 1].ups > 0) {
            self.steps[step.at()].told = true;
            if !leaf {
                self.moves.push_back(Move::Up(step));
            }
            let in_repeat = self.is_in_repeat(step);
            for dependent in self.wires[step.at()].needed_by.clone() {
                if !self.wires[dependent.at()].waits_for_the_end(in_repeat) {
                    self.release(dependent);
                }
            }
        }
        for above in above {
            self.rise_if_up(above);
        }
    }

    /// A settled step holds no container above back; one that did not pass spoils them.
    pub(super) fn unlift(&mut self, step: StepIx) {
        let wire = &self.wires[step.at()];
        let (reach, background) = (wire.reach, wire.background);
        let state = &self.steps[step.at()];
        let (lifted, well) = (state.lifted, self.went_well(step));
        let above: Vec<StepIx> = self.line(step).skip(1).take(reach).collect();
        for (place, above) in above.iter().enumerate() {
            let scope = &mut self.scopes[above.at() + 1];
            if place < lifted {
                scope.ups -= usize::from(background);
            } else if well {
                scope.blocks -= 1;
            }
            scope.spoiled |= !well;
        }
        for above in above {
            self.rise_if_up(above);
        }
    }

    pub(super) fn rise_if_up(&mut self, container: StepIx) {
        let scope = &self.scopes[container.at() + 1];
        let state = &self.steps[container.at()];
        let beside = scope.ups > 0 || self.wires[container.at()].beside.is_some();
        let is_up = scope.blocks == 0 && scope.unsettled > 0 && !scope.spoiled && beside;
        if is_up && state.phase == Phase::Running && !state.up && self.halted(container).is_none() {
            self.count(container, |state| state.up = true);
            self.rise(container);
        }
    }
}
