//! What was done to the recorded clusters, done to an embedded one.

use std::time::Duration;

use http::Request;
use lariat::cluster::{ChartRequest, Cluster as _, HelmCall};
use lariat::sim::{Chance, Embedded, Setup, Site, Span, World};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::tape::Tape;
use super::witness::Witness;

/// Where Longhorn is.
pub(crate) const NAMESPACE: &str = "longhorn-system";

/// Something that was recorded, and can be done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    Install,
    SameImageForce,
    Upgrade,
    Incompatible,
}

impl Scenario {
    /// The folder of its recording.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::SameImageForce => "same-image-force",
            Self::Upgrade => "upgrade",
            Self::Incompatible => "incompatible",
        }
    }

    /// Does it on an embedded cluster of a seed, and hands over what a watch saw.
    pub(crate) fn play(self, seed: u64) -> Tape {
        let runtime = World::runtime().expect("a runtime of one thread can be made");
        runtime.block_on(async {
            let lab = Lab::new(seed);
            match self {
                Self::Install => lab.install_alone().await,
                Self::SameImageForce => lab.same_image_force().await,
                Self::Upgrade => lab.upgrade_with_a_slow_image().await,
                Self::Incompatible => lab.incompatible().await,
            }
        })
    }
}

impl Scenario {
    /// Does its main act once, on a cluster with something built in that Longhorn does not do.
    pub(crate) fn play_wrong(self, wrong: &str) -> Tape {
        let runtime = World::runtime().expect("a runtime of one thread can be made");
        runtime.block_on(async {
            let mut lab = Lab::new(1);
            assert!(lab.cluster.wrong(wrong), "there is a wrong `{wrong}`");
            lab.helm(false, NEW, &[]).await;
            lab.settled("an installation").await;
            for (name, _) in IMAGES {
                lab.post(name, 3).await;
            }
            lab.until("all copies", |lab| lab.ready("small") == 3 && lab.ready("large") == 3).await;
            lab.settled("all copies").await;
            let witness = Witness::new(lab.world()).await;
            if self == Self::SameImageForce {
                witness.mark("delete");
                lab.remove_managers().await;
            } else {
                witness.mark("upgrade");
                lab.helm_starts().await;
                lab.helm(true, NEW, &[raised("backingImageManager"), raised("manager")]).await;
            }
            lab.world().pass(Duration::from_secs(90)).await;
            witness.end()
        })
    }
}

/// A cluster that scenarios are done on.
struct Lab {
    cluster: Embedded,
    chance: Chance,
}

const OLD: &str = "1.11.3";
const NEW: &str = "1.12.1";
/// The images as the recordings' pods saw them: their size, and that 5 MB come in a second.
const IMAGES: [(&str, u64); 2] = [("small", 5 << 20), ("large", 400 << 20)];
/// Bytes a second, drawn in thousands.
const SPEED: Span = Span::millis(4_500, 5_200);
/// What it takes until helm has read chart and release (recorded: 1.8 s from its start to the first hook).
const HELM: Span = Span::millis(1_200, 2_900);
/// The tag of images whose API constants are raised: the recorded ones were built for it.
const RAISED: &str = "v1.12.1-api4-min4";

impl Lab {
    fn new(seed: u64) -> Self {
        let cluster = Embedded::with(Setup::seeded(seed));
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
        cluster.world().api().put(namespace).expect("it is a namespace");
        // The recorded nodes had all images: system-managed pods were told never to pull.
        for image in ["manager", "share-manager", "engine", "instance-manager"] {
            for tag in ["v1.11.3", "v1.12.1", RAISED] {
                cluster.world().machines().preload(&format!("docker.io/longhornio/longhorn-{image}:{tag}"));
                cluster.world().machines().preload(&format!("docker.io/longhornio/backing-image-manager:{tag}"));
            }
        }
        let mut chance = cluster.world().chance("kubectl");
        for (name, bytes) in IMAGES {
            let speed = u64::try_from(chance.draw(SPEED).as_millis()).expect("it is short") * 1000;
            let digest = format!("{:0128x}", bytes + 1);
            let site = Site { speed, ..Site::new(bytes, digest) };
            cluster.internet().publish(url(name), site);
        }
        Self { cluster, chance }
    }

    async fn install_alone(self) -> Tape {
        let witness = Witness::new(self.world()).await;
        self.helm(false, NEW, &[]).await;
        self.settled("an installation").await;
        self.world().pass(Duration::from_secs(40)).await;
        witness.end()
    }

