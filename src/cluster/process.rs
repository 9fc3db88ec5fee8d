use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::event::Class;
use crate::text;

/// From SIGTERM until SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
/// How long what a program left running may still write after the program itself ended.
const AFTERMATH: Duration = Duration::from_millis(250);
/// How long to wait for what can't be killed at once: an exit status, the end of a pipe.
const LAST: Duration = Duration::from_secs(1);

/// The most of a line that is told while a program runs.
const LINE: usize = 1 << 10;

/// Takes the lines of a program as they come.
pub type Heard<'a> = dyn Fn(&str) + Send + Sync + 'a;

/// A local program to be run to its end, in a process group of its own.
///
/// The group is what makes an end an end: whoever the program started and left
/// behind is killed with it, on cancel, when the future is dropped, and after a
/// normal exit too, since a stray child may hold the pipes open for ever.
pub struct Program<'a> {
    /// A name that is looked up in `PATH`, or a path; a relative one starts at `dir`.
    pub program: PathBuf,
    /// Its arguments; no shell in between.
    pub args: Vec<String>,
    /// Variables added to its environment; those without a value are taken out of it.
    pub env: Vec<(String, Option<OsString>)>,
    /// The folder it runs in; this process's without one.
    pub dir: Option<PathBuf>,
    /// Its standard input; empty without one.
    pub stdin: Option<Vec<u8>>,
    /// Most bytes kept of each output: its head and its tail.
    pub keep: usize,
    /// Is told each line of either output that is not blank.
    pub heard: Option<&'a Heard<'a>>,
}

impl<'a> Program<'a> {
    /// A program with nothing but its arguments; keeps 64 KiB of each output.
    pub fn new(program: impl Into<PathBuf>, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            dir: None,
            stdin: None,
            keep: 64 << 10,
            heard: None,
        }
    }

    /// Starts it. A program that can't be started has done nothing.
    pub fn start(self) -> Result<Running<'a>, StartError> {
        if let Some(dir) = self.dir.as_deref().filter(|dir| !dir.is_dir()) {
            return Err(StartError::NoFolder { dir: dir.to_owned() });
        }
        // The child is in its folder before the program is looked for.
        let dir = self.dir.as_deref().map(|dir| std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()));
        let path = match &dir {
            Some(dir) if names_a_path(&self.program) => dir.join(&self.program),
            _ => self.program.clone(),
        };
        let mut command = Command::new(&path);
        command
            .args(&self.args)
            .stdin(match self.stdin {
                Some(_) => Stdio::piped(),
                None => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = &dir {
            command.current_dir(dir);
        }
        super::reaches_out("starts a program");
        let mut child = command.spawn().map_err(|source| StartError::new(&self.program, &path, source))?;
        let group = Group::of(&child);
        Ok(Running {
            stdin: child.stdin.take().zip(self.stdin),
            stdout: child.stdout.take().expect("standard output is piped"),
            stderr: child.stderr.take().expect("standard error is piped"),
            child,
            group,
            keep: self.keep,
            heard: self.heard,
        })
    }
}

/// Whether the name is a path and not one to look up in `PATH`.
fn names_a_path(program: &Path) -> bool {
    program.components().count() > 1 || program.is_absolute() || program.starts_with(".")
}

/// A program that was started. Dropping it kills its whole group.
#[must_use = "a program that nobody waits for is killed"]
pub struct Running<'a> {
    child: Child,
    group: Group,
    stdin: Option<(ChildStdin, Vec<u8>)>,
    stdout: tokio::process::ChildStdout,
    stderr: tokio::process::ChildStderr,
    keep: usize,
    heard: Option<&'a Heard<'a>>,
}

impl Running<'_> {
    /// Waits until it ended. On cancel the group gets SIGTERM, three seconds, then SIGKILL.
    pub async fn end(self, cancel: &CancellationToken) -> Ended {
        let Self { mut child, mut group, stdin, stdout, stderr, keep, heard } = self;
        let (mut out, mut err) = (Captured::keeping(keep), Captured::keeping(keep));
        let mut cancelled = false;
        let status = {
            let mut pipes = std::pin::pin!(async {
                tokio::join!(feed(stdin), listen(stdout, &mut out, heard), listen(stderr, &mut err, heard))
            });
            let mut open = true;
            let mut status = loop {
                tokio::select! {
                    biased;
                    ended = child.wait() => break ended.ok(),
                    () = cancel.cancelled() => { cancelled = true; break None }
                    _ = &mut pipes, if open => open = false,
                }
            };
            if cancelled {
                group.signal(Signal::SIGTERM);
                let wound_up = async {
                    let status = child.wait().await.ok();
                    if open {
                        (&mut pipes).await;
                    }
                    status
                };
                if let Ok(ended) = timeout(GRACE, wound_up).await {
                    (status, open) = (ended, false);
                } else {
                    group.signal(Signal::SIGKILL);
                    status = timeout(LAST, child.wait()).await.ok().and_then(Result::ok);
                }
            } else if open {
                open = timeout(AFTERMATH, &mut pipes).await.is_err();
            }
            group.end();
            if open {
                // Nobody of the group holds the pipe now; who left the group may, and is not waited for.
                let _ = timeout(LAST, &mut pipes).await;
            }
            status
        };
        Ended { status, cancelled, stdout: out, stderr: err }
    }
}

/// Writes the input; a program that does not want all of it is not at fault.
async fn feed(stdin: Option<(ChildStdin, Vec<u8>)>) {
    if let Some((mut pipe, input)) = stdin {
        let _ = pipe.write_all(&input).await;
    }
}

