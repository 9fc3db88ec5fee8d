use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, LogParams};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::{Done, Error, MANAGED_BY, RUN_LABEL, StepContext};
use crate::cluster::{ChartRequest, HelmCall, HelmError, Hook, Release};
use crate::event::{Class, Note, Progress};
use crate::plan::{Setting, Text};

/// What a helm command leaves of the step's time, so that it ends by itself and says why.
const MARGIN: Duration = Duration::from_secs(4);
/// The first wait before helm is run again; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Most time for looking at what failed.
const LOOK: Duration = Duration::from_secs(5);
/// How many last lines of a hook are quoted.
const QUOTED: usize = 8;

/// One release in one namespace, as the helm verbs see it.
pub(super) struct Subject<'a> {
    ctx: &'a StepContext,
    pub(super) name: String,
    namespace: String,
    no_hooks: bool,
}

/// How it stood before a step acted.
pub(super) enum Before {
    /// There was none.
    Nothing,
    /// There was one.
    Release(Box<Release>),
}

impl<'a> Subject<'a> {
    pub(super) fn new(
        name: &Text,
        namespace: Option<&Text>,
        no_hooks: bool,
        ctx: &'a StepContext,
    ) -> Result<Self, Error> {
        Ok(Self { ctx, name: ctx.get(name)?, namespace: ctx.namespace(namespace)?, no_hooks })
    }

