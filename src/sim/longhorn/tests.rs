//! Whole scenarios on a world: installation, first files, upgrades, restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::internet;
use crate::cluster::{ChartRequest, Cluster as _, HelmCall};
use crate::sim::{Embedded, Setup, World};

const NS: &str = "longhorn-system";

/// A cluster with Longhorn in it.
pub(super) struct Site {
    pub(super) embedded: Embedded,
}

impl Site {
    /// Installs a version, and waits for its disks.
    pub(super) async fn installed(seed: u64, version: &str) -> Self {
        let site = Self { embedded: Embedded::with(Setup::seeded(seed)) };
        site.embedded
            .world()
            .api()
            .put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}}))
            .unwrap();
        site.helm(false, version, &json!({})).await.unwrap();
        site.until(120, "disks ready", |site| site.disks().iter().filter(|(_, ready, _)| *ready).count() == 3).await;
        site
    }

    pub(super) async fn helm(&self, upgrade: bool, version: &str, set: &Value) -> Result<(), String> {
        let call = HelmCall {
            namespace: NS.into(),
            timeout: Duration::from_mins(15),
            no_hooks: false,
            cancel: CancellationToken::new(),
        };
        let request = ChartRequest {
            release: "longhorn".into(),
            chart: "longhorn/longhorn".into(),
            version: Some(version.to_owned()),
            set: set.as_object().cloned().unwrap_or_default().into_iter().collect(),
            ..ChartRequest::default()
        };
        let helm = self.embedded.helm();
        let done = if upgrade { helm.upgrade(&request, &call).await } else { helm.install(&request, &call).await };
        done.map(|_| ()).map_err(|error| format!("{error:?}"))
    }

    pub(super) fn world(&self) -> &World {
        self.embedded.world()
    }

    pub(super) fn list(&self, kind: &str) -> Vec<Value> {
        self.world().api().list(kind, NS)
    }

    pub(super) fn get(&self, kind: &str, name: &str) -> Value {
        self.world().api().get(kind, NS, name).unwrap_or_default()
    }

    /// Node, whether its disk is ready, and the disk's UUID.
    pub(super) fn disks(&self) -> Vec<(String, bool, String)> {
        let mut disks = Vec::new();
        for node in self.list("nodes.longhorn.io") {
            for disk in node["status"]["diskStatus"].as_object().into_iter().flat_map(|disks| disks.values()) {
                let ready = super::site::is(&disk["conditions"], "Ready");
                let name = node["metadata"]["name"].as_str().unwrap_or_default();
                disks.push((name.to_owned(), ready, disk["diskUUID"].as_str().unwrap_or_default().to_owned()));
            }
        }
        disks
    }

    /// The states of an image's entries, by disk.
    pub(super) fn entries(&self, image: &str) -> BTreeMap<String, String> {
        let image = self.get("backingimages.longhorn.io", image);
        let entries = image["status"]["diskFileStatusMap"].as_object().cloned().unwrap_or_default();
        entries
            .into_iter()
            .map(|(disk, entry)| (disk, entry["state"].as_str().unwrap_or_default().to_owned()))
            .collect()
    }

    pub(super) fn ready(&self, image: &str) -> usize {
        self.entries(image).values().filter(|state| *state == "ready").count()
    }

    pub(super) async fn image(&self, name: &str, url: &str, copies: u64) {
        let client = self.world().client();
        let object = json!({
            "apiVersion": "longhorn.io/v1beta2", "kind": "BackingImage", "metadata": {"name": name, "namespace": NS},
            "spec": {"sourceType": "download", "sourceParameters": {"url": url}, "minNumberOfCopies": copies},
        });
        let request = http::Request::post(format!("/apis/longhorn.io/v1beta2/namespaces/{NS}/backingimages"))
            .header("content-type", "application/json")
            .body(object.to_string().into_bytes())
            .unwrap();
        client.request::<Value>(request).await.unwrap();
    }

    /// Force deletes a pod, as `kubectl delete --grace-period=0 --force` does.
    pub(super) async fn kill(&self, pod: &str) {
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0});
        let request = http::Request::delete(format!("/api/v1/namespaces/{NS}/pods/{pod}"))
            .header("content-type", "application/json")
            .body(options.to_string().into_bytes())
            .unwrap();
        self.world().client().request::<Value>(request).await.unwrap();
    }

    pub(super) async fn until(&self, seconds: u64, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..seconds * 5 {
            if holds(self) {
                return;
            }
            self.world().pass(Duration::from_millis(200)).await;
        }
        let told = |kind: &str| {
            self.list(kind)
                .iter()
                .map(|own| format!("{} {}\n", own["metadata"]["name"], own["status"]))
                .collect::<String>()
        };
        panic!(
            "{what}: not within {seconds} s\n{}{}{}",
            told("backingimages.longhorn.io"),
            told("backingimagemanagers.longhorn.io"),
            told("backingimagedatasources.longhorn.io")
        );
    }

    pub(super) fn now(&self) -> f64 {
        let start: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        self.world().clock().now().duration_since(start).as_secs_f64()
    }

    fn managers(&self) -> Vec<Value> {
        let pods = self.list("pods");
        pods.into_iter().filter(|pod| pod["metadata"]["labels"]["app"] == "longhorn-manager").collect()
    }
}

