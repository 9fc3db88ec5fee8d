//! Lists as tables, which is how kubectl wants them.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::call::{Call, Shape};
use super::cells;
use super::json_path;
use super::kinds;
use super::object::Object;
use super::resource::{Column, Resource};
use super::status::Refusal;

/// Which object goes along with each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    None,
    Metadata,
    Object,
}

impl Include {
    /// What the query asks for.
    pub(crate) fn of(call: &Call) -> Result<Self, Refusal> {
        match call.query.text("includeObject") {
            None | Some("Metadata") => Ok(Self::Metadata),
            Some("Object") => Ok(Self::Object),
            Some("None") => Ok(Self::None),
            Some(other) => Err(Refusal::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', \
                 'Object', 'None', or empty"
            ))),
        }
    }
}

/// A table of these objects, under the metadata of their list.
pub(crate) fn table<'a>(
    objects: impl Iterator<Item = &'a Object>,
    metadata: &Value,
    resource: &Resource,
    include: Include,
    now: Timestamp,
) -> Value {
    let rows: Vec<Value> = objects.map(|object| row(object, resource, include, now)).collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": columns(resource), "rows": rows,
    })
}

/// One object as a table, as a GET of it and an event of a watch show it.
pub(crate) fn single(object: &Object, resource: &Resource, include: Include, now: Timestamp) -> Value {
    let metadata = json!({"resourceVersion": object.resource_version()});
    table(std::iter::once(object), &metadata, resource, include, now)
}

fn row(object: &Object, resource: &Resource, include: Include, now: Timestamp) -> Value {
    let mut row = Map::new();
    let shown = super::show::object(object, resource, Shape::Whole);
    row.insert("cells".to_owned(), cells_of(object, &shown, resource, now).into());
    let conditions = cells::conditions(object, resource);
    if !conditions.is_null() {
        row.insert("conditions".to_owned(), conditions);
    }
    let beside = match include {
        Include::None => Value::Null,
        Include::Metadata => super::show::object(object, resource, Shape::Metadata),
        Include::Object => shown,
    };
    row.insert("object".to_owned(), beside);
    Value::Object(row)
}

const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources may \
                    allow a client to request the generation of an appropriate name automatically. Name is primarily intended \
                    for creation idempotence and configuration definition. Cannot be updated. More info: \
                    https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
const CREATED: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not \
                       guaranteed to be set in happens-before order across separate operations. Clients may not set this value. \
                       It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. \
                       More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

fn columns(resource: &Resource) -> Value {
    let column = |name: &str, kind: &str, format: &str, description: &str, priority: i64| json!({"name": name, "type": kind, "format": format, "description": description, "priority": priority});
    let mut columns = vec![column("Name", "string", "name", NAME, 0)];
    match resource.definition() {
        Some(definition) if definition.columns.is_empty() => {
            columns.push(column("Age", "date", "", CREATED, 0));
        }
        Some(definition) => columns.extend(definition.columns.iter().map(|own| {
            let description = if own.description.is_empty() {
                format!("Custom resource definition column (in JSONPath format): {}", own.path)
            } else {
                own.description.clone()
            };
            column(&own.name, &own.kind, &own.format, &description, own.priority)
        })),
        None if cells::are_known(resource) => return kinds::columns(resource),
        None => columns.push(column("Created At", "date", "", CREATED, 0)),
    }
    columns.into()
}

fn cells_of(object: &Object, shown: &Value, resource: &Resource, now: Timestamp) -> Vec<Value> {
    match resource.definition() {
        Some(definition) => {
            let mut cells = vec![Value::from(object.name())];
            if definition.columns.is_empty() {
                cells.push(age(object.meta_text("creationTimestamp"), now).into());
            }
            cells.extend(definition.columns.iter().map(|column| custom_cell(column, shown, now)));
            cells
        }
        None if cells::are_known(resource) => cells::of(object, resource, now),
        None => vec![object.name().into(), object.meta_text("creationTimestamp").into()],
    }
}

/// The first value under a column's path, in the column's type; null if it is of another.
fn custom_cell(column: &Column, shown: &Value, now: Timestamp) -> Value {
    let Some(found) = json_path::first(shown, &column.path).filter(|value| !value.is_null()) else {
        return Value::Null;
    };
    match (column.kind.as_str(), found) {
        ("integer", Value::Number(number)) if !number.is_i64() && !number.is_u64() => Value::Null,
        ("integer" | "number", Value::Number(_)) | ("boolean", Value::Bool(_)) | ("string", Value::String(_)) => {
            found.clone()
        }
        ("string", other) => other.to_string().into(),
        ("date", Value::String(text)) => age(text, now).into(),
        _ => Value::Null,
    }
}

/// How long ago a time is, as kubectl says it.
pub(crate) fn age(text: &str, now: Timestamp) -> String {
    match text.parse::<Timestamp>() {
        Ok(then) => human(now.as_second() - then.as_second()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// A duration as `apimachinery`'s `HumanDuration` words it.
pub(crate) fn human(seconds: i64) -> String {
    let pair = |large: i64, unit: char, small: i64, lesser: char| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{lesser}") }
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, 'm', seconds % 60, 's'),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, 'h', minutes % 60, 'm'),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 24 * 8 => pair(days, 'd', hours % 24, 'h'),
        _ if days < 365 * 2 => format!("{days}d"),
        _ if days < 365 * 8 => pair(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_for_people() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (3600, "60m"),
            (4 * 3600 + 60, "4h1m"),
            (50 * 3600, "2d2h"),
            (400 * 86_400, "400d"),
            (800 * 86_400, "2y70d"),
            (9 * 365 * 86_400, "9y"),
        ] {
            assert_eq!(human(seconds), text);
        }
    }
}
