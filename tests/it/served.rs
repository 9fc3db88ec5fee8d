//! `lariat sim serve`: the embedded cluster as other programs meet it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use futures::TryStreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{AttachParams, DeleteParams, ListParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher;
use kube::{Api, Client, Config};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::support::Bench;

/// The server as a child; killed if a test leaves it.
struct Served {
    child: Child,
    said: Vec<String>,
    kubeconfig: PathBuf,
}

impl Served {
    /// Starts it and waits until it says that it can be used.
    fn start(bench: &Bench, args: &[&str]) -> Self {
        let mut command = bench.command(["sim", "serve", "--speed", "50"].iter().chain(args));
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary can be started");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut said = Vec::new();
        for line in stdout.lines() {
            let line = line.expect("it prints UTF-8");
            let last = line.starts_with("Ctrl-C");
            said.push(line);
            if last {
                break;
            }
        }
        let word = |name: &str| said.iter().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
        let kubeconfig = bench.path().join(word("kubeconfig").expect("it names its kubeconfig"));
        Self { child, said, kubeconfig }
    }

    async fn client(&self) -> Client {
        let config = Kubeconfig::read_from(&self.kubeconfig).expect("the kubeconfig is one");
        let options = KubeConfigOptions { context: Some("embedded".to_owned()), ..KubeConfigOptions::default() };
        let config = Config::from_custom_kubeconfig(config, &options).await.expect("it has the context");
        Client::try_from(config).expect("a client can be made")
    }

    fn end(mut self, signal: Signal) -> ExitStatus {
        kill(Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")), signal).expect("it runs");
        self.child.wait().expect("it is our child")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended already, or its test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn web(replicas: i32) -> Patch<serde_json::Value> {
    Patch::Apply(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "web", "image": "web:1"}]},
            },
        },
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_other_processes_watch_apply_and_exec() {
    let bench = Bench::new();
    let served = Served::start(&bench, &[]);
    assert_eq!(served.said[0], "embedded cluster, virtual time, seed 1, at 50x real time");
    let client = served.client().await;
    let nodes: Api<Node> = Api::all(client.clone());
    assert_eq!(nodes.list(&ListParams::default()).await.expect("nodes are listed").items.len(), 3);

    // The store follows through kube's own watcher, and is whole when three pods are ready.
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let (store, writer) = reflector::store();
    let following = reflector::reflector(writer, watcher(pods.clone(), watcher::Config::default().labels("app=web")));
    let mut seen = Box::pin(following);
    let deployments: Api<Deployment> = Api::default_namespaced(client);
    deployments.patch("web", &PatchParams::apply("test"), &web(3)).await.expect("it is applied");
    let mut ready = BTreeMap::new();
    let all_ready = async {
        while let Some(event) = seen.try_next().await.expect("the watch goes on") {
            let (watcher::Event::InitApply(pod) | watcher::Event::Apply(pod)) = event else { continue };
            let name = pod.metadata.name.clone().expect("a pod has a name");
            let conditions = pod.status.and_then(|status| status.conditions).unwrap_or_default();
            let is_ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
            ready.insert(name, is_ready);
            if ready.values().filter(|is| **is).count() == 3 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all_ready).await.expect("three pods become ready");
    assert_eq!(store.state().len(), 3);
    let name = ready.keys().next().expect("there are three").clone();
    assert!(store.get(&ObjectRef::new(&name).within("default")).is_some());

    let command = ["sh", "-c", "echo inside; exit 3"];
    let mut inside = pods.exec(&name, command, &AttachParams::default()).await.expect("exec is answered");
    let mut text = String::new();
    inside.stdout().expect("stdout was asked for").read_to_string(&mut text).await.expect("it ends");
    let status = inside.take_status().expect("it has one").await.expect("a command ends with a status");
    assert_eq!((text.as_str(), status.reason.as_deref()), ("inside\n", Some("NonZeroExitCode")));

    deployments.delete("web", &DeleteParams::background()).await.expect("it is deleted");
    let gone = async {
        while !store.state().is_empty() {
            seen.try_next().await.expect("the watch goes on");
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("the pods go, and the store knows");

    let kubeconfig = served.kubeconfig.clone();
    assert_eq!(served.end(Signal::SIGINT).code(), Some(0));
    assert!(!kubeconfig.exists(), "what it wrote goes with it");
}

#[test]
fn the_kubeconfig_is_never_somebody_elses() {
    let bench = Bench::new();
    let own = bench.write("own", "apiVersion: v1\nkind: Config\n");
    bench
        .lariat(["sim", "serve", "--kubeconfig", "own"])
        .expect(2, &["`own` is there and not from `lariat sim serve`", "left alone"]);
    assert_eq!(fs::read_to_string(own).expect("it is there"), "apiVersion: v1\nkind: Config\n");
    // What an earlier one left behind is written over; nothing else in the folder is touched.
    let ours = bench.write("ours", "# Written by `lariat sim serve`, and removed when it ends.\n");
    let served = Served::start(&bench, &["--kubeconfig", "ours", "--seed", "7"]);
    assert!(served.said[0].contains("seed 7"), "{:?}", served.said);
    let text = fs::read_to_string(&ours).expect("it is there");
    assert!(text.contains("current-context: embedded") && text.contains("http://127.0.0.1:"), "{text}");
    assert_eq!(served.end(Signal::SIGTERM).code(), Some(0));
    assert!(!ours.exists());
    assert!(!bench.path().join("reports").exists(), "serving is no run");
}

#[test]
fn what_cannot_be_served_is_said_first() {
    let bench = Bench::new();
    let says = |args: &[&str], code: i32, told: &[&str]| {
        bench.lariat(["sim", "serve"].iter().chain(args)).expect(code, told);
    };
    says(&["--listen", "0.0.0.0:0"], 2, &["other machines", "127.0.0.1"]);
    says(&["--listen", "8001"], 2, &["`8001` is no address"]);
    says(&["--speed", "0"], 2, &["`0` is no speed"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it has an address").to_string();
    says(&["--listen", &address], 4, &["nothing can listen at", &address]);
}
