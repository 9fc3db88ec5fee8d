//! Everything that the server's one lock guards.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::admission::Backends;
use super::fault::Rules;
use super::ledger::Ledger;
use super::managed::{self, Owner};
use super::object::{Object, time_text};
use super::prepare;
use super::program::Programs;
use super::resource::{Drawer, Registry, Resource};
use super::store::{Name, Store};

/// The world behind the API.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    pub(crate) ledger: Ledger,
    pub(crate) rules: Rules,
    pub(crate) programs: Programs,
    pub(crate) backends: Backends,
    pub(crate) chance: Chance,
    pub(crate) stand_ins: StandIns,
    /// Counts the outages: commands that run in containers lose their connections with each.
    pub(crate) outages: watch::Sender<u64>,
    /// What is to happen later; taken and timed by whoever holds the lock, after letting it go.
    pub(crate) later: Vec<Later>,
}

/// What the server does itself in place of actors that a cluster has.
///
/// Nothing else would finish these deletions while no kubelet and no namespace
/// controller runs here. Whoever brings such an actor turns its stand-in off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandIns {
    /// A pod deleted with a grace is gone after this time, or after its grace if that is shorter.
    /// `None`: it stays until somebody deletes it with grace 0, as a kubelet does.
    pub pods_vanish: Option<Duration>,
    /// What only a deleted object owned goes too; foreground deletion and orphaning come to their end.
    pub garbage_collected: bool,
    /// A deleted namespace is emptied and goes. `false`: it stays in phase `Terminating`.
    pub namespaces_empty: bool,
}

impl Default for StandIns {
    fn default() -> Self {
        Self { pods_vanish: Some(Duration::from_secs(1)), garbage_collected: true, namespaces_empty: true }
    }
}

/// Something that a stand-in does after a while.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Later {
    /// The pod's containers have stopped.
    PodStopped { name: Name, uid: String, after: Duration },
    /// The namespace's contents are to go, then itself.
    NamespaceEmptied { name: String, uid: String, after: Duration },
    /// An owner has gone: what nobody else owns is to go.
    OwnerGone { uid: String, after: Duration },
    /// An object waits for the garbage collector's finalizer to be taken off.
    Collected { drawer: Drawer, name: Name, uid: String, after: Duration },
    /// The definition's objects are to go, then itself.
    DefinitionEmptied { name: String, uid: String, after: Duration },
}

/// All chance, from one seed.
#[derive(Debug)]
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    /// The chance of a seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A new random (version 4) UUID.
    pub(crate) fn uid(&mut self) -> String {
        let bits: u128 = self.0.random();
        let bits = (bits & !(0xf << 76) & !(0b11 << 62)) | (0x4 << 76) | (0b10 << 62);
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// Five letters for a generated name, from the real server's alphabet without vowels.
    pub(crate) fn suffix(&mut self) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..5).map(|_| char::from(ALPHABET[self.0.random_range(0..ALPHABET.len())])).collect()
    }

    /// An address for a service, out of the range that clusters have by default.
    pub(crate) fn address(&mut self) -> String {
        format!("10.96.{}.{}", self.0.random_range(0..256), self.0.random_range(1..255))
    }

    /// A port of all nodes for a service.
    pub(crate) fn node_port(&mut self) -> i64 {
        self.0.random_range(30_000..32_768)
    }

    /// How long a watch without `timeoutSeconds` lives: between 30 and 60 minutes, as with the real default.
    pub(crate) fn watch_lifetime(&mut self) -> Duration {
        Duration::from_secs(self.0.random_range(1800..3600))
    }
}

