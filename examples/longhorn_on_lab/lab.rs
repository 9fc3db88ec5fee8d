//! The lab's API server, and how everything goes again.

use std::path::PathBuf;
use std::time::Duration;

use http::{Method, Request};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Where Longhorn is.
pub(crate) const NAMESPACE: &str = "longhorn-system";
/// How long it may take until all of it has gone.
const GONE: Duration = Duration::from_mins(2);

/// What exists outside the namespace.
const OUTSIDE: [&str; 4] = [
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/longhorn-webhook-mutator",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/longhorn-webhook-validator",
    "/apis/storage.k8s.io/v1/storageclasses/longhorn",
    "/apis/storage.k8s.io/v1/csidrivers/driver.longhorn.io",
];
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

pub(crate) fn kubeconfig() -> PathBuf {
    std::env::var_os("LARIAT_LAB_KUBECONFIG").expect("`just lab-longhorn` names the lab's kubeconfig").into()
}

pub(crate) async fn client() -> Result<Client, String> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig()).map_err(|error| error.to_string())?;
    let options = KubeConfigOptions { context: Some("lab".to_owned()), ..KubeConfigOptions::default() };
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
    Client::try_from(config.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
}

/// Asks the server; `None` for what is not there.
async fn ask(client: &Client, method: Method, path: &str, body: &Value) -> Result<Option<Value>, String> {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let content = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let told = format!("{method} {path}");
    let request = Request::builder().method(method).uri(path).header("content-type", content).body(body);
    match client.request::<Value>(request.expect("a path of names is a URI")).await {
        Ok(answer) => Ok(Some(answer)),
        Err(kube::Error::Api(status)) if [404, 405].contains(&status.code) => Ok(None),
        Err(error) => Err(format!("{told}: {error}")),
    }
}

/// Takes everything of Longhorn out of the cluster, and these nodes.
pub(crate) async fn sweep(client: &Client, nodes: &[&str]) -> Result<(), String> {
    let namespace = format!("/api/v1/namespaces/{NAMESPACE}");
    let gone = async {
        // First the webhooks: without managers they would refuse everything else.
        for path in OUTSIDE {
            ask(client, Method::DELETE, path, &Value::Null).await?;
        }
        ask(client, Method::DELETE, &namespace, &Value::Null).await?;
        while ask(client, Method::GET, &namespace, &Value::Null).await?.is_some() {
            // A manager that was just starting may have brought them back.
            for path in OUTSIDE {
                ask(client, Method::DELETE, path, &Value::Null).await?;
            }
            let now = json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0});
            ask(client, Method::DELETE, &format!("{namespace}/pods"), &now).await?;
            release(client).await?;
            sleep(Duration::from_secs(1)).await;
        }
        for name in definitions(client).await? {
            ask(client, Method::DELETE, &format!("{DEFINITIONS}/{name}"), &Value::Null).await?;
        }
        while !definitions(client).await?.is_empty() {
            sleep(Duration::from_millis(200)).await;
        }
        for node in nodes {
            ask(client, Method::DELETE, &format!("/api/v1/nodes/{node}"), &Value::Null).await?;
        }
        Ok(())
    };
    let timed = tokio::time::timeout(GONE, gone).await;
    timed.unwrap_or_else(|_| Err(format!("{NAMESPACE} is not gone after {} s", GONE.as_secs())))
}

/// The definitions of Longhorn's kinds, by name.
async fn definitions(client: &Client) -> Result<Vec<String>, String> {
    let all = ask(client, Method::GET, DEFINITIONS, &Value::Null).await?.unwrap_or_default();
    let items = all["items"].as_array().cloned().unwrap_or_default();
    let names = items.iter().filter_map(|own| own["metadata"]["name"].as_str());
    Ok(names.filter(|name| name.ends_with(".longhorn.io")).map(str::to_owned).collect())
}

/// Takes the finalizers off Longhorn's objects: nobody is left to do so in order.
async fn release(client: &Client) -> Result<(), String> {
    for definition in definitions(client).await? {
        let plural = definition.trim_end_matches(".longhorn.io");
        let path = format!("/apis/longhorn.io/v1beta2/namespaces/{NAMESPACE}/{plural}");
        let all = ask(client, Method::GET, &path, &Value::Null).await?.unwrap_or_default();
        for object in all["items"].as_array().into_iter().flatten() {
            if object["metadata"]["finalizers"].is_array() {
                let path = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap_or_default());
                // One that is changed meanwhile is looked at again with the next round.
                let _ = ask(client, Method::PATCH, &path, &json!({"metadata": {"finalizers": null}})).await;
            }
        }
    }
    Ok(())
}
