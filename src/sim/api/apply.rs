//! Server-side apply: merge what a manager wants with what is there, field by field.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::compare::{compare, fields_of};
use super::field_set::FieldSet;
use super::kinds;
use super::managed::{Holding, Owner, Owners, keep_if_only_times_differ, nothing, strip, written_version};
use super::object::{Object, time_text};
use super::resource::Subresource;
use super::shape::{ListShape, Shape};
use super::status::{Cause, Refusal};
use super::typed::resolved;

/// What an apply patch makes of an object, owners included; of nothing, for an object that is not there.
pub(crate) fn applied(call: &Call, live: Option<&Object>) -> Result<Object, Refusal> {
    let Some(_) = call.query.text("fieldManager") else {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(Refusal::invalid_kind("meta.k8s.io", "PatchOptions", "", &[cause]));
    };
    let config = configuration(&call.body)?;
    if config.meta("managedFields").is_some() {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    let (given, expected) = (config.api_version(), written_version(call));
    let group = |version: &str| version.rsplit_once('/').map_or("", |(group, _)| group).to_owned();
    let unheard = !call.resource.is_custom() && given != expected;
    if unheard || group(given) != group(&expected) || config.kind() != call.resource.kind {
        let version = given.rsplit('/').next().unwrap_or_default();
        let message = format!("invalid object type: {}/{version}, Kind={}", group(given), config.kind());
        return Err(Refusal::bad_request(message));
    }
    if given != expected {
        let message = format!(
            "Incorrect version specified in apply patch. Specified patch version: {given}, expected: {expected}"
        );
        return Err(Refusal::bad_request(message));
    }
    let resource = &call.resource;
    match resource.definition() {
        Some(definition) => typed(&config, &definition.schema)?,
        None => {
            let name = kinds::schema_name(resource);
            typed(&config, name.and_then(|name| kinds::schemas().get(name)).unwrap_or(&Value::Null))?;
        }
    }
    let shape = Shape::of(resource);
    let empty = nothing(resource);
    let mut base = live.cloned().unwrap_or_default();
    let mut owners = Owners::read(&base);
    base.set_meta("managedFields", None);
    if live.is_some() && owners.is_empty() {
        let first = Owner { manager: "before-first-apply".to_owned(), ..Owner::updater(call) };
        owners.update(&empty.value(), &base.value(), resource, &first, call.now);
    }

    let owner = Owner::applier(call);
    let wanted = without_other_parts(config, call).into_value();
    let mut merged = merge(Some(&base.value()), Some(&wanted), &shape, true);
    let last = owners.of(&owner).map(|holding| holding.fields.clone());
    let mut time = owners.of(&owner).and_then(|holding| holding.time.clone());
    let fields = strip(fields_of(&wanted, &shape), resource, &owner.subresource);
    owners.set(owner.clone(), Holding { fields, api_version: written_version(call), time: None });
    if let Some(last) = last {
        // What the configuration names stays, even where nobody can own it.
        let kept = owners.everything().union(&fields_of(&wanted, &shape));
        prune(&mut merged, &last, &kept, &shape, true);
    }

    let comparison = compare(&base.value(), &merged, &shape);
    let changed = strip(comparison.added.union(&comparison.modified), resource, &owner.subresource);
    let conflicts: Vec<(String, Vec<String>)> = owners
        .others(&owner)
        .map(|(other, holding)| (other.shown(), holding.fields.intersection(&changed).paths()))
        .filter(|(_, paths)| !paths.is_empty())
        .collect();
    if !conflicts.is_empty() && !call.query.flag("force") {
        return Err(conflict(conflicts));
    }
    owners.take_from_others(&owner, &changed.union(&comparison.removed));

    let mut object =
        Object::new(merged).ok_or_else(|| Refusal::bad_request("the applied configuration is no object"))?;
    if live.is_none_or(|_| object != base) {
        time = Some(time_text(call.now));
    }
    if let Some(holding) = owners.of(&owner).cloned() {
        owners.set(owner, Holding { time, ..holding });
    }
    let fields = object.fields().iter();
    let emptied: Vec<String> = fields
        .filter(|(_, value)| value.is_null())
        .map(|(name, _)| name.clone())
        .filter(|_| resource.is_custom())
        .collect();
    call.fitted(&mut object).map_err(Refusal::bad_request)?;
    // What merging made of nothing is not looked at by the reader of requests: the rules see it as it is.
    for name in emptied {
        object.set_field(&name, Some(Value::Null));
    }
    owners.write(&mut object);
    if let Some(live) = live {
        keep_if_only_times_differ(live, &mut object);
    }
    Ok(object)
}

/// The body of an apply patch, which is YAML whatever it looks like.
fn configuration(body: &[u8]) -> Result<Object, Refusal> {
    let refuse = |why: String| Refusal::bad_request(format!("error decoding YAML: {why}"));
    let text = String::from_utf8_lossy(body);
    let value: Value = serde_saphyr::from_str(&text).map_err(|error| {
        let line = error.location().map_or(1, |place| place.line());
        refuse(format!("error converting YAML to JSON: yaml: line {line}: did not find expected node content"))
    })?;
    let is = match &value {
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Null => return Ok(Object::default()),
        Value::Object(_) => "object",
    };
    Object::new(value).ok_or_else(|| {
        refuse(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {is} into Go value of type \
             map[string]interface {{}}"
        ))
    })
}

