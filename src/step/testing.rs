//! A step on an embedded API server, for the tests of this room.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Done, Error, Memory, RunFacts, Said, StepContext};
use crate::clock::Clock;
use crate::cluster::{Cluster, Fetch, Helm, NoCluster};
use crate::event::{ClusterIdentity, Note, PlanFile, Progress};
use crate::expr::Shared;
use crate::id::RunId;
use crate::plan::{self, Body, Plan, Recorded, Settings, Step};
use crate::record::{Recorder, Tape};
use crate::sim::{Api, Options};

/// A plan, and the cluster it is about.
pub(super) struct Bench {
    pub(super) api: Api,
    pub(super) dir: tempfile::TempDir,
    plan: Plan,
    recorder: Recorder,
    seed: u64,
    outputs: BTreeMap<String, Value>,
}

/// One step of it, ready to act.
pub(super) struct Trial {
    pub(super) ctx: StepContext,
    step: Step,
    said: mpsc::UnboundedReceiver<Said>,
    heard: Vec<Said>,
}

impl Bench {
    /// An empty cluster and a plan without its `[plan]` table.
    pub(super) fn new(plan: &str) -> Self {
        Self::on(Api::new(Options::new()), plan)
    }

    pub(super) fn on(api: Api, plan: &str) -> Self {
        let text = format!("[plan]\nname = \"bench\"\nnamespace = \"ns\"\n{plan}");
        let file = PlanFile { path: "bench.toml".to_owned(), text };
        let plan = match plan::load(&Recorded::new(&[file]), Path::new("bench.toml"), &Settings::default()) {
            Ok(plan) => plan,
            Err(problems) => panic!("{problems}"),
        };
        api.put(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "ns" } }))
            .expect("it is a namespace");
        let recorder = Recorder::new(Some(api.client()), plan.selections.clone(), Tape::nowhere(), api.clock());
        Self {
            api,
            dir: tempfile::tempdir().expect("a folder can be made"),
            plan,
            recorder,
            seed: 1,
            outputs: BTreeMap::new(),
        }
    }

    /// With another seed.
    pub(super) fn seeded(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// What an earlier step left.
    pub(super) fn left(&mut self, step: &str, outputs: Value) {
        self.outputs.insert(step.to_owned(), outputs);
    }

    /// A step by its name, with ten minutes.
    pub(super) fn step(&self, name: &str) -> Trial {
        self.step_within(name, Duration::from_secs(600))
    }

    pub(super) fn step_within(&self, name: &str, timeout: Duration) -> Trial {
        let step = self.plan.walk().into_iter().find(|step| step.id.as_str() == name);
        let step = step.expect("the plan has the step").clone();
        let run = Arc::new(RunFacts {
            id: RunId::new("bench-20260101T000000Z-0001").expect("the id is well formed"),
            plan: "bench".to_owned(),
            seed: self.seed,
            dir: self.dir.path().to_owned(),
        });
        let facts = Shared::from(json!({ "id": run.id.as_str(), "seed": run.seed }));
        let outputs = |id: &crate::id::StepId| self.outputs.get(id.as_str()).cloned().map(Shared::from);
        let (voice, said) = mpsc::unbounded_channel();
        let ctx = StepContext {
            id: step.id.clone(),
            attempt: 1,
            env: step.scope.env(&facts, &outputs),
            scope: step.scope.clone(),
            cluster: Arc::new(Embedded(self.api.clone())),
            recorder: self.recorder.clone(),
            run,
            deadline: Instant::now() + timeout,
            timeout,
            background: step.until.is_some(),
            cancel: CancellationToken::new(),
            memory: Memory::default(),
            voice,
        };
        Trial { ctx, step, said, heard: Vec::new() }
    }

    /// Puts a pod in place: running, ready, with one container `main`.
    pub(super) fn pod(&self, name: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "namespace": "ns", "labels": { "app": "web" } },
            "spec": { "nodeName": "n1", "containers": [{ "name": "main", "image": "busybox:1.36" }] },
            "status": {
                "phase": "Running",
                "conditions": [{ "type": "Ready", "status": "True" }],
                "containerStatuses": [{ "name": "main", "restartCount": 0, "state": { "running": {} } }],
            },
        });
        change(&mut pod);
        self.api.put(pod).expect("the pod is one")
    }

    /// Puts a config map in place: the simplest object with a state.
    pub(super) fn map(&self, name: &str, data: &[(&str, &str)]) -> Value {
        let data: Map<String, Value> = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "ns" }, "data": data });
        self.api.put(map).expect("the map is one")
    }
}

