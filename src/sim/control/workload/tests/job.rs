use std::time::Duration;

use serde_json::json;

use super::super::super::kind::Kind;
use super::super::super::object::Object;
use super::super::super::stage::{Stage, pod_story, pods_in_order};
use crate::sim::{Behaviour, Span};

fn job(name: &str, more: &str) -> String {
    format!(
        "{{apiVersion: batch/v1, kind: Job, metadata: {{name: {name}}}, spec: {{{more} template: {{spec: {{restartPolicy: Never, \
         containers: [{{name: c, image: '{name}:1'}}]}}}}}}}}"
    )
}

async fn stage(code: i32) -> Stage {
    let stage = Stage::new(5, &[Kind::POD, Kind::JOB, Kind::EVENT]).await;
    stage.world.image("task", Behaviour::ends(Span::millis(1000, 1000), code));
    stage.world.machines().preload("task:1");
    stage
}

/// What a job's status says, in a few words.
fn line(job: &Object) -> String {
    let mut words: Vec<String> = Vec::new();
    for field in ["active", "ready", "failed", "succeeded"] {
        let count = job.count(&format!("/status/{field}"));
        if count > 0 {
            words.push(format!("{field}={count}"));
        }
    }
    for field in ["failed", "succeeded"] {
        let uncounted = job.items(&format!("/status/uncountedTerminatedPods/{field}")).len();
        if uncounted > 0 {
            words.push(format!("uncounted-{field}={uncounted}"));
        }
    }
    let conditions = job.items("/status/conditions").iter();
    words.extend(conditions.map(|own| own["type"].as_str().unwrap().to_owned()));
    words.join(" ")
}

fn story(stage: &Stage) -> Vec<String> {
    let mut story: Vec<String> = stage.seen(&Kind::JOB).iter().map(|seen| line(&seen.object)).collect();
    story.dedup();
    story
}

