//! Objects of built-in kinds, read as Go's types read them: what they do not know is dropped,
//! what is of another type is refused, what they always write is there.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::kinds;
use super::object::Object;
use super::quantity;
use super::resource::Resource;

/// Reads an object; the answer is the paths of what its type does not know, or why it cannot be read.
pub(crate) fn read(object: &mut Object, resource: &Resource) -> Result<Vec<String>, String> {
    let Some(name) = kinds::schema_name(resource) else {
        return Ok(Vec::new());
    };
    let mut value = std::mem::take(object).into_value();
    let mut reader = Reader { unknown: Vec::new(), blank: false };
    let place = Place { owner: String::new(), fields: String::new(), path: String::new() };
    let read = reader.structure(&mut value, name, &place);
    *object = Object::new(value).expect("reading an object leaves it an object");
    read.map(|()| reader.unknown)
}

/// Whether the metadata of a custom object can be read: it is of the same type as everybody's.
pub(crate) fn check_metadata(object: &Object) -> Result<(), String> {
    let Some(mut metadata) = object.field("metadata").cloned() else {
        return Ok(());
    };
    let place = Place { owner: String::new(), fields: String::new(), path: String::new() };
    let mut reader = Reader { unknown: Vec::new(), blank: false };
    reader.structure(&mut metadata, "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", &place)
}

/// What a new object of a kind has by its type alone.
pub(crate) fn blank(resource: &Resource) -> Value {
    let mut value = json!({});
    if let Some(name) = kinds::schema_name(resource) {
        let place = Place { owner: String::new(), fields: String::new(), path: String::new() };
        // Nothing in an empty object is of a wrong type.
        let _ = Reader { unknown: Vec::new(), blank: true }.structure(&mut value, name, &place);
    }
    value
}

struct Reader {
    unknown: Vec<String>,
    /// Whether lists that have to be there are to be there as nothing, as in a new Go value.
    blank: bool,
}

