//! The data path: processes in instance managers, and what volumes hold. It runs on while no manager does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::internet;
use super::process::{Deed, Instance, Life, Modes, Work};
use super::timing;
use super::wrong::Wrongs;
use crate::clock::Clock;
use crate::sim::{Chance, File, Span, Trouble, Volume};

/// Engines, replicas and contents of all volumes. Clones are the same data path.
#[derive(Clone)]
pub(in crate::sim::longhorn) struct DataPath {
    rooms: Arc<Mutex<Rooms>>,
    clock: Clock,
    seed: u64,
    wrongs: Wrongs,
}

#[derive(Default)]
struct Rooms {
    /// By the name of the instance manager, which is its pod's.
    hosts: BTreeMap<String, Host>,
    /// By the name of the volume.
    contents: BTreeMap<String, Volume>,
    /// Volume and node of what pods have mounted.
    mounted: BTreeSet<(String, String)>,
    /// Which volume is behind a persistent volume.
    bound: BTreeMap<String, String>,
    /// How often each process was started: a stream of chance is named after it.
    starts: BTreeMap<String, u64>,
    /// Replicas that a wrong has made crash, so that it does so once.
    crashed: BTreeSet<String>,
    ports: u64,
}

struct Host {
    uid: String,
    node: String,
    ip: String,
    instances: BTreeMap<String, Instance>,
}

/// An engine, as its manager's monitor sees it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EngineView {
    pub(super) image: String,
    pub(super) addresses: BTreeMap<String, String>,
    pub(super) modes: Modes,
    /// The replica that is being rebuilt.
    pub(super) rebuilding: Option<String>,
    /// Whether it is busy replacing itself.
    pub(super) upgrading: bool,
}

impl fmt::Debug for DataPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rooms = self.lock();
        let instances = rooms.hosts.iter().map(|(name, host)| (name, host.instances.keys().collect::<Vec<_>>()));
        f.debug_map().entries(instances).finish()
    }
}

impl DataPath {
    /// A data path with nothing on it.
    pub(in crate::sim::longhorn) fn new(clock: Clock, seed: u64, wrongs: Wrongs) -> Self {
        Self { rooms: Arc::default(), clock, seed, wrongs }
    }

    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream of chance for something of this name.
    pub(super) fn chance(&self, name: &str) -> Chance {
        Chance::of(self.seed, &format!("longhorn/{name}"))
    }

    pub(super) fn is_wrong(&self, name: &str) -> bool {
        self.wrongs.is_set(name)
    }

    /// An instance manager's container has started.
    pub(super) fn host_up(&self, name: &str, uid: &str, node: &str, ip: &str) {
        let host = Host { uid: uid.to_owned(), node: node.to_owned(), ip: ip.to_owned(), instances: BTreeMap::new() };
        self.lock().hosts.insert(name.to_owned(), host);
    }

    /// It has ended: all that ran in it is gone.
    pub(super) fn host_down(&self, name: &str, uid: &str) {
        let now = self.clock.now();
        let mut rooms = self.lock();
        if rooms.hosts.get(name).is_some_and(|host| host.uid == uid) {
            rooms.hosts.remove(name);
            rooms.settle(now);
        }
    }

    /// Starts a replica's process; nothing happens if it is there.
    pub(super) fn start_replica(&self, manager: &str, name: &str, volume: &str) -> bool {
        self.start(manager, name, timing::REPLICA_START, Work::Replica { volume: volume.to_owned() })
    }

    /// Starts an engine's process with these replicas; nothing happens if it is there.
    pub(super) fn start_engine(
        &self,
        manager: &str,
        name: &str,
        volume: &str,
        image: &str,
        replicas: &BTreeMap<String, String>,
    ) -> bool {
        let work = Work::Engine {
            volume: volume.to_owned(),
            image: image.to_owned(),
            addresses: replicas.clone(),
            modes: replicas.keys().map(|name| (name.clone(), "RW".to_owned())).collect(),
            rebuilding: None,
            upgrade: None,
        };
        self.start(manager, name, timing::ENGINE_START, work)
    }

    fn start(&self, manager: &str, name: &str, span: Span, work: Work) -> bool {
        let now = self.clock.now();
        let mut rooms = self.lock();
        if !rooms.hosts.contains_key(manager) {
            return false;
        }
        let nth = rooms.starts.entry(name.to_owned()).or_default();
        *nth += 1;
        let until = later(now, timing::drawn(&mut self.chance(&format!("{name}/{nth}")), span));
        rooms.ports += 1;
        let port = 10_000 + rooms.ports;
        let host = rooms.hosts.get_mut(manager).expect("it was there a moment ago");
        host.instances.entry(name.to_owned()).or_insert_with(|| Instance {
            work,
            life: Life::Starting { until },
            port,
        });
        rooms.settle(now);
        true
    }

