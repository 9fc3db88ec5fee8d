use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Exit;
use super::args::{ClusterArgs, ColorArg, PlanArgs};
use super::look;
use super::screen::{err, told};
use crate::cluster::{Cluster, ConnectError, Live, LiveOptions, Local, Settings as LariatToml};
use crate::plan::{self, Disk, Plan, Settings};

/// How this program names itself to servers.
pub(super) const USER_AGENT: &str = concat!("lariat/", env!("CARGO_PKG_VERSION"));

/// Loads a plan, or prints every mistake in it.
pub(super) fn load(args: &PlanArgs, color: ColorArg) -> Result<Plan, Exit> {
    let settings = settings_of(args)?;
    plan::load(&Disk, &args.plan, &settings).map_err(|problems| {
        err(&problems.draw(look::color(color)));
        Exit::Usage
    })
}

/// What the command line says about a plan.
fn settings_of(args: &PlanArgs) -> Result<Settings, Exit> {
    Ok(Settings {
        namespace: args.namespace.clone(),
        only: args.only.clone(),
        skip: args.skip.clone(),
        ..settings(&args.set, &args.vars)?
    })
}

/// What the command line says about vars, and what the environment does.
pub(super) fn settings(set: &[String], vars: &[PathBuf]) -> Result<Settings, Exit> {
    let set = set.iter().map(|written| match written.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => {
            err(&format!("lariat: `--set {written}` sets nothing; write it like `--set rounds=3`"));
            Err(Exit::Usage)
        }
    });
    Ok(Settings {
        set: set.collect::<Result<_, _>>()?,
        vars_files: vars.to_vec(),
        env: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        ..Settings::default()
    })
}

/// Whether a run is one on the embedded cluster: it needs one, and none was named.
pub(super) fn is_embedded(plan: &Plan, args: &ClusterArgs) -> bool {
    plan.needs_cluster() && args.context.is_none() && args.kubeconfig.is_none()
}

/// Opens the cluster that a plan needs and the command line names.
pub(super) async fn cluster(plan: &Plan, args: &ClusterArgs) -> Result<Opened, Exit> {
    if !plan.needs_cluster() {
        return Ok(Opened { cluster: Arc::new(Local::new(&cache(), USER_AGENT)), may_harm: true });
    }
    let Some(context) = &args.context else {
        err(
            "lariat: a kubeconfig alone names no cluster, and none is taken unasked: add `--context NAME` (`kubectl config get-contexts` lists them), or leave `--kubeconfig` out for the embedded cluster",
        );
        return Err(Exit::Usage);
    };
    connect(context, args).await
}

/// Connects to a named context.
pub(super) async fn connect(context: &str, args: &ClusterArgs) -> Result<Opened, Exit> {
    let settings = LariatToml::find(&std::env::current_dir().unwrap_or_default()).map_err(|error| {
        err(&told(&error));
        Exit::Usage
    })?;
    let known = settings.context(context);
    let options = LiveOptions {
        kubeconfig: args.kubeconfig.clone().or_else(|| known.kubeconfig.clone()),
        context: context.to_owned(),
        helm: std::env::var_os("HELM").map_or_else(|| "helm".into(), Into::into),
        cache: cache(),
        user_agent: USER_AGENT.to_owned(),
    };
    let live = Live::connect(options).await.map_err(|error| {
        err(&told(&error));
        exit_of(&error)
    })?;
    Ok(Opened { cluster: Arc::new(live), may_harm: known.harm })
}

/// A cluster with what its owner allows.
pub(super) struct Opened {
    pub(super) cluster: Arc<dyn Cluster>,
    /// `harm = true` in `lariat.toml`.
    pub(super) may_harm: bool,
}

/// A kubeconfig or context that is named wrongly, or makes no sense, is a usage
/// error: nobody was asked. A server that can't be reached or does not let us in is not.
fn exit_of(error: &ConnectError) -> Exit {
    match error {
        ConnectError::FindKubeconfig { .. }
        | ConnectError::ReadKubeconfig { .. }
        | ConnectError::ParseKubeconfig { .. }
        | ConnectError::FindContext { .. }
        | ConnectError::ReadContext { .. }
        | ConnectError::UseContext { .. } => Exit::Usage,
        ConnectError::Credentials { .. }
        | ConnectError::Reach { .. }
        | ConnectError::TrustServer { .. }
        | ConnectError::Expired { .. }
        | ConnectError::Authenticate { .. }
        | ConnectError::Authorize { .. }
        | ConnectError::Understand { .. } => Exit::Error,
    }
}

/// Where downloads and helm's caches are kept.
pub(super) fn cache() -> std::path::PathBuf {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(Into::into).or_else(home);
    base.unwrap_or_else(std::env::temp_dir).join("lariat")
}
