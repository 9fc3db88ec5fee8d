mod decide;
mod halt;
mod rise;
mod settle;
mod state;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use self::state::{Halt, Phase, Scope, Step};
use super::wiring::{EndOfScope, Kind, Wire, wire};
use super::{Graph, Rules, StepIx};
use crate::event::{CancelReason, Outcome, SkipReason, Verdict, When};
use crate::id::{CheckId, StepId};

/// What may start now, what a result unlocks or skips, when containers open and
/// settle, and when background steps end. A value: it acts on nothing.
///
/// Whoever runs the plan takes moves with [`Frontier::next_move`] until there is none,
/// and tells what became of them. The work for one step does not grow with the plan.
#[derive(Clone, Debug)]
pub struct Frontier {
    ids: Vec<StepId>,
    wires: Vec<Wire>,
    steps: Vec<Step>,
    /// The plan's own scope first, then one for each step, used by containers.
    scopes: Vec<Scope>,
    /// Waiting steps whose needs have all been met or settled.
    due: BinaryHeap<Reverse<StepIx>>,
    moves: VecDeque<Move>,
    /// Steps that may start: said last, so that equals start in file order.
    ready: BinaryHeap<Reverse<StepIx>>,
    halt: Option<Halt>,
    /// Steps that are up and have not settled.
    up: BTreeSet<StepIx>,
    /// Steps that will say something without being told to: without them nothing would ever happen.
    active: usize,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// A container may open: answer with `opened`, `refused` or `postpone`.
    Open(StepIx),
    /// A step may start as soon as a permit is free: answer with `started`, later `settled`,
    /// or with `postpone`.
    Start(StepIx),
    /// A container is up through what runs inside it: steps that need it may start.
    Up(StepIx),
    /// A step settled without having started.
    Skip(StepIx, SkipReason),
    /// A running step, or one about to open or close, is to end early: answer with `settled`
    /// (`refused` for a container that has not opened).
    Stop(StepIx, CancelReason),
    /// All inside a container has settled: answer with `settled`.
    Close {
        /// The container.
        step: StepIx,
        /// The worst outcome inside.
        outcome: Outcome,
        /// The step inside, at any depth, that decided it.
        by: Option<StepIx>,
    },
}

/// Whether clean-up still runs when something is ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CleanUp {
    /// Not any more; what runs of it is stopped too.
    Dropped,
    /// It runs once its needs have settled.
    Kept,
}

impl Frontier {
    /// A plan of which nothing has started.
    ///
    /// # Panics
    /// If steps need each other in a circle: a checked plan has none.
    pub fn new(graph: &Graph, rules: &Rules) -> Self {
        assert!(graph.cycles().is_empty(), "a checked plan has no steps that need each other");
        let wires = wire(graph, rules);
        let steps = graph.all().map(|step| Step::waiting(step, &wires)).collect();
        let mut scopes = vec![Scope::of(graph.children(None), &wires)];
        scopes.extend(wires.iter().map(|wire| Scope::of(&wire.children, &wires)));
        for (place, wire) in wires.iter().enumerate() {
            for above in graph.above(StepIx::new(place)).take(wire.reach) {
                scopes[above.at() + 1].blocks += 1;
            }
        }
        let mut frontier = Self {
            ids: graph.all().map(|step| graph.node(step).id.clone()).collect(),
            wires,
            steps,
            scopes,
            due: BinaryHeap::new(),
            moves: VecDeque::new(),
            ready: BinaryHeap::new(),
            halt: None,
            up: BTreeSet::new(),
            active: 0,
        };
        frontier.enter(None, graph.children(None));
        frontier.work();
        frontier
    }

    /// The next thing to do, if there is one now.
    ///
    /// Steps that may start come last and in file order; what is no longer wanted
    /// when its turn comes is left out.
    pub fn next_move(&mut self) -> Option<Move> {
        while let Some(next) = self.moves.pop_front() {
            let phase = |step: StepIx| self.steps[step.at()].phase;
            let wanted = match &next {
                Move::Open(step) => phase(*step) == Phase::Ready,
                Move::Stop(step, _) => {
                    matches!(phase(*step), Phase::Opening | Phase::Running | Phase::Closing)
                }
                Move::Up(_) | Move::Start(_) | Move::Skip(..) | Move::Close { .. } => true,
            };
            if !wanted {
                continue;
            }
            if let Move::Open(container) = next {
                self.enter_phase(container, Phase::Opening);
            }
            return Some(next);
        }
        while let Some(Reverse(step)) = self.ready.pop() {
            if self.may_start(step) {
                return Some(Move::Start(step));
            }
        }
        None
    }

