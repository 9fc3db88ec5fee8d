use std::collections::BTreeMap;

use kube::api::PatchParams;
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::{Scope as KindScope, pinned_kind};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::ask::{ask, ask_opt};
use super::{Done, Error, MANAGED_BY, MANAGER, RUN_LABEL, StepContext, difference};
use crate::event::{Class, Note};
use crate::plan::verb::Apply;

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
        accepted.push(apply(object, &namespace, ctx).await?);
    }
    let Some(first) = accepted.first().cloned() else {
        return Err(Error::new(Class::Missing, "there is no object to apply"));
    };
    Ok(Done::default().with("object", first).with("objects", accepted))
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
    let (resource, capabilities) =
        ask(ctx, &format!("look up {}", types.kind), || async {
            match pinned_kind(&client, &gvk).await {
                // A definition that was applied a moment ago is served a moment later.
                Err(kube::Error::Discovery(missing)) => Err(not_served_yet(&gvk, &missing.to_string())),
                other => other,
            }
        })
        .await
        .map_err(|error| {
            if error.class == Class::Unreachable { error } else { Error { class: Class::Missing, ..error } }
        })?;
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
    let after = ask(ctx, &format!("APPLY {called}"), || api.patch(&name, &params, &patch)).await?;
    match &before {
        None => ctx.note(Note::text(format!("{called} created"))),
        Some(before) => {
            ctx.note(Note::Block { title: format!("{called} as it was before"), text: difference::yaml(before) });
            if let Some(note) = difference::of(&called, before, &after) {
                ctx.note(note);
            }
        }
    }
    serde_json::to_value(after)
        .map_err(|error| Error::from_source(Class::Broken, "the applied object is no JSON", error))
}

/// Labels what this run makes. An object that was there keeps the labels it has:
/// leaving out one that an earlier run set would take it away.
fn mark(object: &mut DynamicObject, before: Option<&DynamicObject>, ctx: &StepContext) {
    let mut labels = BTreeMap::from([
        (MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned()),
        (RUN_LABEL.to_owned(), ctx.run.id.to_string()),
    ]);
    if let Some(before) = before {
        labels.retain(|key, _| before.labels().contains_key(key));
        for (key, value) in &mut labels {
            value.clone_from(&before.labels()[key]);
        }
    }
    object.labels_mut().extend(labels);
    if before.is_none() {
        let notes = object.annotations_mut();
        notes.insert("lariat.dev/plan".to_owned(), ctx.run.plan.clone());
        notes.insert("lariat.dev/step".to_owned(), ctx.id.to_string());
    }
}

/// As an answer that passes: the budget of the step decides how long it is asked again.
fn not_served_yet(gvk: &GroupVersionKind, said: &str) -> kube::Error {
    let status = json!({ "code": 503, "message": format!("{}/{} has no kind {} (yet): {said}", gvk.group, gvk.version, gvk.kind), "reason": "ServiceUnavailable" });
    kube::Error::Api(serde_json::from_value(status).expect("a status is made of these fields"))
}
