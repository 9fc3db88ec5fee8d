use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use kube::Client;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot, watch as signal};
use tokio::time::{Instant, sleep_until, timeout};

use super::desk::Ask;
use super::follower::{Followers, Update};
use super::hold::Standing;
use super::inquiry::{EXPLAIN, Inquiry, Purpose};
use super::ledger::Ledger;
use super::list::{FIRST_WAIT, LONGEST_WAIT, Listing, Roll, is_secret, list, patient_list, patient_roll};
use super::object::{Object, number};
use super::query::Address;
use super::stream::{self, Lines, Trouble, refusal};
use super::walk::{self, Walked};
use super::{Confirmed, Error, kind};
use crate::clock::Elapsed;
use crate::event::{Armed, Class, Difference, How};
use crate::plan::Query;
use crate::text;

/// How long a watch may say nothing before it is opened again from where it was.
/// API servers send a bookmark about every minute
/// (`apiserver/pkg/storage/cacher`, `defaultBookmarkFrequency`).
const SILENCE: Duration = Duration::from_secs(75);

/// A watch that the server ended in an orderly way, as it does every few minutes, and that is open
/// again after this is not called late.
const PROMPT: Duration = Duration::from_millis(250);

/// How long a server that allowed a watch may refuse it after a restart.
const STARTING: Duration = Duration::from_secs(15);

