use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::CheckNode;
use crate::id::{RunId, StepId};

/// Version of the event format. A reader refuses what it does not name.
pub const FORMAT: u32 = 2;

/// The first event's facts: all that a reader needs to understand the rest,
/// and all that a later command needs to load the plan again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStart {
    /// Version of the event format, `FORMAT`.
    pub format: u32,
    /// Version of the program that wrote this.
    pub lariat: String,
    /// The run's id, also the value of its label in the cluster.
    pub run: RunId,
    /// Wall-clock start, UTC; the other events count from here.
    pub started: jiff::Timestamp,
    /// The plan's name.
    pub plan: String,
    /// The plan's title, filled in.
    pub title: String,
    /// One sentence about the plan.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// Ids of requirements that the plan covers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covers: Vec<String>,
    /// Every file that was read, the plan itself first.
    pub files: Vec<PlanFile>,
    /// The run's vars; secret ones are left out.
    pub vars: Map<String, Value>,
    /// Names of the secret vars.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// What was set on the command line, as `name=value`; secret ones without value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<String>,
    /// Steps that `--only` and `--skip` name, each as the flag with its value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Default namespace for objects and verbs: the plan's, or `--namespace`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The seed of every choice by chance.
    pub seed: u64,
    /// How many steps may act at once.
    pub jobs: usize,
    /// The cluster, if the plan touches one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterIdentity>,
    /// Faults that were injected on purpose, as they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// Every step in plan order: a group before what is in it.
    pub steps: Vec<StepNode>,
    /// Every check in plan order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckNode>,
    /// A command line that runs the same again.
    pub repro: String,
}

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFile {
    /// Path as shown to people: relative to the folder the run was started in, where it can be.
    pub path: String,
    /// Its whole text.
    pub text: String,
}

/// Which cluster it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterIdentity {
    /// The kubeconfig context, or `embedded`.
    pub context: String,
    /// The API server's address.
    pub server: String,
    /// The server's version, such as `v1.34.4`.
    pub version: String,
    /// How many nodes it has, if that may be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<usize>,
    /// Whether time there is virtual.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub embedded: bool,
}

/// One step as it will be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepNode {
    /// Its id, unique in the run.
    pub id: StepId,
    /// The group, round or cell it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<StepId>,
    /// What it is.
    pub kind: NodeKind,
    /// One sentence about it; empty if the plan says none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// Steps that must settle first: written `needs`, and the round before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<StepId>,
    /// When it runs.
    #[serde(default, skip_serializing_if = "When::is_passed")]
    pub when: When,
    /// Whether it runs beside others until another step ends: that step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<StepId>,
    /// Ids of requirements it covers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covers: Vec<String>,
    /// The file it is written in, as in `PlanFile::path`.
    pub file: String,
    /// Line of its header in that file, from 1.
    pub line: usize,
}

/// What stands at a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// A verb, by its name in the plan, such as `helm-upgrade`.
    Verb(String),
    /// Steps inside.
    Group,
    /// Rounds inside, one after another.
    Repeat,
    /// Cells inside, side by side.
    Cells,
}

/// When a step runs, given how the steps it needs went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// When all it needs passed.
    #[default]
    Passed,
    /// Once all it needs settled, however they went: cleaning up, collecting.
    Always,
    /// When one of those it needs failed, errored or was inconclusive.
    Failed,
}

impl When {
    /// Whether this is the usual case.
    pub fn is_passed(&self) -> bool {
        *self == Self::Passed
    }

    /// Whether this is clean-up: shown apart, and never in the verdict.
    pub fn is_cleanup(self) -> bool {
        self != Self::Passed
    }
}
