//! The verbs: what a step can do, one argument struct for each.
//!
//! `verbs!` is the one list of them. It makes the enum, the names as they stand
//! in a plan, the reader and the schema; a verb that is added here is asked for
//! by the compiler wherever verbs are matched.

mod faults;
mod helm;
mod local;
mod network;
mod object;
mod outputs;
mod pod;
mod pod_kill;
mod wait;
mod workload;

pub use helm::{HelmInstall, HelmRollback, HelmUninstall, HelmUpgrade};
pub use local::{Collect, Command, EditConstant, Sleep};
pub use network::{Download, Http};
pub use object::{Apply, Delete, Manifest, ManifestFile, Patch, Propagation};
pub use outputs::{EVERY_STEP, Output};
pub use pod::{Exec, SteadyIo, VerifyFile, WriteFile};
pub use pod_kill::{How, Order, PodKill, Which};
pub use wait::Wait;
pub use workload::{Cordon, Drain, RolloutRestart, Scale, Uncordon};

macro_rules! verbs {
    ($($name:literal $verb:ident leaves $outputs:ident,)+) => {
        /// What a step does, with its arguments.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(missing_docs, reason = "each variant is documented at its argument struct")]
        pub enum Verb {
            $($verb($verb),)+
        }

        impl Verb {
            /// Every verb's name, as it stands in a plan.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The verb's name, as it stands in a plan.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$verb(_) => $name,)+
                }
            }

            /// What it leaves for later steps, besides [`EVERY_STEP`].
            pub fn outputs(&self) -> &'static [Output] {
                match self {
                    $(Self::$verb(_) => outputs::$outputs,)+
                }
            }

            /// Reads the arguments of the verb of this name; `None` if there is no such verb.
            pub fn read<'de, D: serde::Deserializer<'de>>(name: &str, arguments: D) -> Option<Result<Self, D::Error>> {
                use serde::Deserialize;
                match name {
                    $($name => Some($verb::deserialize(arguments).map(Self::$verb)),)+
                    _ => None,
                }
            }

            /// The schema of each verb's arguments, by name.
            pub fn schemas(generator: &mut schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema)> {
                vec![$(($name, generator.subschema_for::<$verb>())),+]
            }
        }

        /// What the verb of this name leaves for later steps, besides [`EVERY_STEP`];
        /// nothing if there is no such verb.
        pub fn outputs_of(name: &str) -> &'static [Output] {
            match name {
                $($name => outputs::$outputs,)+
                _ => &[],
            }
        }
    };
}

verbs! {
    "helm-install" HelmInstall leaves HELM,
    "helm-upgrade" HelmUpgrade leaves HELM,
    "helm-rollback" HelmRollback leaves HELM,
    "helm-uninstall" HelmUninstall leaves UNINSTALL,
    "apply" Apply leaves APPLY,
    "patch" Patch leaves PATCH,
    "delete" Delete leaves DELETE,
    "wait" Wait leaves WAIT,
    "pod-kill" PodKill leaves KILL,
    "rollout-restart" RolloutRestart leaves RESTART,
    "scale" Scale leaves SCALE,
    "cordon" Cordon leaves CORDON,
    "uncordon" Uncordon leaves CORDON,
    "drain" Drain leaves DRAIN,
    "exec" Exec leaves PROGRAM,
    "write-file" WriteFile leaves FILE,
    "verify-file" VerifyFile leaves FILE,
    "steady-io" SteadyIo leaves STEADY,
    "download" Download leaves DOWNLOAD,
    "http" Http leaves HTTP,
    "command" Command leaves PROGRAM,
    "edit-constant" EditConstant leaves EDIT,
    "collect" Collect leaves COLLECT,
    "sleep" Sleep leaves NOTHING,
}

impl Verb {
    /// Whether it speaks to a cluster; a plan without such a verb runs without one.
    pub fn needs_cluster(&self) -> bool {
        match self {
            Self::Download(_) | Self::Http(_) | Self::Command(_) | Self::EditConstant(_) | Self::Sleep(_) => false,
            Self::HelmInstall(_)
            | Self::HelmUpgrade(_)
            | Self::HelmRollback(_)
            | Self::HelmUninstall(_)
            | Self::Apply(_)
            | Self::Patch(_)
            | Self::Delete(_)
            | Self::Wait(_)
            | Self::PodKill(_)
            | Self::RolloutRestart(_)
            | Self::Scale(_)
            | Self::Cordon(_)
            | Self::Uncordon(_)
            | Self::Drain(_)
            | Self::Exec(_)
            | Self::WriteFile(_)
            | Self::VerifyFile(_)
            | Self::SteadyIo(_)
            | Self::Collect(_) => true,
        }
    }

    /// Whether it can break what it is pointed at: such a plan needs `harm = true`
    /// for its context, or `--yes`.
    pub fn harms(&self) -> bool {
        match self {
            Self::HelmInstall(_)
            | Self::HelmUpgrade(_)
            | Self::HelmRollback(_)
            | Self::HelmUninstall(_)
            | Self::Delete(_)
            | Self::PodKill(_)
            | Self::RolloutRestart(_)
            | Self::Scale(_)
            | Self::Patch(_)
            | Self::Cordon(_)
            | Self::Uncordon(_)
            | Self::Drain(_) => true,
            Self::Apply(_)
            | Self::Wait(_)
            | Self::Exec(_)
            | Self::WriteFile(_)
            | Self::VerifyFile(_)
            | Self::SteadyIo(_)
            | Self::Download(_)
            | Self::Http(_)
            | Self::Command(_)
            | Self::EditConstant(_)
            | Self::Collect(_)
            | Self::Sleep(_) => false,
        }
    }

    /// Whether it holds a permit (`--jobs`) while it runs: waiting costs nothing.
    pub fn holds_permit(&self) -> bool {
        !matches!(self, Self::Wait(_) | Self::Sleep(_))
    }

    /// Whether it is told to end and given a moment for it, instead of being dropped:
    /// it has processes or results that must be wound up.
    pub fn winds_down(&self) -> bool {
        matches!(
            self,
            Self::HelmInstall(_)
                | Self::HelmUpgrade(_)
                | Self::HelmRollback(_)
                | Self::HelmUninstall(_)
                | Self::Command(_)
                | Self::SteadyIo(_)
                | Self::Collect(_)
        )
    }
}
