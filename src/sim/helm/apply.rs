use std::collections::BTreeMap;

use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PropagationPolicy};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiCapabilities, Scope};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::ledger::plain;

/// helm's name as field manager.
const MANAGER: &str = "helm";

/// What helm does to objects of one release, with the kinds it has looked up.
pub(super) struct Hands {
    client: Client,
    release: String,
    namespace: String,
    kinds: BTreeMap<(String, String), (ApiResource, ApiCapabilities)>,
}

impl Hands {
    pub(super) fn new(client: Client, release: &str, namespace: &str) -> Self {
        Self { client, release: release.to_owned(), namespace: namespace.to_owned(), kinds: BTreeMap::new() }
    }

    /// Looks up the kinds of all objects, before anything is done. Helm builds them all first,
    /// so a custom object beside its own definition is refused.
    pub(super) async fn build(&mut self, objects: &[Value], whole: &str) -> Result<(), String> {
        for object in objects {
            let (version, kind) = kind(object);
            if self.kinds.contains_key(&(version.clone(), kind.clone())) {
                continue;
            }
            let (group, bare) = version.split_once('/').unwrap_or(("", &version));
            let found = kube::discovery::pinned_kind(&self.client, &GroupVersionKind::gvk(group, bare, &kind)).await;
            match found {
                Ok(found) => {
                    self.kinds.insert((version, kind), found);
                }
                Err(kube::Error::Discovery(_)) => return Err(unknown(object, &version, &kind, whole)),
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    return Err(unknown(object, &version, &kind, whole));
                }
                Err(error) => return Err(format!("{whole}: {}", plain(&error))),
            }
        }
        Ok(())
    }

    /// Refuses objects that are there and belong to somebody else.
    pub(super) async fn claim(&self, objects: &[Value], what: &str) -> Result<(), String> {
        for object in objects {
            let api = self.api(object);
            let found = api.get_opt(&name(object)).await;
            let Some(found) =
                found.map_err(|error| format!("could not get information about the resource: {}", plain(&error)))?
            else {
                continue;
            };
            let wrong = self.foreign(&found);
            if !wrong.is_empty() {
                let place = found.metadata.namespace.as_deref().unwrap_or_default();
                return Err(format!(
                    "unable to continue with {what}: {} \"{}\" in namespace \"{place}\" exists and cannot be imported into the current release: invalid ownership metadata; {}",
                    kind(object).1,
                    name(object),
                    wrong.join("; ")
                ));
            }
        }
        Ok(())
    }

    fn foreign(&self, found: &DynamicObject) -> Vec<String> {
        let empty = BTreeMap::new();
        let labels = found.metadata.labels.as_ref().unwrap_or(&empty);
        let annotations = found.metadata.annotations.as_ref().unwrap_or(&empty);
        let asked = [
            ("label", labels, "app.kubernetes.io/managed-by", "Helm"),
            ("annotation", annotations, "meta.helm.sh/release-name", self.release.as_str()),
            ("annotation", annotations, "meta.helm.sh/release-namespace", self.namespace.as_str()),
        ];
        let wrong = asked.into_iter().filter_map(|(what, map, key, want)| match map.get(key) {
            Some(value) if value == want => None,
            Some(value) => Some(format!(
                "{what} validation error: key \"{key}\" must equal \"{want}\": current value is \"{value}\""
            )),
            None => Some(format!("{what} validation error: missing key \"{key}\": must be set to \"{want}\"")),
        });
        wrong.collect()
    }

    /// Puts one object of the release in place.
    pub(super) async fn apply(&self, object: &Value) -> Result<(), String> {
        let mut object = object.clone();
        let metadata = &mut object["metadata"];
        metadata["labels"]["app.kubernetes.io/managed-by"] = json!("Helm");
        metadata["annotations"]["meta.helm.sh/release-name"] = json!(self.release);
        metadata["annotations"]["meta.helm.sh/release-namespace"] = json!(self.namespace);
        self.put(&object).await
    }

    /// Puts an object in place as it is.
    pub(super) async fn put(&self, object: &Value) -> Result<(), String> {
        let api = self.api(object);
        let params = PatchParams::apply(MANAGER);
        let done = api.patch(&name(object), &params, &Patch::Apply(object)).await;
        done.map(drop).map_err(|error| {
            let (version, kind) = kind(object);
            let (group, bare) = version.split_once('/').unwrap_or(("", &version));
            let what = format!("{}/{} {group}/{bare}, Kind={kind}", self.place(object), name(object));
            match &error {
                kube::Error::Api(status) if status.code == 409 => {
                    format!("conflict occurred while applying object {what}: {}", plain(&error))
                }
                _ => format!("server-side apply failed for object {what}: {}", plain(&error)),
            }
        })
    }

    /// Deletes an object; one that is not there is fine.
    pub(super) async fn delete(&self, object: &Value) -> Result<(), String> {
        let params =
            DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() };
        match self.api(object).delete(&name(object), &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(plain(&error)),
        }
    }

    /// The API of an object's kind, in its namespace.
    pub(super) fn api(&self, object: &Value) -> Api<DynamicObject> {
        let (resource, capabilities) =
            self.kinds.get(&kind(object)).expect("every kind was looked up before objects of it are touched");
        match capabilities.scope {
            Scope::Cluster => Api::all_with(self.client.clone(), resource),
            Scope::Namespaced => Api::namespaced_with(self.client.clone(), self.place(object), resource),
        }
    }

    fn place<'a>(&'a self, object: &'a Value) -> &'a str {
        object["metadata"]["namespace"].as_str().unwrap_or(&self.namespace)
    }
}

/// What tells objects of a release apart between two revisions.
pub(super) fn identity(object: &Value) -> (String, String, String) {
    let (version, kind) = kind(object);
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let place = object["metadata"]["namespace"].as_str().unwrap_or_default();
    (format!("{group}/{kind}"), place.to_owned(), name(object))
}

/// The object's name.
pub(super) fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

fn kind(object: &Value) -> (String, String) {
    let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
    (text("apiVersion"), text("kind"))
}

fn unknown(object: &Value, version: &str, kind: &str, whole: &str) -> String {
    format!(
        "{whole}: resource mapping not found for name: \"{}\" namespace: \"{}\" from \"\": no matches for kind \"{kind}\" in version \"{version}\"\nensure CRDs are installed first",
        name(object),
        object["metadata"]["namespace"].as_str().unwrap_or_default()
    )
}
