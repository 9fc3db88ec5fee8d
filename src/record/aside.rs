use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::inquiry::{EXPLAIN, Inquiry, Purpose};
use super::list::{Listing, Roll, patient_list, patient_roll};
use super::object;
use super::sight::{Missing, Spell};
use super::watch::{Ended, Order, Watch};
use super::{Confirmed, Error};
use crate::clock::Elapsed;
use crate::event::{Armed, Difference};
use crate::text;

/// How long a list beside the watch is asked for when nobody else waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The outcome of a list made beside the watch.
pub(super) enum Job {
    List(u64, Result<Listing, Error>),
    Roll(u64, Result<Roll, Error>),
    /// A follower that was behind has read everything.
    Emptied(u64),
}

/// What a watch does beside its stream: it takes orders and makes lists, to learn whether it has shown all there is.
impl Watch {
    pub(super) fn obey(&mut self, order: Option<Order>) -> Result<(), Ended> {
        let number = self.next;
        self.next += 1;
        match order.ok_or(Ended(None))? {
            Order::Follow(to) => {
                self.followers.admit(number, to);
                if self.listed {
                    self.list_for(number);
                }
            }
            Order::Hold(to) => {
                self.holders.admit(number, to);
                if self.listed && self.live.is_some() {
                    self.arm(number);
                }
            }
            Order::Confirm(to) => self.inquire(Purpose::Close(to)),
            Order::StoodStill(still) => {
                let from =
                    Elapsed(self.ledger.now().0.saturating_sub(Elapsed::from(still).0)).max(self.sight.agreed_at());
                if self.live.is_some() && self.sight.sees() {
                    let reason = format!("this process stood still for {}", text::duration(still));
                    self.catch_up(Spell { from, reason });
                }
            }
            Order::Finish => {
                self.ending = true;
                if self.live.is_none() {
                    return Err(Ended(None));
                }
                self.inquire(Purpose::Finish);
            }
        }
        Ok(())
    }

    pub(super) fn did(&mut self, job: Job) {
        let (number, listing, roll) = match job {
            Job::List(number, Ok(listing)) => {
                let roll = listing.roll();
                (number, Some(listing), Ok(roll))
            }
            Job::List(number, Err(error)) => (number, None, Err(error)),
            Job::Roll(number, roll) => (number, None, roll),
            Job::Emptied(follower) => {
                if self.followers.caught_up(follower) {
                    self.list_for(follower);
                }
                return;
            }
        };
        let Some(place) = self.inquiries.iter().position(|inquiry| inquiry.number == number) else { return };
        match roll {
            Ok(roll) => {
                let version = roll.version.clone();
                let inquiry = &mut self.inquiries[place];
                inquiry.answer(roll, &self.ledger);
                match &mut inquiry.purpose {
                    Purpose::Close(to) => {
                        let (gone, _) = oneshot::channel();
                        let confirmed = Confirmed { watch: self.ledger.watch(), version };
                        let _ = std::mem::replace(to, gone).send(Ok(confirmed));
                    }
                    Purpose::Join { listing: own, .. } => *own = listing,
                    Purpose::Arm(_) | Purpose::CatchUp(_) | Purpose::Finish => {}
                }
                self.conclude();
            }
            Err(error) => {
                let inquiry = self.inquiries.remove(place);
                match inquiry.purpose {
                    Purpose::Close(to) => drop(to.send(Err(error))),
                    // The watch itself finds out what is the matter.
                    Purpose::Arm(holder) => self.arm(holder),
                    Purpose::CatchUp(spell) => self.catch_up(spell),
                    Purpose::Join { follower, .. } => self.followers.hand_over(follower, number, Err(error)),
                    Purpose::Finish => {}
                }
            }
        }
    }

    /// Ends every inquiry that has its answer.
    pub(super) fn conclude(&mut self) {
        // A watch that does not see has not caught up, can't be armed, and may be about to show what
        // came and went.
        let sees = self.sight.sees();
        while let Some(place) = self
            .inquiries
            .iter()
            .position(|inquiry| inquiry.agrees() && (sees || matches!(inquiry.purpose, Purpose::Join { .. })))
        {
            let inquiry = self.inquiries.remove(place);
            let version = inquiry.version().unwrap_or_default().to_owned();
            if sees {
                self.sight.agreed(self.ledger.now());
            }
            match inquiry.purpose {
                Purpose::Close(_) | Purpose::Finish => self.close_window(&version, Vec::new()),
                Purpose::Arm(number) => self.holders.open(number, &Armed { watch: self.ledger.watch(), version }),
                Purpose::CatchUp(Spell { from, reason }) => self.ledger.late(from, &reason),
                Purpose::Join { follower, listing } => {
                    let listing = listing.expect("a list that agrees was answered");
                    self.followers.hand_over(follower, inquiry.number, Ok(listing));
                }
            }
        }
    }

