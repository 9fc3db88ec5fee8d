//! The sentences and statuses below were printed by helm v4.3.1 on Kubernetes v1.34.4 for
//! a chart with the same objects.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Chart, Charts, Rendered, Rendering, StandInHelm};
use crate::cluster::{ChartRequest, Helm as _, HelmCall, HelmError};
use crate::sim::{Api, Options};

struct Bench {
    api: Api,
    helm: StandInHelm,
    call: HelmCall,
}

/// Two maps and a hook after everything; `two`, `fail` and `a` are values.
fn render(at: &Rendering<'_>) -> Result<Rendered, String> {
    if at.values["refuse"] == true {
        return Err("refuse is true".to_owned());
    }
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": at.values["a"].to_string()}});
    let command = if at.values["fail"] == true { "false" } else { "true" };
    let hook = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "after", "annotations": {
            "helm.sh/hook": "post-install,post-upgrade,post-rollback",
            "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
        }},
        "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i", "command": [command]}]}}},
    });
    let mut objects = vec![hook, map("one")];
    objects.extend((at.values["two"] == true).then(|| map("two")));
    objects.extend(
        (at.values["strange"] == true)
            .then(|| json!({"apiVersion": "x.y/v1", "kind": "Odd", "metadata": {"name": "o"}})),
    );
    Ok(Rendered { objects, notes: format!("hc {} of {}", at.app_version, at.release) })
}

impl Bench {
    fn new() -> Self {
        let api = Api::new(Options::new());
        let mut charts = Charts::default();
        charts.add(Chart {
            name: "hc".into(),
            version: "0.1.0".into(),
            app_version: "1".into(),
            values: json!({"a": 1, "fail": false, "two": true}),
            crds: Vec::new(),
            render: Arc::new(render),
        });
        let call = HelmCall {
            namespace: "store".into(),
            timeout: Duration::from_mins(1),
            no_hooks: false,
            cancel: CancellationToken::new(),
        };
        tokio::spawn(end_jobs(api.clone()));
        Self { helm: StandInHelm::new(api.client_as("helm"), api.clock(), charts), api, call }
    }

    fn request(values: &Value) -> ChartRequest {
        let set = values.as_object().cloned().unwrap_or_default().into_iter().collect();
        ChartRequest { release: "y".into(), chart: "repo/hc".into(), set, ..ChartRequest::default() }
    }

    async fn install(&self, values: &Value) -> Result<u64, HelmError> {
        self.helm.install(&Self::request(values), &self.call).await.map(|release| release.revision)
    }

    async fn upgrade(&self, values: &Value) -> Result<u64, HelmError> {
        self.helm.upgrade(&Self::request(values), &self.call).await.map(|release| release.revision)
    }

    fn maps(&self) -> Vec<String> {
        let maps = self.api.list("configmaps", "store");
        maps.iter().map(|map| format!("{}={}", map["metadata"]["name"], map["data"]["a"])).collect()
    }

    async fn history(&self) -> Vec<String> {
        let ledger = super::ledger::Ledger::new(self.api.client(), "store");
        let history = ledger.history("y").await.unwrap();
        history.iter().map(|it| format!("{} {}: {}", it.version, it.info.status, it.info.description)).collect()
    }
}

