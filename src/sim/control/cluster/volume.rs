//! Claims and volumes: bound to each other, released, and for tests provisioned.

use jiff::Timestamp;
use serde_json::json;

use super::super::cache::Cache;
use super::super::controller::{Controller, Round, Runs, Trigger};
use super::super::key::Key;
use super::super::kind::Kind;
use super::super::object::Object;
use super::super::quantity;
use super::super::queue::Backoff;
use super::super::write::Write;

/// The provisioner that a storage class names to get volumes out of nothing.
pub const PROVISIONER: &str = "embedded.lariat.dev/anywhere";

const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// The controller. Its keys are claims, and volumes under a namespace that no claim can have.
pub(in crate::sim) fn controller() -> Box<dyn Runs> {
    Controller {
        name: "persistentvolume-controller",
        triggers: vec![
            Trigger::on(Kind::CLAIM, |change, _| {
                let volume = change.after.text("/spec/volumeName");
                let released = (change.deleted && !volume.is_empty()).then(|| Key::alone(volume));
                [change.after.key()].into_iter().chain(released).collect()
            }),
            Trigger::on(Kind::VOLUME, |change, cache| {
                let claim = change.after.at("/spec/claimRef");
                let text = |field: &str| claim[field].as_str().unwrap_or_default();
                let mut keys = vec![Key::alone(change.after.name())];
                if text("name").is_empty() {
                    keys.extend(
                        cache.all(&Kind::CLAIM).filter(|own| own.text("/status/phase") == "Pending").map(Object::key),
                    );
                } else {
                    keys.push(Key::new(text("namespace"), text("name")));
                }
                keys
            }),
            Trigger::known(Kind::STORAGE_CLASS),
        ],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(())
}

fn reconcile(key: &Key, cache: &Cache, (): &mut (), _: Timestamp) -> Round {
    if key.namespace.is_empty() {
        return volume(key, cache);
    }
    let Some(claim) = cache.of(&Kind::CLAIM, key).filter(|claim| !claim.is_terminating()) else {
        return Round::idle();
    };
    let volumes = || cache.all(&Kind::VOLUME).filter(|volume| !volume.is_terminating());
    let named = claim.text("/spec/volumeName");
    let refers = |volume: &Object| {
        volume.text("/spec/claimRef/name") == claim.name()
            && volume.text("/spec/claimRef/namespace") == claim.namespace()
            && ["", claim.uid()].contains(&volume.text("/spec/claimRef/uid"))
    };
    let found = if named.is_empty() {
        let mut fitting: Vec<&Object> =
            volumes().filter(|volume| volume.at("/spec/claimRef").is_null() && fits(volume, claim)).collect();
        fitting.sort_by_key(|volume| (quantity::milli(volume.at("/spec/capacity/storage")), volume.name().to_owned()));
        volumes().find(|volume| refers(volume)).or(fitting.first().copied())
    } else {
        cache.get(&Kind::VOLUME, "", named)
    };
    match found {
        Some(volume) => Round::writes(bound(claim, volume)),
        None => Round::writes(provisioned(claim, cache).into_iter().collect()),
    }
}

fn fits(volume: &Object, claim: &Object) -> bool {
    let wanted = quantity::milli(claim.at("/spec/resources/requests/storage")).unwrap_or_default();
    let modes = volume.items("/spec/accessModes");
    volume.text("/spec/storageClassName") == claim.text("/spec/storageClassName")
        && quantity::milli(volume.at("/spec/capacity/storage")).is_some_and(|has| has >= wanted)
        && claim.items("/spec/accessModes").iter().all(|mode| modes.contains(mode))
}

/// The writes that bind the two, one at a time as far as they are not done.
fn bound(claim: &Object, volume: &Object) -> Vec<Write> {
    let mut writes = Vec::new();
    if volume.text("/spec/claimRef/uid") != claim.uid() {
        let mut changed = volume.to_value();
        changed["spec"]["claimRef"] = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": claim.namespace(), "name": claim.name(),
            "uid": claim.uid(), "resourceVersion": claim.at("/metadata/resourceVersion"),
        });
        return vec![Write::update(&Kind::VOLUME, changed)];
    }
    if volume.text("/status/phase") != "Bound" {
        let mut changed = volume.to_value();
        changed["status"]["phase"] = "Bound".into();
        writes.push(Write::update_status(&Kind::VOLUME, changed));
    }
    if claim.text("/spec/volumeName").is_empty() {
        let mut changed = claim.to_value();
        changed["spec"]["volumeName"] = volume.name().into();
        changed["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] = "yes".into();
        changed["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"] = "yes".into();
        writes.push(Write::update(&Kind::CLAIM, changed));
    } else if claim.text("/status/phase") != "Bound" {
        let mut changed = claim.to_value();
        changed["status"] = json!({
            "phase": "Bound", "accessModes": volume.at("/spec/accessModes"), "capacity": volume.at("/spec/capacity"),
        });
        writes.push(Write::update_status(&Kind::CLAIM, changed));
    }
    writes
}

