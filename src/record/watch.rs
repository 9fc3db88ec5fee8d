use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use kube::Client;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot, watch as signal};
use tokio::time::{Instant, sleep_until};

use super::access::Access;
use super::aside::Job;
use super::desk::Ask;
use super::follower::{Followers, Update};
use super::hold::Standing;
use super::holders::Holders;
use super::inquiry::{Inquiry, Purpose};
use super::ledger::Ledger;
use super::line::Told;
use super::list::{FIRST_WAIT, LONGEST_WAIT, Listing, is_secret, list};
use super::mailbox::Mailbox;
use super::object::{Object, number};
use super::query::Address;
use super::sight::{Missing, Sight, Spell};
use super::stream::{self, Lines, Trouble};
use super::walk::{self, Walked};
use super::{Confirmed, Error, kind};
use crate::clock::Elapsed;
use crate::event::{Armed, How};
use crate::plan::Query;
use crate::text;

/// How long a watch may say nothing before it is opened again from where it was.
/// API servers send a bookmark about every minute
/// (`apiserver/pkg/storage/cacher`, `defaultBookmarkFrequency`).
const SILENCE: Duration = Duration::from_secs(75);

/// How long a stream that was opened again after trouble may show nothing before it is believed.
/// A server that has forgotten the version says so in its first line, at once.
const PROOF: Duration = Duration::from_secs(1);

/// What is asked of a watch.
pub(super) enum Order {
    /// Somebody wants every version.
    Follow(Mailbox),
    /// Somebody wants it to be live.
    Hold(signal::Sender<Standing>),
    /// A window closes.
    Confirm(oneshot::Sender<Result<Confirmed, Error>>),
    /// This process stood still for so long.
    StoodStill(Duration),
    /// The run is over.
    Finish,
}

impl Order {
    /// Whether a watch is opened for it.
    pub(super) fn opens(&self) -> bool {
        matches!(self, Self::Follow(_) | Self::Hold(_))
    }
}

/// What a watch begins with.
pub(super) struct Opening {
    pub(super) client: Client,
    pub(super) query: Query,
    pub(super) ledger: Ledger,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) desk: mpsc::WeakUnboundedSender<Ask>,
    pub(super) left: broadcast::Receiver<()>,
}

/// Serves one query to all who need it, until nobody does.
pub(super) async fn run(opening: Opening) {
    let Opening { client, query, ledger, orders, desk, left } = opening;
    let sight = Sight::new(ledger.now());
    let mut watch = Watch {
        client,
        query,
        orders,
        left,
        ledger,
        followers: Followers::default(),
        holders: Holders::default(),
        jobs: FuturesUnordered::new(),
        inquiries: Vec::new(),
        next: 0,
        listed: false,
        live: None,
        served: None,
        established: false,
        sight,
        access: Access::Unknown,
        forgotten: None,
        ending: false,
    };
    let Err(Ended(refusal)) = watch.serve().await;
    watch.part(refusal.as_ref());
    // Somebody may have asked in this very moment: told the same no, or served by a new watch.
    watch.orders.close();
    while let Some(order) = watch.orders.recv().await {
        match (&refusal, order, desk.upgrade()) {
            (Some(error), Order::Follow(to), _) => to.force(Update::Refused(error.clone())),
            (Some(error), Order::Hold(to), _) => drop(to.send(Standing::Refused(error.clone()))),
            (None, order, Some(desk)) if order.opens() => drop(desk.send(Ask { query: watch.query.clone(), order })),
            (_, _, _) => {}
        }
    }
}

