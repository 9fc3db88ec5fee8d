//! Engine images: their binaries on every node, who uses them, and volumes brought to the newest.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::instance_manager::COMPONENT;
use super::kind;
use super::name;
use super::placement;
use super::post::Post;
use super::site::{is, time};
use super::timing::{RESYNC, UNUSED_IMAGE};
use super::{BACKOFF, FINALIZER};
use crate::sim::{Cache, Controller, Key, Kind, Object, Round, Runs, Trigger, Write};

/// The controller. Its keys are engine images, and nodes for the one that each manager's flag names.
pub(super) fn controller(post: &Post) -> Box<dyn Runs> {
    let all = |_: &crate::sim::Change, cache: &Cache| cache.all(&kind::ENGINE_IMAGE).map(Object::key).collect();
    let labelled = |change: &crate::sim::Change, _: &Cache| {
        let name = change.after.label("longhorn.io/engine-image");
        name.map(|name| Key::new(change.after.namespace(), name)).into_iter().collect()
    };
    Controller {
        name: "longhorn-engine-image-controller",
        triggers: vec![
            Trigger::itself(kind::ENGINE_IMAGE),
            Trigger::on(kind::NODE, |change, cache| {
                let mut keys: Vec<Key> = cache.all(&kind::ENGINE_IMAGE).map(Object::key).collect();
                keys.push(change.after.key());
                keys
            }),
            Trigger::on(kind::SETTING, all),
            Trigger::on(kind::VOLUME, |change, cache| {
                let parts =
                    ["/spec/image", "/status/currentImage", "/status/state", "/status/robustness", "/status/ownerID"];
                let moved = parts.iter().any(|part| change.touches(part));
                cache.all(&kind::ENGINE_IMAGE).filter(|_| moved).map(Object::key).collect()
            }),
            Trigger::on(Kind::POD, labelled),
            Trigger::on(Kind::DAEMON_SET, labelled),
            Trigger::known(kind::REPLICA),
            Trigger::known(kind::ENGINE),
        ],
        resync: Some(RESYNC),
        backoff: BACKOFF,
        awaits_own_writes: true,
        reconcile,
    }
    .with(post.clone())
}

fn reconcile(key: &Key, cache: &Cache, post: &mut Post, now: Timestamp) -> Round {
    if key.namespace != post.namespace {
        return Round::idle();
    }
    if cache.of(&kind::NODE, key).is_some() {
        return Round::writes(if key.name == post.node { wanted(cache, post) } else { Vec::new() });
    }
    let Some(image) = cache.of(&kind::ENGINE_IMAGE, key) else { return Round::idle() };
    if !post.responsible(cache, "", image.text("/status/ownerID")) {
        return Round::idle();
    }
    if let Some(claim) = post.claim(&kind::ENGINE_IMAGE, image) {
        return Round::writes(vec![claim]);
    }
    let mut draft = Draft::of(&kind::ENGINE_IMAGE, image);
    if image.is_terminating() {
        draft.set("/metadata/finalizers", Value::Array(Vec::new()));
        return Round::writes(draft.writes());
    }
    let mut writes = Vec::new();
    let set = set_name(image);
    if cache.get(&Kind::DAEMON_SET, &post.namespace, &set).is_none() {
        writes.push(
            Write::create(&Kind::DAEMON_SET, built(image, &set, post.setting(cache, placement::SELECTOR, "")))
                .forgiving(&[409]),
        );
    }
    deployed(&mut draft, cache, post, now);
    if !is(image.at("/status/conditions"), "ready") && is(draft.at("/status/conditions"), "ready") {
        let told = format!(
            "Engine image {} ({}) is fully deployed on all ready nodes",
            image.name(),
            image.text("/spec/image")
        );
        writes.push(Write::event(image, "Normal", "ready", told));
    }
    let used = references(image.text("/spec/image"), cache, post);
    draft.set("/status/refCount", used);
    let since = draft.text("/status/noRefSince").to_owned();
    let is_default = image.text("/spec/image") == post.default_engine_image(cache);
    if used > 0 {
        draft.set("/status/noRefSince", "");
    } else if since.is_empty() {
        draft.set("/status/noRefSince", time(now));
    } else if let Ok(since) = since.parse::<Timestamp>()
        && now.duration_since(since).as_secs() >= UNUSED_IMAGE
        && !is_default
    {
        writes.push(Write::delete(&kind::ENGINE_IMAGE, image));
    }
    if is_default {
        writes.extend(upgrades(image.text("/spec/image"), cache, post));
    }
    let mut all = draft.writes();
    all.append(&mut writes);
    Round::writes(all)
}

fn set_name(image: &Object) -> String {
    format!("engine-image-{}", image.name())
}

