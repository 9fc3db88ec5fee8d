use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::args::{DryRun, PlanArgs, ProgressArg, RunArgs, Seed};
use super::door::{self, Opened};
use super::finish::{self, Copies};
use super::look::look;
use super::screen::{err, out, told};
use super::sink::Recorded;
use super::{Exit, dry_run, runtime};
use crate::clock::{Clock, Stopwatch};
use crate::cluster::{Apart, Cluster};
use crate::engine::{self, Order};
use crate::event::{CancelReason, Event, FORMAT, Mask, RunStart, Verdict};
use crate::expr::{Form, Shared};
use crate::graph::Graph;
use crate::id::{RunId, StepId};
use crate::journal::{RunFolder, Writer};
use crate::plan::{Plan, Scope};
use crate::report::{Closing, Look, Output, Terminal};
use crate::sim::{Embedded, Fault};
use crate::step::RunFacts;
use crate::view::RunView;

/// How often bars are drawn and heartbeats thought of.
const TICK: Duration = Duration::from_millis(100);

/// Runs a plan: on the embedded cluster in virtual time, or on the cluster that is named.
pub(super) fn run(args: RunArgs) -> Exit {
    let plan = match load(&args) {
        Ok(Some(plan)) => plan,
        Ok(None) => return Exit::Ok,
        Err(exit) => return exit,
    };
    if door::is_embedded(&plan, &args.cluster) {
        let seed = seed(&args).unwrap_or(1);
        return runtime::embedded(move || async move {
            let _apart = Apart::begin();
            let embedded = Embedded::new(seed);
            embedded.inject(&args.faults);
            let cluster: Arc<dyn Cluster> = Arc::new(embedded);
            carry_out(plan, &args, Opened { cluster, may_harm: true }, seed).await
        });
    }
    if let Some(fault) = args.faults.first() {
        let where_to = match &args.cluster.context {
            Some(context) => format!("the cluster `{context}` is a real one"),
            None => "this plan runs without the embedded cluster".to_owned(),
        };
        err(&format!(
            "lariat: `--fault {fault}` can't be injected: {where_to}, and faults are the embedded cluster's alone; leave `--fault` out, or run a plan for a cluster without `--context` and `--kubeconfig`"
        ));
        return Exit::Usage;
    }
    runtime::real(async move {
        let seed = seed(&args).unwrap_or_else(draw);
        match door::cluster(&plan, &args.cluster).await {
            Ok(opened) => carry_out(plan, &args, opened, seed).await,
            Err(exit) => exit,
        }
    })
}

/// The plan, unless only a dry run was asked for.
fn load(args: &RunArgs) -> Result<Option<Plan>, Exit> {
    let mut plan = door::load(&args.plan, args.show.color)?;
    if let Some(timeout) = args.timeout {
        plan.timeout = timeout;
    }
    if args.dry_run == Some(DryRun::Client) {
        out(&dry_run::client(&plan, args.cluster.context.as_deref()));
        return Ok(None);
    }
    Ok(Some(plan))
}

async fn carry_out(plan: Plan, args: &RunArgs, opened: Opened, seed: u64) -> Exit {
    let watch = Stopwatch::start();
    match prepare(plan, args, opened, seed) {
        Ok(prepared) => prepared.go(watch).await,
        Err(exit) => exit,
    }
}

/// Everything that is settled before anything is touched.
struct Prepared {
    plan: Plan,
    cluster: Arc<dyn Cluster>,
    start: RunStart,
    folder: RunFolder,
    journal: Writer,
    copies: Copies,
    look: Look,
    progress: ProgressArg,
    fail_fast: bool,
    grace: Duration,
    /// Time is virtual.
    embedded: bool,
}

