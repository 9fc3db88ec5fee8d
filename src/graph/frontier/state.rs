use super::CleanUp;
use crate::event::{CancelReason, Outcome, SkipReason, Verdict};
use crate::graph::StepIx;
use crate::graph::wiring::{EndOfScope, Wire};
use crate::id::CheckId;

/// Where a step stands.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "four facts that do not exclude each other")]
pub(super) struct Step {
    pub(super) phase: Phase,
    /// Needs that are still to be met, and one for the end of the scope.
    pub(super) waits: usize,
    /// It is up, or was.
    pub(super) up: bool,
    /// Steps that need only its being up have been told.
    pub(super) told: bool,
    /// It counts as settled for those that wait for its end, since all else waits for them.
    pub(super) excused: bool,
    pub(super) halt: Option<Halt>,
    pub(super) stopping: Option<CancelReason>,
    /// It was cut by the end of the step it ran beside: that says nothing about it.
    pub(super) cut: bool,
    /// What its settling makes of those above it.
    pub(super) worth: Verdict,
    /// The step that decided its outcome.
    pub(super) by: StepIx,
    /// The choice that left out the step it was to run beside.
    pub(super) unneeded: Option<SkipReason>,
    /// The round whose failure ended the rounds.
    pub(super) failed_round: Option<StepIx>,
    /// A check over this round, or over an earlier one that ended the rounds, was violated.
    pub(super) violated: Option<CheckId>,
    /// How many containers above no longer wait for it before they are up.
    pub(super) lifted: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Waiting,
    /// It may start or open.
    Ready,
    /// A container was told to open.
    Opening,
    /// A step acts; a container is open.
    Running,
    /// All inside has settled.
    Closing,
    Settled(Outcome),
}

/// The inside of a container, or the plan.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) unsettled: usize,
    /// Steps that the end of the scope still waits for.
    pub(super) before_end: usize,
    /// Whether one of them failed, errored or was inconclusive.
    pub(super) bad: bool,
    pub(super) worst: Verdict,
    pub(super) by: Option<StepIx>,
    /// Something inside was cut by the end of what it ran beside.
    pub(super) cut: bool,
    /// How many steps inside, at any depth, must still pass or be up before the container is up.
    pub(super) blocks: usize,
    /// How many background steps inside are up and not settled.
    pub(super) ups: usize,
    /// Something inside did not pass: it can't be up any more.
    pub(super) spoiled: bool,
}

/// That something is to end early, and what is spared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Halt {
    pub(super) reason: CancelReason,
    pub(super) clean_up: CleanUp,
}

impl Step {
    pub(super) fn waiting(step: StepIx, wires: &[Wire]) -> Self {
        let wire = &wires[step.at()];
        let at_end = wire.end_of_scope == EndOfScope::At;
        Self {
            phase: Phase::Waiting,
            waits: wire.needs.len() + usize::from(at_end),
            up: false,
            told: false,
            excused: false,
            halt: None,
            stopping: None,
            cut: false,
            worth: Verdict::Pass,
            by: step,
            unneeded: None,
            failed_round: None,
            violated: None,
            lifted: 0,
        }
    }

    /// Whether something will be heard of it without anything else happening.
    pub(super) fn is_active(&self, leaf: bool) -> bool {
        match self.phase {
            Phase::Waiting | Phase::Settled(_) => false,
            Phase::Ready | Phase::Opening | Phase::Closing => true,
            Phase::Running => leaf && (!self.up || self.stopping.is_some()),
        }
    }
}

impl Scope {
    pub(super) fn of(children: &[StepIx], wires: &[Wire]) -> Self {
        let before_end = |child: &&StepIx| wires[child.at()].end_of_scope == EndOfScope::Before;
        Self {
            unsettled: children.len(),
            before_end: children.iter().filter(before_end).count(),
            bad: false,
            worst: Verdict::Pass,
            by: None,
            cut: false,
            blocks: 0,
            ups: 0,
            spoiled: false,
        }
    }
}

impl Halt {
    /// A halt on top of an earlier one: the more urgent reason stands, and clean-up that was
    /// dropped stays so.
    pub(super) fn over(earlier: Option<Self>, reason: CancelReason, clean_up: CleanUp) -> Self {
        Self {
            reason: earlier.map_or(reason, |earlier| earlier.reason.max(reason)),
            clean_up: earlier.map_or(clean_up, |earlier| earlier.clean_up.min(clean_up)),
        }
    }
}
