use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::TryFutureExt as _;
use semver::Version;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::helm_answer::{self, Asked, Kind, Refusal};
use crate::cluster::{Answer, ChartRequest, Ended, Helm, HelmCall, HelmError, Program, Release};
use crate::event::Class;

/// The oldest helm that has `--set-json`.
const OLDEST: Version = Version::new(3, 10, 0);
/// The first that puts labels on a release.
const LABELS: Version = Version::new(3, 13, 0);
/// The first with strategies of waiting.
const STRATEGIES: Version = Version::new(4, 0, 0);
/// Most of an answer: a release with its chart is some megabytes.
const ANSWER: usize = 64 << 20;
/// Most time for a question that changes nothing.
const QUESTION: Duration = Duration::from_mins(1);

/// From helm's own timeout to ours.
const MARGIN: Duration = Duration::from_secs(2);

/// Variables that would lead helm to another cluster or namespace than it is told.
const MISLEADING: &[&str] = &[
    "HELM_KUBEAPISERVER",
    "HELM_KUBEASGROUPS",
    "HELM_KUBEASUSER",
    "HELM_KUBECAFILE",
    "HELM_KUBECONTEXT",
    "HELM_KUBEINSECURE_SKIP_TLS_VERIFY",
    "HELM_KUBETLS_SERVER_NAME",
    "HELM_KUBETOKEN",
    "HELM_NAMESPACE",
    "HELM_DEBUG",
];

/// Helm's binary, 3.10 or newer.
///
/// It is pointed at one context of one kubeconfig, runs in its own process group,
/// and is never asked to wait for more than hooks.
pub(super) struct Binary {
    program: PathBuf,
    kubeconfig: Vec<PathBuf>,
    context: String,
    cache: PathBuf,
    version: OnceCell<Version>,
}

impl Binary {
    pub(super) fn new(program: PathBuf, kubeconfig: Vec<PathBuf>, context: String, cache: &Path) -> Self {
        // A bare name is looked up in `PATH`; anything else is a path from here.
        let is_name = program.components().count() == 1 && !program.starts_with(".");
        let program = if is_name { program } else { absolute(&program).into() };
        let cache = absolute(cache).into();
        Self { program, kubeconfig, context, cache, version: OnceCell::new() }
    }

    /// The version, asked for once. An old one, or something that is no helm, is an error.
    async fn checked(&self) -> Result<&Version, Refusal> {
        let ask = || async {
            let args = ["version", "--template", "{{.Version}}"].map(str::to_owned);
            let never = CancellationToken::new();
            let ended = self.run(args.to_vec(), Vec::new(), QUESTION, &never).await?;
            let version = helm_answer::version(&ended)?;
            if version >= OLDEST {
                return Ok(version);
            }
            let message = format!("helm v{version} is too old; 3.10 or newer is needed");
            Err(Refusal::new(Class::Missing, message))
        };
        self.version.get_or_try_init(ask).await
    }

    /// Runs helm to its end, and no longer than `most`.
    async fn run(
        &self,
        args: Vec<String>,
        env: Vec<(String, Option<OsString>)>,
        most: Duration,
        cancel: &CancellationToken,
    ) -> Result<Ended, Refusal> {
        // In a folder of its own, so that `repo/name` is never a folder that happens to be near.
        let no_folder = |error| {
            let message = format!("helm's folder `{}` can't be made: {error}", self.cache.display());
            Refusal::new(Class::Broken, message)
        };
        std::fs::create_dir_all(&self.cache).map_err(no_folder)?;
        let kubeconfig = std::env::join_paths(&self.kubeconfig).unwrap_or_default();
        let misleading = MISLEADING.iter().map(|name| ((*name).to_owned(), None));
        let program = Program {
            keep: ANSWER,
            dir: Some(self.cache.clone()),
            env: misleading.chain([("KUBECONFIG".to_owned(), Some(kubeconfig))]).chain(env).collect(),
            ..Program::new(&self.program, args)
        };
        let running = program.start().map_err(|error| Refusal::not_started(&error))?;
        let late = cancel.child_token();
        let mut end = std::pin::pin!(running.end(&late));
        if let Ok(ended) = timeout(most, &mut end).await {
            return Ok(ended);
        }
        late.cancel();
        Ok(end.await)
    }

