//! The files of backing images on the nodes' disks: outside all pods, and gone only by a call that says so.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// The disks, by UUID.
#[derive(Clone, Debug, Default)]
pub(super) struct Disks {
    files: BTreeMap<String, BTreeMap<FileName, Stored>>,
    /// Every finished file that was deleted, for the invariant that none goes without a reason.
    pub(super) deletions: Vec<Deletion>,
    inodes: u64,
}

/// A backing image's directory on a disk: `backing-images/<image>-<uuid>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileName {
    pub(super) image: String,
    pub(super) uuid: String,
}

/// What is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// `backing`: the finished file, which replicas open.
    pub(super) finished: Option<Finished>,
    /// `backing.tmp`, or the data source's work file, of which nobody can make use after a restart.
    pub(super) partial: Option<Content>,
}

/// A finished file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finished {
    pub(super) content: Content,
    /// When it was last written.
    pub(super) modified: Timestamp,
    /// The file itself: another number is another file.
    pub(super) inode: u64,
    /// Whether `backing.cfg` holds the digest for this modification time.
    pub(super) hashed: bool,
}

/// The bytes of an image, by what can be said of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) size: u64,
    pub(super) virtual_size: u64,
    pub(super) sha512: String,
}

/// A finished file that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deletion {
    pub(super) at: Timestamp,
    pub(super) disk: String,
    pub(super) file: FileName,
    /// What it was deleted for.
    pub(super) why: &'static str,
}

impl FileName {
    pub(super) fn new(image: &str, uuid: &str) -> Self {
        Self { image: image.to_owned(), uuid: uuid.to_owned() }
    }
}

impl Disks {
    /// What a disk has of an image.
    pub(super) fn get(&self, disk: &str, file: &FileName) -> Option<&Stored> {
        self.files.get(disk)?.get(file)
    }

    /// The finished file of an image on a disk.
    pub(super) fn finished(&self, disk: &str, file: &FileName) -> Option<&Finished> {
        self.get(disk, file)?.finished.as_ref()
    }

    /// Bytes have begun to come, or the data source's work file is complete.
    pub(super) fn begin(&mut self, disk: &str, file: FileName, content: Content) {
        self.files.entry(disk.to_owned()).or_default().entry(file).or_default().partial = Some(content);
    }

    /// The file is complete and in its place; its digest is known.
    pub(super) fn finish(&mut self, disk: &str, file: FileName, content: Content, at: Timestamp) {
        self.inodes += 1;
        let finished = Finished { content, modified: at, inode: self.inodes, hashed: true };
        let stored = Stored { finished: Some(finished), partial: None };
        self.files.entry(disk.to_owned()).or_default().insert(file, stored);
    }

    /// The work file goes, the finished one stays.
    pub(super) fn drop_partial(&mut self, disk: &str, file: &FileName) {
        if let Some(stored) = self.files.get_mut(disk).and_then(|files| files.get_mut(file)) {
            stored.partial = None;
        }
    }

    /// The whole directory goes.
    pub(super) fn delete(&mut self, disk: &str, file: &FileName, at: Timestamp, why: &'static str) {
        let stored = self.files.get_mut(disk).and_then(|files| files.remove(file));
        if stored.is_some_and(|stored| stored.finished.is_some()) {
            self.deletions.push(Deletion { at, disk: disk.to_owned(), file: file.clone(), why });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_file_is_another_each_time_and_its_deletion_is_counted() {
        let (mut disks, file, now) = (Disks::default(), FileName::new("small", "ab"), Timestamp::UNIX_EPOCH);
        disks.begin("d", file.clone(), Content::default());
        disks.delete("d", &file, now, "test");
        assert_eq!(disks.deletions, [], "what was not finished is no loss");
        disks.finish("d", file.clone(), Content::default(), now);
        let first = disks.finished("d", &file).map(|own| own.inode);
        disks.finish("d", file.clone(), Content::default(), now);
        assert_ne!(disks.finished("d", &file).map(|own| own.inode), first);
        disks.delete("d", &file, now, "test");
        assert_eq!(disks.deletions.len(), 1);
        assert_eq!(disks.get("d", &file), None);
    }
}
