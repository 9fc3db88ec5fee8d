use std::pin::pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use tokio::time::{sleep, sleep_until};

use super::capture::Capture;
use super::container::Container;
use super::session::{self, Ending, Heard, Lost, Mouth};
use super::{Error, StepContext};
use crate::event::{Class, Note};
use crate::text;

/// Most bytes kept of each of a command's outputs.
pub(super) const KEPT: usize = 1 << 20;

/// How many of its last lines an error quotes.
const QUOTED: usize = 12;

/// The longest part of a command that a sentence shows.
const SHOWN: usize = 80;

/// How often a quiet connection is used: load balancers cut what is silent for a minute.
const PING: Duration = Duration::from_secs(30);

/// A command that was run to its end.
#[derive(Debug)]
pub(super) struct Ran {
    /// The command as sentences show it.
    pub(super) shown: String,
    pub(super) code: i32,
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
    /// Whether it ended while there was still input for it.
    pub(super) left_input: bool,
}

/// Bytes for a command to read.
pub(super) type Input<'a> = BoxStream<'a, Result<Bytes, Error>>;

/// Why a command has no result.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The connection to it broke: it may have done all, part or nothing.
    Lost(Error),
    /// Anything else.
    Error(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Lost(error) | Trouble::Error(error) => error,
        }
    }
}

/// Runs a command in a container to its end. It is not repeated by itself.
pub(super) async fn run(
    container: &Container,
    command: &[String],
    input: Option<Input<'_>>,
    ctx: &StepContext,
) -> Result<Ran, Trouble> {
    let (mut ears, mouth) = session::start(container, command, input.is_some(), ctx).await?;
    let mut ran = Ran {
        shown: shown(command),
        code: 0,
        stdout: Capture::new(KEPT),
        stderr: Capture::new(KEPT),
        left_input: false,
    };
    let given = AtomicBool::new(input.is_none());
    let mut speech = pin!(speak(mouth, input, &given));
    let mut speaks = true;
    let mut deadline = pin!(sleep_until(ctx.deadline));
    loop {
        tokio::select! {
            biased;
            // First: a command that never stops talking must not outlive its time.
            () = &mut deadline => return Err(too_long(&ran, container, ctx).into()),
            heard = ears.hear() => match heard {
                Ok(Heard::Stdout(bytes)) => ran.stdout.push(&bytes),
                Ok(Heard::Stderr(bytes)) => ran.stderr.push(&bytes),
                Ok(Heard::Ended(Ending::Code(code))) => {
                    return Ok(Ran { code, left_input: !given.load(Relaxed), ..ran });
                }
                Ok(Heard::Ended(Ending::NotRun(why))) => return Err(not_run(&ran.shown, &container.to_string(), why).into()),
                Err(lost) => return Err(Trouble::Lost(broken_off(&ran, container, &lost))),
            },
            failed = &mut speech, if speaks => match failed {
                Err(Trouble::Error(error)) => return Err(error.into()),
                // The command may have ended without reading all: its status is still to come.
                Err(Trouble::Lost(_)) | Ok(()) => speaks = false,
            },
        }
    }
}

/// Runs a command that may be run again, for as long as the connection breaks.
pub(super) async fn run_again<'a>(
    container: &Container,
    command: &[String],
    input: impl Fn() -> Result<Option<Input<'a>>, Error>,
    ctx: &StepContext,
) -> Result<Ran, Error> {
    loop {
        match run(container, command, input()?, ctx).await {
            Ok(ran) => return Ok(ran),
            Err(Trouble::Error(error)) => return Err(error),
            Err(Trouble::Lost(error)) => {
                ctx.note(Note::Retried { request: format!("EXEC pods/{}", container.pod), reason: error.message });
            }
        }
        sleep(Duration::from_millis(500)).await;
        container.again(ctx).await?;
    }
}

/// Gives the command its input, then keeps the connection in use.
async fn speak(mut mouth: Mouth, input: Option<Input<'_>>, given: &AtomicBool) -> Result<(), Trouble> {
    let lost = |lost: Lost| Trouble::Lost(Error::from_source(Class::Unreachable, "the input was cut", lost));
    if let Some(mut input) = input {
        while let Some(bytes) = input.next().await {
            mouth.say(&bytes?).await.map_err(lost)?;
        }
        mouth.end().await.map_err(lost)?;
        given.store(true, Relaxed);
    }
    loop {
        sleep(PING).await;
        mouth.ping().await.map_err(lost)?;
    }
}

impl Ran {
    /// Its last words: what it complained of, else what it printed.
    pub(super) fn last_words(&self) -> Vec<String> {
        let quote = |name: &str, output: &Capture| {
            let lines = output.last_lines(QUOTED);
            lines.into_iter().map(|line| format!("{name}: {line}")).collect::<Vec<_>>()
        };
        let mut words = quote("stderr", &self.stderr);
        words.extend(quote("stdout", &self.stdout));
        words
    }

    /// An error about it, with its last words.
    pub(super) fn error(&self, class: Class, message: impl Into<String>) -> Error {
        let mut error = Error::new(class, message);
        error.observed = self.last_words();
        error
    }
}

/// A command in one line, not too long.
pub(super) fn shown(command: &[String]) -> String {
    let line = command.join(" ");
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// A command that could not be started. A runtime says in many ways that a program is not there.
pub(super) fn not_run(shown: &str, place: &str, why: String) -> Error {
    let missing = ["executable file not found", "no such file or directory"];
    let unreachable = ["error dialing backend", "connection refused"];
    let has = |parts: &[&str]| parts.iter().any(|part| why.contains(part));
    let class = if has(&missing) {
        Class::Missing
    } else if has(&unreachable) {
        Class::Unreachable
    } else {
        Class::Refused
    };
    Error::new(class, format!("`{shown}` was not run in {place}")).observed(why)
}

fn broken_off(ran: &Ran, container: &Container, lost: &Lost) -> Error {
    ran.error(
        Class::Unreachable,
        format!(
            "the connection to `{}` in {container} broke before it ended ({lost}); it may have done all, part or nothing",
            ran.shown
        ),
    )
}

fn too_long(ran: &Ran, container: &Container, ctx: &StepContext) -> Error {
    ran.error(
        Class::Timeout,
        format!(
            "`{}` in {container} did not end within {}, and may still be running there",
            ran.shown,
            text::duration(ctx.timeout)
        ),
    )
}
