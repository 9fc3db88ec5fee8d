//! Plans in TOML, steps that do what a script says, and the story that comes out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Order;
use super::act::Actor;
use super::dispatch::{Dispatch, Parts};
use super::watching::Watching;
use crate::clock::Clock;
use crate::cluster::{Cluster, Fetch, Helm, NoCluster};
use crate::event::{
    CancelReason, Class, ClusterIdentity, Event, EventKind, FORMAT, Mask, NotWritten, PlanFile, Progress, RunStart,
    Sink, Verdict,
};
use crate::id::{CheckId, RunId, StepId};
use crate::plan::{self, Conditions, Plan, Recorded, Require, Settings, Verb};
use crate::step::{Done, Error, RunFacts, StepContext};

type Part<T> = Arc<dyn Fn(StepContext) -> BoxFuture<'static, Result<T, Error>> + Send + Sync>;

/// What steps do, by id. A step that is not named passes after a second.
#[derive(Default)]
pub(super) struct Script {
    acts: BTreeMap<String, Part<Done>>,
    requires: BTreeMap<String, Part<()>>,
    expects: BTreeMap<String, Part<()>>,
}

impl Script {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn act<F>(mut self, step: &str, act: impl Fn(StepContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Done, Error>> + Send + 'static,
    {
        self.acts.insert(step.to_owned(), Arc::new(move |ctx| Box::pin(act(ctx))));
        self
    }

    pub(super) fn require<F>(mut self, step: &str, ask: impl Fn(StepContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.requires.insert(step.to_owned(), Arc::new(move |ctx| Box::pin(ask(ctx))));
        self
    }

    pub(super) fn expect<F>(mut self, step: &str, ask: impl Fn(StepContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.expects.insert(step.to_owned(), Arc::new(move |ctx| Box::pin(ask(ctx))));
        self
    }

    /// The step takes so many seconds and passes.
    pub(super) fn takes(self, step: &str, seconds: u64) -> Self {
        self.act(step, move |_| async move {
            sleep(Duration::from_secs(seconds)).await;
            Ok(Done::default())
        })
    }

    /// The step fails after a second.
    pub(super) fn fails(self, step: &str, class: Class) -> Self {
        self.act(step, move |_| async move {
            sleep(Duration::from_secs(1)).await;
            Err(Error::new(class, "it broke"))
        })
    }

    /// The step says what it waits for and never ends.
    pub(super) fn hangs(self, step: &str) -> Self {
        self.act(step, |ctx| async move {
            ctx.progress(progress("2 of 3 ready", &["pod-b: not ready"]));
            std::future::pending().await
        })
    }

    /// The step is up after so many seconds and goes on until it is told to end, which takes it another second.
    pub(super) fn goes_on(self, step: &str, up_after: u64) -> Self {
        self.act(step, move |ctx| async move {
            sleep(Duration::from_secs(up_after)).await;
            ctx.up();
            ctx.cancel.cancelled().await;
            sleep(Duration::from_secs(1)).await;
            Ok(Done::default().with("stdout", "none"))
        })
    }
}

pub(super) fn progress(say: &str, unmet: &[&str]) -> Progress {
    let unmet = unmet.iter().map(|&line| line.to_owned()).collect();
    Progress { say: say.to_owned(), unmet, done: None, total: None }
}

impl Actor for Script {
    fn act<'a>(&'a self, _: &'a Verb, ctx: &'a StepContext) -> BoxFuture<'a, Result<Done, Error>> {
        match self.acts.get(ctx.id.as_str()) {
            Some(act) => act(ctx.clone()),
            None => Box::pin(async {
                sleep(Duration::from_secs(1)).await;
                Ok(Done::default())
            }),
        }
    }

    fn require<'a>(&'a self, _: &'a Require, ctx: &'a StepContext) -> BoxFuture<'a, Result<(), Error>> {
        match self.requires.get(ctx.id.as_str()) {
            Some(ask) => ask(ctx.clone()),
            None => Box::pin(async { Ok(()) }),
        }
    }

    fn expect<'a>(&'a self, _: &'a Conditions, ctx: &'a StepContext) -> BoxFuture<'a, Result<(), Error>> {
        match self.expects.get(ctx.id.as_str()) {
            Some(ask) => ask(ctx.clone()),
            None => Box::pin(async { Ok(()) }),
        }
    }
}

