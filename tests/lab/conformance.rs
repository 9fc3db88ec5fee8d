//! The lab arm: the recording is what a real server says.

use std::fs;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};

use crate::conformance_body::answer::{Answer, recorded};
use crate::conformance_body::compare::compare;
use crate::conformance_body::folder;
use crate::conformance_body::perform::perform;
use crate::conformance_body::place::Place;
use crate::conformance_body::script::{File, files};

struct Lab {
    client: kube::Client,
    namespace: String,
}

impl Lab {
    async fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = http::Request::builder().method(method).uri(path).header("Content-Type", kind);
        let request = request.body(Body::from(bytes)).expect("a path and a body are a request");
        let response = self.client.send(request).await.expect("the lab answers");
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.expect("the lab answers to the end").to_bytes();
        (code, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Waits until a question about an answer is answered with yes.
    async fn until(&self, path: &str, is: impl Fn(u16, &Value) -> bool) {
        for _ in 0..600 {
            let (code, body) = self.send("GET", path, &Value::Null).await;
            if is(code, &body) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path}: not within a minute");
    }

    async fn begin(&self) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
        let (code, said) = self.send("POST", "/api/v1/namespaces", &namespace).await;
        assert_eq!(code, 201, "{said}");
        let account = format!("/api/v1/namespaces/{}/serviceaccounts/default", self.namespace);
        self.until(&account, |code, _| code == 200).await;
    }

    async fn file(&self, file: &File) -> Vec<Answer> {
        self.begin().await;
        let mut answers = Vec::new();
        for (number, sequence) in file.sequences.iter().enumerate() {
            answers.extend(perform(sequence, number, self).await);
        }
        self.send("DELETE", &format!("/api/v1/namespaces/{}", self.namespace), &Value::Null).await;
        answers
    }
}

impl Place for Lab {
    fn client(&self) -> kube::Client {
        self.client.clone()
    }

    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn running<'a>(&'a self, pod: &'a str, lines: &'a [String]) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let said: String = lines.iter().map(|line| format!("echo '{line}'; ")).collect();
            let pods = format!("/api/v1/namespaces/{}/pods", self.namespace);
            let body = json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{
                        "name": "main", "image": "busybox:1.36", "imagePullPolicy": "IfNotPresent",
                        "command": ["sh", "-c", format!("{said}sleep 600")],
                    }],
                },
            });
            self.send("POST", &pods, &body).await;
            let path = format!("{pods}/{pod}");
            self.until(&path, |_, pod| pod["status"]["phase"] == "Running").await;
            // What was printed reaches the log a moment later.
            tokio::time::sleep(Duration::from_millis(500)).await;
        })
    }

    fn tended<'a>(&'a self, path: &'a str, pointer: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(self.until(path, move |_, object| object.pointer(pointer).is_some()))
    }

    fn clear<'a>(&'a self, made: &'a [String]) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let now = json!({"gracePeriodSeconds": 0, "propagationPolicy": "Background"});
            for path in made.iter().rev() {
                let (code, _) = self.send("DELETE", path, &now).await;
                if code != 404 {
                    self.send("PATCH", path, &json!({"metadata": {"finalizers": null}})).await;
                }
            }
            // A namespace takes its time, and its name is not used again.
            let is_namespace = |path: &str| path.starts_with("/api/v1/namespaces/") && path.matches('/').count() == 4;
            for path in made.iter().filter(|path| !is_namespace(path)) {
                self.until(path, |code, _| code == 404).await;
            }
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recording_is_what_the_real_server_says() {
    let _steady = crate::steady().await;
    let path = std::env::var("LARIAT_LAB_KUBECONFIG").expect("`just lab-test` names the lab's kubeconfig");
    let kubeconfig = kube::config::Kubeconfig::read_from(path).expect("the lab's kubeconfig can be read");
    let options = kube::config::KubeConfigOptions { context: Some("lab".to_owned()), ..Default::default() };
    let mut config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("the lab has a context `lab`");
    // An answer is compared as it comes, also where it says that one should come again.
    config.default_retry = false;
    let only = std::env::var("LARIAT_LAB_ONLY").unwrap_or_default();
    let client = kube::Client::try_from(config).expect("the lab's certificates are usable");
    let files: Vec<File> = files().into_iter().filter(|file| file.name.contains(&only)).collect();
    let suffix = std::process::id() % 10_000;
    let answers = join_all(files.iter().enumerate().map(|(number, file)| {
        let lab = Lab { client: client.clone(), namespace: format!("conformance-{number:02}-{suffix:04}") };
        async move { lab.file(file).await }
    }))
    .await;
    if std::env::var_os("LARIAT_LAB_RECORD").is_some() {
        for (file, answers) in files.iter().zip(&answers) {
            let lines: String = answers
                .iter()
                .map(|answer| format!("{}\n", serde_json::to_string(answer).expect("an answer is JSON")))
                .collect();
            fs::write(folder().join("recorded").join(format!("{}.jsonl", file.name)), lines)
                .expect("a recording can be written");
        }
        return;
    }
    let mut points = 0;
    let mut told = Vec::new();
    for (file, answers) in files.iter().zip(&answers) {
        let comparison = compare(&file.name, &recorded(&file.name), answers);
        points += comparison.points;
        told.extend(comparison.differences.into_iter().map(|difference| difference.to_string()));
    }
    let sequences: usize = files.iter().map(|file| file.sequences.len()).sum();
    say(&format!("{sequences} sequences, {points} compared points, {} unlike the recording", told.len()));
    // What a real server does not say twice in the same words is made alike where answers are made
    // comparable (`normal.rs`), each with its reason. Nothing else differs.
    assert!(told.is_empty(), "the recording is of another server:\n{}", told.concat());
}

#[expect(clippy::print_stdout, reason = "how far the comparison goes is what it is run for")]
fn say(text: &str) {
    println!("{text}");
}
