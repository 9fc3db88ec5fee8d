//! Faults as they are asked for, and what they do to a cluster.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::{Fault, faults, inject};
use crate::cluster::{Fetch as _, Strike, Wanted};
use crate::sim::{Internet, Setup, Site, World};

fn refused(written: &str) -> String {
    written.parse::<Fault>().expect_err("it is no fault").to_string()
}

#[test]
fn every_default_is_what_its_parameter_takes() {
    let mut names: Vec<&str> = Vec::new();
    for kind in faults() {
        names.push(kind.name);
        for parameter in &kind.parameters {
            let same = kind.parameters.iter().filter(|other| other.name == parameter.name);
            assert_eq!(same.count(), 1, "{} of {}", parameter.name, kind.name);
            if !parameter.default.is_empty() {
                let written = format!("{}:{}={}", kind.name, parameter.name, parameter.default);
                assert_eq!(written.parse::<Fault>().map(|fault| fault.to_string()), Ok(written.clone()));
            }
        }
    }
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn what_is_no_fault_is_said() {
    insta::assert_snapshot!(refused("api-lost"), @"there is no fault `api-lost`, did you mean `api-slow`? `lariat sim faults` lists them");
    insta::assert_snapshot!(refused("nonsense:x=1"), @"there is no fault `nonsense`; `lariat sim faults` lists them");
    insta::assert_snapshot!(refused("node-down:nod=n1"), @"the fault `node-down` has no `nod`, did you mean `node`? it has `at`, `for`, `every` and `node`");
    insta::assert_snapshot!(refused("node-down:n1"), @"`n1` in the fault `node-down` says nothing; write it like `key=value`, one after another with commas between");
    insta::assert_snapshot!(refused("node-down:node=n1,node=n2"), @"the fault `node-down` is told `node` twice");
    insta::assert_snapshot!(refused("api-error:code=200"), @"`200` is no `code` of the fault `api-error`, which is an HTTP status from 400 to 599");
    insta::assert_snapshot!(refused("api-slow:verb=read"), @"`read` is no `verb` of the fault `api-slow`, which is one of `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, `connect` or `other`");
    insta::assert_snapshot!(refused("pod-crash:label=db"), @"`db` is no `label` of the fault `pod-crash`, which is a label with its value, such as `app=db`");
    insta::assert_snapshot!(refused("api-down:every=10s"), @"the fault `api-down` comes again every 10.0s and has to be over by then: say `for` with less than that");
    insta::assert_snapshot!(refused("api-down:for=10s,every=10s"), @"the fault `api-down` comes again every 10.0s and has to be over by then: say `for` with less than that");
    assert!("api-down:for=5s,every=10s".parse::<Fault>().is_ok());
    assert!("pod-crash:every=10s,label=a=b,label=c=d".parse::<Fault>().is_ok());
}

/// A cluster with one pod, `db`, that has a readiness probe, and a fault.
struct Stage {
    world: World,
    internet: Internet,
    strikes: mpsc::UnboundedReceiver<Strike>,
    _injected: super::Injected,
}

impl Stage {
    fn new(fault: &str) -> Self {
        let world = World::new(Setup::default());
        let internet = Internet::default();
        internet.publish("https://a.example/x", Site::new(12_500_000, "ab".repeat(64)));
        let probe = json!({"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1, "failureThreshold": 1});
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "db", "namespace": "default", "labels": {"app": "db"}},
            "spec": {
                "nodeName": "n1", "restartPolicy": "Always", "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "main", "image": "db:1", "readinessProbe": probe}],
            },
        });
        world.api().put(pod).expect("it is a pod");
        let (tell, strikes) = mpsc::unbounded_channel();
        let fault: Fault = fault.parse().unwrap_or_else(|error| panic!("{error}"));
        let injected = inject(&[fault], &world, &internet, &tell);
        Self { world, internet, strikes, _injected: injected }
    }

    fn pod(&self) -> Value {
        self.world.api().get("pod", "default", "db").unwrap_or_default()
    }

    fn condition(object: &Value, kind: &str) -> String {
        let all = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = all.iter().find(|condition| condition["type"] == kind);
        found.and_then(|condition| condition["status"].as_str()).unwrap_or("none").to_owned()
    }

    fn ready(&self) -> bool {
        Self::condition(&self.pod(), "Ready") == "True"
    }

    fn node_is_ready(&self) -> String {
        Self::condition(&self.world.api().get("node", "", "n1").unwrap_or_default(), "Ready")
    }

    fn said(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.strikes.try_recv().ok()).map(|strike| strike.what).collect()
    }
}

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_crashes_at_its_times() {
    let mut stage = Stage::new("pod-crash:at=30s,every=60s,label=app=db,code=7");
    seconds(29).await;
    assert!(stage.ready());
    seconds(120).await;
    let status = &stage.pod()["status"]["containerStatuses"][0];
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 7);
    assert_eq!(stage.said(), ["default/db/main ended with code 7", "default/db/main ended with code 7"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_unready_for_a_while() {
    let mut stage = Stage::new("pod-unready:at=30s,for=30s,namespace=default");
    seconds(29).await;
    assert!(stage.ready());
    seconds(10).await;
    assert!(!stage.ready());
    seconds(30).await;
    assert!(stage.ready());
    assert_eq!(stage.said(), ["default/db is not ready"]);
    let mut other = Stage::new("pod-unready:label=app=web");
    seconds(30).await;
    assert!(other.ready() && other.said().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_stays_until_it_may_go() {
    let mut stage = Stage::new("pod-stuck:for=10m,name=db");
    seconds(20).await;
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::default_namespaced(stage.world.client());
    pods.delete("db", &kube::api::DeleteParams::default()).await.expect("it is there");
    seconds(300).await;
    assert!(stage.pod()["metadata"]["deletionTimestamp"].is_string());
    seconds(300).await;
    assert!(stage.pod().is_null(), "{}", stage.pod());
    assert_eq!(stage.said(), ["default/db does not end"]);
}

#[tokio::test(start_paused = true)]
async fn nodes_go_and_come_back() {
    for (fault, runs) in [("node-down", false), ("node-partition", true)] {
        let mut stage = Stage::new(&format!("{fault}:at=30s,for=2m"));
        seconds(29).await;
        assert_eq!(stage.node_is_ready(), "True");
        seconds(100).await;
        assert_eq!(stage.node_is_ready(), "Unknown", "{fault}");
        assert_eq!(stage.world.machines().running("n1").len(), usize::from(runs), "{fault}");
        seconds(60).await;
        assert_eq!(stage.node_is_ready(), "True", "{fault}");
        assert_eq!(stage.said().len(), 2);
    }
    let mut nowhere = Stage::new("node-down:node=n9");
    seconds(10).await;
    assert!(nowhere.said().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_node_tells_things_late() {
    let mut stage = Stage::new("node-slow:by=5s");
    seconds(15).await;
    assert!(!stage.ready());
    seconds(60).await;
    assert!(stage.ready());
    assert_eq!(stage.said(), ["n1 takes 5.0s for each thing it tells"]);
}

#[tokio::test(start_paused = true)]
async fn downloads_meet_what_is_wrong_with_an_address() {
    let wanted = Wanted { urls: vec!["https://a.example/x".into()], ..Wanted::default() };
    let fetch = async |fault: &str| {
        let mut stage = Stage::new(fault);
        // The fault is in place before anybody asks.
        tokio::task::yield_now().await;
        let start = tokio::time::Instant::now();
        let fetched = stage.internet.fetch(&wanted, &|_, _| {}).await;
        (fetched.map(|_| start.elapsed().as_secs()).map_err(|error| error.message), stage.said())
    };
    let said = vec!["https://a.example/x was downloaded from".to_owned()];
    assert_eq!(fetch("site-slow:speed=125000,url=https://a.example/").await, (Ok(100), said.clone()));
    assert_eq!(fetch("site-slow:url=https://b.example/").await, (Ok(1), Vec::new()));
    let (error, told) = fetch("site-error:code=404").await;
    assert_eq!((error.is_err(), told), (true, said.clone()));
    let (error, told) = fetch("site-breaks:after=5").await;
    assert!(error.unwrap_err().contains("broke off after 5 of"));
    assert_eq!(told, said);
}
