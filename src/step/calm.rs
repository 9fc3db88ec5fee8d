use std::time::Duration;

use tokio::time::Instant;

use super::StepContext;
use crate::event::Progress;

/// The shortest time between two words about progress: a busy selection changes
/// a thousand times a second, and a person reads one line. Each word doubles it.
const BREATH: Duration = Duration::from_millis(250);

/// The longest such time: every word is kept in the journal.
const LONGEST: Duration = Duration::from_secs(2);

/// Says how far a step is when that is new, but not more often than it can be read.
pub(super) struct Calm<'a> {
    ctx: &'a StepContext,
    /// When the next word may be said.
    next: Instant,
    /// When to look again, because a word was held back.
    at: Option<Instant>,
    last: Option<Progress>,
    breath: Duration,
}

impl<'a> Calm<'a> {
    pub(super) fn new(ctx: &'a StepContext) -> Self {
        Self { ctx, next: Instant::now(), at: None, last: None, breath: BREATH }
    }

    /// Says how things stand if that is new, now or when it is time.
    pub(super) fn tell(&mut self, progress: impl FnOnce() -> Progress) {
        let now = Instant::now();
        if now < self.next {
            self.at = Some(self.next);
            return;
        }
        self.at = None;
        let progress = progress();
        if self.last.as_ref() != Some(&progress) {
            self.ctx.progress(progress.clone());
            self.last = Some(progress);
            self.next = now + self.breath;
            self.breath = (self.breath * 2).min(LONGEST);
        }
    }

    /// The nearest of some instants and the one at which there is a word to say.
    pub(super) fn until(&self, instants: impl IntoIterator<Item = Instant>) -> Instant {
        let all = instants.into_iter().chain(self.at).chain([self.ctx.deadline]);
        all.min().expect("the deadline is always there")
    }
}
