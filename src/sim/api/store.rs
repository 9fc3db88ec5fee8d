//! The objects, their history, and who is told of changes.
//!
//! A plain value without time, tasks or locks: whoever holds it exclusively
//! (the server's one mutex) makes a change and its announcement one act, which
//! is why no watch can miss or reorder one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use super::object::Object;
use super::resource::Drawer;

/// All objects under one revision counter.
#[derive(Debug)]
pub(crate) struct Store {
    revision: u64,
    /// The newest revision that the history no longer explains.
    compacted: u64,
    drawers: BTreeMap<Drawer, BTreeMap<Name, Arc<Object>>>,
    history: VecDeque<Arc<Change>>,
    /// How many changes are kept; older ones are compacted away.
    keep: usize,
    watchers: BTreeMap<u64, Watcher>,
    next_watcher: u64,
}

/// Namespace (empty for none) and name, in the order in which lists come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// One committed change; the history and all who are told share it.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) drawer: Drawer,
    pub(crate) name: Name,
    pub(crate) before: Option<Arc<Object>>,
    /// For a deletion, the last state with the deletion's own revision.
    pub(crate) after: Arc<Object>,
    pub(crate) deleted: bool,
    text: OnceLock<Bytes>,
}

impl Change {
    /// What came of it as JSON, written once however many watches are told.
    pub(crate) fn text(&self) -> &Bytes {
        self.text.get_or_init(|| serde_json::to_vec(&*self.after).expect("a value is JSON").into())
    }
}

/// What a watch is told.
#[derive(Clone, Debug)]
pub(crate) enum Delivery {
    Change(Arc<Change>),
    /// Everything up to this revision has been delivered.
    UpTo(u64),
    /// The server ends the watch, with or without a last word.
    End(Ending),
}

/// How the server ends a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As at a timeout: the body ends.
    Closed,
    /// An `ERROR` event says that the version is gone, then the body ends.
    Expired,
    /// The connection breaks in the middle of the body.
    Cut,
}

#[derive(Debug)]
struct Watcher {
    drawer: Drawer,
    sender: mpsc::UnboundedSender<Delivery>,
}

/// A revision was asked for that the history no longer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compacted {
    pub(crate) oldest: u64,
}

