//! A manager's life: webhook, recovery backend, waiting for old managers, resource upgrade, controllers (longhorn.md 4.3).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::gate::Ground;
use super::super::known::{self, Known};
use super::super::plant::Plant;
use super::super::release::Release;
use super::super::setting;
use super::super::site::{Flags, Site};
use super::super::{image, kind, name, node, volume, webhook};
use super::api::Hand;
use super::lease;
use crate::sim::{Chance, Kind, Process, Runs, Setting, Span, Switch, Webhook};

/// What a manager finds when its container starts.
pub(super) struct Circumstances {
    pub(super) ground: Ground,
    pub(super) plant: Plant,
    pub(super) known: Known,
    pub(super) setting: Setting,
    pub(super) flags: Flags,
    pub(super) node: String,
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) image: String,
    pub(super) switch: Switch,
    pub(super) chance: Chance,
}

/// Container shown running → process at work, with the environment's check: next to nothing, for what a kubelet
/// says is late (recorded: a process takes the lease 0.3 to 1.3 s before its container is shown running).
const STARTS: (Span, Span) = (Span::millis(10, 250), Span::millis(250, 900));
/// How long the first holder keeps the webhook's lease: measured 2.5–5.8 s, mostly below 3.2.
const FIRST: (Span, Span) = (Span::millis(2400, 3200), Span::millis(3200, 6800));
/// The same of later ones: mostly short (measured median 0.4–0.6 s).
const LATER: (Span, Span) = (Span::millis(160, 800), Span::millis(800, 2600));
/// From holding the lease to an answering webhook, of the first holder, which makes certificates: recorded
/// 0.7–1.7 s, of which the part is here that comes after its container is shown running.
const ANSWERS: Span = Span::millis(300, 1_100);
/// The same of later ones, in hundredths of the time that they hold it: a pod is ready as its manager lets go
/// of the lease (recorded 0.6 to 1.1 of it, mostly more than 0.75).
const ANSWERED: (u64, u64) = (70, 100);
/// From the lease's release to running controllers, with what is written in between (measured).
const CONTROLLERS: Span = Span::millis(200, 400);
/// The resource upgrade under its lease (measured 0.05–0.11 s with two images).
const UPGRADE: Span = Span::millis(20, 115);

/// The webhook of a manager, up for as long as it is held.
struct Serves {
    ground: Ground,
    plant: Plant,
    namespace: String,
    pod: String,
}

impl Drop for Serves {
    fn drop(&mut self) {
        if self.plant.webhook_down(&self.pod) {
            for path in [webhook::MUTATION, webhook::VALIDATION] {
                self.ground.gate.close(&webhook::service(&self.namespace, path));
            }
        }
    }
}

