use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, EvictParams, ListParams, Preconditions};
use serde_json::json;
use tokio::time::timeout_at;

use super::ask::{ask, is_not_found};
use super::brief::brief;
use super::{Done, Error, MANAGER, StepContext};
use crate::event::{Class, Note, Progress};
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
    let grace = ctx.get_opt(args.grace.as_ref())?.map(|span| u32::try_from(span.0.as_secs()).unwrap_or(u32::MAX));
    let mut uids = BTreeSet::new();
    let mut names = Vec::new();
    for pod in &pods {
        let (Some(name), Some(namespace), Some(uid)) = (&pod.metadata.name, &pod.metadata.namespace, &pod.metadata.uid)
        else {
            continue;
        };
        let params = EvictParams {
            delete_options: Some(DeleteParams {
                grace_period_seconds: grace,
                preconditions: Some(Preconditions { uid: Some(uid.clone()), resource_version: None }),
                ..DeleteParams::default()
            }),
            ..EvictParams::default()
        };
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
        // A disruption budget answers 429 until it allows it: `ask` goes on asking, and says so.
        ask(ctx, &format!("EVICT pods/{name}"), || async {
            match api.evict(name, &params).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if is_not_found(&status) || status.code == 409 => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await?;
        uids.insert(uid.clone());
        names.push(name.clone());
    }
    let query = Query {
        resource: Resource { group: String::new(), plural: "pods".to_owned() },
        namespace: String::new(),
        name: None,
        labels: selector,
        fields: Some(format!("spec.nodeName={node}")),
    };
    gone(query, &uids, ctx).await?;
    ctx.note(Note::text(format!("node {node} drained of {}", text::count(names.len(), "pod"))));
    Ok(Done::default().with("count", names.len()).with("names", names))
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
                hinder.push(format!("pods/{name} has no controller (`force = true` evicts it for good)"))
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
        format!("{} hinder the drain, and nothing was evicted", text::count(hinder.len(), "pod")),
    );
    error.observed = hinder;
    Err(error)
}

async fn gone(query: Query, uids: &BTreeSet<String>, ctx: &StepContext) -> Result<(), Error> {
    let mut feed = ctx.recorder.follow_query(query)?;
    loop {
        let left: Vec<String> = feed
            .tracks()
            .iter()
            .filter(|(_, track)| uids.contains(&track.uid))
            .map(|(key, track)| format!("pods/{}: {}", key.name, brief(track.o.value())))
            .collect();
        if feed.is_synced() && left.is_empty() {
            return Ok(());
        }
        if feed.is_synced() {
            ctx.progress(Progress {
                say: format!("{} still on the node", text::count(left.len(), "pod")),
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
                    format!(
                        "{} still on the node after {}",
                        text::count(left.len(), "pod"),
                        text::duration(ctx.timeout)
                    ),
                );
                error.observed = left;
                return Err(error);
            }
        }
    }
}
