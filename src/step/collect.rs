use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::{FutureExt as _, select_all};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ask::ask;
use super::cabinet::{Cabinet, Kept};
use super::describe::{describe, last_seen, told, yaml};
use super::log::{self, Life, lives};
use super::{Done, Error, StepContext};
use crate::check::{Track, TrackKey};
use crate::event::{Class, Note};
use crate::plan::verb::Collect;
use crate::plan::{Query, Resource, SelectionId};
use crate::record::Feed;
use crate::text;

/// How long one request may take altogether: what can't be had now is noted and left,
/// since this often runs when things are broken and time is short.
const PATIENCE: Duration = Duration::from_secs(20);

/// Gathers logs, descriptions, events and objects into the run folder. Secrets' data is
/// never among them.
///
/// In the background it follows the logs of all selected pods, also of those that come
/// later, from before the act that may remove them; the rest is gathered when it is ended.
///
/// Outputs: `files` (paths in the run folder).
pub(super) async fn act(args: &Collect, ctx: &StepContext) -> Result<Done, Error> {
    let what = What { logs: args.logs, describe: args.describe, events: args.events, objects: args.objects };
    let names: Vec<String> =
        if args.on.is_empty() { ctx.scope.objects.keys().cloned().collect() } else { args.on.clone() };
    let cabinet = Cabinet::new(ctx.get(&args.max_size)?.0, ctx);
    let mut gathered = Gathered::new(ctx);
    if ctx.background {
        if what.logs {
            let pods = names.iter().map(|name| ctx.selection(name).id.clone());
            let pods = pods.filter(|id| ctx.recorder.query(id).resource == Resource::core("pods")).collect();
            follow_logs(pods, &cabinet, &mut gathered, ctx).await?;
        } else {
            ctx.up();
            ctx.cancel.cancelled().await;
        }
        let rest = What { logs: false, ..what };
        gather(rest, &names, &cabinet, &mut gathered, ctx).await;
    } else {
        tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => return Err(Error::new(Class::Cancelled, "collecting was cut short")),
            () = gather(what, &names, &cabinet, &mut gathered, ctx) => {}
        }
    }
    gathered.done()
}

/// What is gathered.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "the four switches of the plan")]
struct What {
    logs: bool,
    describe: bool,
    events: bool,
    objects: bool,
}

/// What was left in the run folder, and what could not be had. Each is told at once:
/// who collects is often cut short.
struct Gathered<'a> {
    ctx: &'a StepContext,
    files: Vec<String>,
    troubles: Vec<String>,
    class: Option<Class>,
    /// Whether something was looked at, though there may have been nothing to keep.
    looked: bool,
}

impl<'a> Gathered<'a> {
    fn new(ctx: &'a StepContext) -> Self {
        Self { ctx, files: Vec::new(), troubles: Vec::new(), class: None, looked: false }
    }

    fn add(&mut self, what: &str, kept: Result<Kept, Error>) {
        match kept {
            Ok(kept) => {
                self.ctx.note(kept.note());
                self.files.push(kept.path);
            }
            Err(error) => self.failed(what, &error),
        }
    }

    fn failed(&mut self, what: &str, error: &Error) {
        self.class.get_or_insert(error.class);
        let below = std::error::Error::source(error).map(|below| format!(": {below}"));
        let why = format!("{}{}", error.message, below.unwrap_or_default());
        self.trouble(what, &why);
    }

    fn trouble(&mut self, what: &str, why: &str) {
        let trouble = format!("{what} could not be collected: {why}");
        self.ctx.note(Note::text(&trouble));
        self.troubles.push(trouble);
    }

    /// What can't be read is no failure, as long as anything could be.
    fn done(self) -> Result<Done, Error> {
        if self.files.is_empty() && !self.looked && !self.troubles.is_empty() {
            let class = self.class.unwrap_or(Class::Cancelled);
            let mut error = Error::new(class, "nothing could be collected");
            error.observed = self.troubles;
            return Err(error);
        }
        if self.files.is_empty() {
            self.ctx.note(Note::text("there was nothing to collect"));
        }
        Ok(Done::default().with("files", self.files))
    }
}

/// A context for one request.
fn hasty(ctx: &StepContext) -> StepContext {
    let now = Instant::now();
    let deadline = ctx.deadline.min(now + PATIENCE);
    StepContext { deadline, timeout: deadline - now, ..ctx.clone() }
}

