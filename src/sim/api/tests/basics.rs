//! create, get, list, watch, update, patch, delete.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api as Typed, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;

use super::super::{Api, Options};

fn pod(name: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"app": "db"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "main", "image": "db:1"}]},
    }))
    .unwrap()
}

fn pods(api: &Api) -> Typed<Pod> {
    Typed::namespaced(api.client(), "default")
}

#[tokio::test(start_paused = true)]
async fn an_object_lives_from_creation_to_deletion() {
    let api = Api::new(Options::new());
    let pods = pods(&api);
    let created = pods.create(&PostParams::default(), &pod("a")).await.unwrap();
    assert_eq!(created.metadata.creation_timestamp.as_ref().unwrap().0.to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(created.status.unwrap().phase.as_deref(), Some("Pending"));

    let again = pods.create(&PostParams::default(), &pod("a")).await.unwrap_err();
    let kube::Error::Api(status) = again else { panic!("{again}") };
    assert_eq!(
        (status.code, status.reason.as_str(), status.message.as_str()),
        (409, "AlreadyExists", r#"pods "a" already exists"#)
    );

    let patch = json!({"spec": {"containers": [{"name": "main", "image": "db:2"}]}});
    let patched = pods.patch("a", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    assert_eq!(patched.metadata.generation, Some(2));
    assert_eq!(pods.list(&ListParams::default().labels("app=db")).await.unwrap().items.len(), 1);

    // A grace of 30 s is shortened to the stand-in kubelet's second.
    let deleted = pods.delete("a", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(deleted.metadata.deletion_grace_period_seconds, Some(30));
    assert!(pods.get_opt("a").await.unwrap().is_some());
    tokio::time::sleep(Duration::from_millis(1001)).await;
    assert!(pods.get_opt("a").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_everything_in_order_and_leaves_when_dropped() {
    let api = Api::new(Options::new());
    let pods = pods(&api);
    let version = pods.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let mut watch = pods.watch(&WatchParams::default().labels("app=db"), &version).await.unwrap().boxed();
    pods.create(&PostParams::default(), &pod("a")).await.unwrap();
    api.change("Pod", "default", "a", |pod| pod["status"]["phase"] = json!("Running"));
    api.change("Pod", "default", "a", |pod| pod["metadata"]["labels"]["app"] = json!("other"));
    api.change("Pod", "default", "a", |pod| pod["metadata"]["labels"]["app"] = json!("db"));
    pods.delete("a", &DeleteParams::default().grace_period(0)).await.unwrap();

    let mut told = Vec::new();
    while told.len() < 6 {
        told.push(match watch.try_next().await.unwrap().unwrap() {
            WatchEvent::Added(pod) => format!("added {}", pod.status.unwrap().phase.unwrap()),
            WatchEvent::Modified(pod) => format!(
                "modified {}",
                pod.metadata.deletion_timestamp.map_or(pod.status.unwrap().phase.unwrap(), |_| "terminating".into())
            ),
            WatchEvent::Deleted(_) => "deleted".to_owned(),
            WatchEvent::Bookmark(_) => "bookmark".to_owned(),
            WatchEvent::Error(error) => error.message.clone(),
        });
    }
    assert_eq!(
        told,
        ["added Pending", "modified Running", "deleted", "added Running", "modified terminating", "deleted"]
    );
    assert_eq!(api.open_watches("pods"), 1);
    drop(watch);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(api.open_watches("pods"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stale_update_is_refused() {
    let api = Api::new(Options::new());
    let maps: Typed<ConfigMap> = Typed::namespaced(api.client(), "default");
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "m"}, "data": {"a": "1"}})).unwrap();
    let first = maps.create(&PostParams::default(), &map).await.unwrap();
    let mut second = first.clone();
    second.data.as_mut().unwrap().insert("a".into(), "2".into());
    maps.replace("m", &PostParams::default(), &second).await.unwrap();
    let refused = maps.replace("m", &PostParams::default(), &second).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "ApiError: Operation cannot be fulfilled on configmaps \"m\": the object has been modified; \
         please apply your changes to the latest version and try again: Conflict (Status { status: Some(Failure), code: 409, \
         message: \"Operation cannot be fulfilled on configmaps \\\"m\\\": the object has been modified; please apply your changes \
         to the latest version and try again\", metadata: Some(ListMeta { continue_: None, remaining_item_count: None, \
         resource_version: None, self_link: None }), reason: \"Conflict\", details: Some(StatusDetails { name: \"m\", group: \"\", \
         kind: \"configmaps\", uid: \"\", causes: [], retry_after_seconds: 0 }) })",
    );
}

/// What a chart's pod says of resources, probes and ports is filled in once, and a label
/// can then be changed.
#[tokio::test(start_paused = true)]
async fn a_pod_of_a_chart_can_be_labelled() {
    let api = Api::new(Options::new());
    let pods = pods(&api);
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "a"},
        "spec": {
            "nodeName": "n1",
            "containers": [{
                "name": "main", "image": "db:1",
                "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [{"name": "data", "emptyDir": {}}],
        },
    }))
    .unwrap();
    let created = pods.create(&PostParams::default(), &pod).await.unwrap();
    let label = Patch::Merge(json!({"metadata": {"labels": {"round": "1"}}}));
    let labelled = pods.patch("a", &PatchParams::default(), &label).await.unwrap();
    assert_eq!(json!(labelled.spec), json!(created.spec));
}