fn small() -> &'static str {
    internet::PUBLISHED[0].url
}

fn large() -> &'static str {
    internet::PUBLISHED[2].url
}

fn run<T>(future: impl Future<Output = T>) -> T {
    World::runtime().unwrap().block_on(future)
}

#[test]
fn the_chart_brings_managers_nodes_and_disks() {
    run(async {
        let site = Site::installed(1, "1.12.1").await;
        assert_eq!(site.get("settings.longhorn.io", "current-longhorn-version")["value"], "v1.12.1");
        let image = &site.get("settings.longhorn.io", "default-backing-image-manager-image")["value"];
        assert_eq!(*image, "docker.io/longhornio/backing-image-manager:v1.12.1");
        assert_eq!(site.managers().len(), 3);
        assert_eq!(site.embedded.broken(), [""; 0]);
    });
}

#[test]
fn a_first_file_is_prepared_and_copied() {
    run(async {
        let site = Site::installed(2, "1.12.1").await;
        let before = site.now();
        site.image("small", small(), 3).await;
        site.until(120, "three copies", |site| site.ready("small") == 3).await;
        let took = site.now() - before;
        assert!((15.0..60.0).contains(&took), "three copies of a small image took {took} s");
        let source = site.get("backingimagedatasources.longhorn.io", "small");
        assert_eq!(source["spec"]["fileTransferred"], true);
        assert_eq!(site.embedded.deletions(), 0);
    });
}

#[test]
fn an_upgrade_takes_every_file_over() {
    run(async {
        let site = Site::installed(3, "1.11.3").await;
        site.image("small", small(), 3).await;
        site.image("large", large(), 1).await;
        site.until(120, "three copies", |site| site.ready("small") == 3 && site.ready("large") == 1).await;
        site.helm(true, "1.12.1", &json!({})).await.unwrap();
        site.until(300, "taken over", |site| {
            let managers = site.list("backingimagemanagers.longhorn.io");
            let new = managers
                .iter()
                .all(|own| own["spec"]["image"].as_str().is_some_and(|image| image.ends_with("v1.12.1")));
            managers.len() == 3 && new && site.ready("small") == 3 && site.ready("large") == 1
        })
        .await;
        assert_eq!(site.embedded.deletions(), 0);
        assert_eq!(site.embedded.broken(), [""; 0]);
        // The first lease's node takes over at once. Others whose disks were marked with their nodes wait for
        // a resync of one of the images, the second one at the latest (59.7 to 59.9 s after the first, measured).
        let mut made: Vec<jiff::Timestamp> = site
            .list("backingimagemanagers.longhorn.io")
            .iter()
            .filter_map(|own| own["metadata"]["creationTimestamp"].as_str()?.parse().ok())
            .collect();
        made.sort();
        let later = made[2].duration_since(made[0]).as_secs();
        assert!((0..=61).contains(&later), "the last manager came {later} s later");
    });
}

#[test]
fn managers_that_are_killed_together_come_back_and_touch_no_file() {
    run(async {
        let site = Site::installed(4, "1.12.1").await;
        site.image("small", small(), 3).await;
        site.until(120, "three copies", |site| site.ready("small") == 3).await;
        let managers = site.list("backingimagemanagers.longhorn.io");
        for pod in site.managers() {
            site.kill(pod["metadata"]["name"].as_str().unwrap_or_default()).await;
        }
        site.until(60, "unknown", |site| site.entries("small").values().any(|state| state == "unknown")).await;
        site.until(120, "ready again", |site| site.ready("small") == 3 && site.disks().iter().all(|disk| disk.1)).await;
        let now: Vec<Value> = site.list("backingimagemanagers.longhorn.io");
        let names = |all: &[Value]| all.iter().map(|own| own["metadata"]["uid"].clone()).collect::<Vec<_>>();
        assert_eq!(names(&managers), names(&now));
        assert_eq!(site.embedded.deletions(), 0);
        assert_eq!(site.embedded.broken(), [""; 0]);
    });
}
