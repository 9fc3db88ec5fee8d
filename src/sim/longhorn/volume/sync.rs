//! The volume controller: engines and replicas after what a volume is to be.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::kind;
use super::post::Post;
use super::site::time;
use super::timing::RESYNC;
use super::{BACKOFF, FINALIZER, labels};
use crate::sim::{Cache, Change, Controller, Key, Kind, Object, Round, Runs, Trigger, Write};

/// The controller.
pub(super) fn controller(post: &Post) -> Box<dyn Runs> {
    let of_volume = |change: &Change, _: &Cache| {
        let object = &change.after;
        object.label("longhornvolume").map(|volume| Key::new(object.namespace(), volume)).into_iter().collect()
    };
    let all = |_: &Change, cache: &Cache| cache.all(&kind::VOLUME).map(Object::key).collect();
    Controller {
        name: "longhorn-volume-controller",
        triggers: vec![
            Trigger::itself(kind::VOLUME),
            Trigger::on(kind::ENGINE, of_volume),
            Trigger::on(kind::REPLICA, of_volume),
            Trigger::on(kind::ATTACHMENT, of_volume),
            Trigger::on(kind::ENGINE_IMAGE, all),
            Trigger::known(kind::NODE),
            Trigger::known(kind::SETTING),
            Trigger::known(kind::BACKING_IMAGE),
            Trigger::known(kind::INSTANCE_MANAGER),
            Trigger::on(Kind::VOLUME, |change, cache| {
                let handle = change.after.text("/spec/csi/volumeHandle");
                cache.all(&kind::VOLUME).filter(|own| own.name() == handle).map(Object::key).collect()
            }),
            Trigger::known(Kind::POD),
        ],
        resync: Some(RESYNC),
        backoff: BACKOFF,
        awaits_own_writes: true,
        reconcile,
    }
    .with(post.clone())
}

/// One look at one volume, with everything that belongs to it.
pub(super) struct Sync<'a> {
    pub(super) cache: &'a Cache,
    pub(super) post: &'a Post,
    pub(super) now: Timestamp,
    pub(super) volume: Draft,
    pub(super) engine: Draft,
    /// By name; those that are on their way out are not among them.
    pub(super) replicas: BTreeMap<String, Draft>,
    /// What is to be made, or taken away.
    pub(super) deeds: Vec<Write>,
    pub(super) tells: Vec<Write>,
    pub(super) again: Option<Duration>,
}

fn reconcile(key: &Key, cache: &Cache, post: &mut Post, now: Timestamp) -> Round {
    let Some(volume) = cache.of(&kind::VOLUME, key).filter(|own| own.namespace() == post.namespace) else {
        return Round::idle();
    };
    if !post.responsible(cache, volume.text("/spec/nodeID"), volume.text("/status/ownerID")) {
        return Round::idle();
    }
    // Two managers that make replicas for one volume would make too many: it is claimed before anything else.
    if let Some(claim) = post.claim(&kind::VOLUME, volume) {
        return Round::writes(vec![claim]);
    }
    let draft = Draft::of(&kind::VOLUME, volume);
    if volume.is_terminating() {
        return deleted(draft, cache, post);
    }
    let mine = |kind: &Kind| -> Vec<&Object> {
        let all = cache.within(kind, &post.namespace);
        all.filter(|own| own.text("/spec/volumeName") == key.name).collect()
    };
    let engine = mine(&kind::ENGINE).into_iter().find(|own| !own.is_terminating());
    let Some(engine) = engine else {
        return born(draft, cache, post, now);
    };
    let replicas = mine(&kind::REPLICA).into_iter().filter(|own| !own.is_terminating());
    let mut sync = Sync {
        cache,
        post,
        now,
        volume: draft,
        engine: Draft::of(&kind::ENGINE, engine),
        replicas: replicas.map(|own| (own.name().to_owned(), Draft::of(&kind::REPLICA, own))).collect(),
        deeds: Vec::new(),
        tells: Vec::new(),
        again: None,
    };
    sync.place();
    sync.health();
    sync.travel();
    sync.upgrade();
    sync.replenish();
    sync.conditions();
    sync.bound();
    sync.round()
}

/// A volume that has nothing yet: its attachment, engine and replicas are made.
fn born(mut volume: Draft, cache: &Cache, post: &Post, now: Timestamp) -> Round {
    if volume.text("/status/state").is_empty() {
        volume.set("/status/state", "creating");
        volume.set("/status/robustness", "unknown");
    }
    if volume.text("/spec/image").is_empty() {
        volume.set("/spec/image", post.default_engine_image(cache));
    }
    if volume.text("/status/currentImage").is_empty() {
        let image = volume.at("/spec/image").clone();
        volume.set("/status/currentImage", image);
    }
    let name = volume.name().to_owned();
    let owner = kind::VOLUME.owner(&name, volume.before().uid());
    let mut writes = Vec::new();
    if cache.get(&kind::ATTACHMENT, &post.namespace, &name).is_none() {
        writes.push(Write::create(&kind::ATTACHMENT, json!({
            "metadata": {
                "name": name, "namespace": post.namespace, "finalizers": [FINALIZER], "labels": labels(&name, ""),
                "ownerReferences": [owner],
            },
            "spec": {"volume": name, "attachmentTickets": {}},
        })).forgiving(&[409]));
    }
    let engine = Write::create(
        &kind::ENGINE,
        json!({
            "metadata": {
                "name": format!("{name}-e-0"), "namespace": post.namespace, "finalizers": [FINALIZER],
                "labels": labels(&name, ""), "ownerReferences": [owner],
            },
            "spec": {
                "volumeName": name, "volumeSize": volume.at("/spec/size"), "nodeID": "", "image": volume.at("/status/currentImage"),
                "desireState": "stopped", "dataEngine": "v1", "frontend": volume.at("/spec/frontend"), "disableFrontend": false,
                "replicaAddressMap": {}, "upgradedReplicaAddressMap": {}, "active": true, "logRequested": false,
                "salvageRequested": false,
            },
        }),
    );
    let there = cache.within(&kind::REPLICA, &post.namespace).any(|own| own.text("/spec/volumeName") == name);
    if !there {
        let count = volume.at("/spec/numberOfReplicas").as_u64().unwrap_or(3);
        let mut taken: Vec<String> = Vec::new();
        for nth in 0..count {
            writes.push(super::schedule::created(&volume, cache, post, now, nth, &mut taken));
        }
    }
    writes.extend(volume.writes());
    // The engine comes last: with it the volume counts as made.
    writes.push(engine.forgiving(&[409]));
    Round::writes(writes)
}

