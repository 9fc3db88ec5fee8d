//! The embedded arm: every sequence on a fresh server, in virtual time.

use futures::future::BoxFuture;
use lariat::sim::{Answer as Said, Api, Exec, Options};
use serde_json::json;

use super::body::answer::recorded;
use super::body::compare::{Comparison, compare};
use super::body::perform::perform;
use super::body::place::Place;
use super::body::script::files;
use super::decided::{Decision, judge};

const NAMESPACE: &str = "conformance-embed";

struct Embedded(Api);

impl Embedded {
    /// A server that has been there for a while: its beginning is no longer in the history.
    fn new() -> Self {
        let api = Api::new(Options::new());
        api.put(json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {
                "name": NAMESPACE, "labels": {"kubernetes.io/metadata.name": NAMESPACE},
                "managedFields": [{
                    "manager": "unknown", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:kubernetes.io/metadata.name": {}}}},
                }],
            },
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        }))
        .expect("a namespace can be put");
        api.compact();
        Self(api)
    }
}

impl Place for Embedded {
    fn tended<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    fn client(&self) -> kube::Client {
        self.0.client()
    }

    fn namespace(&self) -> &str {
        NAMESPACE
    }

    fn running<'a>(&'a self, pod: &'a str, lines: &'a [String]) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.0
                .put(json!({
                    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod, "namespace": NAMESPACE},
                    "spec": {"nodeName": "n1", "containers": [{"name": "main", "image": "busybox:1.36"}]},
                    "status": {"phase": "Running", "containerStatuses": [{"name": "main", "state": {"running": {}}}]},
                }))
                .expect("a pod can be put");
            for line in lines {
                self.0.print(NAMESPACE, pod, line);
            }
            self.0.pod_program(NAMESPACE, pod, |exec: &Exec| shell(&exec.command));
        })
    }

    fn clear<'a>(&'a self, _made: &'a [String]) -> BoxFuture<'a, ()> {
        // The next sequence has a server of its own.
        Box::pin(async {})
    }
}

/// As much of a shell as the sequences use.
fn shell(command: &[String]) -> Said {
    match command.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["echo", words @ ..] => Said::prints(format!("{}\n", words.join(" "))),
        ["sh", "-c", script] => match script.strip_prefix("exit ").and_then(|code| code.parse().ok()) {
            Some(code) => Said::fails(code, ""),
            None => panic!("no sequence runs `{script}`"),
        },
        other => panic!("no sequence runs {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_embedded_server_answers_as_the_real_one() {
    let mut whole = Comparison::default();
    let mut sequences = 0;
    for file in files() {
        let mut answers = Vec::new();
        for (number, sequence) in file.sequences.iter().enumerate() {
            answers.extend(perform(sequence, number, &Embedded::new()).await);
            sequences += 1;
        }
        let comparison = compare(&file.name, &recorded(&file.name), &answers);
        whole.points += comparison.points;
        whole.differences.extend(comparison.differences);
    }
    let points = whole.points;
    let judgement = judge(whole);
    let told: String = judgement.unexplained.iter().map(ToString::to_string).collect();
    let decided: usize = judgement.decisions.iter().map(|decision| decision.explains.len()).sum();
    let unexplained = judgement.unexplained.len();
    say(&format!(
        "{sequences} sequences, {points} compared points, {decided} decided differences, {unexplained} unexplained"
    ));
    let shown = std::env::var("LARIAT_CONFORMANCE_SHOW").unwrap_or_default();
    for Decision { at, why, explains } in &judgement.decisions {
        if !shown.is_empty() {
            say(&format!("{:>5}  {at}\n       {why}", explains.len()));
        }
        if shown == "all" {
            say(&explains.iter().map(ToString::to_string).collect::<String>());
        }
    }
    assert!(judgement.unexplained.is_empty(), "{told}");
    let idle: Vec<&str> =
        judgement.decisions.iter().filter(|decision| decision.explains.is_empty()).map(|own| own.at.as_str()).collect();
    assert!(idle.is_empty(), "these decisions explain nothing: {idle:?}");
}

#[expect(clippy::print_stdout, reason = "how far the comparison goes is what it is run for")]
fn say(text: &str) {
    println!("{text}");
}
