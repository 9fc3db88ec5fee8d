//! The controller manager: what runs in one process on a control plane.

use super::cluster;
use super::controller::Runs;
use super::workload;

/// Its controllers.
pub(in crate::sim) fn controller_manager() -> Vec<Box<dyn Runs>> {
    let mut all = workload::controllers();
    all.extend(cluster::controllers());
    all.extend(cluster::caretakers());
    all
}
