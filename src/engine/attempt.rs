use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::hands::Hands;
use super::message::{Ended, Message, Stopped, Voice};
use crate::clock::Elapsed;
use crate::event::{CancelReason, Class, Failure, Progress};
use crate::graph::StepIx;
use crate::plan::{Conditions, Require, Verb};
use crate::step::{Done, Error, Said, StepContext};
use crate::text;

/// How long a verb that winds down may take for it.
const WIND_DOWN: Duration = Duration::from_secs(5);

/// One step with all its tries.
pub(super) struct Job {
    pub(super) step: StepIx,
    pub(super) verb: Arc<Verb>,
    pub(super) require: Option<Require>,
    pub(super) expect: Option<Conditions>,
    pub(super) attempts: u32,
    pub(super) delay: Duration,
    /// Whether it must ask before it acts.
    pub(super) permit: bool,
    pub(super) ctx: StepContext,
    pub(super) hands: Arc<dyn Hands>,
    pub(super) voice: Voice,
    pub(super) stop: Stopped,
}

impl Job {
    /// Tries until it is done, its tries are used up, or it is stopped.
    pub(super) async fn run(mut self) -> Ended {
        let mut number = 1;
        loop {
            self.ctx.attempt = number;
            self.ctx.deadline = Instant::now() + self.ctx.timeout;
            let failure = match self.attempt().await {
                Ok(done) => return Ended::Step(Ok(done)),
                Err(failure) => failure,
            };
            let again = number < self.attempts && !matches!(failure.class, Class::Cancelled | Class::Undecided);
            if !again {
                return Ended::Step(Err(failure));
            }
            self.say(Message::Rests(self.step));
            let delay = Elapsed::from(self.delay);
            self.say(Message::Failed { step: self.step, attempt: number, failure, delay });
            if let Some(reason) = self.rest().await {
                return Ended::Step(Err(stopped(reason)));
            }
            number += 1;
        }
    }

    /// Waits for the next try; a reason to stop comes first.
    async fn rest(&mut self) -> Option<CancelReason> {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            reason = reason(&mut stop) => Some(reason),
            () = sleep(self.delay) => None,
        }
    }

    /// One try: what is required, the verb, what is expected.
    async fn attempt(&mut self) -> Result<Done, Failure> {
        if let Some(require) = self.require.clone() {
            let hands = self.hands.clone();
            self.guarded(move |ctx| {
                Box::pin(async move { hands.require(&require, &ctx).await.map(|()| Done::default()) })
            })
            .await?;
        }
        if self.permit {
            self.permit().await?;
        }
        let (hands, verb) = (self.hands.clone(), self.verb.clone());
        // What was waited for before does not count as time to act.
        self.ctx.deadline = Instant::now() + self.ctx.timeout;
        let done = self.guarded(move |ctx| Box::pin(async move { hands.act(&verb, &ctx).await })).await?;
        if let Some(expect) = self.expect.clone() {
            let hands = self.hands.clone();
            self.guarded(move |ctx| {
                Box::pin(async move { hands.expect(&expect, &ctx).await.map(|()| Done::default()) })
            })
            .await?;
        }
        Ok(done)
    }

    async fn permit(&mut self) -> Result<(), Failure> {
        let (give, given) = oneshot::channel();
        self.say(Message::Wants(self.step, give));
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            reason = reason(&mut stop) => Err(stopped(reason)),
            given = given => given.map_err(|_| stopped(CancelReason::Deadline)),
        }
    }

    /// Runs some work within the attempt's time, forwarding what it says, and ends it when asked to.
    async fn guarded(
        &mut self,
        work: impl FnOnce(StepContext) -> BoxFuture<'static, Result<Done, Error>>,
    ) -> Result<Done, Failure> {
        let (voice, mut said) = mpsc::unbounded_channel();
        let mut work = work(StepContext { voice, ..self.ctx.clone() });
        let mut last: Option<Progress> = None;
        let mut up = false;
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                biased;
                Some(word) = said.recv() => self.pass_on(word, &mut last, &mut up),
                done = &mut work => {
                    while let Ok(word) = said.try_recv() {
                        self.pass_on(word, &mut last, &mut up);
                    }
                    return done.map_err(Failure::from);
                }
                reason = reason(&mut stop) => {
                    let ended = self.wind_down(work, reason).await;
                    while let Ok(word) = said.try_recv() {
                        self.pass_on(word, &mut last, &mut up);
                    }
                    return self.end(ended, reason, up, last.as_ref());
                }
                // What runs beside others has as long as they do, once it is up.
                () = sleep_until(self.ctx.deadline), if !up => {
                    let _ = self.wind_down(work, CancelReason::Deadline).await;
                    return Err(timed_out(&format!("not done within {}", text::duration(self.ctx.timeout)), last.as_ref()));
                }
            }
        }
    }

    fn pass_on(&self, word: Said, last: &mut Option<Progress>, up: &mut bool) {
        match &word {
            Said::Progress(progress) => *last = Some(progress.clone()),
            Said::Up => *up = true,
            Said::Note(_) => {}
        }
        self.say(Message::Said(self.step, word));
    }

    /// Lets a verb end what it holds, if it is of that kind and there is time for it.
    async fn wind_down(
        &self,
        work: BoxFuture<'static, Result<Done, Error>>,
        reason: CancelReason,
    ) -> Option<Result<Done, Error>> {
        self.ctx.cancel.cancel();
        if !self.verb.winds_down() || reason == CancelReason::SecondSignal {
            return None;
        }
        timeout(WIND_DOWN, work).await.ok()
    }

    /// How a stopped step went. What ran beside others and was up has done what it was for.
    fn end(
        &self,
        ended: Option<Result<Done, Error>>,
        reason: CancelReason,
        up: bool,
        last: Option<&Progress>,
    ) -> Result<Done, Failure> {
        match (reason, ended) {
            (CancelReason::Until, Some(ended)) if up => ended.map_err(Failure::from),
            (CancelReason::Until, None) if up => Ok(Done::default()),
            (CancelReason::Deadline, _) => Err(timed_out("the timeout above it was over", last)),
            (reason, _) => Err(stopped(reason)),
        }
    }

    fn say(&self, message: Message) {
        // The loop outlives its tasks; were it gone, nobody would read this.
        let _ = self.voice.send(message);
    }
}

/// Asks conditions for a container, which has no verb.
pub(super) async fn ask(work: BoxFuture<'static, Result<(), Error>>, mut stop: Stopped) -> Result<(), Failure> {
    tokio::select! {
        biased;
        done = work => done.map_err(Failure::from),
        reason = reason(&mut stop) => Err(stopped(reason)),
    }
}

/// Waits until the task is asked to end.
async fn reason(stop: &mut Stopped) -> CancelReason {
    let asked = stop.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
    match asked {
        Some(reason) => reason,
        // The loop has forgotten this task, which it does only when the run is over.
        None => std::future::pending().await,
    }
}

fn stopped(reason: CancelReason) -> Failure {
    match reason {
        CancelReason::Deadline => timed_out("the timeout above it was over", None),
        reason => Failure::new(Class::Cancelled, reason.to_string()),
    }
}

/// A timeout that quotes what was last known to be missing.
fn timed_out(said: &str, last: Option<&Progress>) -> Failure {
    let mut failure = Failure::new(Class::Timeout, said);
    if let Some(last) = last {
        failure.message = format!("{said}; last seen: {}", last.say);
        failure.observed.clone_from(&last.unmet);
    }
    failure
}
