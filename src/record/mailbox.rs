use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::follower::Update;
use super::object::Object;

/// How much memory the versions may take that one slow reader has not looked at yet.
const ROOM: u32 = 64 << 20;

/// An object as a value takes about this many times its bytes.
const AS_VALUE: usize = 8;

/// What an entry takes whatever is in it.
const EACH: usize = 256;

/// The watch's end of what one follower is to hear.
pub(super) struct Mailbox {
    to: mpsc::UnboundedSender<Letter>,
    room: Arc<Semaphore>,
    size: u32,
}

/// One update with the room that it takes until it was read.
pub(super) struct Letter {
    pub(super) update: Update,
    _room: Option<OwnedSemaphorePermit>,
}

impl Mailbox {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Letter>) {
        Self::of(ROOM)
    }

    pub(super) fn of(size: u32) -> (Self, mpsc::UnboundedReceiver<Letter>) {
        let (to, letters) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(usize::try_from(size).expect("an address space has 32 bits")));
        (Self { to, room, size }, letters)
    }

    /// Takes room for an update; `None` if there is none. One that is larger than all fits when
    /// nothing else is there.
    pub(super) fn seal(&self, update: Update) -> Option<Letter> {
        let weight = u32::try_from(weight(&update)).unwrap_or(u32::MAX).min(self.size);
        let room = Arc::clone(&self.room).try_acquire_many_owned(weight).ok()?;
        Some(Letter { update, _room: Some(room) })
    }

    pub(super) fn send(&self, letter: Letter) {
        // A reader that has left hears nothing.
        let _ = self.to.send(letter);
    }

    /// Sends what must not be missing.
    pub(super) fn force(&self, update: Update) {
        self.send(Letter { update, _room: None });
    }

    /// Returns when everything has been read.
    pub(super) fn emptied(&self) -> impl Future<Output = ()> + Send + use<> {
        let (room, all) = (Arc::clone(&self.room), self.size);
        async move {
            // The room is never closed: this ends when all of it is free.
            drop(room.acquire_many(all).await);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.to.is_closed()
    }
}

fn weight(update: &Update) -> usize {
    let object = |object: &Arc<Object>| EACH + AS_VALUE * object.bytes.len();
    match update {
        Update::Listed { objects, .. } => EACH + objects.iter().map(|listed| EACH + listed.bytes.len()).sum::<usize>(),
        Update::Version { object: version, .. } => object(version),
        Update::Broken(_) | Update::Resumed | Update::Refused(_) => 0,
    }
}
