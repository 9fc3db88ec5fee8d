use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::board::{Board, Sight};
use super::{Done, Error, StepContext};
use crate::event::{Class, Note, Progress};
use crate::plan::verb::Wait;
use crate::plan::{Conditions, Require};
use crate::text;

/// The shortest time between two words about progress: a busy selection changes
/// a thousand times a second, and a person reads one line.
const BREATH: Duration = Duration::from_millis(250);

/// How often an expression that depends on the time is asked again.
const TICK: Duration = Duration::from_secs(1);

/// Most objects that are kept as output.
const KEPT: usize = 100;

/// Waits until conditions hold, for as long as they must.
///
/// Outputs: `objects` (those that satisfy the condition; with `all` a map of them
/// by name), `object` (the first), `count`.
pub(super) async fn act(args: &Wait, ctx: &StepContext) -> Result<Done, Error> {
    let stable = ctx.get_opt(args.stable.as_ref())?.map_or(Duration::ZERO, |span| span.0);
    let mut board = Board::open(&args.conditions, ctx)?;
    let mut calm = Calm::new(ctx);
    let mut since: Option<Instant> = None;
    loop {
        let now = Instant::now();
        // While a watch can't see, nothing is known to hold without a break.
        let holds = board.holds() && (stable.is_zero() || board.sees());
        since = if holds { since.or(Some(now)) } else { None };
        let done_at = since.map(|since| since + stable);
        if done_at.is_some_and(|at| at <= now) {
            return Ok(done(&board, stable, ctx));
        }
        calm.tell(&board, since.map(|_| stable));
        let until = [Some(ctx.deadline), done_at, calm.at, board.ages().then(|| now + TICK)];
        let until = until.into_iter().flatten().min().expect("the deadline is always there");
        match timeout_at(until, board.changed()).await {
            Ok(sight) => {
                if sight? == Sight::Broken {
                    since = None;
                }
            }
            Err(_) if Instant::now() >= ctx.deadline => {
                return Err(unmet(&board, Class::Timeout, &format!("not so within {}", text::duration(ctx.timeout))));
            }
            Err(_) => {
                if board.ages() {
                    board.again();
                }
            }
        }
    }
}

/// Holds a step back until what it requires holds; what does not in time leaves it undecided.
pub async fn require(require: &Require, ctx: &StepContext) -> Result<(), Error> {
    let within = ctx.get_opt(require.within.as_ref())?;
    let mut board = Board::open(&require.conditions, ctx)?;
    let mut calm = Calm::new(ctx);
    let deadline = within.map_or(ctx.deadline, |span| (Instant::now() + span.0).min(ctx.deadline));
    let said = match within {
        Some(span) => {
            format!("what is required before it was not so within {span}, and nothing was done")
        }
        None => "what is required before it was not so, and nothing was done".to_owned(),
    };
    loop {
        if board.holds() {
            return Ok(());
        }
        if within.is_none() && board.is_synced() {
            return Err(unmet(&board, Class::Undecided, &said));
        }
        calm.tell(&board, None);
        let tick = board.ages().then(|| Instant::now() + TICK);
        let until = [Some(deadline), calm.at, tick].into_iter().flatten().min().expect("the deadline is always there");
        match timeout_at(until, board.changed()).await {
            Ok(sight) => {
                sight?;
            }
            Err(_) if Instant::now() >= deadline => {
                return Err(unmet(&board, Class::Undecided, &said));
            }
            Err(_) => {
                if board.ages() {
                    board.again();
                }
            }
        }
    }
}

/// Judges conditions once, right after a step.
pub async fn expect(conditions: &Conditions, ctx: &StepContext) -> Result<(), Error> {
    let mut board = Board::open(conditions, ctx)?;
    let deadline = sleep_until(ctx.deadline);
    let mut deadline = std::pin::pin!(deadline);
    while !board.is_synced() {
        tokio::select! {
            biased;
            sight = board.changed() => {
                sight?;
            }
            () = &mut deadline => return Err(unmet(&board, Class::Unreachable, "what is expected after it could not be looked at")),
        }
    }
    if board.holds() { Ok(()) } else { Err(unmet(&board, Class::Unmet, "what is expected after it is not so")) }
}

fn unmet(board: &Board, class: Class, said: &str) -> Error {
    let progress = board.progress();
    let mut error = Error::new(class, format!("{said}: {}", progress.say)).expected(board.expected());
    error.observed = progress.unmet;
    error
}

fn done(board: &Board, stable: Duration, ctx: &StepContext) -> Done {
    let mut held = board.held();
    let counts: Vec<String> = held.iter().map(|(name, objects)| format!("{name} {}", objects.len())).collect();
    let stable =
        if stable.is_zero() { String::new() } else { format!(", for {} without a break", text::duration(stable)) };
    ctx.note(Note::text(format!("held: {}{stable}", counts.join(", "))));
    let count: usize = held.iter().map(|(_, objects)| objects.len()).sum();
    for (_, objects) in &mut held {
        objects.truncate(KEPT);
    }
    let first = held.iter().flat_map(|(_, objects)| objects).next().cloned();
    let objects = match held.as_mut_slice() {
        [(_, objects)] => Value::Array(std::mem::take(objects)),
        several => {
            let named = several
                .iter_mut()
                .map(|(name, objects)| (name.replace('-', "_"), Value::Array(std::mem::take(objects))));
            Value::Object(named.collect::<Map<_, _>>())
        }
    };
    let done = Done::default().with("objects", objects).with("count", count);
    match first {
        Some(object) => done.with("object", object),
        None => done,
    }
}

/// Says what is missing, but not more often than it can be read.
struct Calm<'a> {
    ctx: &'a StepContext,
    /// When the next word may be said.
    next: Instant,
    /// When to look again, because a word was held back.
    at: Option<Instant>,
    last: Option<Progress>,
}

impl<'a> Calm<'a> {
    fn new(ctx: &'a StepContext) -> Self {
        Self { ctx, next: Instant::now(), at: None, last: None }
    }

    /// Says how things stand if that is new, now or when it is time.
    fn tell(&mut self, board: &Board, holding: Option<Duration>) {
        let now = Instant::now();
        if !board.is_synced() && board.sees() {
            // The first list is on its way: there is nothing to say yet.
            self.at = None;
            return;
        }
        if now < self.next {
            self.at = Some(self.next);
            return;
        }
        self.at = None;
        let mut progress = board.progress();
        if let Some(stable) = holding {
            progress.say = format!("holds, must go on for {}", text::duration(stable));
        }
        if self.last.as_ref() != Some(&progress) {
            self.ctx.progress(progress.clone());
            self.last = Some(progress);
            self.next = now + BREATH;
        }
    }
}