fn prepare(plan: Plan, args: &RunArgs, opened: Opened, seed: u64) -> Result<Prepared, Exit> {
    allow(&plan, &opened, args)?;
    let clock = opened.cluster.clock();
    let id = run_id(&plan.name, &clock, seed);
    let said = |error: crate::journal::Error| {
        err(&told(&error));
        Exit::Error
    };
    let embedded = opened.cluster.identity().is_some_and(|cluster| cluster.embedded);
    // Virtual time begins anew with each run; folders are told apart by the real one.
    let started = if embedded { Clock::real().start() } else { clock.start() };
    let folder = RunFolder::create(&args.reports, &plan.name, started, &id).map_err(said)?;
    let journal = Writer::create(folder.path()).map_err(said)?;
    if let Err(error) = folder.become_latest() {
        err(&told(&error));
    }
    let start = start(&plan, args, seed, id, &opened.cluster);
    Ok(Prepared {
        plan,
        cluster: opened.cluster,
        start,
        folder,
        journal,
        copies: Copies { junit: args.junit.clone(), html: args.html.clone(), form: None },
        look: look(&args.show),
        progress: args.show.progress,
        fail_fast: args.fail_fast,
        grace: args.grace,
        embedded,
    })
}

/// The seed that was asked for.
fn seed(args: &RunArgs) -> Option<u64> {
    match args.seed? {
        Seed::Number(seed) => Some(seed),
        Seed::Random => Some(draw()),
    }
}

/// Refuses harm that nobody allowed.
fn allow(plan: &Plan, opened: &Opened, args: &RunArgs) -> Result<(), Exit> {
    let harming = plan.harming();
    let Some(first) = harming.first() else { return Ok(()) };
    if opened.may_harm || args.yes {
        return Ok(());
    }
    let context = args.cluster.context.as_deref().unwrap_or_default();
    let more = match harming.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    err(&format!(
        "lariat: this plan can break what it is pointed at (`{}`{more}), and the context `{context}` does not allow that.\n  \
         Say `harm = true` under `[contexts.{context}]` in lariat.toml if it is a cluster for tests, or `--yes` for this once.",
        first.id
    ));
    Err(Exit::Usage)
}

impl Prepared {
    async fn go(self, watch: Stopwatch) -> Exit {
        let clock = (!self.embedded).then(|| self.cluster.clock());
        let (show, shown) = mpsc::unbounded_channel();
        let terminal = tokio::spawn(narrate(Terminal::new(self.look, Output::standard()), clock, shown));
        let mut sink =
            Recorded::new(self.journal, self.folder.clone(), self.copies.clone(), show).showing(self.progress);
        let outputs = self.plan.outputs.clone();
        let mask = Mask::new(self.plan.secrets.iter().map(|(_, value)| value.clone()));
        let order = Order {
            run: RunFacts {
                id: self.start.run.clone(),
                plan: self.plan.name.clone(),
                seed: self.start.seed,
                // Plans write into it from folders of their own.
                dir: std::path::absolute(self.folder.path()).unwrap_or_else(|_| self.folder.path().to_owned()),
            },
            mask: mask.clone(),
            plan: self.plan,
            start: self.start,
            cluster: self.cluster,
            fail_fast: self.fail_fast,
            grace: self.grace,
            known: std::collections::BTreeMap::new(),
            signals: signals(),
        };
        let facts = order.run.facts();
        let verdict = engine::run(order, &mut sink).await;
        let (view, lost) = sink.into_story();
        let Ok(mut terminal) = terminal.await else { return Exit::Error };
        let Some(view) = view else {
            err(&format!(
                "lariat: {}\n  The first event could not be written, so nothing was done.",
                lost.unwrap_or_default()
            ));
            return Exit::Error;
        };
        if let Some(lost) = lost {
            err(&format!("lariat: {lost}\n  The run was ended there: a run that leaves no record is not continued."));
        }
        let written = finish::write(&view, &self.folder, &self.copies);
        let failed = written.failed;
        let real = self.embedded.then(|| watch.elapsed());
        let closing = closing(&view, written.closing(&self.folder), real);
        terminal.close(&closing);
        if verdict == Verdict::Pass && self.progress != ProgressArg::Json {
            for line in left(outputs, &facts, &view) {
                out(&mask.text(&line));
            }
        }
        match Exit::of(verdict, view.cancelled.map(|(_, by)| by)) {
            Exit::Ok if failed => Exit::Error,
            exit => exit,
        }
    }
}

