use tokio::sync::watch as signal;

use super::Error;
use super::hold::Standing;
use crate::event::Armed;

/// Those who need a watch to be live.
#[derive(Default)]
pub(super) struct Holders {
    all: Vec<Holder>,
}

struct Holder {
    number: u64,
    to: signal::Sender<Standing>,
}

impl Holders {
    pub(super) fn admit(&mut self, number: u64, to: signal::Sender<Standing>) {
        self.all.push(Holder { number, to });
    }

    /// Forgets those who have left.
    pub(super) fn forget_gone(&mut self) {
        self.all.retain(|holder| !holder.to.is_closed());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether a holder still waits for the watch to be live.
    pub(super) fn waits(&self, number: u64) -> bool {
        self.all.iter().any(|holder| holder.number == number && matches!(*holder.to.borrow(), Standing::Opening))
    }

    /// Those who came with this number or later.
    pub(super) fn since(&self, number: u64) -> Vec<u64> {
        self.all.iter().map(|holder| holder.number).filter(|holder| *holder >= number).collect()
    }

    /// The watch is live for one of them.
    pub(super) fn open(&self, number: u64, armed: &Armed) {
        if let Some(holder) = self.all.iter().find(|holder| holder.number == number) {
            holder.opened(armed);
        }
    }

    /// The watch is live for all who came before this number.
    pub(super) fn open_before(&self, number: u64, armed: &Armed) {
        for holder in self.all.iter().filter(|holder| holder.number < number) {
            holder.opened(armed);
        }
    }

    /// The last word to all.
    pub(super) fn refused(&mut self, error: &Error) {
        for holder in self.all.drain(..) {
            holder.to.send_replace(Standing::Refused(error.clone()));
        }
    }
}

impl Holder {
    /// Only the first time counts: from there on everything was recorded.
    fn opened(&self, armed: &Armed) {
        self.to.send_if_modified(|standing| {
            let opens = matches!(standing, Standing::Opening);
            if opens {
                *standing = Standing::Live(armed.clone());
            }
            opens
        });
    }
}
