use std::time::Duration;

use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::numbers;
use crate::sim::{Chance, Image, Internet, Life, OnTerm, Site, Start, Switch, World};

/// Makes the lab's images known to a cluster.
pub(in crate::sim) fn images(world: &World, internet: &Internet) {
    world.image("lariat-lab/gadget", Gadget);
    world.image("lariat-lab/tools", Tools { client: world.client() });
    world.image("busybox", Busybox { internet: internet.clone() });
}

/// What a node of the gadget runs, and the hook before everything.
struct Gadget;

impl Image for Gadget {
    fn start(&self, start: &Start, _: &mut Chance) -> Life {
        let version = start.image.rsplit(':').next().unwrap_or_default();
        let asleep = Duration::from_secs(number_after(&script(start), "sleep ").unwrap_or(0));
        match start.container.as_str() {
            "before" => Life {
                ends: Some((asleep, 0)),
                says: vec![(Duration::ZERO, format!("gadget {version} may be put in place"))],
                ..Life::sleeps()
            },
            _ => Life {
                ready_after: Some(asleep),
                says: vec![
                    (Duration::ZERO, format!("gadget node {version} starts")),
                    (asleep, format!("gadget node {version} is ready")),
                ],
                ..Life::sleeps()
            },
        }
    }

    fn files(&self, image: &str) -> Vec<(String, Vec<u8>)> {
        let version = image.rsplit(':').next().unwrap_or_default();
        vec![("/version".to_owned(), format!("{version}\n").into_bytes())]
    }
}

/// A shell with kubectl: the mover, and the hook that registers the gadget.
struct Tools {
    client: Client,
}

impl Image for Tools {
    fn start(&self, start: &Start, _: &mut Chance) -> Life {
        let script = script(start);
        let says = |line: &str| vec![(Duration::from_millis(100), line.to_owned())];
        if start.container == "mover" {
            let step = Duration::from_secs(environment(start, "STEP_SECONDS").parse().unwrap_or(1));
            let holds = Task(tokio::spawn(keep_moving(self.client.clone(), step)));
            return Life { holds: Some(Box::new(holds)), ..Life::sleeps() };
        }
        if let Some(complaint) = script.strip_prefix("echo \"").and_then(|rest| rest.split('"').next())
            && script.contains("exit 1")
        {
            return Life { ends: Some((Duration::from_millis(200), 1)), says: says(complaint), ..Life::sleeps() };
        }
        let object = script.split("<<END\n").nth(1).and_then(|rest| rest.split("\nEND").next());
        // The chart itself writes YAML, the stand-in JSON, which is YAML too.
        let Some(object) = object.and_then(|text| serde_saphyr::from_str(text).ok()) else {
            return Life::sleeps();
        };
        let holds = Task(tokio::spawn(register(self.client.clone(), object, start.switch.clone())));
        Life { holds: Some(Box::new(holds)), ..Life::sleeps() }
    }
}

/// A shell and a web server: `plans/parts/file-server.yaml`, and whatever else only sleeps.
struct Busybox {
    internet: Internet,
}

impl Image for Busybox {
    fn start(&self, start: &Start, _: &mut Chance) -> Life {
        let command: Vec<String> = container(start)["command"].as_array().into_iter().flatten().map(text).collect();
        if let [_, _, script, _, lines, file, port] = &command[..]
            && script.contains("httpd")
            && let Ok(lines) = lines.parse()
        {
            let (bytes, sha512) = numbers::published(lines);
            let serving = self.internet.serve(
                format!("http://127.0.0.1:{port}/{file}"),
                Site { latency: Duration::from_millis(1), ..Site::new(bytes, sha512) },
            );
            return Life {
                ready_after: Some(Duration::from_millis(300)),
                holds: Some(Box::new(serving)),
                ..Life::sleeps()
            };
        }
        match command.last().map(String::as_str) {
            Some(script) if script.contains("exit ") => {
                let code = number_after(script, "exit ").and_then(|code| i32::try_from(code).ok()).unwrap_or(1);
                let after = Duration::from_secs(number_after(script, "sleep ").unwrap_or(0));
                Life { ends: Some((after, code)), ..Life::sleeps() }
            }
            // A shell that sleeps as process 1 does not hear SIGTERM.
            Some(_) => Life { on_term: OnTerm::Ignores, ..Life::sleeps() },
            None => Life { ends: Some((Duration::ZERO, 0)), ..Life::sleeps() },
        }
    }
}