    /// Runs a command on a release and gives what it printed, or says why it failed.
    async fn act(
        &self,
        asked: &Asked<'_>,
        args: Vec<String>,
        env: Vec<(String, Option<OsString>)>,
        call: &HelmCall,
    ) -> Result<Ended, Refusal> {
        let ended = self.run(args, env, call.timeout, &call.cancel).await?;
        if ended.code() == 0 {
            Ok(ended)
        } else if !ended.cancelled {
            Err(Refusal::of(asked, &ended))
        } else if call.cancel.is_cancelled() {
            Err(Refusal::cut_short(asked, &ended))
        } else {
            Err(Refusal::too_late(asked, &ended, call.timeout))
        }
    }

    /// As `act`, for what runs hooks: helm does not always name the one that it waited for.
    async fn act_with_hooks(
        &self,
        asked: &Asked<'_>,
        args: Vec<String>,
        env: Vec<(String, Option<OsString>)>,
        call: &HelmCall,
    ) -> Result<Ended, Refusal> {
        let mut refusal = match self.act(asked, args, env, call).await {
            Err(refusal) if refusal.kind == Kind::Hooks => refusal,
            other => return other,
        };
        if let Ok(Some(release)) = self.ask_status(asked.release, call).await {
            refusal.name_hooks(&release);
        }
        Err(refusal)
    }

    /// Where charts are kept. Those of the user's own repositories need the index that
    /// `helm repo update` left in the user's cache; all others go through ours.
    fn caches(&self, request: &ChartRequest) -> Vec<(String, Option<OsString>)> {
        if request.repo.is_none() && is_repository(&request.chart) {
            return Vec::new();
        }
        let below = ["HELM_REPOSITORY_CACHE", "HELM_CONTENT_CACHE"].map(|name| (name.to_owned(), None));
        let ours = ("HELM_CACHE_HOME".to_owned(), Some(self.cache.clone().into_os_string()));
        [ours].into_iter().chain(below).collect()
    }

    /// What every command carries.
    fn common(&self, call: &HelmCall) -> Vec<String> {
        vec!["--kube-context".to_owned(), self.context.clone(), "--namespace".to_owned(), call.namespace.clone()]
    }

    /// What every command that changes something carries.
    fn bounds(&self, version: &Version, call: &HelmCall) -> Vec<String> {
        // A little before we end it, so that helm says itself what it waited for.
        let own = call.timeout.saturating_sub(MARGIN.min(call.timeout / 8));
        let mut args = self.common(call);
        args.extend(["--timeout".to_owned(), format!("{}s", own.as_secs().max(1))]);
        if *version >= STRATEGIES {
            args.push("--wait=hookOnly".to_owned());
        }
        if call.no_hooks {
            args.push("--no-hooks".to_owned());
        }
        args
    }

    async fn put(&self, verb: &'static str, request: &ChartRequest, call: &HelmCall) -> Result<Release, Refusal> {
        let version = self.checked().await?;
        let mut args = vec![verb.to_owned(), request.release.clone(), chart_argument(&request.chart)];
        args.extend(["--output".to_owned(), "json".to_owned()]);
        args.extend(self.bounds(version, call));
        if verb == "install" || request.install {
            args.push("--create-namespace".to_owned());
        }
        if verb == "upgrade" {
            let flags = [("--install", request.install), ("--reuse-values", request.reuse_values)];
            args.extend(flags.into_iter().filter(|(_, on)| *on).map(|(flag, _)| flag.to_owned()));
        }
        for (flag, value) in [("--repo", &request.repo), ("--version", &request.version)] {
            args.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        }
        for file in &request.values {
            args.extend(["--values".to_owned(), absolute(file)]);
        }
        for (key, value) in &request.set {
            args.extend(["--set-json".to_owned(), format!("{key}={value}")]);
        }
        if !request.labels.is_empty() && *version >= LABELS {
            let labels: Vec<String> = request.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            args.extend(["--labels".to_owned(), labels.join(",")]);
        }
        let asked = Asked { verb, release: &request.release, chart: Some(&request.chart) };
        let ended = self.act_with_hooks(&asked, args, self.caches(request), call).await?;
        let mut release = helm_answer::release(&asked, &ended)?;
        release.labels.clone_from(&request.labels);
        Ok(release)
    }

