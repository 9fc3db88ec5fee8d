use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::super::testing::{Bench, told};
use crate::event::Class;
use crate::sim::{Effect, Ending, Matching, Rule, Verb};

const MAPS: &str = r#"
[objects.maps]
resource = "configmaps"
"#;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_version_that_satisfies() {
    let bench = Bench::new(&format!("{MAPS}[steps.w]\nwait = {{ on = \"maps\", that = \"o.data.state == 'ready'\" }}"));
    bench.map("a", &[("state", "ready")]);
    bench.map("b", &[("state", "busy")]);
    let mut trial = bench.step("w");
    let api = bench.api.clone();
    tokio::spawn(async move {
        sleep(seconds(30)).await;
        // Ready for an instant only: a poller would never know.
        api.change("configmap", "ns", "b", |map| map["data"]["state"] = "ready".into());
        api.change("configmap", "ns", "b", |map| map["data"]["state"] = "busy".into());
    });
    let began = Instant::now();
    let done = trial.act().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!(done.outputs["count"], 2);
    assert_eq!(done.outputs["objects"][1]["data"]["state"], "ready");
    assert_eq!(done.outputs["object"]["metadata"]["name"], "a");
    assert_eq!(trial.notes(), ["held: maps 2"]);
    let progress = trial.progress();
    assert_eq!(progress[0].say, "`maps`: 1 of 2 satisfy o.data.state == 'ready', all must");
    assert_eq!(progress[0].unmet, ["b: data.state is \"busy\""]);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_quotes_the_last_state_of_what_is_unmet() {
    let bench = Bench::new(
        r#"
        [objects.pods]
        resource = "pods"
        [steps.w]
        wait = { on = "pods", that = "ready(o)", min = 3 }
        "#,
    );
    bench.pod("a", |_| {});
    bench.pod("b", |pod| {
        pod["status"] = json!({ "phase": "Pending", "containerStatuses": [
            { "name": "main", "restartCount": 2, "state": { "waiting": { "reason": "ImagePullBackOff" } } }] });
    });
    let mut trial = bench.step_within("w", seconds(90));
    let began = Instant::now();
    let error = trial.act().await.unwrap_err();
    assert_eq!(began.elapsed(), seconds(90));
    insta::assert_snapshot!(told(&error), @r#"
    timeout: not so within 1m30s: `pods`: 1 of 2 satisfy ready(o), at least 3 must exist
      expected all of `pods` (at least 3) satisfy ready(o)
      observed b: Pending, main ImagePullBackOff
    "#);
}

#[tokio::test(start_paused = true)]
async fn stable_begins_again_at_every_break_however_short() {
    let bench = Bench::new(&format!(
        "{MAPS}[steps.w]\nwait = {{ on = \"maps\", that = \"o.data.state == 'ready'\", stable = \"60s\" }}"
    ));
    bench.map("a", &[("state", "ready")]);
    let mut trial = bench.step("w");
    let api = bench.api.clone();
    tokio::spawn(async move {
        sleep(seconds(50)).await;
        api.change("configmap", "ns", "a", |map| map["data"]["state"] = "busy".into());
        api.change("configmap", "ns", "a", |map| map["data"]["state"] = "ready".into());
    });
    let began = Instant::now();
    trial.act().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 110);
    assert_eq!(trial.notes(), ["held: maps 1, for 1m00s without a break"]);
}

#[tokio::test(start_paused = true)]
async fn what_did_not_hold_for_long_enough_says_how_long_it_did() {
    let bench = Bench::new(&format!(
        "{MAPS}[steps.w]\nwait = {{ on = \"maps\", that = \"o.data.state == 'ready'\", stable = \"60s\" }}"
    ));
    bench.map("a", &[("state", "ready")]);
    let mut trial = bench.step_within("w", seconds(40));
    let error = trial.act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r"
    timeout: when its 40.0s were over it had held for 40.0s, and must for 1m00s without a break
      expected all of `maps` (at least 1) satisfy o.data.state == 'ready', for 1m00s
    ");
}

