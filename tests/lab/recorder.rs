//! What a real API server shows in a millisecond, what a way to it holds back, and a process that stands still.

#![expect(clippy::print_stdout, reason = "what is told, and after how long, is read by people")]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use lariat::cluster::{Cluster as _, Live, LiveOptions};
use lariat::event::{EventKind, How, Seen};
use lariat::journal;
use lariat::plan::{Query, Resource};
use lariat::record::{Recorder, Tape};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::way::Way;

/// The label that keeps a test's objects apart.
const LABEL: &str = "lariat-test";

fn kubeconfig() -> PathBuf {
    std::env::var_os("LARIAT_LAB_KUBECONFIG").expect("`just lab-test` names the lab's kubeconfig").into()
}

async fn connect(kubeconfig: &Path) -> Live {
    let options = LiveOptions {
        kubeconfig: Some(kubeconfig.to_owned()),
        context: "lab".to_owned(),
        helm: "helm".into(),
        cache: std::env::temp_dir(),
        user_agent: "lariat/test".to_owned(),
    };
    Live::connect(options).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Objects of one kind in the namespace `default` that carry a test's name.
#[derive(Clone)]
struct Things {
    api: Api<DynamicObject>,
    kind: ApiResource,
    test: &'static str,
}

impl Things {
    fn new(client: kube::Client, kind: ApiResource, test: &'static str) -> Self {
        Self { api: Api::namespaced_with(client, "default", &kind), kind, test }
    }

    fn maps(client: kube::Client, test: &'static str) -> Self {
        Self::new(client, ApiResource::erase::<k8s_openapi::api::core::v1::ConfigMap>(&()), test)
    }

    fn query(&self) -> Query {
        Query {
            resource: Resource { group: self.kind.group.clone(), plural: self.kind.plural.clone() },
            namespace: "default".to_owned(),
            name: None,
            labels: Some(format!("{LABEL}={}", self.test)),
            fields: None,
        }
    }

    /// Makes an object; its version.
    async fn make(&self, name: &str) -> String {
        let labels = [(LABEL, self.test)];
        let mut object = DynamicObject::new(name, &self.kind);
        object.metadata.labels = Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        let made = self.api.create(&PostParams::default(), &object).await.expect("it can be made");
        made.metadata.resource_version.expect("every object has a version")
    }

    /// Changes an object; its version.
    async fn change(&self, name: &str, patch: &Value) -> String {
        let changed = self.api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        changed.expect("it can be changed").metadata.resource_version.expect("every object has a version")
    }

    /// Deletes an object as soon as it is there.
    async fn delete_at_once(&self, name: &str) {
        loop {
            match self.api.delete(name, &DeleteParams::default()).await {
                Ok(_) => return,
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What this or an earlier run left.
    async fn clear(&self) {
        let these = kube::api::ListParams::default().labels(&format!("{LABEL}={}", self.test));
        self.api.delete_collection(&DeleteParams::default(), &these).await.expect("they can be deleted");
    }
}

/// A recorder, and what it told.
struct Lookout {
    recorder: Recorder,
    told: Arc<Mutex<Vec<EventKind>>>,
}

impl Lookout {
    fn new(live: &Live) -> Self {
        let told: Arc<Mutex<Vec<EventKind>>> = Arc::default();
        let tape = {
            let told = Arc::clone(&told);
            Tape::new(move |fact| told.lock().expect("nobody panics with it").push(fact.kind))
        };
        let client = live.client().expect("a real cluster has a client");
        Self { recorder: Recorder::new(Some(client), Vec::new(), tape, live.clock()), told }
    }

    fn told(&self) -> Vec<EventKind> {
        self.told.lock().expect("nobody panics with it").clone()
    }

    /// Waits until something was told.
    async fn until(&self, most: Duration, is: impl Fn(&EventKind) -> bool) -> EventKind {
        let end = Instant::now() + most;
        loop {
            if let Some(found) = self.told().into_iter().find(&is) {
                return found;
            }
            assert!(Instant::now() < end, "not within {most:?}: {:#?}", self.told());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Versions of an object, in the order in which they came.
    fn versions(&self, name: &str) -> Vec<String> {
        seen(&self.told(), name).into_iter().map(|seen| seen.version).collect()
    }

    /// Nothing was missed, and no watch was away.
    fn whole(&self) {
        let broken = |kind: &EventKind| matches!(kind, EventKind::WatchGap { .. } | EventKind::WatchLate { .. });
        let found: Vec<EventKind> = self.told().into_iter().filter(broken).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}

fn seen(told: &[EventKind], name: &str) -> Vec<Seen> {
    let of = |kind: &EventKind| match kind {
        EventKind::ObjectSeen(seen) if seen.name == name => Some((**seen).clone()),
        _ => None,
    };
    told.iter().filter_map(of).collect()
}

fn is_confirmed(kind: &EventKind) -> bool {
    matches!(kind, EventKind::WatchConfirmed { .. })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_there_for_a_moment_is_recorded() {
    const OBJECTS: usize = 50;
    let _steady = crate::steady().await;
    let live = connect(&kubeconfig()).await;
    let maps = Things::maps(live.client().expect("a client"), "moment");
    maps.clear().await;
    let lookout = Lookout::new(&live);
    let hold = lookout.recorder.hold(maps.query()).expect("it watches");
    hold.synced().await.expect("it is live");
    for n in 0..OBJECTS {
        let name = format!("moment-{n}");
        tokio::join!(maps.make(&name), maps.delete_at_once(&name));
    }
    hold.confirm().await.expect("it lists");
    let confirmed = lookout.until(Duration::from_secs(15), is_confirmed).await;
    assert!(matches!(&confirmed, EventKind::WatchConfirmed { differences, .. } if differences.is_empty()));
    lookout.whole();
    let told = lookout.told();
    let mut spans: Vec<Duration> = (0..OBJECTS)
        .map(|n| {
            let seen = seen(&told, &format!("moment-{n}"));
            let hows: Vec<How> = seen.iter().map(|seen| seen.how).collect();
            assert_eq!(hows, [How::Added, How::Deleted], "moment-{n}");
            seen[1].arrived.since(seen[0].arrived).duration()
        })
        .collect();
    spans.sort();
    let short = spans.iter().filter(|span| **span <= Duration::from_millis(2)).count();
    println!(
        "{OBJECTS} objects, all seen; {short} were there for 2 ms or less, half for {:?} or less",
        spans[OBJECTS / 2]
    );
    assert!(short > 0, "{spans:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_of_a_burst_is_recorded() {
    const TIMES: usize = 100;
    let _steady = crate::steady().await;
    let live = connect(&kubeconfig()).await;
    let client = live.client().expect("a client");
    let maps = Things::maps(client.clone(), "burst");
    maps.clear().await;
    let lookout = Lookout::new(&live);
    let hold = lookout.recorder.hold(maps.query()).expect("it watches");
    hold.synced().await.expect("it is live");

    // A key that is removed and added again.
    let mut versions = vec![maps.make("burst").await];
    for n in 0..TIMES {
        versions.push(maps.change("burst", &json!({ "data": { "key": "there", "n": n.to_string() } })).await);
        versions.push(maps.change("burst", &json!({ "data": { "key": null } })).await);
    }
    // A status that is flipped and flipped back: that of a service, which nobody here writes.
    let services = Things::new(client, ApiResource::erase::<k8s_openapi::api::core::v1::Service>(&()), "burst");
    let _ = services.api.delete("burst", &DeleteParams::default()).await;
    let hold_services = lookout.recorder.hold(services.query()).expect("it watches");
    hold_services.synced().await.expect("it is live");
    let service: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "burst", "labels": { LABEL: "burst" } },
        "spec": { "clusterIP": "None", "ports": [{ "port": 80 }] },
    }))
    .expect("it is an object");
    let made = services.api.create(&PostParams::default(), &service).await.expect("it can be made");
    let mut of_service = vec![made.metadata.resource_version.expect("a version")];
    let condition = |status: &str| {
        json!({ "status": { "conditions": [{ "type": "Flipped", "status": status, "reason": "Test",
            "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" }] } })
    };
    for _ in 0..TIMES {
        for status in ["True", "False"] {
            let patch = Patch::Merge(condition(status));
            let changed = services.api.patch_status("burst", &PatchParams::default(), &patch).await;
            of_service.push(changed.expect("it can be changed").metadata.resource_version.expect("a version"));
        }
    }
    hold.confirm().await.expect("it lists");
    hold_services.confirm().await.expect("it lists");
    lookout.until(Duration::from_secs(15), is_confirmed).await;
    sleep(Duration::from_millis(500)).await;
    lookout.whole();
    assert_eq!(lookout.versions("burst").len(), versions.len() + of_service.len());
    let told = lookout.told();
    let of = |watch: u32| -> Vec<String> {
        seen(&told, "burst").into_iter().filter(|seen| seen.watch.0 == watch).map(|seen| seen.version).collect()
    };
    assert_eq!(of(0), versions, "each once, in the order in which they were made");
    assert_eq!(of(1), of_service, "each once, in the order in which they were made");
    println!("{} versions of a map and {} of a service's status: all seen", versions.len(), of_service.len());
    maps.clear().await;
    services.api.delete("burst", &DeleteParams::default()).await.expect("it can be deleted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_way_holds_back_is_found_by_the_closing_list_and_by_silence() {
    let _steady = crate::steady().await;
    let text = std::fs::read_to_string(kubeconfig()).expect("the lab's kubeconfig can be read");
    let (way, text) = Way::beside(&text).await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let through = folder.path().join("kubeconfig");
    std::fs::write(&through, text).expect("a file can be written");
    let other = connect(&kubeconfig()).await;
    let maps = Things::maps(other.client().expect("a client"), "silence");
    maps.clear().await;
    maps.make("shown").await;
    let live = connect(&through).await;
    let lookout = Lookout::new(&live);
    let hold = lookout.recorder.hold(maps.query()).expect("it watches");
    hold.synced().await.expect("it is live");

    // The watch itself is asked for once its list is there.
    sleep(Duration::from_secs(1)).await;
    // A second client is faster than the watch: the closing list names what it never showed.
    way.fall_silent();
    let hidden = maps.make("hidden").await;
    let began = Instant::now();
    hold.confirm().await.expect("it lists");
    let confirmed = lookout.until(Duration::from_secs(15), is_confirmed).await;
    println!("closing list: {:?} after it was asked for: {confirmed:?}", began.elapsed());
    let EventKind::WatchConfirmed { differences, .. } = confirmed else { unreachable!() };
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].object.name, "hidden");
    assert!(differences[0].say.contains(&format!("in version {hidden}")), "{}", differences[0].say);
    let gap = lookout.until(Duration::from_secs(5), |kind| matches!(kind, EventKind::WatchGap { .. })).await;
    println!("{gap:?}");
    assert_eq!(lookout.versions("hidden"), [hidden], "it is seen after the gap");

    sleep(Duration::from_secs(1)).await;
    // Nothing but silence tells of this.
    way.fall_silent();
    let began = Instant::now();
    let mut versions = lookout.versions("shown");
    for n in 0..3 {
        versions.push(maps.change("shown", &json!({ "data": { "n": n.to_string() } })).await);
    }
    let late = lookout.until(Duration::from_secs(90), |kind| matches!(kind, EventKind::WatchLate { .. })).await;
    let found = began.elapsed();
    println!("silence: {found:?} after it began: {late:?}");
    assert!(found < Duration::from_secs(80), "{found:?}");
    let EventKind::WatchLate { reason, .. } = late else { unreachable!() };
    assert_eq!(reason, "nothing came for 1m15s, not even a bookmark");
    assert_eq!(lookout.versions("shown"), versions, "nothing was lost");
    maps.clear().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_stopped_for_twenty_seconds_is_late() {
    let _steady = crate::steady().await;
    let live = connect(&kubeconfig()).await;
    let maps = Things::maps(live.client().expect("a client"), "stopped");
    maps.clear().await;
    let mut versions = vec![maps.make("stopped").await];
    let reports = tempfile::tempdir().expect("a folder can be made");
    let selector = format!("{LABEL}=stopped");
    let mut watching = Command::new(env!("CARGO_BIN_EXE_lariat"))
        .args(["watch", "--context", "lab", "-n", "default", "-l", &selector, "configmaps", "--progress", "plain"])
        .args(["--color", "never", "--kubeconfig"])
        .arg(kubeconfig())
        .arg("--reports")
        .arg(reports.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    let send =
        |signal| kill(Pid::from_raw(i32::try_from(watching.id()).expect("a small id")), signal).expect("it is ours");
    let file = reports.path().join("watch/latest/events.jsonl");
    while !std::fs::read_to_string(&file).unwrap_or_default().contains("watch-listed") {
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_secs(2)).await;
    send(Signal::SIGSTOP);
    for n in 0..5 {
        versions.push(maps.change("stopped", &json!({ "data": { "n": n.to_string() } })).await);
    }
    sleep(Duration::from_secs(20)).await;
    send(Signal::SIGCONT);
    let went_on = Instant::now();
    while !std::fs::read_to_string(&file).unwrap_or_default().contains("watch-late") {
        assert!(went_on.elapsed() < Duration::from_secs(15), "it says nothing of having stood still");
        sleep(Duration::from_millis(20)).await;
    }
    println!("told {:?} after it went on", went_on.elapsed());
    send(Signal::SIGINT);
    let mut told = String::new();
    watching.stderr.take().expect("it is piped").read_to_string(&mut told).expect("it can be read");
    let ended = watching.wait().expect("it ends");
    println!("{told}");
    assert_eq!(ended.code(), Some(0), "{told}");
    let recording = journal::read(&file).expect("the journal can be read");
    let kinds: Vec<EventKind> = recording.events.into_iter().map(|event| event.kind).collect();
    let recorded: Vec<String> = seen(&kinds, "stopped").into_iter().map(|seen| seen.version).collect();
    assert_eq!(recorded, versions, "nothing was lost");
    assert!(!kinds.iter().any(|kind| matches!(kind, EventKind::WatchGap { .. })), "{told}");
    assert!(told.contains("LATE") && told.contains("this process stood still for 2"), "{told}");
    maps.clear().await;
}
