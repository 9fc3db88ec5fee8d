use std::time::Duration;

use serde_json::json;

use super::super::super::kind::Kind;
use super::super::super::object::Object;
use super::super::super::stage::{Stage, pods_in_order};

const SET: &str = r"
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: anywhere}
provisioner: embedded.lariat.dev/anywhere
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 3
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: 'db:1', volumeMounts: [{name: data, mountPath: /data}]}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], storageClassName: anywhere, resources: {requests: {storage: 1Gi}}}
";

fn whole(sets: &[Object]) -> bool {
    let set = &sets[0];
    set.count("/status/observedGeneration") == set.generation()
        && set.count("/status/readyReplicas") == set.count("/spec/replicas")
        && set.count("/status/replicas") == set.count("/spec/replicas")
        && set.text("/status/currentRevision") == set.text("/status/updateRevision")
}

#[tokio::test(start_paused = true)]
async fn pods_come_in_order_and_are_replaced_from_the_last() {
    let stage = Stage::new(1, &[Kind::POD]).await;
    stage.apply(SET).await;
    stage.until(&Kind::STATEFUL_SET, whole).await;
    let seen = stage.seen(&Kind::POD);
    assert_eq!(pods_in_order(&seen), ["db-0", "db-1", "db-2"]);
    let at = |name: &str, ready: bool| {
        seen.iter().position(|seen| seen.object.name() == name && (!ready || seen.object.is("Ready"))).unwrap()
    };
    assert!(at("db-0", true) < at("db-1", false) && at("db-1", true) < at("db-2", false));
    let claims = stage.objects(&Kind::CLAIM);
    assert_eq!(claims.iter().map(Object::name).collect::<Vec<_>>(), ["data-db-0", "data-db-1", "data-db-2"]);
    assert!(claims.iter().all(|claim| claim.text("/status/phase") == "Bound"));

    stage
        .patch(&Kind::STATEFUL_SET, "db", json!({"spec": {"template": {"metadata": {"annotations": {"v": "2"}}}}}))
        .await;
    stage.until(&Kind::STATEFUL_SET, whole).await;
    let seen = stage.seen(&Kind::POD);
    let gone: Vec<&str> = seen.iter().filter(|seen| seen.kind == "DELETED").map(|seen| seen.object.name()).collect();
    assert_eq!(gone, ["db-2", "db-1", "db-0"]);

    stage.patch(&Kind::STATEFUL_SET, "db", json!({"spec": {"replicas": 1}})).await;
    stage.until(&Kind::STATEFUL_SET, whole).await;
    stage.until(&Kind::POD, |pods| pods.len() == 1).await;
    assert_eq!(stage.objects(&Kind::CLAIM).len(), 3, "claims stay");
}

#[tokio::test(start_paused = true)]
async fn a_partition_keeps_the_lower_ones_as_they_are() {
    let stage = Stage::new(1, &[Kind::POD]).await;
    stage.apply(SET).await;
    stage.until(&Kind::STATEFUL_SET, whole).await;
    let body = json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}},
        "template": {"metadata": {"annotations": {"v": "2"}}}}});
    stage.patch(&Kind::STATEFUL_SET, "db", body).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let new: Vec<String> = stage
        .objects(&Kind::POD)
        .iter()
        .filter(|pod| pod.annotation("v") == Some("2"))
        .map(|pod| pod.name().to_owned())
        .collect();
    assert_eq!(new, ["db-2"]);
    assert_eq!(stage.objects(&Kind::STATEFUL_SET)[0].count("/status/updatedReplicas"), 1);
}
