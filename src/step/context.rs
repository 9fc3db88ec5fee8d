use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::cluster::Cluster;
use crate::event::{Note, Progress};
use crate::expr::Env;
use crate::id::{RunId, StepId};
use crate::plan::{Scope, Selection, Setting, Span};
use crate::record::Recorder;

/// All that a verb may know and touch. It speaks through this and its return
/// value, nothing else: it does not print, log for show, or retry itself as a whole.
#[derive(Clone)]
pub struct StepContext {
    /// The step.
    pub id: StepId,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// What names mean in the step's expressions.
    pub env: Env,
    /// Selections and default namespace of the step's file.
    pub scope: Arc<Scope>,
    /// The cluster.
    pub cluster: Arc<dyn Cluster>,
    /// Watches held open.
    pub recorder: Recorder,
    /// What is the same for every step of the run.
    pub run: Arc<RunFacts>,
    /// When this attempt's time is over.
    pub deadline: Instant,
    /// The same as a span, for texts.
    pub timeout: Duration,
    /// Whether it runs beside others until it is asked to end.
    pub background: bool,
    /// Asks verbs that wind down to end; all others are simply dropped.
    pub cancel: CancellationToken,
    /// What an earlier attempt of this step left for the next one.
    pub memory: Memory,
    /// Where notes and progress go.
    pub voice: mpsc::UnboundedSender<Said>,
}

/// What is the same for every step of a run.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// The run.
    pub id: RunId,
    /// The plan's name.
    pub plan: String,
    /// The seed of every choice by chance.
    pub seed: u64,
    /// The run folder; `collect` and long outputs leave files here.
    pub dir: PathBuf,
}

impl RunFacts {
    /// The facts as expressions name them.
    pub fn facts(&self) -> Value {
        json!({ "id": self.id.as_str(), "seed": self.seed, "plan": self.plan, "dir": self.dir.to_string_lossy() })
    }
}

/// What a step says while it acts.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Evidence.
    Note(Note),
    /// How far it is.
    Progress(Progress),
    /// A background step is up.
    Up,
}

/// A value that attempts of one step hand on, such as the set of pods to kill.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<std::sync::Mutex<Option<Value>>>);

impl Memory {
    /// What an earlier attempt left.
    pub fn recall(&self) -> Option<Value> {
        self.0.lock().expect("nobody panics while holding a step's memory").clone()
    }

    /// Leaves a value for the next attempt.
    pub fn keep(&self, value: Value) {
        *self.0.lock().expect("nobody panics while holding a step's memory") = Some(value);
    }
}

/// What a verb gives when it has done its work: values that later steps may use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// By name, as documented at the verb.
    pub outputs: Map<String, Value>,
}

impl Done {
    /// Adds an output.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.outputs.insert(name.to_owned(), value.into());
        self
    }
}

impl StepContext {
    /// A setting's value with its holes filled in.
    pub fn get<T: DeserializeOwned + Clone>(&self, setting: &Setting<T>) -> Result<T, Error> {
        setting.get(&self.env).map_err(Error::setting)
    }

    /// The value of a setting that may be left out.
    pub fn get_opt<T: DeserializeOwned + Clone>(&self, setting: Option<&Setting<T>>) -> Result<Option<T>, Error> {
        setting.map(|setting| self.get(setting)).transpose()
    }

    /// A namespace that is given, or the file's.
    pub fn namespace(&self, given: Option<&Setting<String>>) -> Result<String, Error> {
        Ok(self.get_opt(given)?.unwrap_or_else(|| self.scope.namespace.clone()))
    }

    /// A grace period as the API takes it. Part of a second is a second: rounded down
    /// it would be zero, and that means by force.
    pub(super) fn grace(&self, given: Option<&Setting<Span>>) -> Result<Option<u32>, Error> {
        let span = self.get_opt(given)?;
        Ok(span.map(|span| u32::try_from(span.0.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)))
    }

    /// A selection by the name it has in this step's file.
    ///
    /// Names are checked when the plan is loaded.
    pub fn selection(&self, name: &str) -> &Selection {
        let id = self.scope.objects.get(name).expect("selection names are checked when the plan is loaded");
        self.recorder.selection(id)
    }

    /// A path as written in the plan: relative ones start at the plan file's folder.
    pub fn path(&self, written: &str) -> PathBuf {
        let path = self.scope.folder.join(written);
        // A plan in the current folder has an empty one, which is no folder to run in.
        if path.as_os_str().is_empty() { PathBuf::from(".") } else { path }
    }

    /// A client of the API server.
    pub fn client(&self) -> Result<kube::Client, Error> {
        self.cluster.client().map_err(Error::no_cluster)
    }

    /// Leaves evidence.
    pub fn note(&self, note: Note) {
        self.say(Said::Note(note));
    }

    /// Says how far it is. Said again only when it changes.
    pub fn progress(&self, progress: Progress) {
        self.say(Said::Progress(progress));
    }

    /// Says that a background step is up: steps that need it may start.
    pub fn up(&self) {
        self.say(Said::Up);
    }

    fn say(&self, said: Said) {
        // The engine may have stopped listening: then the run is ending and nobody would read it.
        let _ = self.voice.send(said);
    }
}