    /// Runs helm, and again for as long as it could not even reach the cluster.
    pub(super) async fn insist<T, F>(&self, verb: &str, mut run: impl FnMut(HelmCall) -> F) -> Result<T, HelmError>
    where
        F: Future<Output = Result<T, HelmError>>,
    {
        let what = format!("helm {verb} {}", self.name);
        let mut wait = FIRST_WAIT;
        loop {
            let error = match run(self.call()).await {
                Err(error) if error.passing && Instant::now() + wait < self.ctx.deadline => error,
                other => return other,
            };
            if wait == FIRST_WAIT {
                self.ctx.note(Note::Retried { request: what.clone(), reason: error.message });
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn call(&self) -> HelmCall {
        let left = self.ctx.deadline.saturating_duration_since(tokio::time::Instant::now());
        HelmCall {
            namespace: self.namespace.clone(),
            timeout: left.saturating_sub(MARGIN.min(left / 8)),
            no_hooks: self.no_hooks,
            cancel: self.ctx.cancel.clone(),
        }
    }

    /// The release as it is now.
    pub(super) async fn now(&self) -> Result<Option<Release>, Error> {
        let helm = self.ctx.cluster.helm();
        let found = self.insist("status", |call| async move { helm.status(&self.name, &call).await });
        Ok(found.await?)
    }

    /// How the release stands before the step acts. What an attempt before this one
    /// left behind is put away first; then it stands as it did before that one.
    pub(super) async fn before(&self) -> Result<Before, Error> {
        let now = self.now().await?;
        let Some(first) = self.ctx.memory.recall() else {
            self.ctx.memory.keep(json!({ "revision": now.as_ref().map(|release| release.revision) }));
            return Ok(now.map_or(Before::Nothing, |release| Before::Release(Box::new(release))));
        };
        let Some(now) = now else { return Ok(Before::Nothing) };
        match first["revision"].as_u64() {
            None if now.status.starts_with("pending-") || now.status == "failed" => {
                self.put_away(&now).await?;
                Ok(Before::Nothing)
            }
            Some(revision) if now.status.starts_with("pending-") && now.revision > revision => {
                let back = self.go_back(&now, revision).await?;
                Ok(Before::Release(Box::new(back)))
            }
            _ => Ok(Before::Release(Box::new(now))),
        }
    }

    /// The revision that stood when the step's first attempt began.
    pub(super) fn first_revision(&self) -> Option<u64> {
        self.ctx.memory.recall()?["revision"].as_u64()
    }

    async fn put_away(&self, left: &Release) -> Result<(), Error> {
        let helm = self.ctx.cluster.helm();
        self.insist("uninstall", |call| async move { helm.uninstall(&self.name, &call).await }).await?;
        self.ctx.note(Note::text(format!(
            "what an attempt before this one left ({}, revision {}) was uninstalled first",
            left.status, left.revision
        )));
        Ok(())
    }

    async fn go_back(&self, left: &Release, revision: u64) -> Result<Release, Error> {
        let helm = self.ctx.cluster.helm();
        let back = self
            .insist("rollback", |call| async move { helm.rollback(&self.name, Some(revision), &call).await })
            .await?;
        self.ctx.note(Note::text(format!(
            "what an attempt before this one left ({}, revision {}) was rolled back to revision {revision} first",
            left.status, left.revision
        )));
        Ok(back)
    }

    /// Runs the command that the step is about, and leaves evidence of how it went.
    pub(super) async fn act<F>(
        &self,
        verb: &str,
        before: &Before,
        run: impl FnMut(HelmCall) -> F,
    ) -> Result<Done, Error>
    where
        F: Future<Output = Result<Release, HelmError>>,
    {
        self.ctx.progress(Progress { say: format!("helm {verb} {}", self.name), ..Progress::default() });
        match self.insist(verb, run).await {
            Ok(after) => Ok(self.report(before, &after)),
            Err(error) if error.class == Class::Cancelled => Err(error.into()),
            Err(error) => Err(self.look_at(error).await),
        }
    }

    fn report(&self, before: &Before, after: &Release) -> Done {
        let before = match before {
            Before::Nothing => None,
            Before::Release(release) => Some(&**release),
        };
        let change = |of: fn(&Release) -> String| match before.map(of) {
            Some(old) if old != of(after) => format!("{old} → {}", of(after)),
            _ => of(after),
        };
        let chart = |release: &Release| match release.app_version.as_str() {
            "" => release.chart.clone(),
            version => format!("{} (application {version})", release.chart),
        };
        self.ctx.note(Note::pair("chart", change(chart)));
        self.ctx.note(Note::pair("revision", change(|release| release.revision.to_string())));
        self.ctx.note(Note::pair("status", state(after)));
        let images = images_of(before.map_or("", |release| &release.manifest), &after.manifest);
        if !images.is_empty() {
            self.ctx.note(Note::Table {
                title: "images".to_owned(),
                head: ["object", "container", "before", "after"].map(str::to_owned).to_vec(),
                rows: images.iter().map(Image::row).collect(),
            });
        }
        self.note_hooks(&after.hooks);
        if !after.notes.trim().is_empty() {
            self.ctx.note(Note::Block { title: "notes of the chart".to_owned(), text: after.notes.trim().to_owned() });
        }
        let images: Vec<Value> = images.iter().map(Image::value).collect();
        Done::default().with("revision", after.revision).with("status", after.status.as_str()).with("images", images)
    }

    fn note_hooks(&self, hooks: &[Hook]) {
        if hooks.is_empty() {
            return;
        }
        let phase = |hook: &Hook| if hook.phase.is_empty() { "not run".to_owned() } else { hook.phase.clone() };
        let row = |hook: &Hook| vec![format!("{}/{}", hook.kind, hook.name), hook.events.join(" "), phase(hook)];
        self.ctx.note(Note::Table {
            title: "hooks".to_owned(),
            head: ["hook", "runs at", "ended"].map(str::to_owned).to_vec(),
            rows: hooks.iter().map(row).collect(),
        });
    }

    /// A failed command leaves a release behind that knows more than helm's sentence.
    async fn look_at(&self, error: HelmError) -> Error {
        let mut error = Error::from(error);
        let Ok(Ok(Some(release))) = timeout(LOOK, self.now()).await else { return error };
        self.ctx.note(Note::pair("revision", release.revision));
        self.ctx.note(Note::pair("status", state(&release)));
        self.note_hooks(&release.hooks);
        for hook in release.hooks.iter().filter(|hook| !matches!(hook.phase.as_str(), "" | "Succeeded")) {
            let Ok(Some(log)) = timeout(LOOK, self.log_of(hook)).await else { continue };
            let lines: Vec<&str> = log.lines().collect();
            if let Some(last) = lines.last() {
                error.message = format!("{}; `{}` said: {last}", error.message, hook.name);
            }
            let quoted = lines[lines.len().saturating_sub(QUOTED)..].iter();
            error.observed.extend(quoted.map(|line| format!("{}: {line}", hook.name)));
            self.ctx.note(Note::Block { title: format!("log of {}/{}", hook.kind, hook.name), text: log });
        }
        error
    }

    /// What a hook's newest pod said last, if it is still there.
    async fn log_of(&self, hook: &Hook) -> Option<String> {
        let pods: Api<Pod> = Api::namespaced(self.ctx.client().ok()?, &self.namespace);
        let name = match hook.kind.as_str() {
            "Job" => {
                let of_job = ListParams::default().labels(&format!("job-name={}", hook.name));
                let found = pods.list(&of_job).await.ok()?.items.into_iter();
                let newest = found.max_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
                newest?.metadata.name?
            }
            "Pod" => hook.name.clone(),
            _ => return None,
        };
        let last = LogParams { tail_lines: Some(40), limit_bytes: Some(16 << 10), ..LogParams::default() };
        let log = pods.logs(&name, &last).await.ok()?;
        Some(log.trim_end().to_owned()).filter(|log| !log.is_empty())
    }

    /// Labels for a release that this run makes: by them it is found again.
    pub(super) fn labels(&self) -> Vec<(String, String)> {
        let (key, value) = MANAGED_BY;
        let run = self.ctx.run.id.to_string();
        vec![(key.to_owned(), value.to_owned()), (RUN_LABEL.to_owned(), run)]
    }
}

/// A release's status with helm's sentence about it.
fn state(release: &Release) -> String {
    format!("{} ({})", release.status, release.description.lines().collect::<Vec<_>>().join("; "))
}

/// What a chart's settings say, those of `helm-install` and `helm-upgrade`.
pub(super) struct ChartSettings<'a> {
    pub(super) chart: &'a Text,
    pub(super) repo: Option<&'a Text>,
    pub(super) version: Option<&'a Text>,
    pub(super) values: &'a Setting<Vec<String>>,
    pub(super) set: &'a Setting<indexmap::IndexMap<String, Value>>,
}

impl ChartSettings<'_> {
    /// The request for a release, with every path made sure of.
    pub(super) fn request(&self, release: &str, ctx: &StepContext) -> Result<ChartRequest, Error> {
        let written = ctx.get(self.chart)?;
        let repo = ctx.get_opt(self.repo)?;
        let path = ctx.path(&written);
        let chart = if repo.is_none() && path.exists() {
            let path = std::path::absolute(&path).unwrap_or(path);
            path.to_string_lossy().into_owned()
        } else if written.starts_with(['/', '.']) {
            return Err(Error::new(Class::Missing, format!("the chart `{written}` is not there")));
        } else {
            written
        };
        let mut values = Vec::new();
        for file in ctx.get(self.values)? {
            let path = ctx.path(&file);
            if !path.is_file() {
                return Err(Error::new(Class::Missing, format!("the values file `{file}` is not there")));
            }
            values.push(path);
        }
        Ok(ChartRequest {
            release: release.to_owned(),
            chart,
            repo,
            version: ctx.get_opt(self.version)?.filter(|version: &String| !version.is_empty()),
            values,
            set: ctx.get(self.set)?.into_iter().collect(),
            ..ChartRequest::default()
        })
    }
}

/// What one container of a workload runs, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Image {
    object: String,
    container: String,
    before: Option<String>,
    after: Option<String>,
}

