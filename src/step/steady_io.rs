use std::time::Duration;

use rand::Rng as _;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::capture::Capture;
use super::chance::chance;
use super::container::{Container, Inside};
use super::file::File;
use super::pulse::{self, Line};
use super::session::{self, Ears, Ending, Heard, Lost, Mouth};
use super::shell::not_run;
use super::{Done, Error, StepContext};
use crate::event::{Class, Note, Progress};
use crate::plan::verb::SteadyIo;
use crate::text;

/// A write or a read that takes longer is counted as a stall, whether or not it fails the step.
const STALL: Duration = Duration::from_secs(1);

/// After so long without a word the connection is given up and made anew.
const SILENCE: Duration = Duration::from_secs(10);

/// How long the last write may take to come back once the step is ended.
const WIND_UP: Duration = Duration::from_secs(3);

/// How many stalls are told one by one.
const TOLD: u64 = 50;

/// Most bytes of a line.
const LONGEST: usize = 16 << 10;

/// The shortest time between two words about progress.
const BREATH: Duration = Duration::from_secs(1);

/// Writes and reads back small blocks in a pod until it is ended: in the background, since
/// what it measures is what others do to the volume meanwhile.
///
/// It is up once the first block was read back. A block that reads back wrong, a write that
/// is refused, and one that takes longer than `max-stall` are failures at once. While the
/// connection to the pod is broken nothing is measured: that is noted, and no stall.
///
/// Outputs: `writes`, `wrong`, `stalls` (longer than a second), `longest` (such as `1200ms`).
pub(super) async fn act(args: &SteadyIo, ctx: &StepContext) -> Result<Done, Error> {
    let load = Load {
        block: ctx.get(&args.block)?.0,
        every: ctx.get(&args.every)?.0,
        max_stall: ctx.get_opt(args.max_stall.as_ref())?.map(|span| span.0),
        salt: chance(ctx).next_u64(),
    };
    if load.block == 0 {
        return Err(Error::new(Class::Broken, "`block` is zero: nothing would be written"));
    }
    let inside = Inside {
        on: args.on.as_ref(),
        pod: args.pod.as_ref(),
        namespace: args.namespace.as_ref(),
        container: args.container.as_ref(),
    };
    let container = Container::find(inside, ctx).await?;
    let path = ctx.get(&args.path)?;
    let called = File::new(&container, path.clone())?.called();
    let command = pulse::command(&path, load.block);
    let mut heart = Heart::new(load, called, ctx);
    let mut broken: Option<(Instant, String)> = None;
    loop {
        // Each connection has as much time as the first: the step's own may be over long ago.
        let patient = StepContext { deadline: Instant::now() + ctx.timeout, ..ctx.clone() };
        let connected = tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => None,
            connected = connect(&container, &command, broken.is_some(), &patient) => Some(connected?),
        };
        let Some((ears, mouth)) = connected else {
            return heart.end();
        };
        if let Some((since, why)) = broken.take() {
            heart.was_blind(since, &why);
        }
        match heart.beat(ears, mouth).await? {
            Some(Lost(why)) => broken = Some((Instant::now(), why)),
            None => return heart.end(),
        }
    }
}

/// Starts the script; again only in the very pod in which it ran.
async fn connect(
    container: &Container,
    command: &[String],
    again: bool,
    ctx: &StepContext,
) -> Result<(Ears, Mouth), Error> {
    let gone = |why: &str| Error::new(Class::Unmet, format!("the pod of {container}, which writes and reads, {why}"));
    loop {
        if !again {
            break;
        }
        match container.again(ctx).await {
            Ok(found) if found.uid == container.uid => break,
            Ok(_) => return Err(gone("was replaced")),
            Err(error) if error.class == Class::Missing => return Err(gone("is gone")),
            // A container that is being restarted.
            Err(error) if error.class == Class::Refused && Instant::now() < ctx.deadline => {
                sleep(STALL).await;
            }
            Err(error) => return Err(error),
        }
    }
    session::start(container, command, true, ctx).await
}

/// What is asked of the volume.
struct Load {
    block: u64,
    every: Duration,
    max_stall: Option<Duration>,
    salt: u64,
}

/// The writes so far, over all connections.
struct Heart<'a> {
    load: Load,
    called: String,
    ctx: &'a StepContext,
    /// The next write's number.
    number: u64,
    /// When the next is due.
    due: Instant,
    /// The one that is under way.
    pending: Option<Pending>,
    writes: u64,
    stalls: u64,
    longest: Duration,
    blind: Duration,
    breaks: usize,
    told: Option<Instant>,
    reads: Option<bool>,
}

/// A write that has not come back.
#[derive(Clone, Copy)]
struct Pending {
    number: u64,
    /// How many dots came since it began: a second lies between two.
    dots: u32,
    begun: bool,
}