    /// Tells a process to end.
    pub(super) fn stop(&self, manager: &str, name: &str) {
        let now = self.clock.now();
        let mut rooms = self.lock();
        let Some(host) = rooms.hosts.get_mut(manager) else { return };
        let Some(instance) = host.instances.get_mut(name) else { return };
        if matches!(instance.life_at(now), Life::Error { .. }) {
            host.instances.remove(name);
        } else if !matches!(instance.life, Life::Stopping { .. }) {
            let span = if instance.work.is_engine() { timing::ENGINE_STOP } else { timing::REPLICA_STOP };
            let wait = timing::drawn(&mut self.chance(&format!("{name}/stop")), span);
            instance.life = Life::Stopping { until: later(now, wait) };
        }
        rooms.settle(now);
    }

    /// What runs in an instance manager: name, life, address. `None` if it is not up.
    pub(super) fn instances(&self, manager: &str) -> Option<BTreeMap<String, Deed>> {
        let now = self.clock.now();
        let mut rooms = self.lock();
        rooms.settle(now);
        let host = rooms.hosts.get(manager)?;
        let deed = |(name, own): (&String, &Instance)| {
            (name.clone(), Deed { life: own.life_at(now), engine: own.work.is_engine(), port: own.port })
        };
        Some(host.instances.iter().map(deed).collect())
    }

    /// An engine's own account of itself, if it runs.
    pub(super) fn engine(&self, name: &str) -> Option<EngineView> {
        let now = self.clock.now();
        let mut rooms = self.lock();
        rooms.settle(now);
        let (_, instance) = rooms.find(name)?;
        match (&instance.work, instance.life_at(now)) {
            (Work::Engine { image, addresses, modes, rebuilding, upgrade, .. }, Life::Running) => Some(EngineView {
                image: image.clone(),
                addresses: addresses.clone(),
                modes: modes.clone(),
                rebuilding: rebuilding.as_ref().map(|(name, _)| name.clone()),
                upgrading: upgrade.is_some(),
            }),
            _ => None,
        }
    }

    /// Has an engine replace itself by another build, with other processes of its replicas.
    pub(super) fn upgrade_engine(&self, name: &str, image: &str, replicas: &BTreeMap<String, String>) {
        let wait = timing::drawn(&mut self.chance(&format!("{name}/upgrade/{image}")), timing::ENGINE_UPGRADE);
        let until = later(self.clock.now(), wait);
        self.with_engine(name, |work| {
            if let Work::Engine { upgrade: upgrade @ None, image: own, .. } = work
                && own != image
            {
                *upgrade = Some((until, image.to_owned(), replicas.clone()));
            }
        });
    }

    /// Has an engine copy its contents to one more replica. False if it is busy with another.
    pub(super) fn rebuild(&self, engine: &str, replica: &str, address: &str) -> bool {
        let size: u64 = {
            let rooms = self.lock();
            let volume = rooms.find(engine).map(|(_, own)| own.work.volume().to_owned()).unwrap_or_default();
            rooms.contents.get(&volume).map_or(0, |own| own.files().values().map(|file| file.size).sum())
        };
        let copy = Duration::from_secs(size / timing::COPY_PER_SECOND);
        let wait = timing::drawn(&mut self.chance(&format!("{replica}/rebuild")), timing::REBUILD) + copy;
        let until = later(self.clock.now(), wait);
        let mut begun = false;
        self.with_engine(engine, |work| {
            if let Work::Engine { rebuilding: rebuilding @ None, modes, addresses, .. } = work {
                modes.insert(replica.to_owned(), "WO".to_owned());
                addresses.insert(replica.to_owned(), address.to_owned());
                *rebuilding = Some((replica.to_owned(), until));
                begun = true;
            }
        });
        begun
    }

    /// Has an engine forget a replica.
    pub(super) fn forget(&self, engine: &str, replica: &str) {
        self.with_engine(engine, |work| {
            if let Work::Engine { modes, addresses, rebuilding, .. } = work {
                modes.remove(replica);
                addresses.remove(replica);
                rebuilding.take_if(|(name, _)| name == replica);
            }
        });
    }

    fn with_engine(&self, name: &str, act: impl FnOnce(&mut Work)) {
        let now = self.clock.now();
        let mut rooms = self.lock();
        rooms.settle(now);
        let found = rooms.hosts.values_mut().find_map(|host| host.instances.get_mut(name));
        if let Some(instance) = found {
            act(&mut instance.work);
        }
        rooms.settle(now);
    }

    /// Kills a process, such as a replica's. False if there is none of that name.
    pub(in crate::sim::longhorn) fn crash(&self, name: &str) -> bool {
        let now = self.clock.now();
        let mut rooms = self.lock();
        let found = rooms.hosts.values_mut().find_map(|host| host.instances.get_mut(name));
        let there = found.map(|instance| instance.life = Life::Error { message: "exit status 1".to_owned() }).is_some();
        rooms.settle(now);
        there
    }

