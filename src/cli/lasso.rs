use std::collections::BTreeSet;
use std::time::Duration;

use kube::api::{DeleteParams, ListParams};
use kube::core::{ApiResource, DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::discovery::{Discovery, verbs};
use kube::{Api, Client};
use tokio::time::{Instant, sleep};

use crate::id::RunId;
use crate::step::RUN_LABEL;

/// How often is looked whether what was deleted is gone: this is no measurement,
/// and a watch for each of sixty kinds would be more load than a list a second.
const LOOK: Duration = Duration::from_secs(1);

/// What a run left in its cluster, found by the run's label.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// Releases that the run installed: namespace and name.
    pub(super) releases: Vec<(String, String)>,
    /// Objects, namespaces last: what is in them goes first, with its own finalizers.
    pub(super) objects: Vec<Leftover>,
}

/// One object that a run left.
#[derive(Clone, Debug)]
pub(super) struct Leftover {
    kind: ApiResource,
    namespaced: bool,
    meta: ObjectMeta,
}

/// Releases and objects with the run's label, in every namespace and of every
/// kind that can be listed and deleted.
pub(super) async fn leftovers(client: &Client, run: &RunId) -> kube::Result<Leftovers> {
    let mut found = Leftovers { releases: releases(client, run).await?, objects: Vec::new() };
    let mut seen = BTreeSet::new();
    let labelled = ListParams::default().labels(&format!("{RUN_LABEL}={run}"));
    let discovery = Discovery::new(client.clone()).run().await?;
    for group in discovery.groups() {
        for (kind, capabilities) in group.recommended_resources() {
            if !capabilities.supports_operation(verbs::LIST) || !capabilities.supports_operation(verbs::DELETE) {
                continue;
            }
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
            let list = match api.list_metadata(&labelled).await {
                Ok(list) => list,
                // A kind that may not be listed, or whose own API server is away, can't hold anything of ours that we could delete.
                Err(kube::Error::Api(status)) if matches!(status.code, 403..=405 | 503) => continue,
                Err(error) => return Err(error),
            };
            for item in list.items {
                let owned = item.metadata.owner_references.as_ref().is_some_and(|owners| !owners.is_empty());
                let new = seen.insert(item.metadata.uid.clone());
                // What belongs to something goes with it; helm's own records go with their release.
                if new && !owned && !is_release_record(&item) {
                    let namespaced = item.metadata.namespace.is_some();
                    found.objects.push(Leftover { kind: kind.clone(), namespaced, meta: item.metadata });
                }
            }
        }
    }
    found.objects.sort_by_key(|leftover| (leftover.kind.plural == "namespaces", leftover.called()));
    Ok(found)
}

/// Helm keeps each revision as a Secret that carries the labels given at install.
async fn releases(client: &Client, run: &RunId) -> kube::Result<Vec<(String, String)>> {
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::all(client.clone());
    let records = ListParams::default().labels(&format!("owner=helm,{RUN_LABEL}={run}"));
    let mut releases = Vec::new();
    for record in secrets.list_metadata(&records).await?.items {
        let name = record.metadata.labels.as_ref().and_then(|labels| labels.get("name")).cloned();
        if let (Some(namespace), Some(name)) = (record.metadata.namespace, name) {
            releases.push((namespace, name));
        }
    }
    releases.sort();
    releases.dedup();
    Ok(releases)
}

fn is_release_record(item: &PartialObjectMeta<DynamicObject>) -> bool {
    let labels = item.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get("owner")).is_some_and(|owner| owner == "helm")
}

impl Leftover {
    /// As kubectl names it, with its namespace.
    pub(super) fn called(&self) -> String {
        let ApiResource { group, plural, .. } = &self.kind;
        let kind = if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") };
        let name = self.meta.name.as_deref().unwrap_or_default();
        match &self.meta.namespace {
            Some(namespace) => format!("{kind}/{name} in {namespace}"),
            None => format!("{kind}/{name}"),
        }
    }

    fn api(&self, client: &Client) -> Api<DynamicObject> {
        match &self.meta.namespace {
            Some(namespace) if self.namespaced => Api::namespaced_with(client.clone(), namespace, &self.kind),
            _ => Api::all_with(client.clone(), &self.kind),
        }
    }

    /// Asks for its deletion; by uid, so that what others made under its name stays.
    async fn delete(&self, client: &Client) -> kube::Result<()> {
        let Some(name) = &self.meta.name else { return Ok(()) };
        let params = DeleteParams {
            preconditions: Some(kube::api::Preconditions { uid: self.meta.uid.clone(), resource_version: None }),
            ..DeleteParams::background()
        };
        match self.api(client).delete(name, &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What keeps it, if it is still there.
    async fn still(&self, client: &Client) -> kube::Result<Option<String>> {
        let Some(name) = &self.meta.name else { return Ok(None) };
        let Some(now) = self.api(client).get_metadata_opt(name).await? else { return Ok(None) };
        if now.metadata.uid != self.meta.uid {
            return Ok(None);
        }
        let finalizers = now.metadata.finalizers.unwrap_or_default();
        let held = if finalizers.is_empty() {
            String::new()
        } else {
            format!(", held by finalizer {}", crate::text::and(&finalizers))
        };
        Ok(Some(format!("{}{held}", self.called())))
    }
}

/// Deletes objects and waits until they are gone. Gives what was still there at the end.
pub(super) async fn remove(objects: &[Leftover], client: &Client, deadline: Instant) -> kube::Result<Vec<String>> {
    for object in objects {
        object.delete(client).await?;
    }
    loop {
        let mut stuck = Vec::new();
        for object in objects {
            stuck.extend(object.still(client).await?);
        }
        if stuck.is_empty() || Instant::now() >= deadline {
            return Ok(stuck);
        }
        sleep(LOOK).await;
    }
}
