use std::time::Duration;

use futures::io::AsyncBufReadExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use serde_json::Value;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::ask::ask;
use super::cabinet::{Cabinet, Filing, Kept};
use super::{Error, StepContext};

/// Most bytes of one line that are taken as one.
const LONGEST: u64 = 1 << 20;

/// How long after a log's end it is asked whether there is more.
const AGAIN: Duration = Duration::from_secs(1);

/// kube rounds the time since when lines are wanted to the next second, up or down.
const SLACK: k8s_openapi::jiff::SignedDuration = k8s_openapi::jiff::SignedDuration::from_secs(1);

/// A container's life, from its start to its end: what has one log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Life {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) uid: String,
    pub(super) container: String,
    /// How often the container was restarted before.
    pub(super) restarts: u64,
}

/// The containers of a pod that have a log by now, and whether each still writes to it.
pub(super) fn lives(pod: &Value) -> Vec<(Life, bool)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (meta, spec, status) = (&pod["metadata"], &pod["spec"], &pod["status"]);
    let statuses: Vec<&Value> = ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"]
        .iter()
        .flat_map(|list| status[list].as_array().into_iter().flatten())
        .collect();
    let containers = ["initContainers", "containers", "ephemeralContainers"]
        .iter()
        .flat_map(|list| spec[list].as_array().into_iter().flatten());
    let phase = status["phase"].as_str().unwrap_or("Running");
    containers
        .filter_map(|container| {
            let status = statuses.iter().find(|status| status["name"] == container["name"]);
            let (begun, runs) = match status {
                Some(status) => (status["state"].get("waiting").is_none(), status["state"].get("running").is_some()),
                None => (phase != "Pending", phase == "Running"),
            };
            let life = Life {
                namespace: text(&meta["namespace"]),
                pod: text(&meta["name"]),
                uid: text(&meta["uid"]),
                container: text(&container["name"]),
                restarts: status.and_then(|status| status["restartCount"].as_u64()).unwrap_or(0),
            };
            begun.then_some((life, runs))
        })
        .collect()
}

/// The log of a container as it is now, into a file.
pub(super) async fn read(life: &Life, previous: bool, cabinet: &Cabinet, ctx: &StepContext) -> Result<Kept, Error> {
    let suffix = if previous { ".previous.log" } else { ".log" };
    let params =
        LogParams { container: Some(life.container.clone()), timestamps: true, previous, ..LogParams::default() };
    let mut lines = open(life, &params, ctx).await?;
    let file = format!("{}{suffix}", life.container);
    let mut filing = cabinet.open(&["logs", &life.namespace, &life.pod, &file])?;
    let mut about = format!("log of {} in pods/{}", life.container, life.pod);
    if previous {
        about += " before its restart";
    }
    // What was read before a connection broke, or time was over, is kept.
    loop {
        match tokio::time::timeout_at(ctx.deadline, lines.next()).await {
            Ok(Ok(Some(line))) => filing.push(&line)?,
            Ok(Ok(None)) => break,
            Ok(Err(_)) | Err(_) => {
                about += ", cut short";
                break;
            }
        }
    }
    filing.close(about)
}

/// Follows the log of a container until its life is over or `stop` asks for an end.
///
/// A stream that breaks is opened again from the last line seen. `opened` is said once,
/// when the first stream is open or could not be opened.
pub(super) async fn follow(
    life: Life,
    over: CancellationToken,
    stop: CancellationToken,
    cabinet: Cabinet,
    opened: impl FnOnce() + Send,
    ctx: StepContext,
) -> Result<Option<Kept>, Error> {
    let mut opened = Some(opened);
    let mut filing: Option<Filing> = None;
    let mut last = String::new();
    loop {
        let ending = over.is_cancelled();
        let params = LogParams {
            container: Some(life.container.clone()),
            timestamps: true,
            follow: true,
            since_time: time_of(&last).map(|time| time - SLACK),
            ..LogParams::default()
        };
        let lines = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            lines = open(&life, &params, &ctx) => lines,
        };
        // A log that can't be read now, because its container is gone or not yet there.
        if let Ok(mut lines) = lines {
            if let Some(opened) = opened.take() {
                opened();
            }
            loop {
                let line = tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    line = lines.next() => line,
                };
                let Ok(Some(line)) = line else { break };
                let time = line.split(' ').next().unwrap_or_default();
                // The server is asked for a little more than is wanted.
                if !last.is_empty() && time_of(time).is_some() && time <= last.as_str() {
                    continue;
                }
                time.clone_into(&mut last);
                let filing = match &mut filing {
                    Some(filing) => filing,
                    None => filing.insert(begin(&life, &cabinet)?),
                };
                filing.push(&line)?;
            }
        }
        if let Some(opened) = opened.take() {
            opened();
        }
        if ending || stop.is_cancelled() {
            break;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = over.cancelled() => {}
            () = sleep(AGAIN) => {}
        }
    }
    let about = format!("log of {} in pods/{}, as it was written", life.container, life.pod);
    filing.map(|filing| filing.close(about)).transpose()
}

fn begin(life: &Life, cabinet: &Cabinet) -> Result<Filing, Error> {
    // Another pod may have the same name later, and a container another life.
    let uid: String = life.uid.chars().take(8).collect();
    let pod = format!("{}.{uid}", life.pod);
    let file = match life.restarts {
        0 => format!("{}.log", life.container),
        restarts => format!("{}.{restarts}.log", life.container),
    };
    cabinet.open(&["logs", &life.namespace, &pod, &file])
}

async fn open(life: &Life, params: &LogParams, ctx: &StepContext) -> Result<LogLines, Error> {
    let api: Api<Pod> = Api::namespaced(ctx.client()?, &life.namespace);
    let request = format!("LOG pods/{} {}", life.pod, life.container);
    let reader = ask(ctx, &request, || api.log_stream(&life.pod, params)).await?;
    Ok(LogLines(Box::pin(reader)))
}

/// A log line by line.
struct LogLines(std::pin::Pin<Box<dyn futures::io::AsyncBufRead + Send>>);

impl LogLines {
    /// The next line with its break; `None` at the end.
    async fn next(&mut self) -> std::io::Result<Option<String>> {
        use futures::AsyncReadExt as _;
        let mut line = Vec::new();
        let mut bounded = (&mut self.0).take(LONGEST);
        let read = bounded.read_until(b'\n', &mut line).await?;
        Ok((read > 0).then(|| String::from_utf8_lossy(&line).into_owned()))
    }
}

/// The time of a log's line, if it is one.
fn time_of(time: &str) -> Option<k8s_openapi::jiff::Timestamp> {
    time.parse().ok()
}
