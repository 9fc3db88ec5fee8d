//! A process: brings time and an API server to controllers, and can be killed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock::Clock;

use super::cache::{Cache, Change};
use super::chance::{Chance, Span};
use super::controller::{Runs, Trigger, Watches};
use super::key::Key;
use super::kind::Kind;
use super::queue::Queue;
use super::timing;
use super::watch::{Following, Word, discover};
use super::write::{Act, Pace, Write, request};

/// What a process is given.
#[derive(Clone)]
pub struct Setting {
    /// How it reaches the API server, embedded or real.
    pub client: kube::Client,
    /// The time.
    pub clock: Clock,
    /// Its user agent; the first word is who owns the fields that it writes.
    pub agent: String,
    /// The node it runs on, for events. Empty for none.
    pub host: String,
    /// The seed of its chance; the stream is named by agent and host.
    pub seed: u64,
    /// How long each write takes before it reaches the server. Zero against a real one, which takes its own time.
    pub latency: Span,
}

impl Setting {
    /// A process on a real API server: real time, and no latency but the network's.
    pub fn real(client: kube::Client, agent: &str, seed: u64) -> Self {
        let latency = Span::exactly(Duration::ZERO);
        Self { client, clock: Clock::real(), agent: agent.to_owned(), host: String::new(), seed, latency }
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting").field("agent", &self.agent).field("host", &self.host).finish_non_exhaustive()
    }
}

/// Controllers at work. Dropped, the process is killed: its watches end, its caches and
/// memories are gone, a write that is under way may or may not have been carried out.
#[derive(Debug)]
#[must_use = "a process lives for as long as it is held"]
pub struct Process {
    pump: AbortHandle,
    desks: Arc<Vec<Arc<Desk>>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Makes a process look at something for a reason that the API does not show.
#[derive(Clone, Debug)]
pub struct Bell {
    desks: Arc<Vec<Arc<Desk>>>,
}

impl Bell {
    /// Queues a key of a controller. Nothing happens if there is no such controller, or the process is dead.
    pub fn ring(&self, controller: &str, key: &Key) {
        for desk in self.desks.iter().filter(|desk| desk.name == controller) {
            desk.add([key.clone()]);
        }
    }
}

/// A controller's place in its process.
#[derive(Debug)]
struct Desk {
    name: &'static str,
    triggers: Vec<Trigger>,
    queue: Mutex<Queue>,
    wake: Notify,
}

/// What the tasks of a process share.
#[derive(Debug)]
struct Office {
    setting: Setting,
    cache: Mutex<Cache>,
    /// Rings with everything that is delivered. Who waits is woken in the order of waiting, which
    /// tokio's `watch` does not keep where many wait.
    delivered: Notify,
    /// True once every kind has been listed.
    synced: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    /// Starts controllers that share one cache. Work begins when every watched kind has been listed once.
    pub fn start(setting: Setting, controllers: Vec<Box<dyn Runs>>) -> Self {
        let desks: Vec<Arc<Desk>> = controllers
            .iter()
            .map(|controller| {
                Arc::new(Desk {
                    name: controller.name(),
                    triggers: controller.triggers().to_vec(),
                    queue: Mutex::new(Queue::new(controller.backoff())),
                    wake: Notify::new(),
                })
            })
            .collect();
        let desks = Arc::new(desks);
        let office = Arc::new(Office {
            setting,
            cache: Mutex::default(),
            delivered: Notify::new(),
            synced: AtomicBool::new(false),
        });
        let pump = tokio::spawn(run(office, desks.clone(), controllers)).abort_handle();
        Self { pump, desks }
    }

    /// What makes it look at something out of turn.
    pub fn bell(&self) -> Bell {
        Bell { desks: self.desks.clone() }
    }

    /// Whether it has ended by itself: a bug, since controllers do not end.
    pub fn is_dead(&self) -> bool {
        self.pump.is_finished()
    }
}

impl Desk {
    fn add(&self, keys: impl IntoIterator<Item = Key>) {
        let mut queue = lock(&self.queue);
        for key in keys {
            queue.add(key);
        }
        drop(queue);
        self.wake.notify_one();
    }

