use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::event::EventKind;
use serde_json::Value;

/// How much memory facts may take that are on their way to the journal: what a slow
/// disk may fall behind before versions are left out and told as a gap.
const BUDGET: usize = 24 << 20;

/// Where a recorder's facts go: the inbox of whoever writes the journal.
///
/// A version is put here before anybody who waits for it hears of it, so that it stands
/// in the journal before whatever it leads to. Copies share one budget of memory.
#[derive(Clone)]
pub struct Tape {
    to: Arc<dyn Fn(Fact) + Send + Sync>,
    room: Arc<Room>,
}

/// A fact on its way to the journal.
#[derive(Debug)]
pub struct Fact {
    /// What is to be written.
    pub kind: EventKind,
    /// To be dropped once it is written, or given up.
    pub held: Held,
}

/// Room that a fact takes until it is written.
pub struct Held {
    weight: usize,
    room: Arc<Room>,
}

/// Whether a fact was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    /// The journal can't keep up: the fact is gone, and must be told as a gap.
    Full,
}

/// How much memory is on its way.
struct Room {
    budget: usize,
    used: watch::Sender<usize>,
}

impl Tape {
    /// Hands each fact to a function that must not wait: it puts it into a queue.
    pub fn new(to: impl Fn(Fact) + Send + Sync + 'static) -> Self {
        Self::with_budget(BUDGET, to)
    }

    /// As [`Self::new`], with another budget in bytes.
    pub fn with_budget(budget: usize, to: impl Fn(Fact) + Send + Sync + 'static) -> Self {
        Self { to: Arc::new(to), room: Arc::new(Room { budget, used: watch::Sender::new(0) }) }
    }

    /// Keeps nothing.
    pub fn nowhere() -> Self {
        Self::new(drop)
    }

    /// Hands on a fact if there is room for it. While half of the budget is free any fact
    /// passes, however large.
    pub(super) fn put(&self, kind: EventKind, weight: usize) -> Taken {
        let used = *self.room.used.borrow();
        if used > self.room.budget / 2 && used + weight > self.room.budget {
            return Taken::Full;
        }
        self.force(kind, weight);
        Taken::Yes
    }

    /// Hands on a fact that must not be missing: a word about the watch itself.
    pub fn tell(&self, kind: EventKind) {
        self.force(kind, 0);
    }

    /// Returns once half of the budget is free.
    pub(super) fn drained(&self) -> impl Future<Output = ()> + Send + 'static {
        let half = self.room.budget / 2;
        let mut used = self.room.used.subscribe();
        async move {
            if used.wait_for(|used| *used <= half).await.is_err() {
                // Nobody writes any more, and nobody waits for it.
                std::future::pending::<()>().await;
            }
        }
    }

    fn force(&self, kind: EventKind, weight: usize) {
        self.room.used.send_if_modified(|used| {
            *used += weight;
            false
        });
        (self.to)(Fact { kind, held: Held { weight, room: Arc::clone(&self.room) } });
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let half = self.room.budget / 2;
        self.room.used.send_if_modified(|used| {
            let before = *used;
            *used = before.saturating_sub(self.weight);
            // Only the step below one half lets anybody go on.
            before > half && *used <= half
        });
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({})", self.weight)
    }
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tape({} of {})", *self.room.used.borrow(), self.room.budget)
    }
}

/// About how much memory a value takes.
pub(super) fn weight(value: &Value) -> usize {
    /// A value in its map or list, with what the allocator and the index add.
    const EACH: usize = 96;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => EACH,
        Value::String(text) => EACH + text.len(),
        Value::Array(items) => EACH + items.iter().map(weight).sum::<usize>(),
        Value::Object(map) => EACH + map.iter().map(|(key, value)| EACH + key.len() + weight(value)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn fact() -> EventKind {
        EventKind::Warned { message: String::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_given_back_when_a_fact_is_written() {
        let queue: Arc<Mutex<Vec<Fact>>> = Arc::default();
        let tape = {
            let queue = Arc::clone(&queue);
            Tape::with_budget(100, move |fact| queue.lock().unwrap().push(fact))
        };
        assert_eq!(tape.put(fact(), 1000), Taken::Yes, "larger than all, and half is free");
        assert_eq!(tape.put(fact(), 1), Taken::Full);
        tape.tell(fact());
        queue.lock().unwrap().clear();
        assert_eq!(
            [tape.put(fact(), 60), tape.put(fact(), 40), tape.put(fact(), 1)],
            [Taken::Yes, Taken::Yes, Taken::Full]
        );
        let drained = tokio::spawn(tape.drained());
        tokio::task::yield_now().await;
        queue.lock().unwrap().pop();
        tokio::task::yield_now().await;
        assert!(!drained.is_finished(), "60 of 100 are still on their way");
        queue.lock().unwrap().pop();
        drained.await.unwrap();
        assert_eq!(tape.put(fact(), 100), Taken::Yes);
    }
}
