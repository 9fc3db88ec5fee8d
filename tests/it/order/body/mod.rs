//! One body of scenes for two clusters.
//!
//! A scene is a cluster's own work after one act: a rollout, a deletion, a job that fails. What a
//! watch saw of it on a real Kubernetes 1.34.4, several times over, stands in `tests/data/orders/`
//! as one story for each time. What came before what in all of them is the order that the embedded
//! cluster is held to. `just lab-orders` writes the stories down anew.

pub(crate) mod order;
pub(crate) mod scene;
pub(crate) mod state;
pub(crate) mod story;
pub(crate) mod witness;

use std::fs;
use std::path::PathBuf;

use story::Story;

/// Where the stories of a scene are.
pub(crate) fn path(scene: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/orders").join(format!("{scene}.txt"))
}

/// What the lab showed of a scene, time after time.
pub(crate) fn recorded(scene: &str) -> Vec<Story> {
    let text = fs::read_to_string(path(scene)).expect("every scene was recorded: `just lab-orders`");
    Story::all(&text)
}
