//! Every cluster verb on real pods, one after another in one namespace.

#![expect(clippy::print_stdout, reason = "what a red run on the lab is read by")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lariat::cluster::{Cluster, Live, LiveOptions};
use lariat::event::{Class, Note, PlanFile};
use lariat::expr::Shared;
use lariat::id::{RunId, StepId};
use lariat::plan::{self, Body, Plan, Recorded, Settings};
use lariat::record::{Recorder, Tape};
use lariat::step::{self, Done, Error, Memory, RunFacts, Said, StepContext};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::way::Way;

const PLAN: &str = r#"
[plan]
name      = "verbs"
namespace = "lab-verbs"

[objects.pods]
resource = "pods"
labels   = "app=verbs"
[objects.io]
resource = "pods"
name     = "io"
[objects.nodes]
resource = "nodes"
where    = "o.spec.?unschedulable.orValue(false)"

[steps.namespace]
apply = { object = { apiVersion = "v1", kind = "Namespace", metadata = { name = "lab-verbs" } } }
[steps.daemons]
needs = ["namespace"]
[steps.daemons.apply.object]
apiVersion = "apps/v1"
kind       = "DaemonSet"
metadata   = { name = "verbs" }
[steps.daemons.apply.object.spec]
selector = { matchLabels = { app = "verbs" } }
[steps.daemons.apply.object.spec.template]
metadata = { labels = { app = "verbs" } }
spec     = { terminationGracePeriodSeconds = 0, containers = [{ name = "main", image = "busybox:1.36", imagePullPolicy = "IfNotPresent", command = ["sh", "-c", "echo begun; trap 'echo asked to stop; exit 0' TERM; while true; do sleep 1; echo beat; done"] }] }
[steps.io-pod.apply.object]
apiVersion = "v1"
kind       = "Pod"
metadata   = { name = "io" }
spec       = { terminationGracePeriodSeconds = 0, volumes = [{ name = "data", emptyDir = {} }], containers = [{ name = "main", image = "busybox:1.36", imagePullPolicy = "IfNotPresent", command = ["sleep", "1000000"], volumeMounts = [{ name = "data", mountPath = "/data" }] }] }

[steps.ready]
wait = { all = { daemons = { on = "pods", that = "ready(o)", count = 3 }, io = { on = "io", that = "ready(o)" } } }
[steps.hello]
exec = { on = "io", command = ["sh", "-c", "cat; echo complaint >&2; exit 3"], stdin = "hello\n", codes = [3] }
[steps.code]
exec = { pod = "io", command = ["sh", "-c", "echo last words; exit 7"] }
[steps.missing]
exec = { pod = "io", command = ["/no/such/program"] }
[steps.many]
exec = { on = "pods", command = ["true"] }
[steps.write]
write-file = { on = "io", path = "/data/file", size = "32Mi" }
[steps.verify]
needs = ["write"]
verify-file = { on = "io", path = "/data/file", sha256 = "${steps.write.sha256}" }
[steps.full]
write-file = { on = "io", path = "/dev/full", size = "64Ki" }
[steps.io]
steady-io = { on = "io", path = "/data/steady", max-stall = "20s" }
background = { until = "kill" }
[steps.logs]
collect = { on = ["pods"], logs = true }
background = { until = "kill" }
[steps.kill]
pod-kill = { on = "pods", grace = "0s", min = 3 }
[steps.back]
needs = ["kill"]
wait = { on = "pods", that = "ready(o) && !(o.metadata.uid in steps.kill.uids)", count = 3, stable = "2s" }
[steps.rolling]
pod-kill = { on = "pods", order = "rolling", which = 2 }
[steps.patch]
patch = { resource = "daemonsets", name = "verbs", merge = { metadata = { annotations = { patched = "yes" } } } }
[steps.restart]
rollout-restart = { resource = "daemonsets", name = "verbs" }
[steps.restarted]
wait = { on = "pods", that = "ready(o) && has(o.metadata.annotations)", count = 3 }
[steps.deployment.apply.object]
apiVersion = "apps/v1"
kind       = "Deployment"
metadata   = { name = "scaled" }
spec       = { replicas = 0, selector = { matchLabels = { app = "scaled" } }, template = { metadata = { labels = { app = "scaled" } }, spec = { containers = [{ name = "main", image = "busybox:1.36" }] } } }
[steps.scale]
scale = { resource = "deployments", name = "scaled", replicas = 0 }
[steps.cordon]
cordon = { node = "n3" }
[steps.drain]
drain = { node = "n3", pod-selector = "app=verbs", ignore-daemonsets = true }
[steps.uncordon]
uncordon = { node = "n3" }
[steps.collect]
collect = { on = ["pods", "io"], logs = true, describe = true, events = true, objects = true }
[steps.held.apply.object]
apiVersion = "v1"
kind       = "ConfigMap"
metadata   = { name = "held", finalizers = ["lab.dev/held"] }
[steps.delete-held]
delete = { resource = "configmaps", name = "held" }
[steps.free]
patch = { resource = "configmaps", name = "held", json = [{ op = "remove", path = "/metadata/finalizers" }] }
[steps.end]
delete = { resource = "namespaces", name = "lab-verbs" }
when   = "always"
"#;