/// One list and watch, with all who need it.
///
/// It is *live* while it shows what happens: a stream is open, or the kind is not served and
/// its definition is being watched. What happened to it otherwise is told on the tape:
///
/// | what | told as | from | to |
/// |---|---|---|---|
/// | it ended and was open again at once | nothing | | |
/// | it ended, broke or was silent, and was resumed | late | its end if orderly, else its last line | a list beside it shows nothing new |
/// | the same, and the server's cache did not reach back (410), but the store did | late | its last line | the same |
/// | this process stood still | late | the last beat | the same |
/// | 410, a line that can't be understood, the kind was gone | gap | its last line | the next list |
/// | a list beside it has what it never showed | gap | the last list that agreed | the next list |
/// | a kind came to be served, with objects already in its first list | gap | the definition was established | that list |
pub(super) struct Watch {
    pub(super) client: Client,
    pub(super) query: Query,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) left: broadcast::Receiver<()>,
    pub(super) ledger: Ledger,
    pub(super) followers: Followers,
    pub(super) holders: Holders,
    /// Lists made beside the watch.
    pub(super) jobs: FuturesUnordered<BoxFuture<'static, Job>>,
    pub(super) inquiries: Vec<Inquiry>,
    /// The number of the next follower, holder or inquiry.
    pub(super) next: u64,
    /// Whether the watch's own list has begun: who comes later gets one for itself.
    pub(super) listed: bool,
    /// The version it has reached, once it has been listed.
    pub(super) live: Option<String>,
    /// Whether the kind was served when it was last looked for.
    pub(super) served: Option<bool>,
    /// Whether its definition was seen to be established since it was not.
    pub(super) established: bool,
    pub(super) sight: Sight,
    pub(super) access: Access,
    /// The version that the server forgot right after it had said it, the last time that it forgot one.
    pub(super) forgotten: Option<String>,
    /// The run is over.
    pub(super) ending: bool,
}

/// How one stream ended.
enum End {
    /// The server ended it. Whether it had brought anything.
    Over { progress: bool },
    /// Nothing came for too long.
    Silent,
    /// A line can't be understood, or a list beside it differs.
    Missed(Missing),
    /// The server said something, or the connection broke.
    Trouble(Trouble),
}

/// The watch ends: nobody needs it any more, or the server refused.
pub(super) struct Ended(pub(super) Option<Error>);