/// Gathers what there is now.
async fn gather(what: What, names: &[String], cabinet: &Cabinet, gathered: &mut Gathered<'_>, ctx: &StepContext) {
    let mut found: Vec<(&str, Vec<Value>)> = Vec::new();
    let mut namespaces = BTreeSet::new();
    for name in names {
        let id = &ctx.selection(name).id;
        let query = ctx.recorder.query(id);
        let request = format!("LIST {} ({name})", query.resource);
        match ask(&hasty(ctx), &request, || ctx.recorder.list(id)).await {
            Ok(tracks) => {
                gathered.looked = true;
                let objects = objects(&tracks);
                if !query.namespace.is_empty() && query.resource.namespaced() != Some(false) {
                    namespaces.insert(query.namespace.clone());
                }
                let homes = objects.iter().filter_map(|o| o["metadata"]["namespace"].as_str());
                namespaces.extend(homes.map(str::to_owned));
                found.push((name, objects));
            }
            Err(error) => gathered.failed(&format!("`{name}`"), &error),
        }
    }
    let mut events: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    if what.events || what.describe {
        for namespace in namespaces {
            let query = Query {
                resource: Resource::core("events"),
                namespace: namespace.clone(),
                name: None,
                labels: None,
                fields: None,
            };
            let request = format!("LIST events of {namespace}");
            match ask(&hasty(ctx), &request, || ctx.recorder.list_query(&query)).await {
                Ok(tracks) => {
                    let mut told = objects(&tracks);
                    told.sort_by_cached_key(last_seen);
                    events.insert(namespace, told);
                }
                Err(error) => gathered.failed(&format!("events of namespace {namespace}"), &error),
            }
        }
    }
    for (name, objects) in found.iter().filter(|(_, objects)| !objects.is_empty()) {
        let file = format!("{name}.yaml");
        let count = text::count(objects.len(), "object");
        if what.objects {
            let documents: Vec<String> = objects.iter().map(yaml).collect();
            let about = format!("{count} of `{name}`");
            let kept = cabinet.keep(&["objects", &file], &documents.join("---\n"), &about);
            gathered.add(&format!("objects of `{name}`"), kept);
        }
        if what.describe {
            let described = objects.iter().map(|object| {
                let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
                describe(object, events.get(namespace).map_or(&[], Vec::as_slice))
            });
            let text = described.collect::<Vec<_>>().join("\n");
            let about = format!("{count} of `{name}`, described");
            let kept = cabinet.keep(&["describe", &format!("{name}.txt")], &text, &about);
            gathered.add(&format!("description of `{name}`"), kept);
        }
    }
    if what.events {
        for (namespace, events) in events.iter().filter(|(_, events)| !events.is_empty()) {
            let text: String = events.iter().map(told).collect();
            let about = format!("{} of namespace {namespace}", text::count(events.len(), "event"));
            let kept = cabinet.keep(&["events", &format!("{namespace}.txt")], &text, &about);
            gathered.add(&format!("events of namespace {namespace}"), kept);
        }
    }
    if what.logs {
        let pods = found
            .iter()
            .flat_map(|(_, objects)| objects)
            .filter(|object| object["kind"] == "Pod" && object["apiVersion"] == "v1");
        // Two selections may have the same pod.
        let lives: BTreeSet<Life> = pods.flat_map(lives).map(|(life, _)| life).collect();
        for life in &lives {
            for previous in [false, true] {
                if previous && life.restarts == 0 {
                    continue;
                }
                let what = format!("the log of {} in pods/{}", life.container, life.pod);
                gathered.add(&what, log::read(life, previous, cabinet, &hasty(ctx)).await);
            }
        }
    }
}

/// The objects of tracks, each once: entries stand for the object they are in.
fn objects(tracks: &[(TrackKey, Track)]) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    tracks
        .iter()
        .filter(|(key, _)| seen.insert((&key.namespace, &key.name)))
        .map(|(_, track)| track.parent.as_ref().unwrap_or(&track.o).value().clone())
        .collect()
}

