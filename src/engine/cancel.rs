use tokio::time::Instant;

use super::dispatch::Dispatch;
use super::timer::Alarm;
use crate::event::{CancelReason, Class, EventKind, Failure};
use crate::graph::CleanUp;
use crate::text;

impl Dispatch<'_> {
    /// A signal came. A second one counts as such, whatever it is.
    pub(super) fn signalled(&mut self, reason: CancelReason) {
        let second = self.cancelled.is_some_and(CancelReason::is_signal);
        self.cancel(if second { CancelReason::SecondSignal } else { reason });
    }

    /// The run begins to end early. What is less urgent than what already ends it changes nothing.
    ///
    /// | by | what runs | clean-up |
    /// |---|---|---|
    /// | a failure under `--fail-fast` | is ended | runs |
    /// | the plan's timeout, the first signal | is ended | runs, for `grace` |
    /// | a mistake of the embedded cluster | is ended | does not start: it would prove nothing |
    /// | a lost journal | is ended | does not start: nobody would know what it did |
    /// | the second signal | is dropped | is dropped |
    pub(super) fn cancel(&mut self, reason: CancelReason) {
        if self.cancelled >= Some(reason) {
            return;
        }
        self.cancelled = Some(reason);
        self.say(EventKind::CancelRequested { by: reason });
        let clean_up = match reason {
            CancelReason::Until | CancelReason::FailFast => CleanUp::Kept,
            CancelReason::Deadline | CancelReason::Interrupt | CancelReason::Terminate => {
                self.timers.forget(self.grace_ends);
                self.grace_ends = Some(self.timers.set(Instant::now() + self.grace, Alarm::Grace));
                CleanUp::Kept
            }
            CancelReason::Mistaken | CancelReason::JournalLost | CancelReason::SecondSignal => CleanUp::Dropped,
        };
        self.never_armed(reason);
        self.frontier.cancel(reason, clean_up);
        if clean_up == CleanUp::Dropped {
            self.leave_windows();
        }
    }

    /// The time for clean-up is over.
    pub(super) fn grace_over(&mut self) {
        let reason = self.cancelled.unwrap_or(CancelReason::Deadline);
        let message = format!("clean-up was not done within {} and is ended", text::duration(self.grace));
        self.say(EventKind::Warned { message });
        self.frontier.cancel(reason, CleanUp::Dropped);
    }

    /// The plan's time is over. Clean-up that is all that is left is bounded by it
    /// and never fails a run.
    pub(super) fn plan_overdue(&mut self) {
        if self.cancelled >= Some(CancelReason::Deadline) {
            return;
        }
        if self.frontier.is_work_done() {
            return self.cancel(CancelReason::Deadline);
        }
        let message = format!("the plan was not done within {}", text::duration(self.plan_timeout));
        let failure = self.naming(Failure::new(Class::Timeout, message), |_| true);
        self.overdue = Some(failure);
        self.cancel(CancelReason::Deadline);
    }
}
