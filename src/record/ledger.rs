use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::object::{Object, ObjectKey, parsed};
use super::patch::merge_patch;
use super::tape::{Taken, Tape, weight};
use crate::clock::{Clock, Elapsed};
use crate::event::{Body, Difference, EventKind, How, ObjectName, Seen, WatchId, Watched};

/// What one watch has said to the journal, and the last version of each object that it has seen.
///
/// | state | a version comes | the tape is drained |
/// |---|---|---|
/// | level | it goes on the tape; if that is full: behind | – |
/// | behind | it is kept as the object's last one, the one before it is lost | every object that was not said is said as *listed*, then the gap: level |
pub(super) struct Ledger {
    watch: WatchId,
    tape: Tape,
    clock: Clock,
    held: BTreeMap<ObjectKey, Entry>,
    behind: Option<Behind>,
}

/// The last version of one object.
#[derive(Debug)]
struct Entry {
    uid: String,
    version: String,
    body: Arc<[u8]>,
    said: Said,
}

/// What the journal has of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// Its last version.
    Last,
    /// An older one.
    Older,
    /// Nothing.
    Nothing,
}

/// The journal could not keep up.
#[derive(Debug)]
struct Behind {
    from: Elapsed,
    gone: BTreeSet<ObjectKey>,
}

/// Why versions are missing in the journal.
const BACKLOG: &str = "the journal could not keep up, and versions were left out";

impl Ledger {
    /// Says that the watch opens.
    pub(super) fn open(watch: WatchId, watched: Watched, tape: Tape, clock: Clock) -> Self {
        tape.tell(EventKind::WatchOpened { watch, watched });
        Self { watch, tape, clock, held: BTreeMap::new(), behind: None }
    }

    pub(super) fn watch(&self) -> WatchId {
        self.watch
    }

    pub(super) fn now(&self) -> Elapsed {
        self.clock.elapsed()
    }

    /// How many objects there are.
    pub(super) fn len(&self) -> u64 {
        self.held.len() as u64
    }

    /// Uid and version of an object's last version.
    pub(super) fn last(&self, key: &ObjectKey) -> Option<(&str, &str)> {
        self.held.get(key).map(|entry| (entry.uid.as_str(), entry.version.as_str()))
    }

