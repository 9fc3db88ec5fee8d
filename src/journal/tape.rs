use std::fs::File;
use std::io::{self, Write as _};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// What a journal is written on: a file, or in tests something that fills up.
pub(super) trait Tape: Send {
    /// Writes the first part of a line, or all of it; says how much.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Takes back what is behind this length.
    fn cut(&mut self, len: u64) -> io::Result<()>;
    /// Asks that what is written may soon outlive a crash of the machine; does not
    /// wait. An earlier request's failure is told here.
    fn sync_soon(&mut self) -> io::Result<()>;
    /// Waits until what is written outlives a crash of the machine.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file with a thread that syncs it: a slow disk must not hold up the run.
pub(super) struct FileTape {
    file: File,
    syncer: Option<Syncer>,
}

struct Syncer {
    wish: mpsc::SyncSender<()>,
    failure: Arc<Mutex<Option<io::Error>>>,
    thread: JoinHandle<()>,
}

impl FileTape {
    /// A file opened for appending. The thread begins with the first wish.
    pub(super) fn new(file: File) -> Self {
        Self { file, syncer: None }
    }
}

impl Tape for FileTape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_soon(&mut self) -> io::Result<()> {
        if self.syncer.is_none() {
            self.syncer = Some(Syncer::over(self.file.try_clone()?)?);
        }
        let syncer = self.syncer.as_ref().expect("the syncer was made above");
        // A full channel holds a wish that covers this one too.
        let _ = syncer.wish.try_send(());
        syncer.take_failure()
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(syncer) = self.syncer.take() {
            syncer.finish()?;
        }
        self.file.sync_data()
    }
}

impl Syncer {
    fn over(file: File) -> io::Result<Self> {
        let (wish, wishes) = mpsc::sync_channel::<()>(1);
        let failure = Arc::new(Mutex::new(None));
        let told = Arc::clone(&failure);
        let work = move || {
            while wishes.recv().is_ok() {
                if let Err(error) = file.sync_data() {
                    told.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        };
        let thread = std::thread::Builder::new().name("journal-sync".into()).spawn(work)?;
        Ok(Self { wish, failure, thread })
    }

    fn take_failure(&self) -> io::Result<()> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    fn finish(self) -> io::Result<()> {
        drop(self.wish);
        self.thread.join().map_err(|_| io::Error::other("the thread that syncs the journal panicked"))?;
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}
