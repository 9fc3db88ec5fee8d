//! Webhooks: who is asked about a request, and what comes of asking.
//!
//! A backend is a program in this process under the name of its service or its URL. One
//! that nobody registered is down, and is down in the words of the real server.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::expr::{Cel, Env};

use super::call::Call;
use super::object::Object;
use super::resource::{Drawer, Subresource};
use super::selector::{Selection, of_object};
use super::state::State;
use super::status::Refusal;
use super::store::Name;

/// What a webhook says to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Review {
    /// It may be done.
    Allowed,
    /// It may not, and why. The code is 403 unless it says another.
    Denied {
        /// The HTTP code.
        code: u16,
        /// The sentence, empty for none.
        message: String,
    },
    /// It may be done with this JSON patch, if the webhook is a mutating one.
    Patched(Value),
    /// Nothing, until the time is over.
    Silence,
}

/// The backend of webhooks: asked with the `request` of an `AdmissionReview`.
pub trait Webhook: Send + Sync {
    /// The answer to a request.
    fn review(&self, request: &Value) -> Review;
}

impl<F: Fn(&Value) -> Review + Send + Sync> Webhook for F {
    fn review(&self, request: &Value) -> Review {
        self(request)
    }
}

/// The backends that are up, by `NAMESPACE/SERVICE`, with or without the path, or by URL.
#[derive(Clone, Default)]
pub(crate) struct Backends(BTreeMap<String, Arc<dyn Webhook>>);

impl fmt::Debug for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Backends {
    /// Brings a backend up.
    pub(crate) fn up(&mut self, address: &str, webhook: Arc<dyn Webhook>) {
        self.0.insert(address.to_owned(), webhook);
    }

    /// Takes a backend down.
    pub(crate) fn down(&mut self, address: &str) {
        self.0.remove(address);
    }
}

/// What is done, as webhooks' rules name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Create,
    Update,
    Delete,
}

impl Act {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// A request as webhooks hear of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hearing<'a> {
    pub(crate) call: &'a Call,
    pub(crate) act: Act,
    pub(crate) object: Option<&'a Object>,
    pub(crate) old: Option<&'a Object>,
}

/// Asks the mutating webhooks; the answer is what they make of the object, if they change it.
pub(crate) fn mutated(state: &mut State, hearing: Hearing<'_>) -> Result<Option<Object>, Refusal> {
    let mut changed: Option<Object> = None;
    for webhook in webhooks(state, "mutatingwebhookconfigurations", hearing.call) {
        let hearing = Hearing { object: changed.as_ref().or(hearing.object), ..hearing };
        let Review::Patched(patch) = ask(state, &webhook, hearing)? else { continue };
        let Some(object) = hearing.object else { continue };
        let refuse = |why: String| Refusal::internal(&why);
        let patch: json_patch::Patch = serde_json::from_value(patch).map_err(|error| refuse(error.to_string()))?;
        let mut value = object.value();
        json_patch::patch(&mut value, &patch).map_err(|error| refuse(error.to_string()))?;
        changed = Some(Object::new(value).ok_or_else(|| refuse("the patched object is no object".to_owned()))?);
    }
    Ok(changed)
}

/// Asks the validating webhooks.
pub(crate) fn validated(state: &mut State, hearing: Hearing<'_>) -> Result<(), Refusal> {
    for webhook in webhooks(state, "validatingwebhookconfigurations", hearing.call) {
        ask(state, &webhook, hearing)?;
    }
    Ok(())
}

/// The webhooks of one kind, in the order of their configurations' names.
fn webhooks(state: &State, plural: &str, call: &Call) -> Vec<Value> {
    // Nobody could take away a webhook that had to agree to it.
    if call.resource.group == "admissionregistration.k8s.io" {
        return Vec::new();
    }
    let drawer = Drawer { group: "admissionregistration.k8s.io".to_owned(), plural: plural.to_owned() };
    let of = |configuration: Arc<Object>| configuration.field("webhooks").and_then(Value::as_array).cloned();
    state.store.list(&drawer, None).into_iter().filter_map(of).flatten().collect()
}

