use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text;

/// A kind of object in kubectl's forms: `pods`, `pod`, `po`, `deployments.apps`.
///
/// A name without a group is one of the built-in kinds; any other is
/// `plural.group` and taken unseen, since the kind may not exist yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: String,
    /// Lower-case plural.
    pub plural: String,
}

impl Resource {
    /// Reads a name as kubectl takes it. The error is a sentence with a suggestion where one is near.
    pub fn parse(written: &str) -> Result<Self, String> {
        let name = written.to_ascii_lowercase();
        if let Some((plural, group)) = name.split_once('.') {
            let label = |part: &str| {
                !part.is_empty()
                    && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                    && !part.starts_with('-')
                    && !part.ends_with('-')
            };
            if !label(plural) || !group.split('.').all(label) {
                return Err(format!("`{written}` is no kind of object; write it like `pods` or `volumes.longhorn.io`"));
            }
            // `deployment.apps` and `deploy.apps` are built in under their plural.
            let known = BUILT_IN.iter().find(|kind| kind.group == group && kind.is_called(plural));
            let plural = known.map_or(plural, |kind| kind.plural);
            return Ok(Self { group: group.to_owned(), plural: plural.to_owned() });
        }
        if let Some(kind) = BUILT_IN.iter().find(|kind| kind.is_called(&name)) {
            return Ok(Self { group: kind.group.to_owned(), plural: kind.plural.to_owned() });
        }
        let near = text::suggest(&name, BUILT_IN.iter().flat_map(BuiltIn::names));
        let help = near.map_or_else(
            || "a kind that is not built in is written with its group, like `volumes.longhorn.io`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        Err(format!("`{written}` is not a built-in kind of object; {help}"))
    }

    /// A kind of the core group, by its plural.
    pub fn core(plural: &str) -> Self {
        Self { group: String::new(), plural: plural.to_owned() }
    }

    /// Whether objects of this kind have a namespace; `None` for kinds that are not built in.
    pub fn namespaced(&self) -> Option<bool> {
        let found = BUILT_IN.iter().find(|kind| kind.group == self.group && kind.plural == self.plural);
        found.map(|kind| kind.namespaced)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { f.write_str(&self.plural) } else { write!(f, "{}.{}", self.plural, self.group) }
    }
}

/// A kind that every API server has.
struct BuiltIn {
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
}

impl BuiltIn {
    /// Lower-case plural, singular (which is the kind) and short names.
    fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.plural).chain(self.short.iter().copied())
    }

    fn is_called(&self, name: &str) -> bool {
        self.names().any(|own| own == name) || self.kind.eq_ignore_ascii_case(name)
    }
}

const fn kind(
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
) -> BuiltIn {
    BuiltIn { group, plural, kind, short, namespaced }
}

