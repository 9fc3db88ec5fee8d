use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::port::Answer;
use crate::event::Class;

/// Helm against one cluster: the real binary, or a stand-in for the embedded one.
///
/// A call ends when helm's command would, hooks included; `--wait` is never used.
pub trait Helm: Send + Sync {
    /// `helm install`.
    fn install<'a>(&'a self, chart: &'a ChartRequest, call: &'a HelmCall) -> Answer<'a, Release, HelmError>;
    /// `helm upgrade`.
    fn upgrade<'a>(&'a self, chart: &'a ChartRequest, call: &'a HelmCall) -> Answer<'a, Release, HelmError>;
    /// `helm rollback`; without a revision to the one before.
    fn rollback<'a>(
        &'a self,
        release: &'a str,
        revision: Option<u64>,
        call: &'a HelmCall,
    ) -> Answer<'a, Release, HelmError>;
    /// `helm uninstall`. `Ok(false)` if there was no such release.
    fn uninstall<'a>(&'a self, release: &'a str, call: &'a HelmCall) -> Answer<'a, bool, HelmError>;
    /// `helm status`: the release as it is now, `None` if there is none.
    fn status<'a>(&'a self, release: &'a str, call: &'a HelmCall) -> Answer<'a, Option<Release>, HelmError>;
    /// `helm version`: the binary's own version, such as `v4.3.1`.
    fn version(&self) -> Answer<'_, String, HelmError>;
}

/// What every call carries.
#[derive(Clone, Debug)]
pub struct HelmCall {
    /// The release's namespace.
    pub namespace: String,
    /// Most time for it, also for each hook (helm's `--timeout`).
    pub timeout: Duration,
    /// Leaves the chart's hooks out.
    pub no_hooks: bool,
    /// Ends the command: SIGTERM to its process group, then SIGKILL.
    pub cancel: CancellationToken,
}

/// A chart with its values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChartRequest {
    /// The release's name.
    pub release: String,
    /// A path, `repo/name`, or `oci://…`.
    pub chart: String,
    /// URL of the chart repository.
    pub repo: Option<String>,
    /// The chart's version.
    pub version: Option<String>,
    /// Values files, later ones win.
    pub values: Vec<PathBuf>,
    /// Single values by their dotted path; they win over files.
    pub set: Vec<(String, Value)>,
    /// Upgrade: install the release if it is not there.
    pub install: bool,
    /// Upgrade: keep the release's values below the given ones.
    pub reuse_values: bool,
    /// Labels put on the release itself, so that clean-up finds it.
    pub labels: Vec<(String, String)>,
}

/// A release as helm tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its revision, from 1.
    pub revision: u64,
    /// `deployed`, `failed`, `pending-upgrade`, …
    pub status: String,
    /// helm's sentence about the last action.
    pub description: String,
    /// The chart's name and version, such as `longhorn-1.12.1`.
    pub chart: String,
    /// The version of the application in it.
    pub app_version: String,
    /// The chart's notes, filled in.
    pub notes: String,
    /// Every manifest of it, rendered, as one YAML text.
    pub manifest: String,
    /// The hooks that belong to it, with how they went.
    pub hooks: Vec<Hook>,
    /// Labels on the release itself.
    pub labels: Vec<(String, String)>,
}

/// One hook of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The object's name.
    pub name: String,
    /// Its kind, such as `Job`.
    pub kind: String,
    /// When it runs: `pre-upgrade`, …
    pub events: Vec<String>,
    /// `Succeeded`, `Failed`, `Running`, `Unknown`, or empty if it did not run.
    pub phase: String,
}

/// Why helm did not do it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct HelmError {
    /// Decides the step's outcome.
    pub class: Class,
    /// One sentence.
    pub message: String,
    /// What helm printed on its error stream, cut to its last lines.
    pub stderr: String,
    /// Whether nothing was done for a reason that passes: asking again may help.
    pub passing: bool,
}