fn ask(state: &mut State, webhook: &Value, hearing: Hearing<'_>) -> Result<Review, Refusal> {
    if !concerns(state, webhook, hearing)? {
        return Ok(Review::Allowed);
    }
    let name = webhook["name"].as_str().unwrap_or_default();
    let seconds = webhook["timeoutSeconds"].as_u64().unwrap_or(10);
    let review = match backend(state, &webhook["clientConfig"], seconds) {
        Ok((url, backend)) => match backend.review(&request(state, hearing)) {
            Review::Silence => {
                hearing.call.wait(Duration::from_secs(seconds));
                Err(format!("Post \"{url}\": context deadline exceeded"))
            }
            review => Ok(review),
        },
        Err(why) => Err(why),
    };
    match review {
        Ok(Review::Denied { code, message }) => Err(Refusal::denied(name, code, &message)),
        Ok(review) => Ok(review),
        Err(_) if webhook["failurePolicy"] == "Ignore" => Ok(Review::Allowed),
        Err(why) => Err(Refusal::internal(&format!("failed calling webhook {name:?}: failed to call webhook: {why}"))),
    }
}

/// The backend and the URL under which it is asked, or why it cannot be reached.
fn backend(state: &State, config: &Value, seconds: u64) -> Result<(String, Arc<dyn Webhook>), String> {
    let text = |field: &str| config["service"][field].as_str().unwrap_or_default();
    if let Some(url) = config["url"].as_str() {
        let asked = format!("{url}?timeout={seconds}s");
        if let Some(backend) = state.backends.0.get(url) {
            return Ok((asked, backend.clone()));
        }
        let host = url.trim_start_matches("https://").split('/').next().unwrap_or_default();
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}:443") };
        return Err(format!("Post \"{asked}\": dial tcp {host}: connect: connection refused"));
    }
    let (namespace, name) = (text("namespace"), text("name"));
    let port = config["service"]["port"].as_u64().unwrap_or(443);
    let path = match text("path") {
        "" => "/",
        path => path,
    };
    let asked = format!("https://{name}.{namespace}.svc:{port}{path}?timeout={seconds}s");
    let known = [format!("{namespace}/{name}{path}"), format!("{namespace}/{name}")];
    if let Some(backend) = known.iter().find_map(|address| state.backends.0.get(address)) {
        return Ok((asked, backend.clone()));
    }
    let services = Drawer { group: String::new(), plural: "services".to_owned() };
    let key = Name { namespace: namespace.to_owned(), name: name.to_owned() };
    let Some(service) = state.store.get(&services, &key) else {
        return Err(format!("Post \"{asked}\": service {name:?} not found"));
    };
    let address = service.at(&["spec", "clusterIP"]).and_then(Value::as_str).unwrap_or("10.96.0.1");
    Err(format!("Post \"{asked}\": dial tcp {address}:{port}: connect: connection refused"))
}

/// Whether a webhook wants to hear of a request.
fn concerns(state: &State, webhook: &Value, hearing: Hearing<'_>) -> Result<bool, Refusal> {
    let rules = webhook["rules"].as_array();
    if !rules.into_iter().flatten().any(|rule| rule_matches(rule, hearing)) {
        return Ok(false);
    }
    let call = hearing.call;
    let chosen = |selector: &Value, object: Option<&Object>| {
        of_object(Some(selector)).is_some_and(|labels| {
            object.is_some_and(|object| Selection { labels, ..Selection::default() }.matches(object))
        })
    };
    let selector = &webhook["namespaceSelector"];
    if call.resource.is("", "namespaces") {
        let own = hearing.object.or(hearing.old);
        if is_given(selector) && !chosen(selector, own) {
            return Ok(false);
        }
    } else if call.resource.namespaced && is_given(selector) {
        let namespace = state.namespace(&call.namespace).cloned();
        if !chosen(selector, namespace.as_deref()) {
            return Ok(false);
        }
    }
    let selector = &webhook["objectSelector"];
    if is_given(selector) && !chosen(selector, hearing.object) && !chosen(selector, hearing.old) {
        return Ok(false);
    }
    conditions(webhook, hearing, state)
}