/// A volume on its way out: what belongs to it goes first.
fn deleted(mut volume: Draft, cache: &Cache, post: &Post) -> Round {
    let name = volume.name().to_owned();
    volume.set("/status/state", "deleting");
    let mut writes = Vec::new();
    let mut left = false;
    for kind in [&kind::ENGINE, &kind::REPLICA] {
        for own in cache.within(kind, &post.namespace).filter(|own| own.text("/spec/volumeName") == name) {
            left = true;
            if !own.is_terminating() {
                writes.push(Write::delete(kind, own));
            }
        }
    }
    if let Some(own) = cache.get(&kind::ATTACHMENT, &post.namespace, &name) {
        left = true;
        if !own.is_terminating() {
            writes.push(Write::delete(&kind::ATTACHMENT, own));
        }
    }
    if left {
        writes.extend(volume.writes());
        return Round::writes(writes);
    }
    post.data.erase(&name);
    let claim = (volume.text("/status/kubernetesStatus/namespace"), volume.text("/status/kubernetesStatus/pvcName"));
    if let Some(claim) = cache.get(&Kind::CLAIM, claim.0, claim.1).filter(|claim| !claim.is_terminating()) {
        writes.push(Write::delete(&Kind::CLAIM, claim));
    }
    let bound = volume.text("/status/kubernetesStatus/pvName");
    if let Some(bound) = cache.get(&Kind::VOLUME, "", bound).filter(|bound| !bound.is_terminating()) {
        writes.push(Write::delete(&Kind::VOLUME, bound));
    }
    let mut end = Draft::of(&kind::VOLUME, volume.before());
    end.set("/metadata/finalizers", Value::Array(Vec::new()));
    writes.extend(end.writes());
    Round::writes(writes)
}

impl Sync<'_> {
    pub(super) fn name(&self) -> &str {
        self.volume.name()
    }

    pub(super) fn stamp(&self) -> String {
        time(self.now)
    }

    pub(super) fn tell(&mut self, kind: &'static str, reason: &str, message: String) {
        self.tells.push(Write::event(self.volume.before(), kind, reason, message));
    }

    pub(super) fn look_again(&mut self, wait: Duration) {
        self.again = Some(self.again.map_or(wait, |before| before.min(wait)));
    }

    /// What the engine does by now.
    pub(super) fn engine_state(&self) -> &str {
        let state = self.engine.text("/status/currentState");
        if state.is_empty() { "stopped" } else { state }
    }

    /// Takes a replica away.
    pub(super) fn remove(&mut self, name: &str) {
        if let Some(draft) = self.replicas.remove(name) {
            let before = draft.before().clone();
            self.deeds.extend(draft.writes());
            self.deeds.push(Write::delete(&kind::REPLICA, &before));
        }
    }

    /// What the volume is to Kubernetes.
    fn bound(&mut self) {
        let name = self.name().to_owned();
        let bound = self.cache.all(&Kind::VOLUME).find(|own| {
            own.text("/spec/csi/driver") == super::csi::DRIVER && own.text("/spec/csi/volumeHandle") == name
        });
        let text = |pointer: &str| bound.map(|own| own.text(pointer)).unwrap_or_default().to_owned();
        let (namespace, claim) = (text("/spec/claimRef/namespace"), text("/spec/claimRef/name"));
        let pods = self
            .cache
            .within(&Kind::POD, &namespace)
            .filter(|pod| !claim.is_empty() && super::csi::claims(pod).any(|own| own == claim));
        let workloads: Vec<Value> = pods
            .map(|pod| {
                let owner = pod.controller();
                let field = |name: &str| owner.map_or_else(|| "".into(), |own| own[name].clone());
                json!({
                    "podName": pod.name(), "podStatus": pod.text("/status/phase"), "workloadName": field("name"),
                    "workloadType": field("kind"),
                })
            })
            .collect();
        let status = json!({
            "pvName": text("/metadata/name"), "pvStatus": text("/status/phase"), "namespace": namespace, "pvcName": claim,
            "lastPVCRefAt": "", "lastPodRefAt": "", "workloadsStatus": workloads,
        });
        self.volume.set("/status/kubernetesStatus", status);
    }

    fn round(self) -> Round {
        let mut writes = self.deeds;
        for replica in self.replicas.into_values() {
            writes.extend(replica.writes());
        }
        writes.extend(self.engine.writes());
        writes.extend(self.volume.writes());
        writes.extend(self.tells);
        Round { writes, again: self.again }
    }
}

/// An empty map, as a value.
pub(super) fn none() -> Value {
    Value::Object(Map::new())
}
