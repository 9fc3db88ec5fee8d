//! What kube-rs does over a client: discovery, watcher, exec, logs, pages, metadata alone.

use std::time::Duration;

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{
    Api as Typed, ApiResource, AttachParams, DeleteParams, DynamicObject, EvictParams, ListParams, LogParams, Patch,
    PatchParams, PostParams, PropagationPolicy,
};
use kube::core::GroupVersionKind;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::{Answer, Api, Exec, Options};

fn pod(name: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "db"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "main", "image": "db:1"}]},
        "status": {"phase": "Running"},
    })
}

fn definition() -> serde_json::Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "disks.store.example"},
        "spec": {
            "group": "store.example", "scope": "Namespaced",
            "names": {"kind": "Disk", "plural": "disks", "shortNames": ["dk"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    })
}

#[tokio::test(start_paused = true)]
async fn a_definition_is_discovered_and_served() {
    let api = Api::new(Options::new());
    let client = api.client();
    let gvk = GroupVersionKind::gvk("store.example", "v1", "Disk");
    assert!(kube::discovery::pinned_kind(&client, &gvk).await.is_err());
    api.put(definition()).unwrap();
    let (resource, capabilities) = kube::discovery::pinned_kind(&client, &gvk).await.unwrap();
    assert_eq!(resource.plural, "disks");
    assert!(capabilities.subresources.iter().any(|(sub, _)| sub.plural == "status"));
    let discovery = kube::Discovery::new(client.clone()).run_aggregated().await.unwrap();
    assert!(discovery.resolve_gvk(&gvk).is_some());
    assert!(kube::Discovery::new(client.clone()).run().await.unwrap().has_group("apps"));
    assert_eq!(client.apiserver_version().await.unwrap().minor, "34");

    let disks: Typed<DynamicObject> = Typed::namespaced_with(client, "default", &resource);
    let disk = DynamicObject::new("a", &resource).data(json!({"spec": {"size": "1Gi"}, "status": {"lost": true}}));
    let made = disks.create(&PostParams::default(), &disk).await.unwrap();
    assert_eq!(made.data, json!({"spec": {"size": "1Gi"}}), "a status is written through its own path only");
    let status = Patch::Merge(json!({"status": {"state": "ready"}, "spec": {"size": "9Gi"}}));
    let changed = disks.patch_status("a", &PatchParams::default(), &status).await.unwrap();
    assert_eq!(changed.data, json!({"spec": {"size": "1Gi"}, "status": {"state": "ready"}}));
    assert_eq!(changed.metadata.generation, Some(1));

    let definitions =
        ApiResource::from_gvk(&GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition"));
    let definitions: Typed<DynamicObject> = Typed::all_with(api.client(), &definitions);
    definitions.delete("disks.store.example", &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(api.get("crd", "", "disks.store.example").is_none());
    assert!(matches!(disks.get("a").await, Err(kube::Error::Api(status)) if status.code == 404));
}

#[tokio::test(start_paused = true)]
async fn a_watcher_survives_compaction_and_dropped_watches() {
    let api = Api::new(Options::new());
    let pods: Typed<Pod> = Typed::namespaced(api.client(), "default");
    api.put(pod("a")).unwrap();
    let mut seen = watcher(pods, watcher::Config::default()).default_backoff().applied_objects().boxed();
    let name = |pod: Pod| pod.metadata.name.unwrap();
    assert_eq!(seen.try_next().await.unwrap().map(name).unwrap(), "a");

    api.drop_watches("pods", &super::super::Ending::Closed);
    api.put(pod("b")).unwrap();
    assert_eq!(seen.try_next().await.unwrap().map(name).unwrap(), "b");

    api.drop_watches("pods", &super::super::Ending::Cut);
    api.put(pod("c")).unwrap();
    api.compact();
    let mut told = Vec::new();
    while told.last().map(String::as_str) != Some("c") {
        match seen.next().await.unwrap() {
            Ok(pod) => told.push(name(pod)),
            Err(watcher::Error::WatchFailed(_) | watcher::Error::WatchError(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(told, ["a", "b", "c"], "after 410 the watcher lists again");
}

#[tokio::test(start_paused = true)]
async fn commands_run_with_input_output_and_exit_code() {
    let api = Api::new(Options::new());
    api.put(pod("a")).unwrap();
    api.program("db", |exec: &Exec| match exec.command.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["cat"] => Answer::prints(exec.stdin.clone()),
        ["slow"] => Answer::prints("done").after(Duration::from_mins(10)),
        _ => Answer::fails(3, "no such command"),
    });
    let pods: Typed<Pod> = Typed::namespaced(api.client(), "default");

    let mut process = pods.exec("a", ["cat"], &AttachParams::default().stdin(true).stderr(false)).await.unwrap();
    let mut stdin = process.stdin().unwrap();
    stdin.write_all(b"hello").await.unwrap();
    stdin.shutdown().await.unwrap();
    drop(stdin);
    let mut text = String::new();
    process.stdout().unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");

    let mut process = pods.exec("a", ["fail"], &AttachParams::default()).await.unwrap();
    let mut complaint = String::new();
    process.stderr().unwrap().read_to_string(&mut complaint).await.unwrap();
    let status = process.take_status().unwrap().await.unwrap();
    assert_eq!(complaint, "no such command");
    assert_eq!(status.details.unwrap().causes.unwrap()[0].message.as_deref(), Some("3"));

    let before = tokio::time::Instant::now();
    let mut process = pods.exec("a", ["slow"], &AttachParams::default()).await.unwrap();
    assert_eq!(process.take_status().unwrap().await.unwrap().status.as_deref(), Some("Success"));
    assert_eq!(before.elapsed().as_secs(), 600);

    let refused = pods.exec("none", ["x"], &AttachParams::default()).await;
    assert!(refused.is_err());
}

#[tokio::test(start_paused = true)]
async fn logs_are_read_and_followed() {
    let api = Api::new(Options::new());
    api.put(pod("a")).unwrap();
    api.print("default", "a", "one");
    api.print("default", "a", "two");
    let pods: Typed<Pod> = Typed::namespaced(api.client(), "default");
    let tail = LogParams { tail_lines: Some(1), timestamps: true, ..LogParams::default() };
    assert_eq!(pods.logs("a", &tail).await.unwrap(), "2026-01-01T00:00:00.000000000Z two\n");

    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream("a", &follow).await.unwrap().lines();
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("one"));
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("two"));
    api.print("default", "a", "three");
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("three"));
    api.remove("Pod", "default", "a");
    assert_eq!(lines.try_next().await.unwrap(), None, "the log ends with its pod");
}

#[tokio::test(start_paused = true)]
async fn pages_are_one_moment() {
    let api = Api::new(Options::new());
    let maps: Typed<ConfigMap> = Typed::all(api.client());
    for name in ["a", "b", "c"] {
        api.put(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})).unwrap();
    }
    let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!((first.items.len(), first.metadata.remaining_item_count), (2, Some(1)));
    api.remove("ConfigMap", "default", "c");
    let token = first.metadata.continue_.unwrap();
    let second = maps.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap();
    assert_eq!(second.items[0].metadata.name.as_deref(), Some("c"), "it was there when the list began");
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    api.compact();
    let expired = maps.list(&ListParams::default().limit(2).continue_token(&token)).await;
    assert!(matches!(expired, Err(kube::Error::Api(status)) if status.code == 410 && status.reason == "Expired"));

    let names = maps.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(names.items.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn owners_and_namespaces_take_what_is_theirs_along() {
    let api = Api::new(Options::new());
    let deployment = api
        .put(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "x"}}))
        .unwrap();
    let mut owned = pod("p");
    owned["metadata"]["namespace"] = json!("x");
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": deployment["metadata"]["uid"]}]);
    api.put(owned).unwrap();
    let deployments: Typed<Deployment> = Typed::namespaced(api.client(), "x");
    let foreground =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    let marked = deployments.delete("d", &foreground).await.unwrap().left().unwrap();
    assert_eq!(marked.metadata.finalizers.unwrap(), ["foregroundDeletion"]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(api.get("Pod", "x", "p").is_none());
    assert!(api.get("Deployment", "x", "d").is_none());

    let mut left = pod("q");
    left["metadata"]["namespace"] = json!("x");
    api.put(left).unwrap();
    let namespaces: Typed<Namespace> = Typed::all(api.client());
    let going = namespaces.delete("x", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(going.status.unwrap().phase.as_deref(), Some("Terminating"));
    let pods: Typed<Pod> = Typed::namespaced(api.client(), "x");
    let new: Pod = serde_json::from_value(pod("new")).unwrap();
    let refused = pods.create(&PostParams::default(), &new).await.unwrap_err();
    assert!(refused.to_string().contains("unable to create new content in namespace x because it is being terminated"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(api.get("ns", "", "x").is_none() && api.list("Pod", "x").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_eviction_asks_the_budget() {
    let api = Api::new(Options::new());
    api.put(pod("a")).unwrap();
    api.put(json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"},
        "spec": {"selector": {"matchLabels": {"app": "db"}}},
        "status": {"observedGeneration": 1, "disruptionsAllowed": 0, "desiredHealthy": 1, "currentHealthy": 1},
    }))
    .unwrap();
    let pods: Typed<Pod> = Typed::namespaced(api.client(), "default");
    let refused = pods.evict("a", &EvictParams::default()).await.unwrap_err();
    let kube::Error::Api(status) = refused else { panic!("{refused}") };
    assert_eq!(
        (status.code, status.message.as_str()),
        (429, "Cannot evict pod as it would violate the pod's disruption budget.")
    );
    assert_eq!(
        status.details.unwrap().causes[0].message,
        "The disruption budget b needs 1 healthy pods and has 1 currently",
    );
    api.change("pdb", "default", "b", |budget| budget["status"]["disruptionsAllowed"] = json!(1));
    pods.evict("a", &EvictParams::default()).await.unwrap();
    assert!(api.get("Pod", "default", "a").unwrap()["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(api.get("pdb", "default", "b").unwrap()["status"]["disruptionsAllowed"], 0);
}
