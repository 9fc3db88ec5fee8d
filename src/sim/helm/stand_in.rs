use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::Value;

use super::apply::{Hands, identity};
use super::chart::{Chart, Charts, Rendering};
use super::ledger::{Ledger, plain};
use super::record::{LastRun, Record};
use super::{hook, order, values};
use crate::clock::Clock;
use crate::cluster::{Answer, ChartRequest, Helm, HelmCall, HelmError, HelmSaid, Release};

/// What a command takes before its first request: start, reading the chart, discovery.
/// Measured with helm v4.3.1 on the lab: 0.2 to 0.4 s.
const START: Duration = Duration::from_millis(300);

/// How long a definition may take to be established: helm's own bound.
const ESTABLISHED: Duration = Duration::from_mins(1);

/// Helm on the embedded cluster, in its time.
#[derive(Clone)]
pub struct StandInHelm {
    client: Client,
    clock: Clock,
    charts: Arc<Charts>,
}

/// What helm would print behind `Error: `.
type Complaint = String;

/// A chart filled in: what a revision is made of.
struct Filled {
    chart: Arc<Chart>,
    given: Value,
    objects: Vec<Value>,
    notes: String,
}

impl StandInHelm {
    /// The stand-in knows these charts and no others.
    pub fn new(client: Client, clock: Clock, charts: Charts) -> Self {
        Self { client, clock, charts: Arc::new(charts) }
    }

    fn ledger(&self, call: &HelmCall) -> Ledger {
        Ledger::new(self.client.clone(), &call.namespace)
    }

    fn hands(&self, release: &str, call: &HelmCall) -> Hands {
        Hands::new(self.client.clone(), release, &call.namespace)
    }

    /// The start of a command that speaks to the cluster.
    async fn reach(&self) -> Result<(), Complaint> {
        tokio::time::sleep(START).await;
        let reached = self.client.apiserver_version().await;
        reached.map(drop).map_err(|error| format!("kubernetes cluster unreachable: {}", plain(&error)))
    }

    fn fill(&self, request: &ChartRequest, given: Value, at: &Revision<'_>) -> Result<Filled, Complaint> {
        let chart = self.charts.find(request)?;
        let all = values::coalesce(&chart.values, &given);
        let rendered = (chart.render)(&Rendering {
            release: at.release,
            namespace: at.namespace,
            revision: at.number,
            is_upgrade: at.is_upgrade,
            version: &chart.version,
            app_version: &chart.app_version,
            values: &all,
        });
        let rendered = rendered.map_err(|said| format!("execution error at ({}/templates): {said}", chart.name))?;
        let mut objects = rendered.objects;
        order::for_install(&mut objects);
        Ok(Filled { chart, given, objects, notes: rendered.notes })
    }

    fn record(&self, filled: &Filled, at: &Revision<'_>, labels: &[(String, String)]) -> Record {
        let mut record = Record::new(at.release, at.namespace, at.number, &filled.chart, &filled.objects);
        record.config = filled.given.clone();
        record.info.notes.clone_from(&filled.notes);
        record.labels = labels.iter().cloned().collect();
        record.info.first_deployed = self.clock.now().to_string();
        record.info.last_deployed.clone_from(&record.info.first_deployed);
        record
    }

    async fn install(&self, request: &ChartRequest, call: &HelmCall) -> Result<Release, Complaint> {
        self.reach().await?;
        let ledger = self.ledger(call);
        if !ledger.history(&request.release).await?.is_empty() {
            return Err("release name check failed: cannot reuse a name that is still in use".to_owned());
        }
        let at = Revision { release: &request.release, namespace: &call.namespace, number: 1, is_upgrade: false };
        let filled = self.fill(request, values::given(request)?, &at)?;
        let mut hands = self.hands(&request.release, call);
        self.define(&filled.chart, &mut hands).await?;
        self.create_namespace(&call.namespace).await?;
        let mut record = self.record(&filled, &at, &request.labels);
        let objects = record.objects();
        hands.build(&objects, "unable to build kubernetes objects from release manifest").await?;
        hands.claim(&objects, "install").await?;
        record.stand("pending-install", "Initial install underway");
        ledger.create(&record).await?;
        let done = cut_short(call, self.put_in_place(&mut record, &mut hands, &objects, call)).await;
        let said = done.as_ref().map_err(|error| format!("Release \"{}\" failed: {error}", request.release));
        self.settle(&ledger, &mut record, said.map(|()| "Install complete")).await?;
        done.map(|()| record.release())
    }

