//! The garbage collector: what nobody owns any more goes, and owners that wait for it.
//!
//! After `pkg/controller/garbagecollector` of v1.34. Before it deletes something for want of
//! an owner it asks the server for both, as the real one does.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::cache::{Cache, Change};
use super::super::controller::{Controller, Round, Runs, Trigger, Watches};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::queue::Backoff;
use super::super::write::{Form, Pace, Write};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// The controller. Its keys are objects of all kinds: the namespace of a key is `group/plural/namespace`.
pub(in crate::sim) fn controller() -> Box<dyn Runs> {
    Controller {
        name: "garbage-collector-controller",
        triggers: vec![Trigger { watches: Watches::Everything, queues }],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(())
}

fn owners(object: &Object) -> &[Value] {
    object.items("/metadata/ownerReferences")
}

fn is_owned_by(object: &Object, uid: &str) -> bool {
    owners(object).iter().any(|owner| owner["uid"] == uid)
}

fn key_of(kind: &Kind, object: &Object) -> Key {
    Key::new(format!("{}/{}/{}", kind.group, kind.plural, object.namespace()), object.name())
}

/// What a key is about.
fn named<'a>(key: &Key, cache: &'a Cache) -> Option<(&'a Kind, &'a Object)> {
    let mut names = key.namespace.splitn(3, '/');
    let (group, plural, namespace) = (names.next()?, names.next()?, names.next()?);
    cache.find(group, plural, &Key::new(namespace, &key.name))
}

fn queues(change: &Change, cache: &Cache) -> Vec<Key> {
    let object = &change.after;
    let kind = cache.kind_of(object.text("/apiVersion"), object.text("/kind"));
    let mut keys = Vec::new();
    if !change.deleted {
        let waits = object.is_terminating() && (object.has_finalizer(FOREGROUND) || object.has_finalizer(ORPHAN));
        if waits || !owners(object).is_empty() {
            keys.extend(kind.map(|kind| key_of(kind, object)));
        }
    }
    // Dependents of what has gone or waits for them, and owners that wait for what has gone.
    let concerns = change.deleted || object.is_terminating();
    if concerns {
        keys.extend(
            cache
                .everything()
                .filter(|(_, other)| {
                    is_owned_by(other, object.uid())
                        || change.deleted && other.is_terminating() && is_owned_by(object, other.uid())
                })
                .map(|(kind, other)| key_of(kind, other)),
        );
    }
    keys
}

fn reconcile(key: &Key, cache: &Cache, (): &mut (), _: Timestamp) -> Round {
    let Some((kind, object)) = named(key, cache) else {
        return Round::idle();
    };
    if object.is_terminating() && object.has_finalizer(ORPHAN) {
        let mut writes: Vec<Write> =
            dependents(object, cache).map(|(kind, own)| without(kind, own, &[object.uid()])).collect();
        writes.push(unmarked(kind, object, ORPHAN));
        return Round::writes(writes);
    }
    if object.is_terminating() && object.has_finalizer(FOREGROUND) {
        let blocks = |own: &Object| {
            owners(own).iter().any(|owner| owner["uid"] == object.uid() && owner["blockOwnerDeletion"] == true)
        };
        let left: Vec<(&Kind, &Object)> = dependents(object, cache).collect();
        if !left.iter().any(|(_, own)| blocks(own)) {
            return Round::writes(vec![unmarked(kind, object, FOREGROUND)]);
        }
        let writes = left.into_iter().filter(|(_, own)| !own.is_terminating() && !has_other_owner(own, object, cache));
        return Round::writes(writes.map(|(kind, own)| away(kind, own, cache)).collect());
    }
    if owners(object).is_empty() || object.is_terminating() {
        return Round::idle();
    }
    let (mut solid, mut absent): (Vec<&Value>, Vec<&Value>) = (Vec::new(), Vec::new());
    for owner in owners(object) {
        match is_there(owner, object, cache) {
            Some(true) => solid.push(owner),
            Some(false) => absent.push(owner),
            // Of a kind that is not known here, or not yet: nothing is said about it.
            None => return Round::idle().look_again(Duration::from_secs(30)),
        }
    }
    match (solid.is_empty(), absent.as_slice()) {
        (_, []) => Round::idle(),
        (false, absent) => {
            let gone: Vec<&str> = absent.iter().filter_map(|owner| owner["uid"].as_str()).collect();
            Round::writes(vec![without(kind, object, &gone)])
        }
        (true, [first, ..]) => {
            let text = |field: &str| first[field].as_str().unwrap_or_default();
            let Some(owner) = cache.kind_of(text("apiVersion"), text("kind")) else {
                return Round::idle();
            };
            let namespace = if owner.namespaced { object.namespace() } else { "" };
            let delete = Write::delete(kind, object).with_propagation("Background").asking(2);
            Round::writes(vec![delete.unless_there(owner, &Key::new(namespace, text("name")), text("uid"))])
        }
    }
}

fn dependents<'a>(owner: &'a Object, cache: &'a Cache) -> impl Iterator<Item = (&'a Kind, &'a Object)> {
    cache.everything().filter(move |(_, object)| is_owned_by(object, owner.uid()))
}

/// Whether an owner is there; `None` if its kind is not watched.
fn is_there(owner: &Value, object: &Object, cache: &Cache) -> Option<bool> {
    let text = |field: &str| owner[field].as_str().unwrap_or_default();
    let kind = cache.kind_of(text("apiVersion"), text("kind"))?;
    let namespace = if kind.namespaced { object.namespace() } else { "" };
    Some(cache.get(kind, namespace, text("name")).is_some_and(|own| own.uid() == text("uid")))
}

fn has_other_owner(object: &Object, than: &Object, cache: &Cache) -> bool {
    let others = owners(object).iter().filter(|owner| owner["uid"] != than.uid());
    others.into_iter().any(|owner| is_there(owner, object, cache) == Some(true))
}

/// Deletes a dependent of something that is deleted in the foreground; so is it, if something depends on it.
fn away(kind: &Kind, object: &Object, cache: &Cache) -> Write {
    let policy = if dependents(object, cache).next().is_some() { "Foreground" } else { "Background" };
    Write::delete(kind, object).with_propagation(policy).asking(2).paced(Pace::AtOnce)
}

fn without(kind: &Kind, object: &Object, gone: &[&str]) -> Write {
    let left: Vec<&Value> =
        owners(object).iter().filter(|owner| !gone.contains(&owner["uid"].as_str().unwrap_or_default())).collect();
    let left = if left.is_empty() { Value::Null } else { json!(left) };
    let body = json!({"metadata": {
        "uid": object.uid(), "resourceVersion": object.at("/metadata/resourceVersion"), "ownerReferences": left,
    }});
    Write::patch(kind, object.key(), Form::Merge, body).forgiving(&[404])
}

fn unmarked(kind: &Kind, object: &Object, finalizer: &str) -> Write {
    let left: Vec<&Value> = object.items("/metadata/finalizers").iter().filter(|own| **own != finalizer).collect();
    let left = if left.is_empty() { Value::Null } else { json!(left) };
    let body = json!({"metadata": {
        "uid": object.uid(), "resourceVersion": object.at("/metadata/resourceVersion"), "finalizers": left,
    }});
    Write::patch(kind, object.key(), Form::Merge, body).asking(1).forgiving(&[404])
}
