use std::fmt;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::Value;

use super::ask::{ask, ask_opt};
use super::brief::brief;
use super::{Error, StepContext};
use crate::check::{Track, TrackKey};
use crate::event::Class;
use crate::plan::{Resource, Text};

/// The annotation by which a pod names the container that is meant without a name
/// (`kubectl/pkg/cmd/util/podcmd`, `DefaultContainerAnnotationName`).
const DEFAULT: &str = "kubectl.kubernetes.io/default-container";

/// A running container: where a command can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) uid: String,
    pub(super) name: String,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pods/{} (container {})", self.pod, self.name)
    }
}

/// How a verb names the container.
#[derive(Clone, Copy)]
pub(super) struct Inside<'a> {
    pub(super) on: Option<&'a String>,
    pub(super) pod: Option<&'a Text>,
    pub(super) namespace: Option<&'a Text>,
    pub(super) container: Option<&'a Text>,
}

impl Container {
    /// Finds the container and sees that it runs.
    pub(super) async fn find(named: Inside<'_>, ctx: &StepContext) -> Result<Self, Error> {
        let wanted = ctx.get_opt(named.container)?;
        match (named.on, named.pod) {
            (Some(on), None) => {
                let (key, pod) = only(on, ctx).await?;
                Self::of(&key.namespace, &key.name, pod.o.value(), wanted.as_deref())
            }
            (None, Some(pod)) => {
                let namespace = ctx.namespace(named.namespace)?;
                Self::named(&namespace, &ctx.get(pod)?, wanted.as_deref(), ctx).await
            }
            _ => Err(Error::new(
                Class::Broken,
                "this step must say which pod: either `on` (a selection of one pod) or `pod` (its name)",
            )),
        }
    }

    /// The same container of the same pod again, after the connection to it was lost.
    pub(super) async fn again(&self, ctx: &StepContext) -> Result<Self, Error> {
        Self::named(&self.namespace, &self.pod, Some(&self.name), ctx).await
    }

    async fn named(namespace: &str, pod: &str, wanted: Option<&str>, ctx: &StepContext) -> Result<Self, Error> {
        let api: Api<Pod> = Api::namespaced(ctx.client()?, namespace);
        let found = ask_opt(ctx, &format!("GET pods/{pod}"), || api.get(pod)).await?;
        let Some(found) = found else {
            return Err(Error::new(Class::Missing, format!("there is no pod `{pod}` in namespace `{namespace}`")));
        };
        let found = serde_json::to_value(found)
            .map_err(|error| Error::from_source(Class::Broken, "the pod is no JSON", error))?;
        Self::of(namespace, pod, &found, wanted)
    }

    fn of(namespace: &str, name: &str, pod: &Value, wanted: Option<&str>) -> Result<Self, Error> {
        let (status, spec) = (&pod["status"], &pod["spec"]);
        if spec["nodeName"].as_str().is_none_or(str::is_empty) {
            return Err(Error::new(
                Class::Refused,
                format!("pods/{name} is on no node yet, so nothing can be run in it"),
            )
            .observed(format!("pods/{name}: {}", brief(pod))));
        }
        let container = choose(name, pod, wanted)?;
        let state = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"]
            .into_iter()
            .flat_map(|list| status[list].as_array().into_iter().flatten())
            .find(|status| status["name"] == container.as_str())
            .map(|status| &status["state"]);
        let phase = status["phase"].as_str().unwrap_or("Running");
        let runs = match state {
            Some(state) => state.get("running").is_some(),
            None => phase == "Running",
        };
        if !runs {
            let state = match state {
                Some(state) => said(state),
                None => phase.to_owned(),
            };
            return Err(Error::new(
                Class::Refused,
                format!("container {container} of pods/{name} is not running: {state}"),
            )
            .observed(format!("pods/{name}: {}", brief(pod))));
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            pod: name.to_owned(),
            uid: pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned(),
            name: container,
        })
    }
}

