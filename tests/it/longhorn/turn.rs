use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::tape::{Change, Line, Tape};
use super::text::general;

/// A state that became another one.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// Seconds since the tape's beginning.
    pub(crate) at: f64,
    /// What it is a state of, such as `entry` or `pod longhorn-manager`.
    pub(crate) of: String,
    /// The object.
    pub(crate) object: String,
    /// The part of it, if there are several: a disk, an image, a condition.
    pub(crate) part: String,
    /// The state before; [`ABSENT`] if there was none.
    pub(crate) from: String,
    /// The state since.
    pub(crate) to: String,
}

/// What a thing is that is not there.
pub(crate) const ABSENT: &str = "absent";

/// The states of one object: (what of, part) → state.
type States = BTreeMap<(String, String), String>;

/// Every state that changed on a tape. What was there at its beginning, or was listed after a gap,
/// did not change: nobody saw it.
pub(crate) fn turns(tape: &Tape) -> Vec<Turn> {
    let mut known: BTreeMap<(&'static str, String), States> = BTreeMap::new();
    let mut turns = Vec::new();
    for line in &tape.lines {
        if line.change == Change::Gap {
            continue;
        }
        let name = line.object["metadata"]["name"].as_str().expect("every object has a name").to_owned();
        if line.watch == "events" {
            turns.extend(event(line, &name));
            continue;
        }
        let now = if line.change == Change::Gone { States::new() } else { states(line.watch, &name, &line.object) };
        let before = known.insert((line.watch, name.clone()), now.clone()).unwrap_or_default();
        if line.change == Change::Listed {
            continue;
        }
        let keys: BTreeSet<_> = before.keys().chain(now.keys()).collect();
        for key in keys {
            let state = |states: &States| states.get(key).cloned().unwrap_or_else(|| ABSENT.to_owned());
            let (from, to) = (state(&before), state(&now));
            if from != to {
                let (of, part) = key.clone();
                turns.push(Turn { at: line.at, of, object: name.clone(), part, from, to });
            }
        }
    }
    turns
}

/// What an event says, if Longhorn says it: who, of what, how.
fn event(line: &Line, name: &str) -> Option<Turn> {
    let event = &line.object;
    let source = [&event["source"]["component"], &event["reportingComponent"]];
    let source = source.iter().find_map(|at| at.as_str().filter(|name| !name.is_empty()))?;
    if line.change != Change::Set || !source.starts_with("longhorn-") {
        return None;
    }
    let of = format!("event of a {}", event["involvedObject"]["kind"].as_str().unwrap_or("hook"));
    let text = general(event["message"].as_str().unwrap_or_default());
    // The sender's address and name are not what counts, only that one is told.
    let to = format!("{} {}: {text}", event["type"].as_str()?, event["reason"].as_str()?);
    let part = event["involvedObject"]["name"].as_str().unwrap_or_default().to_owned();
    Some(Turn { at: line.at, of, object: name.to_owned(), part, from: String::new(), to })
}

fn states(watch: &str, name: &str, object: &Value) -> States {
    let mut states = Stating::default();
    match watch {
        "pods" => pod(object, &mut states),
        "jobs" => states.put(&format!("job {name}"), "", job(object)),
        "leases" => {
            let holder = object["spec"]["holderIdentity"].as_str().unwrap_or_default();
            states.put(&format!("lease {name}"), "", if holder.is_empty() { "free" } else { "held" });
        }
        "endpointslices" => endpoints(object, &mut states),
        "settings" => states.put(&format!("setting {name}"), "", setting(object)),
        "lhnodes" => node(object, &mut states),
        "engineimages" => states.put("engine image", "", engine_image(object)),
        "backingimages" => backing_image(object, &mut states),
        "backingimagedatasources" => data_source(object, &mut states),
        "backingimagemanagers" => backing_image_manager(object, &mut states),
        _ => {}
    }
    states.0
}

#[derive(Default)]
struct Stating(States);

impl Stating {
    fn put(&mut self, of: &str, part: &str, state: impl Into<String>) {
        self.0.insert((of.to_owned(), part.to_owned()), state.into());
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn life(object: &Value) -> &'static str {
    if object["metadata"]["deletionTimestamp"].is_null() { "" } else { " terminating" }
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().find(|one| one["type"] == kind).map_or("", |one| text(one, "status"))
}

fn pod(pod: &Value, states: &mut Stating) {
    let labels = &pod["metadata"]["labels"];
    let kind =
        if labels["app"] == "longhorn-manager" { "longhorn-manager" } else { text(labels, "longhorn.io/component") };
    let watched = ["longhorn-manager", "backing-image-manager", "backing-image-data-source", "engine-image"];
    if !watched.contains(&kind) {
        return;
    }
    let ready = if condition(pod, "Ready") == "True" { " ready" } else { "" };
    states.put(&format!("pod {kind}"), "", format!("{}{ready}{}", text(&pod["status"], "phase"), life(pod)));
    let restarts = pod["status"]["containerStatuses"].as_array().map(Vec::as_slice).unwrap_or_default();
    let restarts: u64 = restarts.iter().filter_map(|one| one["restartCount"].as_u64()).sum();
    if restarts > 0 {
        states.put(&format!("restarts of {kind}"), "", restarts.to_string());
    }
}

fn job(job: &Value) -> String {
    let state = match (condition(job, "Complete"), condition(job, "Failed"), job["status"]["active"].as_u64()) {
        ("True", _, _) => "complete",
        (_, "True", _) => "failed",
        (_, _, Some(1..)) => "active",
        _ => "waiting",
    };
    format!("{state}{}", life(job))
}

fn endpoints(slice: &Value, states: &mut Stating) {
    let service = text(&slice["metadata"]["labels"], "kubernetes.io/service-name");
    if service != "longhorn-admission-webhook" {
        return;
    }
    let endpoints = slice["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ready = endpoints.iter().filter(|one| one["conditions"]["ready"] != false).count();
    states.put("webhook endpoints", "", if ready == 0 { "none ready" } else { "ready" });
}

fn setting(setting: &Value) -> String {
    let value = general(text(setting, "value"));
    match setting["status"]["applied"].as_bool() {
        Some(true) => format!("`{value}` applied"),
        Some(false) => format!("`{value}` not applied"),
        None => format!("`{value}`"),
    }
}

fn node(node: &Value, states: &mut Stating) {
    for one in node["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let kind = text(one, "type");
        // What a node has installed is not Longhorn's doing.
        if kind == "Ready" || kind == "Schedulable" {
            states.put(&format!("node {kind}"), "", told(one));
        }
    }
    let disks = node["status"]["diskStatus"].as_object();
    for (disk, status) in disks.into_iter().flatten() {
        for one in status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default() {
            states.put(&format!("disk {}", text(one, "type")), disk, told(one));
        }
    }
}

fn told(condition: &Value) -> String {
    format!("{} {}", text(condition, "status"), text(condition, "reason")).trim_end().to_owned()
}

fn engine_image(image: &Value) -> String {
    let nodes = image["status"]["nodeDeploymentMap"].as_object();
    // Which pods are counted first is chance, and for a moment one without a node is among them.
    let on = match nodes.map_or((0, 0), |nodes| (nodes.values().filter(|on| **on == true).count(), nodes.len())) {
        (0, _) => "no",
        (on, all) if on == all => "all",
        _ => "some",
    };
    let ready = condition(image, "ready");
    let state = text(&image["status"], "state");
    format!("`{state}`, ready `{ready}`, on {on} nodes{}", life(image))
}

fn backing_image(image: &Value, states: &mut Stating) {
    states.put("backing image", "", format!("there{}", life(image)));
    for field in ["uuid", "checksum"] {
        let set = !text(&image["status"], field).is_empty();
        states.put(&format!("backing image {field}"), "", if set { "set" } else { "unset" });
    }
    for field in ["size", "virtualSize", "realSize"] {
        let set = image["status"][field].as_u64().unwrap_or(0) > 0;
        states.put(&format!("backing image {field}"), "", if set { "set" } else { "unset" });
    }
    for (disk, wish) in image["spec"]["diskFileSpecMap"].as_object().into_iter().flatten() {
        let evicted = wish["evictionRequested"] == true;
        states.put("copy", disk, if evicted { "evicted" } else { "wanted" });
    }
    for (disk, entry) in image["status"]["diskFileStatusMap"].as_object().into_iter().flatten() {
        states.put("entry", disk, file(entry));
    }
}

/// A file's state, with its message if there is one.
fn file(file: &Value) -> String {
    let (state, message) = (text(file, "state"), text(file, "message"));
    if message.is_empty() { format!("`{state}`") } else { format!("`{state}`: {}", general(message)) }
}

fn data_source(source: &Value, states: &mut Stating) {
    let transferred = source["spec"]["fileTransferred"] == true;
    let file = if transferred { "transferred" } else { "not transferred" };
    let state = text(&source["status"], "currentState");
    states.put("data source", "", format!("`{state}`, {file}{}", life(source)));
}

fn backing_image_manager(manager: &Value, states: &mut Stating) {
    let status = &manager["status"];
    let api = if status["apiVersion"].as_u64().unwrap_or(0) == 0 { "no API" } else { "API known" };
    states.put("manager", "", format!("`{}`, {api}{}", text(status, "currentState"), life(manager)));
    let owner = text(status, "ownerID");
    let home = if owner.is_empty() {
        "nobody"
    } else if owner == text(&manager["spec"], "nodeID") {
        "its own node"
    } else {
        "another node"
    };
    states.put("manager's owner", "", home);
    for image in manager["spec"]["backingImages"].as_object().into_iter().flat_map(|images| images.keys()) {
        states.put("manager's record", image, "there");
    }
    for (image, entry) in status["backingImageFileMap"].as_object().into_iter().flatten() {
        states.put("manager's file", image, file(entry));
    }
}
