//! A step without an API server, for the tests of this room: on a folder of its
//! own, with real programs and a helm that does what a test says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Done, Error, Memory, RunFacts, Said, StepContext};
use crate::clock::Clock;
use crate::cluster::{Cluster, Fetch, Helm, Local, NoCluster};
use crate::event::{ClusterIdentity, Note, Progress};
use crate::expr::Env;
use crate::id::{RunId, StepId};
use crate::plan::{Scope, Vars};
use crate::record::Recorder;

/// A step's surroundings.
pub(super) struct Alone {
    pub(super) ctx: StepContext,
    pub(super) folder: tempfile::TempDir,
    said: mpsc::UnboundedReceiver<Said>,
    heard: Vec<Said>,
}

impl Alone {
    pub(super) fn new() -> Self {
        Self::with(|local| local)
    }

    /// With a helm that a test has written.
    pub(super) fn with_helm(helm: impl Helm + 'static) -> Self {
        Self::with(|local| Scripted { local, helm: Arc::new(helm) })
    }

    fn with<C: Cluster + 'static>(cluster: impl FnOnce(Local) -> C) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (voice, said) = mpsc::unbounded_channel();
        let timeout = Duration::from_mins(1);
        let scope = Scope {
            vars: Arc::new(Vars::default()),
            objects: Arc::default(),
            item: None,
            round: None,
            steps: BTreeMap::new(),
            namespace: "ns".to_owned(),
            folder: folder.path().to_owned(),
        };
        let run = RunFacts {
            id: RunId::new("alone-1").unwrap(),
            plan: "alone".to_owned(),
            seed: 1,
            dir: folder.path().join("run"),
        };
        let ctx = StepContext {
            id: StepId::root("step"),
            attempt: 1,
            env: Env::new(),
            scope: Arc::new(scope),
            cluster: Arc::new(cluster(Local::new(&folder.path().join("cache"), "lariat/test"))),
            recorder: Recorder::idle(),
            run: Arc::new(run),
            deadline: tokio::time::Instant::now() + timeout,
            timeout,
            background: false,
            cancel: CancellationToken::new(),
            memory: Memory::default(),
            voice,
        };
        Self { ctx, folder, said, heard: Vec::new() }
    }

    /// With so much time from now on.
    pub(super) fn within(mut self, timeout: Duration) -> Self {
        self.ctx.timeout = timeout;
        self.ctx.deadline = tokio::time::Instant::now() + timeout;
        self
    }

    /// Runs a verb as the engine does: as a future that may move between threads.
    pub(super) async fn act<A: DeserializeOwned>(
        &mut self,
        arguments: Value,
        act: impl for<'a> Fn(&'a A, &'a StepContext) -> BoxFuture<'a, Result<Done, Error>>,
    ) -> Result<Done, Error> {
        let arguments: A = serde_json::from_value(arguments).unwrap();
        act(&arguments, &self.ctx).await
    }

    /// Puts a file into the folder that paths start at.
    pub(super) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn hear(&mut self) -> &[Said] {
        while let Ok(said) = self.said.try_recv() {
            self.heard.push(said);
        }
        &self.heard
    }

    /// All evidence so far, with the folder's name taken out.
    pub(super) fn notes(&mut self) -> String {
        let folder = self.folder.path().to_string_lossy().into_owned();
        let notes = self.hear().iter().filter_map(|said| match said {
            Said::Note(note) => Some(shown(note)),
            Said::Progress(_) | Said::Up => None,
        });
        notes.collect::<Vec<_>>().join("\n").replace(&folder, "DIR")
    }

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

/// An error with all that is known of it, a line each.
pub(super) fn told(error: Error) -> String {
    let failure = crate::event::Failure::from(error);
    let mut lines = vec![format!("{}: {failure}", failure.class)];
    lines.extend(failure.expected.map(|expected| format!("expected {expected}")));
    lines.extend(failure.observed);
    lines.join("\n")
}

fn shown(note: &Note) -> String {
    match note {
        Note::Text { text } => text.clone(),
        Note::Pair { key, value } => format!("{key}: {value}"),
        Note::Table { title, head, rows } => {
            let rows = std::iter::once(head).chain(rows).map(|row| row.join(" | "));
            format!("[{title}]\n{}", rows.collect::<Vec<_>>().join("\n"))
        }
        Note::Block { title, text } | Note::Diff { title, text } => format!("[{title}]\n{text}"),
        Note::File { path, about } => format!("{path}: {about}"),
        Note::Retried { request, reason } => format!("{request} again: {reason}"),
    }
}

struct Scripted {
    local: Local,
    helm: Arc<dyn Helm>,
}

impl Cluster for Scripted {
    fn client(&self) -> Result<kube::Client, NoCluster> {
        Err(NoCluster)
    }

    fn helm(&self) -> &dyn Helm {
        &*self.helm
    }

    fn fetch(&self) -> &dyn Fetch {
        self.local.fetch()
    }

    fn clock(&self) -> Clock {
        self.local.clock()
    }

    fn identity(&self) -> Option<ClusterIdentity> {
        None
    }
}
