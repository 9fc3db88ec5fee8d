use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::testing::{Bench, told};

const PLAN: &str = r#"
[steps.plain]
drain = { node = "n1" }
[steps.willing]
drain = { node = "n1", ignore-daemonsets = true, delete-emptydir-data = true, force = true }
"#;

fn bench() -> Bench {
    let bench = Bench::new(PLAN);
    bench.api.put(json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n1" } })).unwrap();
    bench.pod("owned", |pod| owned(pod, "ReplicaSet"));
    bench
}

fn owned(pod: &mut Value, kind: &str) {
    pod["metadata"]["ownerReferences"] =
        json!([{ "apiVersion": "apps/v1", "kind": kind, "name": "o", "uid": "u", "controller": true }]);
}

#[tokio::test(start_paused = true)]
async fn a_node_is_cordoned_and_its_pods_evicted() {
    let bench = bench();
    bench.pod("elsewhere", |pod| pod["spec"]["nodeName"] = "n2".into());
    bench.pod("mirror", |pod| pod["metadata"]["annotations"] = json!({ "kubernetes.io/config.mirror": "x" }));
    let mut trial = bench.step("plain");
    let done = trial.act().await.unwrap();
    assert_eq!(done.outputs["names"], json!(["owned"]));
    assert_eq!(bench.api.get("node", "", "n1").unwrap()["spec"]["unschedulable"], true);
    let left: Vec<Value> = bench.api.list("pods", "ns").iter().map(|pod| pod["metadata"]["name"].clone()).collect();
    assert_eq!(left, ["elsewhere", "mirror"]);
    assert_eq!(trial.notes(), ["node n1 drained of 1 pod"]);
}

#[tokio::test(start_paused = true)]
async fn pods_that_would_be_lost_hinder_it_unless_that_is_wanted() {
    let bench = bench();
    bench.pod("daemon", |pod| owned(pod, "DaemonSet"));
    bench.pod("alone", |_| {});
    bench.pod("scratch", |pod| {
        owned(pod, "ReplicaSet");
        pod["spec"]["volumes"] = json!([{ "name": "v", "emptyDir": {} }]);
    });
    insta::assert_snapshot!(told(&bench.step("plain").act().await.unwrap_err()), @r#"
    refused: 3 pods in the way of the drain: the node is cordoned and nothing was evicted
      observed pods/alone has no controller (`force = true` evicts it for good)
      observed pods/daemon belongs to a DaemonSet (`ignore-daemonsets = true` leaves it)
      observed pods/scratch has emptyDir data (`delete-emptydir-data = true` loses it)
    "#);
    assert_eq!(bench.api.list("pods", "ns").len(), 4);
    let done = bench.step("willing").act().await.unwrap();
    assert_eq!(done.outputs["names"], json!(["alone", "owned", "scratch"]));
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_never_allows_it_is_a_timeout_and_holds_back_nobody_else() {
    let bench = bench();
    bench.pod("kept", |pod| {
        owned(pod, "ReplicaSet");
        pod["metadata"]["labels"] = json!({ "app": "kept" });
    });
    bench
        .api
        .put(json!({ "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "b", "namespace": "ns" },
            "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "kept" } } },
            "status": { "disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1, "observedGeneration": 1 } }))
        .unwrap();
    let began = Instant::now();
    let error = bench.step_within("willing", Duration::from_secs(60)).act().await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 60);
    insta::assert_snapshot!(told(&error), @r#"
    timeout: EVICT pods/kept: no definite answer within 1m00s, after 34 refusals
      observed Cannot evict pod as it would violate the pod's disruption budget.
    "#);
    assert!(bench.api.get("pod", "ns", "owned").is_none());
}
