//! The work queue: keys to look at, now or later, and how long a failing one waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::key::Key;

/// How long a key waits after its n-th failure in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait; each further one is twice as long.
    pub first: Duration,
    /// The longest.
    pub most: Duration,
}

impl Backoff {
    /// client-go's default for items (`workqueue.DefaultTypedControllerRateLimiter`): 5 ms to 1000 s.
    pub const CLIENT_GO: Self = Self { first: Duration::from_millis(5), most: Duration::from_secs(1000) };

    fn after(self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.most)
    }
}

/// A queue as client-go's: a key is in it once, whatever the number of reasons.
#[derive(Debug)]
pub(super) struct Queue {
    ready: VecDeque<Key>,
    queued: BTreeSet<Key>,
    /// The earliest time at which a key is to be looked at again.
    later: BTreeMap<Key, Instant>,
    failures: BTreeMap<Key, u32>,
    backoff: Backoff,
}

impl Queue {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            ready: VecDeque::new(),
            queued: BTreeSet::new(),
            later: BTreeMap::new(),
            failures: BTreeMap::new(),
            backoff,
        }
    }

    /// To be looked at now.
    pub(super) fn add(&mut self, key: Key) {
        if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    /// To be looked at then, or earlier if that was asked for before.
    pub(super) fn add_at(&mut self, key: Key, at: Instant) {
        let due = self.later.entry(key).or_insert(at);
        *due = at.min(*due);
    }

    /// To be looked at again after a failure.
    pub(super) fn failed(&mut self, key: Key, now: Instant) {
        let failures = self.failures.entry(key.clone()).or_default();
        let wait = self.backoff.after(*failures);
        *failures += 1;
        self.add_at(key, now + wait);
    }

    /// It went well.
    pub(super) fn succeeded(&mut self, key: &Key) {
        self.failures.remove(key);
    }

    /// The next key, if there is one by now.
    pub(super) fn next(&mut self, now: Instant) -> Option<Key> {
        let mut due: Vec<(Instant, Key)> =
            self.later.iter().filter(|(_, at)| **at <= now).map(|(key, at)| (*at, key.clone())).collect();
        due.sort();
        for (_, key) in due {
            self.later.remove(&key);
            self.add(key);
        }
        let key = self.ready.pop_front()?;
        self.queued.remove(&key);
        Some(key)
    }

    /// When the next key is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.later.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failing_key_waits_twice_as_long_each_time() {
        let mut queue = Queue::new(Backoff::CLIENT_GO);
        let key = Key::alone("a");
        let start = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..20 {
            queue.failed(key.clone(), start);
            waits.push((queue.due().unwrap() - start).as_millis());
            assert_eq!(queue.next(start + Duration::from_secs(1000)), Some(key.clone()));
        }
        assert_eq!(waits[..5], [5, 10, 20, 40, 80]);
        assert_eq!(waits[17..], [655_360, 1_000_000, 1_000_000]);
        queue.succeeded(&key);
        queue.failed(key, start);
        assert_eq!((queue.due().unwrap() - start).as_millis(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_queued_once_and_at_the_earliest_time() {
        let mut queue = Queue::new(Backoff::CLIENT_GO);
        let now = Instant::now();
        for name in ["a", "b", "a"] {
            queue.add(Key::alone(name));
        }
        queue.add_at(Key::alone("c"), now + Duration::from_secs(3));
        queue.add_at(Key::alone("c"), now + Duration::from_secs(1));
        queue.add_at(Key::alone("c"), now + Duration::from_secs(2));
        assert_eq!(queue.due(), Some(now + Duration::from_secs(1)));
        assert_eq!(queue.next(now), Some(Key::alone("a")));
        assert_eq!(queue.next(now), Some(Key::alone("b")));
        assert_eq!(queue.next(now), None);
        assert_eq!(queue.next(now + Duration::from_secs(1)), Some(Key::alone("c")));
    }
}
