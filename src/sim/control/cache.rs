//! What a process knows of the cluster: what its own watches have delivered.

use std::collections::BTreeMap;

use super::key::Key;
use super::kind::Kind;
use super::object::Object;

/// The objects of the watched kinds, as old as the last word of each watch.
///
/// A kind that no controller of the process watches is empty here, whatever the store holds.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    drawers: BTreeMap<String, Drawer>,
}

#[derive(Clone, Debug, Default)]
struct Drawer {
    kind: Option<Kind>,
    objects: BTreeMap<Key, Object>,
    /// Everything up to this revision has been delivered.
    revision: u64,
}

/// One change as a watch delivered it. After a new list, what went meanwhile is told as deleted.
#[derive(Clone, Debug)]
pub struct Change {
    /// As it was known before.
    pub before: Option<Object>,
    /// As it is now; of a deleted object the last state.
    pub after: Object,
    /// Whether it is gone.
    pub deleted: bool,
}

impl Change {
    /// Both states, the newer first.
    pub fn states(&self) -> impl Iterator<Item = &Object> {
        std::iter::once(&self.after).chain(&self.before)
    }

    /// Whether the parts under a JSON pointer differ, or one of them is not there.
    pub fn touches(&self, pointer: &str) -> bool {
        self.deleted || self.before.as_ref().is_none_or(|before| before.at(pointer) != self.after.at(pointer))
    }
}

fn drawer_of(kind: &Kind) -> String {
    format!("{}/{}", kind.group, kind.plural)
}

impl Cache {
    /// One object.
    pub fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<&Object> {
        self.drawers.get(&drawer_of(kind))?.objects.get(&Key::new(namespace, name))
    }

    /// One object, by its key.
    pub fn of(&self, kind: &Kind, key: &Key) -> Option<&Object> {
        self.drawers.get(&drawer_of(kind))?.objects.get(key)
    }

    /// One object with its kind, by the names that URLs have.
    pub(super) fn find(&self, group: &str, plural: &str, key: &Key) -> Option<(&Kind, &Object)> {
        let drawer = self.drawers.get(&format!("{group}/{plural}"))?;
        Some((drawer.kind.as_ref()?, drawer.objects.get(key)?))
    }

    /// All objects of a kind, by namespace and name.
    pub fn all(&self, kind: &Kind) -> impl Iterator<Item = &Object> {
        self.drawers.get(&drawer_of(kind)).into_iter().flat_map(|drawer| drawer.objects.values())
    }

    /// The objects of a kind in one namespace, by name.
    pub fn within<'a>(&'a self, kind: &Kind, namespace: &'a str) -> impl Iterator<Item = &'a Object> {
        self.all(kind).filter(move |object| object.namespace() == namespace)
    }

    /// The objects of a kind that this object controls, by name.
    pub fn controlled<'a>(&'a self, kind: &Kind, owner: &'a Object) -> impl Iterator<Item = &'a Object> {
        self.within(kind, owner.namespace()).filter(move |object| object.is_controlled_by(owner.uid()))
    }

    /// Everything that is known, with its kind.
    pub fn everything(&self) -> impl Iterator<Item = (&Kind, &Object)> {
        self.drawers
            .values()
            .filter_map(|drawer| Some((drawer.kind.as_ref()?, drawer)))
            .flat_map(|(kind, drawer)| drawer.objects.values().map(move |object| (kind, object)))
    }

    /// The kind of which an object says that it is, if that is watched here.
    pub fn kind_of(&self, api_version: &str, kind: &str) -> Option<&Kind> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        self.drawers
            .values()
            .filter_map(|drawer| drawer.kind.as_ref())
            .find(|own| own.kind == kind && own.group == group)
    }

    /// Up to which revision everything of a kind has been delivered.
    pub(super) fn revision(&self, kind: &Kind) -> Option<u64> {
        self.drawers.get(&drawer_of(kind)).map(|drawer| drawer.revision)
    }

    /// Takes a list in; what it changes is the answer.
    pub(super) fn listed(&mut self, kind: &Kind, revision: u64, objects: Vec<Object>) -> Vec<Change> {
        let drawer = self.drawers.entry(drawer_of(kind)).or_default();
        drawer.revision = drawer.revision.max(revision);
        drawer.kind = Some(kind.clone());
        let new: BTreeMap<Key, Object> = objects.into_iter().map(|object| (object.key(), object)).collect();
        let old = std::mem::replace(&mut drawer.objects, new.clone());
        let gone = old.iter().filter(|(key, _)| !new.contains_key(key)).map(|(_, object)| Change {
            before: Some(object.clone()),
            after: object.clone(),
            deleted: true,
        });
        let mut changes: Vec<Change> = gone.collect();
        for (key, after) in new {
            let before = old.get(&key).cloned();
            if before.as_ref().is_none_or(|before| before.revision() != after.revision()) {
                changes.push(Change { before, after, deleted: false });
            }
        }
        changes
    }

    /// Takes one event in.
    pub(super) fn told(&mut self, kind: &Kind, object: Object, deleted: bool) -> Change {
        let drawer = self.drawers.entry(drawer_of(kind)).or_default();
        drawer.revision = drawer.revision.max(object.revision());
        let key = object.key();
        let before = if deleted { drawer.objects.remove(&key) } else { drawer.objects.insert(key, object.clone()) };
        Change { before, after: object, deleted }
    }

    /// Takes a bookmark in.
    pub(super) fn marked(&mut self, kind: &Kind, revision: u64) {
        let drawer = self.drawers.entry(drawer_of(kind)).or_default();
        drawer.revision = drawer.revision.max(revision);
    }

    /// Forgets a kind that is no longer served; what was known of it is gone.
    pub(super) fn dropped(&mut self, kind: &Kind) -> Vec<Change> {
        let changes = self.listed(kind, 0, Vec::new());
        self.drawers.remove(&drawer_of(kind));
        changes
    }
}