async fn listen(mut pipe: impl AsyncRead + Unpin, into: &mut Captured, heard: Option<&Heard<'_>>) {
    let mut buffer = vec![0; 16 << 10];
    let mut line = Vec::new();
    while let Ok(n @ 1..) = pipe.read(&mut buffer).await {
        into.push(&buffer[..n]);
        let Some(heard) = heard else { continue };
        for piece in buffer[..n].split_inclusive(|&byte| byte == b'\n') {
            line.extend_from_slice(&piece[..piece.len().min(LINE.saturating_sub(line.len()))]);
            if piece.ends_with(b"\n") {
                tell(&std::mem::take(&mut line), heard);
            }
        }
    }
    if let Some(heard) = heard {
        tell(&line, heard);
    }
}

fn tell(line: &[u8], heard: &Heard<'_>) {
    let line = line.trim_ascii();
    if !line.is_empty() {
        heard(&String::from_utf8_lossy(line));
    }
}

/// The process group of a child that leads it.
///
/// A group's number stays taken while anyone is in it, so that a late signal
/// reaches the child's own descendants or nobody.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        Self(leader.map(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.0 {
            // Nobody left to be signalled is what was wanted.
            let _ = killpg(leader, signal);
        }
    }

    fn end(&mut self) {
        self.signal(Signal::SIGKILL);
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// `None` if it could not be learned: the program can't be killed.
    pub status: Option<ExitStatus>,
    /// Whether it was told to end.
    pub cancelled: bool,
    /// What it wrote to its standard output.
    pub stdout: Captured,
    /// What it wrote to its standard error.
    pub stderr: Captured,
}

impl Ended {
    /// Its exit code; 128 and the signal's number if a signal ended it, as shells say it.
    pub fn code(&self) -> i32 {
        let status = self.status.unwrap_or_else(|| ExitStatus::from_raw(Signal::SIGKILL as i32));
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
    }

    /// How it ended, in words: `exit code 3`, `signal SIGKILL`.
    pub fn how(&self) -> String {
        let signal = self.status.and_then(|status| status.signal());
        match signal.map(Signal::try_from) {
            Some(Ok(signal)) => format!("signal {signal}"),
            _ => format!("exit code {}", self.code()),
        }
    }

    /// The last lines of what it wrote, its errors before its output, for texts that quote them.
    pub fn last_lines(&self, most: usize) -> Vec<String> {
        let mut lines = self.stderr.last_lines(most);
        if lines.is_empty() {
            lines = self.stdout.last_lines(most);
        }
        lines
    }
}

/// Output of a program: all of it, or its head and its tail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    half: usize,
    missing: u64,
}

impl Captured {
    fn keeping(most: usize) -> Self {
        Self { half: most / 2, ..Self::default() }
    }

    /// All of an output.
    #[cfg(test)]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut all = Self::keeping(2 * bytes.len());
        all.push(bytes);
        all
    }

    fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(self.half - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(self.half);
        self.tail.drain(..over);
        self.missing += over as u64;
    }

    /// How many bytes in the middle were not kept.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// What was kept, with a line in the middle that says how much is missing.
    pub fn text(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        if self.missing == 0 {
            let all = [self.head.as_slice(), &tail].concat();
            return String::from_utf8_lossy(&all).into_owned();
        }
        let missing = text::count(usize::try_from(self.missing).unwrap_or(usize::MAX), "byte");
        format!("{}\n… {missing} left out …\n{}", String::from_utf8_lossy(&self.head), String::from_utf8_lossy(&tail))
    }

    /// The last lines that are not blank.
    pub fn last_lines(&self, most: usize) -> Vec<String> {
        let text = self.text();
        let mut lines: Vec<String> =
            text.lines().rev().filter(|line| !line.trim().is_empty()).take(most).map(str::to_owned).collect();
        lines.reverse();
        lines
    }
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No such program.
    #[error("`{program}` is not there; install it, or write the whole path of it")]
    NoProgram {
        /// As it was asked for.
        program: String,
    },
    /// A script whose first line names a program that is not there.
    #[error("`{program}` is a script whose first line names a program that is not there")]
    NoInterpreter {
        /// As it was asked for.
        program: String,
    },
    /// It is there and may not be run.
    #[error("`{program}` is not executable; `chmod +x` it, or name its interpreter first")]
    NotExecutable {
        /// As it was asked for.
        program: String,
    },
    /// The folder it is to run in is not there.
    #[error("the folder `{}` is not there", dir.display())]
    NoFolder {
        /// The folder.
        dir: PathBuf,
    },
    /// Something else, such as no memory or too many processes.
    #[error("`{program}` could not be started")]
    Start {
        /// As it was asked for.
        program: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl StartError {
    fn new(asked: &Path, path: &Path, source: io::Error) -> Self {
        let program = asked.display().to_string();
        match source.kind() {
            io::ErrorKind::NotFound if names_a_path(path) && path.exists() => Self::NoInterpreter { program },
            io::ErrorKind::NotFound => Self::NoProgram { program },
            io::ErrorKind::PermissionDenied => Self::NotExecutable { program },
            _ if source.raw_os_error() == Some(nix::libc::ENOEXEC) => Self::NotExecutable { program },
            _ => Self::Start { program, source },
        }
    }

    /// What kind of failure it is.
    pub fn class(&self) -> Class {
        match self {
            Self::NoProgram { .. }
            | Self::NoInterpreter { .. }
            | Self::NotExecutable { .. }
            | Self::NoFolder { .. } => Class::Missing,
            Self::Start { .. } => Class::Broken,
        }
    }
}

#[cfg(test)]
mod tests;
