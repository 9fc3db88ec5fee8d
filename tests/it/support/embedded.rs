//! Whole runs on an embedded API server, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lariat::check;
use lariat::clock::Clock;
use lariat::cluster::{Cluster, Fetch, Helm, NoCluster};
use lariat::engine::{self, Order};
use lariat::event::{
    ClusterIdentity, Event, EventKind, FORMAT, Finding, Mask, Outcome, PlanFile, RunStart, Sink as _, Verdict,
};
use lariat::id::RunId;
use lariat::journal::Writer;
use lariat::plan::{self, Plan, Recorded, Settings};
use lariat::sim::{self, Api, Fault, Options};
use lariat::step::RunFacts;
use lariat::view::RunView;
use serde_json::json;
use tokio::sync::mpsc;

/// A cluster with a namespace `ns`.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) api: Api,
    cluster: Arc<dyn Cluster>,
    faults: Vec<String>,
}

/// What came of a run.
pub(crate) struct Told {
    pub(crate) events: Vec<Event>,
    pub(crate) verdict: Verdict,
}

impl World {
    pub(crate) fn new() -> Self {
        let api = Api::new(Options::new());
        Self::of(Arc::new(Embedded(api.clone())), api, Vec::new())
    }

    /// The whole embedded cluster, with faults in it.
    pub(crate) fn with_faults(written: &[String]) -> Self {
        let read = |written: &String| written.parse().unwrap_or_else(|error| panic!("{error}"));
        let faults: Vec<Fault> = written.iter().map(read).collect();
        let cluster = sim::Embedded::new(1);
        let api = cluster.world().api().clone();
        cluster.inject(&faults);
        Self::of(Arc::new(cluster), api, written.to_vec())
    }

    fn of(cluster: Arc<dyn Cluster>, api: Api, faults: Vec<String>) -> Self {
        api.put(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "ns" } }))
            .expect("it is a namespace");
        Self { api, cluster, faults }
    }

    /// Puts a config map in place: the simplest object with a state.
    pub(crate) fn map(&self, name: &str, state: &str) {
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": name, "namespace": "ns" }, "data": { "state": state },
        });
        self.api.put(map).expect("the map is one");
    }

    pub(crate) fn change(&self, name: &str, state: &str) {
        self.api.change("configmap", "ns", name, |map| map["data"]["state"] = state.into());
    }

    pub(crate) fn state(&self, name: &str) -> String {
        let map = self.api.get("configmap", "ns", name).expect("the map is there");
        map["data"]["state"].as_str().expect("it has a state").to_owned()
    }

    /// Runs a plan without its `[plan]` table while something else happens. Holds what came out
    /// against what every run must keep: it folds, and its journal is judged as the run was.
    pub(crate) async fn run(&self, plan: &str, beside: impl Future<Output = ()>) -> Told {
        let text = format!("[plan]\nname = 'world'\nnamespace = 'ns'\n{plan}");
        let files = [PlanFile { path: "world.toml".to_owned(), text }];
        let plan = plan::load(&Recorded::new(&files), Path::new("world.toml"), &Settings::default());
        let plan: Plan = plan.unwrap_or_else(|problems| panic!("{}", problems.draw(false)));
        let again = plan.clone();
        let mut events: Vec<Event> = Vec::new();
        let (_signal, signals) = mpsc::unbounded_channel();
        let order = self.order(plan, signals);
        let (verdict, ()) = tokio::join!(engine::run(order, &mut events), beside);
        let told = Told { events, verdict };
        RunView::of(&told.events).unwrap_or_else(|illegal| panic!("{illegal}\n{}", told.text()));
        told.is_judged_the_same(&again);
        told
    }

    fn order(&self, plan: Plan, signals: mpsc::UnboundedReceiver<lariat::event::CancelReason>) -> Order {
        let run = RunId::new("world-1").expect("a run id");
        Order {
            start: RunStart {
                format: FORMAT,
                lariat: "0.0.0".into(),
                run: run.clone(),
                started: self.api.clock().now(),
                plan: plan.name.clone(),
                title: plan.title.clone(),
                about: String::new(),
                namespace: plan.namespace.clone(),
                covers: Vec::new(),
                files: plan.files.clone(),
                vars: plan.vars.clone(),
                secrets: Vec::new(),
                set: Vec::new(),
                flags: Vec::new(),
                seed: 1,
                jobs: 16,
                faults: self.faults.clone(),
                cluster: None,
                steps: plan.nodes(),
                checks: plan.check_nodes(),
                repro: String::new(),
            },
            plan,
            cluster: self.cluster.clone(),
            fail_fast: false,
            grace: Duration::from_mins(1),
            mask: Mask::new(std::iter::empty::<String>()),
            run: RunFacts { id: run, plan: "world".into(), seed: 1, dir: PathBuf::from("reports/world") },
            known: BTreeMap::new(),
            signals,
        }
    }
}

