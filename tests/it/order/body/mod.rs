//! What controllers do, as orders of events.
//!
//! A scenario sets something up, waits until it has settled, does one thing to it, and watches.
//! What several runs on a real cluster have in common is a partial order: which events come, and
//! which of them always come before which. It stands in `recorded/*.order`. The embedded arm
//! holds every seed's run to it; the lab arm checks that the real cluster still keeps to it, and
//! writes it with `LARIAT_LAB_RECORD=1`.

pub(crate) mod partial;
pub(crate) mod scenario;
pub(crate) mod seen;
pub(crate) mod stage;

use std::path::PathBuf;

/// The file of a scenario's recorded order.
pub(crate) fn file(scenario: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/order/recorded");
    folder.join(format!("{}.order", scenario.replace(' ', "-")))
}
