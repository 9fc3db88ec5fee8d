use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use serde_json::json;

use super::super::alone::{Alone, told};
use super::super::{helm_install, helm_rollback, helm_uninstall, helm_upgrade};
use super::*;
use crate::cluster::{Answer, Helm};
use crate::plan::verb::{HelmInstall, HelmRollback, HelmUninstall, HelmUpgrade};

const ONE: &str = "
---
# Source: a
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: node}
spec: {template: {spec: {initContainers: [{name: init, image: 'i:1'}], containers: [{name: node, image: 'n:1'}]}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: tidy, namespace: other}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: tidy, image: 't:1'}]}}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: text}
data: {containers: 'image: x'}
";

/// A helm that keeps one release, and goes wrong where a test says so.
#[derive(Clone, Default)]
struct Paper {
    release: Arc<Mutex<Option<Release>>>,
    calls: Arc<Mutex<Vec<String>>>,
    /// What happens to the next installs and upgrades, first one first.
    troubles: Arc<Mutex<Vec<Trouble>>>,
}

#[derive(Clone, Copy)]
enum Trouble {
    /// The command is killed half-way.
    Pending,
    /// A hook fails.
    Hook,
    /// The cluster can't be reached, and nothing is done.
    Unreached,
}

impl Paper {
    fn with(status: &str, revision: u64) -> Self {
        let paper = Self::default();
        *paper.release.lock().unwrap() = Some(release(revision, status, ONE));
        paper
    }

    fn trouble(self, troubles: &[Trouble]) -> Self {
        self.troubles.lock().unwrap().extend(troubles);
        self
    }

    fn say(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }

    fn calls(&self) -> String {
        self.calls.lock().unwrap().join("\n")
    }

    fn put(&self, verb: &str, chart: &ChartRequest) -> Result<Release, HelmError> {
        let labels: Vec<String> = chart.labels.iter().map(|(key, value)| format!(" {key}={value}")).collect();
        self.say(format!("{verb}{}", labels.concat()));
        let trouble = {
            let mut troubles = self.troubles.lock().unwrap();
            if troubles.is_empty() { None } else { Some(troubles.remove(0)) }
        };
        let mut kept = self.release.lock().unwrap();
        let revision = kept.as_ref().map_or(1, |release| release.revision + 1);
        let failed = |class, message: &str, passing| HelmError {
            class,
            message: message.to_owned(),
            stderr: "Error: no".to_owned(),
            passing,
        };
        match trouble {
            None => {
                let next = Release {
                    notes: "be kind\n".to_owned(),
                    ..release(revision, "deployed", &ONE.replace("n:1", "n:2"))
                };
                Ok(kept.insert(next).clone())
            }
            Some(Trouble::Pending) => {
                *kept = Some(release(revision, &format!("pending-{verb}"), ONE));
                Err(failed(Class::Broken, "helm was ended by signal SIGKILL", false))
            }
            Some(Trouble::Hook) => {
                let hook = |name: &str, phase: &str| Hook {
                    name: name.to_owned(),
                    kind: "Job".to_owned(),
                    events: vec![format!("post-{verb}")],
                    phase: phase.to_owned(),
                };
                let hooks = vec![hook("good", "Succeeded"), hook("bad", "Failed"), hook("never", "")];
                *kept = Some(Release { hooks, ..release(revision, "failed", ONE) });
                Err(failed(Class::Refused, "hook `bad` did not succeed", false))
            }
            Some(Trouble::Unreached) => Err(failed(Class::Unreachable, "connection refused", true)),
        }
    }
}

fn release(revision: u64, status: &str, manifest: &str) -> Release {
    Release {
        name: "r".to_owned(),
        namespace: "ns".to_owned(),
        revision,
        status: status.to_owned(),
        description: format!("revision {revision}"),
        chart: format!("c-{revision}.0.0"),
        app_version: String::new(),
        notes: String::new(),
        manifest: manifest.to_owned(),
        hooks: Vec::new(),
        labels: Vec::new(),
    }
}

impl Helm for Paper {
    fn install<'a>(&'a self, chart: &'a ChartRequest, _: &'a HelmCall) -> Answer<'a, Release, HelmError> {
        std::future::ready(self.put("install", chart)).boxed()
    }

    fn upgrade<'a>(&'a self, chart: &'a ChartRequest, _: &'a HelmCall) -> Answer<'a, Release, HelmError> {
        std::future::ready(self.put("upgrade", chart)).boxed()
    }

    fn rollback<'a>(&'a self, _: &'a str, to: Option<u64>, _: &'a HelmCall) -> Answer<'a, Release, HelmError> {
        self.say(format!("rollback to {to:?}"));
        let mut kept = self.release.lock().unwrap();
        let revision = kept.as_ref().expect("there is a release").revision + 1;
        std::future::ready(Ok(kept.insert(release(revision, "deployed", ONE)).clone())).boxed()
    }

    fn uninstall<'a>(&'a self, _: &'a str, _: &'a HelmCall) -> Answer<'a, bool, HelmError> {
        self.say("uninstall".to_owned());
        std::future::ready(Ok(self.release.lock().unwrap().take().is_some())).boxed()
    }

    fn status<'a>(&'a self, _: &'a str, _: &'a HelmCall) -> Answer<'a, Option<Release>, HelmError> {
        std::future::ready(Ok(self.release.lock().unwrap().clone())).boxed()
    }

    fn version(&self) -> Answer<'_, String, HelmError> {
        std::future::ready(Ok("v4.3.1".to_owned())).boxed()
    }
}

