use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Order;
use super::act::Actor;
use super::court::{Judge, Lookout, Station};
use super::message::{End, Message, News, Post, Reins};
use super::scribe::Scribe;
use super::timer::{Alarm, Set, Timers};
use super::unit::{Unit, take_apart};
use super::window::Windows;
use crate::check::Outputs;
use crate::clock::Elapsed;
use crate::cluster::{Cluster, Strike};
use crate::event::{CancelReason, Class, EventKind, Failure, Progress, RunStart, SkipReason, Verdict};
use crate::expr::{Env, Shared};
use crate::graph::{Frontier, Graph, Move, StepIx};
use crate::id::CheckId;
use crate::plan::Scope;
use crate::record::{Fact, Recorder, Tape};
use crate::step::{Memory, RunFacts, Said};

/// How many messages are taken in before the clock is looked at all the same.
const FLOOD: usize = 256;

/// The one loop that owns a run's state. What others know they know by message.
pub(super) struct Dispatch<'s> {
    pub(super) units: Vec<Arc<Unit>>,
    pub(super) graph: Graph,
    pub(super) frontier: Frontier,
    pub(super) scribe: Scribe<'s>,
    pub(super) outputs: Outputs,
    pub(super) timers: Timers,
    /// When the time for clean-up is over.
    pub(super) grace_ends: Option<Set>,
    pub(super) actor: Arc<dyn Actor>,
    pub(super) judge: Box<dyn Judge>,
    pub(super) lookout: Arc<dyn Lookout>,
    pub(super) windows: Windows,
    /// The plan's own steps, clean-up apart: with them ends the work.
    pub(super) top: Vec<StepIx>,
    pub(super) cluster: Arc<dyn Cluster>,
    pub(super) recorder: Recorder,
    pub(super) facts: Arc<RunFacts>,
    /// The facts as expressions name them.
    pub(super) run: Shared,
    pub(super) plan_timeout: Duration,
    pub(super) grace: Duration,
    pub(super) fail_fast: bool,
    pub(super) jobs: usize,
    /// How many permits are held.
    pub(super) acting: usize,
    /// Steps that wait for a permit, in file order.
    pub(super) queue: BTreeSet<StepIx>,
    pub(super) running: BTreeMap<StepIx, Running>,
    pub(super) containers: BTreeMap<StepIx, Container>,
    /// Why steps did not pass.
    pub(super) failures: BTreeMap<StepIx, Failure>,
    pub(super) cancelled: Option<CancelReason>,
    /// The plan's time was over.
    pub(super) overdue: Option<Failure>,
    pub(super) tasks: JoinSet<()>,
    /// Which step a task is of: asked only if it panicked.
    pub(super) owners: BTreeMap<Id, (StepIx, u64)>,
    pub(super) next_task: u64,
    pub(super) to_loop: mpsc::UnboundedSender<Post>,
    inbox: mpsc::UnboundedReceiver<Post>,
    /// How many messages were taken in without a look at the clock.
    in_a_row: usize,
    signals: Option<mpsc::UnboundedReceiver<CancelReason>>,
    /// What injected faults do.
    strikes: Option<mpsc::UnboundedReceiver<Strike>>,
    /// Injected faults that have not struck.
    unmet: Vec<String>,
    start: Option<RunStart>,
    /// Checks that somebody chose to leave out.
    left_out: Vec<(CheckId, SkipReason)>,
}

/// What the loop acts and sees through. Tests put scripts in their places.
pub(super) struct Parts {
    pub(super) actor: Arc<dyn Actor>,
    pub(super) judge: Box<dyn Judge>,
    pub(super) lookout: Station,
}

/// A step that has started and not settled.
pub(super) struct Running {
    pub(super) began: Elapsed,
    /// Which try runs, or comes next, from 1.
    pub(super) attempt: u32,
    /// The task that runs it; none between two tries.
    pub(super) task: Option<(u64, Reins)>,
    pub(super) memory: Memory,
    pub(super) holds_permit: bool,
    pub(super) up: bool,
    pub(super) stopping: Option<CancelReason>,
    pub(super) progress: Option<Progress>,
    /// Why the try before failed.
    pub(super) failed: Option<Failure>,
    /// When the next one comes.
    pub(super) retry: Option<Set>,
}

