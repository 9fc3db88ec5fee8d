//! The parts of objects that speak a kind of their own: scale, binding, eviction.

use serde_json::{Value, json};

use super::admission::{self, Act, Hearing};
use super::call::Call;
use super::delete::{self, Orders};
use super::ledger::Verb;
use super::object::{Object, time_text};
use super::patch;
use super::resource::{Drawer, Origin, Resource};
use super::selector::{Selection, of_object};
use super::state::{State, name_of};
use super::status::{Cause, Refusal};
use super::write::{self, Means};

/// GET of `scale`.
pub(crate) fn scale(state: &State, call: &Call) -> Result<Value, Refusal> {
    let object = state
        .store
        .get(&call.resource.drawer(), &call.key())
        .ok_or_else(|| Refusal::not_found(&call.resource, call.name()))?;
    if call.resource.is_custom() && number_at(object, &spec_path(&call.resource)).is_none() {
        let path = spec_path(&call.resource).join(".");
        return Err(Refusal::internal(&format!("the spec replicas field \".{path}\" does not exist")));
    }
    Ok(scale_of(object, &call.resource))
}

/// PUT or PATCH of `scale`: only the number of replicas gets through.
pub(crate) fn rescale(state: &mut State, call: &Call, verb: Verb) -> Result<(u16, Value), Refusal> {
    let object = state.store.get(&call.resource.drawer(), &call.key());
    let object = object.ok_or_else(|| Refusal::not_found(&call.resource, call.name()))?;
    let current = Object::new(scale_of(object, &call.resource)).expect("a scale is built as an object");
    let wanted = if verb == Verb::Patch { patch::applied(call, &current)? } else { call.object()? };
    write::check_name(&wanted, call)?;
    let replicas = wanted.at(&["spec", "replicas"]).and_then(Value::as_i64).unwrap_or_default();
    let path = spec_path(&call.resource);
    if replicas < 0 {
        return Err(if call.resource.is_custom() {
            let field = format!(".{}", path.join("."));
            let cause = Cause::invalid(field, &replicas.into(), "should be a non-negative integer");
            Refusal::invalid(&call.resource, call.name(), &[cause])
        } else {
            let cause = Cause::invalid("spec.replicas", &replicas.into(), "must be greater than or equal to 0");
            Refusal::invalid_kind("autoscaling", "Scale", call.name(), &[cause])
        });
    }
    let version = wanted.meta("resourceVersion").cloned();
    let changed = write::change(state, call, Means::Patch, |old| {
        let mut new = old.clone();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        new.set_at(&path, json!(replicas));
        new.set_meta("resourceVersion", version.or_else(|| old.meta("resourceVersion").cloned()));
        Ok(new)
    })?;
    Ok((200, scale_of(&changed, &call.resource)))
}

/// POST to `pods/NAME/binding`: the scheduler's word.
pub(crate) fn bind(state: &mut State, call: &Call) -> Result<(u16, Value), Refusal> {
    let binding = call.object()?;
    if binding.name() != call.name() {
        return Err(Refusal::bad_request("name in URL does not match name in Binding object"));
    }
    if binding.at(&["target", "name"]).is_none_or(|name| name == "") {
        return Err(Refusal::unknown("target.name: Required value"));
    }
    if let Some(kind) = binding.at(&["target", "kind"]).and_then(Value::as_str)
        && !["", "Node"].contains(&kind)
    {
        let why = format!("target.kind: Unsupported value: {kind:?}: supported values: \"Node\", \"<empty>\"");
        return Err(Refusal::unknown(why));
    }
    let node = binding.at(&["target", "name"]).and_then(Value::as_str).unwrap_or_default().to_owned();
    let heard = Hearing { call, act: Act::Create, object: Some(&binding), old: None };
    admission::mutated(state, heard)?;
    admission::validated(state, heard)?;
    let drawer = call.resource.drawer();
    let key = call.key();
    let old = state.store.get(&drawer, &key).cloned().ok_or_else(|| Refusal::not_found(&call.resource, call.name()))?;
    let resource = Resource { plural: "pods/binding".to_owned(), ..Resource::clone(&call.resource) };
    let refuse = |why: String| Err(Refusal::conflict(&resource, old.name(), &why));
    if old.is_terminating() {
        return refuse(format!("pod {} is being deleted, cannot be assigned to a host", old.name()));
    }
    let assigned = old.at(&["spec", "nodeName"]).and_then(Value::as_str).unwrap_or_default();
    if !assigned.is_empty() {
        return refuse(format!("pod {} is already assigned to node {assigned:?}", old.name()));
    }
    let mut pod = Object::clone(&old);
    pod.set_at(&["spec", "nodeName"], node.into());
    let condition = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": time_text(call.now),
    });
    let mut conditions = pod.at(&["status", "conditions"]).and_then(Value::as_array).cloned().unwrap_or_default();
    conditions.retain(|own| own["type"] != "PodScheduled");
    conditions.push(condition);
    pod.set_at(&["status", "conditions"], json!(conditions));
    if !call.is_dry_run() {
        state.commit(&call.resource, key, pod, call.now);
    }
    Ok((201, success()))
}

/// POST to `bindings`, the older way to say the same.
pub(crate) fn bind_by_name(state: &mut State, call: &Call) -> Result<(u16, Value), Refusal> {
    let name = call.object()?.name().to_owned();
    let pods = state.registry.find("", "v1", "pods").expect("pods are in the built-in table");
    let call = Call {
        resource: pods,
        name: Some(name),
        subresource: Some(super::resource::Subresource::Binding),
        ..call.clone()
    };
    bind(state, &call)
}