    /// Whether a step that `Start` named may still start: the run may have been cancelled since.
    pub fn may_start(&self, step: StepIx) -> bool {
        self.steps[step.at()].phase == Phase::Ready
    }

    /// Whether everything has settled.
    pub fn is_over(&self) -> bool {
        self.scopes[0].unsettled == 0
    }

    /// The worst that happened so far, clean-up apart, and the step that decided it.
    pub fn verdict(&self) -> (Verdict, Option<StepIx>) {
        (self.scopes[0].worst, self.scopes[0].by)
    }

    /// How a step went, once it has settled.
    pub fn outcome(&self, step: StepIx) -> Option<Outcome> {
        match self.steps[step.at()].phase {
            Phase::Settled(outcome) => Some(outcome),
            Phase::Waiting | Phase::Ready | Phase::Opening | Phase::Running | Phase::Closing => None,
        }
    }

    /// Whether it runs beside others, by itself or because a container it is in does.
    pub fn is_beside(&self, step: StepIx) -> bool {
        self.wires[step.at()].beside.is_some()
    }

    /// Whether it is a background step itself.
    pub fn is_background(&self, step: StepIx) -> bool {
        self.wires[step.at()].background
    }

    /// Whether everything in a container has settled, and it has not.
    pub fn is_closing(&self, container: StepIx) -> bool {
        self.steps[container.at()].phase == Phase::Closing
    }

    /// Whether everything but clean-up has settled.
    pub fn is_work_done(&self) -> bool {
        let settled = |step: StepIx| matches!(self.steps[step.at()].phase, Phase::Settled(_));
        let mut all = (0..self.steps.len()).map(StepIx::new);
        // A container waits for the clean-up inside it.
        all.all(|step| settled(step) || self.wires[step.at()].kind != Kind::Leaf || self.is_cleanup(step))
    }

    /// Whether it is clean-up, by itself or because a container it is in is.
    pub fn is_cleanup(&self, step: StepIx) -> bool {
        self.line(step).any(|at| self.wires[at.at()].when != When::Passed)
    }

    /// What `Start` or `Open` named can't begin yet. It counts as not begun, so that a halt
    /// skips it; `resume` names it again.
    pub fn postpone(&mut self, step: StepIx) {
        if self.steps[step.at()].phase == Phase::Opening {
            self.enter_phase(step, Phase::Ready);
        }
    }

    /// What was postponed may begin, if nothing has come between.
    pub fn resume(&mut self, step: StepIx) {
        if self.steps[step.at()].phase != Phase::Ready {
            return;
        }
        match self.wires[step.at()].kind {
            Kind::Leaf => self.ready.push(Reverse(step)),
            Kind::Group | Kind::Repeat { .. } | Kind::Cells => self.moves.push_back(Move::Open(step)),
        }
    }

    /// A check over this round was violated: where `stop-on-failure` is set no round follows it.
    /// The round's own outcome stays what its steps make it.
    pub fn violated(&mut self, round: StepIx, check: &CheckId) {
        self.steps[round.at()].violated.get_or_insert_with(|| check.clone());
    }

    /// A step acts now.
    pub fn started(&mut self, step: StepIx) {
        self.enter_phase(step, Phase::Running);
    }

    /// A container's requirements hold: what is inside may start.
    pub fn opened(&mut self, container: StepIx) {
        self.enter_phase(container, Phase::Running);
        let children = self.wires[container.at()].children.clone();
        self.enter(Some(container), &children);
        self.work();
    }

    /// A container can't open: nothing inside starts. A `Close` with this outcome follows.
    pub fn refused(&mut self, container: StepIx, outcome: Outcome) {
        let reason = SkipReason::Group { step: self.ids[container.at()].clone() };
        self.skip_inside(container, &reason);
        self.enter_phase(container, Phase::Closing);
        self.moves.push_back(Move::Close { step: container, outcome, by: Some(container) });
    }

    /// A background step is up: what needs it may start. Says whether that is news.
    pub fn up(&mut self, step: StepIx) -> bool {
        let state = &self.steps[step.at()];
        let news = state.phase == Phase::Running && !state.up && state.stopping.is_none();
        if !news || self.wires[step.at()].beside.is_none() {
            return false;
        }
        self.count(step, |state| state.up = true);
        self.rise(step);
        self.work();
        true
    }

