//! Requests of a process that is no controller: one at a time, in an order of its own.

use http::{Method, Request};
use kube::Client;
use serde_json::Value;

use crate::sim::Kind;

/// A client with a namespace of its own.
#[derive(Clone)]
pub(super) struct Hand {
    pub(super) client: Client,
    pub(super) namespace: String,
}

/// A request was refused or got lost; whoever asked goes on without.
#[derive(Debug)]
pub(super) struct Refused;

impl Hand {
    fn path(&self, kind: &Kind, name: &str) -> String {
        let root = if kind.group.is_empty() {
            format!("/api/{}", kind.version)
        } else {
            format!("/apis/{}/{}", kind.group, kind.version)
        };
        let middle = if kind.namespaced { format!("/namespaces/{}", self.namespace) } else { String::new() };
        let name = if name.is_empty() { String::new() } else { format!("/{name}") };
        format!("{root}{middle}/{}{name}", kind.plural)
    }

    async fn ask(&self, method: Method, path: String, content: &str, body: Option<&Value>) -> Result<Value, Refused> {
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content)
            .header("user-agent", "longhorn-manager")
            .body(bytes)
            .expect("a path of names is a URI");
        self.client.request::<Value>(request).await.map_err(|_| Refused)
    }

    pub(super) async fn get(&self, kind: &Kind, name: &str) -> Option<Value> {
        self.ask(Method::GET, self.path(kind, name), "application/json", None).await.ok()
    }

    pub(super) async fn list(&self, kind: &Kind, selector: &str) -> Vec<Value> {
        let path = format!("{}?labelSelector={selector}", self.path(kind, ""));
        let listed = self.ask(Method::GET, path, "application/json", None).await;
        listed.ok().and_then(|mut list| Some(list["items"].as_array_mut()?.drain(..).collect())).unwrap_or_default()
    }

    pub(super) async fn create(&self, kind: &Kind, mut object: Value) -> Result<Value, Refused> {
        object["apiVersion"] = kind.api_version().into();
        object["kind"] = kind.kind.as_ref().into();
        if kind.namespaced {
            object["metadata"]["namespace"] = self.namespace.clone().into();
        }
        self.ask(Method::POST, self.path(kind, ""), "application/json", Some(&object)).await
    }

    pub(super) async fn replace(&self, kind: &Kind, object: &Value) -> Result<Value, Refused> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        self.ask(Method::PUT, self.path(kind, name), "application/json", Some(object)).await
    }

    pub(super) async fn patch(&self, kind: &Kind, name: &str, body: &Value) -> Result<Value, Refused> {
        self.ask(Method::PATCH, self.path(kind, name), "application/merge-patch+json", Some(body)).await
    }

    pub(super) async fn patch_status(&self, kind: &Kind, name: &str, body: &Value) -> Result<Value, Refused> {
        let path = format!("{}/status", self.path(kind, name));
        self.ask(Method::PATCH, path, "application/merge-patch+json", Some(body)).await
    }

    pub(super) async fn delete(&self, kind: &Kind, name: &str) -> Result<Value, Refused> {
        self.ask(Method::DELETE, self.path(kind, name), "application/json", None).await
    }
}