#[tokio::test(start_paused = true)]
async fn a_break_at_the_very_end_of_stable_counts() {
    let bench = Bench::new(&format!(
        "{MAPS}[steps.w]\nwait = {{ on = \"maps\", that = \"o.data.state == 'ready'\", stable = \"60s\" }}"
    ));
    bench.map("a", &[("state", "ready")]);
    let mut trial = bench.step("w");
    let api = bench.api.clone();
    tokio::spawn(async move {
        sleep(Duration::from_millis(59_990)).await;
        // More than is looked at in one go: the break is the last of them.
        for n in 0..50 {
            api.change("configmap", "ns", "a", |map| map["data"]["n"] = n.to_string().into());
        }
        api.change("configmap", "ns", "a", |map| map["data"]["state"] = "busy".into());
        sleep(seconds(5)).await;
        api.change("configmap", "ns", "a", |map| map["data"]["state"] = "ready".into());
    });
    let began = Instant::now();
    trial.act().await.unwrap();
    assert!(began.elapsed() >= seconds(124), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn counts_are_of_those_that_satisfy() {
    let bench = Bench::new(&format!(
        r#"{MAPS}
        [steps.none]
        wait = {{ on = "maps", count = 0 }}
        [steps.two]
        wait = {{ on = "maps", that = "o.data.state == 'ready'", count = 2 }}
        [steps.at-least]
        wait = {{ on = "maps", that = "o.data.state == 'ready'", count = ">= 1" }}
        [steps.some]
        wait = {{ on = "maps", min = 2 }}
        "#
    ));
    bench.step("none").act().await.unwrap();
    bench.map("a", &[("state", "ready")]);
    bench.map("b", &[("state", "busy")]);
    bench.step("at-least").act().await.unwrap();
    bench.step("some").act().await.unwrap();
    let error = bench.step_within("none", seconds(5)).act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    timeout: not so within 5.0s: `maps`: 2 exist, exactly 0 must
      expected exactly 0 of `maps` exist
      observed a: exists
      observed b: exists
    "#);
    let error = bench.step_within("two", seconds(5)).act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    timeout: not so within 5.0s: `maps`: 1 of 2 satisfy o.data.state == 'ready', exactly 2 must
      expected exactly 2 of `maps` satisfy o.data.state == 'ready'
      observed b: data.state is "busy"
    "#);
}

#[tokio::test(start_paused = true)]
async fn an_expression_that_errs_is_unmet_whatever_the_count() {
    let bench = Bench::new(&format!(
        "{MAPS}[steps.w]\nwait = {{ on = \"maps\", that = \"o.data.stat == 'ready'\", count = 0 }}"
    ));
    bench.map("a", &[("state", "ready")]);
    let error = bench.step_within("w", seconds(5)).act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    timeout: not so within 5.0s: `maps`: o.data.stat == 'ready' fails on 1 of 1, exactly 0 must
      expected exactly 0 of `maps` satisfy o.data.stat == 'ready'
      observed a: data.stat is absent; no such key: `stat`, in `o.data.stat == 'ready'`
    "#);
}

#[tokio::test(start_paused = true)]
async fn an_expression_may_look_at_another_selection() {
    let bench = Bench::new(
        r#"
        [objects.maps]
        resource = "configmaps"
        [objects.web-pods]
        resource = "pods"
        [steps.w]
        wait = { on = "maps", that = "objects.web_pods.exists(p, p.metadata.name == o.data.pod && ready(p))" }
        "#,
    );
    bench.map("a", &[("pod", "web-1")]);
    let mut trial = bench.step("w");
    let api = bench.api.clone();
    let pod = bench.pod("web-1", |pod| pod["status"]["conditions"][0]["status"] = "False".into());
    tokio::spawn(async move {
        sleep(seconds(20)).await;
        let mut pod = pod;
        pod["status"]["conditions"][0]["status"] = "True".into();
        api.put(pod).unwrap();
    });
    let began = Instant::now();
    trial.act().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn each_makes_a_track_of_every_entry() {
    let bench = Bench::new(
        r#"
        [objects.maps]
        resource = "configmaps"
        [objects.entries]
        on = "maps"
        each = "o.data"
        [steps.w]
        wait = { on = "entries", that = "o == 'ready' && key.startsWith('disk-') && parent.metadata.name == 'a'", min = 2 }
        "#,
    );
    bench.map("a", &[("disk-1", "ready"), ("disk-2", "busy")]);
    let error = bench.step_within("w", seconds(5)).act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    timeout: not so within 5.0s: `entries`: 1 of 2 satisfy o == 'ready' && key.startsWith('disk-') && parent.metadata.name == 'a', all must
      expected all of `entries` (at least 2) satisfy o == 'ready' && key.startsWith('disk-') && parent.metadata.name == 'a'
      observed a[disk-2]: "busy"
    "#);
    bench.map("a", &[("disk-1", "ready"), ("disk-2", "ready")]);
    let done = bench.step("w").act().await.unwrap();
    assert_eq!(done.outputs["objects"], json!(["ready", "ready"]));
}

#[tokio::test(start_paused = true)]
async fn several_conditions_hold_at_one_moment() {
    let bench = Bench::new(
        r#"
        [objects.maps]
        resource = "configmaps"
        name = "a"
        [objects.others]
        resource = "configmaps"
        name = "b"
        [steps.w]
        wait.all = { first-map = { on = "maps", that = "o.data.x == '1'" }, second = { on = "others", that = "o.data.x == '1'" }, never = { on = "maps", that = "false", if = "false" } }
        "#,
    );
    bench.map("a", &[("x", "1")]);
    bench.map("b", &[("x", "0")]);
    let error = bench.step_within("w", seconds(5)).act().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    timeout: not so within 5.0s: `second`: 0 of 1 satisfy o.data.x == '1', all must
      expected all of `first-map` (at least 1) satisfy o.data.x == '1'; all of `second` (at least 1) satisfy o.data.x == '1'
      observed b: data.x is "0"
    "#);
    bench.map("b", &[("x", "1")]);
    let done = bench.step("w").act().await.unwrap();
    assert_eq!(done.outputs["objects"]["first_map"][0]["metadata"]["name"], "a");
    assert_eq!(done.outputs["count"], 2);
}

const CRD: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: gadgets.lab.dev }
spec:
  group: lab.dev
  names: { plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList }
  scope: Namespaced
  versions:
    - { name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } } }
";

#[tokio::test(start_paused = true)]
async fn a_kind_that_does_not_exist_yet_is_waited_for() {
    let bench = Bench::new(
        r#"
        [objects.gadgets]
        resource = "gadgets.lab.dev"
        [steps.none]
        wait = { on = "gadgets", count = 0 }
        [steps.w]
        wait = { on = "gadgets", that = "o.spec.size == 3" }
        "#,
    );
    // Not served is a full answer: there is none.
    bench.step("none").act().await.unwrap();
    let mut trial = bench.step("w");
    let client = bench.api.client();
    let api = bench.api.clone();
    tokio::spawn(async move {
        sleep(seconds(40)).await;
        let crds: kube::Api<
            k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
        > = kube::Api::all(client);
        let crd = serde_saphyr::from_str(CRD).unwrap();
        crds.create(&kube::api::PostParams::default(), &crd).await.unwrap();
        sleep(seconds(10)).await;
        api.put(json!({ "apiVersion": "lab.dev/v1", "kind": "Gadget", "metadata": { "name": "g", "namespace": "ns" }, "spec": { "size": 3 } }))
            .unwrap();
    });
    let began = Instant::now();
    let done = trial.act().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 50);
    assert_eq!(done.outputs["object"]["metadata"]["name"], "g");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_ends_no_wait() {
    let bench = Bench::new(&format!("{MAPS}[steps.w]\nwait = {{ on = \"maps\", that = \"o.data.state == 'ready'\" }}"));
    bench.map("a", &[("state", "busy")]);
    let mut trial = bench.step("w");
    let api = bench.api.clone();
    tokio::spawn(async move {
        sleep(seconds(20)).await;
        let outage = api.outage(seconds(10));
        sleep(seconds(5)).await;
        api.change("configmap", "ns", "a", |map| map["data"]["state"] = "ready".into());
        sleep(seconds(10)).await;
        drop(outage);
    });
    let began = Instant::now();
    trial.act().await.unwrap();
    let took = began.elapsed();
    assert!(took >= seconds(30) && took < seconds(32), "{took:?}");
    let blind = trial
        .progress()
        .into_iter()
        .find(|progress| progress.unmet.iter().any(|line| line.contains("can't be watched")));
    insta::assert_debug_snapshot!(blind.map(|progress| progress.unmet), @r#"
    Some(
        [
            "`maps` can't be watched right now: error reading a body from connection: unexpected EOF during chunk size line",
            "a: data.state is \"busy\"",
        ],
    )
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_begins_while_the_api_server_is_away_goes_on_when_it_is_back() {
    let bench = Bench::new(&format!("{MAPS}[steps.w]\nwait = {{ on = \"maps\" }}"));
    bench.map("a", &[]);
    // Somebody follows already: the second begins with a list of its own.
    let mut first = bench.step("w");
    first.act().await.unwrap();
    let _outage = bench.api.outage(seconds(10));
    let began = Instant::now();
    bench.step("w").act().await.unwrap();
    assert!(began.elapsed() >= seconds(10) && began.elapsed() < seconds(12), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_can_t_be_seen_to_the_end_is_unreachable_not_unmet() {
    let bench = Bench::new(&format!(
        r#"{MAPS}
        [steps.w]
        wait = {{ on = "maps" }}
        expect = {{ on = "maps" }}
        require = {{ on = "maps" }}
        "#
    ));
    let _away = bench.api.fault(Rule::always(Matching::default(), Effect::Refuse));
    let mut trial = bench.step_within("w", seconds(30));
    for error in [trial.act().await.unwrap_err(), trial.again().expect().await.unwrap_err()] {
        assert_eq!(error.class, Class::Unreachable, "{}", told(&error));
    }
    let error = bench.step_within("w", seconds(30)).require().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    unreachable: it can't be said whether it was so: `maps` can't be watched right now: tcp connect error: Connection refused (os error 111)
      expected all of `maps` (at least 1) exist
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_version_is_a_gap_and_breaks_what_must_be_stable() {
    let bench = Bench::new(&format!(
        r#"{MAPS}
        [steps.w]
        wait = {{ on = "maps", that = "o.data.state == 'ready'", stable = "60s" }}
        "#
    ));
    bench.map("a", &[("state", "ready")]);
    let mut trial = bench.step("w");
    let api = bench.api.clone();
    tokio::spawn(async move {
        sleep(seconds(45)).await;
        api.change("configmap", "ns", "a", |map| map["data"]["n"] = "1".into());
        api.compact();
        for name in ["one", "two"] {
            api.put(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })).unwrap();
        }
        api.compact();
        api.drop_watches("configmaps", &Ending::Expired);
    });
    let began = Instant::now();
    trial.act().await.unwrap();
    assert!(began.elapsed() >= seconds(105), "{:?}", began.elapsed());
    assert!(bench.api.requests_of(Verb::List, "configmaps").len() >= 2);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_looked_at_fails_at_once() {
    let bench = Bench::new(&format!("{MAPS}[steps.w]\nwait = {{ on = \"maps\" }}"));
    let matching = Matching { resource: Some("configmaps".to_owned()), ..Matching::default() };
    let _no = bench.api.fault(Rule::always(matching, Effect::Answer { code: 403, retry_after: 0 }));
    let began = Instant::now();
    let error = bench.step("w").act().await.unwrap_err();
    assert_eq!((error.class, began.elapsed().as_secs()), (Class::Forbidden, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_just_started_may_refuse_for_a_moment() {
    let bench = Bench::new(&format!("{MAPS}[steps.w]\nwait = {{ on = \"maps\", that = \"o.data.state == 'ready'\" }}"));
    bench.map("a", &[("state", "busy")]);
    let mut trial = bench.step("w");
    let api = bench.api.clone();
    tokio::spawn(async move {
        sleep(seconds(20)).await;
        let no = api.fault(Rule::always(Matching::default(), Effect::Answer { code: 403, retry_after: 0 }));
        api.drop_watches("", &Ending::Cut);
        sleep(seconds(5)).await;
        drop(no);
        api.change("configmap", "ns", "a", |map| map["data"]["state"] = "ready".into());
    });
    trial.act().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_required_holds_or_leaves_the_step_undecided() {
    let bench = Bench::new(&format!(
        r#"{MAPS}
        [steps.now]
        sleep = {{ for = "1s", because = "x" }}
        require = {{ on = "maps", that = "o.data.state == 'ready'" }}
        [steps.soon]
        sleep = {{ for = "1s", because = "x" }}
        require = {{ on = "maps", that = "o.data.state == 'ready'", within = "5m" }}
        "#
    ));
    bench.map("a", &[("state", "busy")]);
    let began = Instant::now();
    let error = bench.step("now").require().await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 0);
    insta::assert_snapshot!(told(&error), @r#"
    undecided: what is required before it was not so, and nothing was done: `maps`: 0 of 1 satisfy o.data.state == 'ready', all must
      expected all of `maps` (at least 1) satisfy o.data.state == 'ready'
      observed a: data.state is "busy"
    "#);
    let error = bench.step("soon").require().await.unwrap_err();
    assert_eq!((error.class, began.elapsed().as_secs()), (Class::Undecided, 300));
    let api = bench.api.clone();
    tokio::spawn(async move {
        sleep(seconds(7)).await;
        api.change("configmap", "ns", "a", |map| map["data"]["state"] = "ready".into());
    });
    let began = Instant::now();
    bench.step("soon").require().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn what_is_expected_is_judged_once() {
    let bench = Bench::new(&format!(
        r#"{MAPS}
        [steps.s]
        sleep = {{ for = "1s", because = "x" }}
        expect = {{ on = "maps", that = "o.data.state == 'ready'" }}
        "#
    ));
    bench.map("a", &[("state", "busy")]);
    let error = bench.step("s").expect().await.unwrap_err();
    insta::assert_snapshot!(told(&error), @r#"
    unmet: what is expected after it is not so: `maps`: 0 of 1 satisfy o.data.state == 'ready', all must
      expected all of `maps` (at least 1) satisfy o.data.state == 'ready'
      observed a: data.state is "busy"
    "#);
    bench.map("a", &[("state", "ready")]);
    bench.step("s").expect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn age_is_asked_again_as_time_passes() {
    let bench =
        Bench::new(&format!("{MAPS}[steps.w]\nwait = {{ on = \"maps\", that = \"age(o) > duration('30s')\" }}"));
    bench.map("a", &[]);
    let began = Instant::now();
    bench.step("w").act().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 31);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_changes_is_told_slowly_and_does_not_outlive_the_deadline() {
    let bench = Bench::new(&format!("{MAPS}[steps.w]\nwait = {{ on = \"maps\", that = \"o.data.n == 'x'\" }}"));
    bench.map("a", &[("n", "0")]);
    let mut trial = bench.step_within("w", seconds(20));
    let api = bench.api.clone();
    let flood = tokio::spawn(async move {
        for n in 0.. {
            api.change("configmap", "ns", "a", |map| map["data"]["n"] = n.to_string().into());
            sleep(Duration::from_millis(1)).await;
        }
    });
    let began = Instant::now();
    let error = trial.act().await.unwrap_err();
    flood.abort();
    assert_eq!((error.class, began.elapsed()), (Class::Timeout, seconds(20)));
    assert!(trial.progress().len() <= 20, "{}", trial.progress().len());
}