    /// Says what a closing list had, behind what was not seen until now.
    fn close_window(&mut self, version: &str, differences: Vec<Difference>) {
        if let Some(Spell { from, reason }) = self.sight.cut(self.ledger.now()) {
            let reason = format!("{reason}; it had not come back when the window closed");
            self.ledger.gap(from, &reason, !differences.is_empty());
        }
        self.ledger.cut_gap();
        self.ledger.confirmed(version, differences);
    }

    /// The time for explaining is over for some inquiry.
    pub(super) fn time_is_over(&mut self) {
        let now = Instant::now();
        while let Some(place) =
            self.inquiries.iter().position(|inquiry| inquiry.until().is_some_and(|until| until <= now))
        {
            let inquiry = self.inquiries.remove(place);
            let differences = inquiry.differences(&self.ledger);
            let version = inquiry.version().unwrap_or_default().to_owned();
            let differs = differences.first().map(|first| differs(&version, first));
            match (inquiry.purpose, differs) {
                (Purpose::Close(_) | Purpose::Finish, differs) => {
                    self.close_window(&version, differences);
                    if let Some(reason) = differs {
                        self.list_anew(self.sight.agreed_at(), reason);
                    }
                }
                // Whoever waits for it is served by the next list.
                (Purpose::Arm(_) | Purpose::Join { .. }, Some(reason)) if self.may_list() => {
                    self.list_anew(self.sight.agreed_at(), reason);
                }
                (Purpose::Arm(holder), _) => self.arm(holder),
                (Purpose::Join { follower, .. }, _) => self.list_for(follower),
                (Purpose::CatchUp(Spell { from, reason }), Some(differs)) => {
                    self.list_anew(from, format!("{reason}; {differs}"));
                }
                (Purpose::CatchUp(spell), None) => self.catch_up(spell),
            }
        }
    }

    /// Whether it sees, and can be left for a list.
    fn may_list(&self) -> bool {
        self.sight.sees() && self.served == Some(true) && !self.ending
    }

    /// The watch has not shown all there is: it is left and begins again with a list.
    fn list_anew(&mut self, from: Elapsed, reason: String) {
        if self.ending {
            self.ledger.gap(from, &reason, true);
        } else if self.served == Some(true) {
            self.sight.relist.get_or_insert(Missing { from, reason, unless_empty: false });
        }
    }

    /// The watch stood still or was away: late, once a list shows that it has caught up.
    pub(super) fn catch_up(&mut self, spell: Spell) {
        self.inquire(Purpose::CatchUp(spell));
    }

    pub(super) fn arm(&mut self, holder: u64) {
        let asked = |inquiry: &Inquiry| matches!(inquiry.purpose, Purpose::Arm(number) if number == holder);
        if self.holders.waits(holder) && !self.inquiries.iter().any(asked) {
            self.inquire(Purpose::Arm(holder));
        }
    }

    /// Asks for a list beside the watch.
    fn inquire(&mut self, purpose: Purpose) {
        let number = self.next;
        self.next += 1;
        let patience = if matches!(purpose, Purpose::Finish) { EXPLAIN } else { PATIENCE };
        self.inquiries.push(Inquiry::new(number, purpose));
        let (client, query) = (self.client.clone(), self.query.clone());
        let least = self.live.as_deref().and_then(object::number);
        self.jobs.push(Box::pin(async move {
            let roll = timeout(patience, patient_roll(client, query, least)).await;
            Job::Roll(number, roll.unwrap_or_else(|_| Err(Error::Unreachable(no_list(patience)))))
        }));
    }

    /// Has a list made for one follower.
    pub(super) fn list_for(&mut self, follower: u64) {
        let number = self.next;
        self.next += 1;
        self.followers.expects(follower, number);
        self.inquiries.push(Inquiry::new(number, Purpose::Join { follower, listing: None }));
        let (client, query) = (self.client.clone(), self.query.clone());
        self.jobs.push(Box::pin(async move { Job::List(number, patient_list(client, query).await) }));
    }

    /// Those who have fallen behind go on with a list once they have read what they have.
    pub(super) fn let_read(&mut self, behind: Vec<u64>) {
        for follower in behind {
            if let Some(emptied) = self.followers.emptied(follower) {
                self.jobs.push(Box::pin(async move {
                    emptied.await;
                    Job::Emptied(follower)
                }));
            }
        }
    }
}

/// Why a list beside the watch makes a gap.
fn differs(version: &str, first: &Difference) -> String {
    format!("a list (version {version}) is not what the watch has shown: `{}`: {}", first.object.name, first.say)
}

fn no_list(patience: Duration) -> String {
    format!("no list was to be had within {}", text::duration(patience))
}