/// How long a list beside the watch is asked for when nobody else waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked of a watch.
pub(super) enum Order {
    /// Somebody wants every version.
    Follow(mpsc::UnboundedSender<Update>),
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
    let seen_at = ledger.now();
    let mut watch = Watch {
        client,
        query,
        orders,
        left,
        ledger,
        followers: Followers::default(),
        holders: Vec::new(),
        jobs: FuturesUnordered::new(),
        inquiries: Vec::new(),
        next: 0,
        listed: false,
        live: None,
        served: None,
        established: false,
        seen_at,
        agreed_at: seen_at,
        blind: None,
        missing: None,
        relist: None,
        access: Access::Unknown,
        ending: false,
    };
    let Err(Ended(refusal)) = watch.serve().await;
    watch.part(refusal.as_ref());
    // Somebody may have asked in this very moment: told the same no, or served by a new watch.
    watch.orders.close();
    while let Some(order) = watch.orders.recv().await {
        match (&refusal, order, desk.upgrade()) {
            (Some(error), Order::Follow(to), _) => drop(to.send(Update::Refused(error.clone()))),
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
struct Watch {
    client: Client,
    query: Query,
    orders: mpsc::UnboundedReceiver<Order>,
    left: broadcast::Receiver<()>,
    ledger: Ledger,
    followers: Followers,
    holders: Vec<Holder>,
    /// Lists made beside the watch.
    jobs: FuturesUnordered<BoxFuture<'static, Job>>,
    inquiries: Vec<Inquiry>,
    /// The number of the next follower, holder or inquiry.
    next: u64,
    /// Whether the watch's own list has begun: who comes later gets one for itself.
    listed: bool,
    /// The version it has reached, once it has been listed.
    live: Option<String>,
    /// Whether the kind was served when it was last looked for.
    served: Option<bool>,
    /// Whether its definition was seen to be established since it was not.
    established: bool,
    /// The last moment at which it surely saw.
    seen_at: Elapsed,
    /// The last moment at which a list had nothing that it had not shown.
    agreed_at: Elapsed,
    /// Since when it has not been seeing, and why.
    blind: Option<Blind>,
    /// From when on versions may be missing: told with the next list.
    missing: Option<Missing>,
    /// Why it has to list anew.
    relist: Option<Missing>,
    access: Access,
    /// The run is over.
    ending: bool,
}

/// Somebody who needs the watch to be live.
struct Holder {
    number: u64,
    to: signal::Sender<Standing>,
}

/// Whether the server lets it look.
#[derive(Clone, Copy)]
enum Access {
    Unknown,
    Granted,
    /// It did, and does not since.
    RefusedSince(Instant),
}

struct Blind {
    from: Elapsed,
    reason: String,
    /// The server ended the watch in an orderly way, and nothing went wrong since.
    orderly: bool,
}

struct Missing {
    from: Elapsed,
    reason: String,
    /// Nothing was missed if the next list is empty.
    unless_empty: bool,
}

/// The outcome of a list made beside the watch.
enum Job {
    List(u64, Result<Listing, Error>),
    Roll(u64, Result<Roll, Error>),
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
struct Ended(Option<Error>);

/// One line of a watch.
#[derive(Deserialize)]
struct Line<'l> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    object: &'l RawValue,
}

/// As much as is needed of a bookmark.
#[derive(Deserialize)]
struct Bookmark {
    metadata: Mark,
}

#[derive(Deserialize)]
struct Mark {
    #[serde(rename = "resourceVersion")]
    version: String,
}

/// An error in the place of an object.
#[derive(Deserialize)]
struct Status {
    code: Option<u16>,
    message: Option<String>,
}

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
                    self.missing = Some(self.follow(&address).await?);
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
                    self.seen_at = now;
                    for number in self.followers.waiting() {
                        self.list_for(number);
                    }
                    let holders: Vec<u64> = self.holders.iter().map(|holder| holder.number).collect();
                    for holder in holders {
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
        self.missing = Some(Missing { from: at, reason, unless_empty: true });
    }

    /// Watches from the version reached on, resuming, until versions may be missing.
    async fn follow(&mut self, address: &Address) -> Result<Missing, Ended> {
        let mut wait = FIRST_WAIT;
        loop {
            if let Some(missing) = self.relist.take() {
                return Ok(missing);
            }
            let reached = self.live.clone().expect("a watch is followed from its list on");
            let (client, request) = (self.client.clone(), address.watch(&reached));
            let opened = self.attend(async move { stream::lines(&client, request).await }).await?;
            let end = match opened {
                Ok(lines) => {
                    self.heal();
                    self.resume();
                    self.read(lines).await?
                }
                Err(trouble) => End::Trouble(trouble),
            };
            match end {
                // A watch ends now and then; it goes on from the version it reached.
                End::Over { progress } => {
                    self.seen_at = self.ledger.now();
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
                    if self.walk(address, &reached).await? {
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
        let mut progress = false;
        let mut silent = Instant::now() + SILENCE;
        loop {
            if let Some(missing) = self.relist.take() {
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
                        Ok(()) => self.seen_at = self.ledger.now(),
                        Err(Trouble::Error(Error::Undecodable(said))) => {
                            return Ok(End::Missed(self.not_understood(&said)));
                        }
                        Err(trouble) => return Ok(End::Trouble(trouble)),
                    }
                    self.conclude();
                    if self.ending {
                        self.is_needed()?;
                    }
                }
                () = sleep_until(silent) => return Ok(End::Silent),
            }
        }
    }

    /// One line of the watch.
    fn take(&mut self, line: &[u8]) -> Result<(), Trouble> {
        let undecodable = |error: serde_json::Error| Trouble::from(Error::Undecodable(error.to_string()));
        let Line { kind, object } = serde_json::from_slice(line).map_err(undecodable)?;
        let how = match kind.as_str() {
            "ADDED" => How::Added,
            "MODIFIED" => How::Modified,
            "DELETED" => How::Deleted,
            "BOOKMARK" => {
                let mark: Bookmark = serde_json::from_str(object.get()).map_err(undecodable)?;
                self.live = Some(mark.metadata.version);
                return Ok(());
            }
            "ERROR" => {
                let status: Status = serde_json::from_str(object.get()).map_err(undecodable)?;
                let code = status.code.and_then(|code| http::StatusCode::from_u16(code).ok());
                let said = status.message.unwrap_or_else(|| "the watch ended with an error".to_owned());
                return Err(refusal(code.unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR), said));
            }
            other => return Err(Error::Undecodable(format!("an event has the type `{other}`")).into()),
        };
        self.bring(Object::read(object.get(), is_secret(&self.query), None)?, how);
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
        self.followers.tell(&Update::Version { object: Arc::new(object), deleted: how == How::Deleted });
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
        if let Some(blind) = self.blind.as_mut().filter(|blind| blind.reason != read) {
            blind.reason = format!("{}; then {read}", blind.reason);
        }
        for (object, how) in changes {
            self.bring(object, how);
        }
        self.live = Some(version);
        Ok(true)
    }

    /// A list of the watch's own is there: what is new in it goes on the tape, then the gap that it
    /// ends, then to those who wait.
    async fn take_list(&mut self, listing: Listing, asked: u64) -> Result<(), Ended> {
        let mut missing = self.missing.take().filter(|missing| !(missing.unless_empty && listing.objects.is_empty()));
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
        self.seen_at = self.ledger.now();
        self.agreed_at = self.seen_at;
        self.blind = None;
        self.relist = None;
        // What was asked to find out is known now.
        self.inquiries.retain(|inquiry| !matches!(inquiry.purpose, Purpose::CatchUp { .. }));
        let version = number(&listing.version).unwrap_or(0);
        for inquiry in &mut self.inquiries {
            inquiry.listed(version, &self.ledger);
        }
        self.followers.announce(&listing, !first && missing.is_some(), asked);
        let armed = Armed { watch: self.ledger.watch(), version: listing.version };
        for holder in self.holders.iter().filter(|holder| holder.number < asked) {
            holder.opened(&armed);
        }
        let later: Vec<u64> =
            self.holders.iter().filter(|holder| holder.number >= asked).map(|holder| holder.number).collect();
        for holder in later {
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
                self.holders.retain(|holder| !holder.to.is_closed());
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

    fn obey(&mut self, order: Option<Order>) -> Result<(), Ended> {
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
                self.holders.push(Holder { number, to });
                if self.listed && self.live.is_some() {
                    self.arm(number);
                }
            }
            Order::Confirm(to) => self.inquire(Purpose::Close(to)),
            Order::StoodStill(still) => {
                let from = Elapsed(self.ledger.now().0.saturating_sub(Elapsed::from(still).0)).max(self.agreed_at);
                if self.live.is_some() && self.blind.is_none() {
                    self.catch_up(from, format!("this process stood still for {}", text::duration(still)));
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

    fn did(&mut self, job: Job) {
        let (number, roll) = match job {
            Job::List(number, listing) => return self.followers.hand_over(number, listing),
            Job::Roll(number, roll) => (number, roll),
        };
        let Some(place) = self.inquiries.iter().position(|inquiry| inquiry.number == number) else { return };
        match roll {
            Ok(roll) => {
                let version = roll.version.clone();
                let inquiry = &mut self.inquiries[place];
                inquiry.answer(roll, &self.ledger);
                if let Purpose::Close(to) = &mut inquiry.purpose {
                    let (gone, _) = oneshot::channel();
                    let confirmed = Confirmed { watch: self.ledger.watch(), version };
                    let _ = std::mem::replace(to, gone).send(Ok(confirmed));
                }
                self.conclude();
            }
            Err(error) => {
                let inquiry = self.inquiries.remove(place);
                match inquiry.purpose {
                    Purpose::Close(to) => drop(to.send(Err(error))),
                    // The watch itself finds out what is the matter.
                    Purpose::Arm(holder) => self.arm(holder),
                    Purpose::CatchUp { from, reason } => self.catch_up(from, reason),
                    Purpose::Finish => {}
                }
            }
        }
    }

    /// Ends every inquiry that has its answer.
    fn conclude(&mut self) {
        // A watch that does not see has not caught up, and can't be armed.
        let sees = self.blind.is_none();
        while let Some(place) = self.inquiries.iter().position(|inquiry| {
            inquiry.agrees() && (sees || matches!(inquiry.purpose, Purpose::Close(_) | Purpose::Finish))
        }) {
            let inquiry = self.inquiries.remove(place);
            let version = inquiry.version().unwrap_or_default().to_owned();
            self.agreed_at = self.ledger.now();
            match inquiry.purpose {
                Purpose::Close(_) | Purpose::Finish => {
                    self.ledger.confirmed(&version, Vec::new());
                    self.ledger.cut_gap();
                }
                Purpose::Arm(number) => {
                    let armed = Armed { watch: self.ledger.watch(), version };
                    if let Some(holder) = self.holders.iter().find(|holder| holder.number == number) {
                        holder.opened(&armed);
                    }
                }
                Purpose::CatchUp { from, reason } => self.ledger.late(from, &reason),
            }
        }
    }

    /// The time for explaining is over for some inquiry.
    fn time_is_over(&mut self) {
        let now = Instant::now();
        while let Some(place) =
            self.inquiries.iter().position(|inquiry| inquiry.until().is_some_and(|until| until <= now))
        {
            let inquiry = self.inquiries.remove(place);
            let differences = inquiry.differences(&self.ledger);
            let version = inquiry.version().unwrap_or_default().to_owned();
            match inquiry.purpose {
                Purpose::Close(_) | Purpose::Finish => {
                    let differ = differences.first().map(|first| differs(&version, first));
                    self.ledger.confirmed(&version, differences);
                    self.ledger.cut_gap();
                    if let Some(reason) = differ {
                        self.list_anew(self.agreed_at, reason);
                    }
                }
                Purpose::Arm(holder) => {
                    match differences.first() {
                        // The holder is armed with the next list.
                        Some(first) if self.blind.is_none() => self.list_anew(self.agreed_at, differs(&version, first)),
                        Some(_) | None => self.arm(holder),
                    }
                }
                Purpose::CatchUp { from, reason } => match differences.first() {
                    Some(first) => self.list_anew(from, format!("{reason}; {}", differs(&version, first))),
                    None => self.catch_up(from, reason),
                },
            }
        }
    }

    /// The watch has not shown all there is: it is left and begins again with a list.
    fn list_anew(&mut self, from: Elapsed, reason: String) {
        if self.ending {
            self.ledger.gap(from, &reason, true);
        } else if self.served == Some(true) {
            self.relist.get_or_insert(Missing { from, reason, unless_empty: false });
        }
    }

    /// The watch stood still or was away: late, once a list shows that it has caught up.
    fn catch_up(&mut self, from: Elapsed, reason: String) {
        self.inquire(Purpose::CatchUp { from, reason });
    }

    fn arm(&mut self, holder: u64) {
        let waits = |held: &Holder| held.number == holder && matches!(*held.to.borrow(), Standing::Opening);
        let asked = |inquiry: &Inquiry| matches!(inquiry.purpose, Purpose::Arm(number) if number == holder);
        if self.holders.iter().any(waits) && !self.inquiries.iter().any(asked) {
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
        self.jobs.push(Box::pin(async move {
            let roll = timeout(patience, patient_roll(client, query)).await;
            Job::Roll(number, roll.unwrap_or_else(|_| Err(Error::Unreachable(no_list(patience)))))
        }));
    }

    /// The stream is open.
    fn resume(&mut self) {
        if let Some(Blind { from, reason, orderly }) = self.blind.take() {
            let away = self.ledger.now().since(from).duration();
            if !orderly || away > PROMPT {
                self.catch_up(from, reason);
            }
        }
        self.conclude();
    }

    /// The stream is not open any more.
    fn lose_sight(&mut self, reason: String, orderly: bool) {
        let mut blind = match self.blind.take() {
            Some(before) if before.orderly => {
                Blind { reason: format!("{}; then {reason}", before.reason), orderly, ..before }
            }
            Some(before) => before,
            None => Blind { from: self.seen_at, reason, orderly },
        };
        // It had not caught up yet: all of that is one spell.
        self.inquiries.retain(|inquiry| match &inquiry.purpose {
            Purpose::CatchUp { from, reason } => {
                blind = Blind { from: blind.from.min(*from), reason: reason.clone(), orderly: false };
                false
            }
            Purpose::Close(_) | Purpose::Arm(_) | Purpose::Finish => true,
        });
        self.blind = Some(blind);
    }

    /// Versions may be missing since it last saw.
    fn missed(&mut self, reason: String) -> Missing {
        // A spell that was not over yet is a part of it.
        self.lose_sight(reason.clone(), false);
        let from = self.blind.take().map_or(self.seen_at, |blind| blind.from);
        Missing { from, reason, unless_empty: false }
    }

    fn not_understood(&mut self, said: &str) -> Missing {
        self.missed(format!("an event of the watch can't be understood: {said}"))
    }

    /// The watch's own list begins now: it serves those who asked so far.
    fn begin_list(&mut self) -> u64 {
        self.listed = true;
        self.next
    }

    /// Has a list made for one follower.
    fn list_for(&mut self, number: u64) {
        let (client, query) = (self.client.clone(), self.query.clone());
        self.jobs.push(Box::pin(async move { Job::List(number, patient_list(client, query).await) }));
    }

    /// Trouble that may pass is told once; a definite no ends the watch.
    fn fail(&mut self, error: Error) -> Result<(), Ended> {
        if !error.passes() && !self.may_pass(&error) {
            return Err(Ended(Some(error)));
        }
        self.followers.broken(&error.to_string());
        Ok(())
    }

    /// An API server that has just started refuses what it will allow once it has read its rules.
    fn may_pass(&mut self, error: &Error) -> bool {
        if error.class() != Class::Forbidden {
            return false;
        }
        match self.access {
            Access::Unknown => false,
            Access::Granted => {
                self.access = Access::RefusedSince(Instant::now());
                true
            }
            Access::RefusedSince(since) => since.elapsed() < STARTING,
        }
    }

    fn heal(&mut self) {
        self.access = Access::Granted;
        self.followers.healed();
    }

    /// Without anybody who needs it the watch ends.
    fn is_needed(&self) -> Result<(), Ended> {
        let asked = |inquiry: &Inquiry| matches!(inquiry.purpose, Purpose::Close(_) | Purpose::Finish);
        let open = self.inquiries.iter().any(asked);
        let held = !self.followers.is_empty() || !self.holders.is_empty() || !self.orders.is_empty();
        if open || (held && !self.ending) { Ok(()) } else { Err(Ended(None)) }
    }

    /// The last words.
    fn part(&mut self, refusal: Option<&Error>) {
        if let Some(missing) =
            self.relist.take().or_else(|| self.missing.take().filter(|missing| !missing.unless_empty))
        {
            self.ledger.gap(missing.from, &missing.reason, true);
        } else if let Some(blind) = self.blind.take() {
            self.ledger.gap(blind.from, &blind.reason, true);
        } else if let Some(error) = refusal.filter(|_| self.live.is_some()) {
            self.ledger.gap(self.seen_at, &error.to_string(), true);
        }
        for inquiry in self.inquiries.drain(..) {
            match (inquiry.purpose, refusal) {
                (Purpose::Close(to), Some(error)) => drop(to.send(Err(error.clone()))),
                (Purpose::CatchUp { from, reason }, _) => self.ledger.late(from, &reason),
                (Purpose::Close(_) | Purpose::Arm(_) | Purpose::Finish, _) => {}
            }
        }
        self.ledger.close();
        if let Some(error) = refusal {
            self.followers.refused(error);
            for holder in self.holders.drain(..) {
                holder.to.send_replace(Standing::Refused(error.clone()));
            }
        }
    }
}

impl Holder {
    /// The watch is live. Only the first time counts: from there on everything was recorded.
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

/// Why a list beside the watch makes a gap.
fn differs(version: &str, first: &Difference) -> String {
    format!("a list (version {version}) is not what the watch has shown: `{}`: {}", first.object.name, first.say)
}

fn no_list(patience: Duration) -> String {
    format!("no list was to be had within {}", text::duration(patience))
}

/// A future that may not be there; then it never ends.
async fn maybe(future: Option<impl Future<Output = ()>>) {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
