//! For tests: a cluster with managers that only look after volumes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use kube::core::WatchEvent;
use serde_json::{Value, json};

use super::super::known::Known;
use super::super::release::Release;
use super::data::DataPath;
use super::plant::Plant;
use super::site::{Flags, Site};
use super::wrong::Wrongs;
use super::{filled, images, internet, kind, room};
use crate::sim::{Internet, Kind, Object, Process, Setup, World};

pub(super) const SPACE: &str = "longhorn-system";
pub(super) const OLD: (&str, &str) =
    ("longhornio/longhorn-engine:v1.11.3", "longhornio/longhorn-instance-manager:v1.11.3");
pub(super) const NEW: (&str, &str) =
    ("longhornio/longhorn-engine:v1.12.1", "longhornio/longhorn-instance-manager:v1.12.1");
pub(super) const DISKS: [&str; 3] = ["d1", "d2", "d3"];

pub(super) struct Stage {
    pub(super) world: World,
    pub(super) data: DataPath,
    plant: Plant,
    managers: Mutex<Vec<Process>>,
    seen: Arc<Mutex<Vec<Object>>>,
}

const KINDS: [(Kind, &str); 9] = [
    (kind::VOLUME, "volume"),
    (kind::ATTACHMENT, "volumeattachment"),
    (kind::ENGINE, "engine"),
    (kind::REPLICA, "replica"),
    (kind::INSTANCE_MANAGER, "instancemanager"),
    (kind::ENGINE_IMAGE, "engineimage"),
    (kind::BACKING_IMAGE, "backingimage"),
    (kind::NODE, "node"),
    (kind::SETTING, "setting"),
];

