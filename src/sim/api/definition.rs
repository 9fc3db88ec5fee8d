//! What a definition of a custom resource has to be.

use serde_json::{Value, json};

use crate::expr::Cel;

use super::object::Object;
use super::schema::{self, Rules};
use super::status::Cause;
use super::validate::service_label_problem;

/// What is wrong with a definition; `old` is what it replaces.
pub(crate) fn problems(definition: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = |path: &[&str]| definition.at(path).and_then(Value::as_str).unwrap_or_default();
    let (group, plural) = (text(&["spec", "group"]), text(&["spec", "names", "plural"]));
    if definition.name() != format!("{plural}.{group}") || plural.is_empty() {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &definition.name().into(), why));
    }
    if group.is_empty() {
        causes.push(Cause::required("spec.group", ""));
    }
    match text(&["spec", "scope"]) {
        "" => causes.push(Cause::required("spec.scope", "")),
        "Cluster" | "Namespaced" => {}
        other => causes.push(Cause::not_supported("spec.scope", &other.into(), &["Cluster", "Namespaced"])),
    }
    let empty = Vec::new();
    let versions = definition.at(&["spec", "versions"]).and_then(Value::as_array).unwrap_or(&empty);
    causes.extend(version_list(versions));
    for field in ["plural", "singular", "kind", "listKind"] {
        if text(&["spec", "names", field]).is_empty() {
            causes.push(Cause::required(format!("spec.names.{field}"), ""));
        }
    }
    causes.extend(stored(definition, versions));
    for part in ["schema", "subresources", "additionalPrinterColumns"] {
        causes.extend(parts(versions, part));
    }
    if is_protected(group) && definition.at(&["metadata", "annotations", APPROVED]).is_none() {
        let why = "protected groups must have approval annotation \"api-approved.kubernetes.io\", see \
                   https://github.com/kubernetes/enhancements/pull/1111";
        causes.push(Cause::required(format!("metadata.annotations[{APPROVED}]"), why));
    }
    if let Some(old) = old {
        for field in ["group", "scope"] {
            let now = definition.at(&["spec", field]);
            if now != old.at(&["spec", field]) {
                let value = now.cloned().unwrap_or_default();
                causes.retain(|cause| cause.field() != "metadata.name");
                causes.push(Cause::invalid(format!("spec.{field}"), &value, "field is immutable"));
            }
        }
    }
    causes
}

const APPROVED: &str = "api-approved.kubernetes.io";

fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"].iter().any(|own| group == *own || group.ends_with(&format!(".{own}")))
}

fn version_list(versions: &[Value]) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (number, version) in versions.iter().enumerate() {
        let name = version["name"].as_str().unwrap_or_default();
        if let Some(why) = service_label_problem(name) {
            causes.push(Cause::invalid(format!("spec.versions[{number}].name"), &name.into(), &why));
            if number == 0 {
                causes.push(Cause::invalid("spec.version", &name.into(), &why));
            }
        }
    }
    // Values are shown as the server keeps them: what all versions share is not with each.
    let shown = if versions.is_empty() { Value::Null } else { versions.iter().map(internal).collect() };
    let storing = versions.iter().filter(|version| version["storage"] == true).count();
    let names: Vec<&Value> = versions.iter().map(|version| &version["name"]).collect();
    let unique = names.iter().enumerate().all(|(number, name)| !names[..number].contains(name));
    if !unique {
        causes.push(Cause::invalid("spec.versions", &shown, "must contain unique version names"));
    }
    if storing != 1 {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &shown, why));
    }
    causes
}

fn internal(version: &Value) -> Value {
    json!({
        "Name": version["name"], "Served": version["served"], "Storage": version["storage"],
        "Deprecated": version["deprecated"].as_bool().unwrap_or_default(),
        "DeprecationWarning": version["deprecationWarning"],
        "Schema": null, "Subresources": null, "AdditionalPrinterColumns": null, "SelectableFields": null,
    })
}

fn stored(definition: &Object, versions: &[Value]) -> Option<Cause> {
    let storage: Vec<&str> = versions
        .iter()
        .filter(|version| version["storage"] == true)
        .filter_map(|version| version["name"].as_str())
        .collect();
    let listed = definition.at(&["status", "storedVersions"]).and_then(Value::as_array);
    let listed: Vec<Value> = match listed {
        Some(listed) if !listed.is_empty() => listed.clone(),
        _ => storage.first().map(|name| Value::from(*name)).into_iter().collect(),
    };
    if listed.is_empty() {
        let why = "must have at least one stored version";
        return Some(Cause::invalid("status.storedVersions", &Value::Null, why));
    }
    let last = storage.last()?;
    if listed.iter().any(|name| name == last) {
        return None;
    }
    let why = format!("must have the storage version {last}");
    Some(Cause::invalid("status.storedVersions", &listed.into(), &why))
}

