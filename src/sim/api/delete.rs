//! delete and deletecollection: grace, finalizers, preconditions.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::admission::{self, Act, Hearing};
use super::builtin;
use super::call::{Call, decode};
use super::object::{Object, time_text};
use super::read;
use super::resource::Resource;
use super::show;
use super::state::{Later, State, is_definition, name_of};
use super::status::{Cause, Refusal};
use super::store::Name;

/// DELETE of one object.
pub(crate) fn one(state: &mut State, call: &Call) -> Result<(u16, Value), Refusal> {
    let orders = Orders::of(call)?;
    let resource = &call.resource;
    agreed(state, call, &call.key())?;
    let done = carry_out(state, resource, &call.key(), &orders, call.now)?;
    let code = if !done.gone && orders.orphans == Some(false) { 202 } else { 200 };
    if !done.gone || builtin::returns_deleted(&resource.group, &resource.plural) && !resource.is_custom() {
        return Ok((code, show::answer(&done.object, call)?));
    }
    let mut details = json!({"name": done.object.name()});
    if !resource.group.is_empty() {
        details["group"] = json!(resource.group);
    }
    details["kind"] = json!(resource.plural);
    details["uid"] = json!(done.object.uid());
    Ok((code, json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})))
}

/// DELETE of a collection: each selected object as if deleted alone; the answer is the list of them.
pub(crate) fn collection(state: &mut State, call: &Call) -> Result<(u16, Value), Refusal> {
    let orders = Orders::of(call)?;
    let selection = read::selection(call)?;
    let resource = &call.resource;
    let mut items = Vec::new();
    for object in state.store.list(&resource.drawer(), selection.namespace.as_deref()) {
        if selection.matches(&object) {
            agreed(state, call, &name_of(&object))?;
            carry_out(state, resource, &name_of(&object), &orders, call.now)?;
            let mut item = show::object(&object, resource, call.shape);
            if let (false, Some(fields)) = (resource.is_custom(), item.as_object_mut()) {
                fields.shift_remove("kind");
                fields.shift_remove("apiVersion");
            }
            items.push(item);
        }
    }
    let (kind, api_version) = show::list_type(resource, call.shape);
    let mut metadata = json!({"resourceVersion": state.store.revision().to_string()});
    if resource.is_custom() {
        metadata["continue"] = "".into();
    }
    Ok((200, json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items})))
}

/// The options in a body. A body that is none is nobody's fault but the server's.
fn options(body: &[u8]) -> Result<Object, Refusal> {
    decode(body, "DeleteOptions").map_err(|refusal| {
        let text = refusal.message().split_once("couldn't").map_or(refusal.message(), |(_, rest)| rest);
        let text = text.rsplit_once(" (").map_or(text, |(text, _)| text);
        Refusal::unknown(format!("couldn't{text}"))
    })
}

/// Asks the webhooks about a deletion. Some namespaces stay whatever anybody wants.
fn agreed(state: &mut State, call: &Call, key: &Name) -> Result<(), Refusal> {
    let lasting = ["default", "kube-system", "kube-public"];
    if call.resource.is("", "namespaces") && lasting.contains(&key.name.as_str()) {
        return Err(Refusal::forbidden(&call.resource, &key.name, "this namespace may not be deleted"));
    }
    if let Some(old) = state.store.get(&call.resource.drawer(), key).cloned() {
        let heard = Hearing { call, act: Act::Delete, object: None, old: Some(&old) };
        admission::mutated(state, heard)?;
        admission::validated(state, heard)?;
    }
    Ok(())
}

/// How an object is to be deleted: `DeleteOptions`, from the body or the query.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Orders {
    pub(crate) grace: Option<i64>,
    pub(crate) uid: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) propagation: Option<String>,
    /// The older way to say `Orphan` or `Background`.
    pub(crate) orphans: Option<bool>,
    pub(crate) dry_run: bool,
}

