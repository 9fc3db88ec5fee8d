use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file that grows while something goes on and has a bound: of what is more, its
/// beginning and its end are kept.
///
/// All that was taken is on the disk at any time, so that a run which is killed keeps
/// it; the end lies in parts beside the file until it is closed.
pub(super) struct Drawer {
    path: PathBuf,
    head: File,
    /// How many more bytes the head takes.
    room: u64,
    /// Most bytes of one part: the end is made of up to two.
    part: u64,
    /// The parts of the end, oldest first, each with its size.
    parts: VecDeque<(PathBuf, u64)>,
    last: Option<File>,
    made: u64,
    total: u64,
}

/// What a closed drawer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) total: u64,
    pub(super) lost: u64,
}

impl Drawer {
    /// Makes the file, and the folders it is in.
    pub(super) fn open(path: &Path, limit: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(Self {
            path: path.to_owned(),
            head: File::create(path)?,
            room: limit.div_ceil(2),
            part: limit.div_ceil(4).max(1),
            parts: VecDeque::new(),
            last: None,
            made: 0,
            total: 0,
        })
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.total += bytes.len() as u64;
        let (mut now, mut rest) = split(bytes, self.room);
        self.head.write_all(now)?;
        self.room -= now.len() as u64;
        while !rest.is_empty() {
            let size = match self.parts.back() {
                Some((_, size)) if *size < self.part => *size,
                _ => {
                    self.begin_part()?;
                    0
                }
            };
            (now, rest) = split(rest, self.part - size);
            if let (Some(file), Some((_, size))) = (&mut self.last, self.parts.back_mut()) {
                file.write_all(now)?;
                *size += now.len() as u64;
            }
        }
        Ok(())
    }

    fn begin_part(&mut self) -> io::Result<()> {
        if self.parts.len() == 2
            && let Some((oldest, _)) = self.parts.pop_front()
        {
            fs::remove_file(oldest)?;
        }
        self.made += 1;
        let path = self.path.with_added_extension(format!("part{}", self.made));
        self.last = Some(File::create(&path)?);
        self.parts.push_back((path, 0));
        Ok(())
    }

    /// Puts the parts behind the head, with a line where something is missing.
    pub(super) fn close(mut self) -> io::Result<Filled> {
        let kept = self.head.metadata()?.len() + self.parts.iter().map(|(_, size)| size).sum::<u64>();
        let lost = self.total - kept;
        if lost > 0 {
            write!(self.head, "\n[{lost} bytes left out]\n")?;
        }
        for (path, _) in &self.parts {
            io::copy(&mut File::open(path)?, &mut self.head)?;
            fs::remove_file(path)?;
        }
        Ok(Filled { total: self.total, lost })
    }
}

fn split(bytes: &[u8], most: u64) -> (&[u8], &[u8]) {
    bytes.split_at(usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginning_and_end_are_kept_and_nothing_else_is_left() {
        let cases: [(&[&str], &str, u64); 4] = [
            (&["abc"], "abc", 0),
            (&["abcd", "efgh"], "abcdefgh", 0),
            (&["abcdefghij"], "abcd\n[2 bytes left out]\nghij", 2),
            (&["ab", "cdefghijklmnopqrst", "u"], "abcd\n[14 bytes left out]\nstu", 14),
        ];
        for (pieces, kept, lost) in cases {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a/b.log");
            let mut drawer = Drawer::open(&path, 8).unwrap();
            for piece in pieces {
                drawer.push(piece.as_bytes()).unwrap();
            }
            let total = pieces.iter().map(|piece| piece.len() as u64).sum();
            assert_eq!(drawer.close().unwrap(), Filled { total, lost });
            assert_eq!(fs::read_to_string(&path).unwrap(), kept);
            assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
        }
    }
}
