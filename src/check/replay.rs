use std::collections::BTreeMap;

use serde_json::Value;

use crate::clock::Elapsed;
use crate::event::{Body, Event, EventKind, How, ObjectName, Seen, WatchId, Watched};

/// The objects of every recorded watch as they were last seen, kept as bytes.
///
/// A fold of the stream: versions are recorded as patches against the one before, so
/// whoever wants an object must have seen all of its versions.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    watches: BTreeMap<WatchId, Watch>,
}

#[derive(Clone, Debug)]
struct Watch {
    watched: Watched,
    objects: BTreeMap<ObjectName, Last>,
    /// A list was complete: what a later list shows was not seen when it happened.
    listed: bool,
    /// The newest version that came in order.
    reached: u64,
}

/// The last version of an object.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) uid: Box<str>,
    pub(super) version: Box<str>,
    /// The event that brought it.
    pub(super) event: u64,
    bytes: Box<[u8]>,
}

/// What one event changed about one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The watch that saw it.
    pub watch: WatchId,
    /// Which object.
    pub name: ObjectName,
    /// The version before, if there was one.
    pub(super) before: Option<Last>,
    /// The new version; none if it is gone.
    pub after: Option<After>,
    /// The number of the event.
    pub event: u64,
    /// When it came in.
    pub arrived: Elapsed,
    /// The version of this change as a number, the list's where an object was gone from a list.
    pub number: u64,
    /// It shows what came of a time in which the watch was blind.
    pub after_gap: bool,
}

/// A version that has just come.
#[derive(Clone, Debug)]
pub struct After {
    /// The object's uid.
    pub uid: String,
    /// Its version.
    pub version: String,
    /// The object.
    pub value: Value,
}

/// A resource version as a number: API servers promise that those of one resource can be
/// compared as numbers. What is none counts as new.
pub(super) fn number(version: &str) -> u64 {
    version.parse().unwrap_or(u64::MAX)
}

impl Last {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("the bytes were made from JSON")
    }
}

impl Change {
    /// The object before.
    pub fn before(&self) -> Option<Value> {
        self.before.as_ref().map(Last::value)
    }
}

impl Replay {
    /// Nothing was recorded yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event, and says what it changed. A version that came twice changes nothing.
    pub fn fold(&mut self, event: &Event) -> Vec<Change> {
        match &event.kind {
            EventKind::WatchOpened { watch, watched } => {
                let opened = Watch { watched: watched.clone(), objects: BTreeMap::new(), listed: false, reached: 0 };
                self.watches.insert(*watch, opened);
                Vec::new()
            }
            EventKind::ObjectSeen(seen) => self.see(event.seq, seen).into_iter().collect(),
            EventKind::WatchListed { watch, version, gone, .. } => {
                let Some(held) = self.watches.get_mut(watch) else { return Vec::new() };
                held.listed = true;
                held.reached = held.reached.max(version.parse().unwrap_or(0));
                let mut changes = Vec::new();
                for name in gone {
                    let Some(before) = held.objects.remove(name) else { continue };
                    changes.push(Change {
                        watch: *watch,
                        name: name.clone(),
                        before: Some(before),
                        after: None,
                        event: event.seq,
                        arrived: event.at,
                        number: number(version),
                        after_gap: true,
                    });
                }
                changes
            }
            _ => Vec::new(),
        }
    }

    fn see(&mut self, event: u64, seen: &Seen) -> Option<Change> {
        let watch = self.watches.get_mut(&seen.watch)?;
        let name = ObjectName { namespace: seen.namespace.clone(), name: seen.name.clone() };
        let number = number(&seen.version);
        let before = watch.objects.remove(&name);
        let again = match (&before, seen.how) {
            (Some(before), _) => {
                *before.uid == *seen.uid && (*before.version == *seen.version || number < self::number(&before.version))
            }
            (None, How::Listed) => false,
            (None, _) => number <= watch.reached && number != u64::MAX,
        };
        if seen.how != How::Listed && number != u64::MAX {
            watch.reached = watch.reached.max(number);
        }
        if again && seen.how != How::Deleted {
            // Later patches stand on what was recorded, also when it was recorded twice.
            if let Some(mut last) = before {
                last.bytes = bytes(&content(Some(&last), &seen.body));
                watch.objects.insert(name, last);
            }
            return None;
        }
        let after_gap = seen.how == How::Listed && watch.listed;
        let after = if seen.how == How::Deleted {
            before.as_ref()?;
            None
        } else {
            let value = content(before.as_ref(), &seen.body);
            let last = Last {
                uid: seen.uid.as_str().into(),
                version: seen.version.as_str().into(),
                event,
                bytes: bytes(&value),
            };
            watch.objects.insert(name.clone(), last);
            Some(After { uid: seen.uid.clone(), version: seen.version.clone(), value })
        };
        Some(Change { watch: seen.watch, name, before, after, event, arrived: seen.arrived, number, after_gap })
    }

    /// A watch has ended: its objects are not kept any longer.
    pub fn close(&mut self, watch: WatchId) {
        if let Some(watch) = self.watches.get_mut(&watch) {
            watch.objects.clear();
        }
    }

    /// What a watch asked for.
    pub fn watched(&self, watch: WatchId) -> Option<&Watched> {
        self.watches.get(&watch).map(|watch| &watch.watched)
    }

    /// The objects of a watch as they are now, by name.
    pub fn objects(&self, watch: WatchId) -> impl Iterator<Item = (&ObjectName, Value)> {
        self.lasts(watch).map(|(name, last)| (name, last.value()))
    }

    pub(super) fn lasts(&self, watch: WatchId) -> impl Iterator<Item = (&ObjectName, &Last)> {
        self.watches.get(&watch).into_iter().flat_map(|watch| &watch.objects)
    }

    /// The newest version that a watch has shown, or its list had.
    pub(super) fn reached(&self, watch: WatchId) -> u64 {
        self.watches.get(&watch).map_or(0, |watch| watch.reached)
    }
}

fn content(before: Option<&Last>, body: &Body) -> Value {
    match body {
        Body::Whole(value) => value.clone(),
        Body::Patch(patch) => {
            let mut value = before.map_or(Value::Null, Last::value);
            json_patch::merge(&mut value, patch);
            value
        }
    }
}

fn bytes(value: &Value) -> Box<[u8]> {
    serde_json::to_vec(value).expect("JSON can be written as JSON").into()
}
