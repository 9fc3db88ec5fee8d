use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::args::{CleanupArgs, ColorArg};
use super::door::{self, Opened};
use super::lasso::{self, Leftovers};
use super::look::{color, look};
use super::screen::{err, out, told};
use super::{Exit, report};
use crate::cluster::{Cluster, HelmCall, Local};
use crate::engine::{self, Order};
use crate::event::{Event, EventKind, Mask, NotWritten, Outcome, Sink, SkipReason};
use crate::id::StepId;
use crate::journal::Writer;
use crate::plan::{self, Body, LeftOut, Plan, Recorded, Settings, Step};
use crate::report::{Output, Terminal};
use crate::step::RunFacts;
use crate::view::{RowState, RunView};

/// Removes what a run left: first the plan's own clean-up, then releases that the
/// run installed, then everything with its label.
pub(super) async fn cleanup(args: CleanupArgs) -> Exit {
    match attempt(&args).await {
        Ok(exit) | Err(exit) => exit,
    }
}

async fn attempt(args: &CleanupArgs) -> Result<Exit, Exit> {
    let (folder, view) = report::open(&args.reports, &args.run)?;
    if view.start.cluster.as_ref().is_some_and(|cluster| cluster.embedded) {
        out(&format!("run {} was on the embedded cluster, which ended with it: nothing is left", view.start.run));
        return Ok(Exit::Ok);
    }
    let opened = open(&view, args).await?;
    let plan = remaining(&view, args)?;
    let found = match opened.cluster.client() {
        Ok(client) => Some(lasso::leftovers(&client, &view.start.run).await.map_err(|error| trouble(&error))?),
        Err(_) => None,
    };
    let found_or_none = found.unwrap_or_default();
    let steps = plan.as_ref().map(wanted).unwrap_or_default();
    if steps.is_empty() && found_or_none.releases.is_empty() && found_or_none.objects.is_empty() {
        out(&format!("run {}: nothing is left to clean up", view.start.run));
        return Ok(Exit::Ok);
    }
    out(&announce(&view, &steps, &found_or_none));
    if !args.yes && !agreed() {
        err("lariat: nothing was removed");
        return Err(Exit::Usage);
    }
    let mut failed = false;
    if let Some(plan) = plan.filter(|_| !steps.is_empty()) {
        failed |= !run_steps(plan, &view, folder.path(), &opened.cluster, args).await?;
    }
    if let Ok(client) = opened.cluster.client() {
        let deadline = Instant::now() + args.timeout;
        // The plan's own steps may have removed much of it.
        let left = lasso::leftovers(&client, &view.start.run).await.map_err(|error| trouble(&error))?;
        failed |= !uninstall(&left, &opened.cluster, args.timeout).await;
        let left = lasso::leftovers(&client, &view.start.run).await.map_err(|error| trouble(&error))?;
        let stuck = lasso::remove(&left.objects, &client, deadline).await.map_err(|error| trouble(&error))?;
        for object in &stuck {
            err(&format!("lariat: {object} is still there"));
        }
        failed |= !stuck.is_empty();
    }
    if failed {
        err(&format!("lariat: not everything of run {} could be removed; run the same command again", view.start.run));
        return Ok(Exit::Error);
    }
    out(&format!("run {}: cleaned up, nothing is left", view.start.run));
    Ok(Exit::Ok)
}

/// The cluster the run was on: the same context, and it must lead to the same server.
async fn open(view: &RunView, args: &CleanupArgs) -> Result<Opened, Exit> {
    let Some(then) = &view.start.cluster else {
        return Ok(Opened { cluster: Arc::new(Local::new(&door::cache(), door::USER_AGENT)), may_harm: true });
    };
    let context = args.cluster.context.as_deref().unwrap_or(&then.context);
    let opened = door::connect(context, &args.cluster).await?;
    match opened.cluster.identity() {
        Some(now) if now.server != then.server => {
            err(&format!(
                "lariat: run {} was on {}, and the context `{context}` leads to {}; name the right one with `--context`",
                view.start.run, then.server, now.server
            ));
            Err(Exit::Usage)
        }
        _ => Ok(opened),
    }
}

