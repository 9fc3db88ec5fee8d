use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::testing::{Bench, told};
use crate::event::Class;
use crate::sim::{Api, Effect, Matching, Options, Rule, StandIns, Verb};

const PLAN: &str = r#"
[objects.web]
resource = "pods"
labels = "app=web"
[objects.chosen]
resource = "pods"
where = "o.metadata.name != 'web-2'"
[objects.maps]
resource = "configmaps"
[steps.all]
pod-kill = { on = "web", grace = "0s" }
[steps.gently]
pod-kill = { on = "web", grace = "500ms" }
[steps.half]
pod-kill = { on = "web", which = "50%", grace = "0s" }
[steps.other-half]
pod-kill = { on = "web", which = "50%", grace = "0s" }
[steps.four]
pod-kill = { on = "web", min = 4, grace = "0s" }
[steps.none]
pod-kill = { on = "web", min = 0 }
[steps.collection]
pod-kill = { on = "web", how = "collection", grace = "0s" }
[steps.wrong-collection]
pod-kill = { on = "chosen", how = "collection" }
[steps.rolling]
pod-kill = { on = "web", order = "rolling", grace = "0s" }
[steps.maps]
pod-kill = { on = "maps" }
"#;

fn bench() -> Bench {
    let bench = Bench::new(PLAN);
    for n in 1..=3 {
        bench.pod(&format!("web-{n}"), |pod| pod["spec"]["nodeName"] = format!("n{n}").into());
    }
    bench.pod("other", |pod| pod["metadata"]["labels"] = json!({}));
    bench
}

fn uid(pod: &Value) -> &str {
    pod["metadata"]["uid"].as_str().unwrap()
}

