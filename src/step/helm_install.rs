use super::release::{ChartSettings, Subject};
use super::{Done, Error, StepContext};
use crate::cluster::ChartRequest;
use crate::plan::verb::HelmInstall;

/// Installs a release, and makes its namespace where it is absent. A release that an
/// attempt before this one left unfinished is uninstalled first.
///
/// Outputs: `revision`, `status`, `images` (a list of `object`, `container`, `after`).
pub(super) async fn act(args: &HelmInstall, ctx: &StepContext) -> Result<Done, Error> {
    let subject = Subject::new(&args.release, args.namespace.as_ref(), args.no_hooks, ctx)?;
    let settings = ChartSettings {
        chart: &args.chart,
        repo: args.repo.as_ref(),
        version: args.version.as_ref(),
        values: &args.values,
        set: &args.set,
    };
    let request = ChartRequest { labels: subject.labels(), ..settings.request(&subject.name, ctx)? };
    let before = subject.before().await?;
    let (helm, request) = (ctx.cluster.helm(), &request);
    subject.act("install", &before, |call| async move { helm.install(request, &call).await }).await
}
