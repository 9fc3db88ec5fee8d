//! Embedded controllers and kubelets against a real API server: real client, real time.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Node, Pod, ResourceQuota};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::runtime::watcher;
use kube::{Resource, ResourceExt as _};
use lariat::sim::{
    Backoff, Behaviour, Cache, Controller, Form, Guests, Key, Kind, Process, Round, Setting, Span, Trigger, Watches,
    Write,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

/// How long a real cluster may take for what a controller does at once.
const SOON: Duration = Duration::from_mins(1);

/// The memory of the smallest controller that needs all of a process: it keeps a copy of each marked
/// config map, owned by it, and tells an event of each. This is how many copies it has made since it was started.
type Made = u64;

fn reconcile(key: &Key, cache: &Cache, made: &mut Made, _: jiff::Timestamp) -> Round {
    let Some(original) = cache.of(&Kind::CONFIG_MAP, key).filter(|own| own.label("copy") == Some("yes")) else {
        return Round::idle();
    };
    let name = format!("{}-copy", key.name);
    let Some(copy) = cache.get(&Kind::CONFIG_MAP, &key.namespace, &name) else {
        *made += 1;
        let object = json!({
            "metadata": {
                "name": name, "namespace": key.namespace,
                "ownerReferences": [Kind::CONFIG_MAP.owner(original.name(), original.uid())],
            },
            "data": original.at("/data"),
        });
        let note = json!({"metadata": {"annotations": {"made": made.to_string()}}});
        return Round::writes(vec![
            Write::create(&Kind::CONFIG_MAP, object).telling(original, "Copied", "Made {}"),
            Write::patch(&Kind::CONFIG_MAP, key.clone(), Form::Merge, note),
        ]);
    };
    if copy.at("/data") == original.at("/data") {
        return Round::idle();
    }
    let mut wanted = copy.to_value();
    wanted["data"] = original.at("/data").clone();
    Round::writes(vec![Write::update(&Kind::CONFIG_MAP, wanted)])
}

fn copier(namespace: &str) -> Controller<Made> {
    Controller {
        name: "copier",
        triggers: vec![Trigger {
            // The lab is shared: what others have is neither read nor written.
            watches: Watches::Kind { kind: Kind::CONFIG_MAP, fields: Some(format!("metadata.namespace={namespace}")) },
            queues: |change, _| {
                let owner = change.after.controller().and_then(|owner| owner["name"].as_str());
                let name = owner.unwrap_or_else(|| change.after.name());
                vec![Key::new(change.after.namespace(), name)]
            },
        }],
        resync: None,
        backoff: Backoff::CLIENT_GO,
        awaits_own_writes: true,
        reconcile,
    }
}

/// Watches until something holds of all objects of a kind, by name, and gives up loudly.
async fn until<K>(what: &str, api: &Api<K>, holds: impl Fn(&BTreeMap<String, K>) -> bool) -> BTreeMap<String, K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let wait = async {
        let mut events = pin!(watcher(api.clone(), watcher::Config::default()));
        let mut objects = BTreeMap::new();
        let mut listed = false;
        while let Some(event) = events.next().await {
            match event.expect("the lab answers") {
                watcher::Event::Init => objects.clear(),
                watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
                    objects.insert(object.name_any(), object);
                }
                watcher::Event::Delete(object) => {
                    objects.remove(&object.name_any());
                }
                watcher::Event::InitDone => listed = true,
            }
            if listed && holds(&objects) {
                return objects;
            }
        }
        unreachable!("a watcher goes on for ever")
    };
    tokio::time::timeout(SOON, wait).await.unwrap_or_else(|_| panic!("{what}: not within {SOON:?}"))
}

async fn lab() -> kube::Client {
    let path = std::env::var("LARIAT_LAB_KUBECONFIG").expect("`just lab-test` names the lab's kubeconfig");
    let kubeconfig = kube::config::Kubeconfig::read_from(path).expect("the lab's kubeconfig can be read");
    let options = kube::config::KubeConfigOptions { context: Some("lab".to_owned()), ..Default::default() };
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
    kube::Client::try_from(config.expect("the lab has a context `lab`")).expect("the lab's certificates are usable")
}

/// A namespace of a test's own.
async fn namespace(client: &kube::Client, test: &str) -> String {
    let name = format!("lab-{test}-{}", std::process::id() % 10_000);
    let object = serde_json::from_value(json!({"metadata": {"name": name}})).expect("it is a namespace");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.create(&PostParams::default(), &object).await.expect("a namespace can be made");
    name
}

