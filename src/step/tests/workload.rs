use serde_json::json;

use super::super::testing::{Bench, told};

const PLAN: &str = r#"
[vars]
kind = "configmaps"
[steps.restart]
rollout-restart = { resource = "deploy", name = "web" }
[steps.wrong]
rollout-restart = { resource = "${vars.kind}", name = "a" }
[steps.scale]
scale = { resource = "deployments", name = "web", replicas = 5 }
[steps.cordon]
cordon = { node = "n1" }
[steps.uncordon]
uncordon = { node = "n1" }
[steps.nowhere]
cordon = { node = "n9" }
"#;

fn bench(paused: bool) -> Bench {
    let bench = Bench::new(PLAN);
    bench
        .api
        .put(json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "ns" },
            "spec": { "replicas": 2, "paused": paused, "selector": { "matchLabels": { "app": "web" } },
                "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{ "name": "main", "image": "x" }] } } } }))
        .unwrap();
    bench.api.put(json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n1" } })).unwrap();
    bench
}

#[tokio::test(start_paused = true)]
async fn a_restart_changes_the_pod_template_alone() {
    let bench = bench(false);
    let done = bench.step("restart").act().await.unwrap();
    let after = bench.api.get("deployment", "ns", "web").unwrap();
    let template = &after["spec"]["template"];
    let at = &template["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"];
    assert!(at.as_str().unwrap().starts_with("2026-01-01T00:00:0"), "{at}");
    assert_eq!(done.outputs["generation"], 2);
    assert_eq!(template["metadata"]["labels"], json!({ "app": "web" }));
    assert_eq!(template["spec"]["containers"][0]["image"], "x");
}

#[tokio::test(start_paused = true)]
async fn what_would_not_restart_is_refused() {
    insta::assert_snapshot!(told(&bench(true).step("restart").act().await.unwrap_err()), @r#"
    refused: deployments.apps/web is paused: a restart would not begin
      expected `spec.paused` not to be set
    "#);
    insta::assert_snapshot!(told(&bench(true).step("wrong").act().await.unwrap_err()), @r#"
    refused: configmaps/a can't be restarted by a new rollout
      expected a deployment, a daemon set or a stateful set
    "#);
    insta::assert_snapshot!(told(&Bench::new(PLAN).step("restart").act().await.unwrap_err()), @r#"missing: GET deployments.apps/web: deployments.apps "web" not found"#);
}

#[tokio::test(start_paused = true)]
async fn a_scale_says_from_where() {
    let bench = bench(false);
    let mut trial = bench.step("scale");
    let done = trial.act().await.unwrap();
    assert_eq!((&done.outputs["before"], &done.outputs["replicas"]), (&json!(2), &json!(5)));
    assert_eq!(bench.api.get("deployment", "ns", "web").unwrap()["spec"]["replicas"], 5);
    assert_eq!(trial.notes(), ["deployments.apps/web scaled from 2 to 5"]);
}

#[tokio::test(start_paused = true)]
async fn cordon_and_uncordon_say_whether_they_changed_anything() {
    let bench = bench(false);
    let mut said = Vec::new();
    for step in ["uncordon", "cordon", "cordon", "uncordon"] {
        let mut trial = bench.step(step);
        let done = trial.act().await.unwrap();
        said.push((done.outputs["changed"] == true, trial.notes().remove(0)));
    }
    insta::assert_debug_snapshot!(said, @r#"
    [
        (
            false,
            "node n1 was schedulable already",
        ),
        (
            true,
            "node n1 cordoned",
        ),
        (
            false,
            "node n1 was cordoned already",
        ),
        (
            true,
            "node n1 uncordoned",
        ),
    ]
    "#);
    insta::assert_snapshot!(told(&bench.step("nowhere").act().await.unwrap_err()), @r#"missing: GET nodes/n9: nodes "n9" not found"#);
}