impl Trial {
    /// Acts, as the engine would have it.
    pub(super) async fn act(&mut self) -> Result<Done, Error> {
        let Body::Verb(verb) = &self.step.body else { panic!("{} has no verb", self.step.id) };
        super::act(&verb.clone(), &self.ctx).await
    }

    pub(super) async fn require(&mut self) -> Result<(), Error> {
        let require = self.step.require.clone().expect("the step requires something");
        super::require(&require, &self.ctx).await
    }

    pub(super) async fn expect(&mut self) -> Result<(), Error> {
        let expect = self.step.expect.clone().expect("the step expects something");
        super::expect(&expect, &self.ctx).await
    }

    /// The next attempt of the same step, with as much time.
    pub(super) fn again(mut self) -> Self {
        self.ctx.attempt += 1;
        self.ctx.deadline = Instant::now() + self.ctx.timeout;
        self
    }

    fn hear(&mut self) -> &[Said] {
        while let Ok(said) = self.said.try_recv() {
            self.heard.push(said);
        }
        &self.heard
    }

    /// All evidence so far, one line each.
    pub(super) fn notes(&mut self) -> Vec<String> {
        let notes = self.hear().iter().filter_map(|said| match said {
            Said::Note(note) => Some(shown(note)),
            Said::Progress(_) | Said::Up => None,
        });
        notes.collect()
    }

    /// All words on progress so far.
    pub(super) fn progress(&mut self) -> Vec<Progress> {
        let words = self.hear().iter().filter_map(|said| match said {
            Said::Progress(progress) => Some(progress.clone()),
            Said::Note(_) | Said::Up => None,
        });
        words.collect()
    }

    pub(super) fn is_up(&mut self) -> bool {
        self.hear().contains(&Said::Up)
    }
}

fn shown(note: &Note) -> String {
    match note {
        Note::Text { text } => text.clone(),
        Note::Pair { key, value } => format!("{key}: {value}"),
        Note::Table { title, rows, .. } => {
            let rows: Vec<String> = rows.iter().map(|row| row.join(" | ")).collect();
            format!("{title}\n{}", rows.join("\n"))
        }
        Note::Block { title, text } | Note::Diff { title, text } => format!("{title}\n{text}"),
        Note::File { path, about } => format!("{path}: {about}"),
        Note::Retried { request, reason } => format!("{request} again: {reason}"),
    }
}

/// An error in one text: its class, message, what was expected, what was observed.
pub(super) fn told(error: &Error) -> String {
    let mut text = format!("{}: {}\n", error.class, error.message);
    let mut below = std::error::Error::source(error);
    while let Some(cause) = below {
        text += &format!("  because {cause}\n");
        below = cause.source();
    }
    if let Some(expected) = &error.expected {
        text += &format!("  expected {expected}\n");
    }
    for line in &error.observed {
        text += &format!("  observed {line}\n");
    }
    text
}

/// The embedded API server as a cluster.
struct Embedded(Api);

impl Cluster for Embedded {
    fn client(&self) -> Result<kube::Client, NoCluster> {
        Ok(self.0.client())
    }

    fn helm(&self) -> &dyn Helm {
        unreachable!("the verbs of these tests call no helm")
    }

    fn fetch(&self) -> &dyn Fetch {
        unreachable!("the verbs of these tests fetch nothing")
    }

    fn clock(&self) -> Clock {
        self.0.clock()
    }

    fn identity(&self) -> Option<ClusterIdentity> {
        None
    }
}