/// What the plan's own `[outputs]` come to, a line for each.
fn left(outputs: Option<(Form, Arc<Scope>)>, facts: &Value, view: &RunView) -> Vec<String> {
    let Some((form, scope)) = outputs else { return Vec::new() };
    let of = |step: &StepId| {
        let row = view.rows.iter().find(|row| row.node.id == *step)?;
        Some(Shared::from(Value::Object(row.outputs.clone())))
    };
    match form.eval(&scope.env(&Shared::from(facts.clone()), &of)) {
        Ok(Value::Object(outputs)) => outputs
            .iter()
            .map(|(name, value)| {
                format!("{name} = {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            })
            .collect(),
        Ok(_) => Vec::new(),
        Err(error) => {
            err(&format!("lariat: the plan's `[outputs]` have no value: {error}"));
            Vec::new()
        }
    }
}

/// Tells people what happens while it happens. Ends when the run does. Without a clock
/// time is virtual: nobody waits long enough to be told that all is well.
pub(super) async fn narrate(
    mut terminal: Terminal,
    clock: Option<Clock>,
    mut events: mpsc::UnboundedReceiver<Event>,
) -> Terminal {
    let Some(clock) = clock else {
        while let Some(event) = events.recv().await {
            terminal.show(&event);
        }
        return terminal;
    };
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Some(event) => terminal.show(&event),
                None => return terminal,
            },
            _ = tick.tick() => terminal.tick(clock.elapsed()),
        }
    }
}

/// What stands under the verdict.
fn closing(view: &RunView, closing: Closing, real: Option<Duration>) -> Closing {
    // Two durations are told only where time is virtual; there, nothing outlives the run.
    let embedded = real.is_some();
    let mut closing = Closing { real, critical: critical(view), ..closing };
    let second = view.cancelled.is_some_and(|(_, by)| by == CancelReason::SecondSignal);
    if embedded {
        return closing;
    }
    if view.start.cluster.is_some() && (second || !view.is_complete()) {
        closing.extra.push(format!(
            "left in the cluster: what carries the label {}={}",
            crate::step::RUN_LABEL,
            view.start.run
        ));
    }
    if let Some(cluster) = &view.start.cluster
        && view.verdict() != crate::event::Verdict::Pass
    {
        closing.extra.push(format!("clean up with: lariat cleanup {} --context {}", view.start.run, cluster.context));
    }
    closing
}

/// The chain of steps that decided how long it took.
fn critical(view: &RunView) -> Vec<(crate::id::StepId, crate::clock::Elapsed)> {
    let times = view.rows.iter().filter_map(|row| Some((row.node.id.clone(), row.started?, row.ended?)));
    let times: Vec<_> = times.collect();
    let (path, _) = Graph::new(&view.start.steps).critical_path(&times);
    view.shares(&path).into_iter().map(|(row, share)| (row.node.id.clone(), share)).collect()
}

fn start(plan: &Plan, args: &RunArgs, seed: u64, id: RunId, cluster: &Arc<dyn Cluster>) -> RunStart {
    let secret = |written: &String| {
        let name = written.split('=').next().unwrap_or_default();
        plan.secrets.iter().any(|(secret, _)| secret == name)
    };
    let set = args.plan.set.iter().map(|written| {
        if secret(written) { format!("{}=", written.split('=').next().unwrap_or_default()) } else { written.clone() }
    });
    let flags = args
        .plan
        .only
        .iter()
        .map(|step| format!("--only {step}"))
        .chain(args.plan.skip.iter().map(|step| format!("--skip {step}")));
    RunStart {
        format: FORMAT,
        lariat: env!("CARGO_PKG_VERSION").to_owned(),
        run: id,
        started: cluster.clock().start(),
        plan: plan.name.clone(),
        title: plan.title.clone(),
        about: plan.about.clone(),
        covers: plan.covers.clone(),
        files: plan.files.clone(),
        vars: plan.vars.clone(),
        secrets: plan.secrets.iter().map(|(name, _)| name.clone()).collect(),
        set: set.collect(),
        flags: flags.collect(),
        namespace: plan.namespace.clone(),
        seed,
        jobs: args.jobs,
        cluster: cluster.identity(),
        faults: args.faults.iter().map(Fault::to_string).collect(),
        steps: plan.nodes(),
        checks: plan.check_nodes(),
        repro: repro(&args.plan, args, seed),
    }
}

