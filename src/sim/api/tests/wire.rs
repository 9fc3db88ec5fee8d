//! The same server over a loopback port, as foreign processes reach it.

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api as Typed, AttachParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::super::{Answer, Api, Exec, Options};

async fn client(yaml: &str) -> kube::Client {
    // A process has one provider of cryptography; whichever test came first has set it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = Kubeconfig::from_yaml(yaml).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

#[tokio::test]
async fn a_kubeconfig_leads_over_a_port_to_the_same_server() {
    let api = Api::new(Options::new());
    api.program("db", |exec: &Exec| Answer::prints(exec.pod.clone()));
    let served = api.serve().await.unwrap();
    let pods: Typed<Pod> = Typed::default_namespaced(client(&served.kubeconfig("embedded")).await);
    let mut watch = pods.watch(&WatchParams::default(), &api.revision().to_string()).await.unwrap().boxed();
    api.put(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "db:1"}]},
    }))
    .unwrap();
    assert!(matches!(watch.try_next().await.unwrap(), Some(WatchEvent::Added(_))));

    let mut process = pods.exec("a", ["name"], &AttachParams::default()).await.unwrap();
    let mut text = String::new();
    process.stdout().unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "a");

    drop(served);
    drop(watch);
    tokio::task::yield_now().await;
    assert!(pods.get("a").await.is_err(), "the port closes with its handle");
    assert!(api.get("Pod", "default", "a").is_some());
}