impl Told {
    /// How a check went.
    #[track_caller]
    pub(crate) fn check(&self, name: &str) -> Outcome {
        let found = self.events.iter().find_map(|event| match &event.kind {
            EventKind::CheckJudged { check, outcome, .. } if check.as_str() == name => Some(*outcome),
            EventKind::CheckSkipped { check, .. } if check.as_str() == name => Some(Outcome::Skipped),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("{name} was not judged\n{}", self.text()))
    }

    #[track_caller]
    pub(crate) fn finding(&self, name: &str) -> &Finding {
        let found = self.events.iter().find_map(|event| match &event.kind {
            EventKind::CheckJudged { check, finding, .. } if check.as_str() == name => Some(&**finding),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("{name} was not judged\n{}", self.text()))
    }

    /// Writes a run folder as the binary leaves one.
    pub(crate) fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).expect("a folder can be made");
        let mut journal = Writer::create(folder).expect("a journal can be made");
        for event in &self.events {
            journal.put(event).expect("a journal can be written");
        }
    }

    /// What steps and checks did, in order.
    pub(crate) fn order(&self) -> Vec<String> {
        let line = |event: &Event| match &event.kind {
            EventKind::StepStarted { step } | EventKind::GroupStarted { step } => Some(format!("start {step}")),
            EventKind::StepFinished { step, outcome, .. } => Some(format!("{step} {outcome}")),
            EventKind::CheckArmed { check, .. } => Some(format!("armed {check}")),
            EventKind::CheckViolated { check, .. } => Some(format!("violated {check}")),
            EventKind::CheckJudged { check, outcome, .. } => Some(format!("{check} {outcome}")),
            _ => None,
        };
        self.events.iter().filter_map(line).collect()
    }

    /// The last of it, for a test that fails.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for event in self.events.iter().rev().take(60).rev() {
            let kind = serde_json::to_string(&event.kind).expect("an event is JSON");
            writeln!(
                text,
                "{:>10.3} {}",
                event.at.duration().as_secs_f64(),
                kind.chars().take(400).collect::<String>()
            )
            .expect("a String takes text");
        }
        text
    }

    /// What the journal says later is what the run said.
    fn is_judged_the_same(&self, plan: &Plan) {
        let judged = |kind: &EventKind| match kind {
            EventKind::CheckJudged { check, outcome, .. } => Some((check.clone(), *outcome)),
            EventKind::CheckSkipped { check, .. } => Some((check.clone(), Outcome::Skipped)),
            _ => None,
        };
        // Why a watch could not be opened is not in the journal: without a window both say so in their own words.
        let armed = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::CheckArmed { check, .. } => Some(check.clone()),
            _ => None,
        });
        let armed: BTreeSet<_> = armed.collect();
        let then: BTreeMap<_, _> = self.events.iter().filter_map(|event| judged(&event.kind)).collect();
        let then: BTreeMap<_, _> = then.into_iter().filter(|(check, _)| armed.contains(check)).collect();
        let now: BTreeMap<_, _> = check::rejudge(&self.events, plan).iter().filter_map(judged).collect();
        let now: BTreeMap<_, _> = now.into_iter().filter(|(check, _)| armed.contains(check)).collect();
        assert_eq!(now, then, "judged again\n{}", self.text());
    }
}

/// The embedded API server as a cluster.
struct Embedded(Api);

impl Cluster for Embedded {
    fn client(&self) -> Result<kube::Client, NoCluster> {
        Ok(self.0.client())
    }

    fn helm(&self) -> &dyn Helm {
        unreachable!("these plans call no helm")
    }

    fn fetch(&self) -> &dyn Fetch {
        unreachable!("these plans fetch nothing")
    }

    fn clock(&self) -> Clock {
        self.0.clock()
    }

    fn identity(&self) -> Option<ClusterIdentity> {
        None
    }

    fn processes(&self) -> bool {
        false
    }
}