/// A command line that runs the same again. Secret values have to be given anew.
fn repro(plan: &PlanArgs, args: &RunArgs, seed: u64) -> String {
    let path = finish::shown(&plan.plan);
    let mut words = match path
        .strip_prefix("plans/")
        .and_then(|name| name.strip_suffix(".toml"))
        .filter(|name| !name.contains('/'))
    {
        Some(name) => vec!["just".to_owned(), "plan".to_owned(), name.to_owned()],
        None => vec!["lariat".to_owned(), "run".to_owned(), quote(&path)],
    };
    if let Some(context) = &args.cluster.context {
        words.extend(["--context".to_owned(), quote(context)]);
    }
    if let Some(namespace) = &plan.namespace {
        words.extend(["--namespace".to_owned(), namespace.clone()]);
    }
    for (flag, values) in [("--set", &plan.set), ("--only", &plan.only), ("--skip", &plan.skip)] {
        for value in values {
            words.extend([flag.to_owned(), quote(value)]);
        }
    }
    for file in &plan.vars {
        words.extend(["--vars".to_owned(), quote(&finish::shown(file))]);
    }
    words.extend(["--seed".to_owned(), seed.to_string()]);
    for fault in &args.faults {
        words.extend(["--fault".to_owned(), quote(&fault.to_string())]);
    }
    words.join(" ")
}

/// A word as a shell takes it.
pub(super) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+[]".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A seed that nobody chose: what the standard library draws for its hash maps.
pub(super) fn draw() -> u64 {
    // Small enough to be read out and typed again.
    std::collections::hash_map::RandomState::new().build_hasher().finish() % 1_000_000_000
}

/// The run's id: plan, start and seed, short enough for a label.
pub(super) fn run_id(plan: &str, clock: &Clock, seed: u64) -> RunId {
    let name: String = plan.chars().take(32).collect();
    let start = clock.start().strftime("%Y%m%dt%H%M%Sz");
    RunId::new(format!("{}-{start}-{:04x}", name.trim_end_matches('-'), seed % 0x1_0000))
        .expect("a plan's name begins a label value")
}

/// What comes this soon after the first signal is its echo: `timeout` sends one to the process, and
/// then to the group in which that is. Nobody means a second one so quickly.
const ECHO: Duration = Duration::from_millis(100);

/// The first signal asks the run to end, the second to leave at once.
pub(super) fn signals() -> mpsc::UnboundedReceiver<CancelReason> {
    let (send, receive) = mpsc::unbounded_channel();
    // They are heard from here on: not only when the task below is first run.
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return receive;
    };
    tokio::spawn(async move {
        let mut first: Option<(CancelReason, Stopwatch)> = None;
        loop {
            let by = tokio::select! {
                biased;
                _ = terminate.recv() => CancelReason::Terminate,
                _ = interrupt.recv() => CancelReason::Interrupt,
            };
            let by = match &first {
                None => {
                    first = Some((by, Stopwatch::start()));
                    by
                }
                Some((before, since)) if *before == by && since.elapsed() < ECHO => continue,
                Some(_) => CancelReason::SecondSignal,
            };
            if send.send(by).is_err() {
                return;
            }
        }
    });
    receive
}
