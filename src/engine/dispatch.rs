use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::{self, Job};
use super::deadlines::{Deadlines, Due};
use super::hands::{Hands, Real};
use super::message::{Ended, Message, Stop, Voice};
use super::order::Order;
use super::outputs::Outputs;
use super::permits::Permits;
use crate::clock::{Clock, Elapsed};
use crate::cluster::Cluster;
use crate::event::{CancelReason, Class, Event, EventKind, Failure, Mask, Outcome, Sink, SkipReason, Verdict};
use crate::graph::{CleanUp, Frontier, Graph, Move, Rules, StepIx};
use crate::plan::{Body, LeftOut, Plan, Setting, Span, Step};
use crate::record::Recorder;
use crate::step::{Done, Memory, RunFacts, Said, StepContext};

/// Most time for one attempt, if the plan says nothing.
const ATTEMPT: Duration = Duration::from_secs(600);

/// Runs a plan to its end, telling the sink each fact before it is acted on.
pub async fn run(order: Order, sink: &mut dyn Sink) -> Verdict {
    run_with(order, sink, Arc::new(Real)).await
}

pub(super) async fn run_with(order: Order, sink: &mut dyn Sink, hands: Arc<dyn Hands>) -> Verdict {
    let Order { plan, start, cluster, run, mask, fail_fast, grace, known, mut signals } = order;
    let clock = cluster.clock();
    let graph = Graph::new(&start.steps);
    let steps = plan.walk();
    let frontier = Frontier::new(&graph, &rules(&graph, &steps));
    let (voice, mut messages) = mpsc::unbounded_channel();
    let mut dispatch = Dispatch {
        story: Story { sink, mask, clock, seq: 0, lost: None },
        frontier,
        graph,
        permits: Permits::new(start.jobs),
        deadlines: Deadlines::default(),
        outputs: Outputs::new(&run, clock, known),
        recorder: Recorder::new(cluster.client().ok(), plan.selections.clone()),
        running: BTreeMap::new(),
        tasks: JoinSet::new(),
        task_of: HashMap::new(),
        began: BTreeMap::new(),
        failures: BTreeMap::new(),
        cancelled: None,
        steps,
        cluster,
        run: Arc::new(run),
        hands,
        voice,
        fail_fast,
        grace,
    };
    dispatch.deadlines.set(Instant::now() + plan.timeout, Due::Plan);
    dispatch.say(EventKind::RunStarted(Box::new(start)));
    loop {
        dispatch.advance();
        if dispatch.frontier.is_over() {
            break;
        }
        tokio::select! {
            biased;
            Some(by) = signals.recv() => dispatch.signal(by),
            Some(message) = messages.recv() => dispatch.hear(message),
            Some(ended) = dispatch.tasks.join_next_with_id(), if !dispatch.tasks.is_empty() => dispatch.ended(ended),
            due = dispatch.deadlines.next() => dispatch.due(due, &plan),
        }
    }
    dispatch.finish().await
}

/// What the plan says about steps beyond its graph.
fn rules(graph: &Graph, steps: &[&Step]) -> Rules {
    let mut rules = Rules::default();
    for (ix, step) in graph.all().zip(steps) {
        let reason = match (&step.left_out, &step.body) {
            (Some(LeftOut::If(expression)), _) => Some(SkipReason::If { expression: expression.clone() }),
            (Some(LeftOut::Flag(flag)), _) => Some(SkipReason::Flag { flag: flag.clone() }),
            (None, Body::Cells { cells }) if cells.is_empty() => Some(SkipReason::NoCells),
            (None, _) => None,
        };
        if let Some(reason) = reason {
            rules.left_out.insert(ix, reason);
        }
        if matches!(step.body, Body::Repeat { stop_on_failure: true, .. }) {
            rules.stop_on_failure.insert(ix);
        }
    }
    rules
}

