//! Volumes and the files in them, with real digests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ring::digest;

use super::super::object::Object;

/// Up to this size a file's bytes are kept; of a larger one size and digest alone.
const KEPT: usize = 1 << 20;

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// How many bytes it has.
    pub size: u64,
    /// Their SHA-256, in lower-case hexadecimal digits.
    pub sha256: String,
    /// The bytes, if they are few.
    pub bytes: Option<Vec<u8>>,
}

impl File {
    /// A file of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self { size: bytes.len() as u64, sha256: sha256(bytes), bytes: (bytes.len() <= KEPT).then(|| bytes.to_vec()) }
    }
}

/// The SHA-256 of bytes, as `sha256sum` prints it.
pub fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes text");
        text
    })
}

/// What is wrong with a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Each read and write takes this long.
    Slow(Duration),
    /// Reads and writes do not come back.
    Hangs,
    /// They are refused with this error, such as `Input/output error`.
    Refuses(String),
}

/// Files that live and die together: an emptyDir, a node's disk, a persistent volume. Clones are the same volume.
#[derive(Clone, Debug, Default)]
pub struct Volume(Arc<Mutex<Files>>);

#[derive(Debug, Default)]
struct Files {
    files: BTreeMap<String, File>,
    trouble: Option<Trouble>,
}

impl Volume {
    fn lock(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file, by its path from the volume's root, without a slash before it.
    pub fn get(&self, path: &str) -> Option<File> {
        self.lock().files.get(path).cloned()
    }

    /// Puts a file there.
    pub fn put(&self, path: &str, file: File) {
        self.lock().files.insert(path.to_owned(), file);
    }

    /// Takes a file away. False if it was not there.
    pub fn remove(&self, path: &str) -> bool {
        self.lock().files.remove(path).is_some()
    }

    /// The paths of all files.
    pub fn paths(&self) -> Vec<String> {
        self.lock().files.keys().cloned().collect()
    }

    /// All files: what a snapshot or another replica takes over.
    pub fn files(&self) -> BTreeMap<String, File> {
        self.lock().files.clone()
    }

    /// Makes its files exactly these.
    pub fn replace(&self, files: BTreeMap<String, File>) {
        self.lock().files = files;
    }

    /// What is wrong with it from now on; `None`: nothing.
    pub fn set_trouble(&self, trouble: Option<Trouble>) {
        self.lock().trouble = trouble;
    }

    /// What is wrong with it.
    pub fn trouble(&self) -> Option<Trouble> {
        self.lock().trouble.clone()
    }
}

/// Brings persistent volumes to nodes.
pub trait Attach: Send + Sync {
    /// A pod with this volume is to start on the node: its files, or why they are not there yet.
    /// Asked again after a while. `volume` is the `PersistentVolume` as the kubelet knows it.
    fn mount(&self, volume: &Object, node: &str) -> Result<Volume, String>;

    /// No pod on the node uses it any more.
    fn unmount(&self, _volume: &str, _node: &str) {}
}

/// Volumes that are everywhere at once, made when they are first asked for: enough where no storage system is tested.
#[derive(Debug, Default)]
pub struct Anywhere(Mutex<BTreeMap<String, Volume>>);

impl Attach for Anywhere {
    fn mount(&self, volume: &Object, _node: &str) -> Result<Volume, String> {
        let mut volumes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(volumes.entry(volume.name().to_owned()).or_default().clone())
    }
}

/// A volume where a container sees it.
#[derive(Clone, Debug)]
pub(super) struct Mount {
    /// The path in the container.
    pub(super) at: String,
    pub(super) volume: Volume,
    /// The part of the volume that is mounted, empty or ending in a slash.
    pub(super) prefix: String,
    pub(super) read_only: bool,
}

/// A container's view of files.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// The longest paths first.
    pub(super) mounts: Vec<Mount>,
}

impl Tree {
    /// A view of these mounts; what is under none of them is in the container's own layer.
    pub(super) fn new(own: Volume, mut mounts: Vec<Mount>) -> Self {
        mounts.push(Mount { at: "/".to_owned(), volume: own, prefix: String::new(), read_only: false });
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.at.trim_end_matches('/').len()));
        Self { mounts }
    }

    /// Where a path leads: the mount, and the path in its volume.
    pub(super) fn find(&self, path: &str) -> (&Mount, String) {
        let path = normal(path);
        let inside = |mount: &Mount| {
            let at = mount.at.trim_end_matches('/');
            path.strip_prefix(at).filter(|rest| rest.is_empty() || rest.starts_with('/')).map(str::to_owned)
        };
        self.mounts
            .iter()
            .find_map(|mount| {
                inside(mount).map(|rest| (mount, format!("{}{}", mount.prefix, rest.trim_start_matches('/'))))
            })
            .expect("the root is a mount")
    }
}

/// A path without `.`, `..` and double slashes.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_the_innermost_mount() {
        let mount = |at: &str, prefix: &str| Mount {
            at: at.to_owned(),
            volume: Volume::default(),
            prefix: prefix.to_owned(),
            read_only: false,
        };
        let tree = Tree::new(Volume::default(), vec![mount("/data", ""), mount("/data/logs/", "x/")]);
        let leads = |path: &str| {
            let (mount, path) = tree.find(path);
            format!("{} {path}", mount.at)
        };
        assert_eq!(leads("/data/a/../b"), "/data b");
        assert_eq!(leads("/data/logs/a"), "/data/logs/ x/a");
        assert_eq!(leads("/database"), "/ database");
        assert_eq!(leads("/data"), "/data ");
    }
}
