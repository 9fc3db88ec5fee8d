use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tokio::sync::oneshot;

use crate::graph::StepIx;

/// Who may act: at most `--jobs` at once, in the order in which they asked.
#[derive(Debug)]
pub(super) struct Permits {
    free: usize,
    held: BTreeSet<StepIx>,
    /// Steps that have not started, in the order in which they became ready.
    starting: VecDeque<StepIx>,
    /// Steps that have, and are about to act (again).
    asking: BTreeMap<StepIx, oneshot::Sender<()>>,
}

impl Permits {
    pub(super) fn new(jobs: usize) -> Self {
        Self { free: jobs.max(1), held: BTreeSet::new(), starting: VecDeque::new(), asking: BTreeMap::new() }
    }

    /// A step would start as soon as there is a permit.
    pub(super) fn queue(&mut self, step: StepIx) {
        self.starting.push_back(step);
    }

    /// The next step that may start now, with its permit. `wanted` says whether it still may.
    pub(super) fn next_start(&mut self, wanted: impl Fn(StepIx) -> bool) -> Option<StepIx> {
        self.serve_asking();
        while self.free > 0 {
            let step = self.starting.pop_front()?;
            if wanted(step) {
                self.take(step);
                return Some(step);
            }
        }
        None
    }

    /// A running step is about to act.
    pub(super) fn ask(&mut self, step: StepIx, answer: oneshot::Sender<()>) {
        if self.held.contains(&step) {
            let _ = answer.send(());
            return;
        }
        self.asking.insert(step, answer);
        self.serve_asking();
    }

    /// A step acts no more.
    pub(super) fn release(&mut self, step: StepIx) {
        self.asking.remove(&step);
        if self.held.remove(&step) {
            self.free += 1;
        }
        self.serve_asking();
    }

    /// Those that run come before those that would start: they are further on.
    fn serve_asking(&mut self) {
        while self.free > 0 {
            let Some((step, answer)) = self.asking.pop_first() else { return };
            if answer.send(()).is_ok() {
                self.take(step);
            }
        }
    }

    fn take(&mut self, step: StepIx) {
        self.free -= 1;
        self.held.insert(step);
    }
}
