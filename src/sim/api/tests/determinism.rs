//! The same seed and the same requests give the same world, byte for byte.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api as Typed, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use super::super::{Api, Options};

/// What is left of a small life: every object and every request.
async fn transcript(seed: u64) -> String {
    let api = Api::new(Options { seed, ..Options::new() });
    let maps: Typed<ConfigMap> = Typed::default_namespaced(api.client_as("tester/1"));
    let named: ConfigMap = serde_json::from_value(json!({"metadata": {"generateName": "m-"}})).unwrap();
    let plain = PostParams::default();
    let many = (0..5).map(|_| maps.create(&plain, &named));
    let made = futures::future::join_all(many).await;
    for map in made {
        let name = map.unwrap().metadata.name.unwrap();
        maps.patch(&name, &PatchParams::default(), &Patch::Merge(json!({"data": {"k": name}}))).await.unwrap();
    }
    api.put(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "db:1"}]},
    }))
    .unwrap();
    let pods: Typed<Pod> = Typed::default_namespaced(api.direct_client());
    pods.delete("a", &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let requests: Vec<String> = api.requests().iter().map(|request| format!("{:?} {request}", request.at)).collect();
    json!([api.list("cm", ""), api.list("Pod", ""), api.revision(), requests]).to_string()
}

#[test]
fn a_seed_decides_everything() {
    let run = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(transcript(seed))
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_handle_may_go_anywhere() {
    fn goes_anywhere<T: Send + Sync + Clone + 'static>() {}
    goes_anywhere::<Api>();
}
