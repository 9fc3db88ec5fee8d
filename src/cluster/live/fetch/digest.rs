use std::io;

use ring::digest::{Context, SHA256, SHA512};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

/// The digests of what went by, and how much it was.
///
/// SHA-512 is what the cache goes by. SHA-256 is counted only for those who ask for
/// it: a download is as fast as its digests.
pub(super) struct Digests {
    sha512: Context,
    sha256: Option<Context>,
    bytes: u64,
}

/// What came out of it, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) sha512: String,
    pub(super) sha256: Option<String>,
    pub(super) bytes: u64,
}

impl Digests {
    pub(super) fn new(with_sha256: bool) -> Self {
        Self { sha512: Context::new(&SHA512), sha256: with_sha256.then(|| Context::new(&SHA256)), bytes: 0 }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha512.update(bytes);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        self.bytes += bytes.len() as u64;
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn finish(self) -> Sums {
        Sums {
            sha512: hex(self.sha512.finish().as_ref()),
            sha256: self.sha256.map(|sha256| hex(sha256.finish().as_ref())),
            bytes: self.bytes,
        }
    }

    /// Reads what is left of a file.
    pub(super) async fn read(&mut self, file: &mut File, read: &(dyn Fn(u64) + Send + Sync)) -> io::Result<()> {
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer).await? {
                0 => return Ok(()),
                n => self.update(&buffer[..n]),
            }
            read(self.bytes);
        }
    }
}

/// The SHA-256 of a text: a name for files about it.
pub(super) fn name_of(text: &str) -> String {
    hex(ring::digest::digest(&SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
