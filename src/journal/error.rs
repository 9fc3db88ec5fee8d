use std::io;
use std::path::PathBuf;

use crate::event::FORMAT;

/// What can go wrong with a journal, its folder, or a file put beside it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The run folder could not be made.
    #[error("the run folder `{}` can't be made; {}", path.display(), advice(source))]
    MakeFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// `latest` could not be pointed at the run. The run itself is not in danger.
    #[error("`{}` can't be pointed at this run; {}", path.display(), advice(source))]
    Point {
        /// The link.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The journal could not be opened for writing.
    #[error("the journal `{}` can't be created; {}", path.display(), advice(source))]
    Create {
        /// The journal.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An event could not be written.
    #[error("event {seq} can't be written to the journal `{}`; {}", path.display(), advice(source))]
    Write {
        /// The journal.
        path: PathBuf,
        /// The event's number.
        seq: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What was written could not be made to last.
    #[error("the journal `{}` can't be synced to its disk; {}", path.display(), advice(source))]
    Sync {
        /// The journal.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A whole file could not be put in its place.
    #[error("`{}` can't be written; {}", path.display(), advice(source))]
    WriteFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A journal could not be read.
    #[error("the journal `{}` can't be read", path.display())]
    Read {
        /// The journal.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The path names a folder.
    #[error("`{}` is a folder and not a journal; a journal is the file `events.jsonl` in the folder of a run", path.display())]
    IsFolder {
        /// The folder.
        path: PathBuf,
    },
    /// There is nothing in the file.
    #[error("the journal `{}` is empty: the run ended before it could say anything", path.display())]
    Empty {
        /// The journal.
        path: PathBuf,
    },
    /// The first event is not all there.
    #[error("the journal `{}` stops after {bytes} bytes, within its first event: nothing of the run is known", path.display())]
    CutAtStart {
        /// The journal.
        path: PathBuf,
        /// How much of the first line there is.
        bytes: u64,
    },
    /// The file holds something else.
    #[error("`{}` is not a journal: {found}; a journal's first line is the `run-started` event", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
        /// What its first line is.
        found: String,
    },
    /// The journal is of a format that this version does not know.
    #[error(
        "the journal `{}` has format {found}, written by lariat {lariat}; this version reads format {FORMAT}: \
         read it with the version that wrote it", path.display()
    )]
    Format {
        /// The journal.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The version that wrote it.
        lariat: String,
    },
    /// A line is of a kind that the format does not have.
    #[error("line {line} of the journal `{}` is of the kind `{kind}`, which format {FORMAT} does not have", path.display())]
    UnknownKind {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The kind.
        kind: String,
    },
    /// A line is JSON, and no event.
    #[error("line {line} of the journal `{}` is no event: {because}", path.display())]
    NoEvent {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What does not fit.
        because: String,
    },
    /// A line in the middle is not JSON: the file was damaged, not cut.
    #[error(
        "line {line} of the journal `{}` is damaged at byte {byte} ({because}), and more lines follow; \
         cut the file before that line to see what came before it", path.display()
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Where in the file the line begins.
        byte: u64,
        /// What is wrong with it.
        because: String,
    },
    /// Nothing recorded goes by that name.
    #[error("no run is known as `{wanted}`{hint}")]
    NoSuchRun {
        /// What was asked for.
        wanted: String,
        /// What there is instead, as a clause.
        hint: String,
    },
    /// More than one run goes by that name.
    #[error("`{wanted}` could be {candidates}; name one of them in full")]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// The runs, as a list.
        candidates: String,
    },
}

/// What a person may do about a file that can't be written.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space there and run again",
        io::ErrorKind::ReadOnlyFilesystem => "its file system is read-only: run from a folder that can be written",
        io::ErrorKind::PermissionDenied => "this user may not write there: check the owner and mode of its folder",
        io::ErrorKind::AlreadyExists => "something of that name is there already: move it away",
        io::ErrorKind::NotADirectory => "a part of its path is a file and not a folder: move that away",
        io::ErrorKind::NotFound => "its folder is gone: was it removed meanwhile?",
        io::ErrorKind::FileTooLarge => "it is larger than this file system or the `ulimit -f` of this shell allows",
        _ => "check that its folder is there and can be written",
    }
}