fn chart() -> Value {
    json!({ "release": "r", "chart": "repo/c" })
}

async fn install(alone: &mut Alone) -> Result<Done, Error> {
    alone.act::<HelmInstall>(chart(), |args, ctx| helm_install::act(args, ctx).boxed()).await
}

async fn upgrade(alone: &mut Alone) -> Result<Done, Error> {
    alone.act::<HelmUpgrade>(chart(), |args, ctx| helm_upgrade::act(args, ctx).boxed()).await
}

async fn rollback(alone: &mut Alone, arguments: Value) -> Result<Done, Error> {
    alone.act::<HelmRollback>(arguments, |args, ctx| helm_rollback::act(args, ctx).boxed()).await
}

async fn uninstall(alone: &mut Alone, arguments: Value) -> Result<Done, Error> {
    alone.act::<HelmUninstall>(arguments, |args, ctx| helm_uninstall::act(args, ctx).boxed()).await
}

#[test]
fn images_before_and_after() {
    let after = ONE.replace("n:1", "n:2").replace("name: init, image: 'i:1'", "name: first, image: 'i:1'");
    let rows: Vec<String> = images_of(ONE, &after).iter().map(|image| image.row().join(" ")).collect();
    assert_eq!(
        rows,
        [
            "DaemonSet/node first – i:1",
            "DaemonSet/node init i:1 –",
            "DaemonSet/node node n:1 n:2",
            "other/CronJob/tidy tidy t:1 t:1"
        ]
    );
    assert_eq!(images_of("", "not: [yaml"), []);
    let new = images_of("", ONE);
    assert_eq!(new[1].value(), json!({ "object": "DaemonSet/node", "container": "node", "after": "n:1" }));
}

