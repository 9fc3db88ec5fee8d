use schemars::JsonSchema;
use serde::Deserialize;

use crate::plan::{Setting, Span, Text};

/// `rollout-restart`: as kubectl does, by an annotation on the pod template. Done when accepted.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RolloutRestart {
    /// `deployments`, `daemonsets` or `statefulsets`.
    pub resource: Text,
    /// The workload's name.
    pub name: Text,
    /// Default the plan's.
    #[serde(default)]
    pub namespace: Option<Text>,
}

/// `scale`: sets the number of replicas through the scale subresource. Done when accepted.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scale {
    /// `deployments`, `statefulsets`, `replicasets`, or any kind with a scale subresource.
    pub resource: Text,
    /// The workload's name.
    pub name: Text,
    /// Default the plan's.
    #[serde(default)]
    pub namespace: Option<Text>,
    /// How many.
    pub replicas: Setting<u32>,
}

/// `cordon`: marks a node unschedulable.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Cordon {
    /// The node's name.
    pub node: Text,
}

/// `uncordon`: marks a node schedulable.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Uncordon {
    /// The node's name.
    pub node: Text,
}

/// `drain`: cordons a node and evicts its pods, as kubectl does. Done when they are gone.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Drain {
    /// The node's name.
    pub node: Text,
    /// Grace period; default the pods' own.
    #[serde(default)]
    pub grace: Option<Setting<Span>>,
    /// Leaves pods of daemon sets alone; without it such a pod is an error.
    #[serde(default)]
    pub ignore_daemonsets: bool,
    /// Goes on though pods lose their emptyDir data.
    #[serde(default)]
    pub delete_emptydir_data: bool,
    /// Goes on though pods without a controller are lost.
    #[serde(default)]
    pub force: bool,
    /// Only pods with these labels.
    #[serde(default)]
    pub pod_selector: Option<Text>,
}
