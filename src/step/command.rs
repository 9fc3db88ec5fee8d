use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::{Done, Error, StepContext};
use crate::cluster::{Captured, Ended, Program};
use crate::event::{Class, Note, Progress};
use crate::plan::verb::Command;
use crate::text;

/// Most bytes kept of each output.
const KEPT: usize = 1 << 20;
/// How many last lines an error quotes.
const QUOTED: usize = 12;
/// How many last lines a report shows.
const REPORTED: usize = 40;
/// How often the newest line is told.
const TELL: Duration = Duration::from_secs(1);
/// How long before its time is over a program's last lines are told, so that they can be quoted.
const LAST_WORDS: Duration = Duration::from_millis(20);
/// The longest line that is told.
const LINE: usize = 160;

/// Runs a local program in its own process group; all that it started ends with it.
/// It is not repeated by itself: a written `retry` says that it may be.
///
/// Outputs: `stdout` and `stderr` (without the newline at the end; of more than a
/// megabyte the beginning and the end), `code`.
pub(super) async fn act(args: &Command, ctx: &StepContext) -> Result<Done, Error> {
    if !ctx.cluster.processes() {
        return Err(Error::new(
            Class::Missing,
            "time is virtual on this cluster, and a local program runs in real time; name a real one with `--context`",
        ));
    }
    let mut words = ctx.get(&args.args)?.into_iter();
    let Some(program) = words.next().filter(|program| !program.is_empty()) else {
        return Err(Error::new(Class::Broken, "`args` names no program"));
    };
    let env = args.env.iter().map(|(name, value)| Ok((name.clone(), Some(ctx.get(value)?.into()))));
    let env = env.collect::<Result<_, Error>>()?;
    let dir = ctx.get_opt(args.dir.as_ref())?.unwrap_or_default();
    let stdin = ctx.get_opt(args.stdin.as_ref())?.map(String::into_bytes);

    let ear = Ear::new(ctx);
    let heard = |line: &str| ear.hear(line);
    let start = Program {
        env,
        dir: Some(ctx.path(&dir)),
        stdin,
        keep: KEPT,
        heard: Some(&heard),
        ..Program::new(program.as_str(), words)
    };
    let running = start.start().map_err(|error| Error::from_source(error.class(), "the program was not run", error))?;
    if ctx.background {
        ctx.up();
    }
    let ended = {
        let mut end = std::pin::pin!(running.end(&ctx.cancel));
        tokio::select! {
            biased;
            ended = &mut end => ended,
            () = ear.last_words() => end.await,
        }
    };
    report(&ended, ctx);
    let done = Done::default()
        .with("stdout", trimmed(&ended.stdout))
        .with("stderr", trimmed(&ended.stderr))
        .with("code", ended.code());
    if ended.cancelled {
        // What runs beside others is ended when they are: that is how it ends well.
        return if ctx.background { Ok(done) } else { Err(wrong(&ended, &program, Class::Cancelled)) };
    }
    if args.codes.contains(&ended.code()) {
        return Ok(done);
    }
    let codes: Vec<String> = args.codes.iter().map(i32::to_string).collect();
    Err(wrong(&ended, &program, Class::Unmet).expected(format!("exit code {}", text::or(&codes))))
}

fn wrong(ended: &Ended, program: &str, class: Class) -> Error {
    let error = Error::new(class, format!("`{program}` ended with {}", ended.how()));
    ended.last_lines(QUOTED).into_iter().fold(error, Error::observed)
}

fn report(ended: &Ended, ctx: &StepContext) {
    ctx.note(Note::pair("ended with", ended.how()));
    for (name, output) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
        let lines = output.last_lines(REPORTED);
        if !lines.is_empty() {
            let is_all = output.missing() == 0 && output.last_lines(REPORTED + 1).len() == lines.len();
            let title = if is_all { name.to_owned() } else { format!("{name}, its last {} lines", lines.len()) };
            ctx.note(Note::Block { title, text: lines.join("\n") });
        }
    }
}

/// An output as a value: text, without the newline that ends its last line.
fn trimmed(output: &Captured) -> String {
    let text = output.text();
    let text = text.strip_suffix('\n').unwrap_or(&text);
    text.strip_suffix('\r').unwrap_or(text).to_owned()
}

/// Hears what a program says and tells some of it while it runs.
struct Ear<'a> {
    ctx: &'a StepContext,
    heard: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    last: VecDeque<String>,
    told: Option<Instant>,
}

impl<'a> Ear<'a> {
    fn new(ctx: &'a StepContext) -> Self {
        Self { ctx, heard: Mutex::default() }
    }

    fn hear(&self, line: &str) {
        let line = line.char_indices().nth(LINE).map_or(line, |(cut, _)| &line[..cut]).to_owned();
        let now = tokio::time::Instant::now();
        let mut heard = self.heard.lock().expect("nobody panics while listening");
        if heard.told.is_none_or(|told| now - told >= TELL) {
            heard.told = Some(now);
            self.ctx.progress(Progress { say: line.clone(), ..Progress::default() });
        }
        if heard.last.len() == QUOTED {
            heard.last.pop_front();
        }
        heard.last.push_back(line);
    }

    /// Tells the last lines just before the step's time is over.
    async fn last_words(&self) {
        // What runs beside others has no time of its own.
        if self.ctx.background {
            return std::future::pending().await;
        }
        tokio::time::sleep_until(self.ctx.deadline - LAST_WORDS).await;
        let heard = self.heard.lock().expect("nobody panics while listening");
        let say = heard.last.back().cloned().unwrap_or_else(|| "it said nothing".to_owned());
        self.ctx.progress(Progress { say, unmet: heard.last.iter().cloned().collect(), ..Progress::default() });
    }
}

#[cfg(test)]
mod tests;
