use kube::api::PatchParams;
use kube::core::DynamicObject;
use serde_json::Value;

use super::ask::{ask, ask_unless, may_be_done};
use super::target::{Named, Targets};
use super::{Done, Error, StepContext, difference};
use crate::event::{Class, Note};
use crate::plan::verb::Patch;

/// Changes objects in place.
///
/// Outputs: `object` (the first, as it is then), `count`.
pub(super) async fn act(args: &Patch, ctx: &StepContext) -> Result<Done, Error> {
    let content = content(args, ctx)?;
    let subresource = ctx.get_opt(args.subresource.as_ref())?;
    let named = Named {
        on: args.on.as_ref(),
        resource: args.resource.as_ref(),
        name: args.name.as_ref(),
        namespace: args.namespace.as_ref(),
    };
    let targets = Targets::find(named, ctx).await?;
    if targets.objects.is_empty() {
        return Err(Error::new(Class::Refused, "nothing was patched: the selection has no object")
            .expected("at least one object"));
    }
    let params = PatchParams { field_manager: Some(super::MANAGER.to_owned()), ..PatchParams::default() };
    let mut first = None;
    for target in &targets.objects {
        let api = targets.kind.api(&target.namespace);
        let called = targets.kind.called(&target.name);
        let before = ask(ctx, &format!("GET {called}"), || api.get(&target.name)).await?;
        let send = || async {
            match &subresource {
                Some(subresource) => api.patch_subresource(subresource, &target.name, &params, &content).await,
                None => api.patch(&target.name, &params, &content).await,
            }
        };
        let request = format!("PATCH {called}");
        // A JSON patch may add to a list: done twice, it adds twice.
        let after: DynamicObject = match &content {
            kube::api::Patch::Json(_) => ask_unless(ctx, &request, may_be_done, send).await?,
            _ => ask(ctx, &request, send).await?,
        };
        if let Some(note) = difference::of(&called, &before, &after) {
            ctx.note(note);
        } else {
            ctx.note(Note::text(format!("{called} was like that before")));
        }
        if first.is_none() {
            first = Some(difference::output(after)?);
        }
    }
    Ok(Done::default().with("object", first).with("count", targets.objects.len()))
}

fn content(args: &Patch, ctx: &StepContext) -> Result<kube::api::Patch<Value>, Error> {
    let filled = |manifest: &crate::plan::verb::Manifest| {
        manifest.0.eval(&ctx.env).map_err(|error| Error::setting(error.into()))
    };
    match (&args.merge, &args.json, &args.strategic) {
        (Some(merge), None, None) => filled(merge).map(kube::api::Patch::Merge),
        (None, None, Some(strategic)) => filled(strategic).map(kube::api::Patch::Strategic),
        (None, Some(json), None) => {
            let patch = serde_json::from_value(filled(json)?);
            patch
                .map(kube::api::Patch::Json)
                .map_err(|error| Error::from_source(Class::Broken, "`json` is no JSON patch", error))
        }
        _ => Err(Error::new(Class::Broken, "a patch has exactly one of `merge`, `json` and `strategic`")),
    }
}
