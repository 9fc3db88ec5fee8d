use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::plan::{Setting, Text};

/// `helm-install`: installs a release. Done when helm's command ended, hooks included.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HelmInstall {
    /// The release's name.
    pub release: Text,
    /// A path (relative to this file), `repo/name`, or `oci://…`.
    pub chart: Text,
    /// URL of the chart repository, as helm's `--repo`.
    #[serde(default)]
    pub repo: Option<Text>,
    /// The chart's version.
    #[serde(default)]
    pub version: Option<Text>,
    /// Values files, later ones win; paths relative to this file.
    #[serde(default)]
    pub values: Setting<Vec<String>>,
    /// Single values by their dotted path; they win over files.
    #[serde(default)]
    pub set: Setting<IndexMap<String, Value>>,
    /// The release's namespace; default the plan's. It is created if absent.
    #[serde(default)]
    pub namespace: Option<Text>,
    /// Leaves the chart's hooks out.
    #[serde(default)]
    pub no_hooks: bool,
}

/// `helm-upgrade`: upgrades a release. Done when helm's command ended, hooks included.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HelmUpgrade {
    /// The release's name.
    pub release: Text,
    /// A path (relative to this file), `repo/name`, or `oci://…`.
    pub chart: Text,
    /// URL of the chart repository, as helm's `--repo`.
    #[serde(default)]
    pub repo: Option<Text>,
    /// The chart's version.
    #[serde(default)]
    pub version: Option<Text>,
    /// Values files, later ones win; paths relative to this file.
    #[serde(default)]
    pub values: Setting<Vec<String>>,
    /// Single values by their dotted path; they win over files.
    #[serde(default)]
    pub set: Setting<IndexMap<String, Value>>,
    /// The release's namespace; default the plan's.
    #[serde(default)]
    pub namespace: Option<Text>,
    /// Installs the release if it is not there.
    #[serde(default)]
    pub install: bool,
    /// Keeps the values of the release as it is now, below the ones given here.
    #[serde(default)]
    pub reuse_values: bool,
    /// Leaves the chart's hooks out.
    #[serde(default)]
    pub no_hooks: bool,
}

/// `helm-rollback`: goes back to an earlier revision of a release.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HelmRollback {
    /// The release's name.
    pub release: Text,
    /// The revision to go back to; default the one before.
    #[serde(default)]
    pub revision: Option<Setting<u64>>,
    /// The release's namespace; default the plan's.
    #[serde(default)]
    pub namespace: Option<Text>,
    /// Leaves the chart's hooks out.
    #[serde(default)]
    pub no_hooks: bool,
}

/// `helm-uninstall`: removes a release.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HelmUninstall {
    /// The release's name.
    pub release: Text,
    /// The release's namespace; default the plan's.
    #[serde(default)]
    pub namespace: Option<Text>,
    /// A release that is not there is not a failure.
    #[serde(default)]
    pub ignore_not_found: bool,
    /// Leaves the chart's hooks out.
    #[serde(default)]
    pub no_hooks: bool,
}
