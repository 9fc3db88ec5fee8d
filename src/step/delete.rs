use std::sync::atomic::{AtomicU32, Ordering};

use kube::api::{DeleteParams, Preconditions, PropagationPolicy};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ask::{ask, is_not_found};
use super::gone::gone;
use super::target::{Named, Target, Targets};
use super::{Done, Error, StepContext};
use crate::event::{Class, Note};
use crate::plan::verb::{Delete, Propagation};
use crate::text;

/// Deletes objects and waits until they are gone, naming what holds them. The same
/// name with another uid is another object, and not waited for.
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
    let grace = ctx.grace(args.grace.as_ref())?;
    let mut doomed = Doomed::recall(ctx);
    for target in &targets.objects {
        if let Some(uid) = delete(target, &targets, grace, args.propagation, ctx).await? {
            doomed.add(target, uid);
            // Another attempt goes on with these, also with what is gone by then.
            doomed.keep(ctx);
        }
    }
    if doomed.0.is_empty() && !args.ignore_not_found {
        let what = if targets.selected {
            "the selection has no object".to_owned()
        } else {
            format!("{} is not there", targets.kind.called(&targets.objects[0].name))
        };
        return Err(Error::new(Class::Refused, format!("nothing was deleted: {what}"))
            .expected("something to delete, or `ignore-not-found = true`"));
    }
    let names: Vec<&str> = doomed.0.iter().map(|one| one.name.as_str()).collect();
    if names.is_empty() {
        ctx.note(Note::text("there was nothing to delete"));
    } else {
        let called = |name: &str| targets.kind.called(name);
        gone(targets.query.clone(), |key, track| doomed.has(key, &track.uid), called, "object", ctx).await?;
        ctx.note(Note::text(format!("{} gone: {}", text::count(names.len(), "object"), text::and(&names))));
    }
    Ok(Done::default().with("count", names.len()).with("names", names))
}

/// What is being deleted.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Doomed(Vec<One>);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct One {
    namespace: String,
    name: String,
    uid: String,
}

impl Doomed {
    fn recall(ctx: &StepContext) -> Self {
        ctx.memory.recall().and_then(|kept| serde_json::from_value(kept).ok()).unwrap_or_default()
    }

    fn keep(&self, ctx: &StepContext) {
        ctx.memory.keep(serde_json::to_value(self).unwrap_or(Value::Null));
    }

    fn add(&mut self, target: &Target, uid: String) {
        let one = One { namespace: target.namespace.clone(), name: target.name.clone(), uid };
        if !self.0.contains(&one) {
            self.0.push(one);
        }
    }

    fn has(&self, key: &crate::check::TrackKey, uid: &str) -> bool {
        self.0.iter().any(|one| one.name == key.name && one.namespace == key.namespace && one.uid == uid)
    }
}

/// Asks for one deletion and gives the uid of what is deleted; `None` if there was nothing.
async fn delete(
    target: &Target,
    targets: &Targets,
    grace: Option<u32>,
    propagation: Option<Propagation>,
    ctx: &StepContext,
) -> Result<Option<String>, Error> {
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
    // A request without an answer may have been the one that deleted.
    let tries = AtomicU32::new(0);
    ask(ctx, &format!("DELETE {}", targets.kind.called(&target.name)), || async {
        tries.fetch_add(1, Ordering::Relaxed);
        match api.delete(&target.name, &params).await {
            // An object that is going is sent back whole, one that is gone as a status with its uid.
            Ok(answer) => Ok(Some(answer.either(
                |object| object.metadata.uid.unwrap_or_default(),
                |status| status.details.map(|details| details.uid).unwrap_or_default(),
            ))),
            Err(kube::Error::Api(status)) if is_not_found(&status) => {
                Ok((tries.load(Ordering::Relaxed) > 1).then(|| target.uid.clone().unwrap_or_default()))
            }
            // Another object under the same name: the one that was meant is gone.
            Err(kube::Error::Api(status)) if status.code == 409 && target.uid.is_some() => Ok(None),
            Err(error) => Err(error),
        }
    })
    .await
}