    /// Queues what a change of a kind is a reason to look at.
    fn hear(&self, kind: &Kind, change: &Change, cache: &Cache) {
        for trigger in &self.triggers {
            let meant = match &trigger.watches {
                Watches::Kind { kind: own, .. } => own.group == kind.group && own.plural == kind.plural,
                Watches::Everything => true,
            };
            if meant {
                let keys = (trigger.queues)(change, cache);
                if !keys.is_empty() {
                    self.add(keys);
                }
            }
        }
    }
}

/// The whole process: what it spawns ends with it.
async fn run(office: Arc<Office>, desks: Arc<Vec<Arc<Desk>>>, controllers: Vec<Box<dyn Runs>>) {
    let (sender, mut inbox) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    let mut followed: BTreeMap<(String, String), Option<AbortHandle>> = BTreeMap::new();
    let mut missing: Vec<(String, String)> = Vec::new();
    let follow = |kind: &Kind, fields: Option<String>, tasks: &mut JoinSet<()>| {
        let Setting { client, agent, host, seed, .. } = office.setting.clone();
        let chance = Chance::of(seed, &format!("{agent}/{host}/watch/{}/{}", kind.group, kind.plural));
        let following = Following { client, agent, kind: kind.clone(), fields };
        tasks.spawn(following.follow(chance, sender.clone()))
    };
    let name = |kind: &Kind| (kind.group.to_string(), kind.plural.to_string());
    for trigger in desks.iter().flat_map(|desk| &desk.triggers) {
        if let Watches::Kind { kind, fields } = &trigger.watches
            && !followed.contains_key(&name(kind))
        {
            missing.push(name(kind));
            followed.insert(name(kind), None);
            follow(kind, fields.clone(), &mut tasks);
        }
    }
    let everything = desks.iter().flat_map(|desk| &desk.triggers).any(|trigger| trigger.watches == Watches::Everything);
    if everything {
        let Setting { client, agent, .. } = office.setting.clone();
        tasks.spawn(discover(client, agent, sender.clone()));
    }
    for (desk, controller) in desks.iter().zip(controllers) {
        let (events, told) = mpsc::unbounded_channel();
        tasks.spawn(record(office.clone(), desk.name, told));
        tasks.spawn(work(office.clone(), desk.clone(), controller, events));
    }
    office.tell(missing.is_empty());
    while let Some(word) = inbox.recv().await {
        let mut cache = lock(&office.cache);
        let (kind, changes) = match word {
            Word::Listed { kind, revision, objects } => {
                missing.retain(|own| *own != name(&kind));
                let changes = cache.listed(&kind, revision, objects);
                (kind, changes)
            }
            Word::Told { kind, object, deleted } => {
                let change = cache.told(&kind, object, deleted);
                (kind, vec![change])
            }
            Word::Marked { kind, revision } => {
                cache.marked(&kind, revision);
                (kind, Vec::new())
            }
            Word::NotServed { kind } => {
                let changes = cache.dropped(&kind);
                (kind, changes)
            }
            Word::Served { kinds } => {
                drop(cache);
                let names: Vec<_> = kinds.iter().map(name).collect();
                followed.retain(|own, handle| {
                    let stays = names.contains(own) || handle.is_none();
                    if !stays && let Some(handle) = handle {
                        handle.abort();
                    }
                    stays
                });
                for kind in &kinds {
                    followed.entry(name(kind)).or_insert_with(|| Some(follow(kind, None, &mut tasks)));
                }
                continue;
            }
        };
        for change in &changes {
            for desk in desks.iter() {
                desk.hear(&kind, change, &cache);
            }
        }
        drop(cache);
        office.tell(missing.is_empty());
    }
}

/// One controller's life: takes keys from its queue, one at a time.
async fn work(office: Arc<Office>, desk: Arc<Desk>, mut controller: Box<dyn Runs>, recorder: Recorder) {
    let Setting { agent, host, seed, clock, .. } = office.setting.clone();
    let mut hand = Hand {
        office: office.clone(),
        component: desk.name,
        chance: Chance::of(seed, &format!("{agent}/{host}/{}", desk.name)),
        events: BTreeMap::new(),
        recorder,
    };
    let mut owed: BTreeMap<Key, Vec<(Kind, u64)>> = BTreeMap::new();
    office.until(|| office.synced.load(Ordering::Relaxed)).await;
    let mut resync = controller.resync().map(|every| Instant::now() + every);
    loop {
        let now = Instant::now();
        if resync.is_some_and(|at| at <= now) {
            resync = controller.resync().map(|every| now + every);
            look_at_everything(&office, &desk);
        }
        let (next, due) = {
            let mut queue = lock(&desk.queue);
            (queue.next(now), queue.due())
        };
        let Some(key) = next else {
            let due = [due, resync].into_iter().flatten().min();
            let due = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = desk.wake.notified() => {}
                () = due => {}
            }
            continue;
        };
        if let Some(owed) = owed.remove(&key) {
            office.wait_for(&owed).await;
        }
        let round = {
            let cache = lock(&office.cache);
            controller.reconcile(&key, &cache, clock.now())
        };
        let mut written = Vec::new();
        let mut refused = false;
        for together in batches(&round.writes) {
            for (write, answer) in together.iter().zip(hand.perform(together).await) {
                match answer {
                    Ok(Some(revision)) => written.push((write.kind.clone(), revision)),
                    Ok(None) => {}
                    Err(_) => refused = true,
                }
            }
            if refused {
                break;
            }
        }
        if controller.awaits_own_writes() && !written.is_empty() {
            owed.insert(key.clone(), written);
        }
        let now = Instant::now();
        let mut queue = lock(&desk.queue);
        if refused {
            queue.failed(key, now);
        } else {
            queue.succeeded(&key);
            if let Some(again) = round.again {
                // Never at the very same instant: time has to pass for a round to differ from the last.
                queue.add_at(key, now + again.max(Duration::from_millis(1)));
            }
        }
    }
}