/// A part that all versions share is told of once, under its older path.
fn parts(versions: &[Value], part: &str) -> Vec<Cause> {
    let Some(first) = versions.first() else {
        return Vec::new();
    };
    let shared = versions.iter().all(|version| version.get(part) == first.get(part));
    let mut causes = Vec::new();
    for (number, version) in versions.iter().enumerate() {
        let own = format!("spec.versions[{number}].{part}");
        let path = match part {
            "schema" if shared => "spec.validation",
            _ if shared => &format!("spec.{part}"),
            _ => own.as_str(),
        };
        match part {
            "schema" => match version.pointer("/schema/openAPIV3Schema") {
                None | Some(Value::Null) => causes.push(Cause::required(format!("{own}.openAPIV3Schema"), "")),
                Some(schema) => root(schema, &format!("{path}.openAPIV3Schema"), &mut causes),
            },
            "subresources" => scale(&version[part], path, &mut causes),
            _ => columns(&version[part], path, &mut causes),
        }
        if shared {
            break;
        }
    }
    causes
}

fn scale(subresources: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(scale) = subresources.get("scale") else { return };
    for (field, prefix) in [("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")] {
        let at = format!("{path}.scale.{field}");
        match scale[field].as_str() {
            None | Some("") => causes.push(Cause::required(at, "")),
            Some(value) if !value.starts_with('.') => {
                causes.push(Cause::invalid(at, &value.into(), "must be a simple json path starting with ."));
            }
            Some(value) if !value.starts_with(prefix) => {
                let why = format!("should be a json path under {prefix}");
                causes.push(Cause::invalid(at, &value.into(), &why));
            }
            Some(_) => {}
        }
    }
}

fn columns(columns: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (number, column) in columns.as_array().into_iter().flatten().enumerate() {
        let at = format!("{path}[{number}]");
        for field in ["name", "type"] {
            if column[field].as_str().unwrap_or_default().is_empty() {
                causes.push(Cause::required(format!("{at}.{field}"), ""));
            }
        }
        let kind = column["type"].as_str().unwrap_or_default();
        if !["", "boolean", "date", "integer", "number", "string"].contains(&kind) {
            let why = "must be one of boolean,date,integer,number,string";
            causes.push(Cause::invalid(format!("{at}.type"), &kind.into(), why));
        }
        match column["jsonPath"].as_str() {
            None | Some("") => causes.push(Cause::required(format!("{at}.JSONPath"), "")),
            Some(value) if !value.starts_with('.') => {
                let why = "must be a simple json path starting with .";
                causes.push(Cause::invalid(format!("{at}.JSONPath"), &value.into(), why));
            }
            Some(_) => {}
        }
    }
}

fn root(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    match schema["type"].as_str() {
        None | Some("") => causes.push(Cause::required(format!("{path}.type"), "must not be empty at the root")),
        Some("object") => {}
        Some(other) => {
            causes.push(Cause::invalid(format!("{path}.type"), &other.into(), "must be object at the root"));
            return;
        }
    }
    let metadata = schema.pointer("/properties/metadata/properties").and_then(Value::as_object);
    if metadata.is_some_and(|fields| fields.keys().any(|name| !["name", "generateName"].contains(&name.as_str()))) {
        let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        causes.push(Cause::forbidden(format!("{path}.properties[metadata]"), why));
    }
    below(schema, path, Place::Root, causes);
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    Field,
    Item,
}

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

fn below(schema: &Value, path: &str, place: Place, causes: &mut Vec<Cause>) {
    let flag = |key: &str| schema.get(key).is_some_and(|flag| flag == true);
    let kind = schema["type"].as_str().unwrap_or_default();
    let free = flag("x-kubernetes-preserve-unknown-fields") || flag("x-kubernetes-int-or-string");
    if kind.is_empty() && !free && place != Place::Root {
        let what = if place == Place::Item { "array items" } else { "object fields" };
        let why = format!("must not be empty for specified {what}");
        causes.push(Cause::required(format!("{path}.type"), &why));
    }
    if !kind.is_empty() && !TYPES.contains(&kind) {
        causes.push(Cause::not_supported(format!("{path}.type"), &kind.into(), &TYPES));
    }
    if kind == "array" && schema.get("items").is_none() {
        causes.push(Cause::required(format!("{path}.items"), "must be specified"));
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && regex::Regex::new(pattern).is_err()
    {
        let why =
            format!("must be a valid regular expression, but isn't: error parsing regexp: {}", grievance(pattern));
        causes.push(Cause::invalid(format!("{path}.pattern"), &pattern.into(), &why));
    }
    list(schema, path, causes);
    default(schema, path, causes);
    rules(schema, path, causes);
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if place != Place::Root || name != "metadata" {
            below(field, &format!("{path}.properties[{name}]"), Place::Field, causes);
        }
    }
    for (key, place) in [("items", Place::Item), ("additionalProperties", Place::Field)] {
        if let Some(schema) = schema.get(key).filter(|schema| schema.is_object()) {
            below(schema, &format!("{path}.{key}"), place, causes);
        }
    }
}

