//! What a server says of itself: its version, groups and resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::resource::{Registry, Resource, Subresource, api_version};
use super::status::Refusal;

/// The release that is imitated.
const RELEASE: &str = "v1.34.4";

/// `/version`. What belongs to one build of the real server is left general.
pub(crate) fn version() -> Value {
    json!({
        "major": "1", "minor": "34", "emulationMajor": "1", "emulationMinor": "34",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "33",
        "gitVersion": RELEASE, "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "", "compiler": "rustc", "platform": "embedded",
    })
}

/// `/api`.
pub(crate) fn core_versions() -> Value {
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}],
    })
}

/// `/apis`.
pub(crate) fn groups(registry: &Registry) -> Value {
    let groups: Vec<Value> =
        named_groups(registry).into_iter().map(|(name, versions)| group_value(&name, &versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`.
pub(crate) fn group(registry: &Registry, name: &str) -> Result<Value, Refusal> {
    let groups = named_groups(registry);
    let (_, versions) = groups.iter().find(|(own, _)| own == name).ok_or_else(Refusal::no_such_path)?;
    let mut value = group_value(name, versions);
    value["kind"] = json!("APIGroup");
    value["apiVersion"] = json!("v1");
    Ok(value)
}

/// `/api/v1`, `/apis/GROUP/VERSION`.
pub(crate) fn resources(registry: &Registry, group: &str, version: &str) -> Result<Value, Refusal> {
    let served: Vec<&Arc<Resource>> = registry.all().filter(|r| r.group == group && r.version == version).collect();
    if served.is_empty() {
        let known = group.is_empty() || registry.all().any(|other| other.group == group && !other.is_custom());
        return Err(if known { Refusal::no_such_resource() } else { Refusal::no_such_path() });
    }
    let mut list = Vec::new();
    for resource in served {
        let mut entry = json!({
            "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": verbs(resource),
        });
        if !resource.short_names.is_empty() {
            entry["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        if !resource.is("", "bindings") {
            entry["storageVersionHash"] = storage_version_hash(resource).into();
        }
        list.push(entry);
        for sub in &resource.subresources {
            let part = part(*sub, resource);
            let mut entry = json!({
                "name": format!("{}/{}", resource.plural, sub.word()), "singularName": "",
                "namespaced": resource.namespaced, "kind": part.kind, "verbs": part.verbs,
            });
            if let Some((group, version)) = part.foreign {
                entry["group"] = json!(group);
                entry["version"] = json!(version);
            }
            list.push(entry);
        }
    }
    let mut all = json!({"kind": "APIResourceList"});
    // The oldest group never learnt to say its own version.
    if !group.is_empty() {
        all["apiVersion"] = json!("v1");
    }
    all["groupVersion"] = json!(api_version(group, version));
    all["resources"] = json!(list);
    Ok(all)
}

/// By which clients see that objects are kept in another form.
fn storage_version_hash(resource: &Resource) -> String {
    let text = format!("{}/{}/{}", resource.group, resource.version, resource.kind);
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let encoded = json!(ByteString(digest.as_ref()[..8].to_vec()));
    encoded.as_str().unwrap_or_default().to_owned()
}

/// Aggregated discovery (v2) of `/api` and `/apis`: everything that a client wants to know in two requests.
pub(crate) fn aggregated(registry: &Registry, core: bool) -> Value {
    let groups = if core { vec![(String::new(), vec!["v1".to_owned()])] } else { named_groups(registry) };
    let items: Vec<Value> = groups
        .into_iter()
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .into_iter()
                .map(|version| {
                    let served = registry.all().filter(|r| r.group == group && r.version == version);
                    let resources: Vec<Value> = served.map(|resource| aggregated_resource(resource)).collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if core { json!({}) } else { json!({"name": group}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": kind(&resource.group, &resource.version, &resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": verbs(resource),
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    let parts: Vec<Value> = resource
        .subresources
        .iter()
        .map(|sub| {
            let part = part(*sub, resource);
            let (group, version) = part.foreign.unwrap_or((&resource.group, &resource.version));
            json!({"subresource": sub.word(), "responseKind": kind(group, version, part.kind), "verbs": part.verbs})
        })
        .collect();
    if !parts.is_empty() {
        entry["subresources"] = json!(parts);
    }
    entry
}

/// What can be done with a subresource, and which kind it speaks.
struct Part<'a> {
    kind: &'a str,
    verbs: &'static [&'static str],
    foreign: Option<(&'a str, &'a str)>,
}

fn part(sub: Subresource, resource: &Resource) -> Part<'_> {
    const EDIT: &[&str] = &["get", "patch", "update"];
    let own = |verbs| Part { kind: &resource.kind, verbs, foreign: None };
    match sub {
        Subresource::Status | Subresource::EphemeralContainers | Subresource::Resize | Subresource::Approval => {
            own(EDIT)
        }
        Subresource::Finalize => own(&["update"]),
        Subresource::Log => own(&["get"]),
        Subresource::Scale => Part { kind: "Scale", verbs: EDIT, foreign: Some(("autoscaling", "v1")) },
        Subresource::Eviction => Part { kind: "Eviction", verbs: &["create"], foreign: Some(("policy", "v1")) },
        Subresource::Token => {
            Part { kind: "TokenRequest", verbs: &["create"], foreign: Some(("authentication.k8s.io", "v1")) }
        }
        Subresource::Binding => Part { kind: "Binding", verbs: &["create"], foreign: None },
        Subresource::Exec => Part { kind: "PodExecOptions", verbs: &["create", "get"], foreign: None },
        Subresource::Attach => Part { kind: "PodAttachOptions", verbs: &["create", "get"], foreign: None },
        Subresource::PortForward => Part { kind: "PodPortForwardOptions", verbs: &["create", "get"], foreign: None },
        Subresource::Proxy => {
            let verbs = &["create", "delete", "get", "patch", "update"];
            let kind = match resource.kind.as_str() {
                "Node" => "NodeProxyOptions",
                "Service" => "ServiceProxyOptions",
                _ => "PodProxyOptions",
            };
            Part { kind, verbs, foreign: None }
        }
    }
}

fn verbs(resource: &Resource) -> &'static [&'static str] {
    if resource.is("", "bindings") {
        &["create"]
    } else if resource.is_custom() {
        &["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
    } else if resource.is("", "namespaces") {
        &["create", "delete", "get", "list", "patch", "update", "watch"]
    } else {
        &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    }
}

/// The groups besides the core, each with its versions, the preferred first.
fn named_groups(registry: &Registry) -> Vec<(String, Vec<String>)> {
    let mut order = Vec::new();
    let mut versions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for resource in registry.all().filter(|resource| !resource.group.is_empty()) {
        if !versions.contains_key(resource.group.as_str()) {
            order.push(resource.group.as_str());
        }
        let known = versions.entry(resource.group.as_str()).or_default();
        if !known.contains(&resource.version) {
            known.push(resource.version.clone());
        }
    }
    order.into_iter().map(|group| (group.to_owned(), versions.remove(group).unwrap_or_default())).collect()
}

fn group_value(name: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": api_version(name, version), "version": version}))
        .collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions.first()})
}