impl Watch {
    async fn serve(&mut self) -> Result<Infallible, Ended> {
        let mut wait = FIRST_WAIT;
        loop {
            self.listed = false;
            let Some(address) = self.locate().await? else {
                continue;
            };
            let asked = self.begin_list();
            match self.attend(list(self.client.clone(), address.clone(), is_secret(&self.query))).await? {
                Ok(listing) => {
                    self.heal();
                    self.take_list(listing, asked).await?;
                    self.sight.missing = Some(self.follow(&address).await?);
                    wait = FIRST_WAIT;
                    continue;
                }
                // The kind went away between two requests, or the list took so long that it was forgotten.
                Err(Trouble::NotServed | Trouble::Gone) => {}
                Err(Trouble::Error(error)) => self.fail(error)?,
            }
            self.pause(wait).await?;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// How the kind is served. While it is not, its selection is empty, and that is a full answer.
    async fn locate(&mut self) -> Result<Option<Address>, Ended> {
        let mut wait = FIRST_WAIT;
        loop {
            let (client, resource) = (self.client.clone(), self.query.resource.clone());
            let (asked, now) = (self.next, self.ledger.now());
            match self.attend(async move { kind::served(&client, &resource).await }).await? {
                Ok(Some(served)) => {
                    self.served = Some(true);
                    self.established = false;
                    return Ok(Some(Address::new(&self.query, &served)));
                }
                Ok(None) => {
                    self.heal();
                    self.listed = true;
                    if self.served.replace(false) != Some(false) {
                        self.take_list(Listing::nothing(), asked).await?;
                    }
                    self.sight.saw(now);
                    for number in self.followers.waiting() {
                        self.list_for(number);
                    }
                    for holder in self.holders.since(0) {
                        self.arm(holder);
                    }
                    if !self.established {
                        self.not_served_until(now);
                    }
                    let (client, resource) = (self.client.clone(), self.query.resource.clone());
                    if self.attend(async move { kind::established(&client, &resource).await }).await? {
                        self.established = true;
                        self.not_served_until(self.ledger.now());
                    }
                    return Ok(None);
                }
                Err(error) => {
                    self.fail(error)?;
                    self.pause(wait).await?;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// Until this moment the kind was surely not served: what its first list has was missed from here on.
    fn not_served_until(&mut self, at: Elapsed) {
        let reason = format!("`{}` came to be served, and its first list was not empty", self.query.resource);
        self.sight.missing = Some(Missing { from: at, reason, unless_empty: true });
    }

    /// Watches from the version reached on, resuming, until versions may be missing.
    async fn follow(&mut self, address: &Address) -> Result<Missing, Ended> {
        let mut wait = FIRST_WAIT;
        let mut fresh = self.live.clone();
        loop {
            if let Some(missing) = self.sight.relist.take() {
                return Ok(missing);
            }
            let reached = self.live.clone().expect("a watch is followed from its list on");
            let (client, request) = (self.client.clone(), address.watch(&reached));
            let opened = self.attend(async move { stream::lines(&client, request).await }).await?;
            let end = match opened {
                Ok(lines) => {
                    self.heal();
                    self.read(lines).await?
                }
                Err(trouble) => End::Trouble(trouble),
            };
            match end {
                // A watch ends now and then; it goes on from the version it reached.
                End::Over { progress } => {
                    self.sight.saw(self.ledger.now());
                    self.lose_sight("the API server ended the watch".to_owned(), true);
                    if progress {
                        wait = FIRST_WAIT;
                    } else {
                        self.pause(wait).await?;
                        wait = (wait * 2).min(LONGEST_WAIT);
                    }
                }
                End::Silent => {
                    let silence = text::duration(SILENCE);
                    self.lose_sight(format!("nothing came for {silence}, not even a bookmark"), false);
                }
                End::Missed(missing) => return Ok(missing),
                End::Trouble(Trouble::Gone) => {
                    // A server that forgets what it has just said will do so again.
                    let at_once = fresh.clone().filter(|fresh| *fresh == reached);
                    let again = at_once.is_some();
                    if std::mem::replace(&mut self.forgotten, at_once).is_some() && again {
                        self.pause(wait).await?;
                        wait = (wait * 2).min(LONGEST_WAIT);
                    }
                    if self.walk(address, &reached).await? {
                        fresh = self.live.clone();
                        continue;
                    }
                    return Ok(self.missed(format!("the API server had forgotten version {reached} (410 Gone)")));
                }
                End::Trouble(Trouble::NotServed) => {
                    return Ok(self.missed(format!("`{}` was not served any more", self.query.resource)));
                }
                End::Trouble(Trouble::Error(error)) => {
                    self.lose_sight(error.to_string(), false);
                    self.fail(error)?;
                    self.pause(wait).await?;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// Reads one stream to its end.
    async fn read(&mut self, mut lines: Lines) -> Result<End, Ended> {
        let opened = self.ledger.now();
        let mut proof = self.sight.wants_proof().then(|| Instant::now() + PROOF);
        if proof.is_none() {
            self.resume(opened);
        }
        let mut progress = false;
        let mut silent = Instant::now() + SILENCE;
        loop {
            if let Some(missing) = self.sight.relist.take() {
                return Ok(End::Missed(missing));
            }
            tokio::select! {
                biased;
                turned = self.turn() => turned?,
                line = lines.next() => {
                    let line = match line {
                        Ok(None) => return Ok(End::Over { progress }),
                        Ok(Some(line)) => line,
                        Err(Error::Undecodable(said)) => return Ok(End::Missed(self.not_understood(&said))),
                        Err(error) => return Ok(End::Trouble(error.into())),
                    };
                    progress = true;
                    silent = Instant::now() + SILENCE;
                    match self.take(&line) {
                        Ok(()) => self.sight.saw(self.ledger.now()),
                        Err(Trouble::Error(Error::Undecodable(said))) => {
                            return Ok(End::Missed(self.not_understood(&said)));
                        }
                        Err(trouble) => return Ok(End::Trouble(trouble)),
                    }
                    if proof.take().is_some() {
                        self.resume(opened);
                    }
                    self.conclude();
                    if self.ending {
                        self.is_needed()?;
                    }
                }
                () = maybe(proof.map(sleep_until)) => {
                    proof = None;
                    self.resume(opened);
                }
                () = sleep_until(silent) => return Ok(End::Silent),
            }
        }
    }

    /// One line of the watch.
    fn take(&mut self, line: &[u8]) -> Result<(), Trouble> {
        match Told::read(line, is_secret(&self.query))? {
            Told::Version(object, how) => self.bring(*object, how),
            Told::Reached(version) => self.live = Some(version),
        }
        Ok(())
    }

    /// One version.
    fn bring(&mut self, object: Object, how: How) {
        self.live = Some(object.version.clone());
        // First the tape, then those who may act on it.
        self.ledger.saw(&object, how);
        for inquiry in &mut self.inquiries {
            inquiry.saw(&object.key, object.number(), &self.ledger);
        }
        let behind = self.followers.tell(&Update::Version { object: Arc::new(object), deleted: how == How::Deleted });
        self.let_read(behind);
    }

    /// The server does not serve a watch from the version reached: whether every version since could be
    /// read one by one instead.
    async fn walk(&mut self, address: &Address, reached: &str) -> Result<bool, Ended> {
        let Some(from) = number(reached) else { return Ok(false) };
        if self.ledger.len() > walk::OBJECTS || self.ledger.behind_since().is_some() {
            return Ok(false);
        }
        let (client, secret) = (self.client.clone(), is_secret(&self.query));
        let walk = walk::walk(client, address.clone(), secret, self.ledger.known(), from);
        let Some(Walked { changes, version, steps }) = self.attend(walk).await? else { return Ok(false) };
        let read = format!(
            "the API server's cache did not reach back to version {reached} (410 Gone), and {} of the store since then {} read one by one",
            text::count(usize::try_from(steps).unwrap_or(usize::MAX), "version"),
            if steps == 1 { "was" } else { "were" },
        );
        self.lose_sight(read.clone(), false);
        self.sight.add(&read);
        for (object, how) in changes {
            self.bring(object, how);
        }
        self.live = Some(version);
        Ok(true)
    }

    /// A list of the watch's own is there: what is new in it goes on the tape, then the gap that it
    /// ends, then to those who wait.
    async fn take_list(&mut self, listing: Listing, asked: u64) -> Result<(), Ended> {
        let mut missing =
            self.sight.missing.take().filter(|missing| !(missing.unless_empty && listing.objects.is_empty()));
        if let Some(from) = self.ledger.behind_since() {
            let reason = "the journal could not keep up, and versions were left out".to_owned();
            let before = missing.get_or_insert(Missing { from, reason, unless_empty: false });
            before.from = before.from.min(from);
        }
        let changed = self.ledger.differs(&listing.objects);
        for object in &listing.objects {
            while !self.ledger.listed(object) {
                let drained = self.ledger.drained();
                self.attend(drained).await?;
            }
        }
        self.ledger.complete(&listing.objects, &listing.version, listing.served);
        if let Some(missing) = &missing {
            self.ledger.gap(missing.from, &missing.reason, changed);
        }
        let first = self.live.replace(listing.version.clone()).is_none();
        self.sight.listed(self.ledger.now());
        // What was asked to find out is known now.
        self.inquiries.retain(|inquiry| !matches!(inquiry.purpose, Purpose::CatchUp(_)));
        let version = number(&listing.version).unwrap_or(0);
        for inquiry in &mut self.inquiries {
            inquiry.listed(version, &self.ledger);
        }
        let behind = self.followers.announce(&listing, !first && missing.is_some(), asked);
        self.let_read(behind);
        let armed = Armed { watch: self.ledger.watch(), version: listing.version };
        self.holders.open_before(asked, &armed);
        for holder in self.holders.since(asked) {
            self.arm(holder);
        }
        self.conclude();
        Ok(())
    }

    /// Runs some work while taking in orders.
    async fn attend<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Ended> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                turned = self.turn() => turned?,
                done = &mut work => return Ok(done),
            }
        }
    }

    async fn pause(&mut self, span: Duration) -> Result<(), Ended> {
        self.attend(tokio::time::sleep(span)).await
    }

    /// Waits for the next thing beside the stream, and does it. Nothing is lost when this is dropped and called again.
    async fn turn(&mut self) -> Result<(), Ended> {
        let until = self.inquiries.iter().filter_map(Inquiry::until).min();
        let drained = self.ledger.behind_since().map(|_| self.ledger.drained());
        tokio::select! {
            biased;
            order = self.orders.recv() => self.obey(order),
            Some(job) = self.jobs.next(), if !self.jobs.is_empty() => {
                self.did(job);
                self.is_needed()
            }
            Ok(()) | Err(RecvError::Lagged(_)) = self.left.recv() => {
                self.followers.forget_gone();
                self.holders.forget_gone();
                self.is_needed()
            }
            () = maybe(drained) => {
                let reached = self.live.clone().unwrap_or_default();
                self.ledger.catch_up(&reached);
                Ok(())
            }
            () = maybe(until.map(sleep_until)) => {
                self.time_is_over();
                self.is_needed()
            }
        }
    }

    /// The stream is open since then.
    fn resume(&mut self, opened: Elapsed) {
        if let Some(spell) = self.sight.regain(opened) {
            self.catch_up(spell);
        }
        self.conclude();
    }

    /// The stream is not open any more.
    fn lose_sight(&mut self, reason: String, orderly: bool) {
        let (before, others) = std::mem::take(&mut self.inquiries)
            .into_iter()
            .partition::<Vec<_>, _>(|inquiry| matches!(inquiry.purpose, Purpose::CatchUp(_)));
        self.inquiries = others;
        // It had not caught up yet: all of that is one spell.
        let spells = before.into_iter().filter_map(|inquiry| match inquiry.purpose {
            Purpose::CatchUp(spell) => Some(spell),
            Purpose::Close(_) | Purpose::Arm(_) | Purpose::Join { .. } | Purpose::Finish => None,
        });
        self.sight.lose(reason, orderly, spells.collect());
    }

    /// Versions may be missing since it last saw.
    fn missed(&mut self, reason: String) -> Missing {
        // A spell that was not over yet is a part of it.
        self.lose_sight(reason.clone(), false);
        Missing { from: self.sight.missed(), reason, unless_empty: false }
    }

    fn not_understood(&mut self, said: &str) -> Missing {
        self.missed(format!("an event of the watch can't be understood: {said}"))
    }

    /// The watch's own list begins now: it serves those who asked so far.
    fn begin_list(&mut self) -> u64 {
        self.listed = true;
        self.next
    }

    /// Trouble that may pass is told once; a definite no ends the watch.
    fn fail(&mut self, error: Error) -> Result<(), Ended> {
        if !self.access.may_return(&error) {
            return Err(Ended(Some(error)));
        }
        self.followers.broken(&error.to_string());
        Ok(())
    }

    fn heal(&mut self) {
        self.access = Access::Granted;
        self.followers.healed();
    }

    /// Without anybody who needs it the watch ends.
    pub(super) fn is_needed(&self) -> Result<(), Ended> {
        let asked = |inquiry: &Inquiry| matches!(inquiry.purpose, Purpose::Close(_) | Purpose::Finish);
        let open = self.inquiries.iter().any(asked);
        let held = !self.followers.is_empty() || !self.holders.is_empty() || !self.orders.is_empty();
        if open || (held && !self.ending) { Ok(()) } else { Err(Ended(None)) }
    }

    /// The last words.
    fn part(&mut self, refusal: Option<&Error>) {
        if let Some(Spell { from, reason }) = self.sight.left() {
            self.ledger.gap(from, &reason, true);
        } else if let Some(error) = refusal.filter(|_| self.live.is_some()) {
            self.ledger.gap(self.sight.seen_at(), &error.to_string(), true);
        }
        for inquiry in self.inquiries.drain(..) {
            match (inquiry.purpose, refusal) {
                (Purpose::Close(to), Some(error)) => drop(to.send(Err(error.clone()))),
                (Purpose::CatchUp(Spell { from, reason }), _) => self.ledger.late(from, &reason),
                (Purpose::Close(_) | Purpose::Arm(_) | Purpose::Join { .. } | Purpose::Finish, _) => {}
            }
        }
        self.ledger.close();
        if let Some(error) = refusal {
            self.followers.refused(error);
            self.holders.refused(error);
        }
    }
}

/// A future that may not be there; then it never ends.
async fn maybe(future: Option<impl Future<Output = ()>>) {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
