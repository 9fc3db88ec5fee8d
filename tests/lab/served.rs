//! Real kubectl and helm against `lariat sim serve`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: 'busybox:1', command: [sh, -c, 'sleep 100000']}]
";

/// An embedded cluster in a process of its own, and a folder for its clients.
struct Desk {
    folder: TempDir,
    server: Child,
}

impl Desk {
    fn new() -> Self {
        Self::with(&["--speed", "20"], "Ctrl-C")
    }

    /// Ready when it has printed this word.
    fn with(args: &[&str], ready: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut server = Command::new(env!("CARGO_BIN_EXE_lariat"))
            .args(["sim", "serve", "--kubeconfig", "kubeconfig"])
            .args(args)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary can be started");
        let said = BufReader::new(server.stdout.take().expect("stdout is a pipe"));
        let ready = said.lines().map_while(Result::ok).any(|line| line.contains(ready));
        assert!(ready, "the server ended before it could be used");
        Self { folder, server }
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(words)
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .env("HOME", self.folder.path())
            .env_remove("HELM_NAMESPACE")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (program, words) = words.split_first().expect("a line has a word");
        self.command(program, words).output().expect("`just lab-test` puts kubectl and helm on PATH")
    }

    /// What a line that has to succeed prints.
    #[track_caller]
    fn does(&self, line: &str) -> String {
        let output = self.run(line);
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{line}: {stdout}{stderr}");
        stdout.into_owned()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // It has ended already, or its test has failed.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn columns(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn kubectl_does_its_work() {
    let mut desk = Desk::new();
    let file = desk.folder.path().join("web.yaml");
    std::fs::write(&file, WEB).expect("a file can be written");
    let file = file.display();
    assert_eq!(desk.does(&format!("kubectl apply -f {file}")), "deployment.apps/web created\n");
    assert!(desk.does("kubectl rollout status deployment/web --timeout=60s").contains("successfully rolled out"));
    let mut watching = desk
        .command("kubectl", &["get", "pods", "--watch", "--output-watch-events"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("kubectl is on PATH");
    let mut told = BufReader::new(watching.stdout.take().expect("stdout is a pipe")).lines().map_while(Result::ok);
    let first: Vec<String> = told.by_ref().take(4).collect();
    assert!(first[1..].iter().all(|line| columns(line)[0] == "ADDED"), "{first:?}");

    let pods = desk.does("kubectl get pods -l app=web -o name");
    let pod = pods.lines().next().expect("there are three").to_owned();
    assert_eq!(pods.lines().count(), 3);
    let mut inside = desk
        .command("kubectl", &["exec", "-i", &pod, "--", "sh", "-c", "cat; exit 3"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kubectl is on PATH");
    inside.stdin.take().expect("stdin is a pipe").write_all(b"handed in\n").expect("it reads");
    let inside = inside.wait_with_output().expect("it is our child");
    assert_eq!((inside.status.code(), &*inside.stdout), (Some(3), &b"handed in\n"[..]));
    let described = desk.does(&format!("kubectl describe {pod}"));
    assert!(described.contains("Successfully assigned") && described.contains("Started container web"), "{described}");
    desk.does(&format!("kubectl logs {pod}"));

    assert_eq!(desk.does("kubectl scale deployment/web --replicas=1"), "deployment.apps/web scaled\n");
    let deleted = told.find(|line| columns(line)[0] == "DELETED");
    assert!(deleted.is_some(), "a watch tells what scaling takes away");
    watching.kill().expect("it watches until it is ended");
    watching.wait().expect("it is our child");
    let ready = "kubectl wait deployment/web --for=jsonpath={.status.readyReplicas}=1 --timeout=60s";
    assert!(desk.does(ready).contains("condition met"));

    let left = desk.does("kubectl get pods -l app=web -o jsonpath={.items[0].spec.nodeName},{.items[0].metadata.name}");
    let (node, name) = left.split_once(',').expect("one pod is left");
    let drained = desk.does(&format!("kubectl drain {node} --timeout=60s"));
    assert!(drained.contains(&format!("pod/{name} evicted")) && drained.contains("drained"), "{drained}");
    assert!(desk.does("kubectl rollout status deployment/web --timeout=60s").contains("successfully rolled out"));
    assert_ne!(desk.does("kubectl get pods -l app=web -o jsonpath={.items[0].spec.nodeName}"), node);
    desk.does(&format!("kubectl uncordon {node}"));

    assert_eq!(
        desk.does("kubectl delete deployment web --timeout=60s"),
        "deployment.apps \"web\" deleted from default namespace\n"
    );
    desk.does("kubectl wait pods -l app=web --for=delete --timeout=60s");
    assert_eq!(desk.does("kubectl get pods -l app=web -o name"), "");
    let gone = desk.run("kubectl get deployment web");
    assert_eq!(gone.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&gone.stderr),
        "Error from server (NotFound): deployments.apps \"web\" not found\n"
    );

    kill(Pid::from_raw(i32::try_from(desk.server.id()).expect("a pid")), Signal::SIGINT).expect("it runs");
    assert_eq!(desk.server.wait().expect("it is our child").code(), Some(0));
}

#[test]
fn helm_installs_upgrades_and_rolls_back_the_labs_chart() {
    let desk = Desk::new();
    let charts = Path::new(env!("CARGO_MANIFEST_DIR")).join("lab/charts");
    let charts = charts.display();
    let helm = |words: &str| desk.does(&format!("helm {words} --namespace gadget --timeout 60s --wait"));
    assert!(
        helm(&format!("install gadget {charts}/gadget-1.0.0 --create-namespace"))
            .contains("gadget 1.0.0 is put in place")
    );
    let versions = "kubectl get pods -n gadget -l app=gadget-node -o jsonpath={.items[*].metadata.labels.version}";
    assert_eq!(desk.does(versions), "1.0.0 1.0.0 1.0.0");
    helm(&format!("upgrade gadget {charts}/gadget-2.0.0"));
    assert_eq!(desk.does(versions), "2.0.0 2.0.0 2.0.0");
    assert!(helm("rollback gadget 1").contains("Rollback was a success"));
    assert_eq!(desk.does(versions), "1.0.0 1.0.0 1.0.0");
    let history = desk.does("helm history gadget --namespace gadget --output json");
    let history: serde_json::Value = serde_json::from_str(&history).expect("helm prints JSON");
    let told: Vec<_> = history
        .as_array()
        .expect("revisions")
        .iter()
        .map(|one| (&one["revision"], &one["status"], &one["chart"]))
        .collect();
    assert_eq!(
        serde_json::json!(told),
        serde_json::json!([
            [1, "superseded", "gadget-1.0.0"],
            [2, "superseded", "gadget-2.0.0"],
            [3, "deployed", "gadget-1.0.0"],
        ])
    );
    let failing = desk.run(&format!(
        "helm upgrade gadget {charts}/gadget-2.0.0 --set hooks.fail=true --namespace gadget --timeout 60s --wait"
    ));
    assert_eq!(failing.status.code(), Some(1), "a hook that fails is an upgrade that failed");
    let said = String::from_utf8_lossy(&failing.stderr);
    assert!(said.contains("gadget-after") && said.contains("hooks failed"), "{said}");
    assert!(helm("uninstall gadget").contains("uninstalled"));
    // A hook that failed stays behind, also when its release goes.
    desk.does("kubectl wait pods -l app!=gadget-hook -n gadget --for=delete --timeout=60s");
    assert_eq!(desk.does("helm list --short --namespace gadget"), "");
}

const PARROT: &str = "\
apiVersion: longhorn.io/v1beta2
kind: BackingImage
metadata: {name: parrot, namespace: longhorn-system}
spec:
  sourceType: download
  sourceParameters: {url: 'https://longhorn-backing-image.s3-us-west-1.amazonaws.com/parrot.qcow2'}
  checksum: bd79ab9e6d45abf4f3f0adf552a868074dd235c4698ce7258d521160e0ad79ffe555b94e7d4007add6e1a25f4526885eb25c53ce38f7d344dd4925b9f2cb5d3b
  minNumberOfCopies: 3
";

/// Real helm reads the release that the stand-in made, and kubectl shows what Longhorn does, by its own columns.
#[test]
fn kubectl_and_helm_look_at_longhorn() {
    let desk = Desk::with(&["--speed", "60", "--install", "longhorn-system/longhorn-1.12.1"], "is installed in");
    let kubectl = |words: &str| desk.does(&format!("kubectl --namespace longhorn-system {words}"));
    let history = desk.does("helm history longhorn --namespace longhorn-system --output json");
    let history: serde_json::Value = serde_json::from_str(&history).expect("helm prints JSON");
    assert_eq!(
        (history.as_array().map(Vec::len), &history[0]["status"], &history[0]["chart"]),
        (Some(1), &serde_json::json!("deployed"), &serde_json::json!("longhorn-1.12.1"))
    );
    let values = desk.does("helm get values longhorn --all --namespace longhorn-system");
    assert!(values.contains("defaultSettings:"), "{values}");

    for node in ["n1", "n2", "n3"] {
        kubectl(&format!("wait lhn/{node} --for=create --timeout=60s"));
        kubectl(&format!("wait lhn/{node} --for=condition=Ready --timeout=60s"));
    }
    let file = desk.folder.path().join("parrot.yaml");
    std::fs::write(&file, PARROT).expect("a file can be written");
    kubectl(&format!("apply -f {}", file.display()));
    kubectl("wait lhbi/parrot --for=jsonpath={.status.size}=16777216 --timeout=60s");
    let header = |kind: &str| columns(kubectl(&format!("get {kind}")).lines().next().unwrap_or_default()).join(" ");
    assert_eq!(header("lhbi"), "NAME UUID SOURCETYPE SIZE VIRTUALSIZE AGE");
    assert_eq!(header("lhbim"), "NAME STATE IMAGE NODE DISKUUID DISKPATH AGE");
    assert_eq!(header("lhn"), "NAME READY ALLOWSCHEDULING SCHEDULABLE AGE");

    let mut watching = desk
        .command("kubectl", &["--namespace=longhorn-system", "get", "lhbim", "--watch", "--no-headers"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("kubectl is on PATH");
    let told = BufReader::new(watching.stdout.take().expect("stdout is a pipe")).lines().map_while(Result::ok);
    let mut states = told.map(|line| columns(&line)[1].to_owned());
    assert_eq!(states.next().as_deref(), Some("running"));
    kubectl("delete pods -l app=longhorn-manager --grace-period=0 --force");
    assert!(states.any(|state| state == "unknown"), "a watch of kubectl shows what a restart does");
    assert!(states.any(|state| state == "running"), "and that it is over");
    watching.kill().expect("it watches until it is ended");
    watching.wait().expect("it is our child");
}