/// A cluster that nobody asks anything.
struct Nowhere(Clock);

impl Cluster for Nowhere {
    fn client(&self) -> Result<kube::Client, NoCluster> {
        Err(NoCluster)
    }

    fn helm(&self) -> &dyn Helm {
        unreachable!("scripted steps use no helm")
    }

    fn fetch(&self) -> &dyn Fetch {
        unreachable!("scripted steps download nothing")
    }

    fn clock(&self) -> Clock {
        self.0
    }

    fn identity(&self) -> Option<ClusterIdentity> {
        None
    }
}

/// A run to be.
pub(super) struct Stage {
    plan: Plan,
    script: Script,
    watching: Watching,
    jobs: usize,
    fail_fast: bool,
    known: BTreeMap<StepId, Map<String, Value>>,
    signals: Vec<(u64, CancelReason)>,
    /// The sink takes so many events and then none.
    room: Option<usize>,
}

/// What came of it.
pub(super) struct Told {
    pub(super) events: Vec<Event>,
    pub(super) verdict: Verdict,
}

/// Keeps events; fails when it is full.
struct Shelf {
    events: Vec<Event>,
    room: usize,
}

impl Sink for Shelf {
    fn put(&mut self, event: &Event) -> Result<(), NotWritten> {
        if self.events.len() >= self.room {
            return Err(NotWritten("no space left on device".into()));
        }
        self.events.push(event.clone());
        Ok(())
    }
}

/// The steps of a plan without its `[plan]` table. `STEP:` stands for a verb that holds a permit
/// and winds down, `WAIT` for one that holds none, `CALL` for one that is simply dropped.
pub(super) fn stage(steps: &str, script: Script) -> Stage {
    stage_of(&[("p.toml", &format!("[plan]\nname = \"p\"\ntimeout = \"2h\"\n{steps}"))], script)
}

pub(super) fn stage_of(files: &[(&str, &str)], script: Script) -> Stage {
    let text = |text: &str| {
        text.replace("STEP", "command = { args = [\"x\"] }")
            .replace("WAIT", "sleep = { for = \"1s\", because = \"the script says so\" }")
            .replace("CALL", "http = { url = \"http://localhost\" }")
    };
    let files: Vec<PlanFile> =
        files.iter().map(|(path, toml)| PlanFile { path: (*path).to_owned(), text: text(toml) }).collect();
    let plan = plan::load(&Recorded::new(&files), Path::new(&files[0].path), &Settings::default());
    Stage {
        plan: plan.unwrap_or_else(|problems| panic!("{}", problems.draw(false))),
        script,
        watching: Watching::default(),
        jobs: 16,
        fail_fast: false,
        known: BTreeMap::new(),
        signals: Vec::new(),
        room: None,
    }
}

impl Stage {
    /// Judges these checks as the script says.
    pub(super) fn watching(mut self, watching: Watching) -> Self {
        self.plan.checks = watching.checks(&self.plan);
        self.watching = watching;
        self
    }

    pub(super) fn timeout(mut self, seconds: u64) -> Self {
        self.plan.timeout = Duration::from_secs(seconds);
        self
    }