/// Follows the logs of pods until the step is ended.
async fn follow_logs(
    pods: Vec<SelectionId>,
    cabinet: &Cabinet,
    gathered: &mut Gathered<'_>,
    ctx: &StepContext,
) -> Result<(), Error> {
    let mut feeds: Vec<(SelectionId, Feed)> = Vec::new();
    for id in pods {
        let feed = ctx.recorder.follow(&id)?;
        feeds.push((id, feed));
    }
    let mut streams = Streams::new(cabinet, ctx);
    let mut up = false;
    loop {
        let synced = feeds.iter().all(|(_, feed)| feed.is_synced());
        if !up && synced && streams.opening == 0 {
            ctx.up();
            up = true;
        }
        let change = next_change(&mut feeds);
        tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => break,
            Some(()) = streams.opened.recv() => streams.opening = streams.opening.saturating_sub(1),
            Some(done) = streams.running.join_next(), if !streams.running.is_empty() => {
                take_log(done, gathered);
            }
            (at, change) = change => {
                match change {
                    Ok(_) => streams.look(feeds.iter().map(|(_, feed)| feed)),
                    Err(error) => {
                        let (id, _) = feeds.swap_remove(at);
                        gathered.failed(&format!("logs of `{id}`"), &error.into());
                    }
                }
            }
        }
    }
    streams.stop.cancel();
    while let Some(done) = streams.running.join_next().await {
        take_log(done, gathered);
    }
    gathered.looked = true;
    Ok(())
}

type LogEnd = Result<Result<Option<Kept>, Error>, tokio::task::JoinError>;

fn take_log(end: LogEnd, gathered: &mut Gathered<'_>) {
    match end {
        Ok(Ok(Some(kept))) => gathered.add("a log", Ok(kept)),
        Ok(Ok(None)) => {}
        Ok(Err(error)) => gathered.failed("a log", &error),
        Err(error) => gathered.trouble("a log", &error.to_string()),
    }
}

/// The next change of any feed, with the feed's place.
async fn next_change(
    feeds: &mut [(SelectionId, Feed)],
) -> (usize, Result<crate::record::Change, crate::record::Error>) {
    if feeds.is_empty() {
        return std::future::pending().await;
    }
    let changes = feeds.iter_mut().map(|(_, feed)| feed.changed().boxed());
    let (change, at, _) = select_all(changes).await;
    (at, change)
}

/// One stream for each life of a container.
struct Streams<'a> {
    cabinet: &'a Cabinet,
    ctx: &'a StepContext,
    /// Those that were begun, each with the word that its life is over.
    begun: BTreeMap<Life, CancellationToken>,
    running: JoinSet<Result<Option<Kept>, Error>>,
    stop: CancellationToken,
    /// How many have not been opened yet.
    opening: usize,
    opened: mpsc::UnboundedReceiver<()>,
    open: mpsc::UnboundedSender<()>,
}

impl<'a> Streams<'a> {
    fn new(cabinet: &'a Cabinet, ctx: &'a StepContext) -> Self {
        let (open, opened) = mpsc::unbounded_channel();
        Self {
            cabinet,
            ctx,
            begun: BTreeMap::new(),
            running: JoinSet::new(),
            stop: CancellationToken::new(),
            opening: 0,
            opened,
            open,
        }
    }

    /// Opens streams of what has come, and lets those of what has gone end.
    fn look<'f>(&mut self, feeds: impl Iterator<Item = &'f Feed>) {
        let pods = feeds.flat_map(|feed| feed.tracks().values());
        let now: BTreeMap<Life, bool> = pods.flat_map(|track| lives(track.o.value())).collect();
        for life in now.keys() {
            if self.begun.contains_key(life) {
                continue;
            }
            let over = CancellationToken::new();
            self.begun.insert(life.clone(), over.clone());
            self.opening += 1;
            let open = self.open.clone();
            // A stream outlives the step's own time: each request has its own.
            let patient =
                StepContext { deadline: Instant::now() + Duration::from_secs(365 * 24 * 3600), ..self.ctx.clone() };
            self.running.spawn(log::follow(
                life.clone(),
                over,
                self.stop.clone(),
                self.cabinet.clone(),
                move || {
                    let _ = open.send(());
                },
                patient,
            ));
        }
        for (life, over) in &self.begun {
            if !now.get(life).copied().unwrap_or(false) {
                over.cancel();
            }
        }
    }
}
