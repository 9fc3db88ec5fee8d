use super::release::Subject;
use super::{Done, Error, StepContext};
use crate::event::{Class, Note, Progress};
use crate::plan::verb::HelmUninstall;

/// Removes a release. It has no outputs.
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
    let said = if was_there { "it was there, and is gone" } else { "it was not there" };
    ctx.note(Note::text(format!("release `{name}`: {said}")));
    Ok(Done::default())
}
