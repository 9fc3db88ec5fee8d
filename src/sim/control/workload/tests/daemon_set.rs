use std::time::Duration;

use serde_json::json;

use super::super::super::kind::Kind;
use super::super::super::object::Object;
use super::super::super::stage::{Stage, pod_story, pods_in_order};
use crate::sim::{Behaviour, Span};

const SET: &str = r"
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: d}
spec:
  selector: {matchLabels: {app: d}}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 1}}
  template:
    metadata: {labels: {app: d}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: c
        image: gadget:1
        readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1, failureThreshold: 1}
";

async fn stage(seed: u64) -> Stage {
    let stage = Stage::new(seed, &[Kind::POD, Kind::DAEMON_SET, Kind::EVENT]).await;
    stage.world.image("gadget", Behaviour::ready_after(Span::millis(4000, 4200)));
    stage.world.machines().preload("gadget:1");
    stage.apply(SET).await;
    stage
}

fn ready(sets: &[Object]) -> bool {
    sets.iter().all(|set| {
        set.count("/status/numberReady") == 3
            && set.count("/status/updatedNumberScheduled") == 3
            && set.count("/status/observedGeneration") == set.generation()
            && set.count("/status/numberAvailable") == 3
    })
}

/// Lab: 1.0 to 1.7 s from a pod's creation until it runs, then what the program takes.
#[tokio::test(start_paused = true)]
async fn a_pod_comes_up_as_on_the_lab() {
    let stage = stage(1).await;
    let took = stage.until(&Kind::DAEMON_SET, ready).await;
    assert!((Duration::from_secs(5)..Duration::from_secs(8)).contains(&took), "{took:?}");
    let seen = stage.seen(&Kind::POD);
    let first = &pods_in_order(&seen)[0];
    insta::assert_snapshot!(pod_story(&seen, first).join("\n"), @r"
    added Pending nowhere
    modified Pending
    modified Pending waiting(ContainerCreating)
    modified Running running
    modified Running running ready
    ");
}

/// Lab, in this order for each node in turn: the old pod is marked with its grace of 5 s; its container
/// ends and it is Succeeded; the new pod is created before the old one is gone; the next node's turn
/// comes when the new one is ready.
#[tokio::test(start_paused = true)]
async fn a_rollout_replaces_one_after_another() {
    let stage = stage(1).await;
    stage.until(&Kind::DAEMON_SET, ready).await;
    let old = pods_in_order(&stage.seen(&Kind::POD));
    let body = json!({"spec": {"template": {"metadata": {"annotations": {"v": "2"}}}}});
    stage.patch(&Kind::DAEMON_SET, "d", body).await;
    stage.until(&Kind::DAEMON_SET, ready).await;
    tokio::time::sleep(Duration::from_secs(3)).await;

    let seen = stage.seen(&Kind::POD);
    let all = pods_in_order(&seen);
    assert_eq!(all.len(), 6);
    let gone: Vec<&String> = old.iter().collect();
    insta::assert_snapshot!(pod_story(&seen, gone[0]).split_off(4).join("\n"), @r"
    modified Running running ready
    modified Running running ready terminating(5)
    modified Succeeded terminated(Completed) terminating(5)
    modified Succeeded terminated(Completed) terminating(0)
    deleted Succeeded terminated(Completed) terminating(0)
    ");
    // Never more than one is missing.
    let at = |name: &str, word: &str| {
        let story = seen.iter().enumerate().filter(|(_, seen)| seen.object.name() == name);
        story
            .map(|(at, seen)| (at, super::super::super::stage::pod_line(seen)))
            .find(|(_, line)| line.contains(word))
            .unwrap()
            .0
    };
    let node = |name: &str| {
        seen.iter().rev().find(|seen| seen.object.name() == name).unwrap().object.text("/spec/nodeName").to_owned()
    };
    let mut turns: Vec<(usize, usize)> = Vec::new();
    for old in &old {
        let new = all[3..].iter().find(|new| node(new) == node(old)).unwrap();
        assert!(at(old, "terminating(5)") < at(old, "Succeeded"));
        assert!(at(old, "Succeeded") < at(new, "added"));
        assert!(at(new, "added") < at(old, "deleted"), "the lab makes the new one while the old one is taken down");
        turns.push((at(old, "terminating(5)"), at(new, "ready")));
    }
    turns.sort_unstable();
    assert!(turns.windows(2).all(|pair| pair[0].1 < pair[1].0), "one after another: {turns:?}");
    let told = stage.told();
    let count = |what: &str| told.iter().filter(|told| *told == what).count();
    assert_eq!((count("DaemonSet SuccessfulCreate"), count("DaemonSet SuccessfulDelete")), (6, 3));
    assert_eq!((count("Pod Scheduled"), count("Pod Killing"), count("Pod Started")), (6, 3, 6));
}

/// Lab: each pod is marked with no grace and gone in the same moment; its successor is created at once,
/// while the old container still runs on the node; the kubelet tells of the killing.
#[tokio::test(start_paused = true)]
async fn a_force_deletion_of_all_replaces_all_at_once() {
    let stage = stage(1).await;
    stage.until(&Kind::DAEMON_SET, ready).await;
    let old = pods_in_order(&stage.seen(&Kind::POD));
    let began = stage.world.clock().elapsed().duration();
    for name in &old {
        stage.delete(&Kind::POD, name, json!({"gracePeriodSeconds": 0})).await;
    }
    stage.until(&Kind::DAEMON_SET, |sets| !ready(sets)).await;
    let took = stage.until(&Kind::DAEMON_SET, ready).await;
    assert!((Duration::from_secs(5)..Duration::from_secs(8)).contains(&took), "{took:?}");
    let seen = stage.seen(&Kind::POD);
    for name in &old {
        let story = pod_story(&seen, name);
        assert_eq!(
            story[story.len() - 2..],
            ["modified Running running ready terminating(0)", "deleted Running running ready terminating(0)"]
        );
    }
    let new: Vec<_> = seen.iter().filter(|seen| seen.kind == "ADDED" && seen.at >= began).collect();
    assert_eq!(new.len(), 3);
    assert!(
        new.iter().all(|seen| seen.at.saturating_sub(began) < Duration::from_millis(200)),
        "{:?}",
        new.iter().map(|seen| seen.at.saturating_sub(began)).collect::<Vec<_>>()
    );
    assert_eq!(stage.told().iter().filter(|told| *told == "Pod Killing").count(), 3);
}

/// Twenty seeds: the rollout of three always completes, and takes what three times a termination,
/// a start of about 1.3 s and a readiness of 4 s take.
#[test]
fn rollouts_complete_whatever_the_seed() {
    let mut spans: Vec<Duration> = Vec::new();
    for seed in 0..20 {
        let runtime = crate::sim::World::runtime().unwrap();
        spans.push(runtime.block_on(async {
            let stage = stage(seed).await;
            stage.until(&Kind::DAEMON_SET, ready).await;
            let body = json!({"spec": {"template": {"metadata": {"annotations": {"v": "2"}}}}});
            stage.patch(&Kind::DAEMON_SET, "d", body).await;
            stage.until(&Kind::DAEMON_SET, ready).await
        }));
    }
    spans.sort();
    let (least, most) = (spans[0], spans[19]);
    assert!(least > Duration::from_secs(15) && most < Duration::from_secs(24), "{least:?} to {most:?}");
    assert!(most.saturating_sub(least) > Duration::from_millis(200), "seeds differ: {spans:?}");
}

/// The same seed twice gives the same requests, byte for byte.
#[test]
fn the_same_seed_does_the_same() {
    let ledger = |seed| {
        let runtime = crate::sim::World::runtime().unwrap();
        runtime.block_on(async {
            let stage = stage(seed).await;
            stage.until(&Kind::DAEMON_SET, ready).await;
            let body = json!({"spec": {"template": {"metadata": {"annotations": {"v": "2"}}}}});
            stage.patch(&Kind::DAEMON_SET, "d", body).await;
            stage.until(&Kind::DAEMON_SET, ready).await;
            let requests = stage.world.api().requests();
            let lines: Vec<String> =
                requests.iter().map(|request| format!("{:?} {} {request}", request.at, request.agent)).collect();
            (lines.join("\n"), json!(stage.world.api().list("pods", "")).to_string())
        })
    };
    let (one, two) = (ledger(7), ledger(7));
    assert_eq!(one, two);
    assert_ne!(one, ledger(8));
}

#[tokio::test(start_paused = true)]
async fn on_delete_waits_and_surge_goes_ahead() {
    let stage = stage(3).await;
    stage.until(&Kind::DAEMON_SET, ready).await;
    let body = json!({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": null},
        "template": {"metadata": {"annotations": {"v": "2"}}}}});
    stage.patch(&Kind::DAEMON_SET, "d", body).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(pods_in_order(&stage.seen(&Kind::POD)).len(), 3);
    assert_eq!(stage.objects(&Kind::DAEMON_SET)[0].count("/status/updatedNumberScheduled"), 0);

    let surge = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    stage.patch(&Kind::DAEMON_SET, "d", json!({"spec": {"updateStrategy": surge}})).await;
    let least = std::cell::Cell::new(3);
    stage
        .until(&Kind::DAEMON_SET, |sets| {
            least.set(least.get().min(sets[0].count("/status/numberAvailable")));
            ready(sets)
        })
        .await;
    assert_eq!(least.get(), 3, "with surge none is missing at any time");
}