    async fn same_image_force(mut self) -> Tape {
        self.helm(false, NEW, &[]).await;
        self.settled("an installation").await;
        self.world().pass(Duration::from_secs(40)).await;
        let witness = Witness::new(self.world()).await;
        self.create(&witness, "small", 3).await;
        self.until("three copies", |lab| lab.ready("small") == 3).await;
        self.world().pass(Duration::from_secs(10)).await;
        for _ in 0..10 {
            witness.mark("delete");
            self.remove_managers().await;
            self.settled("a round").await;
        }
        witness.end()
    }

    async fn upgrade_with_a_slow_image(mut self) -> Tape {
        let witness = Witness::new(self.world()).await;
        self.helm(false, OLD, &[]).await;
        self.settled("an installation").await;
        self.create(&witness, "small", 3).await;
        self.create(&witness, "large", 1).await;
        self.until("the small one's copies", |lab| lab.ready("small") == 3).await;
        self.until("the large one's first file", |lab| lab.ready("large") == 1).await;
        self.world().pass(Duration::from_secs(1)).await;
        self.patch("large", &json!({ "spec": { "minNumberOfCopies": 3 } })).await;
        self.until("two copies on their way", |lab| lab.entries("large", "in-progress") == 2).await;
        witness.mark("upgrade");
        self.helm_starts().await;
        self.helm(true, NEW, &[]).await;
        self.until("all copies", |lab| lab.ready("small") == 3 && lab.ready("large") == 3).await;
        self.settled("an upgrade").await;
        witness.end()
    }

    async fn incompatible(mut self) -> Tape {
        self.helm(false, NEW, &[]).await;
        self.settled("an installation").await;
        for (name, _) in IMAGES {
            self.post(name, 3).await;
        }
        self.until("all copies", |lab| lab.ready("small") == 3 && lab.ready("large") == 3).await;
        self.settled("all copies").await;
        let witness = Witness::new(self.world()).await;
        let steps = [
            (vec![raised("backingImageManager")], 0),
            (vec![], 3),
            (vec![raised("backingImageManager"), raised("manager")], 3),
            (vec![], 3),
        ];
        for (set, copies) in steps {
            witness.mark("upgrade");
            self.helm_starts().await;
            self.helm(true, NEW, &set).await;
            let there = move |lab: &Self| lab.ready("small") == copies && lab.ready("large") == copies;
            self.world().pass(Duration::from_secs(35)).await;
            self.until("copies after a step", there).await;
            self.settled_but("a step", if copies == 0 { "unknown" } else { "ready" }).await;
            self.world().pass(Duration::from_secs(100)).await;
            assert!(there(&self), "copies stay as they are");
        }
        witness.end()
    }

    fn world(&self) -> &World {
        self.cluster.world()
    }

    async fn helm_starts(&mut self) {
        let pause = self.chance.draw(HELM);
        self.world().pass(pause).await;
    }

    async fn helm(&self, upgrade: bool, version: &str, set: &[(String, Value)]) {
        let request = ChartRequest {
            release: "longhorn".to_owned(),
            chart: "longhorn/longhorn".to_owned(),
            version: Some(version.to_owned()),
            set: as_recorded().into_iter().chain(set.iter().cloned()).collect(),
            ..ChartRequest::default()
        };
        let call = HelmCall {
            namespace: NAMESPACE.to_owned(),
            timeout: Duration::from_mins(15),
            no_hooks: false,
            cancel: CancellationToken::new(),
        };
        let helm = self.cluster.helm();
        let done = if upgrade { helm.upgrade(&request, &call).await } else { helm.install(&request, &call).await };
        if let Err(error) = done {
            panic!("helm: {error}\n{}", error.stderr);
        }
    }

    async fn create(&self, witness: &Witness, image: &str, copies: u64) {
        witness.mark(&format!("create {image}"));
        self.post(image, copies).await;
    }

    async fn post(&self, image: &str, copies: u64) {
        let object = json!({
            "apiVersion": "longhorn.io/v1beta2", "kind": "BackingImage",
            "metadata": { "name": image, "namespace": NAMESPACE },
            "spec": {
                "sourceType": "download", "sourceParameters": { "url": url(image) }, "minNumberOfCopies": copies,
            },
        });
        self.ask(Request::post(images("")).header("content-type", "application/json"), &object).await;
    }

    async fn patch(&self, image: &str, patch: &Value) {
        self.ask(Request::patch(images(image)).header("content-type", "application/merge-patch+json"), patch).await;
    }

