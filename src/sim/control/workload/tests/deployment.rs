use std::time::Duration;

use serde_json::json;

use super::super::super::kind::Kind;
use super::super::super::object::Object;
use super::super::super::stage::{Stage, pods_in_order};

const DEPLOYMENT: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: w}
spec:
  replicas: 2
  selector: {matchLabels: {app: w}}
  template:
    metadata: {labels: {app: w}}
    spec:
      terminationGracePeriodSeconds: 3
      containers: [{name: c, image: 'web:1'}]
";

fn complete(all: &[Object]) -> bool {
    all.iter().all(|own| {
        own.count("/status/observedGeneration") == own.generation()
            && own.count("/status/updatedReplicas") == own.count("/spec/replicas")
            && own.count("/status/replicas") == own.count("/spec/replicas")
            && own.count("/status/availableReplicas") == own.count("/spec/replicas")
    })
}

fn template(value: &str) -> serde_json::Value {
    json!({"spec": {"template": {"metadata": {"annotations": {"v": value}}}}})
}

/// Lab: `Progressing` goes through `NewReplicaSetCreated`, `ReplicaSetUpdated`, `NewReplicaSetAvailable`, and
/// `Available` turns from False to True (there the third line was
/// skipped: the replica set's status was there first); the second rollout scales 0 to 1, 2 to 1, 1 to 2, 1 to 0.
#[tokio::test(start_paused = true)]
async fn a_rolling_update_steps_as_on_the_lab() {
    let stage = Stage::new(1, &[Kind::DEPLOYMENT, Kind::EVENT, Kind::POD]).await;
    stage.apply(DEPLOYMENT).await;
    stage.until(&Kind::DEPLOYMENT, complete).await;
    stage.patch(&Kind::DEPLOYMENT, "w", template("2")).await;
    stage.until(&Kind::DEPLOYMENT, complete).await;
    let mut reasons: Vec<String> = Vec::new();
    for seen in stage.seen(&Kind::DEPLOYMENT) {
        let reason = |kind: &str| seen.object.condition(kind).map_or("-", |own| own["reason"].as_str().unwrap());
        reasons.push(format!("{} {}", reason("Progressing"), reason("Available")));
    }
    reasons.dedup();
    insta::assert_snapshot!(reasons.join("\n"), @r"
    - -
    NewReplicaSetCreated -
    NewReplicaSetCreated MinimumReplicasUnavailable
    ReplicaSetUpdated MinimumReplicasUnavailable
    NewReplicaSetAvailable MinimumReplicasAvailable
    NewReplicaSetCreated MinimumReplicasAvailable
    ReplicaSetUpdated MinimumReplicasAvailable
    NewReplicaSetAvailable MinimumReplicasAvailable
    ");
    let scaled: Vec<String> = stage
        .seen(&Kind::EVENT)
        .iter()
        .filter(|seen| seen.kind == "ADDED" && seen.object.text("/reason") == "ScalingReplicaSet")
        .map(|seen| {
            let text = seen.object.text("/message");
            format!("{}{}", &text[..text.find("replica").unwrap()], &text[text.find("from").unwrap()..])
        })
        .collect();
    assert_eq!(
        scaled,
        [
            "Scaled up from 0 to 2",
            "Scaled up from 0 to 1",
            "Scaled down from 2 to 1",
            "Scaled up from 1 to 2",
            "Scaled down from 1 to 0"
        ]
    );
    assert_eq!(stage.objects(&Kind::REPLICA_SET).len(), 2);
    assert_eq!(stage.objects(&Kind::DEPLOYMENT)[0].annotation("deployment.kubernetes.io/revision"), Some("2"));
    stage.patch(&Kind::DEPLOYMENT, "w", template("3")).await;
    stage.until(&Kind::DEPLOYMENT, complete).await;
    stage.patch(&Kind::DEPLOYMENT, "w", template("2")).await;
    stage.until(&Kind::DEPLOYMENT, complete).await;
    assert_eq!(stage.objects(&Kind::REPLICA_SET).len(), 3, "an old template's set is taken up again");
    assert_eq!(stage.objects(&Kind::DEPLOYMENT)[0].annotation("deployment.kubernetes.io/revision"), Some("4"));
}

#[tokio::test(start_paused = true)]
async fn recreate_lets_none_of_two_templates_live_at_once() {
    let stage = Stage::new(2, &[Kind::POD]).await;
    stage.apply(&DEPLOYMENT.replace("replicas: 2", "replicas: 2\n  strategy: {type: Recreate}")).await;
    stage.until(&Kind::DEPLOYMENT, complete).await;
    let old = pods_in_order(&stage.seen(&Kind::POD));
    stage.patch(&Kind::DEPLOYMENT, "w", template("2")).await;
    stage.until(&Kind::DEPLOYMENT, complete).await;
    let seen = stage.seen(&Kind::POD);
    let first_new = seen.iter().position(|seen| !old.contains(&seen.object.name().to_owned())).unwrap();
    let over = |name: &String| {
        seen[..first_new].iter().any(|seen| {
            seen.object.name() == name && (seen.kind == "DELETED" || seen.object.text("/status/phase") == "Succeeded")
        })
    };
    assert!(old.iter().all(over));
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_does_not_progress_says_so_after_its_deadline() {
    let stage = Stage::new(2, &[Kind::POD]).await;
    let slow = DEPLOYMENT.replace("replicas: 2", "replicas: 2\n  progressDeadlineSeconds: 30");
    let mut never = crate::sim::Behaviour::sleeps();
    never.ready_after = None;
    stage.world.image("web", never);
    stage.apply(&slow.replace("image: 'web:1'", "image: 'web:1', readinessProbe: {tcpSocket: {port: 80}}")).await;
    let late = |all: &[Object]| {
        all[0]
            .condition("Progressing")
            .is_some_and(|own| own["reason"] == "ProgressDeadlineExceeded" && own["status"] == "False")
    };
    let took = stage.until(&Kind::DEPLOYMENT, late).await;
    assert!((Duration::from_secs(30)..Duration::from_secs(40)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn scaling_takes_the_least_missed() {
    let stage = Stage::new(4, &[Kind::POD]).await;
    stage.apply(&DEPLOYMENT.replace("replicas: 2", "replicas: 4")).await;
    stage.until(&Kind::DEPLOYMENT, complete).await;
    stage.patch(&Kind::DEPLOYMENT, "w", json!({"spec": {"replicas": 3}})).await;
    stage.until(&Kind::DEPLOYMENT, complete).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut nodes: Vec<String> =
        stage.objects(&Kind::POD).iter().map(|pod| pod.text("/spec/nodeName").to_owned()).collect();
    nodes.sort();
    assert_eq!(nodes, ["n1", "n2", "n3"], "the one that shared its node goes");
}