#[tokio::test(start_paused = true)]
async fn all_are_killed_at_once_by_their_uids() {
    let bench = bench();
    let pods = bench.api.list("pods", "ns");
    let wanted: Vec<&str> = pods.iter().filter(|pod| pod["metadata"]["labels"]["app"] == "web").map(uid).collect();
    // Each answer takes a while: one after another they would take three times as long.
    let slow = Matching { verb: Some(Verb::Delete), ..Matching::default() };
    let _slow = bench.api.fault(Rule::always(slow, Effect::Delay(Duration::from_millis(80))));
    let mut trial = bench.step("all");
    let began = Instant::now();
    let done = trial.act().await.unwrap();
    assert_eq!(began.elapsed().as_millis(), 80);
    assert_eq!(done.outputs["uids"], json!(wanted));
    assert_eq!(done.outputs["names"], json!(["web-1", "web-2", "web-3"]));
    assert_eq!(done.outputs["count"], 3);
    assert_eq!(done.outputs["skew"], "0us");
    let left: Vec<Value> =
        bench.api.list("pods", "ns").into_iter().map(|pod| pod["metadata"]["name"].clone()).collect();
    assert_eq!(left, ["other"]);
    let notes = trial.notes().join("\n");
    let notes = wanted.iter().enumerate().fold(notes, |notes, (n, uid)| notes.replace(uid, &format!("uid-{}", n + 1)));
    insta::assert_snapshot!(notes, @r#"
    3 pods killed
    web-1 | n1 | uid-1 | +0.000 ms | +80.000 ms | accepted
    web-2 | n2 | uid-2 | +0.000 ms | +80.000 ms | accepted
    web-3 | n3 | uid-3 | +0.000 ms | +80.000 ms | accepted
    skew, first to last request: 0us
    "#);
    let requests = bench.api.requests_of(Verb::Delete, "pods");
    assert_eq!(requests.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn part_of_a_second_is_no_force() {
    let bench = bench();
    bench.step("gently").act().await.unwrap();
    let pod = bench.api.get("pod", "ns", "web-1").unwrap();
    assert_eq!(pod["metadata"]["deletionGracePeriodSeconds"], 1);
}

#[tokio::test(start_paused = true)]
async fn killing_nobody_is_an_error() {
    let bench = Bench::new(PLAN);
    let error = bench.step("all").act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    refused: nobody was killed: there are 0 pods of `web` to kill
      expected at least 1
      observed `web` selects no pod
    "#);
    bench.step("none").act().await.unwrap();
    // Finished pods can't be killed, those that are on their way out only by force.
    bench.pod("web-1", |pod| pod["status"]["phase"] = "Succeeded".into());
    let error = bench.step("all").act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    refused: nobody was killed: there are 0 pods of `web` to kill
      expected at least 1
      observed pods/web-1: Succeeded
    "#);
}

#[tokio::test(start_paused = true)]
async fn fewer_than_min_are_left_alone() {
    let bench = bench();
    let error = bench.step("four").act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    refused: nobody was killed: there are 3 pods of `web` to kill
      expected at least 4
      observed pods/web-1: Running
      observed pods/web-2: Running
      observed pods/web-3: Running
    "#);
    assert_eq!(bench.api.requests_of(Verb::Delete, "pods").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_share_is_rounded_up_and_chosen_by_seed_and_step() {
    let choose = async |seed: u64, step: &str| {
        let bench = Bench::new(PLAN).seeded(seed);
        for n in 1..=9 {
            bench.pod(&format!("web-{n}"), |_| {});
        }
        bench.step(step).act().await.unwrap().outputs["names"].clone()
    };
    let first = choose(1, "half").await;
    assert_eq!(first.as_array().unwrap().len(), 5);
    assert_eq!(choose(1, "half").await, first);
    assert_ne!(choose(1, "other-half").await, first);
    assert_ne!(choose(2, "half").await, first);
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_goes_on_with_the_first_one_s_set() {
    let bench = bench();
    // The second delete is refused for good: the first and third are done.
    let no = Matching { verb: Some(Verb::Delete), name: Some("web-2".to_owned()), ..Matching::default() };
    let no = bench.api.fault(Rule::always(no, Effect::Answer { code: 403, retry_after: 0 }));
    let mut trial = bench.step("all");
    let first: Vec<String> = bench.api.list("pods", "ns").iter().map(|pod| uid(pod).to_owned()).collect();
    assert_eq!(trial.act().await.unwrap_err().class, Class::Forbidden);
    drop(no);
    // Somebody has brought them back under the same names.
    bench.pod("web-1", |_| {});
    bench.pod("web-3", |_| {});
    let mut trial = trial.again();
    let done = trial.act().await.unwrap();
    assert_eq!(done.outputs["uids"], json!(first[1..]));
    let left: Vec<Value> =
        bench.api.list("pods", "ns").into_iter().map(|pod| pod["metadata"]["name"].clone()).collect();
    assert_eq!(left, ["other", "web-1", "web-3"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_went_by_itself_was_not_killed() {
    let bench = bench();
    let api = bench.api.clone();
    let mut trial = bench.step("all");
    let slow = Matching { verb: Some(Verb::Delete), ..Matching::default() };
    let _slow = bench.api.fault(Rule::always(slow, Effect::Delay(Duration::from_secs(2))));
    tokio::spawn(async move {
        sleep(Duration::from_secs(1)).await;
        for n in 1..=3 {
            api.remove("pod", "ns", &format!("web-{n}"));
        }
    });
    let error = trial.act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    refused: 0 of the selected pods were killed
      expected at least 1
      observed pods/web-1: it was gone before it could be killed
      observed pods/web-2: it was gone before it could be killed
      observed pods/web-3: it was gone before it could be killed
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_kill_whose_answer_was_lost_is_one() {
    let bench = bench();
    let lost = Matching { verb: Some(Verb::Delete), name: Some("web-2".to_owned()), ..Matching::default() };
    let _lost = bench.api.fault(Rule::next(1, lost, Effect::LoseAnswer));
    let mut trial = bench.step("all");
    trial.act().await.unwrap();
    let notes = trial.notes().join("\n");
    assert!(notes.contains("gone after an earlier request") && notes.contains("DELETE pods/web-2 again:"), "{notes}");
}

#[tokio::test(start_paused = true)]
async fn a_collection_is_one_request() {
    let bench = bench();
    let done = bench.step("collection").act().await.unwrap();
    assert_eq!(done.outputs["count"], 3);
    assert_eq!(bench.api.requests_of(Verb::DeleteCollection, "pods").len(), 1);
    assert_eq!(bench.api.list("pods", "ns").len(), 1);
    let error = bench.step("wrong-collection").act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"broken: `how = "collection"` kills all that labels and fields select: it takes no `where`, `on` or `which`"#);
    assert_eq!(bench.api.list("pods", "ns").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn rolling_waits_for_each_to_be_back_and_ready() {
    let bench = bench();
    // A controller that brings a pod back after 3 s, ready after 7 more.
    let api = bench.api.clone();
    let controller = tokio::spawn(async move {
        let mut next = 4;
        loop {
            sleep(Duration::from_secs(1)).await;
            if api.list("pods", "ns").len() < 4 {
                sleep(Duration::from_secs(2)).await;
                let name = format!("web-{next}");
                next += 1;
                let mut pod = json!({ "apiVersion": "v1", "kind": "Pod",
                    "metadata": { "name": name, "namespace": "ns", "labels": { "app": "web" } },
                    "spec": { "nodeName": "n1", "containers": [{ "name": "main", "image": "x" }] },
                    "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "False" }] } });
                api.put(pod.clone()).unwrap();
                sleep(Duration::from_secs(7)).await;
                pod["status"]["conditions"][0]["status"] = "True".into();
                api.put(pod).unwrap();
            }
        }
    });
    let mut trial = bench.step("rolling");
    let began = Instant::now();
    let done = trial.act().await.unwrap();
    controller.abort();
    assert!((27..=33).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(done.outputs["names"], json!(["web-1", "web-2", "web-3"]));
    let deletes: Vec<u64> =
        bench.api.requests_of(Verb::Delete, "pods").iter().map(|request| request.at.0 / 1_000_000).collect();
    assert!(deletes[1] >= deletes[0] + 9 && deletes[2] >= deletes[1] + 9, "{deletes:?}");
    let say: Vec<String> = trial.progress().into_iter().map(|progress| progress.say).collect();
    assert!(say.contains(&"1 of 3 killed, 3 of 3 there, 1 of them not yet so: ready(o)".to_owned()), "{say:?}");
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_stays_shut_names_what_is_not_so() {
    let options = Options { stand_ins: StandIns { pods_vanish: None, ..StandIns::default() }, ..Options::new() };
    let bench = Bench::on(Api::new(options), PLAN);
    bench.pod("web-1", |_| {});
    bench.pod("web-2", |pod| pod["status"]["conditions"][0]["status"] = "False".into());
    let error = bench.step_within("rolling", Duration::from_secs(60)).act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    timeout: the gate did not open within 1m00s: 1 of 2 killed, 1 of 2 there, 1 of them not yet so: ready(o)
      observed pods/web-2: Running, Ready=False
    "#);
}

#[tokio::test(start_paused = true)]
async fn only_pods_can_be_killed() {
    let bench = bench();
    let error = bench.step("maps").act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @"broken: `maps` selects configmaps, not pods");
}
