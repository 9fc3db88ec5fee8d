use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::testing::{Bench, Trial, told};
use crate::sim::{Effect, Matching, Rule};

const PLAN: &str = r#"
[objects.web]
resource = "pods"
labels = "app=web"
[objects.secrets]
resource = "secrets"
[objects.nodes]
resource = "nodes"
[objects.gadgets]
resource = "gadgets.lab.dev"
[steps.all]
collect = { logs = true, describe = true, events = true, objects = true }
[steps.objects]
collect = { on = ["web", "nodes"], objects = true }
[steps.small]
collect = { on = ["web"], logs = true, max-size = 100 }
[steps.follow]
collect = { on = ["web"], logs = true }
background = { until = "work" }
[steps.work]
sleep = { for = "1m", because = "something happens meanwhile" }
"#;

fn bench() -> Bench {
    let bench = Bench::new(PLAN);
    let pod = bench.pod("web-1", |pod| pod["metadata"]["managedFields"] = json!([{ "manager": "x" }]));
    bench
        .api
        .put(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s", "namespace": "ns" }, "data": { "password": "aHVudGVyMjI=" } }))
        .unwrap();
    bench.api.put(json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "n1" } })).unwrap();
    bench
        .api
        .put(json!({ "apiVersion": "v1", "kind": "Event", "metadata": { "name": "e", "namespace": "ns" }, "type": "Warning",
            "reason": "BackOff", "message": "it does not start", "count": 4, "lastTimestamp": "2026-01-01T00:00:03Z",
            "involvedObject": { "kind": "Pod", "name": "web-1", "namespace": "ns", "uid": pod["metadata"]["uid"] } }))
        .unwrap();
    bench.api.print("ns", "web-1", "hello from web-1");
    bench.api.print("ns", "web-1", "Authorization: Bearer abcdefgh");
    bench
}