/// Refuses a configuration with what its schema does not know.
fn typed(config: &Object, schema: &Value) -> Result<(), Refusal> {
    if schema.is_null() {
        return Ok(());
    }
    // The metadata of custom resources is not in their schemas.
    let known = |name: &str| {
        ["apiVersion", "kind", "metadata"].contains(&name)
            && schema["properties"][name]["properties"].is_null()
            && schema["properties"][name]["allOf"].is_null()
    };
    let mut fields = config.fields().iter().filter(|(name, _)| !known(name));
    let wrong = fields.find_map(|(name, value)| untyped(value, field_schema(schema, name), &format!(".{name}")));
    let Some(wrong) = wrong else { return Ok(()) };
    let (group, version) = config.api_version().rsplit_once('/').unwrap_or(("", config.api_version()));
    let (namespace, name, kind) = (config.namespace(), config.name(), config.kind());
    Err(Refusal::unknown(format!(
        "failed to create typed patch object ({namespace}/{name}; {group}/{version}, Kind={kind}): {wrong}"
    )))
}

/// The schema of a field, anything's for one that may be anything.
fn field_schema<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    static FREE: Value = Value::Bool(true);
    let named = schema.get("properties").and_then(|fields| fields.get(name));
    let free = schema.get("x-kubernetes-preserve-unknown-fields").is_some_and(|free| free == true);
    named.or_else(|| schema.get("additionalProperties")).or(free.then_some(&FREE))
}

fn untyped(value: &Value, schema: Option<&Value>, path: &str) -> Option<String> {
    let Some(schema) = schema else {
        return Some(format!("{path}: field not declared in schema"));
    };
    let (schema, _) = resolved(schema);
    let wrong = |expected: &str| {
        Some(format!("{path}: expected {expected}, got &value.valueUnstructured{{Value:{}}}", shown(value)))
    };
    match (schema.get("type").and_then(Value::as_str), value) {
        (_, Value::Null) => None,
        (Some("object"), Value::Object(fields)) => fields
            .iter()
            .find_map(|(name, value)| untyped(value, field_schema(schema, name), &format!("{path}.{name}"))),
        (Some("array"), Value::Array(items)) => listed(items, schema, path),
        (Some("string"), value) if !value.is_string() => wrong("string"),
        (Some("boolean"), value) if !value.is_boolean() => wrong("boolean"),
        (Some("integer" | "number"), value) if !value.is_number() => wrong("numeric (int or float)"),
        (Some("object"), _) => Some(format!("{path}: expected map, got &{{{}}}", shown(value))),
        (Some("array"), _) => Some(format!("{path}: expected list, got &{{{}}}", shown(value))),
        _ => None,
    }
}

/// What is wrong with a list: items that are there twice, or something in one of them.
fn listed(items: &[Value], schema: &Value, path: &str) -> Option<String> {
    let keys: Vec<&str> =
        schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut seen = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let named: Vec<String> = keys.iter().filter_map(|key| Some(format!("{key}={}", item.get(*key)?))).collect();
        let place = if named.is_empty() { format!("[{number}]") } else { format!("[{}]", named.join(",")) };
        if !named.is_empty() && seen.contains(&place) {
            return Some(format!("{path}: duplicate entries for key {place}"));
        }
        if let Some(wrong) = untyped(item, schema.get("items"), &format!("{path}{place}")) {
            return Some(wrong);
        }
        seen.push(place);
    }
    None
}

/// A value as Go prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Array(items) => {
            let items: Vec<String> =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect();
            format!("[{}]", items.join(" "))
        }
        other => other.to_string(),
    }
}

/// The configuration without what this part of the object does not write.
fn without_other_parts(mut config: Object, call: &Call) -> Object {
    match call.subresource {
        Some(Subresource::Status) => config.set_field("spec", None),
        _ if call.resource.has(Subresource::Status) => config.set_field("status", None),
        _ => {}
    }
    config
}