fn look_at_everything(office: &Office, desk: &Desk) {
    let cache = lock(&office.cache);
    for trigger in &desk.triggers {
        if let Watches::Kind { kind, .. } = &trigger.watches {
            for object in cache.all(kind) {
                let change = Change { before: Some(object.clone()), after: object.clone(), deleted: false };
                let keys = (trigger.queues)(&change, &cache);
                if !keys.is_empty() {
                    desk.add(keys);
                }
            }
        }
    }
}

impl Office {
    /// Wakes everybody who waits for what was delivered.
    fn tell(&self, synced: bool) {
        if synced {
            self.synced.store(true, Ordering::Relaxed);
        }
        self.delivered.notify_waiters();
    }

    /// Waits until something that deliveries change is so.
    async fn until(&self, holds: impl Fn() -> bool) {
        loop {
            let mut delivered = std::pin::pin!(self.delivered.notified());
            delivered.as_mut().enable();
            if holds() {
                return;
            }
            delivered.await;
        }
    }

    /// Waits until the watches have delivered these writes; as long as client-go's expectations hold at most.
    async fn wait_for(&self, owed: &[(Kind, u64)]) {
        const EXPECTATIONS: Duration = Duration::from_mins(5);
        let seen = || {
            let cache = lock(&self.cache);
            owed.iter().all(|(kind, revision)| cache.revision(kind).is_none_or(|known| known >= *revision))
        };
        let wait = self.until(seen);
        // Later than that the controller works with what it has, as the real ones do.
        let _ = tokio::time::timeout(EXPECTATIONS, wait).await;
    }
}