fn files(outputs: &Value) -> Vec<String> {
    outputs.as_array().unwrap().iter().map(|file| file.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn everything_of_all_selections_without_secrets() {
    let bench = bench();
    let mut trial = bench.step("all");
    let done = trial.act().await.unwrap();
    insta::assert_snapshot!(files(&done.outputs["files"]).join("\n"), @r#"
    collect/all/objects/web.yaml
    collect/all/describe/web.txt
    collect/all/objects/secrets.yaml
    collect/all/describe/secrets.txt
    collect/all/objects/nodes.yaml
    collect/all/describe/nodes.txt
    collect/all/events/ns.txt
    collect/all/logs/ns/web-1/main.log
    "#);
    insta::assert_snapshot!(trial.notes().join("\n"), @r#"
    collect/all/objects/web.yaml: 1 object of `web` (448 B)
    collect/all/describe/web.txt: 1 object of `web`, described (633 B)
    collect/all/objects/secrets.yaml: 1 object of `secrets` (175 B)
    collect/all/describe/secrets.txt: 1 object of `secrets`, described (270 B)
    collect/all/objects/nodes.yaml: 1 object of `nodes` (158 B)
    collect/all/describe/nodes.txt: 1 object of `nodes`, described (238 B)
    collect/all/events/ns.txt: 1 event of namespace ns (88 B)
    collect/all/logs/ns/web-1/main.log: log of main in pods/web-1 (105 B)
    "#);
    let read = |file: &str| fs::read_to_string(bench.dir.path().join("collect/all").join(file)).unwrap();
    insta::assert_snapshot!(read("events/ns.txt"), @"2026-01-01T00:00:03Z  Warning BackOff                 pod/web-1: it does not start (x4)");
    let described = read("describe/web.txt");
    assert!(described.contains("Events:\n  2026-01-01T00:00:03Z  Warning BackOff"), "{described}");
    let log = read("logs/ns/web-1/main.log");
    assert!(log.contains("Z hello from web-1\n") && log.contains("Bearer ***"), "{log}");
    let all: String = files(&done.outputs["files"])
        .iter()
        .map(|file| fs::read_to_string(bench.dir.path().join(file)).unwrap())
        .collect();
    assert!(!all.contains("aHVudGVyMjI") && !all.contains("managedFields") && !all.contains("abcdefgh"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn what_can_t_be_read_is_told_and_no_failure() {
    let bench = bench();
    let nodes = Matching { resource: Some("nodes".to_owned()), ..Matching::default() };
    let no = Effect::Answer { code: 403, retry_after: 0 };
    let _nodes = bench.api.fault(Rule::always(nodes, no.clone()));
    let mut trial = bench.step("objects");
    let done = trial.act().await.unwrap();
    assert_eq!(files(&done.outputs["files"]), ["collect/objects/objects/web.yaml"]);
    insta::assert_snapshot!(trial.notes().join("\n"), @r#"
    `nodes` could not be collected: LIST nodes (nodes): the server responded with the status code 403 but did not return more information
    collect/objects/objects/web.yaml: 1 object of `web` (448 B)
    "#);
    let _all = bench.api.fault(Rule::always(Matching::default(), no));
    let error = bench.step("objects").act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    forbidden: nothing could be collected
      observed `web` could not be collected: LIST pods (web): the server responded with the status code 403 but did not return more information
      observed `nodes` could not be collected: LIST nodes (nodes): the server responded with the status code 403 but did not return more information
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_file_has_a_bound() {
    let bench = bench();
    for n in 0..100 {
        bench.api.print("ns", "web-1", &format!("line {n}"));
    }
    bench.step("small").act().await.unwrap();
    let log = fs::read_to_string(bench.dir.path().join("collect/small/logs/ns/web-1/main.log")).unwrap();
    assert!(log.len() < 200 && log.contains("bytes left out]") && log.ends_with("line 99\n"), "{log}");
}

fn end_after(trial: &Trial, span: Duration) {
    let cancel = trial.ctx.cancel.clone();
    tokio::spawn(async move {
        sleep(span).await;
        cancel.cancel();
    });
}

#[tokio::test(start_paused = true)]
async fn in_the_background_it_follows_logs_of_pods_that_come_and_go() {
    let bench = bench();
    let mut trial = bench.step("follow");
    end_after(&trial, Duration::from_secs(60));
    let api = bench.api.clone();
    let plan_of_the_day = tokio::spawn(async move {
        sleep(Duration::from_secs(10)).await;
        api.print("ns", "web-1", "last words");
        api.remove("pod", "ns", "web-1");
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web-2", "namespace": "ns", "labels": { "app": "web" } },
            "spec": { "nodeName": "n1", "containers": [{ "name": "main", "image": "x" }] },
            "status": { "phase": "Pending", "containerStatuses": [{ "name": "main", "restartCount": 0, "state": { "waiting": {} } }] } });
        api.put(pod.clone()).unwrap();
        sleep(Duration::from_secs(10)).await;
        let mut pod = pod;
        pod["status"] = json!({ "phase": "Running", "containerStatuses": [{ "name": "main", "restartCount": 0, "state": { "running": {} } }] });
        api.put(pod).unwrap();
        for n in 0..5 {
            sleep(Duration::from_secs(3)).await;
            api.print("ns", "web-2", &format!("beat {n}"));
        }
    });
    let done = trial.act().await.unwrap();
    plan_of_the_day.await.unwrap();
    assert!(trial.is_up());
    let texts: Vec<String> = files(&done.outputs["files"])
        .iter()
        .map(|file| fs::read_to_string(bench.dir.path().join(file)).unwrap())
        .collect();
    assert_eq!(texts.len(), 2);
    assert!(texts[0].ends_with("last words\n") && texts[0].contains("hello from web-1"), "{}", texts[0]);
    let beats: Vec<&str> = texts[1].lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(beats, ["beat 0", "beat 1", "beat 2", "beat 3", "beat 4"]);
}