/// What became of it.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) object: Arc<Object>,
    pub(crate) gone: bool,
}

impl Orders {
    fn of(call: &Call) -> Result<Self, Refusal> {
        if let Some(text) = call.query.text("gracePeriodSeconds").filter(|text| text.parse::<i64>().is_err()) {
            return Err(Refusal::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")));
        }
        let body = if call.body.is_empty() { None } else { Some(options(&call.body)?) };
        if let Some(body) = &body {
            let (kind, version) = (body.kind(), body.api_version());
            if !kind.is_empty() && kind != "DeleteOptions" {
                let why = format!(
                    "no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:110\""
                );
                return Err(Refusal::unknown(why));
            }
            if body.field("gracePeriodSeconds").is_some_and(Value::is_string) {
                let why =
                    "json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64";
                return Err(Refusal::unknown(why));
            }
        }
        let text = |field: &str| body.as_ref().and_then(|body| body.field(field)?.as_str().map(str::to_owned));
        let precondition = |field: &str| {
            body.as_ref().and_then(|body| body.at(&["preconditions", field])?.as_str().map(str::to_owned))
        };
        let orders = Self {
            grace: body
                .as_ref()
                .and_then(|body| body.field("gracePeriodSeconds")?.as_i64())
                .or_else(|| call.query.number("gracePeriodSeconds")),
            uid: precondition("uid"),
            version: precondition("resourceVersion"),
            propagation: text("propagationPolicy").or_else(|| call.query.text("propagationPolicy").map(str::to_owned)),
            orphans: body.as_ref().and_then(|body| body.field("orphanDependents")?.as_bool()),
            dry_run: call.is_dry_run()
                || body.as_ref().is_some_and(|body| {
                    body.field("dryRun").and_then(Value::as_array).is_some_and(|all| !all.is_empty())
                }),
        };
        let dry: Vec<Value> =
            body.as_ref().and_then(|body| body.field("dryRun")?.as_array().cloned()).unwrap_or_default();
        let mut causes = Vec::new();
        if dry.iter().any(|value| value != "All") {
            causes.push(Cause::not_supported("dryRun", &dry.into(), &["All"]));
        }
        if let (Some(policy), Some(_)) = (&orders.propagation, orders.orphans) {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            causes.push(Cause::invalid("propagationPolicy", &policy.as_str().into(), why));
        }
        if !causes.is_empty() {
            return Err(Refusal::invalid_kind("meta.k8s.io", "DeleteOptions", "", &causes));
        }
        if let Some(policy) =
            orders.propagation.as_deref().filter(|policy| !["Background", "Foreground", "Orphan"].contains(policy))
        {
            let known = ["Foreground", "Background", "Orphan", "nil"];
            let cause = Cause::not_supported("propagationPolicy", &policy.into(), &known);
            return Err(Refusal::invalid_kind("meta.k8s.io", "DeleteOptions", "", &[cause]));
        }
        Ok(orders)
    }
}

/// Deletes one object as its kind and the orders say: at once, or by marking it.
pub(crate) fn carry_out(
    state: &mut State,
    resource: &Resource,
    key: &Name,
    orders: &Orders,
    now: Timestamp,
) -> Result<Done, Refusal> {
    let old =
        state.store.get(&resource.drawer(), key).cloned().ok_or_else(|| Refusal::not_found(resource, &key.name))?;
    check_preconditions(&old, resource, orders)?;

    if is_definition(resource) {
        return Ok(definition(state, resource, key, &old, orders, now));
    }
    let mut object = Object::clone(&old);
    let finalizers: Vec<String> = wanted_finalizers(&object, orders);
    let grace = match grace(&object, resource, orders, now) {
        Grace::Pending => {
            return Ok(Done { object: old, gone: false });
        }
        Grace::None => None,
        Grace::Given { seconds, end } => {
            if !object.is_terminating() && object.generation() > 0 {
                object.set_meta("generation", Some(json!(object.generation() + 1)));
            }
            object.set_meta("deletionTimestamp", Some(time_text(end).into()));
            object.set_meta("deletionGracePeriodSeconds", Some(json!(seconds)));
            Some(seconds)
        }
    };
    let kept = namespace_is_in_use(&object, resource);
    if grace.is_none() && (!finalizers.is_empty() || kept) {
        mark(&mut object, now);
    }
    if kept {
        object.set_meta("deletionGracePeriodSeconds", None);
        object.set_at(&["status", "phase"], json!("Terminating"));
    }
    let list = Some(json!(finalizers)).filter(|_| !finalizers.is_empty());
    object.set_meta("finalizers", list);

    let gone = finalizers.is_empty() && !kept && grace.is_none_or(|seconds| seconds == 0);
    let changed = object != *old;
    if orders.dry_run {
        return Ok(Done { object: Arc::new(object), gone });
    }
    // A graceful kind is marked even when it goes at once: watches see it change before it is deleted.
    let current = if changed && (!gone || grace.is_some()) {
        state.commit(resource, key.clone(), object, now)
    } else {
        old.clone()
    };
    if gone {
        let object = state.discard(resource, key).unwrap_or(current);
        return Ok(Done { object, gone });
    }
    if changed {
        follow_up(state, resource, key, &current, grace);
    }
    Ok(Done { object: current, gone })
}

/// A definition goes after its objects: the server gives it a finalizer of its own first.
fn definition(
    state: &mut State,
    resource: &Resource,
    key: &Name,
    old: &Arc<Object>,
    orders: &Orders,
    now: Timestamp,
) -> Done {
    if old.is_terminating() || orders.dry_run {
        return Done { object: old.clone(), gone: false };
    }
    let mut object = Object::clone(old);
    let mut finalizers: Vec<&str> = old.finalizers();
    finalizers.push(DEFINITION_FINALIZER);
    object.set_meta("finalizers", Some(json!(finalizers)));
    object.set_meta("deletionTimestamp", Some(time_text(now).into()));
    let mut conditions = object.at(&["status", "conditions"]).and_then(Value::as_array).cloned().unwrap_or_default();
    conditions.push(json!({
        "type": "Terminating", "status": "True", "lastTransitionTime": time_text(now), "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    }));
    object.set_at(&["status", "conditions"], json!(conditions));
    let uid = object.uid().to_owned();
    let object = state.commit(resource, key.clone(), object, now);
    state.later.push(Later::DefinitionEmptied { name: key.name.clone(), uid, after: Duration::from_millis(100) });
    Done { object, gone: false }
}

/// The finalizers of the garbage collector.
pub(crate) const ORPHAN: &str = "orphan";
pub(crate) const FOREGROUND: &str = "foregroundDeletion";

/// What keeps a definition until its objects are gone.
pub(crate) const DEFINITION_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Hands what a cluster's other actors would do next to the stand-ins.
fn follow_up(state: &mut State, resource: &Resource, key: &Name, object: &Object, grace: Option<i64>) {
    let uid = object.uid().to_owned();
    let waits = |finalizer| object.finalizers().contains(&finalizer);
    if state.stand_ins.garbage_collected && (waits(FOREGROUND) || waits(ORPHAN)) {
        let (drawer, name) = (resource.drawer(), key.clone());
        state.later.push(Later::Collected { drawer, name, uid: uid.clone(), after: Duration::from_millis(100) });
    }
    if let (true, Some(limit), Some(seconds)) = (resource.is("", "pods"), state.stand_ins.pods_vanish, grace) {
        let grace = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        state.later.push(Later::PodStopped { name: key.clone(), uid, after: limit.min(grace) });
    } else if resource.is("", "namespaces") && state.stand_ins.namespaces_empty {
        state.later.push(Later::NamespaceEmptied { name: key.name.clone(), uid, after: Duration::from_millis(100) });
    }
}

/// How much grace there is.
enum Grace {
    /// This kind knows none, or it is over.
    None,
    /// It is running and is not shortened: nothing changes.
    Pending,
    Given {
        seconds: i64,
        end: Timestamp,
    },
}

/// Grace of a pod: as asked for, or its own; none before it has a node and after it has ended.
fn grace(object: &Object, resource: &Resource, orders: &Orders, now: Timestamp) -> Grace {
    if !resource.is("", "pods") {
        return Grace::None;
    }
    let asked = orders.grace.map(|seconds| if seconds < 0 { 1 } else { seconds });
    if object.is_terminating() {
        let running = object.meta("deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or_default();
        let Some(end) = object.meta_text("deletionTimestamp").parse::<Timestamp>().ok().filter(|_| running > 0) else {
            return Grace::None;
        };
        return match asked {
            Some(asked) if asked < running => {
                let end = end + SignedDuration::from_secs(asked - running);
                // A shortened grace cannot end in the past; what is left of it is the smallest there is.
                if end < now {
                    Grace::Given { seconds: asked.min(1), end: now }
                } else {
                    Grace::Given { seconds: asked, end }
                }
            }
            _ => Grace::Pending,
        };
    }
    let own = || object.at(&["spec", "terminationGracePeriodSeconds"]).and_then(Value::as_i64).unwrap_or(30);
    let text = |path: &[&str]| object.at(path).and_then(Value::as_str).unwrap_or_default();
    let stopped =
        text(&["spec", "nodeName"]).is_empty() || ["Failed", "Succeeded"].contains(&text(&["status", "phase"]));
    let seconds = if stopped { 0 } else { asked.unwrap_or_else(own) };
    let seconds = if seconds < 0 { 1 } else { seconds };
    Grace::Given { seconds, end: now + SignedDuration::from_secs(seconds) }
}

fn mark(object: &mut Object, now: Timestamp) {
    if !object.is_terminating() {
        if object.generation() > 0 {
            object.set_meta("generation", Some(json!(object.generation() + 1)));
        }
        object.set_meta("deletionTimestamp", Some(time_text(now).into()));
    }
    object.set_meta("deletionGracePeriodSeconds", Some(json!(0)));
}

/// The finalizers after the request: propagation adds or removes those of the garbage collector.
fn wanted_finalizers(object: &Object, orders: &Orders) -> Vec<String> {
    const OWN: [&str; 2] = [ORPHAN, FOREGROUND];
    let present = object.finalizers();
    let mut wanted: Vec<String> =
        present.iter().filter(|name| !OWN.contains(name)).map(|name| (*name).to_owned()).collect();
    let older = orders.orphans.map(|orphans| if orphans { "Orphan" } else { "Background" });
    match older.or(orders.propagation.as_deref()) {
        Some("Orphan") => wanted.push(OWN[0].to_owned()),
        Some("Foreground") => wanted.push(OWN[1].to_owned()),
        Some(_) => {}
        None => wanted.extend(present.iter().filter(|name| OWN.contains(name)).map(|name| (*name).to_owned())),
    }
    wanted
}

fn namespace_is_in_use(object: &Object, resource: &Resource) -> bool {
    resource.is("", "namespaces")
        && object.at(&["spec", "finalizers"]).and_then(Value::as_array).is_some_and(|finalizers| !finalizers.is_empty())
}

fn check_preconditions(object: &Object, resource: &Resource, orders: &Orders) -> Result<(), Refusal> {
    let uid = orders.uid.as_deref().filter(|uid| *uid != object.uid()).map(|uid| {
        format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and \
             then recreated",
            object.uid(),
        )
    });
    let version = orders.version.as_deref().filter(|version| *version != object.resource_version()).map(|version| {
        format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object \
             might have been modified",
            object.resource_version(),
        )
    });
    match uid.or(version) {
        Some(why) => Err(Refusal::conflict_of_kind(resource, object.name(), &why)),
        None => Ok(()),
    }
}
