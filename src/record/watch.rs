use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use kube::Client;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Error;
use super::desk::Ask;
use super::kind;
use super::object::{Object, ObjectKey, number};
use super::query::Address;
use super::stream::{self, Lines, Trouble, refusal};
use crate::event::Class;
use crate::plan::Query;

/// How long a watch may say nothing before it is opened again from where it was.
/// API servers send a bookmark about every minute
/// (`apiserver/pkg/storage/cacher`, `defaultBookmarkFrequency`).
const SILENCE: Duration = Duration::from_secs(75);

/// The first wait after a failed request; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The longest wait between two tries: what a restarted API server is noticed after.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How long a server that allowed a watch may refuse it after a restart.
const STARTING: Duration = Duration::from_secs(15);

/// What a watch tells those who follow it, in order.
#[derive(Clone, Debug)]
pub(super) enum Update {
    /// All objects as of one version.
    Listed { objects: Vec<Object>, version: String, after_gap: bool },
    /// One version of one object.
    Version { object: Object, deleted: bool },
    /// It can't see for the moment; it goes on trying.
    Broken(String),
    /// It sees again. Nothing was missed.
    Resumed,
    /// The server says no, and will again. The last word.
    Refused(Error),
}

/// Somebody who wants to follow.
pub(super) type Order = mpsc::UnboundedSender<Update>;

/// Serves one query to all who follow it, until nobody does.
pub(super) async fn run(
    client: Client,
    query: Query,
    orders: mpsc::UnboundedReceiver<Order>,
    desk: mpsc::WeakUnboundedSender<Ask>,
) {
    let mut watch = Watch {
        secret: query.resource.group.is_empty() && query.resource.plural == "secrets",
        client,
        query,
        orders,
        followers: Vec::new(),
        listing: FuturesUnordered::new(),
        next: 0,
        listed: false,
        broken: None,
        allowed: false,
        refused: None,
    };
    let Err(Ended(refusal)) = watch.serve().await;
    // Somebody may have asked in this very moment: told the same no, or served by a new watch.
    watch.orders.close();
    while let Some(order) = watch.orders.recv().await {
        match (&refusal, desk.upgrade()) {
            (Some(error), _) => drop(order.send(Update::Refused(error.clone()))),
            (None, Some(desk)) => drop(desk.send(Ask { query: watch.query.clone(), order })),
            (None, None) => {}
        }
    }
}

struct Watch {
    client: Client,
    query: Query,
    secret: bool,
    orders: mpsc::UnboundedReceiver<Order>,
    followers: Vec<Follower>,
    /// Lists made for followers that came after the watch's own list had begun.
    listing: FuturesUnordered<BoxFuture<'static, (u64, Result<Listing, Error>)>>,
    /// The number of the next follower.
    next: u64,
    /// Whether the watch's own list has begun: who comes later gets one for itself.
    listed: bool,
    /// Why it can't see for the moment.
    broken: Option<String>,
    /// Whether it was once allowed to look.
    allowed: bool,
    /// Since when it is not any more.
    refused: Option<Instant>,
}

struct Follower {
    number: u64,
    to: Order,
    standing: Standing,
}

/// What a follower has of the stream.
enum Standing {
    /// Its own list is not there yet; what came since it asked.
    Waiting(Vec<Update>),
    /// It has everything up to this version.
    Live(u64),
}

#[derive(Clone, Debug)]
struct Listing {
    objects: Vec<Object>,
    version: String,
}

impl Listing {
    /// That of a kind which is not served: a full answer, too.
    fn nothing() -> Self {
        Self { objects: Vec::new(), version: "0".to_owned() }
    }
}

/// The watch ends: nobody follows any more, or the server refused.
struct Ended(Option<Error>);

