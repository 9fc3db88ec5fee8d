use std::fmt::Write as _;

use ring::digest::{SHA256, digest};

/// SHA-256 of these texts one after another, each with its length before it.
pub(super) fn sha256<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    let mut hex = String::new();
    for byte in digest(&SHA256, &bytes).as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
