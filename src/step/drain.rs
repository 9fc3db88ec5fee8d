use std::collections::BTreeSet;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, EvictParams, ListParams, Preconditions};
use serde_json::json;

use super::ask::{ask, is_not_found};
use super::gone::gone;
use super::{Done, Error, MANAGER, StepContext};
use crate::event::{Class, Note};
use crate::plan::verb::Drain;
use crate::plan::{Query, Resource};
use crate::text;

/// Cordons a node and evicts its pods, as `kubectl drain` does.
///
/// Outputs: `count`, `names` of the evicted pods.
pub(super) async fn act(args: &Drain, ctx: &StepContext) -> Result<Done, Error> {
    let node = ctx.get(&args.node)?;
    let client = ctx.client()?;
    let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(client.clone());
    let params = kube::api::PatchParams { field_manager: Some(MANAGER.to_owned()), ..Default::default() };
    let cordon = kube::api::Patch::Merge(json!({ "spec": { "unschedulable": true } }));
    ask(ctx, &format!("PATCH nodes/{node}"), || nodes.patch(&node, &params, &cordon)).await?;

    let selector = ctx.get_opt(args.pod_selector.as_ref())?;
    let everywhere: Api<Pod> = Api::all(client.clone());
    let on_node = ListParams {
        field_selector: Some(format!("spec.nodeName={node}")),
        label_selector: selector.clone(),
        ..ListParams::default()
    };
    let pods = ask(ctx, &format!("LIST pods on {node}"), || everywhere.list(&on_node)).await?.items;
    let pods = leaving(pods, args)?;
    let grace = ctx.grace(args.grace.as_ref())?;
    // All at once: what a disruption budget holds back must not hold back the others.
    let evicted = join_all(pods.iter().map(|pod| evict(pod, grace, &client, ctx))).await;
    evicted.into_iter().collect::<Result<(), Error>>()?;
    let uids: BTreeSet<&str> = pods.iter().filter_map(|pod| pod.metadata.uid.as_deref()).collect();
    let names: Vec<&str> = pods.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect();
    let query = Query {
        resource: Resource::core("pods"),
        namespace: String::new(),
        name: None,
        labels: selector,
        fields: Some(format!("spec.nodeName={node}")),
    };
    gone(query, |_, track| uids.contains(track.uid.as_str()), |name| format!("pods/{name}"), "pod", ctx).await?;
    ctx.note(Note::text(format!("node {node} drained of {}", text::count(names.len(), "pod"))));
    Ok(Done::default().with("count", names.len()).with("names", names))
}

/// Asks for one eviction. While a disruption budget does not allow it the server answers
/// 429: it is asked again, and each of the server's reasons is told.
async fn evict(pod: &Pod, grace: Option<u32>, client: &kube::Client, ctx: &StepContext) -> Result<(), Error> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (name, namespace) = (text(&pod.metadata.name), text(&pod.metadata.namespace));
    let params = EvictParams {
        delete_options: Some(DeleteParams {
            grace_period_seconds: grace,
            preconditions: Some(Preconditions { uid: pod.metadata.uid.clone(), resource_version: None }),
            ..DeleteParams::default()
        }),
        ..EvictParams::default()
    };
    let api: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    ask(ctx, &format!("EVICT pods/{name}"), || async {
        match api.evict(&name, &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if is_not_found(&status) || status.code == 409 => Ok(()),
            Err(error) => Err(error),
        }
    })
    .await
}

/// The pods that may be evicted, or why others forbid it: kubectl's rules and flags.
fn leaving(pods: Vec<Pod>, args: &Drain) -> Result<Vec<Pod>, Error> {
    let mut evicted = Vec::new();
    let mut hinder = Vec::new();
    for pod in pods {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let mirror =
            pod.metadata.annotations.as_ref().is_some_and(|notes| notes.contains_key("kubernetes.io/config.mirror"));
        let finished = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref())
            .is_some_and(|phase| matches!(phase, "Succeeded" | "Failed"));
        let owner = pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        let scratch = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.volumes.as_ref())
            .is_some_and(|volumes| volumes.iter().any(|volume| volume.empty_dir.is_some()));
        if mirror {
            continue;
        }
        match owner.map(|owner| owner.kind.as_str()) {
            Some("DaemonSet") if !finished => {
                if !args.ignore_daemonsets {
                    hinder.push(format!("pods/{name} belongs to a DaemonSet (`ignore-daemonsets = true` leaves it)"));
                }
                continue;
            }
            None if !finished && !args.force => {
                hinder.push(format!("pods/{name} has no controller (`force = true` evicts it for good)"));
            }
            _ if scratch && !finished && !args.delete_emptydir_data => {
                hinder.push(format!("pods/{name} has emptyDir data (`delete-emptydir-data = true` loses it)"));
            }
            _ => {}
        }
        evicted.push(pod);
    }
    if hinder.is_empty() {
        return Ok(evicted);
    }
    let mut error = Error::new(
        Class::Refused,
        format!(
            "{} in the way of the drain: the node is cordoned and nothing was evicted",
            text::count(hinder.len(), "pod")
        ),
    );
    error.observed = hinder;
    Err(error)
}
