use std::collections::BTreeSet;

use kube::api::{DeleteParams, Preconditions, PropagationPolicy};
use tokio::time::timeout_at;

use super::ask::{ask, is_not_found};
use super::brief::brief;
use super::target::{Named, Target, Targets};
use super::{Done, Error, StepContext};
use crate::event::{Class, Note, Progress};
use crate::plan::verb::{Delete, Propagation};
use crate::record::Feed;
use crate::text;

/// Deletes objects and waits until they are gone, naming what holds them.
///
/// Outputs: `count`, `names`.
pub(super) async fn act(args: &Delete, ctx: &StepContext) -> Result<Done, Error> {
    let named = Named {
        on: args.on.as_ref(),
        resource: args.resource.as_ref(),
        name: args.name.as_ref(),
        namespace: args.namespace.as_ref(),
    };
    let targets = Targets::find(named, ctx).await?;
    let grace = ctx.get_opt(args.grace.as_ref())?.map(|span| u32::try_from(span.0.as_secs()).unwrap_or(u32::MAX));
    let mut left = BTreeSet::new();
    let mut names = Vec::new();
    for target in &targets.objects {
        if delete(target, &targets, grace, args.propagation, ctx).await? {
            left.insert((target.namespace.clone(), target.name.clone()));
            names.push(target.name.clone());
        }
    }
    if names.is_empty() && !args.ignore_not_found {
        let what = if targets.selected {
            "the selection has no object".to_owned()
        } else {
            format!("{} is not there", targets.kind.called(&targets.objects[0].name))
        };
        return Err(Error::new(Class::Refused, format!("nothing was deleted: {what}"))
            .expected("something to delete, or `ignore-not-found = true`"));
    }
    let count = names.len();
    if count > 0 {
        let feed = ctx.recorder.follow_query(targets.query.clone())?;
        gone(feed, &targets, ctx).await?;
        ctx.note(Note::text(format!("{} gone: {}", text::count(count, "object"), text::and(&names))));
    }
    Ok(Done::default().with("count", count).with("names", names))
}

/// Asks for one deletion. `false` if there was nothing to delete.
async fn delete(
    target: &Target,
    targets: &Targets,
    grace: Option<u32>,
    propagation: Option<Propagation>,
    ctx: &StepContext,
) -> Result<bool, Error> {
    let api = targets.kind.api(&target.namespace);
    let params = DeleteParams {
        grace_period_seconds: grace,
        propagation_policy: propagation.map(|policy| match policy {
            Propagation::Background => PropagationPolicy::Background,
            Propagation::Foreground => PropagationPolicy::Foreground,
            Propagation::Orphan => PropagationPolicy::Orphan,
        }),
        preconditions: target.uid.clone().map(|uid| Preconditions { uid: Some(uid), resource_version: None }),
        ..DeleteParams::default()
    };
    ask(ctx, &format!("DELETE {}", targets.kind.called(&target.name)), || async {
        match api.delete(&target.name, &params).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if is_not_found(&status) => Ok(false),
            // Another object under the same name: the one that was meant is gone.
            Err(kube::Error::Api(status)) if status.code == 409 && target.uid.is_some() => Ok(false),
            Err(error) => Err(error),
        }
    })
    .await
}

/// Waits until none of the objects is there any more.
async fn gone(mut feed: Feed, targets: &Targets, ctx: &StepContext) -> Result<(), Error> {
    loop {
        let still = |key: &crate::record::TrackKey, uid: &str| {
            targets.objects.iter().any(|target| {
                target.name == key.name
                    && target.namespace == key.namespace
                    && target.uid.as_deref().is_none_or(|meant| meant == uid)
            })
        };
        let left: Vec<String> = feed
            .tracks()
            .iter()
            .filter(|(key, track)| still(key, &track.uid))
            .map(|(key, track)| format!("{}: {}", targets.kind.called(&key.name), brief(track.o.value())))
            .collect();
        if feed.is_synced() && left.is_empty() {
            return Ok(());
        }
        if feed.is_synced() {
            ctx.progress(Progress {
                say: format!("{} still there", text::count(left.len(), "object")),
                unmet: left.clone(),
                done: None,
                total: None,
            });
        }
        match timeout_at(ctx.deadline, feed.changed()).await {
            Ok(change) => {
                change?;
            }
            Err(_) => {
                let mut error = Error::new(
                    Class::Timeout,
                    format!("{} not gone within {}", text::count(left.len(), "object"), text::duration(ctx.timeout)),
                );
                error.observed = left;
                return Err(error);
            }
        }
    }
}
