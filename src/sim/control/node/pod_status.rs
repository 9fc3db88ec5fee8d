//! A pod's status, as a kubelet of v1.34 writes it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::vessel::{Ended, State, Vessel};
use super::worker::{Setup, Worker, host_ip};

/// The parts of the status that the kubelet owns.
pub(super) fn status(worker: &Worker, number: usize, now: Timestamp) -> Value {
    let phase = phase(worker);
    let over = ["Succeeded", "Failed"].contains(&phase);
    let (init, main): (Vec<&Vessel>, Vec<&Vessel>) = worker.vessels.iter().partition(|vessel| vessel.init);
    let host = host_ip(number);
    let mut status = Map::new();
    let mut set = |field: &str, value: Value| {
        status.insert(field.to_owned(), value);
    };
    set("observedGeneration", json!(worker.pod.generation()));
    set("phase", json!(phase));
    set("conditions", conditions(worker, phase, &init, &main, now));
    set("hostIP", json!(host));
    set("hostIPs", json!([{"ip": host}]));
    if !worker.ip.is_empty() && is_begun(worker) {
        set("podIP", json!(worker.ip));
        set("podIPs", json!([{"ip": worker.ip}]));
    }
    set("startTime", json!(text(worker.begun)));
    let started = init.iter().all(|vessel| vessel.lets_others_begin());
    if !init.is_empty() {
        let shown: Vec<Value> = init.iter().map(|vessel| container(worker, vessel, true, now)).collect();
        set("initContainerStatuses", shown.into());
    }
    let shown: Vec<Value> = main.iter().map(|vessel| container(worker, vessel, started || over, now)).collect();
    set("containerStatuses", shown.into());
    Value::Object(status)
}

/// Whether something of it runs or has run: before that its kubelet does not look whether the sandbox stands.
fn is_begun(worker: &Worker) -> bool {
    let begins =
        |vessel: &Vessel| matches!(vessel.state, State::Waiting | State::Creating { .. }) && vessel.last.is_none();
    !worker.vessels.iter().all(begins)
}

/// A pod that is on its way down is shown as it was until all of it has ended.
fn is_held(worker: &Worker) -> bool {
    worker.dying.is_some() && worker.setup == Setup::Up
}

/// `getPhase` of `pkg/kubelet/kubelet_pods.go`.
fn phase(worker: &Worker) -> &'static str {
    let policy = worker.policy();
    let (init, main): (Vec<&Vessel>, Vec<&Vessel>) = worker.vessels.iter().partition(|vessel| vessel.init);
    if init.iter().any(|vessel| !vessel.is_sidecar() && vessel.ended().is_none_or(|ended| ended.code != 0)) {
        let failed = init.iter().any(|vessel| {
            !vessel.is_sidecar() && policy == "Never" && vessel.ended().is_some_and(|ended| ended.code != 0)
        });
        let over = [Setup::Over, Setup::Down].contains(&worker.setup);
        return if over && (failed || worker.dying.is_some()) { "Failed" } else { "Pending" };
    }
    let (mut running, mut waiting, mut stopped, mut well) = (0, 0, 0, 0);
    for vessel in &main {
        match (&vessel.state, &vessel.last) {
            (State::Running(_), _) => running += 1,
            (State::Ended { .. }, _) if is_held(worker) => running += 1,
            (State::Ended { ended, .. }, _) => {
                stopped += 1;
                well += usize::from(ended.code == 0);
            }
            (_, Some(_)) => stopped += 1,
            (_, None) => waiting += 1,
        }
    }
    let terminal = [Setup::Over, Setup::Down].contains(&worker.setup);
    match () {
        () if terminal && stopped == 0 => "Failed",
        () if waiting > 0 && !terminal => "Pending",
        () if !terminal && running == 0 && stopped > 0 => "Running",
        () if running > 0 => "Running",
        () if stopped == well => "Succeeded",
        () => "Failed",
    }
}

fn conditions(worker: &Worker, phase: &str, init: &[&Vessel], main: &[&Vessel], now: Timestamp) -> Value {
    let pod = &worker.pod;
    let has_sandbox = worker.setup == Setup::Up && is_begun(worker);
    let unfinished: Vec<&str> = init
        .iter()
        .filter(|vessel| !(vessel.lets_others_begin() || vessel.is_sidecar() && vessel.ended().is_some()))
        .map(|vessel| vessel.name.as_str())
        .collect();
    let unready: Vec<&str> = main
        .iter()
        .chain(init.iter().filter(|vessel| vessel.is_sidecar()))
        .filter(|vessel| !is_ready(vessel, is_held(worker), now))
        .map(|vessel| vessel.name.as_str())
        .collect();
    let ready = |of: &[&str]| -> (bool, Option<(&str, String)>) {
        match phase {
            "Succeeded" => (false, Some(("PodCompleted", String::new()))),
            "Failed" => (false, Some(("PodFailed", String::new()))),
            _ if of.is_empty() => (true, None),
            _ => (false, Some(("ContainersNotReady", format!("containers with unready status: [{}]", of.join(" "))))),
        }
    };
    let initialized = if phase == "Succeeded" {
        (true, Some(("PodCompleted", String::new())))
    } else if unfinished.is_empty() {
        (true, None)
    } else {
        let text = format!("containers with incomplete status: [{}]", unfinished.join(" "));
        (false, Some(("ContainersNotInitialized", text)))
    };
    let containers = ready(&unready);
    let gated = pod.items("/spec/readinessGates").iter().any(|gate| {
        let kind = gate["conditionType"].as_str().unwrap_or_default();
        !pod.is(kind)
    });
    let whole = if containers.0 && gated {
        (false, Some(("ReadinessGatesNotReady", "the status of pod readiness gates is not \"True\"".to_owned())))
    } else {
        containers.clone()
    };
    let all = [
        ("PodReadyToStartContainers", (has_sandbox, None)),
        ("Initialized", initialized),
        ("Ready", whole),
        ("ContainersReady", containers),
    ];
    let mut shown: Vec<Value> = Vec::new();
    for (kind, (truth, why)) in all {
        let before = pod.condition(kind);
        let word = if truth { "True" } else { "False" };
        let since = before.filter(|before| before["status"] == word).map(|before| before["lastTransitionTime"].clone());
        let mut condition = json!({
            "type": kind, "status": word, "lastProbeTime": null,
            "lastTransitionTime": since.unwrap_or_else(|| text(now).into()),
            "observedGeneration": pod.generation(),
        });
        if let Some((reason, message)) = why {
            condition["reason"] = reason.into();
            if !message.is_empty() {
                condition["message"] = message.into();
            }
        }
        shown.push(condition);
    }
    if let Some(scheduled) = pod.condition("PodScheduled") {
        let mut scheduled = scheduled.clone();
        scheduled["observedGeneration"] = json!(pod.generation());
        shown.push(scheduled);
    }
    shown.into()
}