impl Watch {
    async fn serve(&mut self) -> Result<Infallible, Ended> {
        let mut after_gap = false;
        let mut wait = FIRST_WAIT;
        loop {
            self.listed = false;
            let Some(address) = self.locate(after_gap).await? else {
                continue;
            };
            let list = list(self.client.clone(), address.clone(), self.secret);
            let asked = self.begin_list();
            match self.attend(list).await? {
                Ok(listing) => {
                    self.heal();
                    self.announce(&listing, after_gap, asked);
                    self.follow(&address, listing.version).await?;
                    after_gap = true;
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
    async fn locate(&mut self, after_gap: bool) -> Result<Option<Address>, Ended> {
        let mut wait = FIRST_WAIT;
        loop {
            let (client, resource) = (self.client.clone(), self.query.resource.clone());
            let asked = self.next;
            match self.attend(async move { kind::served(&client, &resource).await }).await? {
                Ok(Some(served)) => return Ok(Some(Address::new(&self.query, &served))),
                Ok(None) => {
                    self.listed = true;
                    self.heal();
                    self.announce(&Listing::nothing(), after_gap, asked);
                    (asked..self.next).for_each(|number| self.list_for(number));
                    let (client, resource) = (self.client.clone(), self.query.resource.clone());
                    self.attend(async move { kind::established(&client, &resource).await }).await?;
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

    /// Watches from a version on, resuming, until the server has forgotten it.
    async fn follow(&mut self, address: &Address, mut version: String) -> Result<(), Ended> {
        let mut wait = FIRST_WAIT;
        loop {
            let (client, request) = (self.client.clone(), address.watch(&version));
            let opened = self.attend(async move { stream::lines(&client, request).await }).await?;
            let end = match opened {
                Ok(lines) => {
                    self.heal();
                    self.read(lines, &mut version).await?
                }
                Err(trouble) => Err(trouble),
            };
            match end {
                // A watch ends now and then; it goes on from the version it reached.
                Ok(progress) if progress => wait = FIRST_WAIT,
                Ok(_) => {
                    self.pause(wait).await?;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(Trouble::Gone | Trouble::NotServed) => return Ok(()),
                Err(Trouble::Error(error)) => {
                    self.fail(error)?;
                    self.pause(wait).await?;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// Reads one watch to its end. Says whether it brought anything.
    async fn read(&mut self, mut lines: Lines, version: &mut String) -> Result<Result<bool, Trouble>, Ended> {
        let mut progress = false;
        loop {
            tokio::select! {
                biased;
                order = self.orders.recv() => self.admit(order)?,
                Some((number, listing)) = self.listing.next(), if !self.listing.is_empty() => self.hand_over(number, listing),
                line = tokio::time::timeout(SILENCE, lines.next()) => {
                    let event = match line {
                        // Silence is no trouble of the server's: it is asked again at once.
                        Err(_) => return Ok(Ok(true)),
                        Ok(Ok(None)) => return Ok(Ok(progress)),
                        Ok(Err(error)) => return Ok(Err(error.into())),
                        Ok(Ok(Some(event))) => event,
                    };
                    progress = true;
                    if let Err(trouble) = self.take(event, version) {
                        return Ok(Err(trouble));
                    }
                    self.forget_gone()?;
                }
            }
        }
    }

    /// One event of the watch.
    fn take(&mut self, mut event: Value, version: &mut String) -> Result<(), Trouble> {
        let object = event["object"].take();
        let kind = event["type"].as_str().unwrap_or_default();
        match kind {
            "ADDED" | "MODIFIED" | "DELETED" => {
                let object = Object::read(object, self.secret)
                    .ok_or_else(|| Error::Undecodable("an event's object has no name".to_owned()))?;
                version.clone_from(&object.version);
                self.tell(&Update::Version { object, deleted: kind == "DELETED" });
                Ok(())
            }
            "BOOKMARK" => {
                if let Some(reached) = object["metadata"]["resourceVersion"].as_str() {
                    reached.clone_into(version);
                }
                Ok(())
            }
            "ERROR" => {
                let code = object["code"].as_u64().and_then(|code| u16::try_from(code).ok());
                let status = code
                    .and_then(|code| http::StatusCode::from_u16(code).ok())
                    .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
                Err(refusal(status, object["message"].as_str().unwrap_or("the watch ended with an error").to_owned()))
            }
            other => Err(Error::Undecodable(format!("an event has the type `{other}`")).into()),
        }
    }

    /// Runs some work while taking in followers.
    async fn attend<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Ended> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                order = self.orders.recv() => self.admit(order)?,
                Some((number, listing)) = self.listing.next(), if !self.listing.is_empty() => self.hand_over(number, listing),
                done = &mut work => return Ok(done),
            }
        }
    }

    async fn pause(&mut self, span: Duration) -> Result<(), Ended> {
        self.forget_gone()?;
        self.attend(tokio::time::sleep(span)).await
    }

    fn admit(&mut self, order: Option<Order>) -> Result<(), Ended> {
        let to = order.ok_or(Ended(None))?;
        if let Some(reason) = &self.broken {
            let _ = to.send(Update::Broken(reason.clone()));
        }
        let number = self.next;
        self.next += 1;
        self.followers.push(Follower { number, to, standing: Standing::Waiting(Vec::new()) });
        if self.listed {
            self.list_for(number);
        }
        Ok(())
    }

    /// The watch's own list begins now: it serves those who asked so far.
    fn begin_list(&mut self) -> u64 {
        self.listed = true;
        self.next
    }

    /// Gives a list to all who asked before it began; the others keep it until their own has come.
    fn announce(&mut self, listing: &Listing, after_gap: bool, asked: u64) {
        let update = |after_gap| Update::Listed {
            objects: listing.objects.clone(),
            version: listing.version.clone(),
            after_gap,
        };
        let floor = number(&listing.version).unwrap_or(0);
        for follower in &mut self.followers {
            if follower.number >= asked {
                follower.take(&update(after_gap));
                continue;
            }
            let first = matches!(follower.standing, Standing::Waiting(_));
            follower.standing = Standing::Live(floor);
            let _ = follower.to.send(update(after_gap && !first));
        }
    }

    /// Has a list made for one follower.
    fn list_for(&mut self, number: u64) {
        let (client, query, secret) = (self.client.clone(), self.query.clone(), self.secret);
        self.listing.push(Box::pin(async move { (number, patient_list(client, query, secret).await) }));
    }

    /// A follower's own list has come: it gets that, and what came after it.
    fn hand_over(&mut self, number: u64, listing: Result<Listing, Error>) {
        let waits =
            |follower: &&mut Follower| follower.number == number && matches!(follower.standing, Standing::Waiting(_));
        let Some(follower) = self.followers.iter_mut().find(waits) else {
            return;
        };
        match listing {
            Err(error) => {
                let _ = follower.to.send(Update::Refused(error));
                self.followers.retain(|follower| follower.number != number);
            }
            Ok(Listing { objects, version }) => {
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

    fn tell(&mut self, update: &Update) {
        for follower in &mut self.followers {
            follower.take(update);
        }
    }

    /// Trouble that may pass is told once; a definite no ends the watch.
    fn fail(&mut self, error: Error) -> Result<(), Ended> {
        if !error.passes() && !self.may_pass(&error) {
            for follower in self.followers.drain(..) {
                let _ = follower.to.send(Update::Refused(error.clone()));
            }
            return Err(Ended(Some(error)));
        }
        if self.broken.replace(error.to_string()).is_none() {
            for follower in &self.followers {
                let _ = follower.to.send(Update::Broken(error.to_string()));
            }
        }
        Ok(())
    }

    /// An API server that has just started refuses what it will allow once it has read its rules.
    fn may_pass(&mut self, error: &Error) -> bool {
        self.allowed
            && error.class() == Class::Forbidden
            && self.refused.get_or_insert_with(Instant::now).elapsed() < STARTING
    }

    fn heal(&mut self) {
        self.allowed = true;
        self.refused = None;
        if self.broken.take().is_some() {
            for follower in &self.followers {
                let _ = follower.to.send(Update::Resumed);
            }
        }
    }

    /// Drops followers that have left; without any the watch ends.
    fn forget_gone(&mut self) -> Result<(), Ended> {
        self.followers.retain(|follower| !follower.to.is_closed());
        if self.followers.is_empty() && self.orders.is_empty() { Err(Ended(None)) } else { Ok(()) }
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

/// One list, tried again while the trouble may pass.
async fn patient_list(client: Client, query: Query, secret: bool) -> Result<Listing, Error> {
    let mut wait = FIRST_WAIT;
    loop {
        let trouble = match kind::served(&client, &query.resource).await {
            Ok(Some(served)) => match list(client.clone(), Address::new(&query, &served), secret).await {
                Ok(listing) => return Ok(listing),
                Err(trouble) => trouble,
            },
            Ok(None) => Trouble::NotServed,
            Err(error) => Trouble::Error(error),
        };
        match trouble {
            Trouble::NotServed => return Ok(Listing::nothing()),
            Trouble::Error(error) if !error.passes() => return Err(error),
            Trouble::Gone | Trouble::Error(_) => {}
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// One list, page by page. All pages are of one version, or the server says 410.
async fn list(client: Client, address: Address, secret: bool) -> Result<Listing, Trouble> {
    let mut objects: BTreeMap<ObjectKey, Object> = BTreeMap::new();
    let mut from: Option<String> = None;
    loop {
        let mut page = stream::document(&client, address.list(from.as_deref())).await?;
        let item_kind = page["kind"].as_str().and_then(|kind| kind.strip_suffix("List")).map(str::to_owned);
        let api_version = page["apiVersion"].as_str().map(str::to_owned);
        let Value::Array(items) = page["items"].take() else {
            return Err(Error::Undecodable("a list has no items".to_owned()).into());
        };
        for mut item in items {
            name_kind(&mut item, item_kind.as_deref(), api_version.as_deref());
            let object = Object::read(item, secret)
                .ok_or_else(|| Error::Undecodable("a listed object has no name".to_owned()))?;
            objects.insert(object.key.clone(), object);
        }
        let version = page["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        match page["metadata"]["continue"].as_str() {
            Some(token) if !token.is_empty() => from = Some(token.to_owned()),
            _ => {
                return Ok(Listing { objects: objects.into_values().collect(), version });
            }
        }
    }
}

/// Built-in kinds leave kind and version out of a list's items; an expression should find them either way.
fn name_kind(item: &mut Value, kind: Option<&str>, api_version: Option<&str>) {
    if let Some(item) = item.as_object_mut() {
        for (key, value) in [("kind", kind), ("apiVersion", api_version)] {
            if let Some(value) = value
                && !item.contains_key(key)
            {
                item.insert(key.to_owned(), value.into());
            }
        }
    }
}

/// One list for somebody who does not follow.
pub(super) async fn once(client: Client, query: Query) -> Result<Vec<Object>, Error> {
    let secret = query.resource.group.is_empty() && query.resource.plural == "secrets";
    let Some(served) = kind::served(&client, &query.resource).await? else {
        return Ok(Vec::new());
    };
    match list(client, Address::new(&query, &served), secret).await {
        Ok(listing) => Ok(listing.objects),
        Err(Trouble::NotServed) => Ok(Vec::new()),
        Err(Trouble::Gone) => {
            Err(Error::Unreachable("the list went on for so long that the API server forgot its version".to_owned()))
        }
        Err(Trouble::Error(error)) => Err(error),
    }
}