    /// A step, or a container that was to close, has settled.
    pub fn settled(&mut self, step: StepIx, outcome: Outcome) {
        let cut = outcome == Outcome::Cancelled
            && self.steps[step.at()].halt.is_none()
            && self.halted(step) == Some(CancelReason::Until);
        let state = &mut self.steps[step.at()];
        state.cut |= cut;
        state.worth = outcome.verdict();
        if self.wires[step.at()].kind == Kind::Leaf || self.scopes[step.at() + 1].worst != state.worth {
            state.by = step;
        } else if let Some(by) = self.scopes[step.at() + 1].by {
            state.by = by;
        }
        self.settle(step, outcome);
        self.work();
    }

    /// Everything inside a container, and itself, is to end early.
    pub fn halt(&mut self, step: StepIx, reason: CancelReason, clean_up: CleanUp) {
        let halt = &mut self.steps[step.at()].halt;
        *halt = Some(Halt::over(*halt, reason, clean_up));
        self.stop_all(step.at()..self.wires[step.at()].end);
        self.work();
    }

    /// The whole run is to end early.
    pub fn cancel(&mut self, reason: CancelReason, clean_up: CleanUp) {
        self.halt = Some(Halt::over(self.halt, reason, clean_up));
        self.stop_all(0..self.steps.len());
        self.work();
    }
}

impl Frontier {
    /// A step and the containers it is in, the nearest first.
    fn line(&self, step: StepIx) -> impl Iterator<Item = StepIx> + '_ {
        std::iter::successors(Some(step), |at| self.wires[at.at()].parent)
    }

    fn scope_of(&mut self, step: StepIx) -> &mut Scope {
        let parent = self.wires[step.at()].parent;
        &mut self.scopes[parent.map_or(0, |parent| parent.at() + 1)]
    }

    /// Changes a step and keeps count of those that will speak up by themselves.
    fn count(&mut self, step: StepIx, change: impl FnOnce(&mut Step)) {
        let leaf = self.wires[step.at()].kind == Kind::Leaf;
        let state = &mut self.steps[step.at()];
        let before = state.is_active(leaf);
        change(state);
        let after = state.is_active(leaf);
        self.active = self.active + usize::from(after) - usize::from(before);
    }

    fn enter_phase(&mut self, step: StepIx, phase: Phase) {
        self.count(step, |state| state.phase = phase);
    }

    /// A scope begins: what waits for nothing in it is due.
    fn enter(&mut self, container: Option<StepIx>, children: &[StepIx]) {
        let due = children.iter().filter(|child| self.steps[child.at()].waits == 0);
        self.due.extend(due.copied().map(Reverse));
        if self.scopes[container.map_or(0, |container| container.at() + 1)].before_end == 0 {
            self.end_scope(container);
        }
        self.close_if_done(container);
    }

    /// All that the clean-up at a scope's end waits for has settled.
    fn end_scope(&mut self, container: Option<StepIx>) {
        let children = match container {
            Some(container) => self.wires[container.at()].children.clone(),
            None => {
                (0..self.steps.len()).map(StepIx::new).filter(|step| self.wires[step.at()].parent.is_none()).collect()
            }
        };
        for child in children {
            if self.wires[child.at()].end_of_scope == EndOfScope::At {
                self.release(child);
            }
        }
    }

    /// One thing less to wait for.
    fn release(&mut self, step: StepIx) {
        let state = &mut self.steps[step.at()];
        state.waits -= 1;
        let open = self.wires[step.at()].parent.is_none_or(|parent| self.steps[parent.at()].phase == Phase::Running);
        if self.steps[step.at()].waits == 0 && open {
            self.due.push(Reverse(step));
        }
    }

    /// Decides whatever is due, in file order, until nothing is.
    fn work(&mut self) {
        loop {
            while let Some(Reverse(step)) = self.due.pop() {
                if self.steps[step.at()].phase == Phase::Waiting {
                    self.decide(step);
                }
            }
            if self.active > 0 || self.is_over() || !self.unblock() {
                return;
            }
        }
    }

    /// One step less that the end of its scope waits for.
    fn leave_scope_end(&mut self, step: StepIx) {
        if self.wires[step.at()].end_of_scope == EndOfScope::Before {
            let scope = self.scope_of(step);
            scope.before_end -= 1;
            if scope.before_end == 0 {
                self.end_scope(self.wires[step.at()].parent);
            }
        }
    }
}
