//! CSI: pods with claims to tickets, and devices to pods.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::data::DataPath;
use super::kind;
use super::post::Post;
use super::timing::RESYNC;
use super::{BACKOFF, FINALIZER};
use crate::sim::{
    Anywhere, Attach, Cache, Controller, Form, Key, Kind, Object, Round, Runs, Trigger, Volume, Write, sha256,
};

/// The name of Longhorn's driver.
pub(super) const DRIVER: &str = "driver.longhorn.io";

/// The kubelet's way to a volume's device.
#[derive(Clone, Debug)]
pub(super) struct Devices {
    data: DataPath,
    /// Volumes of other drivers, of which no storage system is tested.
    others: Arc<Anywhere>,
}

impl Devices {
    /// The devices of a data path.
    pub(super) fn new(data: &DataPath) -> Self {
        Self { data: data.clone(), others: Arc::default() }
    }
}

impl Attach for Devices {
    fn mount(&self, volume: &Object, node: &str) -> Result<Volume, String> {
        if volume.text("/spec/csi/driver") != DRIVER {
            return self.others.mount(volume, node);
        }
        self.data.attached(volume.name(), volume.text("/spec/csi/volumeHandle"), node)
    }

    fn unmount(&self, volume: &str, node: &str) {
        self.data.detached(volume, node);
    }
}

/// The names of the claims that a pod uses.
pub(super) fn claims(pod: &Object) -> impl Iterator<Item = &str> {
    pod.items("/spec/volumes").iter().filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())
}

/// What `csi-attacher` asks a manager for: tickets for pods. Keys are persistent volumes.
pub(super) fn attacher(post: &Post) -> Box<dyn Runs> {
    Controller {
        name: "csi-attacher",
        triggers: vec![
            Trigger::itself(Kind::VOLUME),
            Trigger::on(Kind::POD, |change, cache| {
                let bound = |pod: &Object| {
                    let claims = claims(pod).filter_map(|claim| cache.get(&Kind::CLAIM, pod.namespace(), claim));
                    claims.map(|claim| Key::alone(claim.text("/spec/volumeName"))).collect::<Vec<_>>()
                };
                let parts = ["/spec/nodeName", "/status/phase"];
                if parts.iter().any(|part| change.touches(part)) { bound(&change.after) } else { Vec::new() }
            }),
            Trigger::on(Kind::CLAIM, |change, _| vec![Key::alone(change.after.text("/spec/volumeName"))]),
            Trigger::on(kind::ATTACHMENT, |change, cache| {
                let name = change.after.name();
                let named = cache.all(&Kind::VOLUME).filter(|own| own.text("/spec/csi/volumeHandle") == name);
                named.map(Object::key).collect()
            }),
        ],
        resync: Some(RESYNC),
        backoff: BACKOFF,
        awaits_own_writes: true,
        reconcile: attach,
    }
    .with(post.clone())
}

fn attach(key: &Key, cache: &Cache, post: &mut Post, _: Timestamp) -> Round {
    let Some(bound) = cache.of(&Kind::VOLUME, key).filter(|own| own.text("/spec/csi/driver") == DRIVER) else {
        return Round::idle();
    };
    if !post.leads(cache) {
        return Round::idle();
    }
    let handle = bound.text("/spec/csi/volumeHandle");
    let Some(attachment) = cache.get(&kind::ATTACHMENT, &post.namespace, handle) else {
        return Round::idle();
    };
    let (namespace, claim) = (bound.text("/spec/claimRef/namespace"), bound.text("/spec/claimRef/name"));
    let wanted: BTreeSet<&str> = cache
        .within(&Kind::POD, namespace)
        .filter(|pod| !claim.is_empty() && claims(pod).any(|own| own == claim))
        .filter(|pod| !["Succeeded", "Failed"].contains(&pod.text("/status/phase")))
        .map(|pod| pod.text("/spec/nodeName"))
        .filter(|node| !node.is_empty())
        .collect();
    let mut patch = Map::new();
    let mut waits = false;
    let tickets = attachment.at("/spec/attachmentTickets").as_object();
    let own = tickets.into_iter().flatten().filter(|(_, ticket)| ticket["type"] == "csi-attacher");
    let mut there = BTreeSet::new();
    for (id, ticket) in own {
        let node = ticket["nodeID"].as_str().unwrap_or_default();
        if wanted.contains(node) {
            there.insert(node);
        } else if post.data.is_mounted(handle, node) {
            waits = true;
        } else {
            patch.insert(id.clone(), Value::Null);
        }
    }
    // A volume is at one node at a time: the next one's ticket waits for the last one's end.
    if there.is_empty() && !waits {
        for node in wanted.iter().take(1) {
            let id = format!("csi-{}", sha256(format!("{handle}{DRIVER}{node}").as_bytes()));
            let parameters = json!({"disableFrontend": "false", "lastAttachedBy": ""});
            let ticket = json!({
                "id": id, "type": "csi-attacher", "nodeID": node, "generation": 0, "parameters": parameters,
            });
            patch.insert(id, ticket);
        }
    }
    let mut round = Round::default();
    if !patch.is_empty() {
        let body = json!({"spec": {"attachmentTickets": patch}});
        round.writes.push(Write::patch(&kind::ATTACHMENT, attachment.key(), Form::Merge, body));
    }
    if waits { round.look_again(std::time::Duration::from_millis(500)) } else { round }
}