fn conflict(mut conflicts: Vec<(String, Vec<String>)>) -> Refusal {
    conflicts.sort();
    let causes: Vec<Value> = conflicts
        .iter()
        .flat_map(|(manager, paths)| paths.iter().map(move |path| (manager, path)))
        .map(|(manager, path)| json!({"reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": path}))
        .collect();
    let message = match conflicts.as_slice() {
        [(manager, paths)] if paths.len() == 1 => {
            format!("Apply failed with 1 conflict: conflict with {manager}: {}", paths[0])
        }
        _ => {
            let mut lines = Vec::new();
            for (manager, paths) in &conflicts {
                lines.push(format!("conflicts with {manager}:"));
                lines.extend(paths.iter().map(|path| format!("- {path}")));
            }
            format!("Apply failed with {} conflicts: {}", causes.len(), lines.join("\n"))
        }
    };
    Refusal::apply_conflict(message, causes)
}

/// What is there, with what is wanted on top.
fn merge(live: Option<&Value>, wanted: Option<&Value>, shape: &Shape<'_>, top: bool) -> Value {
    match (live, wanted) {
        (Some(live), None) => live.clone(),
        (Some(Value::Object(live)), Some(Value::Object(wanted))) if !shape.is_atomic_map() => {
            let mut merged = Map::new();
            let fresh = wanted.keys().filter(|name| !live.contains_key(*name));
            for name in live.keys().chain(fresh) {
                merged.insert(name.clone(), merge(live.get(name), wanted.get(name), &shape.field(name, top), false));
            }
            Value::Object(merged)
        }
        (Some(Value::Array(live)), Some(Value::Array(wanted))) if shape.list() != ListShape::Atomic => {
            Value::Array(merge_items(live, wanted, shape))
        }
        (_, Some(wanted)) => wanted.clone(),
        (None, None) => Value::Null,
    }
}

/// Items of both lists. Those that the configuration names stand in its order; the others keep their places around them.
fn merge_items(live: &[Value], wanted: &[Value], shape: &Shape<'_>) -> Vec<Value> {
    let (kind, inner) = (shape.list(), shape.item());
    let find =
        |list: &[Value], element: &Option<String>| list.iter().find(|item| kind.element(item) == *element).cloned();
    let mut merged = Vec::new();
    let mut ahead = wanted.iter();
    for item in live {
        let element = kind.element(item);
        if find(wanted, &element).is_none() {
            merged.push(item.clone());
            continue;
        }
        // At the place of each shared item come those that the configuration has before and at its next shared one.
        for next in ahead.by_ref() {
            let element = kind.element(next);
            let shared = find(live, &element);
            merged.push(merge(shared.as_ref(), Some(next), &inner, false));
            if shared.is_some() {
                break;
            }
        }
    }
    for next in ahead {
        let shared = find(live, &kind.element(next));
        merged.push(merge(shared.as_ref(), Some(next), &inner, false));
    }
    merged
}

/// Removes what the manager owned by its last configuration and nobody owns by now. True when that leaves nothing.
fn prune(value: &mut Value, last: &FieldSet, kept: &FieldSet, form: &Shape<'_>, top: bool) -> bool {
    let none = FieldSet::default();
    match value {
        Value::Object(fields) if !form.is_atomic_map() && !fields.is_empty() => {
            let names: Vec<String> = fields.keys().cloned().collect();
            for name in names {
                let element = format!("f:{name}");
                let Some(last) = last.below(&element) else {
                    continue;
                };
                let kept = kept.below(&element).unwrap_or(&none);
                let fixed = form.is_named(&name, top);
                // A structure stands for as long as somebody owns something in it, an entry for as long as it is owned itself.
                let was = last.is_own() || fixed;
                let stays = kept.is_own() || (fixed && !kept.is_empty());
                if was && !stays {
                    fields.shift_remove(&name);
                } else if prune(&mut fields[&name], last, kept, &form.field(&name, top), false) {
                    // What is emptied under somebody who owns it as empty becomes nothing, which few schemas take.
                    if kept.is_own() {
                        fields[&name] = Value::Null;
                    } else {
                        fields.shift_remove(&name);
                    }
                }
            }
            fields.is_empty()
        }
        Value::Array(items) if form.list() != ListShape::Atomic && !items.is_empty() => {
            let (kind, inner) = (form.list(), form.item());
            items.retain_mut(|item| {
                let Some(element) = kind.element(item) else {
                    return true;
                };
                let Some(last) = last.below(&element) else {
                    return true;
                };
                let kept = kept.below(&element).unwrap_or(&none);
                if last.is_own() && !kept.is_own() {
                    return false;
                }
                !prune(item, last, kept, &inner, false)
            });
            items.is_empty()
        }
        _ => false,
    }
}