/// The engine image that this manager was started with, if it is not there.
fn wanted(cache: &Cache, post: &Post) -> Vec<Write> {
    let name = name::engine_image(&post.engine_image);
    if cache.get(&kind::ENGINE_IMAGE, &post.namespace, &name).is_some() {
        return Vec::new();
    }
    let labels = json!({COMPONENT: "engine-image", "longhorn.io/managed-by": "longhorn-manager"});
    vec![
        Write::create(
            &kind::ENGINE_IMAGE,
            json!({
                "metadata": {
                    "name": name, "namespace": post.namespace, "finalizers": [FINALIZER], "labels": labels,
                },
                "spec": {"image": post.engine_image},
            }),
        )
        .forgiving(&[409]),
    ]
}

/// Where the binaries are, and whether that is everywhere.
fn deployed(draft: &mut Draft, cache: &Cache, post: &Post, now: Timestamp) {
    let name = draft.name().to_owned();
    let pods = cache
        .within(&Kind::POD, &post.namespace)
        .filter(|pod| pod.label("longhorn.io/engine-image") == Some(&name) && !pod.is_terminating() && pod.is("Ready"));
    let mut nodes: BTreeMap<String, bool> =
        cache.within(&kind::NODE, &post.namespace).map(|node| (node.name().to_owned(), false)).collect();
    for pod in pods {
        nodes.insert(pod.text("/spec/nodeName").to_owned(), true);
    }
    let ready = cache.within(&kind::NODE, &post.namespace).filter(|node| node.is("Ready")).count();
    let count = nodes.values().filter(|there| **there).count();
    let whole = count > 0 && count >= ready;
    let image = draft.text("/spec/image").to_owned();
    let map: Map<String, Value> = nodes.into_iter().map(|(node, there)| (node, there.into())).collect();
    draft.set("/status/nodeDeploymentMap", Value::Object(map));
    draft.set("/status/state", if whole { "deployed" } else { "deploying" });
    let (reason, message) = if whole {
        ("", format!("Engine image {name} ({image}) is fully deployed on all ready nodes"))
    } else {
        ("daemonSet", format!("Engine image is not fully deployed on all nodes: {count} of {ready}"))
    };
    draft.condition("ready", whole, reason, &message, &time(now));
    draft.set("/status/incompatible", false);
    draft.set("/status/version", tag(&image));
    draft.set("/status/gitCommit", commit(&image));
    let (cli, cli_min, controller, controller_min) = versions(tag(&image));
    for (field, number) in [
        ("cliAPIVersion", cli),
        ("cliAPIMinVersion", cli_min),
        ("controllerAPIVersion", controller),
        ("controllerAPIMinVersion", controller_min),
        ("dataFormatVersion", 1),
        ("dataFormatMinVersion", 1),
    ] {
        draft.set(&format!("/status/{field}"), number);
    }
}

/// The engine's API versions of a release: CLI and controller, each with the oldest it works with.
fn versions(tag: &str) -> (i64, i64, i64, i64) {
    let mut parts = tag.trim_start_matches('v').split(['.', '-']);
    let minor: u64 = parts.nth(1).and_then(|part| part.parse().ok()).unwrap_or(u64::MAX);
    match minor {
        0..=4 => (7, 3, 4, 3),
        5 => (9, 3, 5, 3),
        6..=10 => (10, 8, 5, 4),
        11 => (11, 8, 6, 4),
        _ => (12, 8, 6, 4),
    }
}

/// The build of an engine image, as its binary prints it: a tag that only adds `-retag…` is the same build.
pub(super) fn commit(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    name::sha512(last.split("-retag").next().unwrap_or(last), 40)
}

/// The tag of an image, such as `v1.12.1`.
fn tag(image: &str) -> &str {
    image.rsplit('/').next().and_then(|last| last.split_once(':')).map_or("latest", |(_, tag)| tag)
}

/// How many volumes, engines and replicas need an image.
fn references(image: &str, cache: &Cache, post: &Post) -> usize {
    let volumes = cache
        .within(&kind::VOLUME, &post.namespace)
        .filter(|own| own.text("/spec/image") == image || own.text("/status/currentImage") == image);
    let processes = [&kind::ENGINE, &kind::REPLICA].into_iter().flat_map(|kind| cache.within(kind, &post.namespace));
    volumes.count() + processes.filter(|own| own.text("/spec/image") == image).count()
}