/// Whether a container counts as ready: a sidecar as it is, others while they run and their probes agree.
fn is_ready(vessel: &Vessel, held: bool, now: Timestamp) -> bool {
    match &vessel.state {
        State::Running(run) => run.ready,
        // Nobody has looked at it since, but for a probe over the network, which has failed meanwhile.
        State::Ended { .. } if held && !vessel.init => vessel.missed_at().is_none_or(|at| now < at),
        State::Ended { ended, .. } => vessel.init && !vessel.is_sidecar() && ended.code == 0,
        _ => false,
    }
}

fn container(worker: &Worker, vessel: &Vessel, initialized: bool, now: Timestamp) -> Value {
    let pod = &worker.pod;
    let state = match &vessel.state {
        State::Running(run) => json!({"running": {"startedAt": text(run.started)}}),
        State::Ended { ended, .. } if is_held(worker) && !vessel.init => {
            json!({"running": {"startedAt": text(ended.started)}})
        }
        State::Ended { ended, .. } => terminated(ended),
        State::BackOff { shown, .. } if *shown > now => vessel.last.as_ref().map_or_else(|| json!({}), terminated),
        State::BackOff { wait, .. } => {
            let (name, namespace, uid) = (pod.name(), pod.namespace(), pod.uid());
            let wait = shown(*wait);
            let container = &vessel.name;
            waiting(
                "CrashLoopBackOff",
                &format!("back-off {wait} restarting failed container={container} pod={name}_{namespace}({uid})"),
            )
        }
        State::PullFailed { why, waits, .. } => {
            if why.contains("pull policy of Never") {
                waiting("ErrImageNeverPull", why)
            } else if *waits {
                waiting(
                    "ImagePullBackOff",
                    &format!("Back-off pulling image \"{}\": ErrImagePull: {why}", vessel.image),
                )
            } else {
                waiting("ErrImagePull", why)
            }
        }
        State::Waiting | State::Pulling { .. } | State::Creating { .. } => {
            waiting(if initialized && !worker.vessels[0].init { "ContainerCreating" } else { "PodInitializing" }, "")
        }
    };
    let id = match &vessel.state {
        State::Running(run) => run.id.clone(),
        State::Ended { ended, .. } => ended.id.clone(),
        _ => vessel.last.as_ref().map(|last| last.id.clone()).unwrap_or_default(),
    };
    let mut shown = Map::new();
    let mut set = |field: &str, value: Value| {
        shown.insert(field.to_owned(), value);
    };
    if !id.is_empty() {
        set("containerID", id.into());
    }
    let known = matches!(vessel.state, State::Running(_) | State::Ended { .. }) || vessel.last.is_some();
    set("image", if known { full_name(&vessel.image).into() } else { vessel.image.clone().into() });
    set("imageID", if known { image_id(&vessel.image).into() } else { "".into() });
    set("lastState", vessel.last.as_ref().map_or_else(|| json!({}), terminated));
    set("name", vessel.name.clone().into());
    set("ready", is_ready(vessel, is_held(worker), now).into());
    if known {
        set("resources", json!(vessel.spec.get("resources").cloned().unwrap_or_else(|| json!({}))));
    }
    set("restartCount", vessel.restarts.into());
    let up = matches!(&vessel.state, State::Running(run) if run.is_up);
    set("started", up.into());
    set("state", state);
    Value::Object(shown)
}

fn waiting(reason: &str, message: &str) -> Value {
    let mut state = json!({"waiting": {"reason": reason}});
    if !message.is_empty() {
        state["waiting"]["message"] = message.into();
    }
    state
}

fn terminated(ended: &Ended) -> Value {
    json!({"terminated": {
        "containerID": ended.id, "exitCode": ended.code, "finishedAt": text(ended.finished), "reason": ended.reason(),
        "startedAt": text(ended.started),
    }})
}

/// An image's digest: the embedded registry gives one to each name.
fn image_id(image: &str) -> String {
    format!("sha256:{}", super::files::sha256(image.as_bytes()))
}

/// An image's name as containerd gives it back.
fn full_name(image: &str) -> String {
    match image.split_once('/') {
        None => format!("docker.io/library/{image}"),
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => image.to_owned(),
        Some(_) => format!("docker.io/{image}"),
    }
}

/// A wait as Go prints durations: `10s`, `2m40s`.
fn shown(wait: std::time::Duration) -> String {
    let (minutes, seconds) = (wait.as_secs() / 60, wait.as_secs() % 60);
    if minutes == 0 { format!("{seconds}s") } else { format!("{minutes}m{seconds}s") }
}

fn text(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
