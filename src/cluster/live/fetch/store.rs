use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::fs::File;

use super::{Digests, Sums};
use crate::cluster::FetchError;
use crate::event::Class;

/// How often a file that another process is fetching is looked at.
const PAUSE: Duration = Duration::from_millis(100);

/// The cache on disk.
///
/// ```text
/// sha512/<digest>     whole files
/// sha256/<digest>     the SHA-512 of the file with this SHA-256, if it was wanted once
/// urls/<name>.json    what an address gave last, to be asked whether it changed
/// partial/<name>      what came so far, and <name>.json: from where, and which version
/// locks/<name>        held while somebody fetches
/// ```
#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
}

/// Which version of a file a server gave: what it is asked about later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_modified: Option<String>,
    /// The whole size, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<u64>,
    /// The digest, once all of it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sha512: Option<String>,
}

impl Version {
    /// What a resumed request must match. A weak tag does not promise the same bytes.
    pub(super) fn validator(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|tag| !tag.starts_with("W/"));
        strong.or(self.last_modified.as_deref())
    }
}

/// Held while a file is fetched; the system lets go of it with the process.
pub(super) struct Lock(#[expect(dead_code, reason = "dropping the file is what unlocks")] fs::File);

impl Store {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn path(&self, room: &str, name: &str) -> PathBuf {
        self.root.join(room).join(name)
    }

    /// A path in one of the cache's folders, which is made if it is not there.
    fn place(&self, room: &str, name: &str) -> Result<PathBuf, FetchError> {
        let folder = self.root.join(room);
        fs::create_dir_all(&folder).map_err(|error| self.trouble("make", &folder, &error))?;
        Ok(folder.join(name))
    }

    /// Waits until nobody else fetches what has this name. `waiting` is told how much they have.
    pub(super) async fn lock(&self, name: &str, waiting: &(dyn Fn(u64) + Send + Sync)) -> Result<Lock, FetchError> {
        let path = self.place("locks", name)?;
        let open = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(|error| self.trouble("write", &path, &error))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(fs::TryLockError::WouldBlock) => {
                    waiting(fs::metadata(self.path("partial", name)).map_or(0, |partial| partial.len()));
                    tokio::time::sleep(PAUSE).await;
                }
                Err(fs::TryLockError::Error(error)) => {
                    return Err(self.trouble("lock", &path, &error));
                }
            }
        }
    }

    /// The whole file with this digest, if it is there and still has it.
    pub(super) async fn whole(
        &self,
        sha512: &str,
        with_sha256: bool,
        read: &(dyn Fn(u64) + Send + Sync),
    ) -> Option<(PathBuf, Sums)> {
        let path = self.path("sha512", sha512);
        let mut file = File::open(&path).await.ok()?;
        let mut digests = Digests::new(with_sha256);
        digests.read(&mut file, read).await.ok()?;
        let sums = digests.finish();
        if sums.sha512 == sha512 {
            return Some((path, sums));
        }
        // Damaged on the disk: it is fetched again.
        let _ = fs::remove_file(&path);
        None
    }

    /// The SHA-512 of the file with this SHA-256, if it was wanted once, if one was fetched.
    pub(super) fn by_sha256(&self, sha256: &str) -> Option<String> {
        fs::read_to_string(self.path("sha256", sha256)).ok().map(|text| text.trim().to_owned())
    }

    /// What an address gave last.
    pub(super) fn last(&self, url: &str) -> Option<Version> {
        read_json(&self.path("urls", &format!("{}.json", super::digest::name_of(url))))
    }

    /// What came so far, with the version that it is a part of.
    pub(super) fn partial(&self, name: &str) -> Option<(Version, u64)> {
        let version = read_json(&self.path("partial", &format!("{name}.json")))?;
        let length = fs::metadata(self.path("partial", name)).ok()?.len();
        (length > 0).then_some((version, length))
    }

    /// Opens a partial file: what is in it was read, and what is written goes behind it.
    pub(super) async fn resume(&self, name: &str, digests: &mut Digests) -> Result<File, FetchError> {
        let path = self.place("partial", name)?;
        let trouble = |error: io::Error| self.trouble("read", &path, &error);
        let mut options = File::options();
        let mut file = options.read(true).write(true).open(&path).await.map_err(trouble)?;
        digests.read(&mut file, &|_| {}).await.map_err(trouble)?;
        Ok(file)
    }

    /// Begins a partial file. It is a new one, so that nobody's late write lands in it.
    pub(super) async fn begin(&self, name: &str, version: &Version) -> Result<File, FetchError> {
        self.forget(name);
        let path = self.place("partial", name)?;
        let file = File::create_new(&path).await.map_err(|error| self.trouble("write", &path, &error))?;
        self.write_json("partial", &format!("{name}.json"), version)?;
        Ok(file)
    }

    /// Throws away what came so far.
    pub(super) fn forget(&self, name: &str) {
        for name in [name.to_owned(), format!("{name}.json")] {
            let _ = fs::remove_file(self.path("partial", &name));
        }
    }

    /// Makes a partial file a whole one.
    pub(super) fn keep(&self, name: &str, mut version: Version, sums: &Sums) -> Result<PathBuf, FetchError> {
        let path = self.place("sha512", &sums.sha512)?;
        fs::rename(self.path("partial", name), &path).map_err(|error| self.trouble("write", &path, &error))?;
        self.forget(name);
        if let Some(sha256) = &sums.sha256 {
            let path = self.place("sha256", sha256)?;
            fs::write(&path, &sums.sha512).map_err(|error| self.trouble("write", &path, &error))?;
        }
        version.sha512 = Some(sums.sha512.clone());
        version.total = Some(sums.bytes);
        let name = format!("{}.json", super::digest::name_of(&version.url));
        self.write_json("urls", &name, &version)?;
        Ok(path)
    }

    fn write_json(&self, room: &str, name: &str, version: &Version) -> Result<(), FetchError> {
        let path = self.place(room, name)?;
        let text = serde_json::to_string(version).expect("a version is plain data");
        fs::write(&path, text).map_err(|error| self.trouble("write", &path, &error))
    }

    /// A fault of the disk, said so that one knows which folder to look at.
    pub(super) fn trouble(&self, act: &str, path: &Path, error: &io::Error) -> FetchError {
        let root = self.root.display();
        let message = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                format!("the disk of the cache `{root}` is full; make room there")
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                format!("the cache `{root}` can't be written to: {error}")
            }
            _ => format!("can't {act} `{}` in the cache: {error}", path.display()),
        };
        FetchError { class: Class::Broken, message, source: None }
    }

    /// A fault while a partial file was written.
    pub(super) fn write_trouble(&self, name: &str, error: &io::Error) -> FetchError {
        self.trouble("write", &self.path("partial", name), error)
    }
}

fn read_json(path: &Path) -> Option<Version> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}
