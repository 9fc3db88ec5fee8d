use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::act::Actor;
use super::message::{End, Line, News, Stopped};
use crate::event::{CancelReason, Class, Failure, Progress};
use crate::plan::{Conditions, Require, Verb};
use crate::step::{self, Done, Said, StepContext};
use crate::text;

/// How long a verb that winds down may take for it.
pub(super) const WIND_DOWN: Duration = Duration::from_secs(5);

/// One try of one step, or what a container asks before its first step or after its last.
pub(super) struct Attempt {
    pub(super) actor: Arc<dyn Actor>,
    pub(super) ctx: StepContext,
    pub(super) line: Line,
    pub(super) require: Option<Require>,
    /// How long the requirement may take; none if it must hold at once.
    pub(super) within: Option<Duration>,
    pub(super) verb: Option<Arc<Verb>>,
    pub(super) expect: Option<Conditions>,
}

impl Attempt {
    /// Runs it to its end and tells the loop.
    pub(super) async fn run(self) {
        let Self { actor, ctx, line, require, within, verb, expect } = self;
        let mut watch = Watch { line, background: ctx.background, up: false, told: false, seen: None };
        let end = watch.whole(&*actor, ctx, require.as_ref(), within, verb.as_deref(), expect.as_ref()).await;
        watch.line.tell(News::Ended(end));
    }
}

/// Stands beside a future: passes on what it says, ends it in time or when told.
struct Watch {
    line: Line,
    background: bool,
    up: bool,
    /// It was told to stop: the order comes once.
    told: bool,
    /// What was last said to be missing: a timeout quotes it.
    seen: Option<Progress>,
}

/// How a watched future ended.
enum Watched<T> {
    Ended(Result<T, step::Error>),
    OutOfTime,
    Stopped(CancelReason, WoundUp<T>),
}

enum WoundUp<T> {
    Dropped,
    Ended(Result<T, step::Error>),
    Late,
}

/// What is done with a future that is to end early.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parting {
    Drop,
    WindDown,
}

impl Watch {
    async fn whole(
        &mut self,
        actor: &dyn Actor,
        mut ctx: StepContext,
        require: Option<&Require>,
        within: Option<Duration>,
        verb: Option<&Verb>,
        expect: Option<&Conditions>,
    ) -> End {
        if let Some(require) = require {
            ctx.deadline = Instant::now() + within.unwrap_or_default() + ctx.timeout;
            match self.beside(actor.require(require, &ctx), ctx.deadline, Parting::Drop).await {
                Watched::Ended(Ok(())) => self.line.tell(News::Acting),
                Watched::Ended(Err(error)) => return End::Failed(error.into()),
                Watched::OutOfTime => return End::Failed(self.undecided(ctx.timeout)),
                Watched::Stopped(..) => return End::Stopped(Stopped::Dropped),
            }
        }
        ctx.deadline = Instant::now() + ctx.timeout;
        let mut stopped = None;
        let mut done = Done::default();
        if let Some(verb) = verb {
            let parting = if verb.winds_down() { Parting::WindDown } else { Parting::Drop };
            match self.beside(actor.act(verb, &ctx), ctx.deadline, parting).await {
                Watched::Ended(Ok(did)) => done = did,
                Watched::Ended(Err(error)) => return End::Failed(error.into()),
                Watched::OutOfTime => return End::Failed(self.out_of_time(ctx.timeout)),
                Watched::Stopped(reason, WoundUp::Ended(Ok(did))) => {
                    stopped = Some((reason, Stopped::Done(did)));
                }
                Watched::Stopped(reason, WoundUp::Dropped) => stopped = Some((reason, Stopped::Dropped)),
                Watched::Stopped(_, WoundUp::Ended(Err(error))) => return End::Stopped(Stopped::Failed(error.into())),
                Watched::Stopped(_, WoundUp::Late) => return End::Stopped(Stopped::Late),
            }
        }
        // What was ended because it is no longer needed is judged like what ended by itself.
        let judged = stopped.as_ref().is_none_or(|(reason, _)| *reason == CancelReason::Until && self.up);
        if let Some(conditions) = expect.filter(|_| judged) {
            if stopped.is_some() || self.up {
                ctx.deadline = Instant::now() + ctx.timeout;
            }
            match self.beside(actor.expect(conditions, &ctx), ctx.deadline, Parting::Drop).await {
                Watched::Ended(Ok(())) => {}
                Watched::Ended(Err(error)) if stopped.is_some() => return End::Stopped(Stopped::Failed(error.into())),
                Watched::Ended(Err(error)) => return End::Failed(error.into()),
                Watched::OutOfTime => return End::Failed(self.out_of_time(ctx.timeout)),
                Watched::Stopped(..) => return End::Stopped(Stopped::Dropped),
            }
        }
        match stopped {
            Some((_, stopped)) => End::Stopped(stopped),
            None => End::Done(done),
        }
    }

