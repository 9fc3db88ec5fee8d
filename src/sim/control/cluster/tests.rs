use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{AttachParams, LogParams};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::kind::Kind;
use super::super::object::Object;
use super::super::stage::{Stage, pods_in_order};
use crate::sim::{Behaviour, Span};

fn pod(name: &str, spec: &str) -> String {
    format!("{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: {name}}}}}, spec: {{{spec}}}}}")
}

fn deployment(replicas: i64) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: w}}, spec: {{replicas: {replicas}, \
         selector: {{matchLabels: {{app: w}}}}, template: {{metadata: {{labels: {{app: w}}}}, \
         spec: {{terminationGracePeriodSeconds: 3, containers: [{{name: c, image: 'web:1'}}]}}}}}}}}"
    )
}

fn available(count: i64) -> impl Fn(&[Object]) -> bool {
    move |all| all[0].count("/status/availableReplicas") == count
}

/// Lab: the deployment is marked; its replica sets and their pods are marked; the pods take their grace;
/// then the replica sets go, and the deployment last.
#[tokio::test(start_paused = true)]
async fn a_foreground_deletion_goes_from_the_leaves_to_the_root() {
    let kinds = [Kind::DEPLOYMENT, Kind::REPLICA_SET, Kind::POD];
    let stage = Stage::new(1, &kinds).await;
    let mut stubborn = Behaviour::sleeps();
    stubborn.on_term = crate::sim::OnTerm::Ignores;
    stage.world.image("web", stubborn);
    stage.apply(&deployment(2)).await;
    stage.until(&Kind::DEPLOYMENT, available(2)).await;
    stage.delete(&Kind::DEPLOYMENT, "w", json!({"propagationPolicy": "Foreground"})).await;
    let took = stage.until(&Kind::DEPLOYMENT, <[Object]>::is_empty).await;
    assert!((Duration::from_secs(3)..Duration::from_secs(6)).contains(&took), "{took:?}");
    let at = |kind: &Kind, what: &dyn Fn(&super::super::stage::Seen) -> bool| -> Vec<Duration> {
        stage.seen(kind).iter().filter(|seen| what(seen)).map(|seen| seen.at).collect()
    };
    let marked = |kind: &Kind| at(kind, &|seen| seen.object.is_terminating())[0];
    let gone = |kind: &Kind| *at(kind, &|seen| seen.kind == "DELETED").last().unwrap();
    assert!(
        marked(&Kind::DEPLOYMENT) <= marked(&Kind::REPLICA_SET) && marked(&Kind::REPLICA_SET) <= marked(&Kind::POD)
    );
    assert!(gone(&Kind::POD) < gone(&Kind::REPLICA_SET) && gone(&Kind::REPLICA_SET) < gone(&Kind::DEPLOYMENT));
}

