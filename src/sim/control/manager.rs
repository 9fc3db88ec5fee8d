//! The controller manager: what runs in one process on a control plane.

use super::controller::Runs;
use super::workload;

/// Its controllers.
pub(in crate::sim) fn controller_manager() -> Vec<Box<dyn Runs>> {
    workload::controllers()
}
