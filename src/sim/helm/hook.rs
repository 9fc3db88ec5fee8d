use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use kube::Api;
use kube::api::{DynamicObject, WatchEvent, WatchParams};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::apply::{Hands, name};
use super::ledger::plain;
use super::record::{HookRecord, Record};
use crate::clock::Clock;

/// How long helm lets a watch stand before it asks again.
const WATCH: u32 = 290;

/// The pause after a watch that could not be opened.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs the hooks of one event, by weight and name, each to its end. The record is told how each went.
pub(super) async fn run(
    record: &mut Record,
    event: &str,
    hands: &mut Hands,
    clock: Clock,
    most: Duration,
) -> Result<(), String> {
    let due: Vec<usize> =
        (0..record.hooks.len()).filter(|at| record.hooks[*at].events.iter().any(|known| known == event)).collect();
    let objects: Vec<Value> = due.iter().map(|at| record.hooks[*at].object()).collect();
    hands.build(&objects, &format!("unable to build kubernetes object for {event} hook")).await?;
    for (at, object) in due.iter().zip(&objects) {
        let hook = &mut record.hooks[*at];
        if hook.has("before-hook-creation") || hook.delete_policies.is_empty() {
            remove(hands, object, most).await?;
        }
        hook.last_run.started_at = clock.now().to_string();
        "Running".clone_into(&mut hook.last_run.phase);
        let made =
            hands.put(object).await.map_err(|error| format!("warning: Hook {event} {} failed: {error}", hook.name));
        let ended = match made {
            Ok(()) => until_done(hands, object, most).await,
            Err(error) => Err(error),
        };
        hook.last_run.completed_at = clock.now().to_string();
        let phase = if ended.is_ok() { "Succeeded" } else { "Failed" };
        phase.clone_into(&mut hook.last_run.phase);
        if let Err(error) = ended {
            if hook.has("hook-failed") {
                hands.delete(object).await?;
            }
            return Err(error);
        }
    }
    for (at, object) in due.iter().zip(&objects).rev() {
        if record.hooks[*at].has("hook-succeeded") {
            remove(hands, object, most).await?;
        }
    }
    Ok(())
}

impl HookRecord {
    fn has(&self, policy: &str) -> bool {
        self.delete_policies.iter().any(|known| known == policy)
    }
}

/// Deletes an object and waits until it is gone.
async fn remove(hands: &Hands, object: &Value, most: Duration) -> Result<(), String> {
    hands.delete(object).await?;
    let api = hands.api(object);
    let what = name(object);
    let gone = follow(&api, &what, most, |found| match found {
        None => Some(Ok(())),
        Some(_) => None,
    });
    gone.await.unwrap_or_else(|| Err("timed out waiting for the condition".to_owned()))
}

/// Waits until a hook has ended: a job when it is complete, a pod when it has succeeded, others at once.
async fn until_done(hands: &Hands, object: &Value, most: Duration) -> Result<(), String> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let judge: fn(&Value) -> Option<Result<(), String>> = match kind {
        "Job" => job,
        "Pod" => pod,
        _ => return Ok(()),
    };
    let api = hands.api(object);
    let place = api.resource_url();
    let namespace = place.split("/namespaces/").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let what = format!("resource {kind}/{namespace}/{} not ready", name(object));
    let called = name(object);
    let ended = follow(&api, &called, most, |found| match found {
        Some(found) => judge(&serde_json::to_value(found).unwrap_or_default()),
        None => Some(Err("status: NotFound, message: Resource not found".to_owned())),
    });
    match ended.await {
        Some(ended) => ended.map_err(|error| format!("{what}. {error}")),
        None => Err(format!("{what}. status: InProgress, message: {kind} in progress\ncontext deadline exceeded")),
    }
}

/// As `kstatus` words it, which helm 4 waits with.
fn job(job: &Value) -> Option<Result<(), String>> {
    let is = |kind: &str| {
        let conditions = job["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    if is("Complete") {
        return Some(Ok(()));
    }
    is("Failed").then(|| {
        let failed = job["status"]["failed"].as_u64().unwrap_or(0);
        let completions = job["spec"]["completions"].as_u64().unwrap_or(1);
        Err(format!("status: Failed, message: Job Failed. failed: {failed}/{completions}"))
    })
}

fn pod(pod: &Value) -> Option<Result<(), String>> {
    match pod["status"]["phase"].as_str() {
        Some("Succeeded") => Some(Ok(())),
        Some("Failed") => Some(Err("status: Failed, message: Pod has failed".to_owned())),
        _ => None,
    }
}

/// Watches one object until a judgement; `None` when the time is over.
async fn follow<T>(
    api: &Api<DynamicObject>,
    name: &str,
    most: Duration,
    judge: impl Fn(Option<&DynamicObject>) -> Option<Result<T, String>>,
) -> Option<Result<T, String>> {
    let end = Instant::now() + most;
    loop {
        let found = match timeout_at(end, api.get_opt(name)).await.ok()? {
            Ok(found) => found,
            Err(kube::Error::Api(status)) if status.code < 500 && status.code != 429 => {
                return Some(Err(status.message));
            }
            Err(_) => {
                timeout_at(end, tokio::time::sleep(PAUSE)).await.ok()?;
                continue;
            }
        };
        if let Some(judged) = judge(found.as_ref()) {
            return Some(judged);
        }
        let version = found.and_then(|found| found.metadata.resource_version).unwrap_or_else(|| "0".to_owned());
        let params = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(WATCH);
        let Ok(opened) = timeout_at(end, api.watch(&params, &version)).await.ok()? else {
            timeout_at(end, tokio::time::sleep(PAUSE)).await.ok()?;
            continue;
        };
        let mut events = opened.map_err(|error| plain(&error)).boxed();
        while let Ok(Some(event)) = timeout_at(end, events.try_next()).await.ok()? {
            let judged = match &event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => judge(Some(object)),
                WatchEvent::Deleted(_) => judge(None),
                WatchEvent::Bookmark(_) => None,
                WatchEvent::Error(_) => break,
            };
            if let Some(judged) = judged {
                return Some(judged);
            }
        }
    }
}