/// A container that has started and not settled.
#[derive(Default)]
pub(super) struct Container {
    pub(super) began: Elapsed,
    /// The task that asks its requirement, or judges what is expected of it.
    pub(super) task: Option<(u64, Reins)>,
    pub(super) progress: Option<Progress>,
    pub(super) stopping: Option<CancelReason>,
    /// When its time, or that of its clean-up, is over.
    pub(super) alarm: Option<Set>,
    /// Why it does not pass, whatever is inside.
    pub(super) failed: Option<Failure>,
}

impl<'s> Dispatch<'s> {
    pub(super) fn new(order: Order, parts: Parts, sink: &'s mut dyn crate::event::Sink) -> Self {
        let Order { plan, start, cluster, fail_fast, grace, mask, run, known, signals } = order;
        let (units, graph, rules) = take_apart(&plan, &start.steps);
        let frontier = Frontier::new(&graph, &rules);
        let clock = cluster.clock();
        let strikes = cluster.strikes();
        let (to_loop, inbox) = mpsc::unbounded_channel();
        let to_tape = to_loop.clone();
        let tape = Tape::new(move |fact| {
            // A loop that has left records nothing any more.
            let _ = to_tape.send(Post::Recorded(fact));
        });
        let Parts { actor, judge, lookout } = parts;
        let (windows, left_out) = Windows::new(&plan.checks, &graph, &*judge);
        let zero = clock.counted_from(start.started);
        let recorder = Recorder::new(cluster.client().ok(), plan.selections, tape.clone(), zero);
        let top = graph.children(None).iter().copied().filter(|&step| !graph.is_cleanup(step)).collect();
        let facts = run.facts();
        Self {
            units,
            graph,
            frontier,
            scribe: Scribe::new(sink, mask, clock, &start),
            outputs: Outputs::new(start.started, known),
            timers: Timers::default(),
            grace_ends: None,
            actor,
            judge,
            lookout: lookout(&recorder, &tape),
            windows,
            top,
            recorder,
            cluster,
            facts: Arc::new(run),
            run: Shared::from(facts),
            plan_timeout: plan.timeout,
            grace,
            fail_fast,
            jobs: start.jobs.max(1),
            acting: 0,
            queue: BTreeSet::new(),
            running: BTreeMap::new(),
            containers: BTreeMap::new(),
            failures: BTreeMap::new(),
            cancelled: None,
            overdue: None,
            tasks: JoinSet::new(),
            owners: BTreeMap::new(),
            next_task: 0,
            to_loop,
            inbox,
            in_a_row: 0,
            signals: Some(signals),
            strikes,
            unmet: start.faults.clone(),
            start: Some(start),
            left_out,
        }
    }

    /// Runs the plan.
    pub(super) async fn run(mut self) -> Verdict {
        let start = self.start.take().expect("a run starts once");
        self.say(EventKind::RunStarted(Box::new(start)));
        for (check, reason) in std::mem::take(&mut self.left_out) {
            self.say(EventKind::CheckSkipped { check, reason });
        }
        self.timers.set(Instant::now() + self.plan_timeout, Alarm::Plan);
        self.keep_watch();
        if self.is_armed(None) {
            self.open_windows(None);
        }
        loop {
            self.follow();
            if self.frontier.is_over() && self.windows.are_over() {
                break;
            }
            self.listen().await;
        }
        self.finish_recording().await;
        self.say_unmet();
        let (verdict, reason) = self.conclude();
        let told = self.scribe.say_last(EventKind::RunFinished { verdict, reason });
        // What was told to end has ended or is dropped here; nothing of a run outlives it.
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        // A run whose end is not on record is not a pass, whatever happened.
        if told { verdict } else { Verdict::Error }
    }

    /// Does all that can be done now.
    fn follow(&mut self) {
        loop {
            if self.scribe.lost().is_some() {
                self.cancel(CancelReason::JournalLost);
            }
            if self.cluster.mistake().is_some() {
                self.cancel(CancelReason::Mistaken);
            }
            self.attend_to_checks();
            if self.windows.hold_the_run() {
                return;
            }
            if let Some(next) = self.frontier.next_move() {
                self.make(next);
            } else if !self.give_permit() {
                return;
            }
        }
    }