    pub(super) fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs;
        self
    }

    pub(super) fn fail_fast(mut self) -> Self {
        self.fail_fast = true;
        self
    }

    pub(super) fn signal(mut self, at: u64, reason: CancelReason) -> Self {
        self.signals.push((at, reason));
        self
    }

    pub(super) fn room(mut self, events: usize) -> Self {
        self.room = Some(events);
        self
    }

    pub(super) fn knowing(mut self, step: &str, outputs: Value) -> Self {
        let Value::Object(outputs) = outputs else { panic!("outputs are a map") };
        self.known.insert(StepId::root(step), outputs);
        self
    }

    /// Runs it and holds what came out against what every stream must keep.
    pub(super) async fn run(self) -> Told {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().expect("a time"));
        let (signal, signals) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut before = 0;
            for (at, reason) in self.signals {
                sleep(Duration::from_secs(at - before)).await;
                before = at;
                let _ = signal.send(reason);
            }
            std::future::pending::<()>().await;
        });
        let run = RunId::new("p-1").expect("a run id");
        let start = RunStart {
            format: FORMAT,
            lariat: "0.0.0".into(),
            run: run.clone(),
            started: clock.start(),
            plan: "p".into(),
            title: "p".into(),
            about: String::new(),
            covers: Vec::new(),
            files: Vec::new(),
            vars: Map::new(),
            secrets: Vec::new(),
            set: Vec::new(),
            flags: Vec::new(),
            namespace: String::new(),
            seed: 1,
            jobs: self.jobs,
            faults: Vec::new(),
            cluster: None,
            steps: self.plan.nodes(),
            checks: self.plan.check_nodes(),
            repro: String::new(),
        };
        let order = Order {
            plan: self.plan,
            start,
            cluster: Arc::new(Nowhere(clock)),
            fail_fast: self.fail_fast,
            grace: Duration::from_mins(1),
            mask: Mask::new(["hunter22".to_owned()]),
            run: RunFacts { id: run, plan: "p".into(), seed: 1, dir: PathBuf::from("reports/p") },
            known: self.known,
            signals,
        };
        let mut kept = Shelf { events: Vec::new(), room: self.room.unwrap_or(usize::MAX) };
        let (judge, lookout) = self.watching.parts();
        let parts = Parts { actor: Arc::new(self.script), judge, lookout };
        let verdict = Dispatch::new(order, parts, &mut kept).run().await;
        let told = Told { events: kept.events, verdict };
        if self.room.is_none() {
            told.is_whole();
        }
        told
    }
}

impl Told {
    /// One line for each fact but the first: seconds, what happened, to which step.
    pub(super) fn story(&self) -> String {
        let mut text = String::new();
        for event in &self.events[1..] {
            // What the script's watch explains is not the engine's story.
            if matches!(event.kind, EventKind::WatchConfirmed { .. }) {
                continue;
            }
            let seconds = event.at.0 / 1_000_000;
            writeln!(text, "{seconds:>3} {}", line(&event.kind)).expect("a String takes text");
        }
        text
    }

    /// When a step started and ended, in seconds.
    pub(super) fn span(&self, name: &str) -> (u64, u64) {
        let seconds = |wanted: fn(&EventKind) -> bool| {
            let of_step = |event: &&Event| event.kind.step().is_some_and(|step| step.as_str() == name);
            let found = self.events.iter().filter(of_step).find(|event| wanted(&event.kind));
            found.unwrap_or_else(|| panic!("nothing of {name}")).at.0 / 1_000_000
        };
        (
            seconds(|kind| matches!(kind, EventKind::StepStarted { .. } | EventKind::GroupStarted { .. })),
            seconds(|kind| matches!(kind, EventKind::StepFinished { .. })),
        )
    }

    pub(super) fn outputs(&self, name: &str) -> Value {
        let found = self.events.iter().find_map(|event| match &event.kind {
            EventKind::StepFinished { step, outputs, .. } if step.as_str() == name => Some(outputs.clone()),
            _ => None,
        });
        Value::Object(found.unwrap_or_else(|| panic!("{name} has not ended")))
    }