#[tokio::test]
async fn an_install_is_marked_as_ours_and_an_upgrade_is_not() {
    let helm = Paper::default();
    let mut alone = Alone::with_helm(helm.clone());
    let done = install(&mut alone).await.unwrap();
    assert_eq!((&done.outputs["revision"], &done.outputs["status"]), (&json!(1), &json!("deployed")));
    insta::assert_snapshot!(alone.notes(), @"
    chart: c-1.0.0
    revision: 1
    status: deployed (revision 1)
    [images]
    object | container | before | after
    DaemonSet/node | init | – | i:1
    DaemonSet/node | node | – | n:2
    other/CronJob/tidy | tidy | – | t:1
    [notes of the chart]
    be kind
    ");
    let mut alone = Alone::with_helm(helm.clone());
    let done = upgrade(&mut alone).await.unwrap();
    assert_eq!(
        done.outputs["images"][1],
        json!({ "object": "DaemonSet/node", "container": "node", "before": "n:2", "after": "n:2" })
    );
    insta::assert_snapshot!(alone.notes(), @"
    chart: c-1.0.0 → c-2.0.0
    revision: 1 → 2
    status: deployed (revision 2)
    [images]
    object | container | before | after
    DaemonSet/node | init | i:1 | i:1
    DaemonSet/node | node | n:2 | n:2
    other/CronJob/tidy | tidy | t:1 | t:1
    [notes of the chart]
    be kind
    ");
    insta::assert_snapshot!(helm.calls(), @"
    install app.kubernetes.io/managed-by=lariat lariat.dev/run=alone-1
    upgrade
    ");
}

#[tokio::test]
async fn a_failed_hook_leaves_its_evidence() {
    let mut alone = Alone::with_helm(Paper::with("deployed", 4).trouble(&[Trouble::Hook]));
    insta::assert_snapshot!(told(upgrade(&mut alone).await.unwrap_err()), @"
    refused: hook `bad` did not succeed
    Error: no
    ");
    insta::assert_snapshot!(alone.notes(), @"
    revision: 5
    status: failed (revision 5)
    [hooks]
    hook | runs at | ended
    Job/good | post-upgrade | Succeeded
    Job/bad | post-upgrade | Failed
    Job/never | post-upgrade | not run
    ");
}

#[tokio::test]
async fn what_a_cut_upgrade_left_is_rolled_back_first() {
    let helm = Paper::with("deployed", 4).trouble(&[Trouble::Pending]);
    let mut alone = Alone::with_helm(helm.clone());
    upgrade(&mut alone).await.unwrap_err();
    let done = upgrade(&mut alone).await.unwrap();
    assert_eq!(done.outputs["revision"], 7);
    insta::assert_snapshot!(helm.calls(), @"
    upgrade
    rollback to Some(4)
    upgrade
    ");
    assert!(
        alone.notes().contains("(pending-upgrade, revision 5) was rolled back to revision 4 first"),
        "{}",
        alone.notes()
    );
}

#[tokio::test]
async fn what_a_cut_or_failed_install_left_is_uninstalled_first() {
    for trouble in [Trouble::Pending, Trouble::Hook] {
        let helm = Paper::default().trouble(&[trouble]);
        let mut alone = Alone::with_helm(helm.clone());
        install(&mut alone).await.unwrap_err();
        assert_eq!(install(&mut alone).await.unwrap().outputs["revision"], 1);
        assert_eq!(helm.calls().lines().nth(1), Some("uninstall"));
    }
}

#[tokio::test]
async fn what_somebody_else_left_is_not_touched() {
    let helm = Paper::with("pending-upgrade", 4).trouble(&[Trouble::Hook]);
    let mut alone = Alone::with_helm(helm.clone());
    upgrade(&mut alone).await.unwrap_err();
    upgrade(&mut alone).await.unwrap();
    assert_eq!(helm.calls(), "upgrade\nupgrade");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_away_is_waited_for() {
    let helm = Paper::with("deployed", 4).trouble(&[Trouble::Unreached; 3]);
    let mut alone = Alone::with_helm(helm.clone());
    assert_eq!(upgrade(&mut alone).await.unwrap().outputs["revision"], 5);
    let again = alone.notes().lines().filter(|line| line.contains("again: connection refused")).count();
    assert_eq!((again, helm.calls().lines().count()), (1, 4));
    let mut hasty = Alone::with_helm(Paper::with("deployed", 4).trouble(&[Trouble::Unreached; 99]));
    hasty = hasty.within(Duration::from_secs(20));
    assert_eq!(upgrade(&mut hasty).await.unwrap_err().class, Class::Unreachable);
}

#[tokio::test]
async fn a_rollback_goes_to_the_revision_before() {
    let helm = Paper::with("deployed", 4);
    let mut alone = Alone::with_helm(helm.clone());
    let done = rollback(&mut alone, json!({ "release": "r" })).await.unwrap();
    assert_eq!(done.outputs["revision"], 5);
    // A second attempt means the same revision, whatever the first one made.
    rollback(&mut alone, json!({ "release": "r" })).await.unwrap();
    rollback(&mut alone, json!({ "release": "r", "revision": 1 })).await.unwrap();
    assert_eq!(helm.calls(), "rollback to Some(3)\nrollback to Some(3)\nrollback to Some(1)");
}

#[tokio::test]
async fn an_uninstall_wants_something_to_uninstall() {
    let release = json!({ "release": "r" });
    let mut alone = Alone::with_helm(Paper::with("deployed", 4));
    uninstall(&mut alone, release.clone()).await.unwrap();
    uninstall(&mut alone, release.clone()).await.expect("an attempt before this one did it");
    let mut alone = Alone::with_helm(Paper::default());
    insta::assert_snapshot!(told(uninstall(&mut alone, release).await.unwrap_err()), @"
    missing: there is no release `r` to uninstall
    expected a release, or `ignore-not-found = true`
    ");
    let mut alone = Alone::with_helm(Paper::default());
    uninstall(&mut alone, json!({ "release": "r", "ignore-not-found": true })).await.unwrap();
}

#[tokio::test]
async fn files_beside_the_plan() {
    let alone = Alone::new();
    alone.file("charts/c/Chart.yaml", "");
    alone.file("values.yaml", "");
    let request = |arguments: Value| {
        let mut all = chart();
        all.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
        let args: HelmInstall = serde_json::from_value(all).unwrap();
        let settings = ChartSettings {
            chart: &args.chart,
            repo: args.repo.as_ref(),
            version: args.version.as_ref(),
            values: &args.values,
            set: &args.set,
        };
        settings.request("r", &alone.ctx).map_err(told)
    };
    let folder = alone.folder.path();
    let beside =
        request(json!({ "chart": "charts/c", "values": ["values.yaml"], "set": { "a.b": [1] }, "version": "" }))
            .unwrap();
    assert_eq!(beside.chart, folder.join("charts/c").to_string_lossy());
    assert_eq!((beside.values, beside.set), (vec![folder.join("values.yaml")], vec![("a.b".to_owned(), json!([1]))]));
    assert_eq!(beside.version, None);
    assert_eq!(request(json!({})).unwrap().chart, "repo/c");
    assert_eq!(request(json!({ "chart": "charts/c", "repo": "https://x" })).unwrap().chart, "charts/c");
    insta::assert_snapshot!(request(json!({ "chart": "./gone" })).unwrap_err(), @"missing: the chart `./gone` is not there");
    insta::assert_snapshot!(request(json!({ "values": ["gone.yaml"] })).unwrap_err(), @"missing: the values file `gone.yaml` is not there");
}
