//! The controller of data sources: the pod that prepares a first file (longhorn-manager
//! `controller/backing_image_data_source_controller.go`).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::site::{Site, status_write, without_finalizer};
use super::super::{kind, name};
use super::pods;
use crate::sim::{Backoff, Cache, Controller, Key, Kind, Object, Round, Runs, Trigger, Write};

/// The monitor's period (longhorn-manager `engineapi/types.go`).
const MONITOR: SignedDuration = SignedDuration::from_secs(3);
/// The wait before a pod is made again: doubled each time, up to the longest.
const BACKOFF: (i64, i64) = (60, 300);
/// What is not done again when it failed.
const ONCE: [&str; 3] = ["upload", "restore", "clone"];

/// The controller.
pub(super) fn controller(site: &Site) -> Box<dyn Runs> {
    Controller {
        name: "longhorn-backing-image-data-source-controller",
        triggers: vec![
            Trigger::itself(kind::DATA_SOURCE),
            Trigger::on(Kind::POD, |change, _| {
                let of = change.after.label("longhorn.io/backing-image-data-source");
                of.map(|image| Key::new(change.after.namespace(), image)).into_iter().collect()
            }),
            Trigger::on(kind::NODE, |_, cache| cache.all(&kind::DATA_SOURCE).map(Object::key).collect()),
            Trigger::known(kind::BACKING_IMAGE),
        ],
        resync: Some(Duration::from_secs(30)),
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
    .with(Memory { site: site.clone(), backoffs: BTreeMap::new(), monitors: BTreeMap::new() })
}

struct Memory {
    site: Site,
    /// When a pod may be made again, and the wait after that.
    backoffs: BTreeMap<String, (Timestamp, i64)>,
    /// Since when a source is monitored.
    monitors: BTreeMap<String, Timestamp>,
}

fn reconcile(key: &Key, cache: &Cache, memory: &mut Memory, now: Timestamp) -> Round {
    let site = memory.site.clone();
    let Some(source) = cache.of(&kind::DATA_SOURCE, key) else {
        memory.backoffs.remove(&key.name);
        memory.monitors.remove(&key.name);
        return Round::idle();
    };
    if !site.responsible(cache, source.text("/spec/nodeID"), source.text("/status/ownerID")) {
        memory.monitors.remove(&key.name);
        return Round::idle();
    }
    let mut changed = source.to_value();
    if !changed["status"].is_object() {
        changed["status"] = json!({
            "checksum": "", "currentState": "", "ip": "", "message": "", "ownerID": "", "progress": 0,
            "runningParameters": null, "size": 0, "storageIP": "",
        });
    }
    if source.text("/status/ownerID") != site.node {
        changed["status"]["ownerID"] = site.node.clone().into();
        return Round::writes(status_write(&kind::DATA_SOURCE, source, changed).into_iter().collect());
    }
    let pod_name = name::data_source_pod(source.name());
    let pod = cache.get(&Kind::POD, source.namespace(), &pod_name);
    let mut writes = Vec::new();
    if source.is_terminating() {
        if !source.flag("/spec/fileTransferred")
            && !matches!(source.text("/status/currentState"), "failed" | "failed-and-cleanup")
        {
            // So that the backing image manager cleans the temporary file up.
            changed["status"]["currentState"] = "failed".into();
            writes.extend(status_write(&kind::DATA_SOURCE, source, changed));
            return Round::writes(writes);
        }
        writes.extend(pod.filter(|pod| !pod.is_terminating()).map(|pod| Write::delete(&Kind::POD, pod)));
        writes.extend(without_finalizer(&kind::DATA_SOURCE, source));
        return Round::writes(writes);
    }
    if source.flag("/spec/fileTransferred") {
        memory.backoffs.remove(&key.name);
        memory.monitors.remove(&key.name);
        let status = &mut changed["status"];
        if !relaunched(&site, source, pod, &mut writes) {
            writes.extend(pod.filter(|pod| !pod.is_terminating()).map(|pod| Write::delete(&Kind::POD, pod)));
        }
        status["currentState"] = "ready".into();
        status["ip"] = "".into();
        status["storageIP"] = "".into();
        writes.extend(status_write(&kind::DATA_SOURCE, source, changed));
        let wrong = site.plant.wrongs().is_set("bids-relaunch-on-unknown");
        return if wrong {
            Round::writes(writes).look_again(Duration::from_millis(200))
        } else {
            Round::writes(writes)
        };
    }
    // A disk is put into the image's specification by the source's own controller.
    let image = cache.get(&kind::BACKING_IMAGE, source.namespace(), source.name());
    let disk = source.text("/spec/diskUUID");
    if let Some(image) = image
        && !disk.is_empty()
        && image.at("/spec/diskFileSpecMap").get(disk).is_none()
    {
        let body = json!({"spec": {"diskFileSpecMap": {disk: {"dataEngine": "v1", "evictionRequested": false}}}});
        writes.push(Write::patch(&kind::BACKING_IMAGE, image.key(), crate::sim::Form::Merge, body));
    }
    let mut round = prepare(&site, source, pod, cache, memory, &mut changed["status"], &mut writes, now);
    let mut all: Vec<Write> = status_write(&kind::DATA_SOURCE, source, changed).into_iter().collect();
    all.append(&mut writes);
    round.writes = all;
    round
}

/// The wrong of v1.2.0: a source whose file was transferred long ago gets a pod again.
fn relaunched(site: &Site, source: &Object, pod: Option<&Object>, writes: &mut Vec<Write>) -> bool {
    let wrongs = site.plant.wrongs();
    if !wrongs.is_set("bids-relaunch-on-unknown") || site.plant.restarts() == 0 {
        return false;
    }
    if pod.is_none() && wrongs.once("bids-relaunch-on-unknown") {
        writes.push(Write::create(&Kind::POD, pods::of_source(source, &site.flags.image_manager)));
        return true;
    }
    false
}

#[expect(clippy::too_many_arguments, reason = "one look at one source")]
fn prepare(
    site: &Site,
    source: &Object,
    pod: Option<&Object>,
    cache: &Cache,
    memory: &mut Memory,
    status: &mut Value,
    writes: &mut Vec<Write>,
    now: Timestamp,
) -> Round {
    let state = source.text("/status/currentState").to_owned();
    let disk = site.ready_disk(cache, source.text("/spec/diskUUID"));
    let there = disk.as_ref().is_some_and(|disk| disk.node == source.text("/spec/nodeID"));
    if !there {
        status["currentState"] = "unknown".into();
        return Round::idle();
    }
    let kind_of = source.text("/spec/sourceType");
    let right = pod.is_some_and(|pod| {
        pod.text("/spec/containers/0/image") == site.flags.image_manager
            && pod.text("/spec/nodeName") == source.text("/spec/nodeID")
            && !pod.is_terminating()
    });
    if let (true, Some(pod)) = (right && pod.is_some_and(pods::works), pod) {
        let ip = pod.text("/status/podIP");
        status["ip"] = ip.into();
        status["storageIP"] = ip.into();
        let since = *memory.monitors.entry(source.name().to_owned()).or_insert(now);
        let ticks = now.duration_since(since).as_secs() / MONITOR.as_secs();
        if ticks > 0
            && let Some(told) = site.plant.source(pod.name())
        {
            status["currentState"] = told.state.into();
            status["progress"] = told.progress.into();
            status["message"] = told.message.into();
            status["size"] = told.content.size.into();
            if matches!(told.state, "ready-for-transfer" | "ready") {
                status["checksum"] = told.content.sha512.into();
            }
        }
        return Round::idle().look_at(now, since + SignedDuration::from_secs((ticks + 1) * MONITOR.as_secs()));
    }
    memory.monitors.remove(source.name());
    let running = matches!(state.as_str(), "starting" | "in-progress" | "ready-for-transfer" | "ready" | "unknown");
    let lost = match pod {
        None => Some("the pod is not found".to_owned()),
        Some(pod) if pod.is_terminating() => Some("the pod is being deleted".to_owned()),
        Some(pod) if pod.text("/status/phase") == "Failed" => Some("the pod failed".to_owned()),
        Some(_) if !right => Some("the pod image is not the default one".to_owned()),
        Some(_) => None,
    };
    if let Some(why) = lost.clone().filter(|_| running) {
        status["currentState"] = "failed".into();
        status["message"] = why.into();
        status["progress"] = 0.into();
        status["ip"] = "".into();
        status["storageIP"] = "".into();
        return Round::idle().look_again(Duration::from_secs(1));
    }
    if let Some(pod) = pod {
        if lost.is_some() && !pod.is_terminating() {
            writes.push(Write::delete(&Kind::POD, pod));
        }
        return Round::idle();
    }
    let failed = matches!(state.as_str(), "failed" | "failed-and-cleanup");
    if failed && ONCE.contains(&kind_of) {
        return Round::idle();
    }
    // The first pod is free; each further one waits.
    if let Some((from, _)) = memory.backoffs.get(source.name())
        && *from > now
    {
        return Round::idle().look_at(now, *from);
    }
    let wait = memory.backoffs.get(source.name()).map_or(BACKOFF.0, |(_, wait)| (wait * 2).min(BACKOFF.1));
    memory.backoffs.insert(source.name().to_owned(), (now + SignedDuration::from_secs(wait), wait));
    status["currentState"] = "".into();
    status["message"] = "".into();
    status["runningParameters"] = source.at("/spec/parameters").clone();
    writes.push(Write::create(&Kind::POD, pods::of_source(source, &site.flags.image_manager)).forgiving(&[409]));
    Round::idle()
}