    /// No hole in numbers, no way back in time, every step settled once, inside its group, and
    /// every check judged or skipped once.
    fn is_whole(&self) {
        let EventKind::RunStarted(start) = &self.events[0].kind else { panic!("the first event is the start") };
        let mut open: BTreeMap<&StepId, bool> = BTreeMap::new();
        let mut windows: BTreeMap<&CheckId, bool> = BTreeMap::new();
        for (place, event) in self.events.iter().enumerate() {
            assert_eq!(event.seq, place as u64);
            assert!(place == 0 || self.events[place - 1].at <= event.at);
            let parent =
                |id: &StepId| start.steps.iter().find(|node| node.id == *id).and_then(|node| node.parent.as_ref());
            match &event.kind {
                EventKind::GroupStarted { step } | EventKind::StepStarted { step } => {
                    assert_eq!(open.insert(step, true), None, "{step} starts twice");
                    assert!(parent(step).is_none_or(|parent| open.get(parent) == Some(&true)), "{step} is outside");
                }
                EventKind::StepFinished { step, .. } => {
                    assert_eq!(open.insert(step, false), Some(true), "{step} ends and did not run");
                    let inside = start.steps.iter().filter(|node| node.parent.as_ref() == Some(step));
                    for node in inside {
                        assert_eq!(open.get(&node.id), Some(&false), "{} is left in {step}", node.id);
                    }
                }
                EventKind::StepSkipped { step, .. } => assert_eq!(open.insert(step, false), None, "{step} ran"),
                EventKind::AttemptFailed { step, .. }
                | EventKind::StepProgressed { step, .. }
                | EventKind::StepNoted { step, .. }
                | EventKind::StepUp { step } => assert_eq!(open.get(step), Some(&true), "{step} does not run"),
                EventKind::RunFinished { .. } => assert_eq!(place + 1, self.events.len()),
                EventKind::RunStarted(_) => assert_eq!(place, 0),
                EventKind::CheckArmed { check, .. } => {
                    assert_eq!(windows.insert(check, true), None, "{check} opens twice");
                }
                EventKind::CheckViolated { check, .. } => {
                    assert_eq!(windows.get(check), Some(&true), "{check} is closed");
                }
                EventKind::CheckJudged { check, .. } => {
                    assert_ne!(windows.insert(check, false), Some(false), "{check} is judged twice");
                }
                EventKind::CheckSkipped { check, .. } => {
                    assert_eq!(windows.insert(check, false), None, "{check} opened");
                }
                EventKind::WatchOpened { .. }
                | EventKind::ObjectSeen(_)
                | EventKind::WatchListed { .. }
                | EventKind::WatchGap { .. }
                | EventKind::WatchLate { .. }
                | EventKind::WatchConfirmed { .. }
                | EventKind::WatchClosed { .. }
                | EventKind::Marked { .. }
                | EventKind::FaultStruck { .. }
                | EventKind::CancelRequested { .. }
                | EventKind::Warned { .. } => {}
            }
        }
        for node in &start.steps {
            assert_eq!(open.get(&node.id), Some(&false), "{} has not settled", node.id);
        }
        for node in &start.checks {
            assert_eq!(windows.get(&node.id), Some(&false), "{} was not judged", node.id);
        }
        assert!(matches!(self.events.last().map(|event| &event.kind), Some(EventKind::RunFinished { .. })));
    }
}

fn line(kind: &EventKind) -> String {
    match kind {
        EventKind::RunStarted(_) => "run started".into(),
        EventKind::GroupStarted { step } => format!("open {step}"),
        EventKind::StepStarted { step } => format!("start {step}"),
        EventKind::AttemptFailed { step, attempt, failure, delay } => {
            format!("again {step}: attempt {attempt} {failure}, next in {}s", delay.0 / 1_000_000)
        }
        EventKind::StepProgressed { step, progress } => format!("{step} says {}", progress.say),
        EventKind::StepNoted { step, note } => format!("{step} notes {note:?}"),
        EventKind::StepUp { step } => format!("up {step}"),
        EventKind::StepFinished { step, outcome, failure, .. } => match failure {
            Some(failure) if failure.observed.is_empty() => format!("{outcome} {step}: {failure}"),
            Some(failure) => format!("{outcome} {step}: {failure} [{}]", failure.observed.join(" | ")),
            None => format!("{outcome} {step}"),
        },
        EventKind::StepSkipped { step, reason } => format!("skip {step}: {reason}"),
        EventKind::CancelRequested { by } => format!("cancel: {by}"),
        EventKind::FaultStruck { fault, what } => format!("{fault}: {what}"),
        EventKind::Warned { message } => format!("warning: {message}"),
        EventKind::RunFinished { verdict, reason } => format!("{verdict}: {reason}"),
        EventKind::CheckArmed { check, .. } => format!("armed {check}"),
        EventKind::CheckViolated { check, moment } => format!("violated {check}: {}", moment.say),
        EventKind::CheckJudged { check, outcome, finding } => format!("{outcome} {check}: {}", finding.message),
        EventKind::CheckSkipped { check, reason } => format!("skip {check}: {reason}"),
        EventKind::WatchOpened { .. }
        | EventKind::ObjectSeen(_)
        | EventKind::WatchListed { .. }
        | EventKind::WatchGap { .. }
        | EventKind::WatchLate { .. }
        | EventKind::WatchConfirmed { .. }
        | EventKind::WatchClosed { .. }
        | EventKind::Marked { .. } => format!("{kind:?}"),
    }
}
