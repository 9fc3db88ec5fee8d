use std::sync::Arc;

use tokio::sync::mpsc;

use super::Error;
use super::list::Listing;
use super::object::{Object, number};

/// What a watch tells those who follow it, in order.
#[derive(Clone, Debug)]
pub(super) enum Update {
    /// All objects as of one version.
    Listed { objects: Vec<Arc<Object>>, version: String, after_gap: bool },
    /// One version of one object.
    Version { object: Arc<Object>, deleted: bool },
    /// It can't see for the moment; it goes on trying.
    Broken(String),
    /// It sees again. Nothing was missed.
    Resumed,
    /// The server says no, and will again. The last word.
    Refused(Error),
}

/// Those who follow one watch, and how far each is.
///
/// Each begins with a list of its own, made after it asked: nothing held from before
/// decides anything. What came while that list was made is kept for it.
#[derive(Default)]
pub(super) struct Followers {
    all: Vec<Follower>,
    /// Why the watch can't see for the moment.
    broken: Option<String>,
}

struct Follower {
    number: u64,
    to: mpsc::UnboundedSender<Update>,
    standing: Standing,
}

/// What a follower has of the stream.
enum Standing {
    /// Its own list is not there yet; what came since it asked.
    Waiting(Vec<Update>),
    /// It has everything up to this version.
    Live(u64),
}

impl Followers {
    pub(super) fn admit(&mut self, number: u64, to: mpsc::UnboundedSender<Update>) {
        if let Some(reason) = &self.broken {
            let _ = to.send(Update::Broken(reason.clone()));
        }
        self.all.push(Follower { number, to, standing: Standing::Waiting(Vec::new()) });
    }

    /// Forgets those who have left.
    pub(super) fn forget_gone(&mut self) {
        self.all.retain(|follower| !follower.to.is_closed());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Gives a list to all who asked before it began; the others keep it until their own has come.
    pub(super) fn announce(&mut self, listing: &Listing, after_gap: bool, asked: u64) {
        let update = |after_gap| Update::Listed {
            objects: listing.objects.clone(),
            version: listing.version.clone(),
            after_gap,
        };
        let floor = number(&listing.version).unwrap_or(0);
        for follower in &mut self.all {
            if follower.number >= asked {
                follower.take(&update(after_gap));
                continue;
            }
            let first = matches!(follower.standing, Standing::Waiting(_));
            follower.standing = Standing::Live(floor);
            let _ = follower.to.send(update(after_gap && !first));
        }
    }

    /// A follower's own list has come: it gets that, and what came after it.
    pub(super) fn hand_over(&mut self, number: u64, listing: Result<Listing, Error>) {
        let waits =
            |follower: &&mut Follower| follower.number == number && matches!(follower.standing, Standing::Waiting(_));
        let Some(follower) = self.all.iter_mut().find(waits) else {
            return;
        };
        match listing {
            Err(error) => {
                let _ = follower.to.send(Update::Refused(error));
                self.all.retain(|follower| follower.number != number);
            }
            Ok(Listing { objects, version, .. }) => {
                let floor = super::object::number(&version).unwrap_or(0);
                let Standing::Waiting(since) = std::mem::replace(&mut follower.standing, Standing::Live(floor)) else {
                    return;
                };
                let _ = follower.to.send(Update::Listed { objects, version, after_gap: false });
                for update in since {
                    follower.take(&update);
                }
            }
        }
    }

    /// Those who have no list yet.
    pub(super) fn waiting(&self) -> Vec<u64> {
        let waits = |follower: &&Follower| matches!(follower.standing, Standing::Waiting(_));
        self.all.iter().filter(waits).map(|follower| follower.number).collect()
    }

    pub(super) fn tell(&mut self, update: &Update) {
        for follower in &mut self.all {
            follower.take(update);
        }
    }

    /// The watch can't see. Told once.
    pub(super) fn broken(&mut self, reason: &str) {
        if self.broken.replace(reason.to_owned()).is_none() {
            self.send(&Update::Broken(reason.to_owned()));
        }
    }

    /// The watch sees again.
    pub(super) fn healed(&mut self) {
        if self.broken.take().is_some() {
            self.send(&Update::Resumed);
        }
    }

    /// The last word to all.
    pub(super) fn refused(&mut self, error: &Error) {
        self.send(&Update::Refused(error.clone()));
        self.all.clear();
    }

    fn send(&self, update: &Update) {
        for follower in &self.all {
            let _ = follower.to.send(update.clone());
        }
    }
}

impl Follower {
    fn take(&mut self, update: &Update) {
        match &mut self.standing {
            Standing::Waiting(since) => since.push(update.clone()),
            Standing::Live(floor) => {
                let new = match update {
                    Update::Version { object, .. } => object.number() > *floor,
                    Update::Listed { version, .. } => number(version).is_none_or(|version| version >= *floor),
                    Update::Broken(_) | Update::Resumed | Update::Refused(_) => true,
                };
                if new {
                    let _ = self.to.send(update.clone());
                }
            }
        }
    }
}
