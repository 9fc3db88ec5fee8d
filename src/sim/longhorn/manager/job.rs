//! The jobs around an upgrade, and the deployer of the CSI driver.

use std::time::Duration;

use kube::Client;
use serde_json::{Value, json};

use super::super::release::{Release, path};
use super::super::{kind, placement, setting};
use super::api::Hand;
use crate::clock::Clock;
use crate::sim::{Kind, Switch};

/// What a job finds when its container starts.
pub(super) struct Circumstances {
    pub(super) client: Client,
    pub(super) clock: Clock,
    pub(super) namespace: String,
    pub(super) image: String,
    pub(super) switch: Switch,
    /// From its container's start to its first look.
    pub(super) begins: Duration,
    /// How long its container goes on after its word (measured: 5.4–6 s).
    pub(super) lingers: Duration,
}

/// Runs one of them to its end.
pub(super) async fn run(job: &str, own: Circumstances) {
    let hand = Hand { client: own.client.clone(), namespace: own.namespace.clone() };
    tokio::time::sleep(own.begins).await;
    let end = match job {
        "pre-upgrade" => pre_upgrade(&own, &hand).await,
        "post-upgrade" => post_upgrade(&own, &hand).await,
        "uninstall" => uninstall(&hand).await,
        _ => {
            deploy_driver(&hand).await;
            return;
        }
    };
    match end {
        Ok(()) => {
            tokio::time::sleep(own.lingers).await;
            own.switch.exit(0);
        }
        Err(()) => own.switch.exit(1),
    }
}

/// The path check: nothing has been changed when it fails.
async fn pre_upgrade(own: &Circumstances, hand: &Hand) -> Result<(), ()> {
    let current = hand.get(&kind::SETTING, setting::CURRENT_VERSION).await;
    let current = current.as_ref().and_then(|own| own["value"].as_str()).unwrap_or_default();
    let target = Release::of(&own.image).version;
    let checked = if current.is_empty() { Ok(()) } else { path(current, &target) };
    match checked {
        Ok(()) => {
            event(own, hand, "longhorn-pre-upgrade", "Normal", "PassedUpgradeCheck", "pre-upgrade check passed").await;
            Ok(())
        }
        Err(why) => {
            let message = format!("failed checking upgrade path: {why}");
            event(own, hand, "longhorn-pre-upgrade", "Warning", "FailedUpgradePreCheck", &message).await;
            Err(())
        }
    }
}