fn is_given(selector: &Value) -> bool {
    selector.as_object().is_some_and(|fields| !fields.is_empty())
}

fn rule_matches(rule: &Value, hearing: Hearing<'_>) -> bool {
    let resource = &hearing.call.resource;
    let has =
        |field: &str, word: &str| rule[field].as_array().into_iter().flatten().any(|each| each == "*" || each == word);
    let part = hearing.call.subresource.map(Subresource::word);
    let names = |pattern: &str| {
        let (plural, wanted) = pattern.split_once('/').map_or((pattern, None), |(plural, part)| (plural, Some(part)));
        let fits = plural == "*" || plural == resource.plural;
        fits && match (wanted, part) {
            (None, None) => true,
            (Some("*"), _) => plural == "*" || part.is_some(),
            (Some(wanted), Some(part)) => wanted == part,
            (None, Some(_)) | (Some(_), None) => false,
        }
    };
    let scope = match rule["scope"].as_str() {
        Some("Cluster") => !resource.namespaced,
        Some("Namespaced") => resource.namespaced,
        _ => true,
    };
    // Versions of one resource are equivalent, so another version's rule matches too.
    scope
        && has("operations", hearing.act.word())
        && has("apiGroups", &resource.group)
        && rule["resources"].as_array().into_iter().flatten().filter_map(Value::as_str).any(names)
}

/// Whether all conditions of a webhook hold. One that cannot be answered counts as a failure to call.
fn conditions(webhook: &Value, hearing: Hearing<'_>, state: &State) -> Result<bool, Refusal> {
    let Some(conditions) = webhook["matchConditions"].as_array().filter(|list| !list.is_empty()) else {
        return Ok(true);
    };
    let value = |object: Option<&Object>| object.map_or(Value::Null, Object::value);
    let env = Env::new()
        .with("object", value(hearing.object))
        .with("oldObject", value(hearing.old))
        .with("request", described(state, hearing));
    for condition in conditions {
        let source = condition["expression"].as_str().unwrap_or_default();
        let held = Cel::compile(source).ok().map(|cel| cel.holds(&env).map_err(|error| error.to_string()));
        match held {
            Some(Ok(true)) => {}
            Some(Ok(false)) => return Ok(false),
            Some(Err(_)) | None if webhook["failurePolicy"] == "Ignore" => return Ok(false),
            Some(Err(error)) => return Err(Refusal::internal(&error)),
            None => return Err(Refusal::internal(&format!("the condition {source:?} does not compile"))),
        }
    }
    Ok(true)
}

fn request(state: &mut State, hearing: Hearing<'_>) -> Value {
    let mut request = described(state, hearing);
    request["uid"] = state.chance.uid().into();
    request
}

fn described(_state: &State, hearing: Hearing<'_>) -> Value {
    let Hearing { call, act, object, old } = hearing;
    let resource = &call.resource;
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let plural = json!({"group": resource.group, "version": resource.version, "resource": resource.plural});
    let name = object.map(Object::name).filter(|name| !name.is_empty()).unwrap_or(call.name());
    let mut request = json!({
        "uid": "", "kind": kind, "resource": plural, "requestKind": kind, "requestResource": plural,
        "name": name, "namespace": call.namespace, "operation": act.word(),
        "userInfo": {"username": "admin", "groups": ["system:masters", "system:authenticated"]},
        "object": object.map(Object::value), "oldObject": old.map(Object::value), "dryRun": call.is_dry_run(),
    });
    if let Some(part) = call.subresource {
        request["subResource"] = part.word().into();
        request["requestSubResource"] = part.word().into();
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_told_by_their_addresses() {
        let mut backends = Backends::default();
        backends.up("x/y", Arc::new(|_: &Value| Review::Allowed));
        assert_eq!(format!("{backends:?}"), r#"{"x/y"}"#);
        backends.down("x/y");
        assert_eq!(format!("{backends:?}"), "{}");
    }
}