impl Pending {
    /// How long it has been under way at least, by the container's own time.
    fn span(self) -> Duration {
        Duration::from_secs(u64::from(self.dots.saturating_sub(1)))
    }
}

impl<'a> Heart<'a> {
    fn new(load: Load, called: String, ctx: &'a StepContext) -> Self {
        Self {
            load,
            called,
            ctx,
            number: 1,
            due: Instant::now(),
            pending: None,
            writes: 0,
            stalls: 0,
            longest: Duration::ZERO,
            blind: Duration::ZERO,
            breaks: 0,
            told: None,
            reads: None,
        }
    }

    /// Writes and reads over one connection until it is lost, or the step is ended (`None`).
    async fn beat(&mut self, mut ears: Ears, mut mouth: Mouth) -> Result<Option<Lost>, Error> {
        let mut heard_at = Instant::now();
        let mut lines = Lines::default();
        let mut stderr = Capture::new(4096);
        // What was under way on an earlier connection will not come back on this one.
        self.pending = None;
        self.due = self.due.max(Instant::now());
        loop {
            let silent = heard_at + SILENCE;
            let timer = if self.pending.is_none() { self.due.min(silent) } else { silent };
            tokio::select! {
                biased;
                () = self.ctx.cancel.cancelled() => return self.wind_up(ears, mouth, lines).await.map(|()| None),
                heard = ears.hear() => {
                    heard_at = Instant::now();
                    match heard {
                        Ok(Heard::Stdout(bytes)) => {
                            for line in lines.push(&bytes) {
                                self.take(&line, &stderr)?;
                            }
                        }
                        Ok(Heard::Stderr(bytes)) => stderr.push(&bytes),
                        Ok(Heard::Ended(ending)) => return self.ended(ending, &stderr).map(Some),
                        Err(lost) => return Ok(Some(lost)),
                    }
                }
                () = sleep_until(timer) => {
                    if heard_at.elapsed() >= SILENCE {
                        return Ok(Some(Lost(format!("nothing was heard for {}", text::duration(SILENCE)))));
                    }
                    let number = self.number;
                    let line = format!("{number} {}\n", pulse::text(self.load.salt, number));
                    if let Err(lost) = mouth.say(line.as_bytes()).await {
                        return Ok(Some(lost));
                    }
                    self.number += 1;
                    self.pending = Some(Pending { number, dots: 0, begun: false });
                    self.due = (self.due + self.load.every).max(Instant::now());
                }
            }
        }
    }

    /// Fails if the write that is under way has been so for too long.
    fn overdue(&self) -> Result<(), Error> {
        match (self.pending, self.load.max_stall) {
            (Some(pending), Some(most)) if pending.span() > most => {
                Err(self.stalled(pending.number, pending.span(), "has not come back for"))
            }
            _ => Ok(()),
        }
    }

    fn stalled(&self, number: u64, span: Duration, word: &str) -> Error {
        let most = self.load.max_stall.unwrap_or(STALL);
        Error::new(Class::Unmet, format!("{} stalled: write {number} {word} {}", self.called, text::duration(span)))
            .expected(format!("every write and read within {}", text::duration(most)))
            .observed(self.summary())
    }

    /// One line of the script.
    fn take(&mut self, line: &str, stderr: &Capture) -> Result<(), Error> {
        match Line::parse(line) {
            Some(Line::Tick) => {
                if let Some(pending) = self.pending.as_mut().filter(|pending| pending.begun) {
                    pending.dots += 1;
                }
                self.overdue()
            }
            Some(Line::Begun { number }) => {
                if let Some(pending) = self.pending.as_mut().filter(|pending| pending.number == number) {
                    pending.begun = true;
                }
                Ok(())
            }
            Some(Line::Reads { direct }) => {
                if self.reads.replace(direct) != Some(direct) {
                    self.ctx.note(Note::text(if direct {
                        "reads go past the page cache"
                    } else {
                        "reads may come from the page cache: `dd` can't read directly there"
                    }));
                }
                Ok(())
            }
            Some(Line::Failed { number, said }) => {
                Err(Error::new(Class::Unmet, format!("write {number} to {} was refused", self.called))
                    .observed(said)
                    .observed(self.summary()))
            }
            Some(Line::Beat { number, write, read, digest }) => self.count(number, write, read, &digest),
            None => {
                let mut error = Error::new(
                    Class::Broken,
                    format!("what writes to {} said something else than it should", self.called),
                )
                .observed(line);
                error.observed.extend(stderr.last_lines(5));
                Err(error)
            }
        }
    }