/// Waits until every manager's pod has the image: it looks at nothing else.
async fn post_upgrade(own: &Circumstances, hand: &Hand) -> Result<(), ()> {
    for _ in 0..360 {
        let pods = hand.list(&Kind::POD, "app=longhorn-manager").await;
        let new = |pod: &Value| {
            let containers = pod["spec"]["containers"].as_array();
            containers
                .into_iter()
                .flatten()
                .any(|each| each["name"] == "longhorn-manager" && each["image"] == own.image.as_str())
        };
        if !pods.is_empty() && pods.iter().all(new) {
            event(own, hand, "longhorn-post-upgrade", "Normal", "PassedUpgradeCheck", "post-upgrade check passed")
                .await;
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    event(own, hand, "longhorn-post-upgrade", "Warning", "FailedUpgradePostCheck", "timed out").await;
    Err(())
}

/// Takes everything away, if that was allowed.
async fn uninstall(hand: &Hand) -> Result<(), ()> {
    let flag = hand.get(&kind::SETTING, setting::DELETING_CONFIRMED).await;
    if flag.is_none_or(|flag| flag["value"] != "true") {
        return Err(());
    }
    let kinds = [
        kind::VOLUME,
        kind::BACKING_IMAGE,
        kind::ENGINE,
        kind::REPLICA,
        kind::ATTACHMENT,
        kind::DATA_SOURCE,
        kind::IMAGE_MANAGER,
        kind::ENGINE_IMAGE,
        kind::INSTANCE_MANAGER,
        kind::NODE,
    ];
    // Volumes and images go the ordinary way, by their controllers; what is left then loses its finalizer.
    for kind in &kinds[..2] {
        for object in hand.list(kind, "").await {
            let _ = hand.delete(kind, object["metadata"]["name"].as_str().unwrap_or_default()).await;
        }
        for _ in 0..60 {
            if hand.list(kind, "").await.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }
    for webhook in [
        ("validatingwebhookconfigurations", "ValidatingWebhookConfiguration", "longhorn-webhook-validator"),
        ("mutatingwebhookconfigurations", "MutatingWebhookConfiguration", "longhorn-webhook-mutator"),
    ] {
        let kind = Kind::new("admissionregistration.k8s.io", "v1", webhook.0, webhook.1, false);
        let _ = hand.delete(&kind, webhook.2).await;
    }
    let _ = hand.delete(&Kind::DAEMON_SET, "longhorn-manager").await;
    tokio::time::sleep(Duration::from_secs(35)).await;
    for kind in &kinds {
        for object in hand.list(kind, "").await {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let _ = hand.patch(kind, name, &json!({"metadata": {"finalizers": null}})).await;
            let _ = hand.delete(kind, name).await;
        }
    }
    Ok(())
}

/// Puts the CSI driver's workloads in place, once the managers answer.
async fn deploy_driver(hand: &Hand) {
    let answers = async || {
        // The managers make the settings before they answer; one that is looked for too early says nothing.
        let chosen = hand.get(&kind::SETTING, placement::SELECTOR).await.is_some();
        chosen && !hand.list(&Kind::POD, "longhorn.io/admission-webhook").await.is_empty()
    };
    while !answers().await {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let place = Place::chosen(hand).await;
    for (name, image) in [
        ("csi-attacher", "csi-attacher:v4.12.0"),
        ("csi-provisioner", "csi-provisioner:v6.3.0"),
        ("csi-resizer", "csi-resizer:v2.2.0"),
        ("csi-snapshotter", "csi-snapshotter:v8.6.0"),
    ] {
        let template = pods(name, image, &place);
        let object = json!({
            "metadata": {"name": name},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": name}}, "template": template},
        });
        // Those of an earlier version stay as they are.
        let _ = hand.create(&Kind::DEPLOYMENT, object).await;
    }
    let object = json!({
        "metadata": {"name": "longhorn-csi-plugin"},
        "spec": {
            "selector": {"matchLabels": {"app": "longhorn-csi-plugin"}},
            "template": pods("longhorn-csi-plugin", "longhorn-csi-plugin:v1", &place),
        },
    });
    let _ = hand.create(&Kind::DAEMON_SET, object).await;
    let driver = Kind::new("storage.k8s.io", "v1", "csidrivers", "CSIDriver", false);
    let object =
        json!({"metadata": {"name": "driver.longhorn.io"}, "spec": {"attachRequired": true, "podInfoOnMount": true}});
    let _ = hand.create(&driver, object).await;
}

/// Where the driver's pods may run, by the settings.
struct Place {
    selector: Value,
    tolerations: Value,
}

impl Place {
    async fn chosen(hand: &Hand) -> Self {
        let value = async |name: &str| {
            let setting = hand.get(&kind::SETTING, name).await.unwrap_or_default();
            setting["value"].as_str().unwrap_or_default().to_owned()
        };
        Self {
            selector: placement::selector(&value(placement::SELECTOR).await),
            tolerations: placement::tolerations(&value(placement::TOLERATIONS).await),
        }
    }
}

fn pods(name: &str, image: &str, place: &Place) -> Value {
    let mut template = json!({
        "metadata": {"labels": {"app": name, "longhorn.io/managed-by": "longhorn-manager"}},
        "spec": {
            "serviceAccountName": "longhorn-service-account",
            "containers": [{"name": name, "image": format!("docker.io/longhornio/{image}"), "imagePullPolicy": "IfNotPresent"}],
        },
    });
    placement::place(&mut template["spec"], &place.selector, &place.tolerations);
    template
}

async fn event(own: &Circumstances, hand: &Hand, about: &str, kind: &str, reason: &str, message: &str) {
    let now = own.clock.now();
    let at = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let object = json!({
        "metadata": {"name": format!("{about}.{:x}", now.as_nanosecond())},
        "involvedObject": {"namespace": hand.namespace, "name": about},
        "reason": reason, "message": message, "type": kind, "count": 1, "firstTimestamp": at, "lastTimestamp": at,
        "source": {"component": about}, "reportingComponent": about, "reportingInstance": "",
    });
    // An event that gets lost is lost, as with the real recorder.
    let _ = hand.create(&Kind::EVENT, object).await;
}
