//! Kinds of objects, as far as a client has to know them.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::key::Key;

/// A resource of the API: where it is asked for, and what its objects are called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// Empty for the core group.
    pub group: Cow<'static, str>,
    /// Such as `v1`.
    pub version: Cow<'static, str>,
    /// Such as `pods`.
    pub plural: Cow<'static, str>,
    /// Such as `Pod`.
    pub kind: Cow<'static, str>,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
}

macro_rules! kinds {
    ($($name:ident = $group:literal $version:literal $plural:literal $kind:literal $namespaced:literal;)*) => {
        $(
            #[doc = concat!("`", $kind, "`, in ", $version, " of its group.")]
            pub const $name: Kind = Kind {
                group: Cow::Borrowed($group),
                version: Cow::Borrowed($version),
                plural: Cow::Borrowed($plural),
                kind: Cow::Borrowed($kind),
                namespaced: $namespaced,
            };
        )*
    };
}

impl Kind {
    kinds! {
        POD = "" "v1" "pods" "Pod" true;
        NODE = "" "v1" "nodes" "Node" false;
        NAMESPACE = "" "v1" "namespaces" "Namespace" false;
        SERVICE = "" "v1" "services" "Service" true;
        ENDPOINTS = "" "v1" "endpoints" "Endpoints" true;
        EVENT = "" "v1" "events" "Event" true;
        CONFIG_MAP = "" "v1" "configmaps" "ConfigMap" true;
        SECRET = "" "v1" "secrets" "Secret" true;
        SERVICE_ACCOUNT = "" "v1" "serviceaccounts" "ServiceAccount" true;
        CLAIM = "" "v1" "persistentvolumeclaims" "PersistentVolumeClaim" true;
        VOLUME = "" "v1" "persistentvolumes" "PersistentVolume" false;
        STORAGE_CLASS = "storage.k8s.io" "v1" "storageclasses" "StorageClass" false;
        DAEMON_SET = "apps" "v1" "daemonsets" "DaemonSet" true;
        DEPLOYMENT = "apps" "v1" "deployments" "Deployment" true;
        REPLICA_SET = "apps" "v1" "replicasets" "ReplicaSet" true;
        STATEFUL_SET = "apps" "v1" "statefulsets" "StatefulSet" true;
        REVISION = "apps" "v1" "controllerrevisions" "ControllerRevision" true;
        JOB = "batch" "v1" "jobs" "Job" true;
        CRON_JOB = "batch" "v1" "cronjobs" "CronJob" true;
        LEASE = "coordination.k8s.io" "v1" "leases" "Lease" true;
        ENDPOINT_SLICE = "discovery.k8s.io" "v1" "endpointslices" "EndpointSlice" true;
        DISRUPTION_BUDGET = "policy" "v1" "poddisruptionbudgets" "PodDisruptionBudget" true;
    }

    /// A kind that is not in the list above.
    pub fn new(group: &str, version: &str, plural: &str, kind: &str, namespaced: bool) -> Self {
        let owned = |text: &str| Cow::Owned(text.to_owned());
        Self { group: owned(group), version: owned(version), plural: owned(plural), kind: owned(kind), namespaced }
    }

    /// What objects say in `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The path of all its objects, in all namespaces.
    pub(super) fn everywhere(&self) -> String {
        self.path("")
    }

    /// The path of the collection into which an object of this namespace goes.
    pub(super) fn collection(&self, namespace: &str) -> String {
        if self.namespaced { self.path(&format!("namespaces/{namespace}/")) } else { self.path("") }
    }

    /// The path of one object.
    pub(super) fn object(&self, key: &Key) -> String {
        format!("{}/{}", self.collection(&key.namespace), key.name)
    }

    fn path(&self, middle: &str) -> String {
        let Self { group, version, plural, .. } = self;
        if group.is_empty() {
            format!("/api/{version}/{middle}{plural}")
        } else {
            format!("/apis/{group}/{version}/{middle}{plural}")
        }
    }

    /// An owner reference to one of its objects, as the controller of what carries it.
    pub fn owner(&self, name: &str, uid: &str) -> Value {
        json!({
            "apiVersion": self.api_version(), "kind": self.kind, "name": name, "uid": uid,
            "controller": true, "blockOwnerDeletion": true,
        })
    }
}