/// Whether a creation was refused because its namespace is being deleted (`NamespaceTerminatingCause`).
fn is_in_terminating_namespace(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// The events of a controller, on their way to the server one after another.
type Recorder = mpsc::UnboundedSender<http::Request<Vec<u8>>>;

/// Tells a controller's events beside its work, as client-go's recorder does. One that gets lost is lost.
async fn record(office: Arc<Office>, component: &str, mut told: mpsc::UnboundedReceiver<http::Request<Vec<u8>>>) {
    let Setting { client, agent, host, seed, latency, .. } = office.setting.clone();
    let mut chance = Chance::of(seed, &format!("{agent}/{host}/{component}/recorder"));
    while let Some(event) = told.recv().await {
        if latency != Span::exactly(Duration::ZERO) {
            sleep(chance.draw(timing::RECORDED)).await;
        }
        let _ = client.request::<Value>(event).await;
    }
}

/// What of a round's writes is done at once.
fn batches(writes: &[Write]) -> Vec<&[Write]> {
    let mut batches = Vec::new();
    let (mut from, mut size) = (0, 1);
    while from < writes.len() {
        let pace = writes[from].pace;
        let alike = writes[from..].iter().take_while(|write| write.pace == pace).count();
        let goes_on = from > 0 && pace == Pace::SlowStart && writes[from - 1].pace == pace;
        size = if goes_on { size * 2 } else { 1 };
        let end = from
            + match pace {
                Pace::Alone => 1,
                Pace::AtOnce => alike,
                Pace::SlowStart => alike.min(size),
            };
        batches.push(&writes[from..end]);
        from = end;
    }
    batches
}

/// Carries one write out; the answer is what the server says, nothing where a refusal is as good.
async fn ask(
    office: &Office,
    write: &Write,
    latency: Duration,
    request: http::Request<Vec<u8>>,
) -> Result<Option<Value>, kube::Error> {
    let Setting { client, agent, .. } = &office.setting;
    if !latency.is_zero() {
        sleep(latency).await;
    }
    if let Some((path, uid)) = &write.unless {
        match client.request::<Value>(self::request("GET", path, agent, "", Vec::new())).await {
            Ok(object) if object["metadata"]["uid"] == uid.as_str() => return Ok(None),
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    match client.request::<Value>(request).await {
        Ok(object) => Ok(Some(object)),
        Err(kube::Error::Api(status)) if write.forgives(status.code) => Ok(None),
        // In a namespace that is on its way out nothing is made; no controller minds.
        Err(kube::Error::Api(status)) if write.creates() && is_in_terminating_namespace(&status) => Ok(None),
        // An event that gets lost is lost, as with the real recorder.
        Err(_) if matches!(write.act, Act::Event { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What writes for one controller.
struct Hand {
    office: Arc<Office>,
    component: &'static str,
    chance: Chance,
    /// The events told so far, by what they say: the name of each and how often it was told.
    events: BTreeMap<(String, String, String), (Key, u64)>,
    recorder: Recorder,
}

impl Hand {
    /// Carries writes out at once; each answer is the revision that was made, if it says one.
    async fn perform(&mut self, writes: &[Write]) -> Vec<Result<Option<u64>, kube::Error>> {
        let mut wishes = Vec::new();
        for write in writes {
            let latency = (0..=write.questions).map(|_| self.chance.draw(self.office.setting.latency)).sum();
            let request = match write.request(&self.office.setting.agent) {
                Some(request) => request,
                None => self.event(write),
            };
            wishes.push((write, latency, request));
        }
        let office = self.office.clone();
        let asked = wishes.into_iter().map(|(write, latency, request)| ask(&office, write, latency, request));
        let answers = join_all(asked).await;
        let mut revisions = Vec::new();
        for (write, answer) in writes.iter().zip(answers) {
            if let Ok(Some(object)) = &answer
                && let Some(event) = write.told(object["metadata"]["name"].as_str().unwrap_or_default())
            {
                let event = self.event(&event);
                // A recorder that is gone is gone with the whole process.
                let _ = self.recorder.send(event);
            }
            revisions.push(answer.map(|object| {
                let revision = object?["metadata"]["resourceVersion"].as_str()?.parse().ok();
                revision.filter(|_| write.kind != Kind::EVENT)
            }));
        }
        revisions
    }

    /// The request that tells an event, or counts it once more.
    fn event(&mut self, write: &Write) -> http::Request<Vec<u8>> {
        let Act::Event { about, kind, reason, message } = &write.act else {
            unreachable!("only events have no request of their own")
        };
        let setting = &self.office.setting;
        let now = setting.clock.now();
        let text = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let said = (about["uid"].to_string() + &about["fieldPath"].to_string(), reason.clone(), message.clone());
        if let Some((key, count)) = self.events.get_mut(&said) {
            *count += 1;
            let body = json!({"count": *count, "lastTimestamp": text}).to_string();
            let path = Kind::EVENT.object(key);
            return request("PATCH", &path, &setting.agent, "application/strategic-merge-patch+json", body.into());
        }
        let name = about["name"].as_str().unwrap_or_default();
        let namespace = about["namespace"].as_str().filter(|namespace| !namespace.is_empty()).unwrap_or("default");
        // As the real recorder names them, by the nanosecond; the last digits tell apart what is said at once.
        let nanos = u128::try_from(now.as_nanosecond()).unwrap_or_default() + u128::from(self.chance.below(1000));
        let key = Key::new(namespace, format!("{name}.{nanos:x}"));
        self.events.insert(said, (key.clone(), 1));
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": key.name, "namespace": key.namespace},
            "involvedObject": about, "reason": reason, "message": message, "type": kind, "count": 1,
            "source": {"component": self.component, "host": setting.host},
            "firstTimestamp": text, "lastTimestamp": text, "eventTime": null,
            "reportingComponent": self.component, "reportingInstance": setting.host,
        });
        let path = Kind::EVENT.collection(&key.namespace);
        request("POST", &path, &setting.agent, "application/json", event.to_string().into())
    }
}