impl State {
    /// A server as it is right after its start: the four namespaces that are always there.
    pub(crate) fn new(seed: u64, keep: usize, stand_ins: StandIns, now: Timestamp) -> Self {
        let mut state = Self {
            store: Store::new(keep),
            registry: Registry::new(),
            ledger: Ledger::default(),
            rules: Rules::default(),
            programs: Programs::default(),
            backends: Backends::default(),
            chance: Chance::seeded(seed),
            stand_ins,
            outages: watch::Sender::default(),
            later: Vec::new(),
        };
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            state.make_namespace(name, now);
        }
        state
    }

    /// Puts a namespace into the store, if it is not there.
    pub(crate) fn make_namespace(&mut self, name: &str, now: Timestamp) {
        let drawer = namespaces();
        let key = Name { namespace: String::new(), name: name.to_owned() };
        if self.store.get(&drawer, &key).is_some() {
            return;
        }
        let object = json!({
            "kind": "Namespace", "apiVersion": "v1",
            "metadata": {
                "name": name, "uid": self.chance.uid(), "creationTimestamp": time_text(now),
                "labels": {"kubernetes.io/metadata.name": name},
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        });
        self.store.put(&drawer, key, Object::new(object).expect("the literal above is an object"));
    }

    /// A namespace, if it exists.
    pub(crate) fn namespace(&self, name: &str) -> Option<&Arc<Object>> {
        self.store.get(&namespaces(), &Name { namespace: String::new(), name: name.to_owned() })
    }

    /// Keeps an object and lets what follows from it follow: a definition is served at once.
    pub(crate) fn commit(&mut self, resource: &Resource, name: Name, object: Object, now: Timestamp) -> Arc<Object> {
        let committed = self.store.put(&resource.drawer(), name.clone(), object);
        if is_definition(resource) {
            let clash = self.registry.clash(&committed);
            if clash.is_none() {
                self.registry.define(&committed);
            }
            if let Some(established) = established(&committed, clash, now) {
                self.store.put(&resource.drawer(), name, established);
            }
        }
        committed
    }

    /// Removes an object and what hangs on its being there: the objects of a definition.
    pub(crate) fn discard(&mut self, resource: &Resource, name: &Name) -> Option<Arc<Object>> {
        let gone = self.store.remove(&resource.drawer(), name)?;
        if self.stand_ins.garbage_collected {
            let uid = gone.uid().to_owned();
            self.later.push(Later::OwnerGone { uid, after: Duration::from_millis(100) });
        }
        if is_definition(resource) {
            let text = |path: &[&str]| gone.at(path).and_then(Value::as_str).unwrap_or_default().to_owned();
            let drawer = Drawer { group: text(&["spec", "group"]), plural: text(&["spec", "names", "plural"]) };
            for object in self.store.list(&drawer, None) {
                self.store.remove(&drawer, &name_of(&object));
            }
            self.registry.forget(gone.name());
        }
        Some(gone)
    }
}

/// Where an object is kept, by its own metadata.
pub(crate) fn name_of(object: &Object) -> Name {
    Name { namespace: object.namespace().to_owned(), name: object.name().to_owned() }
}

/// Where namespaces are kept.
pub(crate) fn namespaces() -> Drawer {
    Drawer { group: String::new(), plural: "namespaces".to_owned() }
}

pub(crate) fn is_definition(resource: &Resource) -> bool {
    resource.is("apiextensions.k8s.io", "customresourcedefinitions")
}

/// A definition with the status that its controller gives it, if it does not have it yet.
fn established(definition: &Object, clash: Option<(&str, String)>, now: Timestamp) -> Option<Object> {
    let names = definition.at(&["spec", "names"])?;
    let accepted = definition.at(&["status", "acceptedNames"]);
    let told = definition.at(&["status", "conditions"]).is_some_and(Value::is_array);
    if accepted == Some(names) || definition.is_terminating() || (clash.is_some() && told) {
        return None;
    }
    let status = if clash.is_some() { "False" } else { "True" };
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "lastTransitionTime": time_text(now), "reason": reason, "message": message,
        })
    };
    let (conditions, names) = match clash {
        None => (
            [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
            names.clone(),
        ),
        Some((reason, message)) => (
            [
                condition("NamesAccepted", reason, &message),
                condition("Established", "NotAccepted", "not all names are accepted"),
            ],
            json!({"plural": names["plural"], "kind": ""}),
        ),
    };
    let mut established = definition.clone();
    established.set_field(
        "status",
        Some(json!({
            "conditions": conditions,
            "acceptedNames": names,
            "storedVersions": prepare::storage_versions(definition),
        })),
    );
    let owner = Owner {
        manager: "kube-apiserver".to_owned(),
        applies: false,
        api_version: definition.api_version().to_owned(),
        subresource: "status".to_owned(),
    };
    managed::track_as(&owner, definition, &mut established, now);
    Some(established)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_names() {
        let (mut one, mut two) = (Chance::seeded(7), Chance::seeded(7));
        let uid = one.uid();
        assert_eq!(uid, two.uid());
        assert_ne!(uid, one.uid());
        assert_eq!((&uid[14..15], uid.len()), ("4", 36));
        assert!("89ab".contains(&uid[19..20]));
    }
}
