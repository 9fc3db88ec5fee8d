use super::release::{Before, ChartSettings, Subject};
use super::{Done, Error, StepContext};
use crate::cluster::ChartRequest;
use crate::plan::verb::HelmUpgrade;

/// Upgrades a release. One that an attempt before this one left pending is rolled
/// back first, to where it stood before that attempt.
///
/// Outputs: `revision`, `status`, `images` (a list of `object`, `container`, `before`, `after`).
pub(super) async fn act(args: &HelmUpgrade, ctx: &StepContext) -> Result<Done, Error> {
    let subject = Subject::new(&args.release, args.namespace.as_ref(), args.no_hooks, ctx)?;
    let settings = ChartSettings {
        chart: &args.chart,
        repo: args.repo.as_ref(),
        version: args.version.as_ref(),
        values: &args.values,
        set: &args.set,
    };
    let request = settings.request(&subject.name, ctx)?;
    let before = subject.before().await?;
    // Only what this run made is marked as its own.
    let labels = match before {
        Before::Nothing => subject.labels(),
        Before::Release(_) => Vec::new(),
    };
    let request = ChartRequest { labels, install: args.install, reuse_values: args.reuse_values, ..request };
    let (helm, request) = (ctx.cluster.helm(), &request);
    subject.act("upgrade", &before, |call| async move { helm.upgrade(request, &call).await }).await
}
