use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::event::PlanFile;
use crate::text;

/// The largest file that is read as part of a plan.
pub const MAX_FILE: usize = 1 << 20;

/// Where the files of a plan come from: the only door to them.
///
/// Paths are as people are shown them: relative to the folder the run was
/// started in, where they can be.
pub trait Files {
    /// A file's bytes.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Whether a file or folder is there.
    fn is_there(&self, path: &Path) -> bool;
    /// Names of what lies beside a path that is not there, for a suggestion.
    fn beside(&self, path: &Path) -> Vec<String>;
    /// The current folder, if a plan outside of it needs to know.
    fn here(&self) -> PathBuf {
        PathBuf::new()
    }
    /// The path as people are shown it.
    fn shown(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }
}

/// The file system, seen from the current folder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        use io::Read;
        let file = std::fs::File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        // One byte more than is allowed tells a file that is too large from one that just fits.
        let mut bytes = Vec::new();
        file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn is_there(&self, path: &Path) -> bool {
        path.exists()
    }

    fn beside(&self, path: &Path) -> Vec<String> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    fn here(&self) -> PathBuf {
        std::env::current_dir().unwrap_or_default()
    }

    fn shown(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.here()).unwrap_or(path).to_owned()
    }
}

/// The files that a journal holds: an old run's plan, read again.
#[derive(Clone, Debug)]
pub struct Recorded(BTreeMap<PathBuf, String>);

impl Recorded {
    /// Takes the files of a run's first event.
    pub fn new(files: &[PlanFile]) -> Self {
        Self(files.iter().map(|file| (PathBuf::from(&file.path), file.text.clone())).collect())
    }
}

impl Files for Recorded {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let text =
            self.0.get(path).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it is not in the journal"))?;
        Ok(text.clone().into_bytes())
    }

    /// What a run once found it is not asked for again.
    fn is_there(&self, _: &Path) -> bool {
        true
    }

    fn beside(&self, _: &Path) -> Vec<String> {
        Vec::new()
    }
}

/// Every file that was read, each once.
pub(super) struct Sources<'f> {
    pub(super) files: &'f dyn Files,
    pub(super) read: Vec<PlanFile>,
    by_path: BTreeMap<PathBuf, Result<usize, String>>,
    /// Where the lines of each file begin.
    lines: Vec<Vec<usize>>,
}

impl<'f> Sources<'f> {
    pub(super) fn new(files: &'f dyn Files) -> Self {
        Self { files, read: Vec::new(), by_path: BTreeMap::new(), lines: Vec::new() }
    }

    /// Reads a file, or says in a sentence why it can't be read. A file that is not
    /// UTF-8 can't be shown, so it has no place either.
    pub(super) fn read(&mut self, path: &Path) -> Result<usize, String> {
        if let Some(known) = self.by_path.get(path) {
            return known.clone();
        }
        let result = self.text(path).map(|text| {
            self.lines.push(text.match_indices('\n').map(|(at, _)| at + 1).collect());
            self.read.push(PlanFile { path: path.display().to_string(), text });
            self.read.len() - 1
        });
        self.by_path.insert(path.to_owned(), result.clone());
        result
    }

    pub(super) fn text_of(&self, source: usize) -> &str {
        &self.read[source].text
    }

    pub(super) fn path_of(&self, source: usize) -> &str {
        &self.read[source].path
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, source: usize, byte: usize) -> usize {
        self.lines[source].partition_point(|start| *start <= byte) + 1
    }

    fn text(&self, path: &Path) -> Result<String, String> {
        let shown = path.display();
        let bytes = self.files.read(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => format!("`{shown}` is not there{}", self.near(path)),
            io::ErrorKind::IsADirectory => format!("`{shown}` is a folder, not a file"),
            io::ErrorKind::PermissionDenied => {
                format!("`{shown}` may not be read: permission denied")
            }
            _ => format!("`{shown}` cannot be read: {error}"),
        })?;
        if bytes.len() > MAX_FILE {
            return Err(format!("`{shown}` is larger than 1 MiB"));
        }
        String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            format!("`{shown}` is not UTF-8: byte {at} does not belong to any character")
        })
    }

    /// `; did you mean …?`, if something with such a name lies beside it.
    pub(super) fn near(&self, path: &Path) -> String {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let names = self.files.beside(path);
        match text::suggest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("; did you mean `{}`?", path.with_file_name(near).display()),
            None => String::new(),
        }
    }
}

/// A path without `.` and `..` where they can be resolved by the words alone, so that
/// one file has one name.
pub(super) fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                let last = tidy.components().next_back();
                if matches!(last, Some(Component::Normal(_))) {
                    tidy.pop();
                } else if !matches!(last, Some(Component::RootDir)) {
                    tidy.push("..");
                }
            }
            other => tidy.push(other),
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_has_one_name() {
        for (path, tidied) in [
            ("plans/parts/../a.toml", "plans/a.toml"),
            ("./plans/./a.toml", "plans/a.toml"),
            ("../a.toml", "../a.toml"),
            ("plans/../../a.toml", "../a.toml"),
            ("/a/../b.toml", "/b.toml"),
        ] {
            assert_eq!(tidy(Path::new(path)), PathBuf::from(tidied));
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_says_why_in_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("restart.toml"), "").unwrap();
        std::fs::write(at("latin.toml"), b"a = '\xe4'").unwrap();
        std::fs::write(at("large.toml"), vec![b'#'; MAX_FILE + 1]).unwrap();
        let mut sources = Sources::new(&Disk);
        let mut said = |name: &str| {
            let sentence = sources.read(&at(name)).unwrap_err();
            sentence.replace(&format!("{}/", folder.path().display()), "")
        };
        assert_eq!(said("restrat.toml"), "`restrat.toml` is not there; did you mean `restart.toml`?");
        assert_eq!(said("zebra.toml"), "`zebra.toml` is not there");
        assert_eq!(said("latin.toml"), "`latin.toml` is not UTF-8: byte 5 does not belong to any character");
        assert_eq!(said("large.toml"), "`large.toml` is larger than 1 MiB");
        assert!(said("").ends_with("is a folder, not a file"));
    }
}
