//! The built-in kinds, as a table.

use super::resource::{Origin, Resource, Subresource};

/// Whether a resource lives in namespaces.
#[derive(Clone, Copy, PartialEq)]
enum Scope {
    Cluster,
    Namespaced,
}

/// Whether `metadata.generation` counts changes.
#[derive(Clone, Copy, PartialEq)]
enum Generation {
    Kept,
    Counted,
}

use Generation::{Counted, Kept};
use Scope::{Cluster, Namespaced};
use Subresource::{
    Approval, Attach, Binding, EphemeralContainers, Eviction, Exec, Finalize, Log, PortForward, Proxy, Resize, Scale,
    Status, Token,
};

/// Group version, kind, plural, short names, categories, scope, generation, subresources.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    Scope,
    Generation,
    &'static [Subresource],
);

const ALL: &[&str] = &["all"];

/// In the order of the real server's `/apis`, as far as these groups go; within a group the
/// preferred version first. Which kinds count generations was read in each strategy of v1.34.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("v1", "Binding", "bindings", &[], &[], Namespaced, Kept, &[]),
    ("v1", "ConfigMap", "configmaps", &["cm"], &[], Namespaced, Kept, &[]),
    ("v1", "Endpoints", "endpoints", &["ep"], &[], Namespaced, Kept, &[]),
    ("v1", "Event", "events", &["ev"], &[], Namespaced, Kept, &[]),
    ("v1", "LimitRange", "limitranges", &["limits"], &[], Namespaced, Kept, &[]),
    ("v1", "Namespace", "namespaces", &["ns"], &[], Cluster, Kept, &[Finalize, Status]),
    ("v1", "Node", "nodes", &["no"], &[], Cluster, Kept, &[Proxy, Status]),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", &["pvc"], &[], Namespaced, Kept, &[Status]),
    ("v1", "PersistentVolume", "persistentvolumes", &["pv"], &[], Cluster, Kept, &[Status]),
    ("v1", "Pod", "pods", &["po"], ALL, Namespaced, Counted, &[Attach, Binding, EphemeralContainers, Eviction, Exec, Log, PortForward, Proxy, Resize, Status]),
    ("v1", "PodTemplate", "podtemplates", &[], &[], Namespaced, Counted, &[]),
    ("v1", "ReplicationController", "replicationcontrollers", &["rc"], ALL, Namespaced, Counted, &[Scale, Status]),
    ("v1", "ResourceQuota", "resourcequotas", &["quota"], &[], Namespaced, Kept, &[Status]),
    ("v1", "Secret", "secrets", &[], &[], Namespaced, Kept, &[]),
    ("v1", "ServiceAccount", "serviceaccounts", &["sa"], &[], Namespaced, Kept, &[Token]),
    ("v1", "Service", "services", &["svc"], ALL, Namespaced, Kept, &[Proxy, Status]),
    ("apps/v1", "ControllerRevision", "controllerrevisions", &[], &[], Namespaced, Kept, &[]),
    ("apps/v1", "DaemonSet", "daemonsets", &["ds"], ALL, Namespaced, Counted, &[Status]),
    ("apps/v1", "Deployment", "deployments", &["deploy"], ALL, Namespaced, Counted, &[Scale, Status]),
    ("apps/v1", "ReplicaSet", "replicasets", &["rs"], ALL, Namespaced, Counted, &[Scale, Status]),
    ("apps/v1", "StatefulSet", "statefulsets", &["sts"], ALL, Namespaced, Counted, &[Scale, Status]),
    ("events.k8s.io/v1", "Event", "events", &["ev"], &[], Namespaced, Kept, &[]),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", &["hpa"], ALL, Namespaced, Kept, &[Status]),
    ("autoscaling/v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", &["hpa"], ALL, Namespaced, Kept, &[Status]),
    ("batch/v1", "CronJob", "cronjobs", &["cj"], ALL, Namespaced, Counted, &[Status]),
    ("batch/v1", "Job", "jobs", &[], ALL, Namespaced, Counted, &[Status]),
    ("certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests", &["csr"], &[], Cluster, Kept, &[Approval, Status]),
    ("networking.k8s.io/v1", "IngressClass", "ingressclasses", &[], &[], Cluster, Counted, &[]),
    ("networking.k8s.io/v1", "Ingress", "ingresses", &["ing"], &[], Namespaced, Counted, &[Status]),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", &["netpol"], &[], Namespaced, Counted, &[]),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", &["pdb"], &[], Namespaced, Counted, &[Status]),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", &[], &[], Cluster, Kept, &[]),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", &[], &[], Cluster, Kept, &[]),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", &[], &[], Namespaced, Kept, &[]),
    ("rbac.authorization.k8s.io/v1", "Role", "roles", &[], &[], Namespaced, Kept, &[]),
    ("storage.k8s.io/v1", "CSIDriver", "csidrivers", &[], &[], Cluster, Kept, &[]),
    ("storage.k8s.io/v1", "CSINode", "csinodes", &[], &[], Cluster, Kept, &[]),
    ("storage.k8s.io/v1", "CSIStorageCapacity", "csistoragecapacities", &[], &[], Namespaced, Kept, &[]),
    ("storage.k8s.io/v1", "StorageClass", "storageclasses", &["sc"], &[], Cluster, Kept, &[]),
    ("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", &[], &[], Cluster, Kept, &[Status]),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", &[], &["api-extensions"], Cluster, Counted, &[]),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", &[], &["api-extensions"], Cluster, Counted, &[]),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", &["crd", "crds"], &["api-extensions"], Cluster, Counted, &[Status]),
    ("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", &["pc"], &[], Cluster, Counted, &[]),
    ("coordination.k8s.io/v1", "Lease", "leases", &[], &[], Namespaced, Kept, &[]),
    ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", &[], &[], Namespaced, Counted, &[]),
];

