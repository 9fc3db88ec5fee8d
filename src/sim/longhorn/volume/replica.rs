//! Replicas: started once their disk has the backing image, stopped, and taken away.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::draft::Draft;
use super::instance;
use super::kind;
use super::post::{Post, disk_of};
use super::site::time;
use super::timing::RESYNC;
use super::{BACKOFF, tags_fit};
use crate::sim::{Cache, Controller, Form, Key, Object, Round, Runs, Trigger, Write};

/// The controller.
pub(super) fn controller(post: &Post) -> Box<dyn Runs> {
    Controller {
        name: "longhorn-replica-controller",
        triggers: vec![
            Trigger::itself(kind::REPLICA),
            Trigger::on(kind::INSTANCE_MANAGER, |change, cache| {
                let node = change.after.text("/spec/nodeID");
                let parts = ["/status/instanceReplicas", "/status/currentState"];
                let moved = parts.iter().any(|part| change.touches(part));
                let here = cache.all(&kind::REPLICA).filter(|own| moved && own.text("/spec/nodeID") == node);
                here.map(Object::key).collect()
            }),
            Trigger::on(kind::BACKING_IMAGE, |change, cache| {
                let name = change.after.name();
                cache
                    .all(&kind::REPLICA)
                    .filter(|own| own.text("/spec/backingImage") == name)
                    .map(Object::key)
                    .collect()
            }),
        ],
        resync: Some(RESYNC),
        backoff: BACKOFF,
        awaits_own_writes: true,
        reconcile,
    }
    .with(post.clone())
}

fn reconcile(key: &Key, cache: &Cache, post: &mut Post, now: Timestamp) -> Round {
    let Some(replica) = cache.of(&kind::REPLICA, key).filter(|own| own.namespace() == post.namespace) else {
        return Round::idle();
    };
    if !post.responsible(cache, replica.text("/spec/nodeID"), replica.text("/status/ownerID")) {
        return Round::idle();
    }
    let mut draft = Draft::of(&kind::REPLICA, replica);
    draft.set("/status/ownerID", post.node.as_str());
    if replica.is_terminating() {
        draft.set("/spec/desireState", "stopped");
    }
    let mut look = instance::look(&mut draft, cache, post, now);
    if replica.is_terminating() {
        let gone = draft.text("/status/currentState") == "stopped" || draft.text("/status/currentState") == "unknown";
        let mut end = Draft::of(&kind::REPLICA, replica);
        if gone {
            end.set("/metadata/finalizers", Value::Array(Vec::new()));
        }
        let mut round = Round::writes(end.writes());
        round.again = look.again;
        return round;
    }
    let wrong = "replica-crash-during-takeover";
    if post.data.is_wrong(wrong)
        && draft.text("/status/currentState") == "running"
        && is_taken_over(replica, cache, post)
    {
        post.data.crash_once(wrong, replica.name());
    }
    let mut writes = Vec::new();
    if let Some(manager) = look.start_in.take() {
        match gate(replica, cache, post) {
            Gate::Open => {
                draft.condition("WaitForBackingImage", false, "", "", &time(now));
                if post.data.start_replica(&manager, replica.name(), replica.text("/spec/volumeName")) {
                    draft.set("/status/currentImage", replica.text("/spec/image"));
                    instance::started(&mut draft, &manager, &mut look);
                }
            }
            Gate::Shut { reason, asks } => {
                draft.condition("WaitForBackingImage", true, reason, "", &time(now));
                writes.extend(asks.map(|own| *own));
            }
        }
    }
    writes.extend(draft.writes());
    writes.extend(look.tells);
    let mut round = Round::writes(writes);
    round.again = look.again;
    round
}

/// Whether nobody reports the file that a replica has open, as while its manager changes.
fn is_taken_over(replica: &Object, cache: &Cache, post: &Post) -> bool {
    let image = cache.get(&kind::BACKING_IMAGE, &post.namespace, replica.text("/spec/backingImage"));
    let disk = replica.text("/spec/diskID");
    image.is_some_and(|own| {
        own.at("/spec/diskFileSpecMap")[disk].is_object() && own.at("/status/diskFileStatusMap")[disk].is_null()
    })
}

/// Whether a replica's disk has the file that it opens.
enum Gate {
    Open,
    Shut { reason: &'static str, asks: Option<Box<Write>> },
}

fn gate(replica: &Object, cache: &Cache, post: &Post) -> Gate {
    let name = replica.text("/spec/backingImage");
    if name.is_empty() {
        return Gate::Open;
    }
    let Some(image) = cache.get(&kind::BACKING_IMAGE, &post.namespace, name) else {
        return Gate::Shut { reason: "GetBackingImageFailed", asks: None };
    };
    let disk = replica.text("/spec/diskID");
    let state = image.at("/status/diskFileStatusMap")[disk]["state"].as_str().unwrap_or_default();
    if !image.at("/spec/diskFileSpecMap")[disk].is_object() {
        let fits = disk_of(cache, &post.namespace, disk).is_some_and(|(node, disk)| tags_fit(image, node, &disk));
        let body = json!({"spec": {"diskFileSpecMap": {disk: {"evictionRequested": false, "dataEngine": "v1"}}}});
        let asks = fits.then(|| Box::new(Write::patch(&kind::BACKING_IMAGE, image.key(), Form::Merge, body)));
        return Gate::Shut { reason: "Waiting", asks };
    }
    if state == "ready" { Gate::Open } else { Gate::Shut { reason: "Waiting", asks: None } }
}
