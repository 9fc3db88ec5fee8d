//! What the webhooks know of Longhorn's objects: a manager's cache, as old as its watches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{kind, setting};
use crate::sim::{Backoff, Cache, Controller, Key, Kind, Object, Round, Runs, Trigger};

type Drawers = BTreeMap<String, BTreeMap<String, Object>>;

/// The objects that the webhooks look up. Clones are the same.
///
/// A webhook answers in the middle of a request and can't ask the API server: neither can the
/// real one, which looks into its manager's informers.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Arc<Mutex<Drawers>>);

const KINDS: [Kind; 5] = [kind::SETTING, kind::BACKING_IMAGE, kind::REPLICA, kind::ENGINE_IMAGE, kind::VOLUME];

impl Known {
    fn drawers(&self) -> MutexGuard<'_, Drawers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All objects of a kind.
    pub(super) fn list(&self, kind: &Kind) -> Vec<Object> {
        self.drawers().get(&*kind.plural).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// One object.
    pub(super) fn get(&self, kind: &Kind, name: &str) -> Option<Object> {
        self.drawers().get(&*kind.plural)?.get(name).cloned()
    }

    /// A setting's text, its default where there is none.
    pub(super) fn text(&self, name: &str) -> String {
        setting::value(name, self.get(&kind::SETTING, name).as_ref())
    }

    /// A setting's number; of one for each data engine the first engine's.
    pub(super) fn number(&self, name: &str) -> i64 {
        setting::number(&self.text(name))
    }
}

/// What keeps it up to date, for as long as a manager's webhook runs.
pub(super) fn controller(known: &Known) -> Box<dyn Runs> {
    Controller {
        name: "longhorn-webhook-datastore",
        triggers: KINDS.map(Trigger::itself).to_vec(),
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: false,
        reconcile,
    }
    .with(known.clone())
}

fn reconcile(key: &Key, cache: &Cache, known: &mut Known, _: Timestamp) -> Round {
    let mut drawers = known.drawers();
    for kind in &KINDS {
        let drawer = drawers.entry(kind.plural.to_string()).or_default();
        match cache.of(kind, key) {
            Some(object) => drawer.insert(key.name.clone(), object.clone()),
            None => drawer.remove(&key.name),
        };
    }
    Round::idle()
}
