use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::error::Category;

use super::Error;
use crate::event::{Event, FORMAT};

/// Reads a whole journal. A tail that was cut off is left out and told.
pub fn read(path: &Path) -> Result<Recording, Error> {
    let mut reader = Reader::open(path)?;
    let events = reader.by_ref().collect::<Result<_, _>>()?;
    Ok(Recording { events, cut: reader.cut })
}

/// All that a journal holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The events, the first a `RunStarted`.
    pub events: Vec<Event>,
    /// What could not be read at its end.
    pub cut: Option<Cut>,
}

/// Where a journal stops in the middle of a line: its writer was killed, or the
/// machine went down.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, at byte {byte}, is cut off after {len} bytes ({reason})")]
pub struct Cut {
    /// The line, from 1.
    pub line: u64,
    /// Where in the file it begins: all before this is whole.
    pub byte: u64,
    /// How much of it there is.
    pub len: u64,
    /// Why it can't be read.
    pub reason: String,
}

/// A journal read event by event, for readers that fold and do not keep.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    /// The line that is handed out next; empty once there is none.
    buffer: Vec<u8>,
    line: u64,
    byte: u64,
    cut: Option<Cut>,
}

impl Reader {
    /// Opens a journal and looks at its first line: what is no journal, or one of
    /// another format, is refused here.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.is_dir() {
            return Err(Error::IsFolder { path: path.to_owned() });
        }
        let mut reader = Self {
            path: path.to_owned(),
            file: BufReader::with_capacity(1 << 16, file),
            buffer: Vec::new(),
            line: 0,
            byte: 0,
            cut: None,
        };
        reader.check_first_line()?;
        Ok(reader)
    }

    /// What could not be read at the end; known once the last event was handed out.
    pub fn cut(&self) -> Option<&Cut> {
        self.cut.as_ref()
    }

    /// Leaves the first line in the buffer.
    fn check_first_line(&mut self) -> Result<(), Error> {
        let path = || self.path.clone();
        let not_a_journal = |found: &str| Err(Error::NotAJournal { path: path(), found: found.into() });
        // Looked at before a line is read: other files may have lines without end.
        match self.file.fill_buf() {
            Err(source) => {
                return Err(Error::Read { path: path(), source });
            }
            Ok([]) => return Err(Error::Empty { path: path() }),
            Ok([b'{', ..]) => {}
            Ok(_) => return not_a_journal("it does not begin with `{`"),
        }
        self.fill().map_err(|source| Error::Read { path: self.path.clone(), source })?;
        let path = || self.path.clone();
        let not_a_journal = |found: &str| Err(Error::NotAJournal { path: path(), found: found.into() });
        match serde_json::from_slice::<Head>(&self.buffer) {
            Ok(Head { kind: HeadKind { start: Some(Start { format: Some(format), lariat }) } }) => {
                if format == u64::from(FORMAT) {
                    return Ok(());
                }
                let lariat = lariat.unwrap_or_else(|| "of an unknown version".into());
                Err(Error::Format { path: path(), found: format, lariat })
            }
            Ok(Head { kind: HeadKind { start: Some(_) } }) => not_a_journal("its first line names no format"),
            Ok(_) => not_a_journal("its first line is something else"),
            Err(error) if error.classify() == Category::Eof && !self.buffer.ends_with(b"\n") => {
                Err(Error::CutAtStart { path: path(), bytes: self.buffer.len() as u64 })
            }
            Err(error) if error.is_data() => not_a_journal("its first line is other JSON"),
            Err(_) => not_a_journal("its first line is not JSON"),
        }
    }

    /// Reads the next line into the buffer, with its line break; empty at the end.
    fn fill(&mut self) -> io::Result<()> {
        self.byte += self.buffer.len() as u64;
        self.buffer.clear();
        self.file.read_until(b'\n', &mut self.buffer)?;
        self.line += 1;
        Ok(())
    }

    fn parse(&mut self) -> Result<Option<Event>, Error> {
        let error = match serde_json::from_slice(&self.buffer) {
            Ok(event) => return Ok(Some(event)),
            Err(error) => error,
        };
        if error.is_data() {
            return Err(self.no_event(&error));
        }
        if self.file.fill_buf().is_ok_and(|rest| !rest.is_empty()) {
            let because = plain(&error);
            return Err(Error::Damaged { path: self.path.clone(), line: self.line, byte: self.byte, because });
        }
        let len = self.buffer.len() as u64;
        self.cut = Some(Cut { line: self.line, byte: self.byte, len, reason: plain(&error) });
        Ok(None)
    }

    /// Why a line of sound JSON is refused.
    fn no_event(&self, error: &serde_json::Error) -> Error {
        let (path, line, because) = (self.path.clone(), self.line, plain(error));
        let value: serde_json::Value = serde_json::from_slice(&self.buffer).unwrap_or_default();
        let kind = match &value["kind"] {
            serde_json::Value::Object(map) => map.keys().next(),
            serde_json::Value::String(kind) => Some(kind),
            _ => None,
        };
        match kind {
            Some(kind) if because.starts_with(&format!("unknown variant `{kind}`")) => {
                Error::UnknownKind { path, line, kind: kind.clone() }
            }
            _ => Error::NoEvent { path, line, because },
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.buffer.is_empty() {
            return None;
        }
        let taken = self.parse().and_then(|event| {
            self.fill().map_err(|source| Error::Read { path: self.path.clone(), source })?;
            Ok(event)
        });
        if taken.is_err() {
            // What follows a line that can't be understood is not handed out.
            self.buffer.clear();
        }
        taken.transpose()
    }
}

/// The message without its ` at line 1 column 9`: lines are counted here.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// As much of a first line as every format has.
#[derive(Deserialize)]
struct Head {
    kind: HeadKind,
}

#[derive(Deserialize)]
struct HeadKind {
    #[serde(rename = "run-started")]
    start: Option<Start>,
}

#[derive(Deserialize)]
struct Start {
    format: Option<u64>,
    lariat: Option<String>,
}
