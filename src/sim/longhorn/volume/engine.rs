//! Engines: started with their replicas, asked every 5 s, replaced in place by another build.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::instance;
use super::kind;
use super::post::Post;
use super::process::Modes;
use super::site::time;
use super::timing::{ENGINE_POLL, RESYNC};
use super::{BACKOFF, map_of};
use crate::sim::{Cache, Controller, Key, Object, Round, Runs, Trigger, Write};

/// The controller, which remembers when it asks which engine next.
pub(super) fn controller(post: &Post) -> Box<dyn Runs> {
    Controller {
        name: "longhorn-engine-controller",
        triggers: vec![
            Trigger::itself(kind::ENGINE),
            Trigger::on(kind::INSTANCE_MANAGER, |change, cache| {
                let node = change.after.text("/spec/nodeID");
                let parts = ["/status/instanceEngines", "/status/currentState"];
                let moved = parts.iter().any(|part| change.touches(part));
                let here = cache.all(&kind::ENGINE).filter(|own| moved && own.text("/spec/nodeID") == node);
                here.map(Object::key).collect()
            }),
            Trigger::known(kind::BACKING_IMAGE),
            Trigger::known(kind::VOLUME),
        ],
        resync: Some(RESYNC),
        backoff: BACKOFF,
        awaits_own_writes: true,
        reconcile,
    }
    .with(Monitor { post: post.clone(), polls: BTreeMap::new() })
}

struct Monitor {
    post: Post,
    /// When each running engine is asked again.
    polls: BTreeMap<String, Timestamp>,
}

fn reconcile(key: &Key, cache: &Cache, monitor: &mut Monitor, now: Timestamp) -> Round {
    let Monitor { post, polls } = monitor;
    let Some(engine) = cache.of(&kind::ENGINE, key).filter(|own| own.namespace() == post.namespace) else {
        polls.remove(&key.name);
        return Round::idle();
    };
    if !post.responsible(cache, engine.text("/spec/nodeID"), engine.text("/status/ownerID")) {
        polls.remove(&key.name);
        return Round::idle();
    }
    let mut draft = Draft::of(&kind::ENGINE, engine);
    draft.set("/status/ownerID", post.node.as_str());
    if engine.is_terminating() {
        draft.set("/spec/desireState", "stopped");
    }
    let mut look = instance::look(&mut draft, cache, post, now);
    if engine.is_terminating() {
        let gone = ["stopped", "unknown"].contains(&draft.text("/status/currentState"));
        let mut end = Draft::of(&kind::ENGINE, engine);
        if gone {
            end.set("/metadata/finalizers", Value::Array(Vec::new()));
        }
        let mut round = Round::writes(end.writes());
        round.again = look.again;
        return round;
    }
    if let Some(manager) = look.start_in.take() {
        let volume = engine.text("/spec/volumeName");
        let replicas = map_of(engine.at("/spec/replicaAddressMap"));
        post.data.fill(volume, url(volume, cache, post));
        if post.data.start_engine(&manager, engine.name(), volume, engine.text("/spec/image"), &replicas) {
            draft.set("/status/currentImage", engine.text("/spec/image"));
            instance::started(&mut draft, &manager, &mut look);
        }
    }
    let mut round = Round::default();
    if draft.text("/status/currentState") == "running" {
        let mut asking = Asking { post, now, draft: &mut draft, tells: &mut look.tells };
        let due = polls.get(&key.name).copied();
        let switched = asking.switch();
        if switched {
            // The new process is not asked before the next poll: until then its replicas' modes are not known.
            polls.insert(key.name.clone(), now + SignedDuration::try_from(ENGINE_POLL).expect("5 s"));
        } else if due.is_none_or(|due| due <= now) || asking.has_news_of_errors() {
            asking.poll();
            polls.insert(key.name.clone(), now + SignedDuration::try_from(ENGINE_POLL).expect("5 s"));
        }
        asking.replicas();
        if let Some(due) = polls.get(&key.name) {
            round = round.look_at(now, *due);
        }
        if draft.text("/spec/image") != draft.text("/status/currentImage") {
            round = round.look_again(std::time::Duration::from_millis(250));
        }
    } else {
        polls.remove(&key.name);
        for field in ["replicaModeMap", "currentReplicaAddressMap", "rebuildStatus"] {
            draft.set(&format!("/status/{field}"), Value::Object(Map::new()));
        }
        draft.set("/status/endpoint", "");
    }
    round.writes = draft.writes();
    round.writes.extend(look.tells);
    match look.again {
        Some(wait) => round.look_again(wait),
        None => round,
    }
}

/// From where the image of a volume came.
fn url<'a>(volume: &str, cache: &'a Cache, post: &Post) -> Option<&'a str> {
    let volume = cache.get(&kind::VOLUME, &post.namespace, volume)?;
    let image = cache.get(&kind::BACKING_IMAGE, &post.namespace, volume.text("/spec/backingImage"))?;
    Some(image.text("/spec/sourceParameters/url"))
}