    async fn put_in_place(
        &self,
        record: &mut Record,
        hands: &mut Hands,
        objects: &[Value],
        call: &HelmCall,
    ) -> Result<(), Complaint> {
        self.hooks(record, "pre-install", hands, call).await.map_err(|error| format!("failed pre-install: {error}"))?;
        for object in objects {
            hands.apply(object).await?;
        }
        self.hooks(record, "post-install", hands, call).await.map_err(|error| format!("failed post-install: {error}"))
    }

    /// What stands in a chart's `crds` comes first, and is waited for.
    async fn define(&self, chart: &Chart, hands: &mut Hands) -> Result<(), Complaint> {
        hands.build(&chart.crds, "failed to install CRD").await?;
        for definition in &chart.crds {
            hands.put(definition).await.map_err(|error| format!("failed to install CRD: {error}"))?;
        }
        for definition in &chart.crds {
            let api = hands.api(definition);
            let name = super::apply::name(definition);
            let ready = kube::runtime::wait::await_condition(api, &name, |found: Option<&DynamicObject>| {
                found.is_some_and(|found| {
                    let conditions = found.data["status"]["conditions"].as_array();
                    conditions.into_iter().flatten().any(|it| it["type"] == "Established" && it["status"] == "True")
                })
            });
            let ready = tokio::time::timeout(ESTABLISHED, ready).await;
            if !matches!(ready, Ok(Ok(_))) {
                return Err(format!("failed to install CRD {name}: timed out waiting for the condition"));
            }
        }
        Ok(())
    }

