//! One body of request sequences for two servers.
//!
//! The sequences are data (`sequences/*.http`). What kube-apiserver v1.34.4 answered stands in
//! `recorded/*.jsonl`, with what changes from run to run named instead of written out. The
//! embedded arm compares its answers with the recording in every `cargo test`; the lab arm
//! checks that a real server still gives that recording, and writes it with `LARIAT_LAB_RECORD=1`.

pub(crate) mod answer;
pub(crate) mod compare;
pub(crate) mod normal;
pub(crate) mod perform;
pub(crate) mod place;
pub(crate) mod script;

use std::path::PathBuf;

/// The folder of the sequences and their recordings.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/conformance")
}
