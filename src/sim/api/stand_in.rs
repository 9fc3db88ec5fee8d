//! The stand-ins at work: what a kubelet and the namespace controller would do.

use std::time::Duration;

use jiff::Timestamp;

use super::delete::{self, Orders};
use super::state::{Later, State, name_of, namespaces};
use super::store::Name;

impl Later {
    /// How long until it happens.
    pub(crate) fn after(&self) -> Duration {
        match self {
            Self::PodStopped { after, .. } | Self::NamespaceEmptied { after, .. } => *after,
        }
    }

    /// Lets it happen, unless the object has gone or is another by now.
    pub(crate) fn happen(self, state: &mut State, now: Timestamp) {
        match self {
            Self::PodStopped { name, uid, .. } => pod_stopped(state, &name, uid, now),
            Self::NamespaceEmptied { name, uid, .. } => namespace_emptied(state, &name, &uid, now),
        }
    }
}

/// The kubelet's last word: a deletion with grace 0 of exactly this pod.
fn pod_stopped(state: &mut State, name: &Name, uid: String, now: Timestamp) {
    let Some(pods) = state.registry.find("", "v1", "pods") else {
        return;
    };
    let orders = Orders {
        grace: Some(0),
        uid: Some(uid),
        ..Orders::default()
    };
    // Refused when the pod is gone or another one has its name: then there is nothing to do.
    let _ = delete::carry_out(state, &pods, name, &orders, now);
}

/// Deletes what is in a namespace; when all of it is gone, the namespace goes too.
fn namespace_emptied(state: &mut State, name: &str, uid: &str, now: Timestamp) {
    let key = Name {
        namespace: String::new(),
        name: name.to_owned(),
    };
    let still_it = state
        .namespace(name)
        .is_some_and(|namespace| namespace.uid() == uid && namespace.is_terminating());
    if !still_it {
        return;
    }
    let mut left = false;
    for shelf in state.store.shelves() {
        let resource = state
            .registry
            .all()
            .find(|resource| resource.namespaced && resource.shelf() == shelf)
            .cloned();
        let Some(resource) = resource else { continue };
        for object in state.store.list(&shelf, Some(name)) {
            let done =
                delete::carry_out(state, &resource, &name_of(&object), &Orders::default(), now);
            left |= done.is_ok_and(|done| !done.gone);
        }
    }
    if left {
        let again = Later::NamespaceEmptied {
            name: name.to_owned(),
            uid: uid.to_owned(),
            after: Duration::from_secs(1),
        };
        state.later.push(again);
    } else {
        state.store.remove(&namespaces(), &key);
    }
}
