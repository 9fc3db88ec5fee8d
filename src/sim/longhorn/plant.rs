//! What exists of Longhorn outside the API: disks, the servers in its pods, what was done wrong on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::internet;
use super::invariant;
use super::server::{self, Servers};
use super::source::{self, Order, Sources};
use super::store::{Content, Deletion, Disks, FileName};
use super::volume::DataPath;
use super::wrong::Wrongs;
use crate::clock::Clock;
use crate::sim::net::{Site, SiteFault};
use crate::sim::{Chance, Internet, Process, Setting, Span};

/// The plant. Clones are the same one; its one lock is held for the length of one call.
#[derive(Clone)]
pub(super) struct Plant {
    floor: Arc<Mutex<Floor>>,
    clock: Clock,
    internet: Internet,
    wrongs: Wrongs,
    volumes: DataPath,
    conscience: Conscience,
}

/// Which invariants were broken. Asked after every event of a run, so it has a lock of its own.
type Conscience = Arc<Mutex<Doubts>>;

#[derive(Default)]
struct Doubts {
    broken: Vec<String>,
    /// Faults were injected, and nothing is asked for.
    excused: bool,
}

struct Floor {
    disks: Disks,
    servers: Servers,
    sources: Sources,
    /// The managers' webhooks that answer, by pod.
    webhooks: BTreeSet<String>,
    /// How often a manager started on each node.
    starts: BTreeMap<String, usize>,
    /// Who looks after them.
    watch: Option<Process>,
    /// The node whose disk stays not ready, if one is to.
    stuck: Option<String>,
    chance: Chance,
}

/// Thousands of bytes a second from pod to pod. The recorded managers were given 5 MB/s: so slow that a
/// large image is still on its way when an upgrade takes its files over.
const COPY: Span = Span::millis(4_000, 7_000);
/// From a backing image manager's start to the beginning of its looks at its files (recorded: they come 0 to 1 s
/// after the seconds of its readiness probe).
const LOOKS: Span = Span::millis(20, 980);
/// From a request to its work: the wait for the end of the try to take the file up looks once a second
/// (backing-image-manager `pkg/sync/service.go`; recorded: begun 1.006 s after the request or later).
const FETCHES: Span = Span::millis(1_004, 1_020);
/// The same of a copy, whose sender is asked then, and sends.
const COPIES: Span = Span::millis(1_040, 1_600);

impl Plant {
    pub(super) fn new(seed: u64, clock: Clock, internet: Internet, wrongs: Wrongs) -> Self {
        let floor = Floor {
            disks: Disks::default(),
            servers: Servers::default(),
            sources: Sources::default(),
            webhooks: BTreeSet::new(),
            starts: BTreeMap::new(),
            watch: None,
            stuck: None,
            chance: Chance::of(seed, "longhorn/plant"),
        };
        let volumes = DataPath::new(clock, seed, wrongs.clone());
        let conscience = Conscience::default();
        Self { floor: Arc::new(Mutex::new(floor)), clock, internet, wrongs, volumes, conscience }
    }

    fn floor(&self) -> MutexGuard<'_, Floor> {
        let mut floor = self.floor.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let Floor { disks, servers, sources, .. } = &mut *floor;
        sources.settle(disks, now);
        servers.settle(disks, now);
        floor
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What is done wrong on purpose.
    pub(super) fn wrongs(&self) -> &Wrongs {
        &self.wrongs
    }

    /// Engines, replicas, and what volumes hold.
    pub(super) fn volumes(&self) -> &DataPath {
        &self.volumes
    }

    /// The disks as they are now.
    pub(super) fn disks(&self) -> Disks {
        self.floor().disks.clone()
    }

    /// The finished files that were deleted, from the n-th on.
    pub(super) fn deletions_from(&self, first: usize) -> Vec<Deletion> {
        self.floor().disks.deletions.iter().skip(first).cloned().collect()
    }

    /// Has the invariants looked after, from the first manager's start on.
    pub(super) fn look_after(&self, setting: Setting) {
        let mut floor = self.floor();
        if floor.watch.is_none() {
            let setting = Setting { agent: "longhorn-invariants".to_owned(), host: String::new(), ..setting };
            floor.watch = Some(Process::start(setting, vec![invariant::controller(self)]));
        }
    }

    fn doubts(&self) -> MutexGuard<'_, Doubts> {
        self.conscience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An invariant is broken. Where something is done wrong on purpose, none is asked for.
    pub(super) fn broke(&self, what: String) {
        let mut doubts = self.doubts();
        if !doubts.excused && !self.wrongs.any() {
            doubts.broken.push(what);
        }
    }

    /// Asks for no invariants from now on.
    pub(super) fn excuse(&self) {
        self.doubts().excused = true;
    }

    /// The invariants that were broken so far.
    pub(super) fn broken(&self) -> Vec<String> {
        self.doubts().broken.clone()
    }

    /// A manager's webhook answers from now on.
    pub(super) fn webhook_up(&self, pod: &str) {
        self.floor().webhooks.insert(pod.to_owned());
    }

    /// Whether any manager's webhook answers.
    pub(super) fn webhook_is_up(&self) -> bool {
        !self.floor().webhooks.is_empty()
    }

    /// A manager's controllers start on a node.
    pub(super) fn manager_started(&self, node: &str) {
        *self.floor().starts.entry(node.to_owned()).or_default() += 1;
    }

    /// How often managers were started again.
    pub(super) fn restarts(&self) -> usize {
        self.floor().starts.values().map(|starts| starts.saturating_sub(1)).sum()
    }

