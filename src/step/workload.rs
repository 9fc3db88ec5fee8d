use kube::api::PatchParams;
use serde_json::{Value, json};

use super::ask::ask;
use super::target::{Named, Targets};
use super::{Done, Error, MANAGER, StepContext, difference};
use crate::event::{Class, Note};
use crate::plan::verb::{Cordon, RolloutRestart, Scale, Uncordon};
use crate::plan::{Resource, Setting, Text};

/// Restarts a workload's pods as `kubectl rollout restart` does.
///
/// Outputs: `generation` (the workload's, after the change).
pub(super) async fn rollout_restart(args: &RolloutRestart, ctx: &StepContext) -> Result<Done, Error> {
    let named =
        Named { on: None, resource: Some(&args.resource), name: Some(&args.name), namespace: args.namespace.as_ref() };
    let targets = Targets::find(named, ctx).await?;
    let target = &targets.objects[0];
    let called = targets.kind.called(&target.name);
    let Resource { group, plural } = &targets.query.resource;
    if group != "apps" || !matches!(plural.as_str(), "deployments" | "daemonsets" | "statefulsets") {
        return Err(Error::new(Class::Refused, format!("{called} can't be restarted by a new rollout"))
            .expected("a deployment, a daemon set or a stateful set"));
    }
    let api = targets.kind.api(&target.namespace);
    let before = ask(ctx, &format!("GET {called}"), || api.get(&target.name)).await?;
    if before.data["spec"]["paused"] == true {
        return Err(Error::new(Class::Refused, format!("{called} is paused: a restart would not begin"))
            .expected("`spec.paused` not to be set"));
    }
    let now = ctx.cluster.clock().now().to_string();
    let patch = json!({ "spec": { "template": { "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": now } } } } });
    let object = merge(&args.resource, &args.name, args.namespace.as_ref(), &patch, ctx).await?;
    ctx.note(Note::text("restart asked for"));
    Ok(Done::default().with("generation", object["metadata"]["generation"].clone()))
}

/// Sets the number of replicas.
///
/// Outputs: `replicas`, `before`.
pub(super) async fn scale(args: &Scale, ctx: &StepContext) -> Result<Done, Error> {
    let replicas = ctx.get(&args.replicas)?;
    let named =
        Named { on: None, resource: Some(&args.resource), name: Some(&args.name), namespace: args.namespace.as_ref() };
    let targets = Targets::find(named, ctx).await?;
    let target = &targets.objects[0];
    let called = targets.kind.called(&target.name);
    let api = targets.kind.api(&target.namespace);
    let before = ask(ctx, &format!("GET {called}/scale"), || api.get_scale(&target.name)).await?;
    let before = before.spec.and_then(|spec| spec.replicas).unwrap_or(0);
    let patch = kube::api::Patch::Merge(json!({ "spec": { "replicas": replicas } }));
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    ask(ctx, &format!("PATCH {called}/scale"), || api.patch_scale(&target.name, &params, &patch)).await?;
    ctx.note(Note::text(format!("{called} scaled from {before} to {replicas}")));
    Ok(Done::default().with("replicas", replicas).with("before", before))
}

/// Marks a node unschedulable. Outputs: `changed`.
pub(super) async fn cordon(args: &Cordon, ctx: &StepContext) -> Result<Done, Error> {
    schedulable(&args.node, false, ctx).await
}

/// Marks a node schedulable. Outputs: `changed`.
pub(super) async fn uncordon(args: &Uncordon, ctx: &StepContext) -> Result<Done, Error> {
    schedulable(&args.node, true, ctx).await
}

async fn schedulable(node: &Text, wanted: bool, ctx: &StepContext) -> Result<Done, Error> {
    let name = ctx.get(node)?;
    let nodes = Setting::Plain("nodes".to_owned());
    let named = Named { on: None, resource: Some(&nodes), name: Some(node), namespace: None };
    let targets = Targets::find(named, ctx).await?;
    let api = targets.kind.api("");
    let before = ask(ctx, &format!("GET nodes/{name}"), || api.get(&name)).await?;
    let was = !before.data["spec"]["unschedulable"].as_bool().unwrap_or(false);
    if was == wanted {
        ctx.note(Note::text(format!("node {name} was {} already", if wanted { "schedulable" } else { "cordoned" })));
        return Ok(Done::default().with("changed", false));
    }
    let patch = json!({ "spec": { "unschedulable": if wanted { Value::Null } else { true.into() } } });
    merge(&nodes, node, None, &patch, ctx).await?;
    ctx.note(Note::text(format!("node {name} {}", if wanted { "uncordoned" } else { "cordoned" })));
    Ok(Done::default().with("changed", true))
}

/// One merge patch of one named object.
async fn merge(
    resource: &Text,
    name: &Text,
    namespace: Option<&Text>,
    patch: &Value,
    ctx: &StepContext,
) -> Result<Value, Error> {
    let named = Named { on: None, resource: Some(resource), name: Some(name), namespace };
    let targets = Targets::find(named, ctx).await?;
    let target = &targets.objects[0];
    let api = targets.kind.api(&target.namespace);
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let patch = kube::api::Patch::Merge(patch);
    let request = format!("PATCH {}", targets.kind.called(&target.name));
    let object = ask(ctx, &request, || api.patch(&target.name, &params, &patch)).await?;
    difference::output(object)
}