/// Brings volumes to the default image, as many at a time as are allowed for each node.
fn upgrades(image: &str, cache: &Cache, post: &Post) -> Vec<Write> {
    let limit = post.setting(cache, "concurrent-automatic-engine-upgrade-per-node-limit", "0");
    let limit: usize = limit.parse().unwrap_or_default();
    let mut by_node: BTreeMap<&str, (usize, Vec<&Object>)> = BTreeMap::new();
    for volume in cache.within(&kind::VOLUME, &post.namespace).filter(|own| !own.is_terminating()) {
        let (busy, candidates) = by_node.entry(volume.text("/status/ownerID")).or_default();
        if volume.text("/spec/image") != volume.text("/status/currentImage") {
            *busy += 1;
        } else if volume.text("/spec/image") != image && is_candidate(volume, image, cache, post) {
            candidates.push(volume);
        }
    }
    let picked = by_node
        .into_values()
        .flat_map(|(busy, candidates)| candidates.into_iter().take(limit.saturating_sub(busy)).collect::<Vec<_>>());
    picked
        .flat_map(|volume| {
            let mut draft = Draft::of(&kind::VOLUME, volume);
            draft.set("/spec/image", image);
            draft.writes()
        })
        .collect()
}

/// Whether a volume can go to an image now (`canDoOfflineEngineUpgrade`, `canDoLiveEngineUpgrade`).
fn is_candidate(volume: &Object, image: &str, cache: &Cache, post: &Post) -> bool {
    let replicas =
        cache.within(&kind::REPLICA, &post.namespace).filter(|own| own.text("/spec/volumeName") == volume.name());
    let current = volume.text("/status/currentNodeID");
    let mut nodes: Vec<&str> = replicas.map(|own| own.text("/spec/nodeID")).collect();
    nodes.extend(Some(current).filter(|node| !node.is_empty()));
    let there = |image: &str| {
        let found = cache.get(&kind::ENGINE_IMAGE, &post.namespace, &name::engine_image(image));
        found.is_some_and(|own| nodes.iter().all(|node| own.at("/status/nodeDeploymentMap")[*node] == true))
    };
    if !there(image) {
        return false;
    }
    let (old, new) = (versions(tag(volume.text("/status/currentImage"))), versions(tag(image)));
    match volume.text("/status/state") {
        "detached" => true,
        "attached" => {
            there(volume.text("/status/currentImage"))
                && volume.text("/status/robustness") == "healthy"
                && !volume.flag("/status/isStandby")
                && !volume.flag("/status/expansionRequired")
                && volume.text("/spec/migrationNodeID").is_empty()
                && volume.text("/spec/dataLocality") != "strict-local"
                && (new.3..=new.2).contains(&old.2)
        }
        _ => false,
    }
}

/// The daemon set that brings its binaries to the nodes.
fn built(image: &Object, name: &str, selector: &str) -> Value {
    let labels = json!({
        COMPONENT: "engine-image", "longhorn.io/engine-image": image.name(), "longhorn.io/managed-by": "longhorn-manager",
    });
    let mut built = json!({
        "metadata": {
            "name": name, "namespace": image.namespace(), "labels": labels,
            "ownerReferences": [kind::ENGINE_IMAGE.owner(image.name(), image.uid())],
        },
        "spec": {
            "selector": {"matchLabels": {COMPONENT: "engine-image", "longhorn.io/engine-image": image.name()}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": "longhorn-service-account", "automountServiceAccountToken": false,
                    "terminationGracePeriodSeconds": 10,
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [{
                        "name": format!("engine-image-{}", image.name()), "image": image.text("/spec/image"),
                        "imagePullPolicy": "IfNotPresent", "command": ["/bin/bash"],
                        "args": ["-c", "diff /usr/local/bin/longhorn /data/longhorn > /dev/null 2>&1"],
                        "readinessProbe": {
                            "exec": {"command": ["sh", "-c", "ls /data/longhorn && /data/longhorn version --client-only"]},
                            "initialDelaySeconds": 5, "periodSeconds": 5, "timeoutSeconds": 4,
                        },
                    }],
                },
            },
        },
    });
    placement::place(&mut built["spec"]["template"]["spec"], &placement::selector(selector), &Value::Null);
    built
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_told_by_its_tag() {
        assert_eq!(commit("x/longhorn-engine:v1-retag2"), commit("longhorn-engine:v1"));
        assert_ne!(commit("longhorn-engine:v1"), commit("longhorn-engine:v2"));
        assert_eq!(tag("reg:5000/longhorn-engine:v1.12.1"), "v1.12.1");
    }

    #[test]
    fn api_versions_are_those_of_the_release() {
        let cases = [
            ("v1.4.4", (7, 3, 4, 3)),
            ("v1.10.2", (10, 8, 5, 4)),
            ("v1.11.3", (11, 8, 6, 4)),
            ("v1.12.1-x", (12, 8, 6, 4)),
        ];
        for (tag, numbers) in cases {
            assert_eq!(versions(tag), numbers, "{tag}");
        }
    }
}
