//! What can be wrong with pods though nothing in them says so.

use tokio::sync::mpsc;

use super::super::key::Key;
use super::super::object::Object;
use super::machines::Machines;

/// Which pods are meant. What is left out matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFilter {
    /// Their namespace.
    pub namespace: Option<String>,
    /// The name of one.
    pub name: Option<String>,
    /// Labels that they all have.
    pub labels: Vec<(String, String)>,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// Readiness probes fail. A container without one is ready all the same, as everywhere.
    Unready,
    /// Containers that are told to end neither end nor can be killed.
    Stuck,
}

/// Something that is wrong with pods.
#[derive(Debug)]
pub(super) struct Ailing {
    pub(super) id: u64,
    pub(super) pods: PodFilter,
    pub(super) ailment: Ailment,
    pub(super) tell: mpsc::UnboundedSender<Key>,
}

/// Something is wrong with pods for as long as this is held.
#[derive(Debug)]
#[must_use = "pods are well again when it is dropped"]
pub struct Afflicted {
    pub(super) machines: Machines,
    pub(super) id: u64,
}

impl Drop for Afflicted {
    fn drop(&mut self) {
        self.machines.heal(self.id);
    }
}

impl PodFilter {
    /// Whether a pod is meant.
    pub fn takes(&self, pod: &Object) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let labels = pod.at("/metadata/labels");
        is(&self.namespace, pod.namespace())
            && is(&self.name, pod.name())
            && self.labels.iter().all(|(label, value)| labels[label.as_str()] == value.as_str())
    }
}

/// Whether something is wrong with a pod, telling whoever made it so.
pub(super) fn ails(ailments: &[Ailing], ailment: Ailment, pod: &Object) -> bool {
    let meant = ailments.iter().filter(|ailing| ailing.ailment == ailment && ailing.pods.takes(pod));
    let mut ails = false;
    for ailing in meant {
        ails = true;
        // Who does not listen any more has heard enough.
        let _ = ailing.tell.send(pod.key());
    }
    ails
}
