//! Server-side apply and the owners of fields.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api as Typed, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::super::{Api, Options};

fn config(replicas: i32, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
        },
    })
}

fn message(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            format!("{} {}: {}", status.code, status.reason, status.message)
        }
        other => other.to_string(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_names_the_other_manager_and_the_fields() {
    let api = Api::new(Options::new());
    let deployments: Typed<Deployment> = Typed::namespaced(api.client(), "default");
    let lariat = PatchParams::apply("lariat");
    deployments.patch("web", &lariat, &Patch::Apply(config(1, "web:1"))).await.unwrap();
    deployments.patch("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 3}}))).await.unwrap();

    let refused = deployments.patch("web", &lariat, &Patch::Apply(config(2, "web:1"))).await.unwrap_err();
    assert_eq!(
        message(refused),
        "409 Conflict: Apply failed with 1 conflict: conflict with \"unknown\" using apps/v1: .spec.replicas"
    );

    // The same value is no conflict: both own it.
    deployments.patch("web", &lariat, &Patch::Apply(config(3, "web:1"))).await.unwrap();
    let other = PatchParams::apply("other");
    let refused = deployments.patch("web", &other, &Patch::Apply(config(4, "web:2"))).await.unwrap_err();
    assert_eq!(
        message(refused),
        "409 Conflict: Apply failed with 3 conflicts: conflicts with \"lariat\":\n- .spec.replicas\n\
         - .spec.template.spec.containers[name=\"web\"].image\nconflicts with \"unknown\" using apps/v1:\n- .spec.replicas",
    );
    let forced = deployments.patch("web", &other.force(), &Patch::Apply(config(4, "web:2"))).await.unwrap();
    assert_eq!(forced.spec.unwrap().replicas, Some(4));
}

#[tokio::test(start_paused = true)]
async fn what_a_manager_no_longer_names_goes_unless_another_owns_it() {
    let api = Api::new(Options::new());
    let maps: Typed<ConfigMap> = Typed::namespaced(api.client(), "default");
    let apply = |data: Value| {
        Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data}))
    };
    let (a, b) = (PatchParams::apply("a"), PatchParams::apply("b"));
    maps.patch("m", &a, &apply(json!({"x": "1", "y": "1"}))).await.unwrap();
    maps.patch("m", &b, &apply(json!({"y": "1", "z": "1"}))).await.unwrap();
    let left = maps.patch("m", &a, &apply(json!({}))).await.unwrap();
    assert_eq!(json!(left.data), json!({"y": "1", "z": "1"}));
    let version = left.metadata.resource_version;
    let same = maps.patch("m", &b, &apply(json!({"y": "1", "z": "1"}))).await.unwrap();
    assert_eq!(same.metadata.resource_version, version, "a configuration applied again changes nothing");
}

#[tokio::test(start_paused = true)]
async fn every_write_is_written_down_with_its_manager() {
    let api = Api::new(Options::new());
    let maps: Typed<ConfigMap> = Typed::namespaced(api.client(), "default");
    let map: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "m", "labels": {"l": "1"}}, "data": {"a": "1"}})).unwrap();
    let post = PostParams { field_manager: Some("maker".into()), ..PostParams::default() };
    maps.create(&post, &map).await.unwrap();
    let patch = PatchParams { field_manager: Some("changer".into()), ..PatchParams::default() };
    maps.patch("m", &patch, &Patch::Merge(json!({"data": {"a": "2", "b": "1"}}))).await.unwrap();
    let stored = api.get("cm", "default", "m").unwrap();
    assert_eq!(
        stored["metadata"]["managedFields"],
        json!([
            {
                "manager": "changer", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
                "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}, "f:b": {}}},
            },
            {
                "manager": "maker", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:data": {}, "f:metadata": {"f:labels": {".": {}, "f:l": {}}}},
            },
        ]),
    );
}