const OUTAGE: &str = r#"
[plan]
name      = "outage"
namespace = "lab-outage"

[objects.io]
resource = "pods"
name     = "io"
[objects.maps]
resource = "configmaps"
name     = "state"

[steps.namespace]
apply = { object = { apiVersion = "v1", kind = "Namespace", metadata = { name = "lab-outage" } } }
[steps.map]
apply = { object = { apiVersion = "v1", kind = "ConfigMap", metadata = { name = "state" }, data = { is = "busy" } } }
[steps.pod.apply.object]
apiVersion = "v1"
kind       = "Pod"
metadata   = { name = "io" }
spec       = { terminationGracePeriodSeconds = 0, containers = [{ name = "main", image = "busybox:1.36", imagePullPolicy = "IfNotPresent", command = ["sleep", "1000000"] }] }
[steps.ready]
wait = { on = "io", that = "ready(o)" }
[steps.io]
steady-io  = { on = "io", path = "/tmp/steady", max-stall = "5s" }
background = { until = "wait" }
[steps.wait]
wait = { on = "maps", that = "o.data.is == 'ready'" }
[steps.change]
patch = { resource = "configmaps", name = "state", merge = { data = { is = "ready" } } }
[steps.end]
delete = { resource = "namespaces", name = "lab-outage" }
"#;

struct Lab {
    cluster: Arc<Live>,
    plan: Plan,
    recorder: Recorder,
    folder: tempfile::TempDir,
    outputs: BTreeMap<String, Map<String, Value>>,
}

struct Acting {
    ctx: StepContext,
    said: mpsc::UnboundedReceiver<Said>,
    verb: Arc<plan::Verb>,
}

impl Lab {
    async fn new(plan: &str, kubeconfig: PathBuf) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let options = LiveOptions {
            kubeconfig: Some(kubeconfig),
            context: "lab".to_owned(),
            helm: "helm".into(),
            cache: folder.path().to_owned(),
            user_agent: "lariat/test".to_owned(),
        };
        let cluster = Arc::new(Live::connect(options).await.unwrap_or_else(|error| panic!("{error}")));
        let files = Recorded::new(&[PlanFile { path: "verbs.toml".to_owned(), text: plan.to_owned() }]);
        let plan = plan::load(&files, Path::new("verbs.toml"), &Settings::default())
            .unwrap_or_else(|problems| panic!("{problems}"));
        let recorder = Recorder::new(cluster.client().ok(), plan.selections.clone(), Tape::nowhere(), cluster.clock());
        Self { cluster, plan, recorder, folder, outputs: BTreeMap::new() }
    }

    fn step(&self, name: &str, seconds: u64) -> Acting {
        let step = self.plan.walk().into_iter().find(|step| step.id.as_str() == name).expect("the plan has the step");
        let Body::Verb(verb) = &step.body else { panic!("{name} has no verb") };
        let (voice, said) = mpsc::unbounded_channel();
        let outputs = |id: &StepId| self.outputs.get(id.as_str()).cloned().map(|map| Shared::from(Value::Object(map)));
        let ctx = StepContext {
            id: step.id.clone(),
            attempt: 1,
            env: step.scope.env(&Shared::from(Value::Null), &outputs),
            scope: step.scope.clone(),
            cluster: self.cluster.clone(),
            recorder: self.recorder.clone(),
            run: Arc::new(RunFacts {
                id: RunId::new("verbs-20260101T000000Z-0001").expect("the id is well formed"),
                plan: "verbs".to_owned(),
                seed: 1,
                dir: self.folder.path().to_owned(),
            }),
            deadline: Instant::now() + Duration::from_secs(seconds),
            timeout: Duration::from_secs(seconds),
            background: step.until.is_some(),
            cancel: CancellationToken::new(),
            memory: Memory::default(),
            voice,
        };
        Acting { ctx, said, verb: verb.clone() }
    }

    async fn pass(&mut self, name: &str) -> Done {
        let mut acting = self.step(name, 120);
        let done = step::act(&acting.verb, &acting.ctx).await;
        tell(name, &mut acting, &done);
        let done = done.unwrap_or_else(|error| panic!("{name}: {error:#?}"));
        self.outputs.insert(name.to_owned(), done.outputs.clone());
        done
    }

    async fn fail(&self, name: &str, seconds: u64) -> Error {
        let mut acting = self.step(name, seconds);
        let done = step::act(&acting.verb, &acting.ctx).await;
        tell(name, &mut acting, &done);
        done.expect_err("it was to fail")
    }
}

/// What a step said, for whoever reads the test's output.
fn tell(name: &str, acting: &mut Acting, done: &Result<Done, Error>) {
    println!("== {name}");
    while let Ok(said) = acting.said.try_recv() {
        if let Said::Note(note) = said {
            match note {
                Note::Table { title, rows, .. } => println!("{title}: {rows:#?}"),
                note => println!("{note:?}"),
            }
        }
    }
    match done {
        Ok(done) => {
            println!("{}", Value::Object(done.outputs.clone()).to_string().chars().take(400).collect::<String>());
        }
        Err(error) => println!("{}: {} {:?} {:?}", error.class, error.message, error.expected, error.observed),
    }
}