#[tokio::test(start_paused = true)]
async fn a_background_deletion_takes_all_and_orphaning_none() {
    let stage = Stage::new(1, &[Kind::POD]).await;
    stage.apply(&deployment(2)).await;
    stage.until(&Kind::DEPLOYMENT, available(2)).await;
    stage.delete(&Kind::DEPLOYMENT, "w", json!({"propagationPolicy": "Orphan"})).await;
    stage.until(&Kind::DEPLOYMENT, <[Object]>::is_empty).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let sets = stage.objects(&Kind::REPLICA_SET);
    assert_eq!((sets.len(), sets[0].items("/metadata/ownerReferences").len()), (1, 0));
    stage.delete(&Kind::REPLICA_SET, sets[0].name(), json!({})).await;
    stage.until(&Kind::POD, <[Object]>::is_empty).await;
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_when_all_in_it_has_gone() {
    let stage = Stage::new(1, &[Kind::POD, Kind::NAMESPACE]).await;
    stage.apply("{apiVersion: v1, kind: Namespace, metadata: {name: x}}").await;
    let placed = deployment(2).replace("metadata: {name: w}", "metadata: {name: w, namespace: x}");
    stage.apply(&placed).await;
    stage.until(&Kind::DEPLOYMENT, available(2)).await;
    stage.delete(&Kind::NAMESPACE, "x", json!({})).await;
    stage.until(&Kind::NAMESPACE, |all| all.iter().all(|own| own.name() != "x")).await;
    assert!(stage.objects(&Kind::POD).is_empty() && stage.objects(&Kind::REPLICA_SET).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_fits_nowhere_waits_and_says_why() {
    let stage = Stage::new(1, &[Kind::POD, Kind::EVENT]).await;
    let container = "containers: [{name: c, image: 'web:1'}]";
    stage.apply(&pod("a", &format!("nodeSelector: {{disk: fast}}, {container}"))).await;
    let told = |pods: &[Object]| pods[0].condition("PodScheduled").is_some_and(|own| own["status"] == "False");
    stage.until(&Kind::POD, told).await;
    let why = stage.objects(&Kind::POD)[0].condition("PodScheduled").unwrap().clone();
    assert_eq!(why["reason"], "Unschedulable");
    assert!(
        why["message"]
            .as_str()
            .unwrap()
            .starts_with("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.")
    );
    assert!(stage.told().contains(&"Pod FailedScheduling".to_owned()));
    stage.patch(&Kind::NODE, "n2", json!({"metadata": {"labels": {"disk": "fast"}}})).await;
    stage.until(&Kind::POD, |pods| pods[0].is("Ready")).await;
    assert_eq!(stage.objects(&Kind::POD)[0].text("/spec/nodeName"), "n2");
}

/// Upstream's constants: 50 s until a node that is silent counts as gone, 300 s of toleration.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_silent_loses_its_pods() {
    let stage = Stage::new(1, &[Kind::POD, Kind::NODE]).await;
    stage.apply(&deployment(3)).await;
    stage.until(&Kind::DEPLOYMENT, available(3)).await;
    stage.world.node_down("n2");
    let ready = |nodes: &[Object]| nodes.iter().filter(|node| node.is("Ready")).count();
    let took = stage.until(&Kind::NODE, |nodes| ready(nodes) == 2).await;
    assert!((Duration::from_secs(40)..Duration::from_secs(56)).contains(&took), "{took:?}");
    stage.until(&Kind::DEPLOYMENT, available(2)).await;
    let took = stage.until(&Kind::DEPLOYMENT, available(3)).await;
    assert!((Duration::from_secs(295)..Duration::from_secs(310)).contains(&took), "{took:?}");
    stage.world.node_up("n2");
    let took = stage.until(&Kind::NODE, |nodes| ready(nodes) == 3).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    stage.until(&Kind::POD, |pods| pods.len() == 3 && pods.iter().all(|pod| pod.is("Ready"))).await;
    let taints = |nodes: &[Object]| nodes.iter().all(|node| node.items("/spec/taints").is_empty());
    stage.until(&Kind::NODE, taints).await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_forbids_the_second_eviction() {
    let stage = Stage::new(1, &[Kind::POD]).await;
    stage.apply(&deployment(2)).await;
    stage
        .apply("{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: w}, spec: {minAvailable: 1, selector: {matchLabels: {app: w}}}}")
        .await;
    stage.until(&Kind::DISRUPTION_BUDGET, |all| all[0].count("/status/disruptionsAllowed") == 1).await;
    let pods: Api<Pod> = Api::default_namespaced(stage.world.client());
    let names = pods_in_order(&stage.seen(&Kind::POD));
    pods.evict(&names[0], &kube::api::EvictParams::default()).await.unwrap();
    let refused = pods.evict(&names[1], &kube::api::EvictParams::default()).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 429));
    stage.until(&Kind::DISRUPTION_BUDGET, |all| all[0].count("/status/disruptionsAllowed") == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_leads_to_what_is_ready() {
    let stage = Stage::new(1, &[Kind::POD]).await;
    stage.apply("{apiVersion: v1, kind: Service, metadata: {name: w}, spec: {selector: {app: w}, ports: [{port: 80, targetPort: 8080}]}}").await;
    stage.apply(&deployment(2)).await;
    stage.until(&Kind::DEPLOYMENT, available(2)).await;
    let serves = |all: &[Object]| {
        all.iter().any(|own| {
            own.items("/endpoints").iter().filter(|end| end["conditions"]["ready"] == true).count() == 2
                && own.at("/ports/0/port") == &json!(8080)
        })
    };
    stage.until(&Kind::ENDPOINT_SLICE, serves).await;
    stage.until(&Kind::ENDPOINTS, |all| all[0].items("/subsets/0/addresses").len() == 2).await;
    stage.patch(&Kind::DEPLOYMENT, "w", json!({"spec": {"replicas": 0}})).await;
    stage.until(&Kind::ENDPOINTS, |all| all[0].items("/subsets").is_empty()).await;
}

async fn run(stage: &Stage, pod: &str, command: &[&str], input: Option<&[u8]>) -> (String, i32) {
    let pods: Api<Pod> = Api::default_namespaced(stage.world.client());
    let params = AttachParams { stdin: input.is_some(), stdout: true, stderr: true, ..AttachParams::default() };
    let mut process = pods.exec(pod, command.to_vec(), &params).await.unwrap();
    if let Some(input) = input {
        let mut stdin = process.stdin().unwrap();
        stdin.write_all(input).await.unwrap();
        stdin.shutdown().await.unwrap();
    }
    let mut text = String::new();
    process.stdout().unwrap().read_to_string(&mut text).await.unwrap();
    let status = process.take_status().unwrap().await.unwrap();
    let causes = status.details.and_then(|details| details.causes).unwrap_or_default();
    let code = causes.iter().find_map(|cause| cause.message.clone()?.parse().ok()).unwrap_or(0);
    (text, code)
}

#[tokio::test(start_paused = true)]
async fn files_live_as_long_as_their_volumes() {
    let stage = Stage::new(1, &[Kind::POD]).await;
    stage
        .world
        .image("box", Behaviour::sleeps().with_file("/version", "${tag}\n").saying(Duration::from_secs(1), "hello"));
    let spec = "nodeName: n1, terminationGracePeriodSeconds: 1, containers: [{name: c, image: 'box:7', volumeMounts: [{name: e, mountPath: /empty}, {name: h, mountPath: /host}]}], \
                volumes: [{name: e, emptyDir: {}}, {name: h, hostPath: {path: /var/lib/x}}]";
    let up = |pods: &[Object]| pods.len() == 1 && pods[0].is("Ready") && !pods[0].is_terminating();
    stage.apply(&pod("a", spec)).await;
    stage.until(&Kind::POD, up).await;
    assert_eq!(
        run(&stage, "a", &["sh", "-c", "cat /version && test \"$(cat /version)\" = \"$1\"", "sh", "7"], None).await,
        ("7\n".to_owned(), 0)
    );
    for folder in ["/empty", "/host"] {
        let target = format!("of={folder}/f");
        assert_eq!(run(&stage, "a", &["dd", &target, "bs=1M", "conv=fsync"], Some(b"abc")).await.1, 0);
    }
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(run(&stage, "a", &["sha256sum", "/host/f"], None).await, (format!("{digest}  /host/f\n"), 0));
    assert_eq!(run(&stage, "a", &["stat", "-L", "-c", "%s", "/empty/f"], None).await, ("3\n".to_owned(), 0));
    let pods: Api<Pod> = Api::default_namespaced(stage.world.client());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(pods.logs("a", &LogParams::default()).await.unwrap(), "hello\n");

    stage.delete(&Kind::POD, "a", json!({})).await;
    stage.until(&Kind::POD, <[Object]>::is_empty).await;
    stage.apply(&pod("b", spec)).await;
    stage.until(&Kind::POD, up).await;
    assert_eq!(run(&stage, "b", &["sha256sum", "/host/f"], None).await.0, format!("{digest}  /host/f\n"));
    assert_eq!(run(&stage, "b", &["sha256sum", "/empty/f"], None).await.1, 1);
    assert_eq!(stage.world.machines().disk("n1").unwrap().get("var/lib/x/f").unwrap().size, 3);
}

#[tokio::test(start_paused = true)]
async fn who_ignores_being_told_is_killed_after_its_grace() {
    let stage = Stage::new(1, &[Kind::POD]).await;
    stage.world.image("deaf", Behaviour::sleeps().ignoring_term());
    stage.apply(&pod("a", "terminationGracePeriodSeconds: 12, containers: [{name: c, image: deaf}]")).await;
    stage.until(&Kind::POD, |pods| pods[0].is("Ready")).await;
    stage.delete(&Kind::POD, "a", json!({})).await;
    let took = stage.until(&Kind::POD, <[Object]>::is_empty).await;
    assert!((Duration::from_millis(12_300)..Duration::from_millis(13_800)).contains(&took), "{took:?}");
    let last = stage.seen(&Kind::POD).last().unwrap().object.clone();
    assert_eq!(last.at("/status/containerStatuses/0/state/terminated/exitCode"), &json!(137));
}

#[tokio::test(start_paused = true)]
async fn a_container_that_falls_sick_is_restarted() {
    let stage = Stage::new(1, &[Kind::POD, Kind::EVENT]).await;
    let mut sick = Behaviour::sleeps();
    sick.sick_after = Some(Duration::from_secs(20));
    stage.world.image("sick", sick);
    let spec = "containers: [{name: c, image: sick, livenessProbe: {httpGet: {port: 80}, periodSeconds: 5, failureThreshold: 2}}]";
    stage.apply(&pod("a", spec)).await;
    let restarted = |pods: &[Object]| pods[0].at("/status/containerStatuses/0/restartCount") == &json!(1);
    let took = stage.until(&Kind::POD, restarted).await;
    assert!((Duration::from_secs(24)..Duration::from_secs(36)).contains(&took), "{took:?}");
    assert!(stage.told().contains(&"Pod Unhealthy".to_owned()) && stage.told().contains(&"Pod Killing".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_pulled_keeps_its_pod_waiting() {
    let stage = Stage::new(1, &[Kind::POD, Kind::EVENT]).await;
    let mut missing = Behaviour::sleeps();
    missing.pull_fails = Some("not found".to_owned());
    stage.world.image("none", missing);
    stage.apply(&pod("a", "containers: [{name: c, image: 'none:1'}]")).await;
    let says = |reason: &'static str| {
        move |pods: &[Object]| pods[0].text("/status/containerStatuses/0/state/waiting/reason") == reason
    };
    stage.until(&Kind::POD, says("ErrImagePull")).await;
    stage.until(&Kind::POD, says("ImagePullBackOff")).await;
    stage.world.image("none", Behaviour::ready_after(Span::millis(10, 10)));
    stage.until(&Kind::POD, |pods| pods[0].is("Ready")).await;
}

#[tokio::test(start_paused = true)]
async fn a_kubelet_that_is_killed_finds_its_containers_again() {
    let stage = Stage::new(1, &[Kind::POD]).await;
    stage.apply(&pod("a", "nodeName: n1, containers: [{name: c, image: 'web:1'}]")).await;
    stage.until(&Kind::POD, |pods| pods[0].is("Ready")).await;
    let before = stage.objects(&Kind::POD)[0].at("/status/containerStatuses").clone();
    stage.world.node_cut_off("n1");
    stage.delete(&Kind::POD, "a", json!({"gracePeriodSeconds": 5})).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(*stage.objects(&Kind::POD)[0].at("/status/containerStatuses"), before);
    assert_eq!(stage.world.machines().running("n1"), ["default/a/c"]);
    stage.world.node_up("n1");
    stage.until(&Kind::POD, <[Object]>::is_empty).await;
    assert!(stage.world.machines().running("n1").is_empty());
}
