use crate::clock::Elapsed;
use crate::event::NodeKind;
use crate::view::{Row, RunView};

/// Verbs after which things break.
const DISTURBING: &[&str] = &[
    "pod-kill",
    "helm-install",
    "helm-upgrade",
    "helm-rollback",
    "helm-uninstall",
    "rollout-restart",
    "scale",
    "drain",
    "cordon",
    "delete",
];

/// Steps that shake the cluster, and when, in the order in which they began.
pub(super) fn faults(view: &RunView) -> Vec<(&Row, Elapsed)> {
    let mut found: Vec<(&Row, Elapsed)> = view
        .rows
        .iter()
        .filter(|row| matches!(&row.node.kind, NodeKind::Verb(verb) if DISTURBING.contains(&verb.as_str())))
        .filter_map(|row| Some((row, row.started?)))
        .collect();
    found.sort_by_key(|(_, at)| *at);
    found
}

/// The last of them that had begun at a moment.
pub(super) fn last_before(view: &RunView, at: Elapsed) -> Option<(&Row, Elapsed)> {
    faults(view).into_iter().take_while(|(_, began)| *began <= at).last()
}
