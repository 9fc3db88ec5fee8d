use crate::clock::{Clock, Elapsed};
use crate::event::{Event, EventKind, Mask, RunStart, Sink};

/// The only one who makes events: numbers them, stamps them, hides secrets, and
/// hands each on before anybody acts on it.
pub(super) struct Scribe<'s> {
    sink: &'s mut dyn Sink,
    mask: Mask,
    clock: Clock,
    /// The clock's time at the run's zero.
    zero: i128,
    next: u64,
    last: Elapsed,
    lost: Option<String>,
}

impl<'s> Scribe<'s> {
    pub(super) fn new(sink: &'s mut dyn Sink, mask: Mask, clock: Clock, start: &RunStart) -> Self {
        let zero = start.started.as_microsecond() - clock.start().as_microsecond();
        Self { sink, mask, clock, zero: i128::from(zero), next: 0, last: Elapsed::default(), lost: None }
    }

    /// The time since the run's start, which never goes back.
    pub(super) fn now(&mut self) -> Elapsed {
        let since = i128::from(self.clock.elapsed().0) - self.zero;
        self.last = self.last.max(Elapsed(u64::try_from(since).unwrap_or(0)));
        self.last
    }

    /// When the last fact was said.
    pub(super) fn last(&self) -> Elapsed {
        self.last
    }

    /// Says a fact. What is given back is written and may be acted on.
    ///
    /// After one that was not written nothing is said any more, so that what is
    /// written has no hole.
    pub(super) fn say(&mut self, kind: EventKind) -> Option<Event> {
        if self.lost.is_none() { self.put(kind) } else { None }
    }

    /// Says the last fact, even to a sink that has failed: it may have room again.
    pub(super) fn say_last(&mut self, kind: EventKind) -> bool {
        self.put(kind).is_some()
    }

    /// Why the stream could not be kept, if so.
    pub(super) fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    fn put(&mut self, kind: EventKind) -> Option<Event> {
        let at = self.now();
        let event = self.mask.event(Event { seq: self.next, at, kind });
        match self.sink.put(&event) {
            Ok(()) => {
                self.next += 1;
                Some(event)
            }
            Err(reason) => {
                self.lost.get_or_insert(reason.0);
                None
            }
        }
    }
}
