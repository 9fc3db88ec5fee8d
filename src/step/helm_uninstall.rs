use super::release::Subject;
use super::{Done, Error, StepContext};
use crate::event::{Class, Note, Progress};
use crate::plan::verb::HelmUninstall;

/// Removes a release.
///
/// Outputs: `status` (`uninstalled`, or `absent` if there was no such release).
pub(super) async fn act(args: &HelmUninstall, ctx: &StepContext) -> Result<Done, Error> {
    let subject = Subject::new(&args.release, args.namespace.as_ref(), args.no_hooks, ctx)?;
    let (helm, name) = (ctx.cluster.helm(), subject.name.as_str());
    // What an attempt before this one removed is gone as it should be.
    let is_again = ctx.memory.recall().is_some();
    ctx.memory.keep(serde_json::json!({ "release": name }));
    ctx.progress(Progress { say: format!("helm uninstall {name}"), ..Progress::default() });
    let was_there = subject.insist("uninstall", |call| async move { helm.uninstall(name, &call).await }).await?;
    if !was_there && !args.ignore_not_found && !is_again {
        return Err(Error::new(Class::Missing, format!("there is no release `{name}` to uninstall"))
            .expected("a release, or `ignore-not-found = true`"));
    }
    let status = if was_there { "uninstalled" } else { "absent" };
    ctx.note(Note::pair("status", status));
    Ok(Done::default().with("status", status))
}
