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
pub use outputs::{EVERY_STEP, Output, outputs_of};
pub use pod::{Exec, SteadyIo, VerifyFile, WriteFile};
pub use pod_kill::{How, Order, PodKill, Which};
pub use wait::Wait;
pub use workload::{Cordon, Drain, RolloutRestart, Scale, Uncordon};

macro_rules! verbs {
    ($($name:literal $verb:ident,)+) => {
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
    };
}

verbs! {
    "helm-install" HelmInstall,
    "helm-upgrade" HelmUpgrade,
    "helm-rollback" HelmRollback,
    "helm-uninstall" HelmUninstall,
    "apply" Apply,
    "patch" Patch,
    "delete" Delete,
    "wait" Wait,
    "pod-kill" PodKill,
    "rollout-restart" RolloutRestart,
    "scale" Scale,
    "cordon" Cordon,
    "uncordon" Uncordon,
    "drain" Drain,
    "exec" Exec,
    "write-file" WriteFile,
    "verify-file" VerifyFile,
    "steady-io" SteadyIo,
    "download" Download,
    "http" Http,
    "command" Command,
    "edit-constant" EditConstant,
    "collect" Collect,
    "sleep" Sleep,
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
