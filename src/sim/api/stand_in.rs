//! The stand-ins at work: what a kubelet and the namespace controller would do.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::delete::{self, Orders};
use super::managed::{self, Owner};
use super::object::Object;
use super::resource::{Drawer, Resource};
use super::state::{Later, State, name_of, namespaces};
use super::store::Name;

impl Later {
    /// How long until it happens.
    pub(crate) fn after(&self) -> Duration {
        match self {
            Self::PodStopped { after, .. }
            | Self::NamespaceEmptied { after, .. }
            | Self::OwnerGone { after, .. }
            | Self::Collected { after, .. }
            | Self::DefinitionEmptied { after, .. } => *after,
        }
    }

    /// Lets it happen, unless the object has gone or is another by now.
    pub(crate) fn happen(self, state: &mut State, now: Timestamp) {
        match self {
            Self::PodStopped { name, uid, .. } => pod_stopped(state, &name, uid, now),
            Self::NamespaceEmptied { name, uid, .. } => namespace_emptied(state, &name, &uid, now),
            Self::OwnerGone { uid, .. } => owner_gone(state, &uid, now),
            Self::Collected { drawer, name, uid, .. } => collected(state, &drawer, &name, &uid, now),
            Self::DefinitionEmptied { name, uid, .. } => definition_emptied(state, &name, &uid, now),
        }
    }
}

/// The kubelet's last word: a deletion with grace 0 of exactly this pod.
fn pod_stopped(state: &mut State, name: &Name, uid: String, now: Timestamp) {
    let Some(pods) = state.registry.find("", "v1", "pods") else {
        return;
    };
    let orders = Orders { grace: Some(0), uid: Some(uid), ..Orders::default() };
    // Refused when the pod is gone or another one has its name: then there is nothing to do.
    let _ = delete::carry_out(state, &pods, name, &orders, now);
}

/// Deletes what is in a namespace; when all of it is gone, the namespace goes too.
fn namespace_emptied(state: &mut State, name: &str, uid: &str, now: Timestamp) {
    let key = Name { namespace: String::new(), name: name.to_owned() };
    let still_it = state.namespace(name).is_some_and(|namespace| namespace.uid() == uid && namespace.is_terminating());
    if !still_it {
        return;
    }
    let mut left = false;
    for drawer in state.store.drawers() {
        let resource =
            state.registry.all().find(|resource| resource.namespaced && resource.drawer() == drawer).cloned();
        let Some(resource) = resource else { continue };
        for object in state.store.list(&drawer, Some(name)) {
            let done = delete::carry_out(state, &resource, &name_of(&object), &Orders::default(), now);
            left |= done.is_ok_and(|done| !done.gone);
        }
    }
    if left {
        let again =
            Later::NamespaceEmptied { name: name.to_owned(), uid: uid.to_owned(), after: Duration::from_secs(1) };
        state.later.push(again);
    } else {
        state.store.remove(&namespaces(), &key);
    }
}

/// The objects that name this owner, with their resources.
fn dependents(state: &State, owner: &str) -> Vec<(Arc<Resource>, Arc<Object>)> {
    let mut found = Vec::new();
    for drawer in state.store.drawers() {
        let Some(resource) = state.registry.all().find(|resource| resource.drawer() == drawer) else {
            continue;
        };
        for object in state.store.list(&drawer, None) {
            if owners(&object).any(|own| own["uid"] == owner) {
                found.push((resource.clone(), object));
            }
        }
    }
    found
}

fn owners(object: &Object) -> impl Iterator<Item = &Value> {
    object.meta("ownerReferences").and_then(Value::as_array).into_iter().flatten()
}

/// Deletes what has no other owner, and lets go of the owner what has.
fn owner_gone(state: &mut State, owner: &str, now: Timestamp) {
    for (resource, object) in dependents(state, owner) {
        if owners(&object).count() == 1 {
            // Refused when it has gone meanwhile: then there is nothing to do.
            let _ = delete::carry_out(state, &resource, &name_of(&object), &Orders::default(), now);
        } else {
            let freed = without_owner(&object, owner, now);
            state.commit(&resource, name_of(&object), freed, now);
        }
    }
}

