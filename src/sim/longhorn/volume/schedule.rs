//! Where replicas go: one to a node, by the tags of volume and backing image, to the disk with the fewest.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::draft::Draft;
use super::kind;
use super::post::Post;
use super::sync::Sync;
use super::{FINALIZER, labels, tags_fit};
use crate::sim::{Cache, Write};

/// A disk that a replica can go to.
pub(super) struct Spot {
    node: String,
    disk: String,
    path: String,
}

/// A disk for one more replica of a volume, none on a node that is taken.
pub(super) fn spot(volume: &Draft, cache: &Cache, post: &Post, taken: &[String]) -> Option<Spot> {
    let soft = post.setting(cache, "replica-soft-anti-affinity", "false") == "true";
    let image = cache.get(&kind::BACKING_IMAGE, &post.namespace, volume.text("/spec/backingImage"));
    let mut spots: Vec<(bool, usize, String, Spot)> = Vec::new();
    for node in cache.within(&kind::NODE, &post.namespace) {
        let used = taken.iter().any(|own| own == node.name());
        let ready = node.condition("Ready").is_none_or(|own| own["status"] == "True");
        if used && !soft || !ready || !node.flag("/spec/allowScheduling") {
            continue;
        }
        for (name, disk) in node.at("/status/diskStatus").as_object().into_iter().flatten() {
            let uuid = disk["diskUUID"].as_str().unwrap_or_default();
            let conditions = disk["conditions"].as_array().into_iter().flatten();
            let fit = conditions.filter(|own| own["type"] == "Schedulable").all(|own| own["status"] == "True");
            let allowed = node.at("/spec/disks")[name]["allowScheduling"] == true;
            let tags = tags_fit(volume.before(), node, name) && image.is_none_or(|own| tags_fit(own, node, name));
            if uuid.is_empty() || !fit || !allowed || !tags {
                continue;
            }
            let load = cache.within(&kind::REPLICA, &post.namespace).filter(|own| own.text("/spec/diskID") == uuid);
            let path = disk["diskPath"].as_str().unwrap_or_default().to_owned();
            let spot = Spot { node: node.name().to_owned(), disk: uuid.to_owned(), path };
            spots.push((used, load.count(), uuid.to_owned(), spot));
        }
    }
    spots.sort_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)));
    spots.into_iter().next().map(|(.., spot)| spot)
}

/// Makes one more replica; unscheduled, if no disk will have it.
pub(super) fn created(
    volume: &Draft,
    cache: &Cache,
    post: &Post,
    now: Timestamp,
    nth: u64,
    taken: &mut Vec<String>,
) -> Write {
    let spot = spot(volume, cache, post, taken);
    let named = format!("replica/{}/{}/{nth}", volume.before().uid(), now.as_microsecond());
    let mut chance = post.data.chance(&named);
    let name = format!("{}-r-{}", volume.name(), chance.hex(8));
    taken.extend(spot.as_ref().map(|spot| spot.node.clone()));
    let mut replica = json!({
        "metadata": {
            "name": name, "namespace": post.namespace, "finalizers": [FINALIZER],
            "labels": labels(volume.name(), spot.as_ref().map_or("", |spot| &spot.node)),
            "ownerReferences": [kind::VOLUME.owner(volume.name(), volume.before().uid())],
        },
        "spec": {
            "volumeName": volume.name(), "volumeSize": volume.at("/spec/size"), "nodeID": "",
            "image": volume.at("/status/currentImage"), "desireState": "stopped", "dataEngine": "v1",
            "engineName": format!("{}-e-0", volume.name()), "healthyAt": "", "lastHealthyAt": "", "failedAt": "",
            "lastFailedAt": "", "diskID": "", "diskPath": "", "dataDirectoryName": format!("{}-{}", volume.name(), chance.hex(8)),
            "backingImage": volume.at("/spec/backingImage"), "active": true, "hardNodeAffinity": "", "rebuildRetryCount": 0,
            "evictionRequested": false, "logRequested": false, "salvageRequested": false,
        },
    });
    if let Some(spot) = spot {
        put(&mut replica, &spot);
    }
    let image = volume.text("/spec/backingImage");
    if !image.is_empty() {
        replica["metadata"]["labels"]["longhorn.io/backing-image"] = image.into();
    }
    Write::create(&kind::REPLICA, replica)
}

fn put(replica: &mut Value, spot: &Spot) {
    replica["spec"]["nodeID"] = spot.node.as_str().into();
    replica["spec"]["diskID"] = spot.disk.as_str().into();
    replica["spec"]["diskPath"] = spot.path.as_str().into();
    replica["metadata"]["labels"]["longhornnode"] = spot.node.as_str().into();
    replica["metadata"]["labels"]["longhorndiskuuid"] = spot.disk.as_str().into();
}

impl Sync<'_> {
    /// Finds disks for replicas that have none.
    pub(super) fn place(&mut self) {
        let homeless: Vec<String> = self
            .replicas
            .iter()
            .filter(|(_, own)| own.text("/spec/nodeID").is_empty())
            .map(|(name, _)| name.clone())
            .collect();
        for name in &homeless {
            let taken = self.taken();
            let Some(spot) = spot(&self.volume, self.cache, self.post, &taken) else { break };
            if let Some(replica) = self.replicas.get_mut(name) {
                replica.set("/spec/nodeID", spot.node.as_str());
                replica.set("/spec/diskID", spot.disk.as_str());
                replica.set("/spec/diskPath", spot.path);
                replica.set("/metadata/labels/longhornnode", spot.node);
                replica.set("/metadata/labels/longhorndiskuuid", spot.disk);
            }
        }
        let left = self.replicas.values().any(|own| own.text("/spec/nodeID").is_empty());
        let at = self.stamp();
        if left {
            let text = "replica scheduling failed: no disk fits";
            self.volume.condition("Scheduled", false, "ReplicaSchedulingFailure", text, &at);
        } else {
            self.volume.condition("Scheduled", true, "", "", &at);
        }
    }

    /// The nodes that have a replica.
    pub(super) fn taken(&self) -> Vec<String> {
        let nodes = self.replicas.values().map(|own| own.text("/spec/nodeID").to_owned());
        nodes.filter(|node| !node.is_empty()).collect()
    }
}
