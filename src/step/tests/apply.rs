use serde_json::{Value, json};

use super::super::testing::{Bench, told};

const PLAN: &str = r#"
[objects.maps]
resource = "configmaps"
[steps.map]
apply = { object = { apiVersion = "v1", kind = "ConfigMap", metadata = { name = "a" }, data = { state = "ready", long = "yes" } } }
[steps.other]
apply = { object = { apiVersion = "v1", kind = "ConfigMap", metadata = { name = "a" }, data = { state = "other" } } }
[steps.list]
apply = { object = { apiVersion = "v1", kind = "List", items = [
  { apiVersion = "v1", kind = "ConfigMap", metadata = { name = "x", namespace = "elsewhere" } },
  { apiVersion = "v1", kind = "Namespace", metadata = { name = "made" } },
] } }
[steps.secret]
apply = { object = { apiVersion = "v1", kind = "Secret", metadata = { name = "s" }, stringData = { password = "hunter22" } } }
[steps.unknown]
apply = { object = { apiVersion = "lab.dev/v1", kind = "Gadget", metadata = { name = "g" } } }
[steps.patch]
patch = { on = "maps", merge = { data = { state = "patched" } } }
[steps.add]
patch = { resource = "configmaps", name = "a", json = [{ op = "add", path = "/data/new", value = "1" }] }
[steps.nobody]
patch = { resource = "configmaps", name = "nobody", merge = { data = { a = "b" } } }
"#;

fn labels(object: &Value) -> &Value {
    &object["metadata"]["labels"]
}

#[tokio::test(start_paused = true)]
async fn what_is_new_carries_the_run_s_labels_and_stays_marked() {
    let bench = Bench::new(PLAN);
    let mut trial = bench.step("map");
    let done = trial.act().await.unwrap();
    assert_eq!(done.outputs["object"]["data"]["state"], "ready");
    assert_eq!(trial.notes(), ["configmap/a created"]);
    let made = bench.api.get("configmap", "ns", "a").unwrap();
    let wanted = json!({ "app.kubernetes.io/managed-by": "lariat", "lariat.dev/run": "bench-20260101T000000Z-0001" });
    assert_eq!(labels(&made), &wanted);
    assert_eq!(made["metadata"]["annotations"], json!({ "lariat.dev/plan": "bench", "lariat.dev/step": "map" }));
    assert_eq!(made["metadata"]["managedFields"][0]["manager"], "lariat");
    // Applied again, by another step: what was put on it stays, and what is left out goes.
    let mut trial = bench.step("other");
    trial.act().await.unwrap();
    let changed = bench.api.get("configmap", "ns", "a").unwrap();
    assert_eq!(labels(&changed), &wanted);
    assert_eq!(changed["metadata"]["annotations"]["lariat.dev/step"], "map");
    assert_eq!(changed["data"], json!({ "state": "other" }));
    insta::assert_snapshot!(trial.notes().join("\n"), @r#"
    configmap/a as it was before
    apiVersion: v1
    kind: ConfigMap
    metadata:
      annotations:
        lariat.dev/plan: bench
        lariat.dev/step: map
      name: a
      labels:
        app.kubernetes.io/managed-by: lariat
        lariat.dev/run: bench-20260101T000000Z-0001
      namespace: ns
    data:
      state: ready
      long: "yes"

    configmap/a changed
    @@ -10,5 +10,4 @@
         lariat.dev/run: bench-20260101T000000Z-0001
       namespace: ns
     data:
    -  state: ready
    -  long: "yes"
    +  state: other
    "#);
}

#[tokio::test(start_paused = true)]
async fn what_was_there_is_changed_and_not_labelled() {
    let bench = Bench::new(PLAN);
    let mut map = bench.map("a", &[("mine", "1")]);
    map["metadata"]["labels"] = json!({ "app.kubernetes.io/managed-by": "Helm" });
    bench.api.put(map).unwrap();
    bench.step("map").act().await.unwrap();
    let changed = bench.api.get("configmap", "ns", "a").unwrap();
    assert_eq!(labels(&changed), &json!({ "app.kubernetes.io/managed-by": "Helm" }));
    assert_eq!(changed["metadata"]["annotations"], Value::Null);
    assert_eq!(changed["data"], json!({ "mine": "1", "state": "ready", "long": "yes" }));
}

#[tokio::test(start_paused = true)]
async fn a_field_of_somebody_else_s_is_not_taken() {
    let bench = Bench::new(PLAN);
    let maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> = kube::Api::namespaced(bench.api.client(), "ns");
    bench.map("b", &[]);
    let theirs =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": { "state": "theirs" } });
    maps.patch("a", &kube::api::PatchParams::apply("somebody"), &kube::api::Patch::Apply(theirs)).await.unwrap();
    let error = bench.step("map").act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    refused: APPLY configmap/a: Apply failed with 1 conflict: conflict with "somebody": .data.state
      expected fields that nobody else manages: Lariat does not force, and `patch` changes them
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_list_is_what_is_in_it_each_in_its_namespace() {
    let bench = Bench::new(PLAN);
    bench.api.put(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "elsewhere" } })).unwrap();
    let done = bench.step("list").act().await.unwrap();
    assert_eq!(done.outputs["objects"].as_array().unwrap().len(), 2);
    assert!(bench.api.get("configmap", "elsewhere", "x").is_some());
    assert!(bench.api.get("namespace", "", "made").is_some());
}