    async fn ask(&self, request: http::request::Builder, body: &Value) {
        let request = request.body(body.to_string().into_bytes()).expect("a path of names is a URI");
        let answer = self.world().client().request::<Value>(request).await;
        answer.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Deletes all manager pods as `kubectl delete --force` does: one after the other, at once.
    async fn remove_managers(&mut self) {
        // What it takes until kubectl has asked for the list, and then for each pod.
        // The recorded machine was busy: one of four deletions took its time.
        let (start, each) = (Span::millis(90, 200), [Span::millis(20, 150), Span::millis(150, 520)]);
        let pause = self.chance.draw(start);
        self.world().pass(pause).await;
        for pod in self.managers() {
            let name = pod["metadata"]["name"].as_str().expect("a pod has a name");
            let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}");
            let body = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0 });
            self.ask(Request::delete(path).header("content-type", "application/json"), &body).await;
            let slow = usize::from(self.chance.happens(0.25));
            let pause = self.chance.draw(each[slow]);
            self.world().pass(pause).await;
        }
    }

    fn list(&self, kind: &str) -> Vec<Value> {
        self.world().api().list(kind, NAMESPACE)
    }

    fn managers(&self) -> Vec<Value> {
        let pods = self.list("pods");
        pods.into_iter().filter(|pod| pod["metadata"]["labels"]["app"] == "longhorn-manager").collect()
    }

    fn entries(&self, image: &str, state: &str) -> usize {
        let image = self.world().api().get("backingimages.longhorn.io", NAMESPACE, image);
        let entries = image.map(|image| image["status"]["diskFileStatusMap"].clone()).unwrap_or_default();
        let entries = entries.as_object().into_iter().flat_map(|entries| entries.values());
        entries.filter(|entry| entry["state"] == state).count()
    }

    fn ready(&self, image: &str) -> usize {
        self.entries(image, "ready")
    }

    /// Managers, nodes and disks ready, and every image's entries, or in this state.
    fn quiet(&self, stuck: &str) -> bool {
        let managers = self.managers();
        let nodes = self.list("nodes.longhorn.io");
        let ready = |conditions: &Value| {
            let conditions = conditions.as_array().map(Vec::as_slice).unwrap_or_default();
            conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
        };
        let disks: Vec<&Value> = nodes
            .iter()
            .flat_map(|node| node["status"]["diskStatus"].as_object().into_iter().flat_map(|disks| disks.values()))
            .collect();
        let stands = |pod: &Value| pod["metadata"]["deletionTimestamp"].is_null();
        let files = self.list("backingimages.longhorn.io").into_iter().all(|image| {
            let entries = image["status"]["diskFileStatusMap"].as_object().cloned().unwrap_or_default();
            entries.values().all(|entry| entry["state"] == "ready" || entry["state"] == stuck)
        });
        managers.len() == 3
            && managers.iter().all(|pod| stands(pod) && ready(&pod["status"]["conditions"]))
            && nodes.len() == 3
            && nodes.iter().all(|node| ready(&node["status"]["conditions"]))
            && disks.len() == 3
            && disks.iter().all(|disk| ready(&disk["conditions"]))
            && files
    }

    /// Waits until everything has been ready for 30 s, as the recordings' rounds did.
    async fn settled(&self, what: &str) {
        self.settled_but(what, "ready").await;
    }

    /// The same where files may stay in a state: a manager that skips an incompatible one's files
    /// leaves those `unknown` for good that a node's flap made so.
    async fn settled_but(&self, what: &str, stuck: &str) {
        let mut since = 0;
        for _ in 0..600 {
            since = if self.quiet(stuck) { since + 1 } else { 0 };
            if since > 30 {
                return;
            }
            self.world().pass(Duration::from_secs(1)).await;
        }
        panic!("{what} does not settle within ten minutes\n{}", self.told());
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..3000 {
            if holds(self) {
                return;
            }
            self.world().pass(Duration::from_millis(200)).await;
        }
        panic!("{what}: not within ten minutes\n{}", self.told());
    }

    fn told(&self) -> String {
        let kinds = ["nodes.longhorn.io", "backingimages.longhorn.io", "backingimagemanagers.longhorn.io"];
        let objects = kinds.iter().flat_map(|kind| self.list(kind));
        let objects = objects.chain(self.managers());
        objects.map(|object| format!("{} {}\n", object["metadata"]["name"], object["status"])).collect()
    }
}

/// The values that the recorded clusters were installed with.
fn as_recorded() -> [(String, Value); 3] {
    [
        ("defaultSettings.upgradeChecker".to_owned(), json!("false")),
        ("defaultSettings.allowCollectingLonghornUsageMetrics".to_owned(), json!("false")),
        ("defaultSettings.systemManagedPodsImagePullPolicy".to_owned(), json!("never")),
    ]
}

/// Has an image with raised constants installed.
fn raised(image: &str) -> (String, Value) {
    (format!("image.longhorn.{image}.tag"), json!(RAISED))
}

fn url(image: &str) -> String {
    format!("http://www.default/{image}.raw")
}

fn images(name: &str) -> String {
    let path = format!("/apis/longhorn.io/v1beta2/namespaces/{NAMESPACE}/backingimages");
    if name.is_empty() { path } else { format!("{path}/{name}") }
}