/// A volume for a claim whose class asks for one out of nothing.
fn provisioned(claim: &Object, cache: &Cache) -> Option<Write> {
    let class = cache.get(&Kind::STORAGE_CLASS, "", claim.text("/spec/storageClassName"))?;
    let waits = class.text("/volumeBindingMode") == "WaitForFirstConsumer"
        && claim.annotation("volume.kubernetes.io/selected-node").is_none();
    if class.text("/provisioner") != PROVISIONER || waits {
        return None;
    }
    let volume = json!({
        "metadata": {"name": format!("pvc-{}", claim.uid()), "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": claim.at("/spec/resources/requests/storage")},
            "accessModes": claim.at("/spec/accessModes"), "storageClassName": class.name(),
            "persistentVolumeReclaimPolicy": class.at("/reclaimPolicy"),
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": claim.namespace(), "name": claim.name(),
                "uid": claim.uid(),
            },
            "csi": {"driver": PROVISIONER, "volumeHandle": claim.uid()},
        },
    });
    Some(Write::create(&Kind::VOLUME, volume).forgiving(&[409]))
}

/// A volume whose claim has gone is released, and deleted if this controller made it.
fn volume(key: &Key, cache: &Cache) -> Round {
    let Some(volume) = cache.of(&Kind::VOLUME, key).filter(|volume| !volume.is_terminating()) else {
        return Round::idle();
    };
    let text = |field: &str| volume.text(&format!("/spec/claimRef/{field}"));
    let uid = text("uid");
    if uid.is_empty() {
        if volume.at("/spec/claimRef").is_null() && volume.text("/status/phase") == "Pending" {
            let mut changed = volume.to_value();
            changed["status"]["phase"] = "Available".into();
            return Round::writes(vec![Write::update_status(&Kind::VOLUME, changed)]);
        }
        return Round::idle();
    }
    let there = cache.get(&Kind::CLAIM, text("namespace"), text("name")).is_some_and(|claim| claim.uid() == uid);
    // A claim that was just made may not have come yet: only what was bound is released.
    if there || volume.text("/status/phase") != "Bound" && volume.text("/status/phase") != "Released" {
        return Round::idle();
    }
    if volume.text("/status/phase") == "Bound" {
        let mut changed = volume.to_value();
        changed["status"]["phase"] = "Released".into();
        return Round::writes(vec![Write::update_status(&Kind::VOLUME, changed)]);
    }
    let own = volume.annotation(PROVISIONED_BY) == Some(PROVISIONER);
    if own && volume.text("/spec/persistentVolumeReclaimPolicy") == "Delete" {
        return Round::writes(vec![Write::delete(&Kind::VOLUME, volume)]);
    }
    Round::idle()
}