/// Runs until it is dropped with its container.
pub(super) async fn run(mut own: Circumstances) {
    let hand = Hand { client: own.setting.client.clone(), namespace: own.namespace.clone() };
    let clock = own.setting.clock;
    let release = Release::of(&own.image);
    let span = if own.chance.happens(0.7) { STARTS.0 } else { STARTS.1 };
    tokio::time::sleep(own.chance.draw(span)).await;

    let lock = "longhorn-manager-webhook-lock";
    lease::acquire(&hand, &clock, &mut own.chance, lock, &own.node).await;
    let (serves, _datastore) = serve(&mut own, &hand).await;
    lease::release(&hand, lock).await;
    let released = clock.elapsed().duration();

    while old_managers(&hand, &own.image).await {
        own.ground.print(&own.namespace, &own.pod, "level=info msg=\"Found old longhorn manager\"");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    if version(&hand).await != release.version {
        let lock = "longhorn-manager-upgrade-lock";
        lease::acquire(&hand, &clock, &mut own.chance, lock, &own.node).await;
        upgrade(&mut own, &hand, &release).await;
        lease::release(&hand, lock).await;
    }
    provide(&own, &hand, &release).await;

    let since = clock.elapsed().duration().saturating_sub(released);
    tokio::time::sleep(own.chance.draw(CONTROLLERS).saturating_sub(since)).await;
    let site = Site {
        node: own.node.clone(),
        namespace: own.namespace.clone(),
        flags: own.flags.clone(),
        release,
        plant: own.plant.clone(),
    };
    // Others may have made it before.
    let _ = hand.create(&kind::NODE, node::object(&own.namespace, &own.node)).await;
    let mut controllers: Vec<Box<dyn Runs>> = vec![node::controller(&site)];
    controllers.extend(image::controllers(&site));
    controllers.extend(volume::controllers(&site));
    let setting = Setting { agent: "longhorn-manager".to_owned(), host: own.node.clone(), ..own.setting.clone() };
    own.plant.look_after(setting.clone());
    let _process = Process::start(setting, controllers);
    own.plant.manager_started(&own.node);
    images(&own, &hand).await;
    let _serves = serves;
    std::future::pending::<()>().await;
}

/// Brings the webhook up, as the holder of its lease.
async fn serve(own: &mut Circumstances, hand: &Hand) -> (Serves, Process) {
    let first = !own.plant.webhook_is_up();
    let (usual, long) = if first { FIRST } else { LATER };
    let span = if own.chance.happens(0.7) { usual } else { long };
    let held = own.chance.draw(span);
    let answers = if first {
        own.chance.draw(ANSWERS)
    } else {
        let part = ANSWERED.0 + own.chance.below(ANSWERED.1 - ANSWERED.0);
        held * u32::try_from(part).unwrap_or(100) / 100
    };
    // Its certificate is looked after by whoever was the first of all.
    lease::keep(hand, &own.setting.clock, "longhorn-webhook-cert-rotation", &own.node).await;
    for (kind, object) in webhook::configurations(&own.namespace, &*own.ground.gate) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if hand.get(&kind, &name).await.is_none() {
            // Another manager may be quicker.
            let _ = hand.create(&kind, object).await;
        }
    }
    let setting = Setting { agent: "longhorn-manager".to_owned(), ..own.setting.clone() };
    let datastore = Process::start(setting, vec![known::controller(&own.known)]);
    tokio::time::sleep(answers).await;
    own.plant.webhook_up(&own.pod);
    let known = Arc::new(own.known.clone());
    for (path, validates) in [(webhook::MUTATION, false), (webhook::VALIDATION, true)] {
        let known = known.clone();
        let backend: Arc<dyn Webhook> =
            Arc::new(
                move |request: &Value| {
                    if validates { webhook::validate(request, &known) } else { webhook::mutate(request, &known) }
                },
            );
        own.ground.gate.open(&webhook::service(&own.namespace, path), backend);
    }
    own.switch.set_ready(true);
    let label = json!({"metadata": {"labels": {"longhorn.io/admission-webhook": "longhorn-admission-webhook"}}});
    // A conflict on the own pod's label is one of the ways in which real managers fail to start; none here.
    let _ = hand.patch(&Kind::POD, &own.pod, &label).await;
    tokio::time::sleep(held.saturating_sub(answers)).await;
    let label = json!({"metadata": {"labels": {"longhorn.io/recovery-backend": "longhorn-recovery-backend"}}});
    let _ = hand.patch(&Kind::POD, &own.pod, &label).await;
    let serves = Serves {
        ground: own.ground.clone(),
        plant: own.plant.clone(),
        namespace: own.namespace.clone(),
        pod: own.pod.clone(),
    };
    (serves, datastore)
}

/// Whether pods of another manager image are still there.
async fn old_managers(hand: &Hand, image: &str) -> bool {
    let pods = hand.list(&Kind::POD, "app=longhorn-manager").await;
    pods.iter().any(|pod| {
        let containers = pod["spec"]["containers"].as_array();
        containers.into_iter().flatten().any(|own| own["name"] == "longhorn-manager" && own["image"] != image)
    })
}

/// The settings as they are, by name.
async fn settings(hand: &Hand) -> BTreeMap<String, Value> {
    let all = hand.list(&kind::SETTING, "").await;
    all.into_iter().map(|setting| (text(&setting["metadata"]["name"]), setting)).collect()
}

/// The version that the resources are at.
async fn version(hand: &Hand) -> String {
    let setting = hand.get(&kind::SETTING, setting::CURRENT_VERSION).await;
    setting.map(|own| text(&own["value"])).unwrap_or_default()
}

/// What the chart chose for settings, and which version of its choice that is.
struct Chart {
    chosen: Vec<(String, String)>,
    revision: String,
}

impl Chart {
    fn mark(&self) -> Value {
        json!({"longhorn.io/configmap-resource-version": self.revision, webhook::FROM_LONGHORN: ""})
    }
}

