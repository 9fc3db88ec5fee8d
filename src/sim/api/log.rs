//! A container's log: the lines that were printed for it, and those to come.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::watch;

use super::call::Call;
use super::container;
use super::program::LogLine;
use super::server::Server;
use super::state::State;
use super::status::{Cause, Refusal};
use super::store::{Delivery, Ticket};

/// A log that is being read.
#[derive(Debug)]
pub(crate) struct Log {
    namespace: String,
    pod: String,
    uid: String,
    container: String,
    timestamps: bool,
    /// Text to send first; the rest is sent as it comes while following.
    first: String,
    seen: usize,
    nowhere: bool,
    follow: Option<Follow>,
}

#[derive(Debug)]
struct Follow {
    lines: watch::Receiver<u64>,
    pods: Ticket,
}

/// Opens a log.
pub(crate) fn open(state: &mut State, call: &Call) -> Result<Log, Refusal> {
    let drawer = call.resource.drawer();
    let pod = state
        .store
        .get(&drawer, &call.key())
        .cloned()
        .ok_or_else(|| Refusal::not_found(&call.resource, call.name()))?;
    let container = container::pick(&pod, call.query.text("container"))?;
    let mut causes = Vec::new();
    for (field, least) in [("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1)] {
        if let Some(number) = call.query.number(field).filter(|number| *number < least) {
            let why = if least == 0 { "must be greater than or equal to 0" } else { "must be greater than 0" };
            causes.push(Cause::invalid(field, &number.into(), why));
        }
    }
    if !causes.is_empty() {
        return Err(Refusal::invalid_kind("", "PodLogOptions", pod.name(), &causes));
    }
    let lines = if call.query.flag("previous") {
        state.programs.previous_log(&call.namespace, pod.name(), &container.name).ok_or_else(|| {
            let (container, pod) = (&container.name, pod.name());
            Refusal::bad_request(format!("previous terminated container {container:?} in pod {pod:?} not found"))
        })?
    } else {
        state.programs.log(&call.namespace, pod.name(), &container.name)
    };
    let seen = lines.len();
    let since = match (call.query.number("sinceSeconds"), call.query.text("sinceTime")) {
        (Some(seconds), _) => Some(call.now - SignedDuration::from_secs(seconds)),
        (None, Some(time)) => time.parse::<Timestamp>().ok(),
        (None, None) => None,
    };
    let mut shown: Vec<&LogLine> = lines.iter().filter(|line| since.is_none_or(|since| line.at >= since)).collect();
    if let Some(tail) = call.query.number("tailLines").and_then(|tail| usize::try_from(tail).ok()) {
        shown = shown.split_off(shown.len().saturating_sub(tail));
    }
    let timestamps = call.query.flag("timestamps");
    let mut first: String = shown.into_iter().map(|line| text(line, timestamps)).collect();
    if let Some(limit) = call.query.number("limitBytes").and_then(|limit| usize::try_from(limit).ok()) {
        first.truncate(first.floor_char_boundary(limit));
    }
    let follow = if call.query.flag("follow") && !call.query.flag("previous") && !is_over(&pod) {
        let now = state.store.revision();
        let pods = state.store.watch(&drawer, now).map_err(|_| Refusal::internal("the present is never compacted"))?.1;
        Some(Follow { lines: state.programs.printed(), pods })
    } else {
        None
    };
    Ok(Log {
        namespace: call.namespace.clone(),
        pod: pod.name().to_owned(),
        uid: pod.uid().to_owned(),
        container: container.name,
        timestamps,
        first,
        seen,
        nowhere: pod.at(&["spec", "nodeName"]).and_then(Value::as_str).unwrap_or_default().is_empty(),
        follow,
    })
}

impl Log {
    /// Whether the pod has no node yet.
    pub(crate) fn is_nowhere(&self) -> bool {
        self.nowhere
    }
}

/// The log as a body; while following it ends with its pod.
pub(crate) fn body(log: Log, server: Arc<Server>) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
    let reading = Reading { log, server, over: false };
    stream::unfold(reading, |mut reading| async move {
        let text = reading.next().await?;
        Some((Ok(Bytes::from(text)), reading))
    })
}

struct Reading {
    log: Log,
    server: Arc<Server>,
    over: bool,
}

impl Reading {
    async fn next(&mut self) -> Option<String> {
        if !self.log.first.is_empty() {
            return Some(std::mem::take(&mut self.log.first));
        }
        loop {
            let fresh = self.fresh();
            if !fresh.is_empty() {
                return Some(fresh);
            }
            if self.over {
                return None;
            }
            let follow = self.log.follow.as_mut()?;
            tokio::select! {
                biased;
                changed = follow.lines.changed() => changed.ok()?,
                delivery = follow.pods.receiver.recv() => {
                    self.over = match delivery {
                        Some(Delivery::Change(change)) => {
                            change.after.uid() == self.log.uid && (change.deleted || is_over(&change.after))
                        }
                        Some(Delivery::UpTo(_)) => false,
                        Some(Delivery::End(_)) | None => true,
                    };
                }
            }
        }
    }

    /// What has been printed since the last look.
    fn fresh(&mut self) -> String {
        let log = &self.log;
        let lines = self.server.with(|state| state.programs.log(&log.namespace, &log.pod, &log.container));
        let fresh = lines.iter().skip(log.seen).map(|line| text(line, log.timestamps)).collect();
        self.log.seen = lines.len();
        fresh
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(follow) = &self.log.follow {
            let id = follow.pods.id;
            self.server.with(|state| state.store.leave(id));
        }
    }
}

fn is_over(pod: &super::object::Object) -> bool {
    matches!(pod.at(&["status", "phase"]).and_then(Value::as_str), Some("Succeeded" | "Failed"))
}

fn text(line: &LogLine, timestamps: bool) -> String {
    if timestamps {
        format!("{} {}\n", line.at.strftime("%Y-%m-%dT%H:%M:%S.%9fZ"), line.text)
    } else {
        format!("{}\n", line.text)
    }
}