/// The loop's own state. Nobody else has a part of it.
struct Dispatch<'a> {
    story: Story<'a>,
    frontier: Frontier,
    graph: Graph,
    permits: Permits,
    deadlines: Deadlines,
    outputs: Outputs,
    recorder: Recorder,
    /// How each running task is asked to end.
    running: BTreeMap<StepIx, Stop>,
    tasks: JoinSet<Ended>,
    task_of: HashMap<Id, StepIx>,
    /// When each step or container started.
    began: BTreeMap<StepIx, Elapsed>,
    /// Why steps did not pass; containers quote the one that decided them.
    failures: BTreeMap<StepIx, Failure>,
    cancelled: Option<CancelReason>,
    steps: Vec<&'a Step>,
    cluster: Arc<dyn Cluster>,
    run: Arc<RunFacts>,
    hands: Arc<dyn Hands>,
    voice: Voice,
    fail_fast: bool,
    grace: Duration,
}

impl Dispatch<'_> {
    /// Does all that can be done now.
    fn advance(&mut self) {
        loop {
            while let Some(next) = self.frontier.next_move() {
                self.make(next);
            }
            let frontier = &self.frontier;
            match self.permits.next_start(|step| frontier.may_start(step)) {
                Some(step) => self.start(step),
                None => return,
            }
        }
    }

    fn make(&mut self, next: Move) {
        match next {
            Move::Start(step) if self.needs_permit_first(step) => self.permits.queue(step),
            Move::Start(step) => self.start(step),
            Move::Open(container) => self.open(container),
            Move::Up(container) => self.say_of(container, |step| EventKind::StepUp { step }),
            Move::Skip(step, reason) => self.say_of(step, |step| EventKind::StepSkipped { step, reason }),
            Move::Stop(step, reason) => {
                if let Some(stop) = self.running.get(&step) {
                    // A task that has just ended does not listen any more.
                    stop.send_if_modified(|asked| {
                        let news = *asked < Some(reason);
                        *asked = (*asked).max(Some(reason));
                        news
                    });
                }
            }
            Move::Close { step, outcome, by } => self.close(step, outcome, by),
        }
    }

    /// Steps that only wait hold none; those that first wait for what they require ask later.
    fn needs_permit_first(&self, step: StepIx) -> bool {
        let step = self.steps[step.at()];
        matches!(&step.body, Body::Verb(verb) if verb.holds_permit()) && step.require.is_none()
    }

    /// A verb may act now.
    fn start(&mut self, ix: StepIx) {
        let step = self.steps[ix.at()];
        let Body::Verb(verb) = &step.body else { unreachable!("only leaves are started") };
        self.frontier.started(ix);
        self.began.insert(ix, self.story.clock.elapsed());
        self.say_of(ix, |step| EventKind::StepStarted { step });
        let job = self.context(ix, step).and_then(|ctx| {
            let (attempts, delay) = match &step.retry {
                Some(retry) => {
                    (retry.attempts.get(), retry.delay.get(&ctx.env).map_err(crate::step::Error::setting)?.0)
                }
                None => (1, Duration::ZERO),
            };
            Ok((attempts, delay, ctx))
        });
        let (stop, stopped) = watch::channel(None);
        let job = match job {
            Ok((attempts, delay, ctx)) => Job {
                step: ix,
                verb: verb.clone(),
                require: step.require.clone(),
                expect: step.expect.clone(),
                attempts,
                delay,
                permit: verb.holds_permit(),
                ctx,
                hands: self.hands.clone(),
                voice: self.voice.clone(),
                stop: stopped,
            },
            Err(error) => {
                self.settle(ix, Err(Failure::from(error)));
                return;
            }
        };
        self.running.insert(ix, stop);
        let task = self.tasks.spawn(job.run());
        self.task_of.insert(task.id(), ix);
    }

    /// A container's needs have settled: what it requires is asked, then it opens.
    fn open(&mut self, ix: StepIx) {
        let step = self.steps[ix.at()];
        self.began.insert(ix, self.story.clock.elapsed());
        self.say_of(ix, |step| EventKind::GroupStarted { step });
        let Some(require) = step.require.clone() else { return self.opened(ix, Ok(())) };
        match self.context(ix, step) {
            Err(error) => self.opened(ix, Err(Failure::from(error))),
            Ok(ctx) => {
                let hands = self.hands.clone();
                let work = Box::pin(async move { hands.require(&require, &ctx).await });
                self.ask(ix, work, Ended::Opened);
            }
        }
    }

    fn opened(&mut self, ix: StepIx, asked: Result<(), Failure>) {
        match asked {
            Ok(()) => {
                let step = self.steps[ix.at()];
                if let Some(timeout) = &step.timeout
                    && let Some(span) = self.span(timeout, step)
                {
                    self.deadlines.set(Instant::now() + span, Due::Container(ix));
                }
                self.frontier.opened(ix);
            }
            Err(failure) => {
                let outcome = failure.class.outcome();
                self.failures.insert(ix, failure);
                self.frontier.refused(ix, outcome);
            }
        }
    }

    /// All inside a container has settled.
    fn close(&mut self, ix: StepIx, outcome: Outcome, by: Option<StepIx>) {
        self.deadlines.forget(ix);
        let step = self.steps[ix.at()];
        if outcome != Outcome::Passed {
            let failure = by.and_then(|by| self.failures.get(&by).cloned());
            self.settle_container(ix, outcome, failure);
            return;
        }
        let Some(expect) = step.expect.clone() else { return self.closed(ix, Ok(())) };
        match self.context(ix, step) {
            Err(error) => self.closed(ix, Err(Failure::from(error))),
            Ok(ctx) => {
                let hands = self.hands.clone();
                let work = Box::pin(async move { hands.expect(&expect, &ctx).await });
                self.ask(ix, work, Ended::Closed);
            }
        }
    }

    fn closed(&mut self, ix: StepIx, asked: Result<(), Failure>) {
        match asked {
            Ok(()) => self.settle_container(ix, Outcome::Passed, None),
            Err(failure) => self.settle_container(ix, failure.class.outcome(), Some(failure)),
        }
    }

    /// Conditions of a container are asked beside the loop.
    fn ask(
        &mut self,
        ix: StepIx,
        work: futures::future::BoxFuture<'static, Result<(), crate::step::Error>>,
        ended: fn(Result<(), Failure>) -> Ended,
    ) {
        let (stop, stopped) = watch::channel(None);
        self.running.insert(ix, stop);
        let task = self.tasks.spawn(async move { ended(attempt::ask(work, stopped).await) });
        self.task_of.insert(task.id(), ix);
    }

    /// A container has settled; a part's outputs are what it declares.
    fn settle_container(&mut self, ix: StepIx, outcome: Outcome, failure: Option<Failure>) {
        let step = self.steps[ix.at()];
        let mut outcome = outcome;
        let mut failure = failure;
        let mut left = serde_json::Map::new();
        if let (Outcome::Passed, Body::Group { outputs: Some((form, scope)), .. }) = (outcome, &step.body) {
            match form.eval(&self.outputs.env(scope)) {
                Ok(value) => left = value.as_object().cloned().unwrap_or_default(),
                Err(error) => {
                    let told =
                        crate::step::Error::from_source(Class::Broken, "an output of this part has no value", error);
                    let told = Failure::from(told);
                    outcome = told.class.outcome();
                    failure = Some(told);
                }
            }
        }
        self.over(ix, outcome, failure, left);
    }

    /// A step has settled.
    fn settle(&mut self, ix: StepIx, result: Result<Done, Failure>) {
        self.permits.release(ix);
        match result {
            Ok(done) => self.over(ix, Outcome::Passed, None, done.outputs),
            Err(failure) => self.over(ix, failure.class.outcome(), Some(failure), serde_json::Map::new()),
        }
    }

    /// What every end has in common: it is kept, said, and then acted on.
    fn over(
        &mut self,
        ix: StepIx,
        outcome: Outcome,
        failure: Option<Failure>,
        outputs: serde_json::Map<String, serde_json::Value>,
    ) {
        self.running.remove(&ix);
        let now = self.story.clock.elapsed();
        let began = self.began.get(&ix).copied().unwrap_or(now);
        self.outputs.keep(&self.steps[ix.at()].id, &outputs, began, now);
        if let Some(failure) = &failure {
            self.failures.insert(ix, failure.clone());
        }
        self.say_of(ix, |step| EventKind::StepFinished { step, outcome, failure, outputs });
        self.frontier.settled(ix, outcome);
        let failed = matches!(outcome, Outcome::Failed | Outcome::Errored);
        if self.fail_fast && failed && !self.frontier.is_cleanup(ix) && self.cancelled.is_none() {
            self.cancel(CancelReason::FailFast, CleanUp::Kept);
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Said(ix, Said::Note(note)) => self.say_of(ix, |step| EventKind::StepNoted { step, note }),
            Message::Said(ix, Said::Progress(progress)) => {
                self.say_of(ix, |step| EventKind::StepProgressed { step, progress })
            }
            Message::Said(ix, Said::Up) => {
                if self.frontier.is_beside(ix) && self.steps[ix.at()].until.is_some() {
                    self.permits.release(ix);
                }
                if self.frontier.up(ix) {
                    self.say_of(ix, |step| EventKind::StepUp { step });
                }
            }
            Message::Wants(ix, answer) => self.permits.ask(ix, answer),
            Message::Rests(ix) => self.permits.release(ix),
            Message::Failed { step: ix, attempt, failure, delay } => {
                self.say_of(ix, |step| EventKind::AttemptFailed { step, attempt, failure, delay });
            }
        }
    }

    fn ended(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let ix = self.task_of.remove(&id).expect("every task is written down when it is started");
        match ended {
            Ok((_, Ended::Step(result))) => self.settle(ix, result),
            Ok((_, Ended::Opened(asked))) => {
                self.running.remove(&ix);
                self.opened(ix, asked);
            }
            Ok((_, Ended::Closed(asked))) => self.closed(ix, asked),
            Err(error) => {
                let said =
                    format!("this is a bug in lariat, not in the plan: the step's task ended by itself ({error})");
                let failure = Failure::new(Class::Broken, said);
                // A container that panics while it opens has nothing inside that runs.
                if matches!(self.steps[ix.at()].body, Body::Verb(_)) {
                    self.settle(ix, Err(failure))
                } else {
                    self.opened(ix, Err(failure))
                }
            }
        }
    }

    fn signal(&mut self, by: CancelReason) {
        if by == CancelReason::SecondSignal {
            self.cancel(by, CleanUp::Dropped);
            return;
        }
        self.cancel(by, CleanUp::Kept);
        self.deadlines.set(Instant::now() + self.grace, Due::Grace);
    }

    fn due(&mut self, due: Due, plan: &Plan) {
        match due {
            Due::Container(ix) => {
                let step = &self.steps[ix.at()].id;
                self.warn(format!("the timeout of `{step}` is over: what runs in it is ended"));
                self.frontier.halt(ix, CancelReason::Deadline, CleanUp::Kept);
            }
            Due::Plan => {
                self.warn(format!("the plan's timeout of {} is over", crate::text::duration(plan.timeout)));
                self.cancel(CancelReason::Deadline, CleanUp::Kept);
            }
            Due::Grace => {
                self.warn(format!("clean-up did not end within {}", crate::text::duration(self.grace)));
                let by = self.cancelled.unwrap_or(CancelReason::Interrupt);
                self.cancel(by, CleanUp::Dropped);
            }
        }
    }

    fn cancel(&mut self, by: CancelReason, clean_up: CleanUp) {
        if self.cancelled < Some(by) {
            self.cancelled = Some(by);
            self.say(EventKind::CancelRequested { by });
        }
        self.frontier.cancel(by, clean_up);
    }

    /// The last word.
    async fn finish(mut self) -> Verdict {
        self.tasks.shutdown().await;
        let (verdict, by) = self.frontier.verdict();
        let (verdict, reason) = match (&self.story.lost, by) {
            (Some(lost), _) => (Verdict::Error, format!("the story could not be written to its end: {lost}")),
            (None, Some(by)) if verdict != Verdict::Pass => {
                let step = &self.steps[by.at()].id;
                let why =
                    self.failures.get(&by).map_or_else(|| verdict.word().to_owned(), |failure| failure.message.clone());
                (verdict, format!("`{step}`: {why}"))
            }
            (None, _) => {
                match self.cancelled.filter(|by| by.is_signal() && verdict == Verdict::Pass && !self.all_ran()) {
                    // Nothing that ran was cut short, but not everything ran.
                    Some(by) => (Verdict::Cancelled, by.to_string()),
                    None => (verdict, "every step did its work".to_owned()),
                }
            }
        };
        self.say(EventKind::RunFinished { verdict, reason });
        if self.story.lost.is_some() { Verdict::Error } else { verdict }
    }

    /// Whether the cancelling kept no step from running.
    fn all_ran(&self) -> bool {
        self.graph.all().all(|ix| {
            let skipped = self.frontier.outcome(ix) == Some(Outcome::Skipped);
            !skipped || self.chosen(ix) || self.frontier.is_cleanup(ix)
        })
    }

    /// Whether somebody chose to leave a step out, or something it is in.
    fn chosen(&self, ix: StepIx) -> bool {
        std::iter::once(ix).chain(self.graph.above(ix)).any(|at| {
            let step = self.steps[at.at()];
            step.left_out.is_some() || matches!(&step.body, Body::Cells { cells } if cells.is_empty())
        })
    }

    /// All that a step's verb may know.
    fn context(&self, ix: StepIx, step: &Step) -> Result<StepContext, crate::step::Error> {
        let env = self.outputs.env(&step.scope);
        let timeout = match &step.timeout {
            Some(timeout) => timeout.get(&env).map_err(crate::step::Error::setting)?.0,
            None => ATTEMPT,
        };
        Ok(StepContext {
            id: step.id.clone(),
            attempt: 1,
            env,
            scope: step.scope.clone(),
            cluster: self.cluster.clone(),
            recorder: self.recorder.clone(),
            run: self.run.clone(),
            deadline: Instant::now() + timeout,
            timeout,
            background: self.frontier.is_beside(ix) && step.until.is_some(),
            cancel: CancellationToken::new(),
            memory: Memory::default(),
            voice: mpsc::unbounded_channel().0,
        })
    }

    fn span(&mut self, timeout: &Setting<Span>, step: &Step) -> Option<Duration> {
        match timeout.get(&self.outputs.env(&step.scope)) {
            Ok(span) => Some(span.0),
            Err(error) => {
                self.warn(format!("the timeout of `{}` has no value and is left out: {error}", step.id));
                None
            }
        }
    }

    fn warn(&mut self, message: String) {
        self.say(EventKind::Warned { message });
    }

    fn say_of(&mut self, ix: StepIx, kind: impl FnOnce(crate::id::StepId) -> EventKind) {
        let id = self.steps[ix.at()].id.clone();
        self.say(kind(id));
    }

    fn say(&mut self, kind: EventKind) {
        let first = self.story.lost.is_none();
        self.story.tell(kind);
        if first && self.story.lost.is_some() {
            // A run that leaves no record is not continued; what it made is cleaned up.
            self.cancelled = self.cancelled.max(Some(CancelReason::JournalLost));
            self.frontier.cancel(CancelReason::JournalLost, CleanUp::Kept);
        }
    }
}

/// Makes events of facts. The only place that does.
struct Story<'a> {
    sink: &'a mut dyn Sink,
    mask: Mask,
    clock: Clock,
    seq: u64,
    /// Why the stream could not be kept.
    lost: Option<String>,
}

impl Story<'_> {
    fn tell(&mut self, kind: EventKind) {
        let event = self.mask.event(Event { seq: self.seq, at: self.clock.elapsed(), kind });
        match self.sink.put(&event) {
            Ok(()) => self.seq += 1,
            Err(error) => {
                self.lost.get_or_insert(error.0);
            }
        }
    }
}