/// Talk with a running engine.
struct Asking<'a> {
    post: &'a Post,
    now: Timestamp,
    draft: &'a mut Draft,
    tells: &'a mut Vec<Write>,
}

impl Asking<'_> {
    /// Replaces the engine by the build that it is to be. True once it is that.
    fn switch(&mut self) -> bool {
        let name = self.draft.name().to_owned();
        let (wanted, is) = (self.draft.text("/spec/image").to_owned(), self.draft.text("/status/currentImage"));
        let replicas = map_of(self.draft.at("/spec/upgradedReplicaAddressMap"));
        let Some(view) = self.post.data.engine(&name) else { return false };
        if wanted == is || replicas.is_empty() {
            return false;
        }
        if view.image == wanted {
            self.draft.set("/status/currentImage", wanted);
            self.draft.set("/status/currentReplicaAddressMap", map_value(&view.addresses));
            self.draft.set("/status/replicaModeMap", Value::Null);
            return true;
        }
        if !view.upgrading {
            self.post.data.upgrade_engine(&name, &wanted, &replicas);
        }
        false
    }

    /// Whether a replica was given up and nobody was told: it may not be let go of before.
    fn has_news_of_errors(&self) -> bool {
        let told = map_of(self.draft.at("/status/replicaModeMap"));
        let view = self.post.data.engine(self.draft.name());
        view.is_some_and(|view| {
            !told.is_empty()
                && view.modes.iter().any(|(name, mode)| mode == "ERR" && told.get(name).is_none_or(|own| own != mode))
        })
    }

    /// Asks for the replicas' modes.
    fn poll(&mut self) {
        let name = self.draft.name().to_owned();
        let Some(view) = self.post.data.engine(&name) else { return };
        let before: Modes = map_of(self.draft.at("/status/replicaModeMap"));
        let at = time(self.now);
        for (replica, mode) in &view.modes {
            let was = before.get(replica).map(String::as_str);
            if was == Some(mode) {
                continue;
            }
            self.draft.set(&format!("/status/replicaTransitionTimeMap/{replica}"), at.as_str());
            let address = view.addresses.get(replica).cloned().unwrap_or_default();
            let tells = match (was, mode.as_str()) {
                (_, "ERR") => ("Warning", "Faulted", format!("Detected replica {replica} ({address}) in error")),
                (Some("WO"), "RW") => (
                    "Normal",
                    "Rebuilt",
                    format!(
                        "Replica {replica} with Address {address} has been rebuilt for volume {}",
                        self.draft.text("/spec/volumeName")
                    ),
                ),
                _ => continue,
            };
            self.tells.push(Write::event(self.draft.before(), tells.0, tells.1, tells.2));
        }
        self.draft.set("/status/replicaModeMap", map_value(&view.modes));
        self.draft.set("/status/currentReplicaAddressMap", map_value(&view.addresses));
        self.draft.set("/status/currentSize", self.draft.at("/spec/volumeSize").clone());
        let volume = self.draft.text("/spec/volumeName").to_owned();
        let endpoint =
            if self.draft.flag("/spec/disableFrontend") { String::new() } else { format!("/dev/longhorn/{volume}") };
        self.draft.set("/status/endpoint", endpoint);
        let rebuilt: Map<String, Value> = view
            .rebuilding
            .iter()
            .filter_map(|name| {
                let address = view.addresses.get(name)?;
                Some((format!("tcp://{address}"), json!({"isRebuilding": true, "state": "in_progress", "progress": 0})))
            })
            .collect();
        self.draft.set("/status/rebuildStatus", Value::Object(rebuilt));
    }

    /// Adds the replicas that the volume wants in, and lets go of the others.
    fn replicas(&mut self) {
        let name = self.draft.name().to_owned();
        let Some(view) = self.post.data.engine(&name) else { return };
        // While it changes builds the two maps speak of different processes.
        if view.upgrading
            || view.image != self.draft.text("/spec/image")
            || !map_of(self.draft.at("/spec/upgradedReplicaAddressMap")).is_empty()
        {
            return;
        }
        let wanted = map_of(self.draft.at("/spec/replicaAddressMap"));
        for replica in view.addresses.keys().filter(|replica| !wanted.contains_key(*replica)) {
            self.post.data.forget(&name, replica);
        }
        let volume = self.draft.text("/spec/volumeName").to_owned();
        // One that was given up may have started anew before it was let go of.
        let given_up = |replica: &String, address: &String| {
            view.modes.get(replica).is_some_and(|mode| mode == "ERR") && view.addresses.get(replica) != Some(address)
        };
        for (replica, address) in &wanted {
            if given_up(replica, address) {
                self.post.data.forget(&name, replica);
            } else if view.addresses.contains_key(replica) {
                continue;
            }
            if self.post.data.rebuild(&name, replica, address) {
                let text = format!(
                    "Start rebuilding replica {replica} with Address {address} for normal engine {name} and volume {volume}"
                );
                self.tells.push(Write::event(self.draft.before(), "Normal", "Rebuilding", text));
            }
        }
    }
}

fn map_value(map: &BTreeMap<String, String>) -> Value {
    Value::Object(map.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect())
}