/// What `csi-provisioner` asks for: volumes for claims. Keys are claims.
pub(super) fn provisioner(post: &Post) -> Box<dyn Runs> {
    Controller {
        name: "driver.longhorn.io",
        triggers: vec![
            Trigger::itself(Kind::CLAIM),
            Trigger::known(Kind::STORAGE_CLASS),
            Trigger::on(Kind::VOLUME, |change, _| {
                let claim = change.after.at("/spec/claimRef");
                let text = |field: &str| claim[field].as_str().unwrap_or_default();
                vec![Key::new(text("namespace"), text("name")), Key::alone(change.after.name())]
            }),
            Trigger::on(kind::VOLUME, |change, cache| {
                let name = change.after.name();
                let waiting = cache.all(&Kind::CLAIM).filter(|claim| name == format!("pvc-{}", claim.uid()));
                waiting.map(Object::key).collect()
            }),
        ],
        resync: Some(RESYNC),
        backoff: BACKOFF,
        awaits_own_writes: true,
        reconcile: provision,
    }
    .with(post.clone())
}

fn provision(key: &Key, cache: &Cache, post: &mut Post, _: Timestamp) -> Round {
    if !post.leads(cache) {
        return Round::idle();
    }
    if key.namespace.is_empty() {
        return reclaim(key, cache, post);
    }
    let Some(claim) = cache.of(&Kind::CLAIM, key).filter(|claim| !claim.is_terminating()) else {
        return Round::idle();
    };
    let class = cache.get(&Kind::STORAGE_CLASS, "", claim.text("/spec/storageClassName"));
    let Some(class) = class.filter(|own| own.text("/provisioner") == DRIVER) else { return Round::idle() };
    let waits = class.text("/volumeBindingMode") == "WaitForFirstConsumer"
        && claim.annotation("volume.kubernetes.io/selected-node").is_none();
    if waits || !claim.text("/spec/volumeName").is_empty() {
        return Round::idle();
    }
    let name = format!("pvc-{}", claim.uid());
    let Some(volume) = cache.get(&kind::VOLUME, &post.namespace, &name) else {
        return Round::writes(vec![asked(claim, class, &name, &post.namespace)]);
    };
    // What the driver promised is there once the volume could be attached.
    if volume.text("/status/state") != "detached" || cache.get(&Kind::VOLUME, "", &name).is_some() {
        return Round::idle();
    }
    let bound = json!({
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": DRIVER}},
        "spec": {
            "capacity": {"storage": claim.at("/spec/resources/requests/storage")},
            "accessModes": claim.at("/spec/accessModes"), "storageClassName": class.name(),
            "persistentVolumeReclaimPolicy": class.at("/reclaimPolicy"),
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": claim.namespace(),
                "name": claim.name(), "uid": claim.uid(),
            },
            "csi": {"driver": DRIVER, "volumeHandle": name, "fsType": "ext4"},
        },
    });
    Round::writes(vec![Write::create(&Kind::VOLUME, bound).forgiving(&[409])])
}

/// The Longhorn volume for a claim, after its class's parameters.
fn asked(claim: &Object, class: &Object, name: &str, namespace: &str) -> Write {
    let parameter = |name: &str| class.text(&format!("/parameters/{name}")).to_owned();
    let mut spec = json!({
        "size": bytes(claim.text("/spec/resources/requests/storage")).to_string(), "frontend": "blockdev",
        "backingImage": parameter("backingImage"),
    });
    if let Ok(count) = parameter("numberOfReplicas").parse::<u64>() {
        spec["numberOfReplicas"] = count.into();
    }
    if let Ok(minutes) = parameter("staleReplicaTimeout").parse::<u64>() {
        spec["staleReplicaTimeout"] = minutes.into();
    }
    if !parameter("dataLocality").is_empty() {
        spec["dataLocality"] = parameter("dataLocality").into();
    }
    Write::create(
        &kind::VOLUME,
        json!({"metadata": {"name": name, "namespace": namespace, "finalizers": [FINALIZER]}, "spec": spec}),
    )
    .forgiving(&[409])
}

/// Deletes what was made for a claim that has gone.
fn reclaim(key: &Key, cache: &Cache, post: &Post) -> Round {
    let Some(bound) = cache.of(&Kind::VOLUME, key) else { return Round::idle() };
    let own = bound.annotation("pv.kubernetes.io/provisioned-by") == Some(DRIVER);
    let released = bound.text("/status/phase") == "Released";
    if !own || !released || bound.is_terminating() || bound.text("/spec/persistentVolumeReclaimPolicy") != "Delete" {
        return Round::idle();
    }
    let volume = cache.get(&kind::VOLUME, &post.namespace, bound.text("/spec/csi/volumeHandle"));
    let mut writes: Vec<Write> =
        volume.filter(|own| !own.is_terminating()).map(|own| Write::delete(&kind::VOLUME, own)).into_iter().collect();
    writes.push(Write::delete(&Kind::VOLUME, bound));
    Round::writes(writes)
}

/// A quantity such as `3Gi` in bytes.
fn bytes(quantity: &str) -> u64 {
    let end = quantity.find(|c: char| !c.is_ascii_digit()).unwrap_or(quantity.len());
    let number: u64 = quantity[..end].parse().unwrap_or_default();
    let factor = match &quantity[end..] {
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        _ => 1,
    };
    number.saturating_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_bytes() {
        for (text, number) in [("3Gi", 3 << 30), ("500M", 500_000_000), ("17", 17), ("", 0)] {
            assert_eq!(bytes(text), number, "{text}");
        }
    }
}
