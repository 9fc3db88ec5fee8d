//! The real kubectl against the embedded API server, over a port.

use std::process::Stdio;
use std::time::Duration;

use lariat::sim::{Answer, Api, Exec, Options, Served};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

struct Desk {
    folder: TempDir,
    api: Api,
    _served: Served,
}

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let api = Api::new(Options::new());
        let served = api.serve().await.expect("a loopback port can be opened");
        served.write_kubeconfig(&folder.path().join("kubeconfig"), "embedded").expect("a file can be written");
        Self { folder, api, _served: served }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file can be written");
        path.to_string_lossy().into_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .args(arguments)
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        let output = tokio::time::timeout(Duration::from_secs(60), self.command(arguments).output()).await;
        let output = output
            .unwrap_or_else(|_| panic!("kubectl {arguments:?} does not end"))
            .expect("`just lab-test` puts kubectl on PATH");
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What a command that has to succeed prints.
    async fn does(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments).await;
        assert_eq!(ran.code, Some(0), "kubectl {arguments:?}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }
}

/// The words of each line.
fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: 'web:1'}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue}
";

const DISKS: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: disks.store.example}
spec:
  group: store.example
  scope: Namespaced
  names: {kind: Disk, plural: disks, shortNames: [dk]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Size, type: string, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties: {size: {type: string, description: How much fits on it.}}
";

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_shows_changes_and_deletes() {
    let desk = Desk::new().await;
    let web = desk.file("web.yaml", WEB);
    assert_eq!(desk.does(&["apply", "-f", &web]).await, "deployment.apps/web created\nconfigmap/settings created\n");
    assert_eq!(
        desk.does(&["apply", "-f", &web]).await,
        "deployment.apps/web unchanged\nconfigmap/settings unchanged\n"
    );
    let three = desk.file("three.yaml", &WEB.replace("replicas: 2", "replicas: 3"));
    assert!(desk.does(&["apply", "-f", &three]).await.starts_with("deployment.apps/web configured\n"));
    let applied = desk.does(&["apply", "--server-side", "--force-conflicts", "-f", &three]).await;
    assert!(applied.contains("deployment.apps/web serverside-applied"), "{applied}");

    let table = desk.does(&["get", "deploy"]).await;
    assert_eq!(words(&table)[0], ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]);
    assert_eq!(words(&table)[1][..4], ["web", "0/3", "0", "0"]);
    assert_eq!(desk.does(&["scale", "deploy/web", "--replicas=5"]).await, "deployment.apps/web scaled\n");
    assert_eq!(desk.does(&["get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"]).await, "5");
    desk.does(&["wait", "deploy/web", "--for=jsonpath={.spec.replicas}=5", "--timeout=20s"]).await;

    let wrong = desk.file("wrong.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, dat: {a: b}}");
    let refused = desk.run(&["apply", "-f", &wrong]).await;
    assert!(refused.stderr.contains("unknown field \"dat\""), "{}", refused.stderr);
    let explained = desk.does(&["explain", "pod.spec.containers.image"]).await;
    assert!(explained.contains("FIELD: image <string>"), "{explained}");

    assert_eq!(
        desk.does(&["delete", "cm", "settings"]).await.lines().next(),
        Some("configmap \"settings\" deleted from default namespace")
    );
    let gone = desk.run(&["get", "cm", "settings"]).await;
    assert_eq!(
        (gone.code, gone.stderr.trim()),
        (Some(1), "Error from server (NotFound): configmaps \"settings\" not found")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_knows_custom_resources() {
    let desk = Desk::new().await;
    let disks = desk.file("disks.yaml", DISKS);
    desk.does(&["apply", "-f", &disks]).await;
    desk.does(&["wait", "crd/disks.store.example", "--for=condition=Established", "--timeout=20s"]).await;
    let disk =
        desk.file("disk.yaml", "{apiVersion: store.example/v1, kind: Disk, metadata: {name: d}, spec: {size: 1Gi}}");
    assert_eq!(desk.does(&["apply", "-f", &disk]).await, "disk.store.example/d created\n");
    let table = desk.does(&["get", "dk"]).await;
    assert_eq!(words(&table), [["NAME", "SIZE"], ["d", "1Gi"]]);
    let wrong = desk.file("wrong.yaml", "{apiVersion: store.example/v1, kind: Disk, metadata: {name: e}, spec: {}}");
    let refused = desk.run(&["apply", "-f", &wrong]).await;
    assert!(refused.stderr.contains("spec.size: Required value"), "{}", refused.stderr);
    let explained = desk.does(&["explain", "disks.spec"]).await;
    assert!(explained.contains("How much fits on it."), "{explained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_reaches_into_pods_and_watches_them() {
    let desk = Desk::new().await;
    let pod = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"nodeName": "n1", "containers": [{"name": "main", "image": "db:1"}]},
            "status": {
                "phase": "Running",
                "containerStatuses": [{
                    "name": "main", "image": "db:1", "imageID": "", "ready": true, "restartCount": 0,
                    "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                }],
            },
        })
    };
    desk.api.put(pod("a")).expect("a pod can be put");
    desk.api.program("db", |exec: &Exec| match exec.command.join(" ").as_str() {
        "sh -c exit 3" => Answer::fails(3, "no"),
        other => Answer::prints(format!("{other}\n")),
    });
    desk.api.print("default", "a", "one");
    desk.api.print("default", "a", "two");

    assert_eq!(desk.does(&["logs", "a", "--tail=1"]).await, "two\n");
    assert_eq!(desk.does(&["exec", "a", "--", "say", "hello"]).await, "say hello\n");
    assert_eq!(desk.run(&["exec", "a", "--", "sh", "-c", "exit 3"]).await.code, Some(3));
    let table = desk.does(&["get", "pods"]).await;
    assert_eq!(words(&table)[0], ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
    assert_eq!(words(&table)[1][..4], ["a", "1/1", "Running", "0"]);
    let described = desk.does(&["describe", "pod", "a"]).await;
    assert!(described.contains("Image:") && described.contains("db:1"), "{described}");

    let mut watch = desk
        .command(&["get", "pods", "--watch"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("`just lab-test` puts kubectl on PATH");
    let mut lines = tokio::io::BufReader::new(watch.stdout.take().expect("its output is a pipe"));
    let mut seen = String::new();
    while words(&seen).len() < 2 {
        tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut seen).await.expect("kubectl goes on printing");
    }
    desk.api.put(pod("b")).expect("a pod can be put");
    while words(&seen).len() < 3 {
        tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut seen).await.expect("kubectl goes on printing");
    }
    assert_eq!(words(&seen)[2][..3], ["b", "1/1", "Running"]);
    watch.kill().await.expect("a watch can be ended");
    assert_eq!(
        desk.does(&["delete", "pod", "b", "--now"]).await.lines().next(),
        Some("pod \"b\" deleted from default namespace")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_is_told_what_is_not_imitated_and_what_is_not_served() {
    let desk = Desk::new().await;
    let refused = async |arguments: &[&str]| {
        let ran = desk.run(arguments).await;
        assert_eq!(ran.code, Some(1), "kubectl {arguments:?}: {}", ran.stdout);
        ran.stderr
    };
    for (arguments, what) in [
        (&["create", "token", "default"][..], "`serviceaccounts/token`"),
        (&["get", "--raw", "/api/v1/namespaces/default/services/web/proxy"], "`services/proxy`"),
    ] {
        let said = refused(arguments).await;
        let expected = format!("the embedded API server does not imitate {what}; a real cluster does");
        assert!(said.contains(&expected) && said.contains("--context"), "{said}");
    }
    let said = refused(&["get", "flowschemas"]).await;
    assert!(said.contains("the server doesn't have a resource type \"flowschemas\""), "{said}");
    let said = refused(&["get", "--raw", "/apis/flowcontrol.apiserver.k8s.io/v1"]).await;
    assert!(said.contains("(NotFound): the server could not find the requested resource"), "{said}");
    let said = refused(&["get", "--raw", "/nothing/here"]).await;
    assert!(said.contains("(NotFound)"), "{said}");
}