    fn count(&mut self, number: u64, write: Duration, read: Duration, digest: &str) -> Result<(), Error> {
        let wanted = pulse::digest_of(&pulse::text(self.load.salt, number), self.load.block);
        if digest != wanted {
            return Err(Error::new(
                Class::Unmet,
                format!("{} read back wrong: block {number} has other bytes than were written", self.called),
            )
            .expected(format!("sha256 {wanted}"))
            .observed(format!("sha256 {digest}"))
            .observed(self.summary()));
        }
        if self.pending.is_some_and(|pending| pending.number == number) {
            self.pending = None;
        }
        self.writes += 1;
        if self.writes == 1 {
            self.ctx.up();
        }
        for (span, word) in [(write, "took"), (read, "was read back in")] {
            self.longest = self.longest.max(span);
            if span >= STALL {
                self.stalls += 1;
                if self.stalls <= TOLD {
                    self.ctx.note(Note::text(format!("write {number} {word} {}", text::duration(span))));
                }
            }
            if self.load.max_stall.is_some_and(|most| span > most) {
                return Err(self.stalled(number, span, word));
            }
        }
        if self.told.is_none_or(|told| told.elapsed() >= BREATH) {
            self.told = Some(Instant::now());
            self.ctx.progress(Progress { say: self.summary(), ..Progress::default() });
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let mut said = format!(
            "{}, {}, longest {}",
            text::count(usize::try_from(self.writes).unwrap_or(usize::MAX), "write"),
            text::count(usize::try_from(self.stalls).unwrap_or(usize::MAX), "stall"),
            text::duration(self.longest)
        );
        if self.breaks > 0 {
            said += &format!(", not measured for {}", text::duration(self.blind));
        }
        said
    }

    /// The script ended by itself.
    fn ended(&self, ending: Ending, stderr: &Capture) -> Result<Lost, Error> {
        match ending {
            // Killed from outside, as when its container is restarted: the pod tells.
            Ending::Code(code) if code > 128 => Ok(Lost(format!("it was killed there (exit code {code})"))),
            Ending::Code(code) => {
                let mut error = Error::new(
                    Class::Broken,
                    format!("what writes to {} ended by itself with exit code {code}", self.called),
                );
                error.observed = stderr.last_lines(5);
                Err(error)
            }
            Ending::NotRun(why) => Err(not_run("sh", &self.called, why)),
        }
    }

    /// The connection was broken since then: nothing is known of the volume meanwhile.
    fn was_blind(&mut self, since: Instant, why: &str) {
        self.blind += since.elapsed();
        self.breaks += 1;
        self.ctx.note(Note::text(format!(
            "the connection was lost ({why}) and nothing measured for {}",
            text::duration(since.elapsed())
        )));
    }

    /// Lets the last write come back, and the script end.
    async fn wind_up(&mut self, mut ears: Ears, mut mouth: Mouth, mut lines: Lines) -> Result<(), Error> {
        // If it can't be told, it ends with the connection.
        let told = mouth.end().await;
        let until = Instant::now() + WIND_UP;
        while told.is_ok() {
            match timeout_at(until, ears.hear()).await {
                Ok(Ok(Heard::Stdout(bytes))) => {
                    for line in lines.push(&bytes) {
                        self.take(&line, &Capture::new(0))?;
                    }
                }
                Ok(Ok(Heard::Stderr(_))) => {}
                Ok(Ok(Heard::Ended(_)) | Err(_)) | Err(_) => break,
            }
        }
        if let Some(pending) = self.pending.filter(|pending| pending.span() >= STALL) {
            self.stalls += 1;
            self.longest = self.longest.max(pending.span());
            self.ctx.note(Note::text(format!(
                "write {} had not come back for {} when the step was ended",
                pending.number,
                text::duration(pending.span())
            )));
        }
        Ok(())
    }

    /// What it comes to.
    fn end(self) -> Result<Done, Error> {
        if self.writes == 0 {
            return Err(Error::new(
                Class::Cancelled,
                format!("ended before the first write to {} was read back", self.called),
            ));
        }
        self.ctx.note(Note::text(self.summary()));
        Ok(Done::default()
            .with("writes", self.writes)
            .with("wrong", 0)
            .with("stalls", self.stalls)
            .with("longest", format!("{}ms", self.longest.as_millis())))
    }
}

/// Whole lines out of pieces.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.0.extend_from_slice(bytes);
        let mut lines = Vec::new();
        while let Some(at) = self.0.iter().position(|byte| *byte == b'\n') {
            let rest = self.0.split_off(at + 1);
            let line = std::mem::replace(&mut self.0, rest);
            lines.push(String::from_utf8_lossy(&line[..at]).into_owned());
        }
        // No line of the script is so long: it is handed on to be refused.
        if self.0.len() > LONGEST {
            let line = std::mem::take(&mut self.0);
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
        lines
    }
}