/// Ends with the container that started it.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn gadgets() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("lab.lariat.dev", "v1", "Gadget"), "gadgets")
}

/// `kubectl apply --server-side`, five times if it must be.
async fn register(client: Client, object: Value, switch: Switch) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let api: Api<DynamicObject> = Api::namespaced_with(client, &text("/metadata/namespace"), &gadgets());
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let params = PatchParams::apply("gadget-chart");
        if api.patch(&text("/metadata/name"), &params, &Patch::Apply(&object)).await.is_ok() {
            return switch.exit(0);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    switch.exit(1);
}

/// What `move.sh` does: every gadget whose spec changed goes through pending, working, ready,
/// and so do its files one after another.
async fn keep_moving(client: Client, step: Duration) {
    let all: Api<DynamicObject> = Api::all_with(client.clone(), &gadgets());
    loop {
        let found = all.list(&kube::api::ListParams::default()).await.map(|list| list.items).unwrap_or_default();
        for gadget in found {
            let generation = gadget.metadata.generation;
            if generation.is_some() && generation != gadget.data["status"]["observedGeneration"].as_i64() {
                // A gadget that is gone in between is not moved.
                let _ = move_on(&client, &gadget, step).await;
            }
        }
        tokio::time::sleep(step).await;
    }
}

async fn move_on(client: &Client, gadget: &DynamicObject, step: Duration) -> kube::Result<()> {
    let name = gadget.metadata.name.clone().unwrap_or_default();
    let namespace = gadget.metadata.namespace.clone().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &gadgets());
    let say = async |status: Value| {
        let patch = Patch::Merge(json!({ "status": status }));
        api.patch_status(&name, &PatchParams::default(), &patch).await.map(drop)
    };
    let files: Vec<String> = gadget.data["spec"]["files"].as_array().into_iter().flatten().map(text).collect();
    let old = gadget.data["status"]["files"].as_object().cloned().unwrap_or_default();
    let mut states: serde_json::Map<String, Value> = old.into_iter().map(|(file, _)| (file, Value::Null)).collect();
    states.extend(files.iter().map(|file| (file.clone(), json!({"state": "pending"}))));
    say(json!({"state": "pending", "files": states})).await?;
    tokio::time::sleep(step).await;
    say(json!({"state": "working"})).await?;
    for file in &files {
        say(json!({"files": {file: {"state": "working"}}})).await?;
        tokio::time::sleep(step).await;
        say(json!({"files": {file: {"state": "ready"}}})).await?;
    }
    let version = &gadget.data["spec"]["version"];
    say(json!({"state": "ready", "version": version, "observedGeneration": gadget.metadata.generation})).await
}

fn container(start: &Start) -> &Value {
    let all = start.pod.items("/spec/containers").iter().chain(start.pod.items("/spec/initContainers"));
    let mut named = all.filter(|container| container["name"] == start.container.as_str());
    named.next().unwrap_or(&Value::Null)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The container's script: the last word of its command.
fn script(start: &Start) -> String {
    container(start)["command"].as_array().and_then(|words| words.last()).map(text).unwrap_or_default()
}

fn environment<'a>(start: &'a Start, name: &str) -> &'a str {
    let entries = container(start)["env"].as_array().into_iter().flatten();
    let found = entries.filter(|entry| entry["name"] == name).find_map(|entry| entry["value"].as_str());
    found.unwrap_or_default()
}

/// The number that follows a word.
fn number_after(text: &str, word: &str) -> Option<u64> {
    let rest = &text[text.find(word)? + word.len()..];
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
