use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::dispatch::Dispatch;
use super::message::Post;
use super::timer::Alarm;
use super::window::{Arming, CheckIx, Stand};
use crate::event::{Armed, CancelReason, Class, EventKind, Failure, Finding, Outcome, SkipReason};
use crate::graph::StepIx;
use crate::plan::Query;
use crate::record;
use crate::text;

/// How long watches may take until they are live.
const ARM: Duration = Duration::from_secs(60);

impl Dispatch<'_> {
    /// Watches everything that a check of this run needs, from its start on: what a check
    /// says never came must have been looked for before its window, too. Nothing waits for it.
    pub(super) fn keep_watch(&mut self) {
        let queries: Vec<Query> =
            self.windows.places().flat_map(|check| self.windows.get(check).queries.clone()).collect();
        for query in queries {
            if !self.windows.outposts.contains_key(&query) {
                self.windows.outposts.insert(query.clone(), self.lookout.hold(&query));
            }
        }
    }

    /// Whether every window that a step opens has live watches, or never will. If not, they
    /// are made live, and the step is named again when they are. It holds no permit meanwhile.
    pub(super) fn is_armed(&mut self, opener: Option<StepIx>) -> bool {
        if let Some(arming) = self.windows.arming.get(&opener) {
            return arming.awaited.is_empty();
        }
        let checks = self.windows.opening(opener);
        let mut arming = Arming::default();
        for check in checks {
            arming.awaited.extend(self.windows.get(check).queries.iter().cloned());
        }
        if arming.awaited.is_empty() {
            return true;
        }
        arming.alarm = Some(self.timers.set(Instant::now() + ARM, Alarm::Arming(opener)));
        for query in arming.awaited.clone() {
            // One that was refused earlier may be allowed by now: a new outpost asks again,
            // and stands on the same watch if that is live.
            let outpost = self.lookout.hold(&query);
            arming.replaced.extend(self.windows.outposts.insert(query.clone(), Arc::clone(&outpost)));
            let to_loop = self.to_loop.clone();
            self.tasks.spawn(async move {
                let live = outpost.synced().await;
                // A loop that has left does not listen any more.
                let _ = to_loop.send(Post::Live { opener, query, live });
            });
        }
        self.windows.arming.insert(opener, arming);
        false
    }

    /// A watch is live, or can't be opened.
    pub(super) fn live(&mut self, opener: Option<StepIx>, query: Query, live: Result<Armed, record::Error>) {
        let Some(arming) = self.windows.arming.get_mut(&opener) else { return };
        if !arming.awaited.remove(&query) {
            return;
        }
        match live {
            Ok(armed) => drop(arming.live.insert(query, armed)),
            Err(error) => {
                let message = format!("`{}` can't be watched: {error}", query.resource);
                arming.refused.insert(query, Failure::new(error.class(), message));
            }
        }
        self.go_on_if_armed(opener);
    }

    /// The time for making watches live is over.
    pub(super) fn arming_overdue(&mut self, opener: Option<StepIx>) {
        let Some(arming) = self.windows.arming.get_mut(&opener) else { return };
        for query in std::mem::take(&mut arming.awaited) {
            let message = format!("the watch of `{}` was not live within {}", query.resource, text::duration(ARM));
            arming.refused.insert(query, Failure::new(Class::Unreachable, message));
        }
        self.go_on_if_armed(opener);
    }

    fn go_on_if_armed(&mut self, opener: Option<StepIx>) {
        let Some(arming) = self.windows.arming.get_mut(&opener).filter(|arming| arming.awaited.is_empty()) else {
            return;
        };
        let alarm = arming.alarm.take();
        self.timers.forget(alarm);
        match opener {
            Some(step) => self.frontier.resume(step),
            None => self.windows.unarmed = self.open_windows(None),
        }
    }

    /// Opens the windows that are armed, right before their step begins. Gives the failure of
    /// a step that must not act, since nobody would see what it does.
    pub(super) fn open_windows(&mut self, opener: Option<StepIx>) -> Option<Failure> {
        let arming = self.windows.arming.remove(&opener).unwrap_or_default();
        let checks = self.windows.opening(opener);
        let refusal = |dispatch: &Self, check: CheckIx| {
            dispatch.windows.get(check).queries.iter().find_map(|query| arming.refused.get(query)).cloned()
        };
        let blocker = checks.iter().find_map(|&check| {
            let window = self.windows.get(check);
            let failure = refusal(self, check).filter(|_| window.judge.is_fail())?;
            Some((
                check,
                Failure { message: format!("nothing was done: check `{}`: {}", window.id, failure.message), ..failure },
            ))
        });
        for &check in &checks {
            let window = self.windows.get(check);
            let id = window.id.clone();
            match (refusal(self, check), &blocker, opener) {
                (Some(why), _, _) if !window.judge.is_fail() => {
                    self.unmeasured(check, Outcome::Inconclusive, format!("not measured: {}", why.message));
                }
                (Some(why), _, _) => {
                    self.unmeasured(check, why.class.outcome(), format!("its window never opened: {}", why.message));
                }
                (None, Some(_), Some(step)) => {
                    let reason = SkipReason::Need { step: self.id(step), outcome: Outcome::Errored };
                    self.skip_check(check, reason);
                }
                (None, Some((blocker, _)), None) => {
                    let message = format!(
                        "its window never opened: the watch for check `{}` could not be opened",
                        self.windows.get(*blocker).id
                    );
                    self.unmeasured(check, Outcome::Errored, message);
                }
                (None, None, _) => {
                    let live = window.queries.iter().filter_map(|query| arming.live.get(query));
                    let watches = live.cloned().collect();
                    let env = self.env(&window.scope);
                    if self.say(EventKind::CheckArmed { check: id.clone(), watches }) {
                        self.windows.get_mut(check).stand = Stand::Open;
                        for fact in self.judge.open(&id, env, self.scribe.last()) {
                            self.say(fact);
                        }
                    }
                }
            }
        }
        self.windows.let_go();
        blocker.map(|(_, failure)| failure)
    }

    /// A check ends without a window.
    fn unmeasured(&mut self, check: CheckIx, outcome: Outcome, message: String) {
        let window = self.windows.get_mut(check);
        window.stand = Stand::Judged(outcome, message.clone());
        let finding = Box::new(Finding { message, ..Finding::default() });
        let check = window.id.clone();
        self.say(EventKind::CheckJudged { check, outcome, finding });
    }

    /// A check's window never opens.
    pub(super) fn skip_check(&mut self, check: CheckIx, reason: SkipReason) {
        let window = self.windows.get_mut(check);
        window.stand = Stand::Skipped;
        let check = window.id.clone();
        self.say(EventKind::CheckSkipped { check, reason });
    }

    /// A step settled without having begun: the windows it was to open never do.
    pub(super) fn never_opens(&mut self, step: StepIx, reason: &SkipReason) {
        if let Some(arming) = self.windows.arming.remove(&Some(step)) {
            self.timers.forget(arming.alarm);
        }
        let checks = self.windows.opening(Some(step));
        if checks.is_empty() {
            return;
        }
        let reason = match reason {
            SkipReason::Cancelled { .. } => reason.clone(),
            _ => SkipReason::Need { step: self.id(step), outcome: Outcome::Skipped },
        };
        for check in checks {
            self.skip_check(check, reason.clone());
        }
        self.windows.let_go();
    }

    /// The run ends before the watches of all of it were live.
    pub(super) fn never_armed(&mut self, by: CancelReason) {
        let Some(arming) = self.windows.arming.remove(&None) else { return };
        self.timers.forget(arming.alarm);
        for check in self.windows.opening(None) {
            self.skip_check(check, SkipReason::Cancelled { by });
        }
        self.windows.let_go();
    }
}