impl Image {
    fn row(&self) -> Vec<String> {
        let shown = |image: &Option<String>| image.clone().unwrap_or_else(|| "–".to_owned());
        vec![self.object.clone(), self.container.clone(), shown(&self.before), shown(&self.after)]
    }

    fn value(&self) -> Value {
        let mut value = json!({ "object": self.object, "container": self.container });
        for (key, image) in [("before", &self.before), ("after", &self.after)] {
            if let Some(image) = image {
                value[key] = image.as_str().into();
            }
        }
        value
    }
}

/// Every container in two rendered manifests, sorted.
fn images_of(before: &str, after: &str) -> Vec<Image> {
    let mut all: BTreeMap<(String, String), (Option<String>, Option<String>)> = BTreeMap::new();
    for (key, image) in containers_in(before) {
        all.entry(key).or_default().0 = Some(image);
    }
    for (key, image) in containers_in(after) {
        all.entry(key).or_default().1 = Some(image);
    }
    all.into_iter().map(|((object, container), (before, after))| Image { object, container, before, after }).collect()
}

fn containers_in(manifest: &str) -> Vec<((String, String), String)> {
    // Helm has rendered and applied it: what can't be read here is not Kubernetes' YAML, and no workload.
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap_or_default();
    let mut found = Vec::new();
    for document in &documents {
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let namespace = match text("/metadata/namespace") {
            "" => String::new(),
            namespace => format!("{namespace}/"),
        };
        let object = format!("{namespace}{}/{}", text("/kind"), text("/metadata/name"));
        let pods = ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/spec"];
        for pod in pods.iter().filter_map(|pointer| document.pointer(pointer)) {
            for list in ["initContainers", "containers"] {
                for container in pod[list].as_array().into_iter().flatten() {
                    if let (Some(name), Some(image)) = (container["name"].as_str(), container["image"].as_str()) {
                        found.push(((object.clone(), name.to_owned()), image.to_owned()));
                    }
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