    /// Whether this is the node whose disk stays not ready: the first that is asked for.
    pub(super) fn is_stuck(&self, node: &str) -> bool {
        self.floor().stuck.get_or_insert_with(|| node.to_owned()) == node
    }

    /// A manager's webhook answers no more. True if it was the last one.
    pub(super) fn webhook_down(&self, pod: &str) -> bool {
        let mut floor = self.floor();
        floor.webhooks.remove(pod) && floor.webhooks.is_empty()
    }

    /// A backing image manager's pod starts.
    pub(super) fn server_starts(&self, pod: &str, disk: &str) {
        let mut floor = self.floor();
        let looks = self.clock.now() + SignedDuration::try_from(floor.chance.draw(LOOKS)).unwrap_or_default();
        floor.servers.start(pod, disk, looks);
    }

    /// It ends.
    pub(super) fn server_ends(&self, pod: &str) {
        let mut floor = self.floor();
        let Floor { disks, servers, .. } = &mut *floor;
        servers.stop(pod, disks, self.clock.now());
    }

    /// What a backing image manager's server says of its files.
    pub(super) fn served(&self, pod: &str) -> BTreeMap<String, server::Told> {
        self.floor().servers.files(pod, self.clock.now())
    }

    /// When it next looks at its files after that has changed by itself.
    pub(super) fn served_next(&self, pod: &str) -> Option<Timestamp> {
        self.floor().servers.next(pod, self.clock.now())
    }

    /// When it next looks at its files.
    pub(super) fn next_look(&self, pod: &str) -> Option<Timestamp> {
        self.floor().servers.next_look(pod, self.clock.now())
    }

    /// Its last look at its files, and what it saw: of a change it tells whoever watches it then.
    pub(super) fn looked(&self, pod: &str) -> Option<(Timestamp, BTreeMap<String, server::Told>)> {
        self.floor().servers.looked(pod, self.clock.now())
    }

    /// How many transfers come in at a server.
    pub(super) fn receiving(&self, pod: &str) -> usize {
        self.floor().servers.receiving(pod, self.clock.now())
    }

    /// Has a server take up the file on its disk, or a data source's work file.
    pub(super) fn fetch(&self, pod: &str, file: &FileName, checksum: &str, source: Option<&str>) {
        let now = self.clock.now();
        let mut floor = self.floor();
        let Floor { disks, servers, sources, chance, .. } = &mut *floor;
        let work = source.and_then(|source| sources.fetch(source, now));
        let begins = now + SignedDuration::try_from(chance.draw(FETCHES)).unwrap_or_default();
        servers.fetch(pod, disks, file, checksum, work, begins, now);
    }

    /// Has a server get a file from another one.
    pub(super) fn sync(&self, pod: &str, file: &FileName, from: &str, content: Content) {
        let now = self.clock.now();
        let mut floor = self.floor();
        let Floor { disks, servers, chance, .. } = &mut *floor;
        let speed = u64::try_from(chance.draw(COPY).as_millis()).unwrap_or(5_000).saturating_mul(1000);
        let begins = now + SignedDuration::try_from(chance.draw(COPIES)).unwrap_or_default();
        servers.sync(pod, disks, file, from, content, speed, begins, now);
    }

    /// Has a server delete a file.
    pub(super) fn delete(&self, pod: &str, file: &FileName, why: &'static str) {
        let mut floor = self.floor();
        let Floor { disks, servers, .. } = &mut *floor;
        servers.delete(pod, disks, file, self.clock.now(), why);
    }

    /// A file goes without any server: what only a wrong does.
    pub(super) fn destroy(&self, disk: &str, file: &FileName, why: &'static str) {
        self.floor().disks.delete(disk, file, self.clock.now(), why);
    }

    /// The data source's work file goes.
    pub(super) fn drop_work(&self, disk: &str, file: &FileName) {
        self.floor().disks.drop_partial(disk, file);
    }

    /// A data source's pod starts to prepare what is at an address.
    pub(super) fn source_starts(&self, pod: &str, disk: &str, file: FileName, url: &str, checksum: &str) {
        let site = match self.internet.answer(url) {
            Some(Site { fault: Some(SiteFault::Status(code)), .. }) => {
                Err(format!("failed to get file info from {url}: expected status code 200, got {code}"))
            }
            Some(Site { fault: Some(SiteFault::Breaks(_)), .. }) => {
                Err(format!("failed to download {url}: unexpected EOF"))
            }
            Some(site) => {
                let content = Content {
                    size: site.bytes,
                    virtual_size: internet::virtual_size(url).unwrap_or(site.bytes),
                    sha512: site.sha512.clone(),
                };
                Ok((content, site.latency, site.speed))
            }
            None => Err(format!("failed to get file info from {url}: dial tcp: lookup: no such host")),
        };
        let order = Order { disk: disk.to_owned(), file, checksum: checksum.to_owned(), site };
        self.floor().sources.start(pod, order, self.clock.now());
    }

    /// It ends.
    pub(super) fn source_ends(&self, pod: &str) {
        self.floor().sources.stop(pod);
    }

    /// What a data source says.
    pub(super) fn source(&self, pod: &str) -> Option<source::Told> {
        self.floor().sources.told(pod, self.clock.now())
    }

    /// A number by chance, below another.
    pub(super) fn below(&self, end: usize) -> usize {
        usize::try_from(self.floor().chance.below(end as u64)).unwrap_or_default()
    }

    /// Hexadecimal digits by chance.
    pub(super) fn hex(&self, digits: usize) -> String {
        self.floor().chance.hex(digits)
    }
}
