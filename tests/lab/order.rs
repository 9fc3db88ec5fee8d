//! The lab arm of the controllers' orders: the recordings are what real controllers keep to.

use std::fs;

use futures::future::join_all;
use kube::client::Body;
use serde_json::json;

use crate::order_body::file;
use crate::order_body::partial::{Partial, Run};
use crate::order_body::scenario::{Scenario, scenarios};
use crate::order_body::stage::perform;

/// How many runs a recording is made of. What only chance put in the same order in all of them would be kept as a rule.
const RUNS: usize = 6;

async fn request(client: &kube::Client, method: &str, path: &str, body: String) {
    let request = http::Request::builder().method(method).uri(path).header("Content-Type", "application/json");
    let request = request.body(Body::from(body.into_bytes())).expect("a path and a body are a request");
    let response = client.send(request).await.expect("the lab answers");
    assert!(response.status().is_success(), "{method} {path}: {}", response.status());
}

async fn run(scenario: &Scenario, client: &kube::Client, number: usize) -> Run {
    let name = format!("order-{}-{number}-{}", scenario.name.replace(' ', "-"), std::process::id() % 10_000);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    while client.apiserver_version().await.is_err() {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    request(client, "POST", "/api/v1/namespaces", namespace.to_string()).await;
    // Pods are refused until the namespace's account has been made.
    let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
    for _ in 0..600 {
        let ask = http::Request::get(&account).body(Body::empty()).expect("a path is a request");
        if client.send(ask).await.expect("the lab answers").status().is_success() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let run = perform(scenario, client, &name).await;
    request(client, "DELETE", &format!("/api/v1/namespaces/{name}"), String::new()).await;
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn real_controllers_keep_to_the_recorded_orders() {
    let path = std::env::var("LARIAT_LAB_KUBECONFIG").expect("`just lab-test` names the lab's kubeconfig");
    let kubeconfig = kube::config::Kubeconfig::read_from(path).expect("the lab's kubeconfig can be read");
    let options = kube::config::KubeConfigOptions { context: Some("lab".to_owned()), ..Default::default() };
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("the lab has a context `lab`");
    let client = kube::Client::try_from(config).expect("the lab's certificates are usable");
    let records = std::env::var_os("LARIAT_LAB_RECORD").is_some();
    let told = join_all(scenarios().iter().enumerate().map(|(at, scenario)| {
        let client = client.clone();
        async move {
            let mut runs = Vec::new();
            if records {
                let mut number = 0;
                while runs.len() < RUNS {
                    // A run that was cut off, by a server that somebody restarts, is not one to record.
                    let client = client.clone();
                    let attempt = tokio::spawn(async move { run(&scenarios()[at], &client, number).await });
                    runs.extend(attempt.await.ok());
                    number += 1;
                    assert!(number < 3 * RUNS, "{}: hardly any run comes to its end", scenario.name);
                }
                let head = format!(
                    "# {}: what {RUNS} runs on a real cluster have in common. `a < b`: a always came before b; `? a`: a \
                     came in some.\n",
                    scenario.name
                );
                let text = format!("{head}{}", Partial::of(&runs, |one, other| scenario.apart.covers(one, other)).write());
                fs::write(file(scenario.name), text).expect("a recording can be written");
                return String::new();
            }
            runs.push(run(scenario, &client, 0).await);
            let recorded = fs::read_to_string(file(scenario.name)).expect("every scenario is recorded");
            let breaches = Partial::read(&recorded).breaches(&runs[0]);
            breaches.iter().map(|breach| format!("{}: {breach}\n", scenario.name)).collect()
        }
    }))
    .await
    .concat();
    assert!(
        told.is_empty(),
        "the real controllers do otherwise (`just lab-record` writes the orders down anew):\n{told}"
    );
}