/// What Go's compiler of patterns says, as far as people make such mistakes.
fn grievance(pattern: &str) -> String {
    let opened = pattern.matches('(').count();
    if opened > pattern.matches(')').count() {
        format!("missing closing ): `{pattern}`")
    } else if opened < pattern.matches(')').count() {
        format!("unexpected ): `{pattern}`")
    } else if pattern.matches('[').count() > pattern.matches(']').count() {
        format!("missing closing ]: `{}`", &pattern[pattern.find('[').unwrap_or_default()..])
    } else {
        format!("invalid or unsupported syntax: `{pattern}`")
    }
}

fn list(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(kind) = schema.get("x-kubernetes-list-type").and_then(Value::as_str) else { return };
    let keys: Vec<&str> = schema
        .get("x-kubernetes-list-map-keys")
        .and_then(Value::as_array)
        .map(|keys| keys.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    if !["atomic", "set", "map"].contains(&kind) {
        let known = ["atomic", "set", "map"];
        causes.push(Cause::not_supported(format!("{path}.x-kubernetes-list-type"), &kind.into(), &known));
    }
    if kind != "map" {
        return;
    }
    if keys.is_empty() {
        let why = "must not be empty if x-kubernetes-list-type is map";
        causes.push(Cause::required(format!("{path}.x-kubernetes-list-map-keys"), why));
    }
    let required = schema.pointer("/items/required").and_then(Value::as_array);
    for key in keys {
        let is_required = required.is_some_and(|required| required.iter().any(|name| name == key));
        let field = schema.pointer("/items/properties").and_then(|fields| fields.get(key));
        if !is_required && field.is_some_and(|field| field.get("default").is_none()) {
            let why =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            causes.push(Cause::required(format!("{path}.items.properties[{key}].default"), why));
        }
    }
}

fn default(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(default) = schema.get("default").filter(|default| !default.is_null()) else { return };
    let at = format!("{path}.default");
    // A list of one is pruned as what stands in it.
    let mut holder = json!({"value": default});
    let around = json!({"properties": {"value": schema}});
    let gone = holder.as_object_mut().map(|holder| schema::prune(holder, &around)).unwrap_or_default();
    if !gone.is_empty() {
        causes.push(Cause::invalid(at, default, "must not have unknown fields"));
        return;
    }
    let wrong = schema::check(default, None, schema, &Rules::default());
    causes.extend(wrong.into_iter().map(|cause| cause.moved_to(&at)));
}

fn rules(schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    let kind = schema["type"].as_str().unwrap_or_default();
    for (number, rule) in
        schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        let source = rule["rule"].as_str().unwrap_or_default();
        let at = format!("{path}.x-kubernetes-validations[{number}].rule");
        if source.trim().is_empty() {
            causes.push(Cause::required(at, "rule is not specified"));
            continue;
        }
        let why = match Cel::compile(source) {
            Err(mistake) => format!("compilation failed: {mistake}"),
            // A plain value has no fields to select.
            Ok(rule) if !["object", "array", ""].contains(&kind) && selects_of_self(&rule) => {
                let name = match kind {
                    "integer" => "int",
                    "number" => "double",
                    "boolean" => "bool",
                    other => other,
                };
                format!("compilation failed: type '{name}' does not support field selection")
            }
            Ok(_) => continue,
        };
        let text = |key: &str| rule[key].as_str().unwrap_or_default();
        let shown = json!({
            "Rule": source, "Message": text("message"), "MessageExpression": text("messageExpression"),
            "Reason": rule["reason"], "FieldPath": text("fieldPath"), "OptionalOldSelf": rule["optionalOldSelf"],
        });
        causes.push(Cause::invalid(at, &shown, &why));
    }
}

fn selects_of_self(rule: &Cel) -> bool {
    rule.paths().iter().any(|path| path.root() == "self" && path.name(1).is_some())
}