/// Times, and lists of rules, that Go writes even when they are none.
const TIMES: [(&str, &[&str]); 11] = [
    ("PodCondition", &["lastProbeTime", "lastTransitionTime"]),
    ("NodeCondition", &["lastHeartbeatTime", "lastTransitionTime"]),
    ("DeploymentCondition", &["lastUpdateTime", "lastTransitionTime"]),
    ("ReplicaSetCondition", &["lastTransitionTime"]),
    ("StatefulSetCondition", &["lastTransitionTime"]),
    ("DaemonSetCondition", &["lastTransitionTime"]),
    ("ContainerStateTerminated", &["startedAt", "finishedAt"]),
    ("ContainerStateRunning", &["startedAt"]),
    ("Role", &["rules"]),
    ("ClusterRole", &["rules"]),
    ("Event", &["firstTimestamp", "lastTimestamp", "eventTime", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"]),
];

/// Where a value stands.
struct Place {
    /// The Go type around it.
    owner: String,
    /// The names of the fields on the way, as Go's errors have them.
    fields: String,
    /// The path with numbers of items, as warnings have it.
    path: String,
}

impl Place {
    fn below(&self, owner: &str, name: &str) -> Self {
        let join = |base: &str| if base.is_empty() { name.to_owned() } else { format!("{base}.{name}") };
        Self { owner: owner.to_owned(), fields: join(&self.fields), path: join(&self.path) }
    }

    fn item(&self, number: usize) -> Self {
        Self { owner: self.owner.clone(), fields: self.fields.clone(), path: format!("{}[{number}]", self.path) }
    }
}

/// The schema that a schema stands for, and its name if it has one.
pub(crate) fn resolved(schema: &Value) -> (&Value, Option<&str>) {
    let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
    match reference.and_then(|reference| reference.strip_prefix("#/components/schemas/")) {
        Some(name) => (kinds::schemas().get(name).unwrap_or(&Value::Null), Some(name)),
        None => (schema, None),
    }
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// A schema's Go type.
fn go_type(schema: &Value) -> String {
    let (inner, name) = resolved(schema);
    if let Some(name) = name.filter(|_| inner.get("properties").is_some()) {
        let mut parts = name.rsplit('.');
        let (own, package) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        return format!("{package}.{own}");
    }
    match (inner["type"].as_str(), inner["format"].as_str()) {
        (Some("string"), _) => "string".to_owned(),
        (Some("boolean"), _) => "bool".to_owned(),
        (Some("integer"), Some(width)) => width.to_owned(),
        (Some("integer"), None) => "int".to_owned(),
        (Some("number"), _) => "float64".to_owned(),
        (Some("array"), _) => format!("[]{}", go_type(&inner["items"])),
        (Some("object"), _) if inner.get("additionalProperties").is_some() => {
            format!("map[string]{}", go_type(&inner["additionalProperties"]))
        }
        _ => "interface {}".to_owned(),
    }
}

impl Reader {
    fn structure(&mut self, value: &mut Value, name: &str, place: &Place) -> Result<(), String> {
        let Some(schema) = kinds::schemas().get(name) else { return Ok(()) };
        let Some(known) = schema["properties"].as_object() else { return Ok(()) };
        let Value::Object(fields) = value else {
            return Err(mismatch(value, &go_type(&json!({"$ref": format!("#/components/schemas/{name}")})), place));
        };
        let mut unknown = Vec::new();
        let mut kept = Map::new();
        for (field, mut value) in std::mem::take(fields) {
            let below = place.below(short(name), &field);
            let Some(schema) = known.get(&field) else {
                unknown.push(below.path);
                continue;
            };
            if value.is_null() {
                continue;
            }
            self.value(&mut value, schema, &below)?;
            let empty = match &value {
                // An empty list of owners is a wish to forget them.
                Value::Array(items) => items.is_empty() && field != "managedFields",
                Value::Object(entries) => {
                    entries.is_empty() && resolved(schema).0.get("additionalProperties").is_some()
                }
                _ => false,
            };
            if !empty {
                kept.insert(field, value);
            }
        }
        self.unknown.extend(unknown);
        for (field, schema) in known {
            // What this kind documents as its defaults its own code fills in.
            if !kept.contains_key(field)
                && short(name) != "ReplicationControllerSpec"
                && let Some(default) = schema.get("default")
            {
                let mut value = default.clone();
                self.value(&mut value, schema, &place.below(short(name), field))?;
                kept.insert(field.clone(), value);
            }
        }
        let times = TIMES.iter().filter(|(owner, _)| *owner == short(name)).flat_map(|(_, times)| times.iter());
        for time in times.filter(|time| known.contains_key(**time)) {
            kept.entry((*time).to_owned()).or_insert(Value::Null);
        }
        for field in
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).filter(|_| self.blank)
        {
            kept.entry(field.to_owned()).or_insert(Value::Null);
        }
        *fields = kept;
        Ok(())
    }

    fn value(&mut self, value: &mut Value, schema: &Value, place: &Place) -> Result<(), String> {
        let (inner, name) = resolved(schema);
        match name {
            Some("io.k8s.apimachinery.pkg.api.resource.Quantity") => {
                *value = quantity::usual(value).ok_or_else(|| quantity::UNREADABLE.to_owned())?.into();
                return Ok(());
            }
            Some(name) if inner.get("properties").is_some() => return self.structure(value, name, place),
            _ => {}
        }
        let fits = match (inner["type"].as_str(), &*value) {
            (Some("string"), Value::String(text)) => {
                if inner["format"] == "byte"
                    && let Some(at) = not_base64(text)
                {
                    return Err(format!("illegal base64 data at input byte {at}"));
                }
                true
            }
            (Some("integer"), Value::Number(number)) => number.is_i64(),
            (Some("boolean"), Value::Bool(_))
            | (Some("number"), Value::Number(_))
            | (Some("array"), Value::Array(_))
            | (Some("object"), Value::Object(_))
            | (None | Some(""), _) => true,
            _ => false,
        };
        if !fits {
            return Err(mismatch(value, &go_type(schema), place));
        }
        match value {
            Value::Array(items) => {
                for (number, item) in items.iter_mut().enumerate() {
                    self.value(item, &inner["items"], &place.item(number))?;
                }
            }
            Value::Object(entries) => {
                if let Some(schema) = inner.get("additionalProperties").filter(|schema| schema.is_object()) {
                    for (key, entry) in entries.iter_mut() {
                        let path = format!("{}.{key}", place.path);
                        let below = Place { owner: place.owner.clone(), fields: place.fields.clone(), path };
                        if entry.is_null() {
                            *entry = zero(schema);
                        }
                        self.value(entry, schema, &below)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// What Go reads null as, where something has to be.
fn zero(schema: &Value) -> Value {
    match resolved(schema).0["type"].as_str() {
        Some("string") => "".into(),
        Some("integer" | "number") => 0.into(),
        Some("boolean") => false.into(),
        _ => Value::Null,
    }
}

fn mismatch(value: &Value, wanted: &str, place: &Place) -> String {
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if place.owner.is_empty() {
        return format!("json: cannot unmarshal {is} into Go value of type {wanted}");
    }
    format!("json: cannot unmarshal {is} into Go struct field {}.{} of type {wanted}", place.owner, place.fields)
}

/// Where a text stops being base64.
fn not_base64(text: &str) -> Option<usize> {
    let letters = text.trim_end_matches('=');
    let wrong = letters.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'));
    wrong.or_else(|| (!text.len().is_multiple_of(4)).then_some(text.len() / 4 * 4))
}

/// The schemas of a group version and of all that they name.
pub(crate) fn schemas_of<'a>(names: impl Iterator<Item = &'a str>) -> Map<String, Value> {
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    let mut left: Vec<String> = names.map(str::to_owned).collect();
    while let Some(name) = left.pop() {
        let Some(schema) = kinds::schemas().get(&name).filter(|_| !found.contains_key(&name)) else { continue };
        references(schema, &mut left);
        found.insert(name, schema.clone());
    }
    found.into_iter().collect()
}

fn references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            found.extend(own.and_then(|own| own.strip_prefix("#/components/schemas/")).map(str::to_owned));
            fields.values().for_each(|below| references(below, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