/// As `kubectl api-resources` of Kubernetes 1.34 lists them, in its order: the
/// first of two kinds with one name wins, as it does there.
#[rustfmt::skip]
const BUILT_IN: &[BuiltIn] = &[
    kind("", "bindings", "Binding", &[], true),
    kind("", "componentstatuses", "ComponentStatus", &["cs"], false),
    kind("", "configmaps", "ConfigMap", &["cm"], true),
    kind("", "endpoints", "Endpoints", &["ep"], true),
    kind("", "events", "Event", &["ev"], true),
    kind("", "limitranges", "LimitRange", &["limits"], true),
    kind("", "namespaces", "Namespace", &["ns"], false),
    kind("", "nodes", "Node", &["no"], false),
    kind("", "persistentvolumeclaims", "PersistentVolumeClaim", &["pvc"], true),
    kind("", "persistentvolumes", "PersistentVolume", &["pv"], false),
    kind("", "pods", "Pod", &["po"], true),
    kind("", "podtemplates", "PodTemplate", &[], true),
    kind("", "replicationcontrollers", "ReplicationController", &["rc"], true),
    kind("", "resourcequotas", "ResourceQuota", &["quota"], true),
    kind("", "secrets", "Secret", &[], true),
    kind("", "serviceaccounts", "ServiceAccount", &["sa"], true),
    kind("", "services", "Service", &["svc"], true),
    kind("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", &[], false),
    kind("admissionregistration.k8s.io", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", &[], false),
    kind("admissionregistration.k8s.io", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", &[], false),
    kind("admissionregistration.k8s.io", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", &[], false),
    kind("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition", &["crd", "crds"], false),
    kind("apiregistration.k8s.io", "apiservices", "APIService", &[], false),
    kind("apps", "controllerrevisions", "ControllerRevision", &[], true),
    kind("apps", "daemonsets", "DaemonSet", &["ds"], true),
    kind("apps", "deployments", "Deployment", &["deploy"], true),
    kind("apps", "replicasets", "ReplicaSet", &["rs"], true),
    kind("apps", "statefulsets", "StatefulSet", &["sts"], true),
    kind("autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler", &["hpa"], true),
    kind("batch", "cronjobs", "CronJob", &["cj"], true),
    kind("batch", "jobs", "Job", &[], true),
    kind("certificates.k8s.io", "certificatesigningrequests", "CertificateSigningRequest", &["csr"], false),
    kind("coordination.k8s.io", "leases", "Lease", &[], true),
    kind("discovery.k8s.io", "endpointslices", "EndpointSlice", &[], true),
    kind("events.k8s.io", "events", "Event", &["ev"], true),
    kind("flowcontrol.apiserver.k8s.io", "flowschemas", "FlowSchema", &[], false),
    kind("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", "PriorityLevelConfiguration", &[], false),
    kind("networking.k8s.io", "ingressclasses", "IngressClass", &[], false),
    kind("networking.k8s.io", "ingresses", "Ingress", &["ing"], true),
    kind("networking.k8s.io", "ipaddresses", "IPAddress", &["ip"], false),
    kind("networking.k8s.io", "networkpolicies", "NetworkPolicy", &["netpol"], true),
    kind("networking.k8s.io", "servicecidrs", "ServiceCIDR", &[], false),
    kind("node.k8s.io", "runtimeclasses", "RuntimeClass", &[], false),
    kind("policy", "poddisruptionbudgets", "PodDisruptionBudget", &["pdb"], true),
    kind("rbac.authorization.k8s.io", "clusterrolebindings", "ClusterRoleBinding", &[], false),
    kind("rbac.authorization.k8s.io", "clusterroles", "ClusterRole", &[], false),
    kind("rbac.authorization.k8s.io", "rolebindings", "RoleBinding", &[], true),
    kind("rbac.authorization.k8s.io", "roles", "Role", &[], true),
    kind("resource.k8s.io", "deviceclasses", "DeviceClass", &[], false),
    kind("resource.k8s.io", "resourceclaims", "ResourceClaim", &[], true),
    kind("resource.k8s.io", "resourceclaimtemplates", "ResourceClaimTemplate", &[], true),
    kind("resource.k8s.io", "resourceslices", "ResourceSlice", &[], false),
    kind("scheduling.k8s.io", "priorityclasses", "PriorityClass", &["pc"], false),
    kind("storage.k8s.io", "csidrivers", "CSIDriver", &[], false),
    kind("storage.k8s.io", "csinodes", "CSINode", &[], false),
    kind("storage.k8s.io", "csistoragecapacities", "CSIStorageCapacity", &[], true),
    kind("storage.k8s.io", "storageclasses", "StorageClass", &["sc"], false),
    kind("storage.k8s.io", "volumeattachments", "VolumeAttachment", &[], false),
    kind("storage.k8s.io", "volumeattributesclasses", "VolumeAttributesClass", &["vac"], false),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_called_as_kubectl_calls_them() {
        for (written, read) in [
            ("pods", "pods"),
            ("Pod", "pods"),
            ("po", "pods"),
            ("ds", "daemonsets.apps"),
            ("deployment.apps", "deployments.apps"),
            ("events", "events"),
            ("crd", "customresourcedefinitions.apiextensions.k8s.io"),
            ("nodes.longhorn.io", "nodes.longhorn.io"),
        ] {
            assert_eq!(Resource::parse(written).unwrap().to_string(), read, "{written}");
        }
    }

    #[test]
    fn what_is_not_built_in_needs_its_group() {
        assert_eq!(
            Resource::parse("pdos").unwrap_err(),
            "`pdos` is not a built-in kind of object; did you mean `pods`?"
        );
        assert!(Resource::parse("backingimages").unwrap_err().contains("with its group"));
        for bad in ["pods.", ".io", "a b.io", "a..b", "-a.io"] {
            assert!(Resource::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn scope_is_known_of_built_in_kinds() {
        let scope = |written| Resource::parse(written).unwrap().namespaced();
        assert_eq!([scope("pods"), scope("nodes"), scope("nodes.longhorn.io")], [Some(true), Some(false), None]);
    }
}
