use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::attempt::quoting;
use super::dispatch::{Container, Dispatch};
use super::leaf::Asked;
use super::message::{End, Stopped};
use super::timer::Alarm;
use crate::event::{CancelReason, Class, EventKind, Failure, Outcome};
use crate::graph::{CleanUp, StepIx};
use crate::step::Memory;
use crate::text;

/// How long a list may take that a container's conditions are asked of.
const ASK: Duration = Duration::from_mins(10);

impl Dispatch<'_> {
    /// A container opens; what it requires is asked before anything inside starts.
    pub(super) fn open(&mut self, container: StepIx) {
        let unseen = self.open_windows(Some(container)).or_else(|| self.blind(container));
        let began = self.scribe.now();
        let written = self.say(EventKind::GroupStarted { step: self.id(container) });
        self.containers.insert(container, Container { began, ..Container::default() });
        if !written {
            return self.frontier.refused(container, Outcome::Cancelled);
        }
        let unit = Arc::clone(&self.units[container.at()]);
        self.outputs.began(&unit.id, began);
        if let Some(failure) = unseen {
            return self.refuse(container, failure);
        }
        if unit.require.is_none() {
            return self.opened(container);
        }
        let env = self.env(&unit.scope);
        let asked = Asked { require: unit.require.clone(), expect: None, verb: false };
        let task = self.send(container, env, ASK, 1, Memory::default(), asked);
        self.container(container).task = Some(task);
    }

    /// What is inside may start, and the container's time runs.
    fn opened(&mut self, container: StepIx) {
        let unit = Arc::clone(&self.units[container.at()]);
        match Self::timeout(&unit, &self.env(&unit.scope)) {
            Ok(Some(timeout)) => {
                let alarm = self.timers.set(Instant::now() + timeout, Alarm::Container(container));
                self.container(container).alarm = Some(alarm);
            }
            Ok(None) => {}
            Err(failure) => return self.refuse(container, failure),
        }
        self.frontier.opened(container);
    }

    fn refuse(&mut self, container: StepIx, failure: Failure) {
        let outcome = failure.class.outcome();
        self.container(container).failed = Some(failure);
        self.frontier.refused(container, outcome);
    }

    fn container(&mut self, container: StepIx) -> &mut Container {
        self.containers.entry(container).or_default()
    }

    /// A container's requirement was asked, or what is expected of it judged.
    pub(super) fn answered(&mut self, container: StepIx, end: End) {
        let state = self.container(container);
        state.task = None;
        let reason = state.stopping;
        let closing = self.frontier.is_closing(container);
        if let Some(failure) = self.container(container).failed.take().filter(|_| closing) {
            return self.finish(container, failure.class.outcome(), Some(failure));
        }
        match end {
            End::Done(_) if closing => self.finish(container, Outcome::Passed, None),
            End::Done(_) => self.opened(container),
            End::Failed(failure) if closing => self.finish(container, failure.class.outcome(), Some(failure)),
            End::Failed(failure) => self.refuse(container, failure),
            End::Stopped(Stopped::Failed(failure)) if closing => {
                self.finish(container, Outcome::Cancelled, Some(failure));
            }
            End::Stopped(_) => {
                let reason = reason.unwrap_or(CancelReason::SecondSignal);
                let failure = Failure::new(Class::Cancelled, format!("cut short: {reason}"));
                if closing {
                    self.finish(container, Outcome::Cancelled, Some(failure));
                } else {
                    self.refuse(container, failure);
                }
            }
        }
    }

    /// A container is to end before it opened, or while what is expected of it is judged.
    pub(super) fn stop_container(&mut self, container: StepIx, reason: CancelReason) {
        let state = self.container(container);
        state.stopping = state.stopping.max(Some(reason));
        match &mut state.task {
            Some((_, reins)) if reason != CancelReason::SecondSignal => reins.stop(reason),
            Some(_) => self.answered(container, End::Stopped(Stopped::Dropped)),
            None => {}
        }
    }

    /// All inside a container has settled.
    pub(super) fn close(&mut self, container: StepIx, outcome: Outcome, by: Option<StepIx>) {
        let alarm = self.container(container).alarm.take();
        self.timers.forget(alarm);
        if let Some(failure) = self.container(container).failed.take() {
            return self.finish(container, failure.class.outcome(), Some(failure));
        }
        let unit = Arc::clone(&self.units[container.at()]);
        if outcome != Outcome::Passed {
            let failure = self.failure_of(container, outcome, by);
            return self.finish(container, outcome, Some(failure));
        }
        let Some(expect) = unit.expect.clone().filter(|_| self.cancelled != Some(CancelReason::SecondSignal)) else {
            return self.finish(container, Outcome::Passed, None);
        };
        let env = self.env(&unit.scope);
        let asked = Asked { require: None, expect: Some(expect), verb: false };
        let task = self.send(container, env, ASK, 1, Memory::default(), asked);
        self.container(container).task = Some(task);
    }

    /// Why a container did not pass: the failure of the step that decided it.
    fn failure_of(&self, container: StepIx, outcome: Outcome, by: Option<StepIx>) -> Failure {
        let Some(step) = by.filter(|by| *by != container) else {
            let (class, message) = match outcome {
                Outcome::Inconclusive => (Class::Undecided, "not up yet when the step that it runs beside ended"),
                _ => (Class::Cancelled, "cut short: the step it runs beside has ended"),
            };
            return Failure::new(class, message);
        };
        let id = &self.units[step.at()].id;
        if let Some(failure) = self.failures.get(&step) {
            return Failure { message: format!("`{id}` {outcome}: {}", failure.message), ..failure.clone() };
        }
        let class = if outcome == Outcome::Cancelled { Class::Cancelled } else { Class::Undecided };
        Failure::new(class, format!("`{id}` did not run"))
    }

    /// A container settles, with its outputs if it passed.
    fn finish(&mut self, container: StepIx, outcome: Outcome, failure: Option<Failure>) {
        let unit = Arc::clone(&self.units[container.at()]);
        let outputs = match &unit.outputs {
            Some((form, scope)) if outcome == Outcome::Passed => form.eval(&self.env(scope)),
            Some(_) | None => Ok(Value::Object(Map::new())),
        };
        match outputs {
            Ok(Value::Object(outputs)) => self.settle(container, outcome, failure, outputs),
            Ok(_) => self.settle(container, outcome, failure, Map::new()),
            Err(error) => {
                let mut failure = Failure::new(Class::Broken, "its `[outputs]` have no value");
                failure.causes.push(error.to_string());
                self.settle(container, Outcome::Errored, Some(failure), Map::new());
            }
        }
    }

    /// A container's time is over: what runs inside ends, its clean-up still runs.
    pub(super) fn container_overdue(&mut self, container: StepIx) {
        let unit = Arc::clone(&self.units[container.at()]);
        let timeout = Self::timeout(&unit, &self.env(&unit.scope)).ok().flatten().unwrap_or_default();
        let message = format!("not done within {}", text::duration(timeout));
        let inside = self.graph.inside(container);
        let failure = self.naming(Failure::new(Class::Timeout, message), |step| inside.contains(&step.at()));
        let alarm = self.timers.set(Instant::now() + self.grace, Alarm::ContainerGrace(container));
        let state = self.container(container);
        (state.failed, state.alarm) = (Some(failure), Some(alarm));
        self.frontier.halt(container, CancelReason::Deadline, CleanUp::Kept);
    }

    pub(super) fn container_grace_over(&mut self, container: StepIx) {
        self.frontier.halt(container, CancelReason::Deadline, CleanUp::Dropped);
    }

    /// A timeout's failure with what still ran, and what each of them last said.
    pub(super) fn naming(&self, mut failure: Failure, counts: impl Fn(StepIx) -> bool) -> Failure {
        let mut names = Vec::new();
        for (step, running) in self.running.iter().filter(|(step, _)| counts(**step)) {
            if self.frontier.is_beside(*step) && running.up {
                continue;
            }
            let name = format!("`{}`", self.units[step.at()].id);
            let last = quoting(Failure::new(Class::Timeout, name.clone()), running.progress.as_ref());
            failure.observed.push(last.message);
            failure.observed.extend(last.observed.into_iter().map(|line| format!("  {line}")));
            names.push(name);
        }
        match names.len() {
            0 => {}
            1 => failure.message = format!("{}; {} was running", failure.message, names[0]),
            2..=4 => failure.message = format!("{}; {} were running", failure.message, text::and(&names)),
            more => failure.message = format!("{}; {} and {} more were running", failure.message, names[0], more - 1),
        }
        failure
    }
}
