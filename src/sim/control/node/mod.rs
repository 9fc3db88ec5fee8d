//! Nodes: what runs on them, and the kubelets that see to it.
//!
//! [`Machines`] are the nodes themselves: containers, files and images, which outlive a
//! kubelet. A kubelet is a process of controllers like any other, started and killed by whoever holds it.

mod image;

mod files;

mod command;
mod shell;

mod ailment;
mod probe;
mod vessel;

mod worker;

mod pod_status;

mod machines;

mod heartbeat;
mod kubelet;

pub use ailment::{Afflicted, Ailment, PodFilter};
pub use files::{Anywhere, Attach, File, Trouble, Volume, sha256};
pub(in crate::sim) use heartbeat::object as node_object;
pub use image::{Behaviour, Image, Life, OnTerm, Start, Switch};
pub use kubelet::kubelet;
pub(in crate::sim) use kubelet::ring;
pub use machines::Machines;

/// The controller of a kubelet that looks after pods; its keys are pods.
const KUBELET: &str = "kubelet";
