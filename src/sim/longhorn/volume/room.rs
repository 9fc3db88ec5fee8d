//! What the controllers of volumes share.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::post::Post;
use super::site::Site;
use super::{attachment, csi, engine, engine_image, instance_manager, replica, sync};
use crate::sim::{Backoff, Object, Runs};

/// The finalizer that everything of Longhorn has.
pub(super) const FINALIZER: &str = "longhorn.io";

/// How long a refused key waits: longer waits end with the resync anyway.
pub(super) const BACKOFF: Backoff = Backoff { first: Duration::from_millis(20), most: Duration::from_secs(30) };

/// The controllers of volumes in one manager process.
pub(in crate::sim::longhorn) fn controllers(site: &Site) -> Vec<Box<dyn Runs>> {
    let post = &Post::of(site);
    vec![
        sync::controller(post),
        attachment::controller(post),
        engine::controller(post),
        replica::controller(post),
        instance_manager::controller(post),
        engine_image::controller(post),
        csi::attacher(post),
        csi::provisioner(post),
    ]
}

/// The labels of what belongs to a volume.
pub(super) fn labels(volume: &str, node: &str) -> Value {
    let mut labels = json!({"longhornvolume": volume, "longhorn.io/managed-by": "longhorn-manager"});
    if !node.is_empty() {
        labels["longhornnode"] = node.into();
    }
    labels
}

/// A map of texts; empty if it is none.
pub(super) fn map_of(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Whether a node and its disk have all the tags that something asks for.
pub(super) fn tags_fit(asks: &Object, node: &Object, disk: &str) -> bool {
    let all =
        |wanted: &[Value], has: &Value| wanted.iter().all(|tag| has.as_array().is_some_and(|tags| tags.contains(tag)));
    all(asks.items("/spec/nodeSelector"), node.at("/spec/tags"))
        && all(asks.items("/spec/diskSelector"), &node.at("/spec/disks")[disk]["tags"])
}
