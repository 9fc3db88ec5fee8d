use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Error;
use super::tape::{FileTape, Tape};
use crate::clock::Elapsed;
use crate::event::{Event, EventKind, NotWritten, Sink};

/// The journal of a run in the making: one JSON line for each event, written at
/// once and synced to the disk at most once a second and at the end.
///
/// After a failure it takes nothing more: an event after a hole would make the
/// whole journal unreadable, while a journal that stops is only cut short.
pub struct Writer {
    path: PathBuf,
    tape: Box<dyn Tape>,
    line: Vec<u8>,
    /// Length of all whole lines.
    len: u64,
    /// Time of the last event that asked for a sync.
    synced: Elapsed,
    /// Whether time is virtual: then seconds of events say nothing about seconds of the disk.
    embedded: bool,
    lost: Option<String>,
}

/// The longest time for which a crash of the machine may take events with it.
const SYNC_EVERY: Duration = Duration::from_secs(1);

impl Writer {
    /// Name of the journal in a run folder.
    pub const FILE: &str = "events.jsonl";

    /// Creates the journal in a run folder. One that is there already is never touched.
    pub fn create(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(Self::FILE);
        let open = || -> io::Result<File> {
            let file = OpenOptions::new().append(true).create_new(true).open(&path)?;
            // The name must outlive a crash too.
            File::open(folder)?.sync_all()?;
            Ok(file)
        };
        match open() {
            Ok(file) => Ok(Self::on(path, Box::new(FileTape::new(file)))),
            Err(source) => Err(Error::Create { path, source }),
        }
    }

    /// Where the journal is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A journal on any tape.
    pub(super) fn on(path: PathBuf, tape: Box<dyn Tape>) -> Self {
        Self { path, tape, line: Vec::new(), len: 0, synced: Elapsed(0), embedded: false, lost: None }
    }

    fn write(&mut self, event: &Event) -> Result<(), Error> {
        let fail = |path: &Path, source| Error::Write { path: path.to_owned(), seq: event.seq, source };
        self.line.clear();
        serde_json::to_writer(&mut self.line, event).map_err(|error| fail(&self.path, error.into()))?;
        self.line.push(b'\n');
        if let Err(error) = self.write_line() {
            // Half a line is worse than none; if it can't be taken back, readers cope.
            let _ = self.tape.cut(self.len);
            return Err(fail(&self.path, error));
        }
        self.len += self.line.len() as u64;
        self.sync(event).map_err(|source| Error::Sync { path: self.path.clone(), source })
    }

    /// One call, unless the system takes only a part of the line.
    fn write_line(&mut self) -> io::Result<()> {
        let mut rest = &self.line[..];
        while !rest.is_empty() {
            match self.tape.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => rest = &rest[n..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::RunStarted(start) => {
                self.embedded = start.cluster.as_ref().is_some_and(|cluster| cluster.embedded);
                Ok(())
            }
            EventKind::RunFinished { .. } => self.tape.sync(),
            _ if self.embedded || event.at.since(self.synced).duration() < SYNC_EVERY => Ok(()),
            _ => {
                self.synced = event.at;
                self.tape.sync_soon()
            }
        }
    }
}

impl Sink for Writer {
    fn put(&mut self, event: &Event) -> Result<(), NotWritten> {
        if let Some(why) = &self.lost {
            return Err(NotWritten(why.clone()));
        }
        self.write(event).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            let why = format!("{error}{cause}");
            self.lost = Some(why.clone());
            NotWritten(why)
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A run that was cut short still ends with a journal on the disk; a failure has nobody to hear it.
        let _ = self.tape.sync();
    }
}