/// The run's plan as it was, with everything left out but the clean-up steps that
/// did not pass. `None` if there are none.
fn remaining(view: &RunView, args: &CleanupArgs) -> Result<Option<Plan>, Exit> {
    let due: BTreeSet<&StepId> = view.rows.iter().filter(|row| is_due(view, row)).map(|row| &row.node.id).collect();
    if due.is_empty() {
        return Ok(None);
    }
    let set = args.set.iter().filter_map(|written| written.split_once('='));
    let settings = Settings {
        vars: view.start.vars.clone(),
        set: set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        namespace: Some(view.start.namespace.clone()).filter(|namespace| !namespace.is_empty()),
        env: std::env::vars().collect(),
        ..Settings::default()
    };
    let files = Recorded::new(&view.start.files);
    let first = view.start.files.first().map(|file| file.path.clone()).unwrap_or_default();
    let mut plan = plan::load(&files, Path::new(&first), &settings).map_err(|problems| {
        err(&problems.draw(color(ColorArg::Auto)));
        err("lariat: the recorded plan can't be loaded again; a secret var is given with `--set`");
        Exit::Usage
    })?;
    for step in &mut plan.steps {
        keep(step, &due, false);
    }
    // What was claimed of the run is not claimed of what is left of it.
    plan.checks.clear();
    Ok(Some(plan))
}

/// Whether a clean-up step of the run is still to be done.
fn is_due(view: &RunView, row: &crate::view::Row) -> bool {
    let always = row.node.when == crate::event::When::Always;
    let done = match row.state {
        RowState::Settled(Outcome::Passed) => true,
        RowState::Settled(Outcome::Skipped) => row.skip.as_ref().is_some_and(SkipReason::by_choice),
        RowState::Settled(_) | RowState::Waiting | RowState::Running => false,
    };
    // A run that never started has nothing to clean up.
    let began = view.rows.iter().any(|row| row.started.is_some());
    always && !done && began
}

/// Leaves out what is not due; a group stays if something in it is. Says whether anything is.
fn keep(step: &mut Step, due: &BTreeSet<&StepId>, above: bool) -> bool {
    let here = above || due.contains(&step.id);
    let children = match &mut step.body {
        Body::Verb(_) => return leave(step, here),
        Body::Group { steps, .. } => steps,
        Body::Repeat { rounds, .. } => rounds,
        Body::Cells { cells } => cells,
    };
    let mut any = false;
    for child in children {
        any |= keep(child, due, here);
    }
    leave(step, any)
}

fn leave(step: &mut Step, wanted: bool) -> bool {
    if wanted {
        // What guarded the step in the run has been settled there.
        step.require = None;
    } else if step.left_out.is_none() {
        step.left_out = Some(LeftOut::Flag("cleanup".to_owned()));
    }
    wanted && step.left_out.is_none()
}

fn wanted(plan: &Plan) -> Vec<StepId> {
    let due = plan.walk().into_iter().filter(|step| step.left_out.is_none() && matches!(step.body, Body::Verb(_)));
    due.map(|step| step.id.clone()).collect()
}

fn announce(view: &RunView, steps: &[StepId], found: &Leftovers) -> String {
    let mut lines = vec![format!("run {} left this; it will be removed:", view.start.run)];
    lines.extend(steps.iter().map(|step| format!("  run the plan's clean-up step {step}")));
    lines.extend(found.releases.iter().map(|(namespace, name)| format!("  uninstall release {name} in {namespace}")));
    lines.extend(found.objects.iter().map(|object| format!("  delete {}", object.called())));
    lines.join("\n")
}

