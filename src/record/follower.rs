use std::sync::Arc;

use super::Error;
use super::list::Listing;
use super::mailbox::{Letter, Mailbox};
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

/// Why a follower is told that it can't see although the watch does.
const SLOW: &str =
    "versions came faster than they could be looked at here; what is left is skipped, and a list follows";

/// Those who follow one watch, and how far each is.
///
/// Each begins with a list of its own, made after it asked: nothing held from before
/// decides anything. What came while that list was made is kept for it.
///
/// | standing | a version comes | its mailbox is full | its mailbox is empty | its list comes |
/// |---|---|---|---|---|
/// | waiting | kept | behind | – | it gets that and what was kept: live |
/// | live | it gets it | told that it can't see: behind | – | – |
/// | behind | left out | – | waiting, for a new list | – |
#[derive(Default)]
pub(super) struct Followers {
    all: Vec<Follower>,
    /// Why the watch can't see for the moment.
    broken: Option<String>,
}

struct Follower {
    number: u64,
    to: Mailbox,
    standing: Standing,
}

/// What a follower has of the stream.
enum Standing {
    /// Its own list is not there yet; what came since it asked.
    Waiting { ticket: Option<u64>, since: Vec<Letter>, after_gap: bool },
    /// It has everything up to this version.
    Live(u64),
    /// It has too much to read already.
    Behind,
}

impl Standing {
    fn waiting(after_gap: bool) -> Self {
        Self::Waiting { ticket: None, since: Vec::new(), after_gap }
    }
}

impl Followers {
    pub(super) fn admit(&mut self, number: u64, to: Mailbox) {
        if let Some(reason) = &self.broken {
            to.force(Update::Broken(reason.clone()));
        }
        self.all.push(Follower { number, to, standing: Standing::waiting(false) });
    }

    /// Forgets those who have left.
    pub(super) fn forget_gone(&mut self) {
        self.all.retain(|follower| !follower.to.is_closed());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Gives a list to all who asked before it began; the others keep it until their own has
    /// come. Says who has fallen behind.
    pub(super) fn announce(&mut self, listing: &Listing, after_gap: bool, asked: u64) -> Vec<u64> {
        let update = |after_gap| Update::Listed {
            objects: listing.objects.clone(),
            version: listing.version.clone(),
            after_gap,
        };
        let floor = number(&listing.version).unwrap_or(0);
        let mut behind = Vec::new();
        for follower in &mut self.all {
            match &follower.standing {
                Standing::Waiting { after_gap, .. } if follower.number < asked => {
                    follower.to.force(update(*after_gap));
                    follower.standing = Standing::Live(floor);
                }
                Standing::Waiting { .. } | Standing::Live(_) | Standing::Behind => {
                    if follower.take(&update(after_gap)) {
                        behind.push(follower.number);
                    } else if let Standing::Live(reached) = &mut follower.standing {
                        *reached = floor.max(*reached);
                    }
                }
            }
        }
        behind
    }

    /// A list is made for a follower: only this one counts.
    pub(super) fn expects(&mut self, number: u64, list: u64) {
        if let Some(Standing::Waiting { ticket, .. }) = self.standing(number) {
            *ticket = Some(list);
        }
    }

    /// A follower's own list has come: it gets that, and what came after it.
    pub(super) fn hand_over(&mut self, number: u64, list: u64, listing: Result<Listing, Error>) {
        let sees = self.broken.is_none();
        let waits = |follower: &&mut Follower| {
            follower.number == number
                && matches!(follower.standing, Standing::Waiting { ticket, .. } if ticket == Some(list))
        };
        let Some(follower) = self.all.iter_mut().find(waits) else {
            return;
        };
        let Listing { objects, version, .. } = match listing {
            Ok(listing) => listing,
            Err(error) => {
                follower.to.force(Update::Refused(error));
                self.all.retain(|follower| follower.number != number);
                return;
            }
        };
        let floor = super::object::number(&version).unwrap_or(0);
        let waited = std::mem::replace(&mut follower.standing, Standing::Live(floor));
        let Standing::Waiting { since, after_gap, .. } = waited else {
            return;
        };
        if after_gap && sees {
            follower.to.force(Update::Resumed);
        }
        follower.to.force(Update::Listed { objects, version, after_gap });
        for letter in since {
            if is_new(&letter.update, floor) {
                follower.to.send(letter);
            }
        }
    }

    /// A follower that was behind has read all: it waits for a list again. `false` if it has left.
    pub(super) fn caught_up(&mut self, number: u64) -> bool {
        match self.standing(number) {
            Some(standing @ Standing::Behind) => {
                *standing = Standing::waiting(true);
                true
            }
            Some(Standing::Waiting { .. } | Standing::Live(_)) | None => false,
        }
    }

    /// Returns when a follower has read everything.
    pub(super) fn emptied(&self, number: u64) -> Option<impl Future<Output = ()> + Send + use<>> {
        self.all.iter().find(|follower| follower.number == number).map(|follower| follower.to.emptied())
    }

    /// Those who have no list yet.
    pub(super) fn waiting(&self) -> Vec<u64> {
        let waits = |follower: &&Follower| matches!(follower.standing, Standing::Waiting { .. });
        self.all.iter().filter(waits).map(|follower| follower.number).collect()
    }

    /// Says who has fallen behind.
    pub(super) fn tell(&mut self, update: &Update) -> Vec<u64> {
        self.all.iter_mut().filter_map(|follower| follower.take(update).then_some(follower.number)).collect()
    }

    /// The watch can't see. Told once.
    pub(super) fn broken(&mut self, reason: &str) {
        if self.broken.replace(reason.to_owned()).is_none() {
            self.force(&Update::Broken(reason.to_owned()));
        }
    }

    /// The watch sees again.
    pub(super) fn healed(&mut self) {
        if self.broken.take().is_some() {
            self.force(&Update::Resumed);
        }
    }

    /// The last word to all.
    pub(super) fn refused(&mut self, error: &Error) {
        self.force(&Update::Refused(error.clone()));
        self.all.clear();
    }

    fn force(&self, update: &Update) {
        for follower in &self.all {
            follower.to.force(update.clone());
        }
    }

    fn standing(&mut self, number: u64) -> Option<&mut Standing> {
        self.all.iter_mut().find(|follower| follower.number == number).map(|follower| &mut follower.standing)
    }
}

impl Follower {
    /// Says whether it has fallen behind by this.
    fn take(&mut self, update: &Update) -> bool {
        match &mut self.standing {
            Standing::Waiting { since, .. } => {
                if let Some(letter) = self.to.seal(update.clone()) {
                    since.push(letter);
                    return false;
                }
            }
            Standing::Live(floor) => {
                if !is_new(update, *floor) {
                    return false;
                }
                if let Some(letter) = self.to.seal(update.clone()) {
                    self.to.send(letter);
                    return false;
                }
                self.to.force(Update::Broken(SLOW.to_owned()));
            }
            Standing::Behind => return false,
        }
        self.standing = Standing::Behind;
        true
    }
}

/// Whether an update says more than a list of this version.
fn is_new(update: &Update, floor: u64) -> bool {
    match update {
        Update::Version { object, .. } => object.number() > floor,
        Update::Listed { version, .. } => number(version).is_none_or(|version| version >= floor),
        Update::Broken(_) | Update::Resumed | Update::Refused(_) => true,
    }
}
