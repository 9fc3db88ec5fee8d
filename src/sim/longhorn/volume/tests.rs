//! Volumes through their lives, with nobody else about.

use std::time::Duration;

use serde_json::{Value, json};

use super::kind;
use super::stage::{NEW, OLD, SPACE, Stage, watched};
use crate::sim::longhorn::internet;
use crate::sim::longhorn::tests::Site;
use crate::sim::{Chance, Kind, Object};

async fn attached(seed: u64, volumes: &[&str]) -> Stage {
    let stage = Stage::new(seed).await;
    for volume in volumes {
        stage.make(volume, "");
        stage.until_state(volume, "detached", "unknown").await;
        stage.attach(volume, Some("n1")).await;
    }
    for volume in volumes {
        stage.until_state(volume, "attached", "healthy").await;
    }
    stage
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_created_attached_and_detached() {
    let stage = attached(1, &["v"]).await;
    let attachment = stage.all(&kind::ATTACHMENT).remove(0);
    assert!(attachment.flag("/status/attachmentTicketStatuses/t/satisfied"));
    let replicas = stage.replicas("v");
    let mut nodes: Vec<&str> = replicas.iter().map(|own| own.text("/spec/nodeID")).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["n1", "n2", "n3"]);
    stage.attach("v", None).await;
    stage.until_state("v", "detached", "unknown").await;
    insta::assert_snapshot!(stage.story("v").join(" "), @"creating/unknown detached/unknown attaching/unknown attached/unknown attached/healthy detaching/healthy detached/unknown");
    let idle = |own: &Object| own.text("/status/currentState") == "stopped";
    assert!(stage.replicas("v").iter().all(idle) && stage.all(&kind::ENGINE).iter().all(idle));
    insta::assert_snapshot!(stage.events("Volume").join(" "), @"Attached Detached");
}

