use serde_json::Value;

/// The order in which kinds are put in place; they go in the opposite one.
/// Source: helm, `pkg/release/v1/util/kind_sorter.go`, `InstallOrder`.
const KINDS: &[&str] = &[
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Sorts objects as helm installs them: known kinds first, others by name of kind;
/// objects of one kind keep their order.
pub(super) fn for_install(objects: &mut [Value]) {
    objects.sort_by_cached_key(|object| {
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let place = KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len());
        (place, if place == KINDS.len() { kind } else { String::new() })
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_need_comes_first() {
        let mut objects: Vec<Value> =
            ["Widget", "Job", "ConfigMap", "Namespace", "Gadget", "DaemonSet", "CustomResourceDefinition"]
                .map(|kind| json!({"kind": kind}))
                .to_vec();
        for_install(&mut objects);
        let kinds: Vec<&str> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
        assert_eq!(
            kinds,
            ["Namespace", "ConfigMap", "CustomResourceDefinition", "DaemonSet", "Job", "Gadget", "Widget"]
        );
    }
}