    /// `--create-namespace`.
    async fn create_namespace(&self, name: &str) -> Result<(), Complaint> {
        let labels = [("name".to_owned(), name.to_owned())].into();
        let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        match Api::all(self.client.clone()).create(&PostParams::default(), &namespace).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(plain(&error)),
        }
    }

    async fn upgrade(&self, request: &ChartRequest, call: &HelmCall) -> Result<Release, Complaint> {
        let ledger = self.ledger(call);
        let history = ledger.history(&request.release).await;
        if request.install && history.as_ref().is_ok_and(Vec::is_empty) {
            return self.install(request, call).await;
        }
        self.reach().await?;
        let mut history = ledger.history(&request.release).await?;
        let last = history.last().ok_or_else(|| format!("\"{}\" has no deployed releases", request.release))?;
        let (number, free) = (last.version + 1, !last.info.status.starts_with("pending-"));
        if !free {
            return Err("another operation (install/upgrade/rollback) is in progress".to_owned());
        }
        let deployed = history.iter().rposition(|record| record.info.status == "deployed");
        let mut current = history.swap_remove(deployed.unwrap_or(history.len() - 1));
        let mut given = values::given(request)?;
        let nothing_given = given.as_object().is_some_and(serde_json::Map::is_empty);
        if request.reuse_values || nothing_given {
            given = values::reuse(&current.config, &given);
        }
        let at = Revision { release: &request.release, namespace: &call.namespace, number, is_upgrade: true };
        let filled = self.fill(request, given, &at)?;
        let mut labels: Vec<(String, String)> = current.labels.clone().into_iter().collect();
        labels.extend(request.labels.iter().cloned());
        let mut record = self.record(&filled, &at, &labels);
        record.info.first_deployed.clone_from(&current.info.first_deployed);
        let change = Change::between(&current, &record);
        let mut hands = self.hands(&request.release, call);
        hands.build(&change.old, "unable to build kubernetes objects from current release manifest").await?;
        hands.build(&change.new, "unable to build kubernetes objects from new release manifest").await?;
        hands.claim(&change.created(), "update").await?;
        record.stand("pending-upgrade", "Preparing upgrade");
        ledger.create(&record).await?;
        let done = cut_short(call, self.change(&mut record, &change, "upgrade", &mut hands, call)).await;
        if done.is_ok() {
            current.stand_as("superseded");
            ledger.update(&current).await?;
        }
        let said = done.as_ref().map_err(|error| format!("Upgrade \"{}\" failed: {error}", request.release));
        self.settle(&ledger, &mut record, said.map(|()| "Upgrade complete")).await?;
        done.map(|()| record.release())
    }

    /// From one revision's objects to another's, with the hooks around it.
    async fn change(
        &self,
        record: &mut Record,
        change: &Change,
        what: &str,
        hands: &mut Hands,
        call: &HelmCall,
    ) -> Result<(), Complaint> {
        let failed = |when: &str, error: String| match what {
            "rollback" => error,
            _ => format!("{when}-{what} hooks failed: {error}"),
        };
        self.hooks(record, &format!("pre-{what}"), hands, call).await.map_err(|error| failed("pre", error))?;
        for object in &change.new {
            let made = hands.apply(object).await;
            made.map_err(|error| {
                if change.is_created(object) { format!("failed to create resource: {error}") } else { error }
            })?;
        }
        for object in change.removed() {
            // A failure here is a warning of helm's and no more.
            let _ = hands.delete(&object).await;
        }
        self.hooks(record, &format!("post-{what}"), hands, call).await.map_err(|error| failed("post", error))
    }

    async fn rollback(&self, release: &str, to: Option<u64>, call: &HelmCall) -> Result<Release, Complaint> {
        self.reach().await?;
        let ledger = self.ledger(call);
        let mut history = ledger.history(release).await?;
        let current = history.last().cloned().ok_or("release: not found")?;
        let to = to.filter(|to| *to > 0).unwrap_or(current.version - 1);
        let target = history.iter().find(|record| record.version == to).cloned();
        let mut record = target.ok_or_else(|| format!("release has no {to} version"))?;
        let change = Change::between(&current, &record);
        record.version = current.version + 1;
        record.info.first_deployed.clone_from(&current.info.first_deployed);
        record.info.last_deployed = self.clock.now().to_string();
        record.forget_runs();
        record.labels.clone_from(&current.labels);
        let said = format!("Rollback to {to}");
        record.stand("pending-rollback", &said);
        let mut hands = self.hands(release, call);
        hands.build(&change.old, "unable to build kubernetes objects from current release manifest").await?;
        hands.build(&change.new, "unable to build kubernetes objects from new release manifest").await?;
        ledger.create(&record).await?;
        let done = cut_short(call, self.change(&mut record, &change, "rollback", &mut hands, call)).await;
        for old in history.iter_mut().filter(|old| done.is_ok() && old.info.status == "deployed") {
            old.stand_as("superseded");
            ledger.update(old).await?;
        }
        let text = done.as_ref().map_err(|error| format!("Rollback \"{release}\" failed: {error}"));
        self.settle(&ledger, &mut record, text.map(|()| said.as_str())).await?;
        done.map(|()| record.release())
    }

    async fn uninstall(&self, release: &str, call: &HelmCall) -> Result<bool, Complaint> {
        self.reach().await?;
        let ledger = self.ledger(call);
        let history = ledger.history(release).await?;
        let Some(mut record) = history.last().cloned() else { return Ok(false) };
        let mut hands = self.hands(release, call);
        let mut objects = record.objects();
        order::for_install(&mut objects);
        hands.build(&objects, "unable to build kubernetes objects for delete").await?;
        record.stand("uninstalling", "Deletion in progress (or silently failed)");
        ledger.update(&record).await?;
        self.hooks(&mut record, "pre-delete", &mut hands, call).await?;
        for object in objects.iter().rev().filter(|object| !is_kept(object)) {
            hands.delete(object).await?;
        }
        self.hooks(&mut record, "post-delete", &mut hands, call).await?;
        for old in &history {
            ledger.remove(old).await?;
        }
        Ok(true)
    }

    async fn hooks(
        &self,
        record: &mut Record,
        event: &str,
        hands: &mut Hands,
        call: &HelmCall,
    ) -> Result<(), Complaint> {
        if call.no_hooks {
            return Ok(());
        }
        hook::run(record, event, hands, self.clock, call.timeout).await
    }

    /// Stores how a revision ended.
    async fn settle(&self, ledger: &Ledger, record: &mut Record, said: Result<&str, String>) -> Result<(), Complaint> {
        record.info.last_deployed = self.clock.now().to_string();
        match said {
            Ok(said) => record.stand("deployed", said),
            Err(error) => record.stand("failed", &error),
        }
        ledger.update(record).await
    }

    /// The complaint as the live side reads it, so that a plan sees the same failure on both.
    async fn fail(&self, said: HelmSaid<'_>, complaint: &str, call: &HelmCall) -> HelmError {
        let release = self.now(said.release, call).await.ok().flatten();
        said.complaint(complaint, release.as_ref(), call.cancel.is_cancelled())
    }

    async fn now(&self, release: &str, call: &HelmCall) -> Result<Option<Release>, Complaint> {
        Ok(self.ledger(call).history(release).await?.last().map(Record::release))
    }
}

