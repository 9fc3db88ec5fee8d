//! The file that `plans/parts/file-server.toml` serves: the numbers from 1, one a line.

use std::fmt::Write as _;

use ring::digest::{Context, SHA512};

/// Its size and its SHA-512.
pub(super) fn published(lines: u64) -> (u64, String) {
    let mut digest = Context::new(&SHA512);
    let mut bytes = 0;
    let mut line = String::new();
    for number in 1..=lines {
        line.clear();
        writeln!(line, "{number}").expect("a text takes more text");
        digest.update(line.as_bytes());
        bytes += line.len() as u64;
    }
    let sum = digest.finish().as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    (bytes, sum)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_digest_is_the_one_that_the_plan_expects() {
        let (bytes, sha512) = super::published(500_000);
        assert_eq!(bytes, 3_388_895);
        let plan = include_str!("../../../plans/restart.toml");
        assert!(plan.contains(&sha512), "{sha512}");
    }
}