    async fn ask_status(&self, release: &str, call: &HelmCall) -> Result<Option<Release>, Refusal> {
        let version = self.checked().await?;
        let asked = Asked { verb: "status", release, chart: None };
        let call = HelmCall { timeout: QUESTION, ..call.clone() };
        let question = |words: &[&str]| {
            let mut args: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            args.extend(self.common(&call));
            args
        };
        let args = question(&["status", release, "--output", "json"]);
        let ended = match self.act(&asked, args, Vec::new(), &call).await {
            Err(refusal) if refusal.kind == Kind::NoRelease => return Ok(None),
            other => other?,
        };
        let mut found = helm_answer::release(&asked, &ended)?;
        // The chart's name is not in the status.
        let args = question(&["history", release, "--max", "1", "--output", "json"]);
        let ended = self.act(&asked, args, Vec::new(), &call).await?;
        helm_answer::add_chart(&mut found, &ended);
        if *version >= STRATEGIES {
            let args = question(&["get", "metadata", release, "--output", "json"]);
            let ended = self.act(&asked, args, Vec::new(), &call).await?;
            helm_answer::add_labels(&mut found, &ended);
        }
        Ok(Some(found))
    }

    async fn go_back(&self, release: &str, revision: Option<u64>, call: &HelmCall) -> Result<Release, Refusal> {
        let version = self.checked().await?;
        let mut args = vec!["rollback".to_owned(), release.to_owned()];
        args.extend(revision.map(|revision| revision.to_string()));
        args.extend(self.bounds(version, call));
        let asked = Asked { verb: "rollback", release, chart: None };
        self.act_with_hooks(&asked, args, Vec::new(), call).await?;
        // Helm prints a sentence here, and no release.
        let found = self.ask_status(release, call).await?;
        found.ok_or_else(|| Refusal::no_release(&asked))
    }

    async fn remove(&self, release: &str, call: &HelmCall) -> Result<bool, Refusal> {
        let version = self.checked().await?;
        let mut args = vec!["uninstall".to_owned(), release.to_owned()];
        args.extend(self.bounds(version, call));
        let asked = Asked { verb: "uninstall", release, chart: None };
        match self.act_with_hooks(&asked, args, Vec::new(), call).await {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.kind == Kind::NoRelease => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }
}

impl Helm for Binary {
    fn install<'a>(&'a self, chart: &'a ChartRequest, call: &'a HelmCall) -> Answer<'a, Release, HelmError> {
        Box::pin(self.put("install", chart, call).map_err(HelmError::from))
    }

    fn upgrade<'a>(&'a self, chart: &'a ChartRequest, call: &'a HelmCall) -> Answer<'a, Release, HelmError> {
        Box::pin(self.put("upgrade", chart, call).map_err(HelmError::from))
    }

    fn rollback<'a>(
        &'a self,
        release: &'a str,
        revision: Option<u64>,
        call: &'a HelmCall,
    ) -> Answer<'a, Release, HelmError> {
        Box::pin(self.go_back(release, revision, call).map_err(HelmError::from))
    }

    fn uninstall<'a>(&'a self, release: &'a str, call: &'a HelmCall) -> Answer<'a, bool, HelmError> {
        Box::pin(self.remove(release, call).map_err(HelmError::from))
    }

    fn status<'a>(&'a self, release: &'a str, call: &'a HelmCall) -> Answer<'a, Option<Release>, HelmError> {
        Box::pin(self.ask_status(release, call).map_err(HelmError::from))
    }

    fn version(&self) -> Answer<'_, String, HelmError> {
        Box::pin(self.checked().map_ok(|version| format!("v{version}")).map_err(HelmError::from))
    }
}

/// Whether a chart is `name/chart` of a repository that the user added.
fn is_repository(chart: &str) -> bool {
    !chart.contains("://") && !is_path(chart)
}

/// Whether a chart is written as a path; steps make paths of what they find beside the plan.
fn is_path(chart: &str) -> bool {
    chart.starts_with(['/', '.'])
}

fn chart_argument(chart: &str) -> String {
    if is_path(chart) { absolute(Path::new(chart)) } else { chart.to_owned() }
}

/// Helm runs in a folder of its own, so that relative paths would mean something else.
fn absolute(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
