use super::{
    Done, Error, StepContext, apply, collect, command, delete, download, drain, edit_constant, exec, helm_install,
    helm_rollback, helm_uninstall, helm_upgrade, http, patch, pod_kill, sleep, steady_io, verify_file, wait, workload,
    write_file,
};
use crate::plan::Verb;

/// Does what a verb says.
pub async fn act(verb: &Verb, ctx: &StepContext) -> Result<Done, Error> {
    match verb {
        Verb::HelmInstall(args) => helm_install::act(args, ctx).await,
        Verb::HelmUpgrade(args) => helm_upgrade::act(args, ctx).await,
        Verb::HelmRollback(args) => helm_rollback::act(args, ctx).await,
        Verb::HelmUninstall(args) => helm_uninstall::act(args, ctx).await,
        Verb::Apply(args) => apply::act(args, ctx).await,
        Verb::Patch(args) => patch::act(args, ctx).await,
        Verb::Delete(args) => delete::act(args, ctx).await,
        Verb::Wait(args) => wait::act(args, ctx).await,
        Verb::PodKill(args) => pod_kill::act(args, ctx).await,
        Verb::RolloutRestart(args) => workload::rollout_restart(args, ctx).await,
        Verb::Scale(args) => workload::scale(args, ctx).await,
        Verb::Cordon(args) => workload::cordon(args, ctx).await,
        Verb::Uncordon(args) => workload::uncordon(args, ctx).await,
        Verb::Drain(args) => drain::act(args, ctx).await,
        Verb::Exec(args) => exec::act(args, ctx).await,
        Verb::WriteFile(args) => write_file::act(args, ctx).await,
        Verb::VerifyFile(args) => verify_file::act(args, ctx).await,
        Verb::SteadyIo(args) => steady_io::act(args, ctx).await,
        Verb::Download(args) => download::act(args, ctx).await,
        Verb::Http(args) => http::act(args, ctx).await,
        Verb::Command(args) => command::act(args, ctx).await,
        Verb::EditConstant(args) => edit_constant::act(args, ctx).await,
        Verb::Collect(args) => collect::act(args, ctx).await,
        Verb::Sleep(args) => sleep::act(args, ctx).await,
    }
}
