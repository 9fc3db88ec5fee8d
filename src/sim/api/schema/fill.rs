//! Defaults of a schema, and nulls that it does not take.

use serde_json::{Map, Value};

use super::field;

/// Fills an object in by its schema. Its metadata has no defaults.
pub(crate) fn fill(object: &mut Map<String, Value>, schema: &Value) {
    let metadata = object.shift_remove("metadata");
    fields(object, schema);
    if let Some(metadata) = metadata {
        object.insert("metadata".to_owned(), metadata);
    }
}

fn fields(object: &mut Map<String, Value>, schema: &Value) {
    let refuses_null = |schema: &Value| {
        !schema.get("nullable").is_some_and(|nullable| nullable == true)
            && !schema.get("x-kubernetes-preserve-unknown-fields").is_some_and(|keeps| keeps == true)
    };
    object.retain(|name, value| !value.is_null() || field(schema, name).is_none_or(|schema| !refuses_null(schema)));
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(default) = field.get("default")
            && !object.contains_key(name)
        {
            object.insert(name.clone(), default.clone());
        }
    }
    for (name, below) in object.iter_mut() {
        if let Some(schema) = field(schema, name) {
            value(below, schema);
        }
    }
}

fn value(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(object) => fields(object, schema),
        Value::Array(items) => {
            if let Some(item) = schema.get("items") {
                for each in items {
                    self::value(each, item);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_stand_in_for_what_is_missing_and_for_null() {
        let schema = json!({"properties": {"spec": {"properties": {
            "a": {"type": "string", "default": "x"},
            "b": {"type": "string", "nullable": true, "default": "y"},
            "c": {"type": "string"},
            "o": {"type": "object", "default": {}, "properties": {"in": {"default": 1}}},
            "l": {"type": "array", "items": {"properties": {"q": {"default": "each"}}}},
        }}}});
        let mut object = json!({"metadata": {}, "spec": {"a": null, "b": null, "c": null, "l": [{}]}});
        fill(object.as_object_mut().unwrap(), &schema);
        assert_eq!(object["spec"], json!({"a": "x", "b": null, "l": [{"q": "each"}], "o": {"in": 1}}));
    }
}