/// The table as resources.
pub(crate) fn resources() -> Vec<Resource> {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    TABLE
        .iter()
        .map(|&(group_version, kind, plural, short, categories, scope, generation, subresources)| {
            let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
            Resource {
                group: group.to_owned(),
                version: version.to_owned(),
                kind: kind.to_owned(),
                plural: plural.to_owned(),
                singular: kind.to_lowercase(),
                short_names: owned(short),
                categories: owned(categories),
                namespaced: scope == Namespaced,
                generation: generation == Counted,
                subresources: subresources.to_vec(),
                origin: Origin::Builtin,
            }
        })
        .collect()
}

/// The group under which objects are kept: events are one drawer under two names.
pub(crate) fn drawer_group<'a>(group: &'a str, plural: &str) -> &'a str {
    if group == "events.k8s.io" && plural == "events" { "" } else { group }
}

/// Whether a finished deletion is answered with the object instead of a `Status`
/// (`ReturnDeletedObject` in the real server's registry).
pub(crate) fn returns_deleted(group: &str, plural: &str) -> bool {
    const CORE: [&str; 8] = [
        "namespaces",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "podtemplates",
        "resourcequotas",
        "serviceaccounts",
        "services",
    ];
    match group {
        "" => CORE.contains(&plural),
        "storage.k8s.io" => plural != "csistoragecapacities",
        _ => false,
    }
}

/// Whether a PUT to a name that is not there creates (`AllowCreateOnUpdate`).
pub(crate) fn creates_on_update(group: &str, plural: &str) -> bool {
    match group {
        "" => ["endpoints", "events", "limitranges", "services"].contains(&plural),
        "events.k8s.io" | "rbac.authorization.k8s.io" => true,
        "coordination.k8s.io" => plural == "leases",
        _ => false,
    }
}

/// Whether a PUT must say which version it changes (`AllowUnconditionalUpdate` is false).
pub(crate) fn needs_version(group: &str, plural: &str) -> bool {
    match group {
        "policy" | "coordination.k8s.io" | "admissionregistration.k8s.io" => true,
        "storage.k8s.io" => plural != "storageclasses",
        _ => false,
    }
}
