use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::super::testing::{Bench, told};
use crate::event::Class;
use crate::sim::{Api, Options, StandIns};

const PLAN: &str = r#"
[objects.maps]
resource = "configmaps"
where = "o.data.go == 'yes'"
[steps.one]
delete = { resource = "configmaps", name = "a" }
[steps.pod]
delete = { resource = "pods", name = "web-0" }
[steps.maybe]
delete = { resource = "configmaps", name = "a", ignore-not-found = true }
[steps.all]
delete = { on = "maps" }
[steps.kind]
delete = { resource = "gadgets.lab.dev", name = "a" }
"#;

#[tokio::test(start_paused = true)]
async fn it_is_done_when_they_are_gone() {
    let bench = Bench::new(PLAN);
    for name in ["a", "b", "c"] {
        bench.map(name, &[("go", if name == "c" { "no" } else { "yes" })]);
    }
    let mut trial = bench.step("all");
    let done = trial.act().await.unwrap();
    assert_eq!(done.outputs["names"], json!(["a", "b"]));
    assert_eq!(trial.notes(), ["2 objects gone: a and b"]);
    assert_eq!(bench.api.list("configmaps", "ns").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_to_delete_is_refused_unless_that_is_fine() {
    let bench = Bench::new(PLAN);
    insta::assert_snapshot!(told(&bench.step("one").act().await.unwrap_err()), @r#"
    refused: nothing was deleted: configmaps/a is not there
      expected something to delete, or `ignore-not-found = true`
    "#);
    insta::assert_snapshot!(told(&bench.step("all").act().await.unwrap_err()), @r#"
    refused: nothing was deleted: the selection has no object
      expected something to delete, or `ignore-not-found = true`
    "#);
    insta::assert_snapshot!(told(&bench.step("kind").act().await.unwrap_err()), @r#"
    missing: the API server has no `gadgets.lab.dev`
      expected the kind, or the definition (CRD) that brings it, to be installed before this step
    "#);
    let done = bench.step("maybe").act().await.unwrap();
    assert_eq!(done.outputs["count"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_that_holds_is_named_and_a_second_attempt_goes_on() {
    let bench = Bench::new(PLAN);
    let mut map = bench.map("a", &[]);
    map["metadata"]["finalizers"] = json!(["lab.dev/wait"]);
    bench.api.put(map).unwrap();
    let mut trial = bench.step_within("one", Duration::from_secs(30));
    let error = trial.act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    timeout: 1 object still there after 30.0s
      observed configmaps/a: terminating since 2026-01-01T00:00:00Z, held by finalizer lab.dev/wait
    "#);
    bench.api.remove("configmap", "ns", "a");
    // Gone by now: the first attempt's deletion has done it.
    let done = trial.again().act().await.unwrap();
    assert_eq!(done.outputs["count"], 1);
}

#[tokio::test(start_paused = true)]
async fn another_object_of_the_same_name_is_not_waited_for() {
    let options = Options { stand_ins: StandIns { pods_vanish: None, ..StandIns::default() }, ..Options::new() };
    let bench = Bench::on(Api::new(options), PLAN);
    bench.pod("web-0", |_| {});
    let api = bench.api.clone();
    let mut trial = bench.step("pod");
    tokio::spawn(async move {
        // As a stateful set does: at once, under the same name.
        while api.get("pod", "ns", "web-0").is_some_and(|pod| pod["metadata"]["deletionTimestamp"].is_null()) {
            sleep(Duration::from_millis(10)).await;
        }
        sleep(Duration::from_secs(2)).await;
        api.remove("pod", "ns", "web-0");
        api.put(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web-0", "namespace": "ns" },
            "spec": { "containers": [{ "name": "main", "image": "x" }] } }))
            .unwrap();
    });
    let began = Instant::now();
    trial.act().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(bench.api.get("pod", "ns", "web-0").is_some());
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_deleted_is_told() {
    let bench = Bench::new(PLAN);
    bench.map("a", &[]);
    let matching = crate::sim::Matching { verb: Some(crate::sim::Verb::Delete), ..Default::default() };
    let _no =
        bench.api.fault(crate::sim::Rule::always(matching, crate::sim::Effect::Answer { code: 403, retry_after: 0 }));
    assert_eq!(bench.step("one").act().await.unwrap_err().class, Class::Forbidden);
}