    fn make(&mut self, next: Move) {
        match next {
            Move::Open(step) | Move::Start(step) if self.windows.hold_what_is_next() => {
                self.frontier.postpone(step);
                self.windows.postponed.insert(step);
            }
            Move::Open(step) | Move::Start(step) if !self.is_armed(Some(step)) => self.frontier.postpone(step),
            Move::Open(container) => self.open(container),
            Move::Start(step) => {
                let unit = &self.units[step.at()];
                if unit.holds_permit() && !unit.waits() {
                    self.queue.insert(step);
                } else {
                    self.begin(step);
                }
            }
            Move::Up(container) => {
                let step = self.id(container);
                self.say(EventKind::StepUp { step });
            }
            Move::Skip(step, reason) => {
                self.queue.remove(&step);
                let id = self.id(step);
                self.outputs.skipped(&id);
                self.say(EventKind::StepSkipped { step: id, reason: reason.clone() });
                self.never_opens(step, &reason);
                self.close_without(step, &reason);
            }
            Move::Stop(step, reason) => self.stop(step, reason),
            Move::Close { step, outcome, by } => self.close(step, outcome, by),
        }
    }

    /// Lets the first of those that wait act, if a permit is free.
    fn give_permit(&mut self) -> bool {
        if self.acting >= self.jobs || self.windows.hold_what_is_next() {
            return false;
        }
        let Some(step) = self.queue.pop_first() else {
            return false;
        };
        if self.running.contains_key(&step) {
            self.attempt(step);
        } else {
            self.begin(step);
        }
        true
    }

    /// Waits for the next thing to happen, and takes it in.
    async fn listen(&mut self) {
        let now = self.scribe.now();
        let deadline = self.judge.deadline();
        let due = deadline.map(|deadline| Instant::now() + deadline.since(now).duration());
        let alarm = self.timers.next().into_iter().chain(due).min();
        tokio::select! {
            biased;
            signal = hear(&mut self.signals) => self.signalled(signal),
            Some(post) = self.inbox.recv() => {
                self.receive(post);
                self.in_a_row += 1;
            }
            strike = hear(&mut self.strikes) => self.struck(strike),
            Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => self.ended(ended),
            () = ring(alarm) => self.look_at_the_clock(),
        }
        // What watches bring may come without a pause: deadlines hold all the same.
        if self.in_a_row >= FLOOD {
            while let Some(ended) = self.tasks.try_join_next_with_id() {
                self.ended(ended);
            }
            self.look_at_the_clock();
        }
    }

    /// Does what is due by now.
    fn look_at_the_clock(&mut self) {
        self.in_a_row = 0;
        while let Some(alarm) = self.timers.take(Instant::now()) {
            self.rang(alarm);
        }
        let now = self.scribe.now();
        if self.judge.deadline().is_some_and(|deadline| deadline <= now) {
            for fact in self.judge.pass(now) {
                self.say(fact);
            }
        }
    }

    fn receive(&mut self, post: Post) {
        match post {
            Post::Task(message) => self.take(message),
            Post::Recorded(Fact { kind, held }) => {
                self.say(kind);
                drop(held);
            }
            Post::Live { opener, query, live } => self.live(opener, query, live),
            Post::Listed { number, query, listed } => self.listed(number, &query, listed),
        }
    }

    /// Says a fact, and what checks make of it. `true` means that it is written and may be
    /// acted on.
    pub(super) fn say(&mut self, kind: EventKind) -> bool {
        let Some(event) = self.scribe.say(kind) else { return false };
        if let EventKind::CheckViolated { check, .. } = &event.kind
            && let Some(check) = self.windows.find(check).filter(|&check| self.windows.get(check).judge.is_fail())
        {
            self.violated(check);
        }
        for fact in self.judge.take(&event) {
            self.say(fact);
        }
        true
    }