/// Asks a person. Where nobody can answer, nobody agreed.
fn agreed() -> bool {
    if !std::io::stdin().is_terminal() {
        err("lariat: nobody can be asked here; `--yes` agrees beforehand");
        return false;
    }
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "Go on? [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Runs the plan's clean-up steps under the run's own id. Says whether they passed.
///
/// They leave a journal of their own: the run's is finished, or was cut, and stays as it is.
async fn run_steps(
    plan: Plan,
    view: &RunView,
    folder: &Path,
    cluster: &Arc<dyn Cluster>,
    args: &CleanupArgs,
) -> Result<bool, Exit> {
    let place = (1..=10_000)
        .map(|n| folder.join(format!("cleanup-{n}")))
        .find(|place| !place.exists())
        .expect("nobody cleans up one run ten thousand times");
    let journal = std::fs::create_dir_all(&place).map_err(|error| {
        err(&format!("lariat: `{}` can't be made: {error}", place.display()));
        Exit::Error
    });
    journal?;
    let journal = Writer::create(&place).map_err(|error| {
        err(&told(&error));
        Exit::Error
    })?;
    let known: BTreeMap<_, _> = view
        .rows
        .iter()
        .filter(|row| !row.outputs.is_empty())
        .map(|row| (row.node.id.clone(), row.outputs.clone()))
        .collect();
    let mut start = view.start.clone();
    start.steps = plan.nodes();
    start.checks.clear();
    start.flags.push("cleanup".to_owned());
    start.started = cluster.clock().start();
    let order = Order {
        run: RunFacts { id: start.run.clone(), plan: plan.name.clone(), seed: start.seed, dir: place },
        mask: Mask::new(plan.secrets.iter().map(|(_, value)| value.clone())),
        plan,
        start,
        cluster: cluster.clone(),
        fail_fast: false,
        grace: args.timeout,
        known,
        signals: mpsc::unbounded_channel().1,
    };
    let terminal = (args.show.verbose > 0).then(|| Terminal::new(look(&args.show), Output::standard()));
    let mut sink = Told { journal, terminal, failed: Vec::new() };
    engine::run(order, &mut sink).await;
    for step in &sink.failed {
        err(&format!("lariat: the clean-up step {step} did not pass"));
    }
    Ok(sink.failed.is_empty())
}

/// A journal of its own, a line for each step, and which of them went wrong:
/// clean-up is never in the verdict.
struct Told {
    journal: Writer,
    /// The whole story, for who asked for more.
    terminal: Option<Terminal>,
    failed: Vec<StepId>,
}

impl Sink for Told {
    fn put(&mut self, event: &Event) -> Result<(), NotWritten> {
        self.journal.put(event)?;
        match &event.kind {
            EventKind::StepStarted { step } if self.terminal.is_none() => err(&format!("{step} …")),
            EventKind::StepFinished { step, outcome, failure, .. } => {
                let why = failure.as_ref().map(|failure| format!(": {failure}")).unwrap_or_default();
                if self.terminal.is_none() {
                    err(&format!("{step} {outcome}{why}"));
                }
                if *outcome != Outcome::Passed {
                    self.failed.push(step.clone());
                }
            }
            _ => {}
        }
        if let Some(terminal) = &mut self.terminal {
            terminal.show(event);
        }
        Ok(())
    }
}

/// Uninstalls the releases that the run installed. Says whether all are gone.
async fn uninstall(left: &Leftovers, cluster: &Arc<dyn Cluster>, timeout: Duration) -> bool {
    let mut gone = true;
    for (namespace, name) in &left.releases {
        let call =
            HelmCall { namespace: namespace.clone(), timeout, no_hooks: false, cancel: CancellationToken::new() };
        match cluster.helm().uninstall(name, &call).await {
            Ok(_) => out(&format!("release {name} in {namespace} uninstalled")),
            Err(error) => {
                err(&format!("lariat: release {name} in {namespace} could not be uninstalled: {error}"));
                gone = false;
            }
        }
    }
    gone
}

fn trouble(error: &kube::Error) -> Exit {
    err(&format!("lariat: what the run left could not be found out: {error}"));
    Exit::Error
}
