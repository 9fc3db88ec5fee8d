//! What the volume controllers of one manager process know about their place.

use serde_json::json;

use super::data::DataPath;
use super::kind;
use super::site::{Site, status_write};
use crate::sim::{Cache, Kind, Object, Write};

/// A manager process as its volume controllers see it: its node, its flags, and the data path that outlives it.
#[derive(Clone)]
pub(super) struct Post {
    site: Site,
    /// The node it runs on.
    pub(super) node: String,
    /// The namespace of all of Longhorn.
    pub(super) namespace: String,
    /// `--engine-image`.
    pub(super) engine_image: String,
    /// `--instance-manager-image`.
    pub(super) instance_manager_image: String,
    /// Engines, replicas and contents.
    pub(super) data: DataPath,
}

impl Post {
    pub(super) fn of(site: &Site) -> Self {
        Self {
            node: site.node.clone(),
            namespace: site.namespace.clone(),
            engine_image: site.flags.engine.clone(),
            instance_manager_image: site.flags.instance_manager.clone(),
            data: site.plant.volumes().clone(),
            site: site.clone(),
        }
    }

    /// Whether this manager looks after something.
    pub(super) fn responsible(&self, cache: &Cache, preferred: &str, current: &str) -> bool {
        self.site.responsible(cache, preferred, current)
    }

    /// A write that makes this manager an object's owner, if it is not; refused if another was quicker.
    pub(super) fn claim(&self, kind: &Kind, object: &Object) -> Option<Write> {
        let mut changed = object.to_value();
        if !changed["status"].is_object() {
            changed["status"] = json!({});
        }
        changed["status"]["ownerID"] = self.node.as_str().into();
        status_write(kind, object, changed)
    }

    /// Whether this manager is the one that is asked for what has no owner: the first that can be counted on.
    pub(super) fn leads(&self, cache: &Cache) -> bool {
        let nodes = cache.within(&kind::NODE, &self.namespace).map(Object::name);
        let first = nodes.filter(|node| self.site.is_available(cache, node)).min();
        first.is_none_or(|first| first == self.node)
    }

    /// The value of a setting, or the one it has where nobody set it.
    pub(super) fn setting<'a>(&self, cache: &'a Cache, name: &str, default: &'a str) -> &'a str {
        let value = cache.get(&kind::SETTING, &self.namespace, name).map_or("", |setting| setting.text("/value"));
        if value.is_empty() { default } else { value }
    }

    /// The engine image that new volumes get.
    pub(super) fn default_engine_image<'a>(&'a self, cache: &'a Cache) -> &'a str {
        self.setting(cache, "default-engine-image", &self.engine_image)
    }
}

/// The node and disk where something lies, if a disk of this UUID is known.
pub(super) fn disk_of<'a>(cache: &'a Cache, namespace: &'a str, uuid: &str) -> Option<(&'a Object, String)> {
    cache.within(&kind::NODE, namespace).find_map(|node| {
        let disks = node.at("/status/diskStatus").as_object()?;
        let (name, _) = disks.iter().find(|(_, disk)| disk["diskUUID"] == uuid)?;
        Some((node, name.clone()))
    })
}
