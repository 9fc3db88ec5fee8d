use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::{Attempt, WIND_DOWN, quoting};
use super::dispatch::{Dispatch, Running};
use super::message::{End, Reins, Stopped, line};
use super::timer::Alarm;
use super::unit::Unit;
use crate::clock::Elapsed;
use crate::event::{CancelReason, Class, EventKind, Failure, Outcome};
use crate::expr::Env;
use crate::graph::StepIx;
use crate::plan::{Conditions, Require};
use crate::step::{self, Memory, StepContext};
use crate::text;

/// For one attempt, if the plan does not say.
const TIMEOUT: Duration = Duration::from_mins(10);

impl Dispatch<'_> {
    /// A step starts: said first, then done.
    pub(super) fn begin(&mut self, step: StepIx) {
        if !self.frontier.may_start(step) {
            return;
        }
        let unseen = self.open_windows(Some(step)).or_else(|| self.blind(step));
        let began = self.scribe.now();
        let written = self.say(EventKind::StepStarted { step: self.id(step) });
        self.frontier.started(step);
        self.running.insert(step, Running::since(began));
        if !written {
            // It must not act: nobody would ever know that it did.
            self.settle(step, Outcome::Cancelled, None, Map::new());
            return;
        }
        self.outputs.began(&self.units[step.at()].id, began);
        if let Some(failure) = unseen {
            return self.settle(step, failure.class.outcome(), Some(failure), Map::new());
        }
        self.attempt(step);
    }

    /// Why a step of the work must not act: checks over the whole run can't see.
    pub(super) fn blind(&self, step: StepIx) -> Option<Failure> {
        self.windows.unarmed.clone().filter(|_| !self.frontier.is_cleanup(step))
    }

    /// One try begins.
    pub(super) fn attempt(&mut self, step: StepIx) {
        let unit = Arc::clone(&self.units[step.at()]);
        let env = self.env(&unit.scope);
        let timeout = match Self::timeout(&unit, &env) {
            Ok(timeout) => timeout.unwrap_or(TIMEOUT),
            Err(failure) => return self.attempt_ended(step, End::Failed(failure)),
        };
        let waits = unit.waits();
        let running = self.running.get_mut(&step).expect("a try is of a step that has started");
        let (attempt, memory) = (running.attempt, running.memory.clone());
        running.holds_permit = unit.holds_permit() && !waits;
        self.acting += usize::from(running.holds_permit);
        let asked = Asked { require: unit.require.clone(), expect: unit.expect.clone(), verb: true };
        let task = self.send(step, env, timeout, attempt, memory, asked);
        self.running.get_mut(&step).expect("it was there").task = Some(task);
    }

    /// What a step's timeout says.
    pub(super) fn timeout(unit: &Unit, env: &Env) -> Result<Option<Duration>, Failure> {
        let span = unit.timeout.as_ref().map(|timeout| timeout.get(env)).transpose();
        match span {
            Ok(span) => Ok(span.map(|span| span.0)),
            Err(error) => Err(step::Error::setting(error).into()),
        }
    }

    /// Sends a task on its way.
    pub(super) fn send(
        &mut self,
        step: StepIx,
        env: Env,
        timeout: Duration,
        attempt: u32,
        memory: Memory,
        asked: Asked,
    ) -> (u64, Reins) {
        let unit = Arc::clone(&self.units[step.at()]);
        self.next_task += 1;
        let task = self.next_task;
        let cancel = CancellationToken::new();
        let (reins, line, voice) = line(step, task, &self.to_loop, cancel.clone());
        // A wrong `within` is told by the requirement itself.
        let within = asked.require.as_ref().and_then(|require| require.within.as_ref()?.get(&env).ok());
        let ctx = StepContext {
            id: unit.id.clone(),
            attempt,
            env,
            scope: Arc::clone(&unit.scope),
            cluster: Arc::clone(&self.cluster),
            recorder: self.recorder.clone(),
            run: Arc::clone(&self.facts),
            deadline: Instant::now() + timeout,
            timeout,
            background: asked.verb && self.frontier.is_beside(step),
            cancel,
            memory,
            voice,
        };
        let attempt = Attempt {
            actor: Arc::clone(&self.actor),
            ctx,
            line,
            require: asked.require,
            within: within.map(|span| span.0),
            verb: unit.verb.clone().filter(|_| asked.verb),
            expect: asked.expect,
        };
        let handle = self.tasks.spawn(attempt.run());
        self.owners.insert(handle.id(), (step, task));
        (task, reins)
    }

    /// The requirement of a step holds: it acts at once, even if all permits are held.
    pub(super) fn acts(&mut self, step: StepIx) {
        let holds = self.units[step.at()].holds_permit();
        if let Some(running) = self.running.get_mut(&step)
            && holds
            && !running.holds_permit
        {
            running.holds_permit = true;
            self.acting += 1;
        }
    }

    /// A step that runs beside others is up.
    pub(super) fn came_up(&mut self, step: StepIx) {
        if !self.frontier.is_beside(step) {
            return;
        }
        let Some(running) = self.running.get_mut(&step) else { return };
        running.up = true;
        self.release_permit(step);
        if self.frontier.up(step) {
            self.say(EventKind::StepUp { step: self.id(step) });
        }
    }

    fn release_permit(&mut self, step: StepIx) {
        if let Some(running) = self.running.get_mut(&step)
            && std::mem::take(&mut running.holds_permit)
        {
            self.acting -= 1;
        }
    }

    /// A try is over: the step settles, or is tried again.
    pub(super) fn attempt_ended(&mut self, step: StepIx, end: End) {
        self.release_permit(step);
        let Some(running) = self.running.get_mut(&step) else { return };
        running.task = None;
        let stopping = running.stopping;
        match (end, stopping) {
            (End::Done(done), _) => self.settle(step, Outcome::Passed, None, done.outputs),
            (End::Failed(failure), None) => self.failed(step, failure),
            (End::Failed(failure), Some(CancelReason::Until)) => {
                self.settle(step, failure.class.outcome(), Some(failure), Map::new());
            }
            (End::Failed(failure), Some(reason)) => self.cut(step, reason, Some(failure)),
            (End::Stopped(stopped), Some(CancelReason::Until)) => self.ended_beside(step, stopped),
            (End::Stopped(Stopped::Done(done)), Some(_)) if !self.frontier.is_beside(step) => {
                self.settle(step, Outcome::Passed, None, done.outputs);
            }
            (End::Stopped(stopped), reason) => {
                let failure = match stopped {
                    Stopped::Failed(failure) => Some(failure),
                    Stopped::Late => Some(late()),
                    Stopped::Dropped | Stopped::Done(_) => None,
                };
                self.cut(step, reason.unwrap_or(CancelReason::SecondSignal), failure);
            }
        }
    }

    /// A try failed by itself: the next one follows if the plan has one left.
    fn failed(&mut self, step: StepIx, failure: Failure) {
        let unit = Arc::clone(&self.units[step.at()]);
        let running = self.running.get_mut(&step).expect("what failed was running");
        let again = match failure.class {
            // Nothing was done, and `within` is there for waiting.
            Class::Undecided | Class::Cancelled => None,
            Class::Unmet
            | Class::Timeout
            | Class::Refused
            | Class::Unreachable
            | Class::Forbidden
            | Class::Missing
            | Class::Broken => unit.retry.as_ref().filter(|retry| running.attempt < retry.attempts.get()),
        };
        let Some(retry) = again else {
            return self.settle(step, failure.class.outcome(), Some(failure), Map::new());
        };
        let attempt = running.attempt;
        running.attempt += 1;
        running.failed = Some(failure.clone());
        running.progress = None;
        let delay = match retry.delay.get(&self.env(&unit.scope)) {
            Ok(delay) => delay.0,
            Err(error) => {
                let failure = Failure::from(step::Error::setting(error));
                return self.settle(step, failure.class.outcome(), Some(failure), Map::new());
            }
        };
        let said = EventKind::AttemptFailed { step: unit.id.clone(), attempt, failure, delay: Elapsed::from(delay) };
        self.say(said);
        let retry = self.timers.set(Instant::now() + delay, Alarm::Retry(step));
        self.running.get_mut(&step).expect("it was running").retry = Some(retry);
    }

    /// The time between two tries is over.
    pub(super) fn try_again(&mut self, step: StepIx) {
        let unit = &self.units[step.at()];
        if unit.holds_permit() && !unit.waits() {
            self.queue.insert(step);
        } else {
            self.attempt(step);
        }
    }

    /// A step or container is to end early.
    pub(super) fn stop(&mut self, step: StepIx, reason: CancelReason) {
        if self.containers.contains_key(&step) {
            return self.stop_container(step, reason);
        }
        let Some(running) = self.running.get_mut(&step) else { return };
        running.stopping = running.stopping.max(Some(reason));
        if reason == CancelReason::SecondSignal {
            return self.cut(step, reason, None);
        }
        if let Some((_, reins)) = &mut running.task {
            return reins.stop(reason);
        }
        // Between two tries.
        let (failure, retry) = (running.failed.take(), running.retry.take());
        self.queue.remove(&step);
        self.timers.forget(retry);
        match failure {
            Some(failure) if reason == CancelReason::Until => {
                self.settle(step, failure.class.outcome(), Some(failure), Map::new());
            }
            failure => self.cut(step, reason, failure),
        }
    }

    /// A background step ended because the step it runs beside has.
    fn ended_beside(&mut self, step: StepIx, stopped: Stopped) {
        let running = &self.running[&step];
        let until = self.units[step.at()].until.as_ref().map_or(String::new(), |until| format!("`{until}` "));
        if !running.up {
            if !self.frontier.is_background(step) {
                return self.cut(step, CancelReason::Until, None);
            }
            let message = format!("not up yet when the step {until}that it runs beside ended");
            let failure = quoting(Failure::new(Class::Undecided, message), running.progress.as_ref());
            return self.settle(step, Outcome::Inconclusive, Some(failure), Map::new());
        }
        match stopped {
            Stopped::Dropped => self.settle(step, Outcome::Passed, None, Map::new()),
            Stopped::Done(done) => self.settle(step, Outcome::Passed, None, done.outputs),
            Stopped::Failed(failure) if failure.class == Class::Cancelled => {
                self.settle(step, Outcome::Passed, None, Map::new());
            }
            Stopped::Failed(failure) => self.settle(step, failure.class.outcome(), Some(failure), Map::new()),
            Stopped::Late => self.settle(step, Outcome::Errored, Some(late()), Map::new()),
        }
    }

    /// A step was cut short.
    fn cut(&mut self, step: StepIx, reason: CancelReason, below: Option<Failure>) {
        let progress = self.running.get(&step).and_then(|running| running.progress.as_ref());
        let mut failure = quoting(Failure::new(Class::Cancelled, format!("cut short: {reason}")), progress);
        if let Some(below) = below.filter(|below| below.class != Class::Cancelled) {
            failure.causes.push(below.message);
            failure.causes.extend(below.causes);
        }
        self.settle(step, Outcome::Cancelled, Some(failure), Map::new());
    }

    /// A step has settled: said, kept for later steps, and the frontier goes on from it.
    pub(super) fn settle(
        &mut self,
        step: StepIx,
        outcome: Outcome,
        failure: Option<Failure>,
        outputs: Map<String, Value>,
    ) {
        self.release_permit(step);
        self.queue.remove(&step);
        let began = match self.running.remove(&step) {
            Some(running) => running.began,
            None => self.containers.remove(&step).map_or(Elapsed::default(), |container| container.began),
        };
        let ended = self.scribe.now();
        self.outputs.settled(&self.units[step.at()].id, began, ended, &outputs);
        if let Some(failure) = &failure {
            self.failures.insert(step, failure.clone());
        }
        self.say(EventKind::StepFinished { step: self.id(step), outcome, failure, outputs });
        self.close_with(step, outcome);
        let bad = matches!(outcome, Outcome::Failed | Outcome::Errored | Outcome::Inconclusive);
        if self.fail_fast && bad && self.cancelled.is_none() && !self.frontier.is_cleanup(step) {
            self.cancel(CancelReason::FailFast);
        }
    }
}

/// What a task is to do.
pub(super) struct Asked {
    pub(super) require: Option<Require>,
    pub(super) expect: Option<Conditions>,
    /// Whether it acts, or only asks for a container.
    pub(super) verb: bool,
}

impl Running {
    fn since(began: Elapsed) -> Self {
        Self {
            began,
            attempt: 1,
            task: None,
            memory: Memory::default(),
            holds_permit: false,
            up: false,
            stopping: None,
            progress: None,
            failed: None,
            retry: None,
        }
    }
}

fn late() -> Failure {
    let message = format!("did not end within {} of being asked to, and was dropped", text::duration(WIND_DOWN));
    Failure::new(Class::Broken, message)
}
