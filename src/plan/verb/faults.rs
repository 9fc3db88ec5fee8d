use super::{Order, Verb};
use crate::plan::Setting;

impl Verb {
    /// What is wrong with how its arguments go together, one sentence each.
    pub(in crate::plan) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut exactly_one = |given: &[bool], of: &str| match given.iter().filter(|given| **given).count() {
            1 => {}
            0 => faults.push(format!("`{}` needs {of}", self.name())),
            _ => faults.push(format!("`{}` takes only one of {of}", self.name())),
        };
        match self {
            Self::Apply(apply) => exactly_one(&[apply.object.is_some(), apply.file.is_some()], "`object` or `file`"),
            Self::Patch(patch) => {
                let kinds = [patch.merge.is_some(), patch.json.is_some(), patch.strategic.is_some()];
                exactly_one(&kinds, "`merge`, `json` or `strategic`");
                let named = patch.resource.is_some() || patch.name.is_some();
                exactly_one(&[patch.on.is_some(), named], "`on`, or `resource` with `name`");
                if named && patch.on.is_none() && !(patch.resource.is_some() && patch.name.is_some()) {
                    faults.push("`patch` needs `resource` and `name` together".to_owned());
                }
            }
            Self::Delete(delete) => {
                let named = delete.resource.is_some() || delete.name.is_some();
                exactly_one(&[delete.on.is_some(), named], "`on`, or `resource` with `name`");
                if named && delete.on.is_none() && !(delete.resource.is_some() && delete.name.is_some()) {
                    faults.push("`delete` needs `resource` and `name` together".to_owned());
                }
            }
            Self::Exec(exec) => {
                exactly_one(&[exec.on.is_some(), exec.pod.is_some()], "`on` or `pod`");
                if matches!(&exec.command, Setting::Plain(command) if command.is_empty()) {
                    faults.push("`command` is empty: name a program".to_owned());
                }
            }
            Self::WriteFile(write) => {
                exactly_one(&[write.on.is_some(), write.pod.is_some()], "`on` or `pod`");
                exactly_one(&[write.size.is_some(), write.file.is_some()], "`size` or `file`");
            }
            Self::VerifyFile(verify) => exactly_one(&[verify.on.is_some(), verify.pod.is_some()], "`on` or `pod`"),
            Self::SteadyIo(io) => exactly_one(&[io.on.is_some(), io.pod.is_some()], "`on` or `pod`"),
            Self::Http(http) => {
                if http.body.is_some() && http.json.is_some() {
                    faults.push("`http` takes only one of `body` and `json`".to_owned());
                }
            }
            Self::EditConstant(edit) => exactly_one(&[edit.add.is_some(), edit.to.is_some()], "`add` or `to`"),
            Self::Command(command) => {
                if matches!(&command.args, Setting::Plain(args) if args.is_empty()) {
                    faults.push("`args` is empty: name a program".to_owned());
                }
            }
            Self::PodKill(kill) => {
                if kill.gate.is_some() && kill.order == Setting::Plain(Order::Together) {
                    faults.push(
                        "`gate` is for `order = \"rolling\"`: killed together, no pod waits for another".to_owned(),
                    );
                }
            }
            Self::Collect(collect) => {
                if !(collect.logs || collect.describe || collect.events || collect.objects) {
                    faults.push(
                        "`collect` collects nothing: switch on `logs`, `describe`, `events` or `objects`".to_owned(),
                    );
                }
            }
            Self::HelmInstall(_)
            | Self::HelmUpgrade(_)
            | Self::HelmRollback(_)
            | Self::HelmUninstall(_)
            | Self::Wait(_)
            | Self::RolloutRestart(_)
            | Self::Scale(_)
            | Self::Cordon(_)
            | Self::Uncordon(_)
            | Self::Drain(_)
            | Self::Download(_)
            | Self::Sleep(_) => {}
        }
        faults
    }
}