impl Store {
    /// An empty store that keeps this many changes.
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            revision: 1,
            compacted: 0,
            drawers: BTreeMap::new(),
            history: VecDeque::new(),
            keep,
            watchers: BTreeMap::new(),
            next_watcher: 0,
        }
    }

    /// The revision of the last change.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// One object.
    pub(crate) fn get(&self, drawer: &Drawer, name: &Name) -> Option<&Arc<Object>> {
        self.drawers.get(drawer)?.get(name)
    }

    /// The objects of a drawer, in one namespace or in all, by namespace and name.
    pub(crate) fn list(&self, drawer: &Drawer, namespace: Option<&str>) -> Vec<Arc<Object>> {
        let objects = self.drawers.get(drawer).into_iter().flatten();
        objects
            .filter(|(name, _)| namespace.is_none_or(|ns| name.namespace == ns))
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// The objects as they were at a revision: the present with later changes undone.
    pub(crate) fn list_at(
        &self,
        drawer: &Drawer,
        namespace: Option<&str>,
        revision: u64,
    ) -> Result<Vec<Arc<Object>>, Compacted> {
        if revision < self.compacted {
            return Err(Compacted { oldest: self.compacted });
        }
        let mut objects = self.drawers.get(drawer).cloned().unwrap_or_default();
        for change in self.history.iter().rev().take_while(|change| change.revision > revision) {
            if change.drawer == *drawer {
                match &change.before {
                    Some(before) => objects.insert(change.name.clone(), before.clone()),
                    None => objects.remove(&change.name),
                };
            }
        }
        Ok(objects
            .into_iter()
            .filter(|(name, _)| namespace.is_none_or(|ns| name.namespace == ns))
            .map(|(_, o)| o)
            .collect())
    }

    /// The resources that hold objects.
    pub(crate) fn drawers(&self) -> Vec<Drawer> {
        self.drawers.iter().filter(|(_, objects)| !objects.is_empty()).map(|(drawer, _)| drawer.clone()).collect()
    }

    /// Creates or replaces; the object gets the new revision as its version.
    pub(crate) fn put(&mut self, drawer: &Drawer, name: Name, object: Object) -> Arc<Object> {
        let object = self.stamp(object);
        let before = self.drawers.entry(drawer.clone()).or_default().insert(name.clone(), object.clone());
        self.announce(Change {
            revision: self.revision,
            drawer: drawer.clone(),
            name,
            before,
            after: object.clone(),
            deleted: false,
            text: OnceLock::new(),
        });
        object
    }

    /// Deletes; the answer is the last state, with the deletion's revision.
    pub(crate) fn remove(&mut self, drawer: &Drawer, name: &Name) -> Option<Arc<Object>> {
        let before = self.drawers.get_mut(drawer)?.remove(name)?;
        let after = self.stamp(Object::clone(&before));
        self.announce(Change {
            revision: self.revision,
            drawer: drawer.clone(),
            name: name.clone(),
            before: Some(before),
            after: after.clone(),
            deleted: true,
            text: OnceLock::new(),
        });
        Some(after)
    }

    fn stamp(&mut self, mut object: Object) -> Arc<Object> {
        self.revision += 1;
        object.set_meta("resourceVersion", Some(json!(self.revision.to_string())));
        Arc::new(object)
    }

    fn announce(&mut self, change: Change) {
        let change = Arc::new(change);
        self.watchers.retain(|_, watcher| {
            watcher.drawer != change.drawer || watcher.sender.send(Delivery::Change(change.clone())).is_ok()
        });
        self.history.push_back(change);
        if self.history.len() > self.keep {
            self.compact(self.revision - self.keep as u64);
        }
    }

    /// Forgets how things were before a revision. Open watches go on: they have been told already.
    pub(crate) fn compact(&mut self, revision: u64) {
        while self.history.front().is_some_and(|change| change.revision <= revision) {
            self.history.pop_front();
        }
        self.compacted = self.compacted.max(revision.min(self.revision));
    }

    /// Opens a watch: the changes since a revision that it has missed, and the receiver of those to come.
    pub(crate) fn watch(&mut self, drawer: &Drawer, since: u64) -> Result<(Vec<Arc<Change>>, Ticket), Compacted> {
        if since < self.compacted {
            return Err(Compacted { oldest: self.compacted });
        }
        let missed =
            self.history.iter().filter(|change| change.revision > since && change.drawer == *drawer).cloned().collect();
        let (sender, receiver) = mpsc::unbounded_channel();
        let id = self.next_watcher;
        self.next_watcher += 1;
        self.watchers.insert(id, Watcher { drawer: drawer.clone(), sender });
        Ok((missed, Ticket { id, receiver }))
    }

    /// A place for a watch that was refused: nothing ever comes.
    pub(crate) fn closed_ticket(&mut self) -> Ticket {
        let (_, receiver) = mpsc::unbounded_channel();
        self.next_watcher += 1;
        Ticket { id: self.next_watcher - 1, receiver }
    }

    /// Tells one watch up to where it has been told everything, behind all that is under way to it.
    pub(crate) fn mark(&self, watcher: u64) {
        if let Some(watcher) = self.watchers.get(&watcher) {
            // A watch that has just been dropped does not need the mark.
            let _ = watcher.sender.send(Delivery::UpTo(self.revision));
        }
    }

    /// Ends the open watches of a drawer, or all.
    pub(crate) fn end_watches(&mut self, drawer: Option<&Drawer>, ending: &Ending) {
        self.end(ending, |own| drawer.is_none_or(|drawer| drawer == own));
    }

    /// Ends the open watches of a plural, whatever its group, or all with an empty one.
    pub(crate) fn end_watches_of(&mut self, plural: &str, ending: &Ending) -> usize {
        self.end(ending, |own| plural.is_empty() || own.plural == plural)
    }

    fn end(&mut self, ending: &Ending, is_meant: impl Fn(&Drawer) -> bool) -> usize {
        let mut ended = 0;
        self.watchers.retain(|_, watcher| {
            let ends = is_meant(&watcher.drawer);
            // A watch that has just been dropped does not need to hear of its end.
            if ends && watcher.sender.send(Delivery::End(ending.clone())).is_ok() {
                ended += 1;
            }
            !ends
        });
        ended
    }

    /// How many watches of a plural are open.
    pub(crate) fn open_watches(&self, plural: &str) -> usize {
        self.watchers.values().filter(|watcher| watcher.drawer.plural == plural && !watcher.sender.is_closed()).count()
    }

    /// Forgets a watch that nobody reads any more.
    pub(crate) fn leave(&mut self, watcher: u64) {
        self.watchers.remove(&watcher);
    }
}