async fn without(client: &kube::Client, namespace: &str) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.delete(namespace, &DeleteParams::default()).await.expect("it is deleted");
}

/// A client that counts how often the server forbade what was asked through it.
fn counting(client: kube::Client) -> (kube::Client, watch::Receiver<u64>) {
    let (sender, forbidden) = watch::channel(0);
    let sender = Arc::new(sender);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (client, sender) = (client.clone(), sender.clone());
        async move {
            let response = client.send(request).await?;
            if response.status() == http::StatusCode::FORBIDDEN {
                sender.send_modify(|count| *count += 1);
            }
            Ok::<_, kube::Error>(response)
        }
    });
    (kube::Client::new(service, "default"), forbidden)
}

fn text(map: &ConfigMap) -> &str {
    map.data.as_ref().and_then(|data| data.get("text")).map_or("", String::as_str)
}

fn managers(map: &ConfigMap) -> Vec<&str> {
    map.metadata.managed_fields.iter().flatten().filter_map(|entry| entry.manager.as_deref()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_works_on_a_real_api_server() {
    let _steady = crate::steady().await;
    let client = lab().await;
    let namespace = namespace(&client, "process").await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    let create = async |name: &str, data: Value| {
        let object = json!({"metadata": {"name": name, "labels": {"copy": "yes"}}, "data": data});
        let object = serde_json::from_value(object).expect("it is a config map");
        maps.create(&PostParams::default(), &object).await.expect("a config map can be made");
    };
    let (counted, mut forbidden) = counting(client.clone());
    let start =
        |agent: &str| Process::start(Setting::real(counted.clone(), agent, 1), vec![copier(&namespace).with(0)]);

    // What was there before it started it finds by its list, what comes later by its watch.
    create("early", json!({"text": "one"})).await;
    let process = start("lariat-copier/1");
    let found = until("a copy of what was listed", &maps, |maps| maps.contains_key("early-copy")).await;
    assert_eq!(text(&found["early-copy"]), "one");
    create("late", json!({"text": "two"})).await;
    let found = until("a copy of what was watched", &maps, |maps| maps.contains_key("late-copy")).await;
    let late = &found["late-copy"];
    assert_eq!(managers(late), ["lariat-copier"], "the first word of its agent owns what it writes");

    // A copy that somebody deletes is made again; one that lags is brought up to date.
    maps.delete("late-copy", &DeleteParams::default()).await.expect("it is deleted");
    until("another copy", &maps, |maps| maps.get("late-copy").is_some_and(|copy| copy.uid() != late.uid())).await;
    let change = Patch::Merge(json!({"data": {"text": "three"}}));
    maps.patch("early", &PatchParams::default(), &change).await.expect("it is changed");
    until("the copy to follow", &maps, |maps| text(&maps["early-copy"]) == "three").await;

    // The real server takes its events and lets one be counted again.
    let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
    let copied = |events: &BTreeMap<String, Event>| {
        let told = events.values().filter(|event| event.reason.as_deref() == Some("Copied"));
        told.map(|event| (event.message.clone().unwrap_or_default(), event.count)).collect::<BTreeMap<_, _>>()
    };
    let twice = |events: &BTreeMap<String, Event>| copied(events).values().any(|count| *count == Some(2));
    let told = copied(&until("an event to be counted", &events, twice).await);
    assert_eq!(told, [("Made early-copy".into(), Some(1)), ("Made late-copy".into(), Some(2))].into());

    // Refused, a round is tried again with its back-off until the server takes it: here the quota is raised.
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), &namespace);
    let have = maps.list(&kube::api::ListParams::default()).await.expect("they are listed").items.len();
    let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": {"count/configmaps": (have + 1).to_string()}}});
    let quota = serde_json::from_value(quota).expect("it is a quota");
    quotas.create(&PostParams::default(), &quota).await.expect("a quota can be made");
    until("the quota to count", &quotas, |quotas| {
        let used = quotas["few"].status.as_ref().and_then(|status| status.used.as_ref());
        used.is_some_and(|used| !used.is_empty())
    })
    .await;
    create("refused", json!({"text": "four"})).await;
    let tried = tokio::time::timeout(SOON, forbidden.wait_for(|count| *count >= 3)).await;
    tried.expect("it is tried again").expect("the client is held");
    assert!(maps.get_opt("refused-copy").await.expect("asked").is_none(), "there is no room for it");
    let more = Patch::Merge(json!({"spec": {"hard": {"count/configmaps": "100"}}}));
    quotas.patch("few", &PatchParams::default(), &more).await.expect("it is raised");
    until("the refused copy", &maps, |maps| maps.contains_key("refused-copy")).await;

    // Dropped it does nothing more: of a copy that is gone the next process's watch tells no earlier than
    // its own would have. The next one starts where the cluster stands, its memory empty.
    assert!(!process.is_dead());
    drop(process);
    maps.delete("early-copy", &DeleteParams::default()).await.expect("it is deleted");
    until("the copy to be gone", &maps, |maps| !maps.contains_key("early-copy")).await;
    let process = start("lariat-copier-again/1");
    let found = until("a copy by the next process", &maps, |maps| {
        let counted = maps["early"].metadata.annotations.as_ref().and_then(|notes| notes.get("made"));
        maps.contains_key("early-copy") && counted.is_some_and(|made| made == "1")
    })
    .await;
    assert_eq!(managers(&found["early-copy"]), ["lariat-copier-again"]);
    drop(process);
    without(&client, &namespace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_kubelets_bring_nodes_to_a_real_cluster() {
    // Others count the lab's nodes.
    let _undisturbed = crate::undisturbed().await;
    let client = lab().await;
    let namespace = namespace(&client, "guests").await;
    let node = format!("lab-guest-{}", std::process::id() % 10_000);
    let guests = Guests::join(client.clone(), 1, std::slice::from_ref(&node)).await.expect("a node can join");
    guests.image("guest", Behaviour::ready_after(Span::millis(300, 600)));
    let seen = AssertUnwindSafe(rollout(&client, &namespace, &node)).catch_unwind().await;
    assert!(!guests.is_dead());
    without(&client, &namespace).await;
    let nodes: Api<Node> = Api::all(client.clone());
    let there = until("the node to be ready", &nodes, |nodes| nodes.contains_key(&node)).await;
    guests.leave().await.expect("a node can leave");
    until("the node to be gone", &nodes, |nodes| !nodes.contains_key(&node)).await;
    seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let conditions = there[&node].status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready: Vec<&str> = conditions.filter(|own| own.type_ == "Ready").map(|own| own.status.as_str()).collect();
    assert_eq!(ready, ["True"], "the real node life cycle takes its lease for a heartbeat");
}

/// A real daemon set controller and an embedded kubelet roll a template out together.
async fn rollout(client: &kube::Client, namespace: &str, node: &str) {
    let sets: Api<DaemonSet> = Api::namespaced(client.clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let set = json!({
        "metadata": {"name": "guest"},
        "spec": {
            "selector": {"matchLabels": {"app": "guest"}},
            "template": {
                "metadata": {"labels": {"app": "guest"}},
                "spec": {
                    "nodeSelector": {"kubernetes.io/hostname": node},
                    "tolerations": [{"key": Guests::TAINT, "operator": "Exists"}],
                    "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 2,
                    "containers": [{"name": "main", "image": "guest:1"}],
                },
            },
        },
    });
    let set = serde_json::from_value(set).expect("it is a daemon set");
    sets.create(&PostParams::default(), &set).await.expect("a daemon set can be made");
    let rolled_out = |sets: &BTreeMap<String, DaemonSet>| {
        sets.values().any(|set| {
            let status = set.status.clone().unwrap_or_default();
            status.observed_generation == set.metadata.generation
                && (status.updated_number_scheduled, status.number_available) == (Some(1), Some(1))
        })
    };
    until("the daemon set to be rolled out", &sets, rolled_out).await;
    let runs = |pod: &Pod| pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"));
    let first = until("its pod to run", &pods, |pods| pods.values().any(runs)).await;
    let change = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "guest:2"}]}}}});
    sets.patch("guest", &PatchParams::default(), &Patch::Strategic(change)).await.expect("it is changed");
    until("the change to be rolled out", &sets, rolled_out).await;
    let second = until("the next pod to run alone", &pods, |pods| pods.len() == 1 && pods.values().all(runs)).await;
    assert!(second.keys().all(|name| !first.contains_key(name)), "the old pod ended within its grace");
    sets.delete("guest", &DeleteParams::foreground()).await.expect("it is deleted");
    until("the pods to be gone", &pods, BTreeMap::is_empty).await;
    until("the daemon set to be gone", &sets, BTreeMap::is_empty).await;
}