#[tokio::test(start_paused = true)]
async fn data_of_a_secret_is_in_no_evidence() {
    let bench = Bench::new(PLAN);
    bench.api.put(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s", "namespace": "ns" }, "data": { "old": "b2xk" } })).unwrap();
    let mut trial = bench.step("secret");
    let done = trial.act().await.unwrap();
    let all = format!("{} {}", trial.notes().join("\n"), json!(done.outputs));
    assert!(!all.contains("hunter22") && !all.contains("aHVudGVyMjI") && !all.contains("b2xk"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_nobody_defined_is_missing_after_half_a_minute() {
    let bench = Bench::new(PLAN);
    let began = tokio::time::Instant::now();
    let error = bench.step("unknown").act().await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 30);
    insta::assert_snapshot!(told(&error), @r#"
    missing: the API server has no kind `Gadget` in `lab.dev/v1`
      expected the definition (CRD) that brings it to be applied before this step
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_patch_changes_what_is_selected_and_shows_the_difference() {
    let bench = Bench::new(PLAN);
    insta::assert_snapshot!(told(&bench.step("patch").act().await.unwrap_err()), @r#"
    refused: nothing was patched: the selection has no object
      expected at least one object
    "#);
    insta::assert_snapshot!(told(&bench.step("nobody").act().await.unwrap_err()), @r#"missing: GET configmaps/nobody: configmaps "nobody" not found"#);
    bench.map("a", &[("state", "old")]);
    bench.map("b", &[("state", "patched")]);
    let mut trial = bench.step("patch");
    let done = trial.act().await.unwrap();
    assert_eq!(done.outputs["count"], 2);
    assert_eq!(done.outputs["object"]["data"]["state"], "patched");
    insta::assert_snapshot!(trial.notes().join("\n"), @r#"
    configmaps/a changed
    @@ -4,4 +4,4 @@
       namespace: ns
       name: a
     data:
    -  state: old
    +  state: patched
    configmaps/b was like that before
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_json_patch_without_an_answer_is_not_sent_twice() {
    use crate::sim::{Effect, Matching, Rule, Verb};
    let bench = Bench::new(PLAN);
    bench.map("a", &[("state", "old")]);
    let lost = Matching { verb: Some(Verb::Patch), ..Matching::default() };
    let lost = bench.api.fault(Rule::next(1, lost, Effect::LoseAnswer));
    let error = bench.step("add").act().await.unwrap_err();
    assert_eq!(error.class, crate::event::Class::Unreachable);
    assert_eq!(bench.api.requests_of(Verb::Patch, "configmaps").len(), 1);
    drop(lost);
    // A refusal is another matter: nothing was done.
    let busy = Matching { verb: Some(Verb::Patch), ..Matching::default() };
    let _busy = bench.api.fault(Rule::next(2, busy, Effect::Answer { code: 503, retry_after: 0 }));
    bench.step("add").act().await.unwrap();
}