impl Stage {
    /// Three nodes with a disk each, managers of the old release, and nothing to do.
    pub(super) async fn new(seed: u64) -> Self {
        let world = World::new(Setup::seeded(seed));
        let plant = Plant::new(seed, world.clock(), Internet::default(), Wrongs::default());
        let data = plant.volumes().clone();
        images(world.machines(), &plant);
        for (kind, singular) in KINDS {
            world
                .api()
                .put(json!({
                    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                    "metadata": {"name": format!("{}.longhorn.io", kind.plural)},
                    "spec": {
                        "group": "longhorn.io", "scope": "Namespaced",
                        "names": {
                            "kind": kind.kind, "listKind": format!("{}List", kind.kind), "plural": kind.plural,
                            "singular": singular,
                        },
                        "versions": [{
                            "name": "v1beta2", "served": true, "storage": true, "subresources": {"status": {}},
                            "schema": {"openAPIV3Schema": {
                                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                            }},
                        }],
                    },
                }))
                .unwrap();
        }
        let put = |value: Value| world.api().put(value).unwrap();
        put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}));
        put(
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "longhorn-service-account", "namespace": SPACE}}),
        );
        for (node, disk) in world.nodes().iter().zip(DISKS) {
            let ready = json!([{"type": "Ready", "status": "True"}, {"type": "Schedulable", "status": "True"}]);
            put(json!({
                "apiVersion": "longhorn.io/v1beta2", "kind": "Node", "metadata": {"name": node, "namespace": SPACE},
                "spec": {"allowScheduling": true, "disks": {"default": {"allowScheduling": true, "path": "/var/lib/longhorn"}}},
                "status": {
                    "conditions": ready,
                    "diskStatus": {"default": {"diskUUID": disk, "diskPath": "/var/lib/longhorn", "conditions": ready}},
                },
            }));
        }
        put(json!({
            "apiVersion": "longhorn.io/v1beta2", "kind": "BackingImage", "metadata": {"name": "small", "namespace": SPACE},
            "spec": {"sourceParameters": {"url": internet::PUBLISHED[0].url}, "diskFileSpecMap": {}},
            "status": {"diskFileStatusMap": {}},
        }));
        put(json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "longhorn"},
            "provisioner": "driver.longhorn.io", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate",
            "parameters": {"numberOfReplicas": "2", "backingImage": "small"},
        }));
        let seen = watched(&world).await;
        let stage = Self { world, data, plant, managers: Mutex::default(), seen };
        stage.start_managers(OLD);
        stage
    }

    /// Starts a manager on each node, in place of those that run.
    pub(super) fn start_managers(&self, (engine, instance): (&str, &str)) {
        self.stop_managers();
        let nodes = self.world.nodes();
        let process = |node: &String| {
            let flags = Flags { engine: engine.to_owned(), instance_manager: instance.to_owned(), ..Flags::default() };
            let site = Site {
                node: node.clone(),
                namespace: SPACE.to_owned(),
                flags,
                release: Release::of(engine),
                plant: self.plant.clone(),
            };
            self.world.process("longhorn-manager", node, room::controllers(&site))
        };
        *self.managers.lock().unwrap() = nodes.iter().map(process).collect();
    }

    pub(super) fn stop_managers(&self) {
        self.managers.lock().unwrap().clear();
    }

    /// A volume as the webhook would have it stored.
    pub(super) fn make(&self, name: &str, image: &str) {
        let mut volume = json!({
            "apiVersion": "longhorn.io/v1beta2", "kind": "Volume",
            "metadata": {"name": name, "namespace": SPACE, "finalizers": ["longhorn.io"]},
            "spec": {"size": "1073741824", "backingImage": image},
        });
        filled(&mut volume, &Known::default());
        volume["spec"]["image"] = OLD.0.into();
        self.world.api().put(volume).unwrap();
    }

    pub(super) async fn patch(&self, kind: &Kind, name: &str, part: &str, body: Value) {
        let path = format!("/apis/longhorn.io/v1beta2/namespaces/{SPACE}/{}/{name}{part}", kind.plural);
        let asked = http::Request::patch(path).header("content-type", "application/merge-patch+json");
        let asked = asked.body(body.to_string().into_bytes()).unwrap();
        self.world.client().request::<Value>(asked).await.unwrap();
    }

    pub(super) async fn delete(&self, path: &str) {
        let asked = http::Request::delete(path).body(Vec::new()).unwrap();
        self.world.client().request::<Value>(asked).await.unwrap();
    }

    /// Asks for a volume on a node, or for it to be left.
    pub(super) async fn attach(&self, volume: &str, node: Option<&str>) {
        let ticket = node.map_or(Value::Null, |node| {
            json!({"id": "t", "type": "longhorn-api", "nodeID": node, "parameters": {"disableFrontend": "false"}})
        });
        self.patch(&kind::ATTACHMENT, volume, "", json!({"spec": {"attachmentTickets": {"t": ticket}}})).await;
    }

    pub(super) async fn image_ready(&self, disks: &[&str]) {
        let map: serde_json::Map<_, _> =
            disks.iter().map(|disk| ((*disk).to_owned(), json!({"state": "ready"}))).collect();
        self.patch(&kind::BACKING_IMAGE, "small", "/status", json!({"status": {"diskFileStatusMap": map}})).await;
    }

    pub(super) fn set(&self, setting: &str, value: &str) {
        let object = json!({
            "apiVersion": "longhorn.io/v1beta2", "kind": "Setting", "metadata": {"name": setting, "namespace": SPACE},
            "value": value,
        });
        self.world.api().put(object).unwrap();
    }

    pub(super) fn all(&self, kind: &Kind) -> Vec<Object> {
        let plural = format!("{}.{}", kind.plural, kind.group);
        let all = self.world.api().list(if kind.group.is_empty() { &kind.plural } else { &plural }, "");
        all.into_iter().map(Object::new).collect()
    }

    pub(super) fn volume(&self, name: &str) -> Object {
        self.all(&kind::VOLUME).into_iter().find(|own| own.name() == name).unwrap()
    }

    /// The replicas of a volume.
    pub(super) fn replicas(&self, volume: &str) -> Vec<Object> {
        self.all(&kind::REPLICA).into_iter().filter(|own| own.text("/spec/volumeName") == volume).collect()
    }

    /// Lets time pass until something holds.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..20_000 {
            if holds(self) {
                return;
            }
            self.world.pass(Duration::from_millis(100)).await;
        }
        let parts = [kind::VOLUME, kind::ENGINE, kind::REPLICA, kind::INSTANCE_MANAGER, kind::ENGINE_IMAGE];
        let all: Vec<String> = parts
            .iter()
            .flat_map(|kind| self.all(kind))
            .map(|own| format!("{} {} {} {}", own.text("/kind"), own.name(), own.at("/spec"), own.at("/status")))
            .collect();
        let told: Vec<String> = self
            .world
            .api()
            .list("events", "default")
            .into_iter()
            .map(Object::new)
            .map(|own| format!("{} {} {}", own.text("/involvedObject/name"), own.text("/reason"), own.text("/message")))
            .collect();
        panic!("never: {what}\n{}\n{}", told.join("\n"), all.join("\n"));
    }

    pub(super) async fn until_state(&self, volume: &str, state: &str, robustness: &str) {
        let is = |stage: &Self| {
            let own = stage.volume(volume);
            own.text("/status/state") == state && own.text("/status/robustness") == robustness
        };
        self.until(&format!("{volume} {state} {robustness}"), is).await;
    }

    /// What a volume went through: state and robustness, each once.
    pub(super) fn story(&self, volume: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let own = seen.iter().filter(|own| {
            own.text("/kind") == "Volume" && own.name() == volume && !own.text("/status/state").is_empty()
        });
        let mut story: Vec<String> =
            own.map(|own| format!("{}/{}", own.text("/status/state"), own.text("/status/robustness"))).collect();
        story.dedup();
        story
    }

    /// Every version of every engine and replica that was seen.
    pub(super) fn versions(&self, kind: &Kind) -> Vec<Object> {
        self.seen.lock().unwrap().iter().filter(|own| own.text("/kind") == kind.kind).cloned().collect()
    }

    /// The events about an object, as `reason: message`.
    pub(super) fn events(&self, kind: &str) -> Vec<String> {
        let all = self.world.api().list("events", SPACE).into_iter().map(Object::new);
        let mut all: Vec<Object> = all.filter(|own| own.text("/involvedObject/kind") == kind).collect();
        all.sort_by_key(Object::revision);
        all.iter().map(|own| own.text("/reason").to_owned()).collect()
    }
}

/// Every version of volumes, engines and replicas from now on.
pub(super) async fn watched(world: &World) -> Arc<Mutex<Vec<Object>>> {
    let seen: Arc<Mutex<Vec<Object>>> = Arc::default();
    for kind in [kind::VOLUME, kind::ENGINE, kind::REPLICA] {
        let (client, seen) = (world.api().direct_client(), seen.clone());
        let from = world.api().revision();
        let path = format!("/apis/longhorn.io/v1beta2/{}?watch=true&resourceVersion={from}", kind.plural);
        let asked = http::Request::get(path).body(Vec::new()).unwrap();
        let events = client.request_events::<Value>(asked).await.unwrap();
        tokio::spawn(async move {
            let mut events = Box::pin(events);
            while let Some(event) = events.next().await {
                if let Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) = event {
                    seen.lock().unwrap().push(Object::new(object));
                }
            }
        });
    }
    seen
}
