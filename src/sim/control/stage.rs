//! For tests: a cluster, and what a watch saw of it as a story to read.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use kube::core::WatchEvent;
use serde_json::Value;

use super::kind::Kind;
use super::object::Object;
use super::write::request;
use crate::sim::{Setup, World};

/// A cluster with a witness.
pub(super) struct Stage {
    pub(super) world: World,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// One event of a watch.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Duration,
    pub(super) kind: &'static str,
    pub(super) object: Object,
}

impl Stage {
    /// A cluster of a seed, with these kinds watched from the beginning.
    pub(super) async fn new(seed: u64, kinds: &[Kind]) -> Self {
        let world = World::new(Setup::seeded(seed));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        for kind in kinds {
            let (client, clock, seen) = (world.api().direct_client(), world.clock(), seen.clone());
            let path = format!("{}?watch=true&resourceVersion={}", kind.everywhere(), world.api().revision());
            let events =
                client.request_events::<Value>(request("GET", &path, "witness", "", Vec::new())).await.unwrap();
            tokio::spawn(async move {
                let mut events = Box::pin(events);
                while let Some(event) = events.next().await {
                    let (kind, object) = match event {
                        Ok(WatchEvent::Added(object)) => ("ADDED", object),
                        Ok(WatchEvent::Modified(object)) => ("MODIFIED", object),
                        Ok(WatchEvent::Deleted(object)) => ("DELETED", object),
                        _ => continue,
                    };
                    let at = clock.elapsed().duration();
                    seen.lock().unwrap().push(Seen { at, kind, object: Object::new(object) });
                }
            });
        }
        // The processes list what there is before anything happens.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Self { world, seen }
    }

    /// Creates what a YAML text says, as a client does.
    pub(super) async fn apply(&self, yaml: &str) {
        let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
        let client = self.world.client();
        for document in documents {
            let kinds = [
                Kind::POD,
                Kind::DAEMON_SET,
                Kind::DEPLOYMENT,
                Kind::REPLICA_SET,
                Kind::STATEFUL_SET,
                Kind::JOB,
                Kind::CRON_JOB,
                Kind::SERVICE,
                Kind::CONFIG_MAP,
                Kind::CLAIM,
                Kind::STORAGE_CLASS,
                Kind::NAMESPACE,
                Kind::DISRUPTION_BUDGET,
                Kind::SERVICE_ACCOUNT,
                Kind::new("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false),
                Kind::new("lab.lariat.dev", "v1", "gadgets", "Gadget", true),
            ];
            let kind = kinds.into_iter().find(|kind| document["kind"] == *kind.kind).unwrap();
            let namespace = document["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
            let body = document.to_string().into_bytes();
            let asked = request("POST", &kind.collection(&namespace), "tester", "application/json", body);
            client.request::<Value>(asked).await.unwrap();
        }
    }

    /// Merges something into an object of the default namespace.
    pub(super) async fn patch(&self, kind: &Kind, name: &str, body: Value) {
        let path = kind.object(&super::key::Key::new("default", name));
        let body = body.to_string().into_bytes();
        let asked = request("PATCH", &path, "tester", "application/merge-patch+json", body);
        self.world.client().request::<Value>(asked).await.unwrap();
    }

    /// Deletes an object of the default namespace, with options.
    pub(super) async fn delete(&self, kind: &Kind, name: &str, options: Value) {
        let path = kind.object(&super::key::Key::new("default", name));
        let asked = request("DELETE", &path, "tester", "application/json", options.to_string().into_bytes());
        self.world.client().request::<Value>(asked).await.unwrap();
    }

    /// Lets time pass until something holds of the objects of a kind; the time that it took.
    pub(super) async fn until(&self, kind: &Kind, holds: impl Fn(&[Object]) -> bool) -> Duration {
        let start = self.world.clock().elapsed().duration();
        let mut known = 0;
        for _ in 0..60_000 {
            let revision = self.world.api().revision();
            if revision == std::mem::replace(&mut known, revision) {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            let objects: Vec<Object> = self.objects(kind);
            if holds(&objects) {
                return self.world.clock().elapsed().duration().saturating_sub(start);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!(
            "never held; the last were {:#?}",
            self.objects(kind).iter().map(|own| own.at("/status").clone()).collect::<Vec<_>>()
        );
    }

    /// The objects of a kind, in all namespaces.
    pub(super) fn objects(&self, kind: &Kind) -> Vec<Object> {
        self.world.api().list(&kind.plural, "").into_iter().map(Object::new).collect()
    }

    /// What was seen so far of a kind.
    pub(super) fn seen(&self, kind: &Kind) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.object.text("/kind") == kind.kind).cloned().collect()
    }

    /// The events told so far, as `Kind reason`, in the order in which they were first told.
    pub(super) fn told(&self) -> Vec<String> {
        let seen = self.seen(&Kind::EVENT);
        let first = seen.iter().filter(|seen| seen.kind == "ADDED");
        first
            .map(|seen| format!("{} {}", seen.object.text("/involvedObject/kind"), seen.object.text("/reason")))
            .collect()
    }
}

/// A pod's state in a few words: phase, what its containers do, readiness, deletion.
pub(super) fn pod_line(seen: &Seen) -> String {
    let pod = &seen.object;
    let mut words = vec![seen.kind.to_lowercase(), pod.text("/status/phase").to_owned()];
    for container in pod.items("/status/containerStatuses") {
        for (state, detail) in container["state"].as_object().into_iter().flatten() {
            let reason = detail["reason"].as_str().map(|reason| format!("({reason})")).unwrap_or_default();
            words.push(format!("{state}{reason}"));
        }
    }
    if pod.text("/spec/nodeName").is_empty() {
        words.push("nowhere".to_owned());
    }
    if pod.is("Ready") {
        words.push("ready".to_owned());
    }
    if pod.is_terminating() {
        words.push(format!("terminating({})", pod.count("/metadata/deletionGracePeriodSeconds")));
    }
    words.join(" ")
}

/// The story of one pod, each state once.
pub(super) fn pod_story(seen: &[Seen], name: &str) -> Vec<String> {
    let mut story: Vec<String> = seen.iter().filter(|seen| seen.object.name() == name).map(pod_line).collect();
    story.dedup();
    story
}

/// The names of the pods in the order in which they were first seen.
pub(super) fn pods_in_order(seen: &[Seen]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for seen in seen {
        if !names.contains(&seen.object.name().to_owned()) {
            names.push(seen.object.name().to_owned());
        }
    }
    names
}