/// Runs a command until it ends or is told to.
async fn cut_short(call: &HelmCall, act: impl Future<Output = Result<(), Complaint>>) -> Result<(), Complaint> {
    tokio::select! {
        biased;
        done = act => done,
        () = call.cancel.cancelled() => Err("context canceled".to_owned()),
    }
}

/// Which revision of which release.
struct Revision<'a> {
    release: &'a str,
    namespace: &'a str,
    number: u64,
    is_upgrade: bool,
}

/// From one revision's objects to another's.
struct Change {
    old: Vec<Value>,
    new: Vec<Value>,
    had: BTreeSet<(String, String, String)>,
    has: BTreeSet<(String, String, String)>,
}

impl Change {
    fn between(old: &Record, new: &Record) -> Self {
        let (old, new) = (old.objects(), new.objects());
        let had = old.iter().map(identity).collect();
        let has = new.iter().map(identity).collect();
        Self { old, new, had, has }
    }

    fn is_created(&self, object: &Value) -> bool {
        !self.had.contains(&identity(object))
    }

    fn created(&self) -> Vec<Value> {
        self.new.iter().filter(|object| self.is_created(object)).cloned().collect()
    }

    fn removed(&self) -> Vec<Value> {
        let gone = self.old.iter().filter(|object| !self.has.contains(&identity(object)) && !is_kept(object));
        gone.cloned().collect()
    }
}

fn is_kept(object: &Value) -> bool {
    object["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
}

impl Record {
    fn forget_runs(&mut self) {
        for hook in &mut self.hooks {
            hook.last_run = LastRun::default();
        }
    }

    fn stand(&mut self, status: &str, description: &str) {
        description.clone_into(&mut self.info.description);
        self.stand_as(status);
    }

    fn stand_as(&mut self, status: &str) {
        status.clone_into(&mut self.info.status);
    }
}

impl Helm for StandInHelm {
    fn install<'a>(&'a self, chart: &'a ChartRequest, call: &'a HelmCall) -> Answer<'a, Release, HelmError> {
        let said = HelmSaid { verb: "install", release: &chart.release, chart: Some(&chart.chart) };
        async move {
            match self.install(chart, call).await {
                Ok(release) => Ok(release),
                Err(complaint) => Err(self.fail(said, &complaint, call).await),
            }
        }
        .boxed()
    }

    fn upgrade<'a>(&'a self, chart: &'a ChartRequest, call: &'a HelmCall) -> Answer<'a, Release, HelmError> {
        let said = HelmSaid { verb: "upgrade", release: &chart.release, chart: Some(&chart.chart) };
        async move {
            match self.upgrade(chart, call).await {
                Ok(release) => Ok(release),
                Err(complaint) => Err(self.fail(said, &complaint, call).await),
            }
        }
        .boxed()
    }

    fn rollback<'a>(
        &'a self,
        release: &'a str,
        revision: Option<u64>,
        call: &'a HelmCall,
    ) -> Answer<'a, Release, HelmError> {
        let said = HelmSaid { verb: "rollback", release, chart: None };
        async move {
            match self.rollback(release, revision, call).await {
                Ok(release) => Ok(release),
                Err(complaint) => Err(self.fail(said, &complaint, call).await),
            }
        }
        .boxed()
    }

    fn uninstall<'a>(&'a self, release: &'a str, call: &'a HelmCall) -> Answer<'a, bool, HelmError> {
        let said = HelmSaid { verb: "uninstall", release, chart: None };
        async move {
            match self.uninstall(release, call).await {
                Ok(was) => Ok(was),
                Err(complaint) => Err(self.fail(said, &complaint, call).await),
            }
        }
        .boxed()
    }

    fn status<'a>(&'a self, release: &'a str, call: &'a HelmCall) -> Answer<'a, Option<Release>, HelmError> {
        async move {
            let said = HelmSaid { verb: "status", release, chart: None };
            let found = match self.reach().await {
                Ok(()) => self.now(release, call).await,
                Err(complaint) => Err(complaint),
            };
            found.map_err(|complaint| said.complaint(&complaint, None, call.cancel.is_cancelled()))
        }
        .boxed()
    }

    fn version(&self) -> Answer<'_, String, HelmError> {
        // The helm whose behaviour it has.
        async { Ok("v4.3.1".to_owned()) }.boxed()
    }
}