    /// Runs a future, passes on what it says, and ends it at its deadline or when told to.
    async fn beside<T>(
        &mut self,
        future: impl Future<Output = Result<T, step::Error>>,
        deadline: Instant,
        parting: Parting,
    ) -> Watched<T> {
        let mut future = pin!(future);
        let mut leaving: Option<(Option<CancelReason>, Instant)> = None;
        loop {
            let until = match leaving {
                Some((_, until)) => Some(until),
                None => (!self.up).then_some(deadline),
            };
            let mut clock = pin!(async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            });
            tokio::select! {
                biased;
                reason = &mut self.line.stop, if !self.told => {
                    self.told = true;
                    // The loop drops its end only when it leaves altogether.
                    let reason = reason.unwrap_or(CancelReason::SecondSignal);
                    if parting == Parting::Drop {
                        return Watched::Stopped(reason, WoundUp::Dropped);
                    }
                    let until = leaving.map_or_else(|| Instant::now() + WIND_DOWN, |(_, until)| until);
                    leaving = Some((Some(reason), until));
                    self.line.cancel.cancel();
                }
                said = self.line.voice.recv() => {
                    if let Some(said) = said {
                        self.hear(said);
                    }
                }
                ended = &mut future => {
                    while let Ok(said) = self.line.voice.try_recv() {
                        self.hear(said);
                    }
                    return match leaving {
                        None => Watched::Ended(ended),
                        Some((Some(reason), _)) => Watched::Stopped(reason, WoundUp::Ended(ended)),
                        Some((None, _)) => Watched::OutOfTime,
                    };
                }
                () = &mut clock => match leaving {
                    Some((Some(reason), _)) => return Watched::Stopped(reason, WoundUp::Late),
                    Some((None, _)) => return Watched::OutOfTime,
                    None if parting == Parting::Drop => return Watched::OutOfTime,
                    None => {
                        leaving = Some((None, Instant::now() + WIND_DOWN));
                        self.line.cancel.cancel();
                    }
                },
            }
        }
    }

    fn hear(&mut self, said: Said) {
        match &said {
            Said::Progress(progress) => self.seen = Some(progress.clone()),
            // From now on it runs until it is told to end: its timeout was for coming up.
            Said::Up => self.up |= self.background,
            Said::Note(_) => {}
        }
        self.line.tell(News::Said(said));
    }

    fn out_of_time(&self, timeout: Duration) -> Failure {
        let message = format!("not done within {}", text::duration(timeout));
        quoting(Failure::new(Class::Timeout, message), self.seen.as_ref())
    }

    fn undecided(&self, timeout: Duration) -> Failure {
        let message = format!(
            "whether what is required before it holds could not be learnt within {}, and nothing was done",
            text::duration(timeout)
        );
        quoting(Failure::new(Class::Undecided, message), self.seen.as_ref())
    }
}

/// A failure with what was last seen to be missing.
pub(super) fn quoting(mut failure: Failure, seen: Option<&Progress>) -> Failure {
    if let Some(seen) = seen {
        if !seen.say.is_empty() {
            failure.message = format!("{}; last seen: {}", failure.message, seen.say);
        }
        failure.observed.clone_from(&seen.unmet);
    }
    failure
}