/// A watch's place in the store.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) id: u64,
    pub(crate) receiver: mpsc::UnboundedReceiver<Delivery>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawer() -> Drawer {
        Drawer { group: String::new(), plural: "pods".to_owned() }
    }

    fn name(name: &str) -> Name {
        Name { namespace: "default".to_owned(), name: name.to_owned() }
    }

    fn object(name: &str, mark: u64) -> Object {
        Object::new(json!({"metadata": {"name": name, "namespace": "default"}, "mark": mark})).unwrap()
    }

    fn marks(objects: &[Arc<Object>]) -> Vec<(String, u64)> {
        objects.iter().map(|o| (o.name().to_owned(), o.field("mark").unwrap().as_u64().unwrap())).collect()
    }

    #[test]
    fn the_past_can_be_listed_until_it_is_compacted() {
        let mut store = Store::new(100);
        store.put(&drawer(), name("a"), object("a", 1));
        store.put(&drawer(), name("b"), object("b", 1));
        let then = store.revision();
        store.put(&drawer(), name("a"), object("a", 2));
        store.remove(&drawer(), &name("b"));
        store.put(&drawer(), name("c"), object("c", 1));

        let was = store.list_at(&drawer(), None, then).unwrap();
        assert_eq!(marks(&was), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
        assert_eq!(marks(&store.list(&drawer(), None)), [("a".to_owned(), 2), ("c".to_owned(), 1)]);

        store.compact(then + 1);
        assert_eq!(store.list_at(&drawer(), None, then), Err(Compacted { oldest: then + 1 }));
        assert!(store.list_at(&drawer(), None, then + 1).is_ok());
    }

    #[test]
    fn a_watch_is_told_everything_once_and_in_order() {
        let mut store = Store::new(100);
        store.put(&drawer(), name("a"), object("a", 1));
        let since = store.revision();
        store.put(&drawer(), name("a"), object("a", 2));
        let (missed, mut ticket) = store.watch(&drawer(), since).unwrap();
        store.put(&drawer(), name("a"), object("a", 3));
        store.mark(ticket.id);
        store.remove(&drawer(), &name("a"));

        assert_eq!(missed.len(), 1);
        let mut told = Vec::new();
        while let Ok(delivery) = ticket.receiver.try_recv() {
            told.push(match delivery {
                Delivery::Change(change) => {
                    format!("{} deleted={}", change.revision - since, change.deleted)
                }
                Delivery::UpTo(revision) => format!("up to {}", revision - since),
                Delivery::End(ending) => format!("{ending:?}"),
            });
        }
        assert_eq!(told, ["2 deleted=false", "up to 2", "3 deleted=true"]);
    }

    #[test]
    fn the_history_keeps_so_many_changes() {
        let mut store = Store::new(3);
        let first = store.revision();
        for mark in 0..5 {
            store.put(&drawer(), name("a"), object("a", mark));
        }
        assert_eq!(store.watch(&drawer(), first).map(|_| ()), Err(Compacted { oldest: first + 2 }));
        assert_eq!(store.watch(&drawer(), first + 2).unwrap().0.len(), 3);
    }
}
