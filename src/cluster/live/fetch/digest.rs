use std::io;

use ring::digest::{Context, SHA256, SHA512};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

/// Both digests of what went by, and how much it was.
pub(super) struct Digests {
    sha512: Context,
    sha256: Context,
    bytes: u64,
}

/// What came out of it, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) sha512: String,
    pub(super) sha256: String,
    pub(super) bytes: u64,
}

impl Digests {
    pub(super) fn new() -> Self {
        Self { sha512: Context::new(&SHA512), sha256: Context::new(&SHA256), bytes: 0 }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha512.update(bytes);
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn finish(self) -> Sums {
        Sums {
            sha512: hex(self.sha512.finish().as_ref()),
            sha256: hex(self.sha256.finish().as_ref()),
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
