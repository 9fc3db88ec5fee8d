use std::time::Duration;

use futures::FutureExt as _;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::ask::ask;
use super::board::{Board, Sight};
use super::calm::Calm;
use super::{Done, Error, StepContext};
use crate::event::{Class, Note, Progress};
use crate::plan::verb::Wait;
use crate::plan::{Conditions, Require};
use crate::text;

/// How often an expression that depends on the time is asked again.
const TICK: Duration = Duration::from_secs(1);

/// Most objects that are kept as output.
const KEPT: usize = 100;

/// A kind of Kubernetes' own that the embedded cluster does not have never comes there: no definition brings it.
async fn imitated(conditions: &Conditions, ctx: &StepContext) -> Result<(), Error> {
    if !ctx.cluster.identity().is_some_and(|cluster| cluster.embedded) {
        return Ok(());
    }
    for (_, condition) in conditions.iter() {
        let resource = &ctx.recorder.query(&ctx.selection(&condition.on).id).resource;
        let is_own = resource.group.ends_with(".k8s.io") || !resource.group.contains('.');
        if is_own && ask(ctx, &format!("look up {resource}"), || ctx.recorder.served(resource)).await?.is_none() {
            return Err(Error::new(
                Class::Missing,
                format!("the embedded cluster has no `{resource}`; a real one may: name it with `--context`"),
            ));
        }
    }
    Ok(())
}

/// Waits until conditions hold, for as long as they must.
///
/// Outputs: `objects` (those that satisfy the condition; with `all` a map of them
/// by name), `object` (the first), `count`.
pub(super) async fn act(args: &Wait, ctx: &StepContext) -> Result<Done, Error> {
    imitated(&args.conditions, ctx).await?;
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
        let sight = if done_at.is_some_and(|at| at <= now) {
            // What has come by now and was not looked at yet belongs to the time before.
            let late = if stable.is_zero() { None } else { board.changed().now_or_never() };
            match late {
                Some(sight) => sight?,
                None => return Ok(done(&board, args, stable, ctx)),
            }
        } else if now >= ctx.deadline {
            let span = text::duration(ctx.timeout);
            return Err(match since {
                Some(since) => too_short(&board, now - since, stable, &span),
                None => unmet(&board, Class::Timeout, &format!("not so within {span}")),
            });
        } else {
            // While the first list is on its way there is nothing to say yet.
            if board.is_synced() || !board.sees() {
                calm.tell(|| progress(&board, holds.then_some(stable)));
            }
            let tick = board.ages().then(|| now + TICK);
            match timeout_at(calm.until(done_at.into_iter().chain(tick)), board.changed()).await {
                Ok(sight) => sight?,
                Err(_) => board.again(),
            }
        };
        if sight == Sight::Broken {
            since = None;
        }
    }
}

fn progress(board: &Board, holding: Option<Duration>) -> Progress {
    let progress = board.progress();
    match holding {
        Some(stable) => {
            Progress { say: format!("holds, and must for {} without a break", text::duration(stable)), ..progress }
        }
        None => progress,
    }
}

/// Holds a step back until what it requires holds; what does not in time leaves it undecided.
pub async fn require(require: &Require, ctx: &StepContext) -> Result<(), Error> {
    let within = ctx.get_opt(require.within.as_ref())?;
    let mut board = Board::open(&require.conditions, ctx)?;
    let mut calm = Calm::new(ctx);
    let deadline = within.map_or(ctx.deadline, |span| (Instant::now() + span.0).min(ctx.deadline));
    let said = match within {
        Some(span) => format!("what is required before it was not so within {span}, and nothing was done"),
        None => "what is required before it was not so, and nothing was done".to_owned(),
    };
    loop {
        if board.holds() {
            return Ok(());
        }
        let now = Instant::now();
        if now >= deadline || (within.is_none() && board.is_synced()) {
            return Err(unmet(&board, Class::Undecided, &said));
        }
        if board.is_synced() || !board.sees() {
            calm.tell(|| board.progress());
        }
        let tick = board.ages().then(|| now + TICK);
        match timeout_at(calm.until(tick.into_iter().chain([deadline])), board.changed()).await {
            Ok(sight) => drop(sight?),
            Err(_) => drop(board.again()),
        }
    }
}

/// Judges conditions once, right after a step.
pub async fn expect(conditions: &Conditions, ctx: &StepContext) -> Result<(), Error> {
    let mut board = Board::open(conditions, ctx)?;
    let said = "what is expected after it is not so";
    while !board.is_synced() {
        match timeout_at(ctx.deadline, board.changed()).await {
            Ok(sight) => drop(sight?),
            Err(_) => return Err(unmet(&board, Class::Unmet, said)),
        }
    }
    if board.holds() { Ok(()) } else { Err(unmet(&board, Class::Unmet, said)) }
}

/// What is not so is told with the last state seen. If nothing could be seen, that is told instead.
fn unmet(board: &Board, class: Class, said: &str) -> Error {
    let progress = board.progress();
    let mut error = if board.is_synced() && board.sees() {
        Error::new(class, format!("{said}: {}", progress.say))
    } else {
        Error::new(Class::Unreachable, format!("it can't be said whether it was so: {}", progress.say))
    };
    error.observed = progress.unmet;
    error.expected(board.expected())
}

/// It was so when the time was over, but not for long enough.
fn too_short(board: &Board, held: Duration, stable: Duration, span: &str) -> Error {
    let (held, stable) = (text::duration(held), text::duration(stable));
    let said = format!("when its {span} were over it had held for {held}, and must for {stable} without a break");
    Error::new(Class::Timeout, said).expected(format!("{}, for {stable}", board.expected()))
}

fn done(board: &Board, args: &Wait, stable: Duration, ctx: &StepContext) -> Done {
    let held = board.held();
    let counts: Vec<String> = held.iter().map(|(name, objects)| format!("{name} {}", objects.len())).collect();
    let stable =
        if stable.is_zero() { String::new() } else { format!(", for {} without a break", text::duration(stable)) };
    ctx.note(Note::text(if counts.is_empty() {
        "every condition is left out by its `if`".to_owned()
    } else {
        format!("held: {}{stable}", counts.join(", "))
    }));
    let count: usize = held.iter().map(|(_, objects)| objects.len()).sum();
    let first = held.iter().flat_map(|(_, objects)| objects).next().cloned();
    let mut kept = held.into_iter().map(|(name, mut objects)| {
        objects.truncate(KEPT);
        (name.replace('-', "_"), Value::Array(objects))
    });
    let objects = match args.conditions {
        Conditions::One(_) => kept.next().map_or_else(|| Value::Array(Vec::new()), |(_, objects)| objects),
        Conditions::All(_) => Value::Object(kept.collect::<Map<_, _>>()),
    };
    let done = Done::default().with("objects", objects).with("count", count);
    match first {
        Some(object) => done.with("object", object),
        None => done,
    }
}