    /// Every watch that is still open makes its closing list and ends, unless somebody wants to leave at once.
    async fn finish_recording(&mut self) {
        let mut done = std::pin::pin!(self.recorder.finish());
        loop {
            if self.scribe.lost().is_some() || self.cancelled >= Some(CancelReason::SecondSignal) {
                return;
            }
            tokio::select! {
                biased;
                signal = hear(&mut self.signals) => self.signalled(signal),
                Some(post) = self.inbox.recv() => self.receive(post),
                () = &mut done => break,
            }
        }
        while let Ok(post) = self.inbox.try_recv() {
            self.receive(post);
        }
    }

    fn struck(&mut self, Strike { fault, what }: Strike) {
        self.unmet.retain(|unmet| *unmet != fault);
        self.say(EventKind::FaultStruck { fault, what });
    }

    /// A fault that met nothing proves nothing, and whoever asked for it has to know.
    fn say_unmet(&mut self) {
        while let Some(Ok(strike)) = self.strikes.as_mut().map(mpsc::UnboundedReceiver::try_recv) {
            self.struck(strike);
        }
        for fault in std::mem::take(&mut self.unmet) {
            let message = format!("the fault `{fault}` was injected and met nothing");
            self.say(EventKind::Warned { message });
        }
    }

    fn take(&mut self, Message { step, task, news }: Message) {
        let current = self.task_of(step).is_some_and(|(current, _)| *current == task);
        if !current {
            return;
        }
        match news {
            News::Said(said) => self.hear(step, said),
            News::Acting => self.acts(step),
            News::Ended(end) if self.graph.is_leaf(step) => self.attempt_ended(step, end),
            News::Ended(end) => self.answered(step, end),
        }
    }

    /// The task of a step that runs, or of a container that asks or judges.
    fn task_of(&mut self, step: StepIx) -> Option<&mut (u64, Reins)> {
        let task = match self.running.get_mut(&step) {
            Some(running) => &mut running.task,
            None => &mut self.containers.get_mut(&step)?.task,
        };
        task.as_mut()
    }

    fn hear(&mut self, step: StepIx, said: Said) {
        let id = self.id(step);
        match said {
            Said::Note(note) => {
                self.say(EventKind::StepNoted { step: id, note });
            }
            Said::Progress(progress) => {
                let seen = match self.running.get_mut(&step) {
                    Some(running) => &mut running.progress,
                    None => &mut self.containers.entry(step).or_default().progress,
                };
                if seen.as_ref() != Some(&progress) {
                    *seen = Some(progress.clone());
                    self.say(EventKind::StepProgressed { step: id, progress });
                }
            }
            Said::Up => self.came_up(step),
        }
    }

    /// A task is gone. One that panicked has not said how it ended.
    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let (id, panic) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), error.try_into_panic().ok()),
        };
        let Some((step, task)) = self.owners.remove(&id) else { return };
        let Some(panic) = panic else { return };
        let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
        let message =
            format!("a bug in Lariat: the step panicked: {}", said.as_deref().unwrap_or("it did not say why"));
        let end = End::Failed(Failure::new(Class::Broken, message));
        self.take(Message { step, task, news: News::Ended(end) });
    }

    fn rang(&mut self, alarm: Alarm) {
        match alarm {
            Alarm::Retry(step) => self.try_again(step),
            Alarm::Container(container) => self.container_overdue(container),
            Alarm::ContainerGrace(container) => self.container_grace_over(container),
            Alarm::Arming(opener) => self.arming_overdue(opener),
            Alarm::Lists(number) => self.lists_over(number),
            Alarm::Judgement(check) => self.judgement_overdue(check),
            Alarm::Plan => self.plan_overdue(),
            Alarm::Grace => self.grace_over(),
        }
    }

    pub(super) fn id(&self, step: StepIx) -> crate::id::StepId {
        self.units[step.at()].id.clone()
    }

    /// What names mean in a scope now.
    pub(super) fn env(&self, scope: &Scope) -> Env {
        scope.env(&self.run, &|step| self.outputs.get(step))
    }
}

/// The next signal or strike; never, once nobody can send one.
async fn hear<T>(words: &mut Option<mpsc::UnboundedReceiver<T>>) -> T {
    if let Some(receiver) = words {
        if let Some(word) = receiver.recv().await {
            return word;
        }
        *words = None;
    }
    std::future::pending().await
}

async fn ring(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
