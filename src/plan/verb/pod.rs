use schemars::JsonSchema;
use serde::Deserialize;

use crate::plan::{Bytes, Setting, Span, Text};

/// `exec`: runs a command in a pod's container.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Exec {
    /// A selection of exactly one pod.
    #[serde(default)]
    pub on: Option<String>,
    /// A pod's name, instead of `on`.
    #[serde(default)]
    pub pod: Option<Text>,
    /// The pod's namespace; default the plan's.
    #[serde(default)]
    pub namespace: Option<Text>,
    /// The container; default the pod's default container.
    #[serde(default)]
    pub container: Option<Text>,
    /// The command and its arguments; no shell in between.
    pub command: Setting<Vec<String>>,
    /// Text for its standard input.
    #[serde(default)]
    pub stdin: Option<Text>,
    /// Exit codes that are not a failure.
    #[serde(default = "zero")]
    pub codes: Vec<i32>,
}

pub(super) fn zero() -> Vec<i32> {
    vec![0]
}

/// `write-file`: streams bytes into a file in a pod, with fsync; the digest is computed on the way.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WriteFile {
    /// A selection of exactly one pod.
    #[serde(default)]
    pub on: Option<String>,
    /// A pod's name, instead of `on`.
    #[serde(default)]
    pub pod: Option<Text>,
    /// The pod's namespace; default the plan's.
    #[serde(default)]
    pub namespace: Option<Text>,
    /// The container; default the pod's default container.
    #[serde(default)]
    pub container: Option<Text>,
    /// The file's path in the container.
    pub path: Text,
    /// So many bytes that follow from the run's seed and this step's id.
    #[serde(default)]
    pub size: Option<Setting<Bytes>>,
    /// A local file instead, relative to this file.
    #[serde(default)]
    pub file: Option<Text>,
}

/// `verify-file`: reads a file in a pod and compares its digest.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VerifyFile {
    /// A selection of exactly one pod.
    #[serde(default)]
    pub on: Option<String>,
    /// A pod's name, instead of `on`.
    #[serde(default)]
    pub pod: Option<Text>,
    /// The pod's namespace; default the plan's.
    #[serde(default)]
    pub namespace: Option<Text>,
    /// The container; default the pod's default container.
    #[serde(default)]
    pub container: Option<Text>,
    /// The file's path in the container.
    pub path: Text,
    /// The digest it must have, in lower-case hexadecimal.
    pub sha256: Text,
}

/// `steady-io`: small digest-checked writes and reads in a pod, one after another, until it is ended.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SteadyIo {
    /// A selection of exactly one pod.
    #[serde(default)]
    pub on: Option<String>,
    /// A pod's name, instead of `on`.
    #[serde(default)]
    pub pod: Option<Text>,
    /// The pod's namespace; default the plan's.
    #[serde(default)]
    pub namespace: Option<Text>,
    /// The container; default the pod's default container.
    #[serde(default)]
    pub container: Option<Text>,
    /// A file that it may write, in the container.
    pub path: Text,
    /// How much is written each time.
    #[serde(default = "block")]
    pub block: Setting<Bytes>,
    /// Time from one write to the next.
    #[serde(default = "every")]
    pub every: Setting<Span>,
    /// A write or read that takes longer is a failure.
    #[serde(default)]
    pub max_stall: Option<Setting<Span>>,
}

fn block() -> Setting<Bytes> {
    Setting::Plain(Bytes(64 << 10))
}

fn every() -> Setting<Span> {
    Setting::Plain(Span(std::time::Duration::from_millis(200)))
}
