use std::time::Duration;

use tokio::time::Instant;

use super::Error;
use crate::event::Class;

/// How long a server that allowed a watch may refuse it after a restart.
const STARTING: Duration = Duration::from_secs(15);

/// Whether the server lets a watch look.
#[derive(Clone, Copy)]
pub(super) enum Access {
    Unknown,
    Granted,
    /// It did, and does not since.
    RefusedSince(Instant),
}

impl Access {
    /// Whether trouble may pass by itself. An API server that has just started refuses what it will
    /// allow once it has read its rules; one that has never allowed it means it.
    pub(super) fn may_return(&mut self, error: &Error) -> bool {
        if error.passes() {
            return true;
        }
        if error.class() != Class::Forbidden {
            return false;
        }
        match *self {
            Self::Unknown => false,
            Self::Granted => {
                *self = Self::RefusedSince(Instant::now());
                true
            }
            Self::RefusedSince(since) => since.elapsed() < STARTING,
        }
    }
}