async fn chart(hand: &Hand) -> Chart {
    let map = hand.get(&Kind::CONFIG_MAP, "longhorn-default-setting").await.unwrap_or_default();
    let chosen = chosen(map["data"]["default-setting.yaml"].as_str().unwrap_or_default());
    Chart { chosen, revision: map["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned() }
}

/// Applies the chart's choices again, if they have changed since they were read.
async fn configure(hand: &Hand, known: &BTreeMap<String, Value>, chart: &Chart) {
    for (name, value) in &chart.chosen {
        let Some(setting) = known.get(name) else { continue };
        let before = &setting["metadata"]["annotations"]["longhorn.io/configmap-resource-version"];
        if *before != chart.revision.as_str() {
            set(hand, name, value, Some(chart.mark())).await;
        }
    }
}

/// Moves the resources to this version, unless that was done while it waited.
async fn upgrade(own: &mut Circumstances, hand: &Hand, release: &Release) {
    if version(hand).await == release.version {
        return;
    }
    own.ground.print(&own.namespace, &own.pod, "level=info msg=\"Start upgrading\"");
    tokio::time::sleep(own.chance.draw(UPGRADE)).await;
    for (name, value) in [(setting::API_VERSION, "longhorn.io/v1beta2"), (setting::CURRENT_VERSION, &release.version)] {
        let object = json!({"metadata": {"name": name, "annotations": {webhook::FROM_LONGHORN: ""}}, "value": value});
        match hand.create(&kind::SETTING, object).await {
            Ok(_) => applied(hand, name).await,
            Err(_) => set(hand, name, value, None).await,
        }
    }
    own.ground.print(&own.namespace, &own.pod, "level=info msg=\"Finish upgrading\"");
}

/// Makes the settings that are missing, and applies what the chart chose anew.
async fn provide(own: &Circumstances, hand: &Hand, release: &Release) {
    let (known, chart) = (settings(hand).await, chart(hand).await);
    configure(hand, &known, &chart).await;
    let flags = flags(own);
    let mut new = Vec::new();
    for made in setting::made(release).filter(|made| !known.contains_key(made.name)) {
        let chosen = chart.chosen.iter().find(|(name, _)| name == made.name).map(|(_, value)| value.as_str());
        let flag = flags.iter().find(|(name, _)| *name == made.name).map(|(_, image)| *image);
        let value = flag.or(chosen).unwrap_or_else(|| made.value(release));
        let object = json!({"metadata": {"name": made.name, "annotations": chart.mark()}, "value": value});
        // Another manager may be quicker.
        if hand.create(&kind::SETTING, object).await.is_ok() {
            new.push(made);
        }
    }
    for made in new.into_iter().filter(|made| made.applied) {
        applied(hand, made.name).await;
    }
}

/// The settings whose values are in the command line.
fn flags(own: &Circumstances) -> [(&'static str, &str); 4] {
    let flags = &own.flags;
    [
        (setting::ENGINE_IMAGE, &flags.engine),
        (setting::INSTANCE_MANAGER_IMAGE, &flags.instance_manager),
        (setting::IMAGE_MANAGER_IMAGE, &flags.image_manager),
        (setting::SUPPORT_BUNDLE_IMAGE, &flags.support_bundle),
    ]
}

/// The settings with images, from the flags, and the object of the engine image.
async fn images(own: &Circumstances, hand: &Hand) {
    for (name, image) in flags(own) {
        let known = hand.get(&kind::SETTING, name).await.map(|own| text(&own["value"])).unwrap_or_default();
        if known != image {
            set(hand, name, image, None).await;
        }
    }
    let name = name::engine_image(&own.flags.engine);
    if hand.get(&kind::ENGINE_IMAGE, &name).await.is_none() {
        let object = json!({
            "metadata": {"name": name, "labels": {
                name::COMPONENT: "engine-image", "longhorn.io/engine-image": name, name::MANAGED_BY.0: name::MANAGED_BY.1,
            }},
            "spec": {"image": own.flags.engine},
        });
        let _ = hand.create(&kind::ENGINE_IMAGE, object).await;
    }
}

async fn set(hand: &Hand, name: &str, value: &str, mark: Option<Value>) {
    let mark = mark.unwrap_or_else(|| json!({webhook::FROM_LONGHORN: ""}));
    let body = json!({"value": value, "metadata": {"annotations": mark}});
    // Several managers write the same value; the last one's word stands.
    if hand.patch(&kind::SETTING, name, &body).await.is_ok() {
        applied(hand, name).await;
    }
}

async fn applied(hand: &Hand, name: &str) {
    let _ = hand.patch_status(&kind::SETTING, name, &json!({"status": {"applied": true}})).await;
}

/// `name: value` lines, as the chart writes its default settings.
fn chosen(text: &str) -> Vec<(String, String)> {
    let values: Option<Value> = serde_saphyr::from_str(text).ok();
    let values = values.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    values.into_iter().map(|(name, value)| (name, self::text(&value))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