/// The container that is meant: the one named, the pod's default, or its first.
fn choose(name: &str, pod: &Value, wanted: Option<&str>) -> Result<String, Error> {
    let names: Vec<&str> = ["containers", "initContainers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
        .filter_map(|container| container["name"].as_str())
        .collect();
    let default = pod["metadata"]["annotations"][DEFAULT].as_str().filter(|default| names.contains(default));
    match wanted {
        Some(wanted) if names.contains(&wanted) => Ok(wanted.to_owned()),
        Some(wanted) => Err(Error::new(Class::Missing, format!("pods/{name} has no container `{wanted}`"))
            .expected(format!("one of {}", names.join(", ")))),
        None => default
            .or(names.first().copied())
            .map(str::to_owned)
            .ok_or_else(|| Error::new(Class::Missing, format!("pods/{name} has no container"))),
    }
}

/// What a container's state says, such as `waiting (CrashLoopBackOff)`.
fn said(state: &Value) -> String {
    let Some((word, detail)) = state.as_object().and_then(|state| state.iter().next()) else {
        return "nothing is known of it".to_owned();
    };
    match (detail["reason"].as_str(), detail["exitCode"].as_i64()) {
        (Some(reason), Some(code)) => format!("{word} ({reason}, exit code {code})"),
        (Some(reason), None) => format!("{word} ({reason})"),
        (None, _) => word.clone(),
    }
}

/// The one live pod of a selection.
async fn only(on: &str, ctx: &StepContext) -> Result<(TrackKey, Track), Error> {
    let mut pods = pods(on, ctx).await?;
    let lives = |(_, track): &(TrackKey, Track)| {
        let pod = track.o.value();
        let finished = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        !finished && pod["metadata"].get("deletionTimestamp").is_none()
    };
    let mut live = pods.iter().enumerate().filter(|(_, pod)| lives(pod));
    if let (Some((at, _)), None) = (live.next(), live.next()) {
        return Ok(pods.swap_remove(at));
    }
    let count = pods.iter().filter(|pod| lives(pod)).count();
    let mut error = Error::new(
        Class::Refused,
        format!("`{on}` must select exactly one live pod and selects {count}, so nothing was done"),
    );
    error.observed = pods.iter().map(|(key, track)| format!("pods/{key}: {}", brief(track.o.value()))).collect();
    if error.observed.is_empty() {
        error.observed.push(format!("`{on}` selects no pod"));
    }
    Err(error)
}

/// The pods of a selection as a list gives them now.
pub(super) async fn pods(on: &str, ctx: &StepContext) -> Result<Vec<(TrackKey, Track)>, Error> {
    let id = &ctx.selection(on).id;
    let resource = &ctx.recorder.query(id).resource;
    let pods = if *resource == Resource::core("pods") {
        ask(ctx, "LIST pods", || ctx.recorder.list(id)).await?
    } else {
        return Err(Error::new(Class::Broken, format!("`{on}` selects {resource}, not pods")));
    };
    if pods.iter().any(|(key, _)| key.key.is_some()) {
        return Err(Error::new(Class::Broken, format!("`{on}` selects entries inside pods, not pods")));
    }
    Ok(pods)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_container_is_the_one_named_or_the_default_and_must_run() {
        let pod = |status: Value| {
            json!({
                "metadata": { "name": "p", "uid": "u", "annotations": { DEFAULT: "main" } },
                "spec": { "nodeName": "n1", "containers": [{ "name": "side" }, { "name": "main" }], "initContainers": [{ "name": "first" }] },
                "status": status,
            })
        };
        let running = || pod(json!({ "phase": "Running" }));
        let waiting = pod(json!({ "phase": "Running", "containerStatuses": [
            { "name": "main", "state": { "waiting": { "reason": "CrashLoopBackOff" } } }, { "name": "side", "state": { "running": {} } }] }));
        let ended = pod(json!({ "phase": "Failed", "containerStatuses": [
            { "name": "main", "state": { "terminated": { "reason": "Error", "exitCode": 3 } } }] }));
        let mut plain = running();
        plain["metadata"]["annotations"] = Value::Null;
        let mut homeless = running();
        homeless["spec"]["nodeName"] = Value::Null;
        let cases = [
            (&running(), None, Ok("main")),
            (&running(), Some("first"), Ok("first")),
            (&plain, None, Ok("side")),
            (&running(), Some("other"), Err((Class::Missing, "pods/p has no container `other`"))),
            (&waiting, Some("side"), Ok("side")),
            (
                &waiting,
                None,
                Err((Class::Refused, "container main of pods/p is not running: waiting (CrashLoopBackOff)")),
            ),
            (
                &ended,
                None,
                Err((Class::Refused, "container main of pods/p is not running: terminated (Error, exit code 3)")),
            ),
            (
                &pod(json!({ "phase": "Pending" })),
                None,
                Err((Class::Refused, "container main of pods/p is not running: Pending")),
            ),
            (&homeless, None, Err((Class::Refused, "pods/p is on no node yet, so nothing can be run in it"))),
        ];
        for (pod, wanted, expected) in cases {
            let found = Container::of("ns", "p", pod, wanted);
            let found =
                found.as_ref().map(|found| found.name.as_str()).map_err(|error| (error.class, error.message.as_str()));
            assert_eq!(found, expected);
        }
    }
}