fn without_owner(object: &Object, owner: &str, now: Timestamp) -> Object {
    let left: Vec<Value> = owners(object).filter(|own| own["uid"] != owner).cloned().collect();
    let mut freed = object.clone();
    freed.set_meta("ownerReferences", Some(json!(left)).filter(|_| !left.is_empty()));
    let collector = Owner {
        manager: "kube-controller-manager".to_owned(),
        applies: false,
        api_version: object.api_version().to_owned(),
        subresource: String::new(),
    };
    managed::track_as(&collector, object, &mut freed, now);
    freed
}

/// Frees or deletes the dependents of an object, then takes the collector's finalizer off it.
fn collected(state: &mut State, drawer: &Drawer, name: &Name, uid: &str, now: Timestamp) {
    let Some(object) = state.store.get(drawer, name).cloned().filter(|object| object.uid() == uid) else {
        return;
    };
    let Some(resource) = state.registry.all().find(|resource| resource.drawer() == *drawer).cloned() else {
        return;
    };
    let dependents = dependents(state, uid);
    if object.finalizers().contains(&delete::ORPHAN) {
        for (resource, dependent) in dependents {
            let freed = without_owner(&dependent, uid, now);
            state.commit(&resource, name_of(&dependent), freed, now);
        }
    } else if !dependents.is_empty() {
        for (resource, dependent) in dependents {
            let orders = Orders { propagation: Some("Foreground".to_owned()), ..Orders::default() };
            // Refused when it has gone meanwhile: then there is nothing to do.
            let _ = delete::carry_out(state, &resource, &name_of(&dependent), &orders, now);
        }
        let again = Later::Collected {
            drawer: drawer.clone(),
            name: name.clone(),
            uid: uid.to_owned(),
            after: Duration::from_secs(1),
        };
        state.later.push(again);
        return;
    }
    let own = [delete::ORPHAN, delete::FOREGROUND];
    let others: Vec<&str> = object.finalizers().into_iter().filter(|finalizer| !own.contains(finalizer)).collect();
    if others.is_empty() {
        state.discard(&resource, name);
    } else {
        let mut kept = Object::clone(&object);
        kept.set_meta("finalizers", Some(json!(others)));
        state.commit(&resource, name.clone(), kept, now);
    }
}

/// Deletes the objects of a definition; when all of them are gone, the definition goes too.
fn definition_emptied(state: &mut State, name: &str, uid: &str, now: Timestamp) {
    let Some(definitions) = state.registry.by_word("customresourcedefinitions") else {
        return;
    };
    let key = Name { namespace: String::new(), name: name.to_owned() };
    let definition = state.store.get(&definitions.drawer(), &key).cloned();
    let Some(definition) = definition.filter(|definition| definition.uid() == uid) else {
        return;
    };
    let mut left = false;
    if let Some(resource) = state.registry.defined_by(name) {
        for object in state.store.list(&resource.drawer(), None) {
            let done = delete::carry_out(state, &resource, &name_of(&object), &Orders::default(), now);
            left |= done.is_ok_and(|done| !done.gone);
        }
    }
    if left {
        let again =
            Later::DefinitionEmptied { name: name.to_owned(), uid: uid.to_owned(), after: Duration::from_secs(1) };
        state.later.push(again);
        return;
    }
    let others: Vec<&str> =
        definition.finalizers().into_iter().filter(|name| *name != delete::DEFINITION_FINALIZER).collect();
    if others.is_empty() {
        state.discard(&definitions, &key);
    } else {
        let mut kept = Object::clone(&definition);
        kept.set_meta("finalizers", Some(json!(others)));
        state.commit(&definitions, key, kept, now);
    }
}