/// Lab, with backoffLimit 1: active; the failed pod uncounted, then counted; 10 s after its end the second;
/// with its end `FailureTarget` while it is uncounted, then `Failed`. (The lab's job showed `ready` between.)
#[tokio::test(start_paused = true)]
async fn a_failing_job_counts_and_gives_up() {
    let stage = stage(3).await;
    stage.apply(&job("task", "backoffLimit: 1,")).await;
    stage.until(&Kind::JOB, |jobs| jobs[0].is("Failed")).await;
    insta::assert_snapshot!(story(&stage).join("\n"), @r"

    active=1
    active=1 ready=1
    active=1
    uncounted-failed=1
    failed=1
    active=1 failed=1
    active=1 ready=1 failed=1
    active=1 failed=1
    failed=1 uncounted-failed=1 FailureTarget
    failed=2 FailureTarget Failed
    ");
    let seen = stage.seen(&Kind::POD);
    let pods = pods_in_order(&seen);
    insta::assert_snapshot!(pod_story(&seen, &pods[0]).join("\n"), @r"
    added Pending nowhere
    modified Pending
    modified Pending waiting(ContainerCreating)
    modified Running running ready
    modified Running terminated(Error)
    modified Failed terminated(Error)
    ");
    let born: Vec<Duration> = seen.iter().filter(|seen| seen.kind == "ADDED").map(|seen| seen.at).collect();
    let wait = born[1].saturating_sub(born[0]);
    assert!((Duration::from_secs(11)..Duration::from_secs(15)).contains(&wait), "{wait:?}");
    // Its end is told when it is written down.
    stage.until(&Kind::EVENT, |told| told.iter().any(|own| own.text("/reason") == "BackoffLimitExceeded")).await;
    assert!(stage.objects(&Kind::POD).iter().all(|pod| pod.items("/metadata/finalizers").is_empty()));
}

/// Lab: `SuccessCriteriaMet` while the pod is uncounted, then `Complete` with it counted.
#[tokio::test(start_paused = true)]
async fn a_job_completes_and_goes_in_time() {
    let stage = stage(0).await;
    stage.apply(&job("task", "completions: 3, parallelism: 2, ttlSecondsAfterFinished: 20,")).await;
    stage.until(&Kind::JOB, |jobs| jobs[0].is("Complete")).await;
    let done = &stage.objects(&Kind::JOB)[0];
    assert_eq!((done.count("/status/succeeded"), done.count("/status/active")), (3, 0));
    assert!(!done.text("/status/completionTime").is_empty());
    let most = stage.seen(&Kind::JOB).iter().map(|seen| seen.object.count("/status/active")).max();
    assert_eq!(most, Some(2));
    assert!(stage.told().contains(&"Job Completed".to_owned()));
    let took = stage.until(&Kind::JOB, <[Object]>::is_empty).await;
    assert!((Duration::from_secs(19)..Duration::from_secs(23)).contains(&took), "{took:?}");
    stage.until(&Kind::POD, <[Object]>::is_empty).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_takes_too_long_fails_and_its_pods_go() {
    let stage = stage(0).await;
    stage.world.image("task", Behaviour::sleeps());
    stage.apply(&job("task", "activeDeadlineSeconds: 30,")).await;
    let took = stage.until(&Kind::JOB, |jobs| jobs[0].is("Failed")).await;
    assert!((Duration::from_secs(29)..Duration::from_secs(35)).contains(&took), "{took:?}");
    let conditions = stage.objects(&Kind::JOB)[0].condition("Failed").unwrap().clone();
    assert_eq!(conditions["reason"], "DeadlineExceeded");
    stage.until(&Kind::POD, <[Object]>::is_empty).await;
}

#[tokio::test(start_paused = true)]
async fn a_cron_job_makes_jobs_by_the_clock() {
    let stage = stage(0).await;
    stage
        .apply(
            "{apiVersion: batch/v1, kind: CronJob, metadata: {name: tick}, spec: {schedule: '*/5 * * * *', \
             successfulJobsHistoryLimit: 2, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, \
             containers: [{name: c, image: 'task:1'}]}}}}}}",
        )
        .await;
    tokio::time::sleep(Duration::from_secs(25 * 60 + 30)).await;
    let made = stage.seen(&Kind::JOB).iter().filter(|seen| seen.kind == "ADDED").count();
    assert_eq!(made, 5);
    assert_eq!(stage.objects(&Kind::JOB).len(), 2);
    let last = stage.objects(&Kind::CRON_JOB)[0].text("/status/lastScheduleTime").to_owned();
    assert_eq!(last, "2026-01-01T00:25:00Z");
}

/// Lab: a container that ends is started again at once, then after 10 s, 20 s; its status says
/// `CrashLoopBackOff` in between, and how it ended before that.
#[tokio::test(start_paused = true)]
async fn a_crashing_container_backs_off() {
    let stage = stage(2).await;
    stage
        .apply("{apiVersion: v1, kind: Pod, metadata: {name: crash}, spec: {containers: [{name: c, image: 'task:1'}]}}")
        .await;
    stage.until(&Kind::POD, |pods| pods[0].at("/status/containerStatuses/0/restartCount") == &json!(3)).await;
    let seen = stage.seen(&Kind::POD);
    insta::assert_snapshot!(pod_story(&seen, "crash").join("\n"), @r"
    added Pending nowhere
    modified Pending
    modified Pending waiting(ContainerCreating)
    modified Running running ready
    modified Running terminated(Error)
    modified Running waiting(ContainerCreating)
    modified Running running ready
    modified Running terminated(Error)
    modified Running waiting(CrashLoopBackOff)
    modified Running waiting(ContainerCreating)
    modified Running running ready
    modified Running terminated(Error)
    modified Running waiting(CrashLoopBackOff)
    modified Running waiting(ContainerCreating)
    ");
    let starts: Vec<Duration> = seen
        .iter()
        .filter(|seen| {
            seen.object.at("/status/containerStatuses/0/state/running").is_object() && seen.object.is("Ready")
        })
        .map(|seen| seen.at)
        .collect();
    let gaps: Vec<u64> = starts.windows(2).map(|pair| pair[1].saturating_sub(pair[0]).as_secs()).collect();
    assert!((1..4).contains(&gaps[0]) && (11..18).contains(&gaps[1]), "{gaps:?}");
}