    /// The names of all objects.
    pub(super) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.held.keys()
    }

    /// All objects as they were last seen.
    pub(super) fn known(&self) -> BTreeMap<ObjectKey, Arc<Object>> {
        let kept = |(key, entry): (&ObjectKey, &Entry)| {
            let (uid, version) = (entry.uid.clone(), entry.version.clone());
            (key.clone(), Arc::new(Object::kept(key.clone(), uid, version, Arc::clone(&entry.body))))
        };
        self.held.iter().map(kept).collect()
    }

    /// One version, as the watch brought it.
    pub(super) fn saw(&mut self, object: &Object, how: How) {
        let arrived = self.now();
        let entry = self.held.remove(&object.key);
        let told = entry.as_ref().map_or(Said::Nothing, |entry| entry.said);
        let taken = self.behind.is_none() && {
            let base = entry.as_ref().filter(|entry| entry.said == Said::Last);
            self.tape_version(object, how, base, arrived) == Taken::Yes
        };
        if !taken {
            let behind = self.behind.get_or_insert_with(|| Behind { from: arrived, gone: BTreeSet::new() });
            if how == How::Deleted {
                if told != Said::Nothing {
                    behind.gone.insert(object.key.clone());
                }
            } else {
                // A name that went and came back is known again.
                let known = behind.gone.remove(&object.key) || told != Said::Nothing;
                self.keep(object, if known { Said::Older } else { Said::Nothing });
            }
        } else if how != How::Deleted {
            self.keep(object, Said::Last);
        }
    }

    /// One object of a list. One that was said in this version is not said again. `false`: the
    /// tape is full, and it must be tried again.
    pub(super) fn listed(&mut self, object: &Object) -> bool {
        let arrived = self.now();
        let entry = self.held.get(&object.key).filter(|entry| entry.said == Said::Last);
        if entry.is_some_and(|entry| entry.uid == object.uid && entry.version == object.version) {
            return true;
        }
        if self.tape_version(object, How::Listed, entry, arrived) == Taken::Full {
            return false;
        }
        self.keep(object, Said::Last);
        true
    }

    /// Whether something in a list is not what the watch last saw.
    pub(super) fn differs(&self, objects: &[Arc<Object>]) -> bool {
        let same = |object: &Arc<Object>| {
            self.last(&object.key).is_some_and(|(uid, version)| uid == object.uid && version == object.version)
        };
        objects.len() as u64 != self.len() || !objects.iter().all(same)
    }

    /// A list is complete: what is not in it is gone.
    pub(super) fn complete(&mut self, objects: &[Arc<Object>], version: &str, served: bool) {
        let there: BTreeSet<&ObjectKey> = objects.iter().map(|object| &object.key).collect();
        let mut gone = self.behind.take().map(|behind| behind.gone).unwrap_or_default();
        gone.extend(self.held.iter().filter(|(_, entry)| entry.said != Said::Nothing).map(|(key, _)| key.clone()));
        gone.retain(|key| !there.contains(key));
        self.held.retain(|key, _| there.contains(key));
        self.tell_list(version, gone, served);
    }

    /// Whether versions are being left out.
    pub(super) fn behind_since(&self) -> Option<Elapsed> {
        self.behind.as_ref().map(|behind| behind.from)
    }

    /// The tape has room again: says what every object is like now, as far as there is room, and
    /// when all is said the gap.
    pub(super) fn catch_up(&mut self, version: &str) {
        let Some(behind) = &self.behind else { return };
        let from = behind.from;
        let stale: Vec<ObjectKey> =
            self.held.iter().filter(|(_, entry)| entry.said != Said::Last).map(|(key, _)| key.clone()).collect();
        let arrived = self.now();
        for key in stale {
            let entry = &self.held[&key];
            let body = parsed(&entry.body);
            let weight = weight(&body);
            let seen = Seen {
                watch: self.watch,
                how: How::Listed,
                namespace: key.namespace.clone(),
                name: key.name.clone(),
                uid: entry.uid.clone(),
                version: entry.version.clone(),
                arrived,
                body: Body::Whole(body),
            };
            if self.tape.put(EventKind::ObjectSeen(Box::new(seen)), weight) == Taken::Full {
                return;
            }
            self.held.get_mut(&key).expect("it was just looked at").said = Said::Last;
        }
        let gone = self.behind.take().map(|behind| behind.gone).unwrap_or_default();
        self.tell_list(version, gone, true);
        self.gap(from, BACKLOG, true);
    }

    /// A window closes while versions are left out: says the gap as far as it has come.
    pub(super) fn cut_gap(&mut self) {
        let now = self.now();
        if let Some(behind) = &mut self.behind {
            let from = std::mem::replace(&mut behind.from, now);
            self.gap(from, BACKLOG, true);
        }
    }

    pub(super) fn drained(&self) -> impl Future<Output = ()> + Send + 'static {
        self.tape.drained()
    }

    pub(super) fn gap(&self, from: Elapsed, reason: &str, changed: bool) {
        let (watch, to, reason) = (self.watch, self.now(), reason.to_owned());
        self.tape.tell(EventKind::WatchGap { watch, from, to, reason, changed });
    }

    pub(super) fn late(&self, from: Elapsed, reason: &str) {
        let (watch, to, reason) = (self.watch, self.now(), reason.to_owned());
        self.tape.tell(EventKind::WatchLate { watch, from, to, reason });
    }

    pub(super) fn confirmed(&self, version: &str, differences: Vec<Difference>) {
        self.tape.tell(EventKind::WatchConfirmed { watch: self.watch, version: version.to_owned(), differences });
    }

    pub(super) fn close(&mut self) {
        self.cut_gap();
        self.tape.tell(EventKind::WatchClosed { watch: self.watch });
    }

    fn tell_list(&self, version: &str, gone: BTreeSet<ObjectKey>, served: bool) {
        let gone = gone.into_iter().map(|key| ObjectName { namespace: key.namespace, name: key.name }).collect();
        let (watch, version, objects) = (self.watch, version.to_owned(), self.len());
        self.tape.tell(EventKind::WatchListed { watch, version, objects, gone, served });
    }

    fn keep(&mut self, object: &Object, said: Said) {
        let entry =
            Entry { uid: object.uid.clone(), version: object.version.clone(), body: Arc::clone(&object.bytes), said };
        self.held.insert(object.key.clone(), entry);
    }

    fn tape_version(&self, object: &Object, how: How, base: Option<&Entry>, arrived: Elapsed) -> Taken {
        let value = object.value();
        let base: Option<Value> = base.map(|entry| parsed(&entry.body));
        let body = match base.and_then(|base| merge_patch(&base, value.value())) {
            Some(patch) => Body::Patch(patch),
            None => Body::Whole(value.value().clone()),
        };
        let weight = match &body {
            Body::Whole(value) | Body::Patch(value) => weight(value),
        };
        let seen = Seen {
            watch: self.watch,
            how,
            namespace: object.key.namespace.clone(),
            name: object.key.name.clone(),
            uid: object.uid.clone(),
            version: object.version.clone(),
            arrived,
            body,
        };
        self.tape.put(EventKind::ObjectSeen(Box::new(seen)), weight)
    }
}
