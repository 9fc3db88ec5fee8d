use super::release::Subject;
use super::{Done, Error, StepContext};
use crate::plan::verb::HelmRollback;

/// Goes back to an earlier revision of a release; helm counts that as a new one.
///
/// Outputs: `revision`, `status`, `images` (a list of `object`, `container`, `before`, `after`).
pub(super) async fn act(args: &HelmRollback, ctx: &StepContext) -> Result<Done, Error> {
    let subject = Subject::new(&args.release, args.namespace.as_ref(), args.no_hooks, ctx)?;
    let before = subject.before().await?;
    // Helm would count back from what an attempt before this one left.
    let revision = match ctx.get_opt(args.revision.as_ref())? {
        Some(revision) => Some(revision),
        None => subject.first_revision().and_then(|first| first.checked_sub(1)).filter(|&before| before > 0),
    };
    let (helm, name) = (ctx.cluster.helm(), subject.name.as_str());
    subject.act("rollback", &before, |call| async move { helm.rollback(name, revision, &call).await }).await
}
