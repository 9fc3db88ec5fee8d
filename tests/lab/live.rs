//! A real API server and helm's real binaries, through the port.

use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use kube::runtime::wait::delete::delete_and_finalize;
use lariat::cluster::{ChartRequest, Cluster as _, HelmCall, HelmError, Live, LiveOptions};
use lariat::event::Class;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// A chart with a workload and a hook that takes its time or fails, as its values say.
/// It has nothing that is not in its namespace, so that it can stand beside others.
const TEMPLATE: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {version: {{ .Chart.Version | quote }}, word: {{ .Values.word | quote }}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: 0
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a}}
    spec: {containers: [{name: main, image: "busybox:{{ .Chart.Version }}"}]}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-hook
  annotations: {helm.sh/hook: "post-install,post-upgrade,post-rollback", helm.sh/hook-delete-policy: before-hook-creation}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers:
        - name: hook
          image: busybox:1.36
          imagePullPolicy: IfNotPresent
          command: [sh, -c, 'sleep {{ .Values.seconds }}; echo the hook was told: {{ .Values.code }}; exit {{ .Values.code }}']
"#;

fn lab() -> PathBuf {
    std::env::var_os("LARIAT_LAB_KUBECONFIG").expect("`just lab-test` names the lab's kubeconfig").into()
}

async fn connect(helm: &str, cache: &Path) -> Live {
    let options = LiveOptions {
        kubeconfig: Some(lab()),
        context: "lab".to_owned(),
        helm: helm.into(),
        cache: cache.to_owned(),
        user_agent: "lariat/test".to_owned(),
    };
    Live::connect(options).await.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn the_lab_is_known() {
    let _steady = crate::steady().await;
    let cache = tempfile::tempdir().expect("a folder can be made");
    let live = connect("helm", cache.path()).await;
    let identity = live.identity().expect("a real cluster has an identity");
    assert_eq!((identity.context.as_str(), identity.nodes), ("lab", Some(3)));
    assert!(identity.version.starts_with("v1."), "{}", identity.version);
    assert!(identity.server.starts_with("https://127.0.0.1:"), "{}", identity.server);
}

#[tokio::test]
async fn helm_four_on_a_release_of_its_own() {
    life_of_a_release("helm", "live-helm-four").await;
}

#[tokio::test]
async fn helm_three_on_a_release_of_its_own() {
    life_of_a_release("helm3", "live-helm-three").await;
}

async fn life_of_a_release(binary: &str, namespace: &str) {
    let _steady = crate::steady().await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let chart = |version: &str| {
        let chart = folder.path().join(version);
        std::fs::create_dir_all(chart.join("templates")).expect("a folder can be made");
        let write = |name: &str, text: &str| std::fs::write(chart.join(name), text).expect("a file can be written");
        write("Chart.yaml", &format!("apiVersion: v2\nname: small\nversion: {version}\nappVersion: app-{version}\n"));
        write("values.yaml", "word: none\nseconds: 0\ncode: 0\n");
        write("templates/all.yaml", TEMPLATE);
        chart.to_string_lossy().into_owned()
    };
    let live = connect(binary, &folder.path().join("cache")).await;
    let helm = live.helm();
    let call = || HelmCall {
        namespace: namespace.to_owned(),
        timeout: Duration::from_secs(120),
        no_hooks: false,
        cancel: CancellationToken::new(),
    };
    let request = |version: &str, set: &[(&str, serde_json::Value)]| ChartRequest {
        release: "small".to_owned(),
        chart: chart(version),
        set: set.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
        ..ChartRequest::default()
    };
    let refused = |error: HelmError| (error.class, error.message);
    helm.uninstall("small", &call()).await.expect("an earlier run's release may be left");

    assert_eq!(helm.status("small", &call()).await.expect("helm answers"), None);
    let labels = vec![("lariat.dev/run".to_owned(), "r1".to_owned())];
    let word = json!("a, b = {c}");
    let one = ChartRequest { labels: labels.clone(), ..request("1.0.0", &[("word", word)]) };
    let installed = helm.install(&one, &call()).await.expect("it installs");
    assert_eq!((installed.revision, installed.status.as_str()), (1, "deployed"));
    assert_eq!((installed.chart.as_str(), installed.app_version.as_str()), ("small-1.0.0", "app-1.0.0"));
    assert!(installed.manifest.contains("word: \"a, b = {c}\""), "{}", installed.manifest);
    assert_eq!(installed.hooks[0].phase, "Succeeded");
    let (class, message) = refused(helm.install(&one, &call()).await.expect_err("it is there"));
    assert_eq!(class, Class::Refused, "{message}");

    let status = helm.status("small", &call()).await.expect("helm answers").expect("it is there");
    assert_eq!((status.chart.as_str(), status.app_version.as_str()), ("small-1.0.0", "app-1.0.0"));
    assert_eq!(status.manifest, installed.manifest);
    if binary == "helm" {
        assert_eq!(status.labels, labels);
    }

    // A hook that fails, and one that takes too long: both are named.
    let failing = request("2.0.0", &[("code", json!(3))]);
    let (class, message) = refused(helm.upgrade(&failing, &call()).await.expect_err("the hook fails"));
    assert_eq!(class, Class::Refused, "{message}");
    assert!(message.starts_with("hook `small-hook` (Job, post-install"), "{message}");
    let slow = request("2.0.0", &[("seconds", json!(60))]);
    let hasty = HelmCall { timeout: Duration::from_secs(8), ..call() };
    let (class, message) = refused(helm.upgrade(&slow, &hasty).await.expect_err("the hook is slow"));
    assert_eq!(class, Class::Timeout, "{message}");
    assert!(message.starts_with("hook `small-hook`"), "{message}");

    // A command that is cut short leaves nothing running, and a release that can go on.
    let cut = call();
    let cancel = cut.cancel.clone();
    let later = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        cancel.cancel();
    };
    let (upgraded, ()) = tokio::join!(helm.upgrade(&slow, &cut), later);
    assert_eq!(refused(upgraded.expect_err("it is cut short")).0, Class::Cancelled);

    let two = helm.upgrade(&request("2.0.0", &[]), &call()).await.expect("it upgrades");
    assert!(two.manifest.contains("busybox:2.0.0"));
    let back = helm.rollback("small", Some(1), &call()).await.expect("it goes back");
    assert_eq!((back.revision, back.chart.as_str()), (two.revision + 1, "small-1.0.0"));
    let (class, message) = refused(helm.rollback("small", Some(99), &call()).await.expect_err("there is none"));
    assert_eq!(class, Class::Refused, "{message}");

    assert!(helm.uninstall("small", &call()).await.expect("it uninstalls"));
    assert!(!helm.uninstall("small", &call()).await.expect("there is nothing left"));
    let (class, message) = refused(helm.upgrade(&request("1.0.0", &[]), &call()).await.expect_err("it is gone"));
    assert_eq!(class, Class::Missing, "{message}");
    let (class, message) = refused(
        helm.install(&ChartRequest { chart: "no-such-repo/x".to_owned(), ..one }, &call()).await.expect_err("no chart"),
    );
    assert_eq!(class, Class::Missing, "{message}");

    let namespaces: Api<Namespace> = Api::all(live.client().expect("a real cluster has a client"));
    // Until it is gone, so that the next run finds no namespace that is being taken away.
    delete_and_finalize(namespaces, namespace, &DeleteParams::default()).await.expect("the namespace is ours");
}
