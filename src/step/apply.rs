use std::time::Duration;

use kube::api::PatchParams;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::discovery::{ApiCapabilities, Scope as KindScope, pinned_kind};
use kube::{Api, ResourceExt as _};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::ask::{ask, ask_opt};
use super::{Done, Error, MANAGED_BY, MANAGER, RUN_LABEL, StepContext, difference};
use crate::event::{Class, Note};
use crate::plan::verb::Apply;

/// How long a kind that is not served is waited for.
const DEFINED: Duration = Duration::from_secs(30);

/// Applies objects on the server's side. What was there is changed, its old state
/// noted, and never taken for ours; what is new carries the run's labels.
///
/// Outputs: `object` (the first as accepted), `objects` (all of them).
pub(super) async fn act(args: &Apply, ctx: &StepContext) -> Result<Done, Error> {
    let namespace = ctx.namespace(args.namespace.as_ref())?;
    let inline = args.object.iter();
    let read = args.file.iter().flat_map(|file| &file.documents);
    let mut accepted = Vec::new();
    for manifest in inline.chain(read) {
        let object = manifest.0.eval(&ctx.env).map_err(|error| Error::setting(error.into()))?;
        for object in items(object) {
            accepted.push(apply(object, &namespace, ctx).await?);
        }
    }
    let Some(first) = accepted.first().cloned() else {
        return Err(Error::new(Class::Missing, "there is no object to apply"));
    };
    Ok(Done::default().with("object", first).with("objects", accepted))
}

/// What a document holds: one object, or those of a `List` as `kubectl get -o yaml` writes it.
fn items(document: Value) -> Vec<Value> {
    match document {
        Value::Object(mut list) if list.get("kind").is_some_and(|kind| kind == "List") => match list.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        one => vec![one],
    }
}

async fn apply(object: Value, namespace: &str, ctx: &StepContext) -> Result<Value, Error> {
    let mut object: DynamicObject = serde_json::from_value(object)
        .map_err(|error| Error::from_source(Class::Broken, "what is to be applied is no Kubernetes object", error))?;
    let Some(types) = object.types.clone() else {
        return Err(Error::new(Class::Broken, "what is to be applied has no `apiVersion` and `kind`"));
    };
    let Some(name) = object.metadata.name.clone() else {
        return Err(Error::new(
            Class::Broken,
            format!("a {} that is to be applied has no `metadata.name`", types.kind),
        ));
    };
    let gvk = GroupVersionKind::try_from(&types).map_err(|error| {
        Error::from_source(Class::Broken, format!("`{}` is no API version", types.api_version), error)
    })?;
    let client = ctx.client()?;
    let called = format!("{}/{name}", types.kind.to_lowercase());
    let (resource, capabilities) = served(&client, &gvk, ctx).await?;
    let api: Api<DynamicObject> = if capabilities.scope == KindScope::Namespaced {
        let namespace = object.metadata.namespace.get_or_insert_with(|| namespace.to_owned());
        Api::namespaced_with(client.clone(), namespace, &resource)
    } else {
        object.metadata.namespace = None;
        Api::all_with(client.clone(), &resource)
    };
    let before = ask_opt(ctx, &format!("GET {called}"), || api.get(&name)).await?;
    mark(&mut object, before.as_ref(), ctx);
    let params = PatchParams::apply(MANAGER);
    let patch = kube::api::Patch::Apply(&object);
    let after =
        ask(ctx, &format!("APPLY {called}"), || api.patch(&name, &params, &patch)).await.map_err(|mut error| {
            if error.message.contains("Apply failed with") {
                error.expected =
                    Some("fields that nobody else manages: Lariat does not force, and `patch` changes them".to_owned());
            }
            error
        })?;
    match &before {
        None => ctx.note(Note::text(format!("{called} created"))),
        Some(before) => {
            ctx.note(Note::Block { title: format!("{called} as it was before"), text: difference::yaml(before) });
            if let Some(note) = difference::of(&called, before, &after) {
                ctx.note(note);
            }
        }
    }
    difference::output(after)
}

/// Labels what this run makes. An object that was there is not labelled; what an earlier
/// apply of Lariat's put on it stays, since leaving it out would take it away.
fn mark(object: &mut DynamicObject, before: Option<&DynamicObject>, ctx: &StepContext) {
    let labels = [(MANAGED_BY.0, MANAGED_BY.1.to_owned()), (RUN_LABEL, ctx.run.id.to_string())];
    let notes = [("lariat.dev/plan", ctx.run.plan.clone()), ("lariat.dev/step", ctx.id.to_string())];
    let Some(before) = before else {
        object.labels_mut().extend(labels.map(|(key, value)| (key.to_owned(), value)));
        object.annotations_mut().extend(notes.map(|(key, value)| (key.to_owned(), value)));
        return;
    };
    if !before.labels().contains_key(RUN_LABEL) {
        return;
    }
    for (key, _) in labels {
        if let Some(value) = before.labels().get(key) {
            object.labels_mut().entry(key.to_owned()).or_insert_with(|| value.clone());
        }
    }
    for (key, _) in notes {
        if let Some(value) = before.annotations().get(key) {
            object.annotations_mut().entry(key.to_owned()).or_insert_with(|| value.clone());
        }
    }
}

/// How a kind is served. A definition that was applied a moment ago is served a moment
/// later; a kind that nobody ever defined should not take the step's whole time.
async fn served(
    client: &kube::Client,
    gvk: &GroupVersionKind,
    ctx: &StepContext,
) -> Result<(ApiResource, ApiCapabilities), Error> {
    let until = ctx.deadline.min(Instant::now() + DEFINED);
    let request = format!("look up {} {}", gvk.api_version(), gvk.kind);
    loop {
        let found = ask(ctx, &request, || async {
            match pinned_kind(client, gvk).await {
                Ok(found) => Ok(Some(found)),
                Err(kube::Error::Discovery(_)) => Ok(None),
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
                Err(error) => Err(error),
            }
        });
        if let Some(found) = found.await? {
            return Ok(found);
        }
        if Instant::now() >= until {
            return Err(Error::new(
                Class::Missing,
                format!("the API server has no kind `{}` in `{}`", gvk.kind, gvk.api_version()),
            )
            .expected("the definition (CRD) that brings it to be applied before this step"));
        }
        sleep(Duration::from_secs(1)).await;
    }
}
