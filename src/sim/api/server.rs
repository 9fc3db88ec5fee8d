//! The server: one lock around the state, and the tasks that act on it later.

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;

use super::state::{Later, State};

/// The state behind its lock.
///
/// The lock is std's and is never held across an await: every request is answered in
/// one short stretch that sees and makes one consistent world, on one thread or on many.
#[derive(Debug)]
pub(crate) struct Server {
    state: Mutex<State>,
    clock: Clock,
}

impl Server {
    /// A server that begins with this state.
    pub(crate) fn new(state: State, clock: Clock) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(state), clock })
    }

    /// The server's time.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Does something with the state, then sees to what follows from it later.
    ///
    /// A panic in another holder leaves whole objects behind, each change being one call
    /// into the store, so the state stays usable for the test that reports it.
    pub(crate) fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = act(&mut state);
        let later = std::mem::take(&mut state.later);
        drop(state);
        self.arrange(later);
        outcome
    }

    /// Sees to it that each thing happens in its time, for as long as there is a server.
    fn arrange(self: &Arc<Self>, later: Vec<Later>) {
        for event in later {
            let server = Arc::downgrade(self);
            tokio::spawn(async move {
                tokio::time::sleep(event.after()).await;
                if let Some(server) = server.upgrade() {
                    let now = server.clock.now();
                    server.with(|state| event.happen(state, now));
                }
            });
        }
    }
}