fn kubeconfig() -> PathBuf {
    std::env::var_os("LARIAT_LAB_KUBECONFIG").expect("`just lab-test` names the lab's kubeconfig").into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_and_a_steady_io_outlive_an_api_server_that_is_away() {
    let _steady = crate::steady().await;
    let text = std::fs::read_to_string(kubeconfig()).expect("the lab's kubeconfig can be read");
    let (mut way, text) = Way::beside(&text).await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let cut_off = folder.path().join("kubeconfig");
    std::fs::write(&cut_off, text).expect("a file can be written");

    let mut near = Lab::new(OUTAGE, kubeconfig()).await;
    let far = Lab::new(OUTAGE, cut_off).await;
    for name in ["namespace", "map", "pod", "ready"] {
        near.pass(name).await;
    }
    let beside = ["io", "wait"].map(|name| {
        let acting = far.step(name, 60);
        let (verb, ctx) = (acting.verb.clone(), acting.ctx.clone());
        (name, acting, tokio::spawn(async move { step::act(&verb, &ctx).await }))
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    let change = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        near.pass("change").await;
    };
    let ((), ()) = tokio::join!(way.cut(Duration::from_secs(10)), change);
    let back = Instant::now();
    let [(io, mut io_acting, io_task), (wait, mut wait_acting, wait_task)] = beside;
    let waited = wait_task.await.expect("the step does not panic");
    let late = back.elapsed();
    tell(wait, &mut wait_acting, &waited);
    tokio::time::sleep(Duration::from_secs(4)).await;
    io_acting.ctx.cancel.cancel();
    let steady = io_task.await.expect("the step does not panic");
    tell(io, &mut io_acting, &steady);
    near.pass("end").await;
    println!("the change was seen {late:?} after the way was open again");
    assert!(waited.is_ok() && late < Duration::from_secs(3), "{late:?}");
    let steady = steady.expect("the volume was well").outputs;
    assert_eq!(steady["stalls"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cluster_verb_on_real_pods() {
    let _steady = crate::steady().await;
    let mut lab = Lab::new(PLAN, kubeconfig()).await;
    lab.pass("namespace").await;
    let story = std::panic::AssertUnwindSafe(story(&mut lab));
    let told = futures::FutureExt::catch_unwind(story).await;
    lab.pass("end").await;
    if let Err(panic) = told {
        std::panic::resume_unwind(panic);
    }
}

async fn story(lab: &mut Lab) {
    for name in ["daemons", "io-pod", "ready"] {
        lab.pass(name).await;
    }
    let hello = lab.pass("hello").await.outputs;
    assert_eq!((&hello["stdout"], &hello["stderr"], &hello["code"]), (&"hello".into(), &"complaint".into(), &3.into()));
    let error = lab.fail("code", 30).await;
    assert_eq!((error.class, error.observed.as_slice()), (Class::Unmet, ["stdout: last words".to_owned()].as_slice()));
    assert_eq!(lab.fail("missing", 30).await.class, Class::Missing);
    assert_eq!(lab.fail("many", 30).await.class, Class::Refused);

    assert_eq!(lab.pass("write").await.outputs["bytes"], 32 << 20);
    lab.pass("verify").await;
    assert_eq!(lab.fail("full", 30).await.class, Class::Unmet);

    // Two that run beside the kill.
    let beside = ["io", "logs"].map(|name| {
        let acting = lab.step(name, 60);
        let (verb, ctx) = (acting.verb.clone(), acting.ctx.clone());
        (name, acting, tokio::spawn(async move { step::act(&verb, &ctx).await }))
    });
    tokio::time::sleep(Duration::from_secs(4)).await;
    let killed = lab.pass("kill").await;
    assert_eq!(killed.outputs["count"], 3);
    lab.pass("back").await;
    for (name, mut acting, task) in beside {
        acting.ctx.cancel.cancel();
        let done = task.await.expect("the step does not panic");
        tell(name, &mut acting, &done);
        let outputs = done.expect("it was beside and ended well").outputs;
        match name {
            "io" => assert!(outputs["writes"].as_u64() > Some(5) && outputs["stalls"] == 0, "{outputs:?}"),
            _ => {
                let files = outputs["files"].as_array().expect("a list").len();
                assert_eq!(files, 6, "three pods that were killed and three that came");
            }
        }
    }
    for name in [
        "rolling",
        "patch",
        "restart",
        "restarted",
        "deployment",
        "scale",
        "cordon",
        "drain",
        "uncordon",
        "collect",
        "held",
    ] {
        lab.pass(name).await;
    }
    let error = lab.fail("delete-held", 3).await;
    assert_eq!(error.class, Class::Timeout);
    assert!(error.observed[0].contains("held by finalizer lab.dev/held"), "{:?}", error.observed);
    lab.pass("free").await;
}
