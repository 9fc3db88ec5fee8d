use std::time::Duration;

use http::Request;
use kube::Client;
use serde_json::Value;

use super::Error;
use super::query::{self, Served};
use super::stream::{self, Trouble};
use crate::plan::Resource;

/// How often a kind is looked for where definitions may not be read: the one place that has to ask again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How a kind is served; `None` if it is not.
pub(super) async fn served(client: &Client, resource: &Resource) -> Result<Option<Served>, Error> {
    for version in versions(client, resource).await? {
        let Some(kinds) = found(stream::document(client, query::kinds(resource, &version)).await)? else {
            continue;
        };
        let kind =
            kinds["resources"].as_array().into_iter().flatten().find(|kind| kind["name"] == resource.plural.as_str());
        if let Some(kind) = kind {
            let name = kind["kind"].as_str().unwrap_or_default().to_owned();
            return Ok(Some(Served { version, kind: name, namespaced: kind["namespaced"] == true }));
        }
    }
    Ok(None)
}

/// The versions of a group, the preferred one first.
async fn versions(client: &Client, resource: &Resource) -> Result<Vec<String>, Error> {
    if resource.group.is_empty() {
        return Ok(vec!["v1".to_owned()]);
    }
    let Some(group) = found(stream::document(client, query::group(resource)).await)? else {
        return Ok(Vec::new());
    };
    let name = |version: &Value| version["version"].as_str().map(str::to_owned);
    let preferred = name(&group["preferredVersion"]);
    let others = group["versions"].as_array().into_iter().flatten().filter_map(name);
    let others = others.filter(|version| Some(version) != preferred.as_ref()).collect::<Vec<_>>();
    Ok(preferred.into_iter().chain(others).collect())
}

/// Returns when a kind that was not served may be: its definition is established. Says
/// whether that was seen happening.
///
/// Where definitions can't be read it returns after a moment, to be looked for again.
pub(super) async fn established(client: &Client, resource: &Resource) -> bool {
    let seen = watch_definition(client, resource).await.is_some();
    if !seen {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    seen
}

/// Follows the definition until it is established; `None` if that can't be done.
async fn watch_definition(client: &Client, resource: &Resource) -> Option<()> {
    const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let only = format!("fieldSelector=metadata.name%3D{}.{}", resource.plural, resource.group);
    let get = |uri: String| Request::get(uri).body(Vec::new()).expect("kinds are made of letters and dots");
    let list = stream::document(client, get(format!("{PATH}?{only}"))).await.ok()?;
    if list["items"].as_array()?.iter().any(is_established) {
        // Established and yet not served: discovery lags behind for a moment.
        return None;
    }
    let version = list["metadata"]["resourceVersion"].as_str()?;
    let watch = get(format!("{PATH}?watch=true&timeoutSeconds=290&resourceVersion={version}&{only}"));
    let mut lines = stream::lines(client, watch).await.ok()?;
    loop {
        let event = lines.next_value().await.ok()??;
        if is_established(&event["object"]) {
            return Some(());
        }
    }
}

fn is_established(definition: &Value) -> bool {
    let conditions = definition["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

fn found(answer: Result<Value, Trouble>) -> Result<Option<Value>, Error> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Trouble::NotServed | Trouble::Gone) => Ok(None),
        Err(Trouble::Error(error)) => Err(error),
    }
}
