use std::path::PathBuf;

use super::drawer::{Drawer, Filled};
use super::{Error, StepContext};
use crate::event::{Class, Mask, Note};
use crate::text;

/// The folder in the run folder where one step leaves what it collects.
///
/// Whatever looks like a token is masked on the way in.
#[derive(Clone)]
pub(super) struct Cabinet {
    run: PathBuf,
    /// Where it is in the run folder.
    at: PathBuf,
    limit: u64,
    mask: Mask,
}

impl Cabinet {
    /// The folder of this step; it is made with its first file.
    pub(super) fn new(limit: u64, ctx: &StepContext) -> Self {
        let parts = ctx.id.as_str().split('/').map(clean);
        Self {
            run: ctx.run.dir.clone(),
            at: ["collect".to_owned()].into_iter().chain(parts).collect(),
            limit,
            mask: Mask::default(),
        }
    }

    /// Begins a file, named by the way to it.
    pub(super) fn open(&self, way: &[&str]) -> Result<Filing, Error> {
        let path: PathBuf = self
            .at
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .chain(way.iter().map(|part| clean(part)))
            .collect();
        let drawer = Drawer::open(&self.run.join(&path), self.limit).map_err(|error| unwritable(&path, error))?;
        Ok(Filing { path, drawer, mask: self.mask.clone() })
    }

    /// Leaves a text as a file.
    pub(super) fn keep(&self, way: &[&str], text: &str, about: &str) -> Result<Kept, Error> {
        let mut filing = self.open(way)?;
        filing.push(text)?;
        filing.close(about)
    }
}

/// A file that is being written.
pub(super) struct Filing {
    path: PathBuf,
    drawer: Drawer,
    mask: Mask,
}

/// A file that was left.
pub(super) struct Kept {
    pub(super) path: String,
    about: String,
    filled: Filled,
}

impl Filing {
    /// Takes text. Masking sees what is given at once: give whole lines.
    pub(super) fn push(&mut self, text: &str) -> Result<(), Error> {
        self.drawer.push(self.mask.text(text).as_bytes()).map_err(|error| unwritable(&self.path, error))
    }

    /// Ends the file.
    pub(super) fn close(self, about: impl Into<String>) -> Result<Kept, Error> {
        let filled = self.drawer.close().map_err(|error| unwritable(&self.path, error))?;
        Ok(Kept { path: self.path.to_string_lossy().into_owned(), about: about.into(), filled })
    }
}

impl Kept {
    /// The file as evidence.
    pub(super) fn note(&self) -> Note {
        let Filled { total, lost } = self.filled;
        let size = match lost {
            0 => text::bytes(total),
            lost => format!("{} of {}", text::bytes(total - lost), text::bytes(total)),
        };
        Note::File { path: self.path.clone(), about: format!("{} ({size})", self.about) }
    }
}

/// A name as one part of a path.
fn clean(name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_alphanumeric() || "._-[]".contains(c) { c } else { '_' }).collect();
    if name.is_empty() || name.chars().all(|c| c == '.') { "_".to_owned() } else { name }
}

fn unwritable(path: &std::path::Path, error: std::io::Error) -> Error {
    Error::from_source(Class::Broken, format!("`{}` in the run folder can't be written", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_t_leave_the_folder() {
        let cases = [
            ("gadget-x.1", "gadget-x.1"),
            ("volumes[one]", "volumes[one]"),
            ("..", "_"),
            ("a/../b", "a_.._b"),
            ("", "_"),
        ];
        for (name, cleaned) in cases {
            assert_eq!(clean(name), cleaned);
        }
    }
}