/// POST to `pods/NAME/eviction`: a deletion that a disruption budget may forbid.
pub(crate) fn evict(state: &mut State, call: &Call) -> Result<(u16, Value), Refusal> {
    let eviction = call.object()?;
    if !eviction.name().is_empty() && eviction.name() != call.name() {
        return Err(Refusal::bad_request("name in URL does not match name in Eviction object"));
    }
    let pod = state
        .store
        .get(&call.resource.drawer(), &call.key())
        .cloned()
        .ok_or_else(|| Refusal::not_found(&call.resource, call.name()))?;
    let heard = Hearing { call, act: Act::Create, object: Some(&eviction), old: None };
    admission::mutated(state, heard)?;
    admission::validated(state, heard)?;
    let option = |field: &str| eviction.at(&["deleteOptions", field]);
    let orders = Orders {
        grace: option("gracePeriodSeconds").and_then(Value::as_i64),
        uid: eviction.at(&["deleteOptions", "preconditions", "uid"]).and_then(Value::as_str).map(str::to_owned),
        version: eviction
            .at(&["deleteOptions", "preconditions", "resourceVersion"])
            .and_then(Value::as_str)
            .map(str::to_owned),
        propagation: option("propagationPolicy").and_then(Value::as_str).map(str::to_owned),
        orphans: None,
        dry_run: call.is_dry_run() || option("dryRun").and_then(Value::as_array).is_some_and(|all| !all.is_empty()),
    };
    let phase = pod.at(&["status", "phase"]).and_then(Value::as_str).unwrap_or_default();
    // What no longer or not yet serves is disturbed by nobody.
    let serves = !["Succeeded", "Failed", "Pending"].contains(&phase) && !pod.is_terminating();
    if serves {
        spend_budget(state, &pod, call, orders.dry_run)?;
    }
    delete::carry_out(state, &call.resource, &call.key(), &orders, call.now)?;
    Ok((201, success()))
}

/// Takes one allowed disruption from the pod's budget, or says why there is none.
fn spend_budget(state: &mut State, pod: &Object, call: &Call, dry_run: bool) -> Result<(), Refusal> {
    let drawer = Drawer { group: "policy".to_owned(), plural: "poddisruptionbudgets".to_owned() };
    let budgets: Vec<_> = state
        .store
        .list(&drawer, Some(pod.namespace()))
        .into_iter()
        .filter(|budget| {
            of_object(budget.at(&["spec", "selector"]))
                .is_some_and(|labels| Selection { labels, ..Selection::default() }.matches(pod))
        })
        .collect();
    let budget = match budgets.as_slice() {
        [] => return Ok(()),
        [one] => one,
        _ => {
            let text =
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Refusal::unknown(text));
        }
    };
    let number = |field: &str| budget.at(&["status", field]).and_then(Value::as_i64).unwrap_or_default();
    let name = budget.name();
    if number("observedGeneration") < budget.generation() {
        let why = format!("The disruption budget {name} is still being processed by the server.");
        return Err(Refusal::would_violate_budget(&why, 10));
    }
    if number("disruptionsAllowed") <= 0 {
        let (needs, has) = (number("desiredHealthy"), number("currentHealthy"));
        let why = format!("The disruption budget {name} needs {needs} healthy pods and has {has} currently");
        return Err(Refusal::would_violate_budget(&why, 0));
    }
    if !dry_run {
        let mut spent = Object::clone(budget);
        spent.set_at(&["status", "disruptionsAllowed"], json!(number("disruptionsAllowed") - 1));
        spent.set_at(&["status", "disruptedPods", pod.name()], json!(time_text(call.now)));
        state.store.put(&drawer, name_of(budget), spent);
    }
    Ok(())
}

fn scale_of(object: &Object, resource: &Resource) -> Value {
    let metadata: serde_json::Map<String, Value> = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"]
        .into_iter()
        .filter_map(|field| Some((field.to_owned(), object.meta(field)?.clone())))
        .collect();
    let number = |path: &[String]| number_at(object, path);
    let (status, selector) = match &resource.origin {
        Origin::Builtin => (number(&steps(".status.replicas")), selector_text(object.at(&["spec", "selector"]))),
        Origin::Definition(definition) => {
            let scale = definition.scale.as_ref();
            let selector = scale.and_then(|scale| scale.selector.as_deref()).map(steps).and_then(|path| {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                object.at(&path).and_then(Value::as_str).map(str::to_owned)
            });
            (number(&steps(scale.map_or("", |scale| scale.status.as_str()))), selector)
        }
    };
    let mut shown = json!({"replicas": status.unwrap_or_default()});
    if let Some(selector) = selector {
        shown["selector"] = selector.into();
    }
    let mut spec = json!({});
    // No replicas are left out, like every zero that Go may leave out.
    if let Some(replicas) = number(&spec_path(resource)).filter(|replicas| *replicas != 0) {
        spec["replicas"] = json!(replicas);
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": shown})
}

fn number_at(object: &Object, path: &[String]) -> Option<i64> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    object.at(&path).and_then(Value::as_i64)
}

/// Where the wanted number of replicas is.
fn spec_path(resource: &Resource) -> Vec<String> {
    match &resource.origin {
        Origin::Builtin => steps(".spec.replicas"),
        Origin::Definition(definition) => steps(definition.scale.as_ref().map_or("", |scale| scale.spec.as_str())),
    }
}

/// `.spec.replicas` as names.
fn steps(path: &str) -> Vec<String> {
    path.split('.').filter(|step| !step.is_empty()).map(str::to_owned).collect()
}

/// A label selector as the text that `scale` shows.
fn selector_text(selector: Option<&Value>) -> Option<String> {
    let labels = selector?.get("matchLabels")?.as_object()?;
    let mut terms: Vec<String> =
        labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    terms.sort_unstable();
    Some(terms.join(","))
}

fn success() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
}