#[tokio::test(start_paused = true)]
async fn a_replica_waits_for_its_disks_file() {
    let stage = Stage::new(2).await;
    stage.make("v", "small");
    stage.until_state("v", "detached", "unknown").await;
    let map = |stage: &Stage| stage.all(&kind::BACKING_IMAGE)[0].at("/spec/diskFileSpecMap").as_object().unwrap().len();
    assert_eq!(map(&stage), 0, "creating a volume adds no disks");
    stage.attach("v", Some("n2")).await;
    stage.until("disks asked for", |stage| map(stage) == 3).await;
    stage.image_ready(&["d1", "d2"]).await;
    stage.world.pass(Duration::from_secs(120)).await;
    let waits = |own: &Object| own.is("WaitForBackingImage");
    assert!(waits(&stage.volume("v")));
    assert_eq!(stage.volume("v").text("/status/state"), "attaching");
    let running = stage.replicas("v").iter().filter(|own| own.text("/status/currentState") == "running").count();
    assert_eq!(running, 2);
    stage.image_ready(&["d1", "d2", "d3"]).await;
    stage.until_state("v", "attached", "healthy").await;
    stage.until("nobody waits", |stage| !waits(&stage.volume("v"))).await;
    assert!(stage.data.contents("v").unwrap().get("guests/catparrot.gif").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_crashes_is_rebuilt_and_leaves_its_trace() {
    let stage = attached(3, &["v"]).await;
    let victim = stage.replicas("v").remove(1).name().to_owned();
    assert!(stage.data.crash(&victim));
    stage.until_state("v", "attached", "degraded").await;
    stage.until_state("v", "attached", "healthy").await;
    let replica = stage.replicas("v").into_iter().find(|own| own.name() == victim).unwrap();
    assert_eq!(replica.text("/spec/failedAt"), "");
    assert_ne!(replica.text("/spec/lastFailedAt"), "");
    let failed: Vec<Object> =
        stage.versions(&kind::REPLICA).into_iter().filter(|own| !own.text("/spec/failedAt").is_empty()).collect();
    assert!(failed.iter().all(|own| own.name() == victim) && !failed.is_empty());
    assert!(stage.versions(&kind::REPLICA).iter().any(|own| own.text("/status/currentState") == "error"));
    let modes: Vec<Value> =
        stage.versions(&kind::ENGINE).iter().map(|own| own.at("/status/replicaModeMap")[&victim].clone()).collect();
    for mode in ["RW", "ERR", "WO"] {
        assert!(modes.contains(&json!(mode)), "{mode} in {modes:?}");
    }
    insta::assert_snapshot!(stage.events("Engine").join(" "), @"Start Faulted Rebuilding Rebuilt");
    insta::assert_snapshot!(stage.events("Volume").join(" "), @"Attached Degraded Healthy");
}

#[tokio::test(start_paused = true)]
async fn an_attached_volume_is_upgraded_by_twins_without_a_flicker() {
    let stage = attached(4, &["a", "b"]).await;
    let before: Vec<String> = stage.all(&kind::REPLICA).iter().map(|own| own.name().to_owned()).collect();
    stage.set("concurrent-automatic-engine-upgrade-per-node-limit", "1");
    stage.start_managers(NEW);
    let current = |stage: &Stage, name: &str| stage.volume(name).text("/status/currentImage").to_owned();
    stage.until("both new", |stage| ["a", "b"].iter().all(|name| current(stage, name) == NEW.0)).await;
    stage.world.pass(Duration::from_secs(60)).await;
    for name in ["a", "b"] {
        let volume = stage.volume(name);
        assert_eq!(volume.text("/status/robustness"), "healthy");
        assert!(!stage.story(name).iter().any(|own| own.contains("degraded")), "{:?}", stage.story(name));
        assert_eq!(stage.replicas(name).len(), 3);
    }
    for replica in stage.all(&kind::REPLICA) {
        assert!(!before.contains(&replica.name().to_owned()) && replica.flag("/spec/active"));
        assert_eq!(replica.text("/status/currentState"), "running");
    }
    assert!(stage.versions(&kind::REPLICA).iter().all(|own| own.text("/spec/failedAt").is_empty()));
    for engine in stage.all(&kind::ENGINE) {
        assert_eq!(engine.text("/status/currentImage"), NEW.0);
        assert!(engine.at("/spec/upgradedReplicaAddressMap").as_object().is_none_or(serde_json::Map::is_empty));
        let modes = engine.at("/status/replicaModeMap").as_object().unwrap();
        assert!(modes.len() == 3 && modes.values().all(|mode| mode == "RW"), "{modes:?}");
    }
    // The old instance manager stays where an engine lives in it, and only there.
    let old: Vec<Object> =
        stage.all(&kind::INSTANCE_MANAGER).into_iter().filter(|own| own.text("/spec/image") == OLD.1).collect();
    assert_eq!(old.iter().map(|own| own.text("/spec/nodeID")).collect::<Vec<_>>(), ["n1"]);
    // One volume at a time and node.
    let busy = |own: &Object| own.text("/spec/image") != own.text("/status/currentImage");
    let mut changing: Vec<String> = Vec::new();
    for volume in stage.versions(&kind::VOLUME) {
        changing.retain(|name| name != volume.name());
        if busy(&volume) && !volume.text("/status/currentImage").is_empty() {
            changing.push(volume.name().to_owned());
        }
        assert!(changing.len() <= 1, "{changing:?}");
    }
    stage.attach("a", None).await;
    stage.until_state("a", "detached", "unknown").await;
    stage.attach("a", Some("n3")).await;
    stage.until_state("a", "attached", "healthy").await;
}

#[tokio::test(start_paused = true)]
async fn a_detached_volume_changes_its_image_in_one_step_and_the_same_build_waits_for_that() {
    let stage = attached(5, &["v"]).await;
    stage.make("w", "");
    stage.until_state("w", "detached", "unknown").await;
    let same = "longhornio/longhorn-engine:v1.11.3-retag1";
    stage.start_managers((same, OLD.1));
    stage.set("concurrent-automatic-engine-upgrade-per-node-limit", "5");
    stage.until("w new", |stage| stage.volume("w").text("/status/currentImage") == same).await;
    assert!(stage.replicas("w").iter().all(|own| own.text("/spec/image") == same && own.flag("/spec/active")));
    stage.world.pass(Duration::from_secs(300)).await;
    let volume = stage.volume("v");
    assert_eq!((volume.text("/spec/image"), volume.text("/status/currentImage")), (same, OLD.0));
    stage.attach("v", None).await;
    stage.until("v new", |stage| stage.volume("v").text("/status/currentImage") == same).await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_managers_end_is_its_engines_and_replicas_end() {
    let stage = attached(6, &["v"]).await;
    let manager = stage.all(&kind::INSTANCE_MANAGER).into_iter().find(|own| own.text("/spec/nodeID") == "n2").unwrap();
    stage.delete(&format!("/api/v1/namespaces/{SPACE}/pods/{}", manager.name())).await;
    stage.until_state("v", "attached", "degraded").await;
    stage.until_state("v", "attached", "healthy").await;
    let engine = stage.all(&kind::INSTANCE_MANAGER).into_iter().find(|own| own.text("/spec/nodeID") == "n1").unwrap();
    stage.delete(&format!("/api/v1/namespaces/{SPACE}/pods/{}", engine.name())).await;
    stage.until("dead", |stage| stage.volume("v").text("/status/state") != "attached").await;
    assert!(stage.data.contents("v").unwrap().trouble().is_some(), "a device without an engine fails");
    stage.until_state("v", "attached", "healthy").await;
    assert!(stage.data.contents("v").unwrap().trouble().is_none());
    assert!(stage.events("Volume").contains(&"DetachedUnexpectedly".to_owned()));
    assert_ne!(stage.volume("v").text("/status/lastAutoSalvagedAt"), "");
}

const POD: &str = r#"{
  "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app", "namespace": "default"},
  "spec": {
    "nodeName": "n2", "terminationGracePeriodSeconds": 1,
    "containers": [{"name": "c", "image": "busybox:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
  }
}"#;

async fn run(stage: &Stage, command: &str) -> (String, String) {
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::namespaced(stage.world.client(), "default");
    let mut process = pods.exec("app", ["sh", "-c", command], &kube::api::AttachParams::default()).await.unwrap();
    let (mut out, mut err) = (process.stdout().unwrap(), process.stderr().unwrap());
    let (mut said, mut wrong) = (String::new(), String::new());
    tokio::io::AsyncReadExt::read_to_string(&mut out, &mut said).await.unwrap();
    tokio::io::AsyncReadExt::read_to_string(&mut err, &mut wrong).await.unwrap();
    (said, wrong)
}

#[tokio::test(start_paused = true)]
async fn a_pod_with_a_claim_gets_a_volume_made_of_the_image_and_keeps_what_it_writes() {
    let stage = Stage::new(7).await;
    stage
        .patch(&kind::BACKING_IMAGE, "small", "", json!({"spec": {"diskFileSpecMap": {"d1": {}, "d2": {}, "d3": {}}}}))
        .await;
    stage.image_ready(&["d1", "d2", "d3"]).await;
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "default"},
        "spec": {
            "storageClassName": "longhorn", "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    });
    let asked = http::Request::post("/api/v1/namespaces/default/persistentvolumeclaims");
    let asked = asked.header("content-type", "application/json").body(claim.to_string().into_bytes()).unwrap();
    stage.world.client().request::<Value>(asked).await.unwrap();
    stage.world.api().put(serde_json::from_str(POD).unwrap()).unwrap();
    let up = |stage: &Stage| stage.all(&Kind::POD).iter().any(|pod| pod.name() == "app" && pod.is("Ready"));
    stage.until("the pod runs", up).await;
    let volume = stage.all(&kind::VOLUME).remove(0);
    assert_eq!(volume.text("/status/currentNodeID"), "n2");
    let attachment = stage.all(&kind::ATTACHMENT).remove(0);
    let tickets = attachment.at("/spec/attachmentTickets").as_object().unwrap();
    assert!(tickets.len() == 1 && tickets.keys().all(|id| id.starts_with("csi-") && id.len() == 68));
    assert_eq!(run(&stage, "cat /data/guests/catparrot.gif").await.0, "GIF89a: a cat that is a parrot\n");
    stage.stop_managers();
    run(&stage, "echo hello > /data/mine; sync").await;
    assert_eq!(run(&stage, "cat /data/mine").await.0, "hello\n", "the data path needs no manager");
    stage.start_managers(OLD);
    stage
        .until("the claim is known", |stage| {
            stage.all(&kind::VOLUME)[0].text("/status/kubernetesStatus/pvcName") == "data"
        })
        .await;
    stage.delete("/api/v1/namespaces/default/pods/app").await;
    stage.until_state(volume.name(), "detached", "unknown").await;
    stage.world.api().put(serde_json::from_str(&POD.replace("n2", "n3")).unwrap()).unwrap();
    stage.until("the pod runs again", up).await;
    assert_eq!(run(&stage, "cat /data/mine").await.0, "hello\n");
    stage.delete("/api/v1/namespaces/default/pods/app").await;
    stage.delete("/api/v1/namespaces/default/persistentvolumeclaims/data").await;
    stage
        .until("all is gone", |stage| {
            [kind::VOLUME, kind::ENGINE, kind::REPLICA, kind::ATTACHMENT].iter().all(|kind| stage.all(kind).is_empty())
        })
        .await;
    assert!(stage.data.contents(volume.name()).is_none());
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_a_volume_comes_back() {
    for seed in 0..3 {
        let stage = attached(100 + seed, &["v"]).await;
        let mut chance = Chance::of(seed, "what happens");
        let mut here = true;
        for _ in 0..12 {
            match chance.below(4) {
                0 => {
                    let node = ["n1", "n2", "n3"][usize::try_from(chance.below(3)).unwrap()];
                    here = !here;
                    stage.attach("v", here.then_some(node)).await;
                }
                1 => {
                    let replicas = stage.replicas("v");
                    let at = usize::try_from(chance.below(replicas.len() as u64)).unwrap();
                    stage.data.crash(replicas[at].name());
                }
                2 => {
                    let engines = stage.all(&kind::ENGINE);
                    for engine in engines {
                        stage.data.crash(engine.name());
                    }
                }
                _ => stage.start_managers(OLD),
            }
            stage.world.pass(Duration::from_secs(chance.below(60))).await;
        }
        if !here {
            stage.attach("v", Some("n2")).await;
        }
        stage.until_state("v", "attached", "healthy").await;
        // A running engine never has a replica that the volume does not count.
        for engine in stage.versions(&kind::ENGINE) {
            let modes = engine.at("/status/replicaModeMap").as_object().cloned().unwrap_or_default();
            assert!(modes.len() <= 4, "{modes:?}");
        }
        // The volume's image changes with its engine's, or at rest: here it never does.
        assert!(
            stage.versions(&kind::VOLUME).iter().all(|own| ["", OLD.0].contains(&own.text("/status/currentImage")))
        );
    }
}

async fn asked(site: &Site, method: &str, path: &str, body: &Value) {
    let path = format!("/apis/longhorn.io/v1beta2/namespaces/{SPACE}/{path}");
    let content = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let asked = http::Request::builder().method(method).uri(path).header("content-type", content);
    let asked = asked.body(body.to_string().into_bytes()).unwrap();
    site.world().client().request::<Value>(asked).await.unwrap();
}

/// The whole system with two attached volumes, upgraded; every version of volumes, engines and replicas meanwhile.
async fn upgraded(seed: u64, wrong: Option<&str>) -> (Site, Vec<Object>) {
    let site = Site::installed(seed, "1.11.3").await;
    let limit = "settings/concurrent-automatic-engine-upgrade-per-node-limit";
    asked(&site, "PATCH", limit, &json!({"value": "3"})).await;
    site.image("small", internet::PUBLISHED[0].url, 3).await;
    site.until(180, "three copies", |site| site.ready("small") == 3).await;
    for (name, node) in [("a", "n1"), ("b", "n3")] {
        let volume = json!({
            "apiVersion": "longhorn.io/v1beta2", "kind": "Volume", "metadata": {"name": name},
            "spec": {"size": "3221225472", "frontend": "blockdev", "backingImage": "small"},
        });
        asked(&site, "POST", "volumes", &volume).await;
        site.until(60, "made", |site| site.get("volumes.longhorn.io", name)["status"]["state"] == "detached").await;
        let ticket =
            json!({"id": "t", "type": "longhorn-api", "nodeID": node, "parameters": {"disableFrontend": "false"}});
        let body = json!({"spec": {"attachmentTickets": {"t": ticket}}});
        asked(&site, "PATCH", &format!("volumeattachments/{name}"), &body).await;
    }
    let healthy =
        |site: &Site| site.list("volumes.longhorn.io").iter().all(|own| own["status"]["robustness"] == "healthy");
    site.until(300, "healthy", healthy).await;
    let seen = watched(site.world()).await;
    if let Some(wrong) = wrong {
        assert!(site.embedded.wrong(wrong));
    }
    site.helm(true, "1.12.1", &json!({})).await.unwrap();
    site.until(900, "all on the new engine", |site| {
        let new = |own: &Value| own["status"]["currentImage"].as_str().is_some_and(|image| image.ends_with("v1.12.1"));
        healthy(site)
            && ["volumes", "engines", "replicas"]
                .iter()
                .all(|kind| site.list(&format!("{kind}.longhorn.io")).iter().all(new))
    })
    .await;
    site.world().pass(Duration::from_secs(60)).await;
    assert!(healthy(&site));
    let seen = seen.lock().unwrap().clone();
    (site, seen)
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_of_the_whole_system_moves_attached_volumes_without_a_crash() {
    let (site, seen) = upgraded(21, None).await;
    for own in &seen {
        match own.text("/kind") {
            "Volume" => assert_eq!(own.text("/status/robustness"), "healthy", "{}", own.at("/status")),
            "Replica" => {
                assert_eq!(own.text("/spec/failedAt"), "");
                assert_ne!(own.text("/status/currentState"), "error");
            }
            _ => {
                let modes = own.at("/status/replicaModeMap").as_object().cloned().unwrap_or_default();
                assert!(modes.values().all(|mode| mode == "RW"), "{modes:?}");
            }
        }
    }
    for replica in site.list("replicas.longhorn.io") {
        assert!(replica["spec"]["active"] == true && replica["status"]["currentState"] == "running");
    }
    assert_eq!(site.list("replicas.longhorn.io").len(), 6);
    let images = site.list("engineimages.longhorn.io");
    assert!(images.iter().all(|own| own["status"]["state"] == "deployed"));
    let managers = site.list("instancemanagers.longhorn.io");
    let new =
        managers.iter().filter(|own| own["spec"]["image"].as_str().is_some_and(|image| image.ends_with("v1.12.1")));
    assert_eq!(new.filter(|own| own["status"]["currentState"] == "running").count(), 3);
    for volume in ["a", "b"] {
        asked(&site, "DELETE", &format!("volumes/{volume}"), &json!({})).await;
    }
    site.until(120, "volumes gone", |site| {
        ["volumes", "engines", "replicas", "volumeattachments"]
            .iter()
            .all(|kind| site.list(&format!("{kind}.longhorn.io")).is_empty())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_the_takeover_is_there_to_be_found() {
    let (_, seen) = upgraded(22, Some("replica-crash-during-takeover")).await;
    let failed: std::collections::BTreeSet<&str> = seen
        .iter()
        .filter(|own| own.text("/kind") == "Replica" && !own.text("/spec/failedAt").is_empty())
        .map(Object::name)
        .collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(seen.iter().any(|own| own.text("/status/robustness") == "degraded"));
}
