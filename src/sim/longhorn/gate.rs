//! Where Longhorn is put: machines, a way to their API server, and a gate for its webhooks.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::sim::{Api, Kubelets as _, LogLine, Machines, Setting, Webhook};

/// How an API server reaches what answers its webhooks: the embedded one in this process, a real one over TLS.
pub trait Gate: Send + Sync {
    /// What a webhook's `clientConfig` says of the backend of this service and path.
    fn address(&self, service: &Service<'_>) -> Value;

    /// The backend answers from now on.
    fn open(&self, service: &Service<'_>, backend: Arc<dyn Webhook>);

    /// Nobody answers any more: who asks finds the connection refused, those that are open among them.
    fn close(&self, service: &Service<'_>);
}

/// A service with a path below it: what webhooks have for an address inside a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its port.
    pub port: u16,
    /// The path that is asked, with the slash.
    pub path: &'a str,
}

impl Service<'_> {
    /// As backends of the embedded API server are named.
    fn at(&self) -> String {
        format!("{}/{}{}", self.namespace, self.name, self.path)
    }
}

impl Gate for Api {
    fn address(&self, service: &Service<'_>) -> Value {
        let Service { namespace, name, port, path } = *service;
        json!({"service": {"namespace": namespace, "name": name, "path": path, "port": port}})
    }

    fn open(&self, service: &Service<'_>, backend: Arc<dyn Webhook>) {
        self.webhook(&service.at(), move |request: &Value| backend.review(request));
    }

    fn close(&self, service: &Service<'_>) {
        self.webhook_down(&service.at());
    }
}

/// The place itself.
#[derive(Clone)]
pub(super) struct Ground {
    /// The nodes' machines.
    pub(super) machines: Machines,
    /// How a manager in a container reaches the API server.
    pub(super) setting: Setting,
    /// How the API server reaches a manager.
    pub(super) gate: Arc<dyn Gate>,
}

impl Ground {
    /// Prints a line into a pod's log.
    pub(super) fn print(&self, namespace: &str, pod: &str, text: &str) {
        let line = LogLine { container: None, at: self.setting.clock.now(), text: text.to_owned() };
        // A container that has ended prints nothing.
        let _ = self.machines.print(namespace, pod, &line);
    }
}