/// In place of the job controller: a job ends two seconds after it was made, as its command says.
async fn end_jobs(api: Api) {
    let client = api.client();
    let jobs: kube::Api<k8s_openapi::api::batch::v1::Job> = kube::Api::all(client);
    let mut events = kube::runtime::watcher(jobs, kube::runtime::watcher::Config::default()).boxed();
    while let Some(event) = events.next().await {
        let Ok(kube::runtime::watcher::Event::Apply(job)) = event else { continue };
        if job.status.as_ref().is_some_and(|status| status.conditions.is_some()) {
            continue;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let name = job.metadata.name.unwrap();
        api.change("jobs", "store", &name, |job| {
            let bad = job["spec"]["template"]["spec"]["containers"][0]["command"][0] == "false";
            let kind = if bad { "Failed" } else { "Complete" };
            job["status"] = json!({"conditions": [{"type": kind, "status": "True"}]});
            if bad {
                job["status"]["failed"] = json!(1);
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_from_install_to_uninstall() {
    let bench = Bench::new();
    assert_eq!(bench.install(&json!({})).await.unwrap(), 1);
    let one = bench.api.get("configmaps", "store", "one").unwrap();
    assert_eq!(one["metadata"]["labels"], json!({"app.kubernetes.io/managed-by": "Helm"}));
    assert_eq!(
        one["metadata"]["annotations"],
        json!({"meta.helm.sh/release-name": "y", "meta.helm.sh/release-namespace": "store"})
    );
    assert_eq!(one["metadata"]["managedFields"][0]["manager"], "helm");
    assert!(bench.api.list("jobs", "store").is_empty(), "a hook that succeeded goes");
    let secret = bench.api.get("secrets", "store", "sh.helm.release.v1.y.v1").unwrap();
    assert_eq!(secret["type"], "helm.sh/release.v1");
    assert_eq!(secret["metadata"]["labels"]["status"], "deployed");

    assert_eq!(bench.upgrade(&json!({"a": 2, "two": false})).await.unwrap(), 2);
    assert_eq!(bench.maps(), ["\"one\"=\"2\""]);
    assert_eq!(bench.upgrade(&json!({})).await.unwrap(), 3, "without values the release keeps its own");
    assert_eq!(bench.maps(), ["\"one\"=\"2\""]);
    let back = bench.helm.rollback("y", Some(1), &bench.call).await.unwrap();
    assert_eq!((back.revision, back.description.as_str(), back.notes.as_str()), (4, "Rollback to 1", "hc 1 of y"));
    assert_eq!(bench.maps(), ["\"one\"=\"1\"", "\"two\"=\"1\""]);
    assert_eq!(
        bench.history().await,
        [
            "1 superseded: Install complete",
            "2 superseded: Upgrade complete",
            "3 superseded: Upgrade complete",
            "4 deployed: Rollback to 1",
        ]
    );
    assert!(bench.helm.uninstall("y", &bench.call).await.unwrap());
    assert!(bench.maps().is_empty() && bench.history().await.is_empty());
    assert!(!bench.helm.uninstall("y", &bench.call).await.unwrap());
    assert_eq!(bench.helm.status("y", &bench.call).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_failed_hook_leaves_a_failed_release() {
    let bench = Bench::new();
    let error = bench.install(&json!({"fail": true})).await.unwrap_err();
    insta::assert_snapshot!(format!("{}: {error}", error.class), @"refused: hook `after` (Job, post-install post-upgrade post-rollback) did not succeed: `helm install y`: failed post-install: resource Job/store/after not ready. status: Failed, message: Job Failed. failed: 1/1");
    assert!(bench.api.get("jobs", "store", "after").is_some(), "it stays for its log");
    assert_eq!(bench.upgrade(&json!({"a": 2})).await.unwrap(), 2);
    let error = bench.upgrade(&json!({"fail": true})).await.unwrap_err();
    insta::assert_snapshot!(error, @"hook `after` (Job, post-install post-upgrade post-rollback) did not succeed: `helm upgrade y`: post-upgrade hooks failed: resource Job/store/after not ready. status: Failed, message: Job Failed. failed: 1/1");
    assert_eq!(
        bench.history().await,
        [
            "1 superseded: Release \"y\" failed: failed post-install: resource Job/store/after not ready. status: Failed, message: Job Failed. failed: 1/1",
            "2 deployed: Upgrade complete",
            "3 failed: Upgrade \"y\" failed: post-upgrade hooks failed: resource Job/store/after not ready. status: Failed, message: Job Failed. failed: 1/1",
        ]
    );
    let short = HelmCall { timeout: Duration::from_secs(1), ..bench.call.clone() };
    let error = bench.helm.upgrade(&Bench::request(&json!({})), &short).await.unwrap_err();
    insta::assert_snapshot!(format!("{}: {error}", error.class), @"timeout: hook `after` (Job, post-install post-upgrade post-rollback) did not succeed: `helm upgrade y`: post-upgrade hooks failed: resource Job/store/after not ready. status: InProgress, message: Job in progress; context deadline exceeded");
}

#[tokio::test(start_paused = true)]
async fn what_helm_refuses() {
    let bench = Bench::new();
    let said = |error: HelmError| error.to_string();
    insta::assert_snapshot!(said(bench.upgrade(&json!({})).await.unwrap_err()), @r#"`helm upgrade y`: "y" has no deployed releases; `install = true` installs it where it is not there"#);
    insta::assert_snapshot!(said(bench.install(&json!({"strange": true})).await.unwrap_err()), @r#"`helm install y`: unable to build kubernetes objects from release manifest: resource mapping not found for name: "o" namespace: "" from "": no matches for kind "Odd" in version "x.y/v1"; ensure CRDs are installed first"#);
    insta::assert_snapshot!(said(bench.install(&json!({"refuse": true})).await.unwrap_err()), @"`helm install y`: execution error at (hc/templates): refuse is true");
    assert!(bench.history().await.is_empty() && bench.maps().is_empty());
    bench.install(&json!({})).await.unwrap();
    insta::assert_snapshot!(said(bench.install(&json!({})).await.unwrap_err()), @"`helm install y`: release name check failed: cannot reuse a name that is still in use; uninstall it first, or use `helm-upgrade` with `install = true`");
    insta::assert_snapshot!(said(bench.helm.rollback("y", Some(9), &bench.call).await.unwrap_err()), @"`helm rollback y`: release has no 9 version");
    let other = ChartRequest { release: "z".into(), ..Bench::request(&json!({})) };
    insta::assert_snapshot!(said(bench.helm.install(&other, &bench.call).await.unwrap_err()), @r#"`helm install z`: unable to continue with install: ConfigMap "one" in namespace "store" exists and cannot be imported into the current release: invalid ownership metadata; annotation validation error: key "meta.helm.sh/release-name" must equal "z": current value is "y""#);
    let mine = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "store"}, "data": {"a": "mine"}});
    let maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> = kube::Api::namespaced(bench.api.client(), "store");
    maps.patch("one", &kube::api::PatchParams::apply("me").force(), &kube::api::Patch::Apply(&mine)).await.unwrap();
    insta::assert_snapshot!(said(bench.upgrade(&json!({"a": 5})).await.unwrap_err()), @r#"`helm upgrade y`: conflict occurred while applying object store/one /v1, Kind=ConfigMap: Apply failed with 1 conflict: conflict with "me": .data.a"#);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_cut_short_leaves_a_failed_release_that_can_be_upgraded() {
    let bench = Bench::new();
    bench.install(&json!({})).await.unwrap();
    let cancel = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.call.cancel.cancel();
    };
    let values = json!({"a": 2});
    let (done, ()) = tokio::join!(bench.upgrade(&values), cancel);
    insta::assert_snapshot!(done.unwrap_err(), @"`helm upgrade y` was cut short");
    assert_eq!(bench.history().await[1], "2 failed: Upgrade \"y\" failed: context canceled");
    let call = HelmCall { cancel: CancellationToken::new(), ..bench.call.clone() };
    assert_eq!(bench.helm.upgrade(&Bench::request(&json!({"a": 3})), &call).await.unwrap().revision, 3);
}

#[tokio::test(start_paused = true)]
async fn the_history_has_ten_revisions() {
    let bench = Bench::new();
    bench.install(&json!({})).await.unwrap();
    for a in 0..12 {
        bench.upgrade(&json!({"a": a})).await.unwrap();
    }
    let history = bench.history().await;
    assert_eq!((history.len(), history[9].as_str()), (10, "13 deployed: Upgrade complete"));
}