    /// Kills a process, but each name only once: what a wrong does.
    pub(super) fn crash_once(&self, wrong: &str, name: &str) -> bool {
        let first = self.lock().crashed.insert(wrong.to_owned());
        first && self.crash(name)
    }

    /// Makes a volume's contents; those of an image are its beginning.
    pub(super) fn fill(&self, volume: &str, url: Option<&str>) {
        let mut rooms = self.lock();
        if !rooms.contents.contains_key(volume) {
            let contents = Volume::default();
            for (path, text) in url.map(internet::files).unwrap_or_default() {
                contents.put(path, File::of(text.as_bytes()));
            }
            rooms.contents.insert(volume.to_owned(), contents);
        }
    }

    /// A volume's contents, whether or not anybody can reach them now.
    pub(in crate::sim::longhorn) fn contents(&self, volume: &str) -> Option<Volume> {
        self.lock().contents.get(volume).cloned()
    }

    /// A volume is gone for good, and what it held.
    pub(super) fn erase(&self, volume: &str) {
        if let Some(contents) = self.lock().contents.remove(volume) {
            contents.set_trouble(Some(io_error()));
        }
    }

    /// Mounts a volume's device on a node.
    fn mount(&self, volume: &str, node: &str) -> Result<Volume, String> {
        let now = self.clock.now();
        let mut rooms = self.lock();
        rooms.settle(now);
        let here = rooms.hosts.values().filter(|host| host.node == node).any(|host| host.serves(volume, now));
        let contents = rooms.contents.get(volume).filter(|_| here).cloned();
        let contents = contents.ok_or_else(|| {
            format!("rpc error: code = InvalidArgument desc = volume {volume} hasn't been attached yet")
        })?;
        rooms.mounted.insert((volume.to_owned(), node.to_owned()));
        Ok(contents)
    }

    /// Mounts the device behind a persistent volume for a pod on a node.
    pub(super) fn attached(&self, bound: &str, volume: &str, node: &str) -> Result<Volume, String> {
        let contents = self.mount(volume, node)?;
        self.lock().bound.insert(bound.to_owned(), volume.to_owned());
        Ok(contents)
    }

    /// No pod on the node has the persistent volume mounted any more.
    pub(super) fn detached(&self, bound: &str, node: &str) {
        let mut rooms = self.lock();
        if let Some(volume) = rooms.bound.get(bound).cloned() {
            rooms.mounted.remove(&(volume, node.to_owned()));
        }
    }

    /// Turns a byte of a volume's first file over, and nobody notices: what a wrong does.
    pub(super) fn corrupt(&self, volume: &str) {
        let Some(contents) = self.contents(volume) else { return };
        let Some((path, mut file)) = contents.files().into_iter().next() else { return };
        match &mut file.bytes {
            Some(bytes) if !bytes.is_empty() => {
                bytes[0] ^= 1;
                file = File::of(bytes);
            }
            // Of a large file only the digest is kept: it becomes that of other bytes.
            _ => file.sha256 = crate::sim::sha256(file.sha256.as_bytes()),
        }
        contents.put(&path, file);
    }

    pub(super) fn is_mounted(&self, volume: &str, node: &str) -> bool {
        self.lock().mounted.contains(&(volume.to_owned(), node.to_owned()))
    }

    /// The address of a host's process.
    pub(super) fn address(&self, manager: &str) -> Option<String> {
        self.lock().hosts.get(manager).map(|host| host.ip.clone())
    }
}

impl Host {
    /// Whether an engine in it serves a volume.
    fn serves(&self, volume: &str, now: Timestamp) -> bool {
        self.instances.values().any(|own| own.serves(volume, now))
    }
}

impl Rooms {
    fn find(&self, name: &str) -> Option<(&Host, &Instance)> {
        self.hosts.values().find_map(|host| Some((host, host.instances.get(name)?)))
    }

    /// Brings everything to what it is by now: ends what ends, and lets devices fail that nobody serves.
    fn settle(&mut self, now: Timestamp) {
        for host in self.hosts.values_mut() {
            host.instances.retain(|_, own| !matches!(own.life, Life::Stopping { until } if until <= now));
        }
        let running: BTreeSet<String> = self
            .hosts
            .values()
            .flat_map(|host| host.instances.iter())
            .filter(|(_, own)| !own.work.is_engine() && own.life_at(now) == Life::Running)
            .map(|(name, _)| name.clone())
            .collect();
        for host in self.hosts.values_mut() {
            for own in host.instances.values_mut() {
                own.work.settle(now, &running);
            }
        }
        for (volume, contents) in &self.contents {
            let served = self.hosts.values().any(|host| host.serves(volume, now));
            match contents.trouble() {
                None if !served => contents.set_trouble(Some(io_error())),
                Some(trouble) if served && trouble == io_error() => contents.set_trouble(None),
                _ => {}
            }
        }
    }
}

fn io_error() -> Trouble {
    Trouble::Refuses("Input/output error".to_owned())
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    now + SignedDuration::try_from(wait).expect("waits are short")
}
