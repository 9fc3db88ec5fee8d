//! What a schema does not allow, in the words of the real validator.

use regex::Regex;
use serde_json::{Value, json};

use super::super::status::{Cause, CauseKind};
use super::rules::Rules;
use super::{field, is_embedded};

/// What is wrong with an object. What was wrong before and is left as it was is let pass.
pub(crate) fn check(object: &Value, old: Option<&Value>, schema: &Value, rules: &Rules) -> Vec<Cause> {
    let mut check = Check { causes: Vec::new() };
    // The metadata has rules of its own, the same for all kinds.
    let bare = |object: &Value| {
        let mut bare = object.clone();
        if let Some(fields) = bare.as_object_mut() {
            fields.shift_remove("metadata");
        }
        bare
    };
    check.value(&bare(object), old.map(bare).as_ref(), schema, "");
    let mut causes = check.causes;
    lists(object, old, schema, "", &mut causes);
    if rules.is_empty() {
        return causes;
    }
    let blocks = |cause: &Cause| {
        use CauseKind::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
        [NotSupported, Required, TooLong, TooMany, TypeInvalid].contains(&cause.kind())
    };
    if causes.iter().any(blocks) {
        let why = "some validation rules were not checked because the object was invalid; correct the existing errors \
                   to complete validation";
        causes.push(Cause::invalid("<nil>", &Value::Null, why));
    } else {
        causes.extend(rules.check(object, old, schema));
    }
    causes
}

struct Check {
    causes: Vec<Cause>,
}

impl Check {
    fn invalid(&mut self, path: &str, value: &Value, why: &str) {
        let why = format!("{path} in body {why}");
        self.causes.push(Cause::invalid(path, value, &why));
    }

    fn value(&mut self, value: &Value, old: Option<&Value>, schema: &Value, path: &str) {
        if old == Some(value) {
            return;
        }
        if let Some(wanted) = wrong_type(value, schema) {
            let kind = type_of(value);
            let why = format!("{path} in body must be of type {wanted}: {kind:?}");
            self.causes.push(Cause::type_invalid(path, &kind.into(), &why));
            return;
        }
        self.combinations(value, schema, path);
        self.enumeration(value, schema, path);
        match value {
            Value::Number(_) => self.number(value, schema, path),
            Value::String(text) => self.text(text, schema, path),
            Value::Array(items) => self.list(items, old, schema, path),
            Value::Object(_) => self.object(value, old, schema, path),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn enumeration(&mut self, value: &Value, schema: &Value, path: &str) {
        let Some(allowed) = schema.get("enum").and_then(Value::as_array) else { return };
        if !allowed.contains(value) && !value.is_null() {
            let words: Vec<String> =
                allowed.iter().map(|each| each.as_str().map_or_else(|| each.to_string(), str::to_owned)).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            self.causes.push(Cause::not_supported(path, value, &words));
        }
    }

    fn number(&mut self, value: &Value, schema: &Value, path: &str) {
        let number = value.as_f64().unwrap_or_default();
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let strict = |key: &str| schema.get(key).is_some_and(|strict| strict == true);
        if let Some(minimum) = bound("minimum") {
            let shown = &schema["minimum"];
            if strict("exclusiveMinimum") && number <= minimum {
                self.invalid(path, value, &format!("should be greater than {shown}"));
            } else if number < minimum {
                self.invalid(path, value, &format!("should be greater than or equal to {shown}"));
            }
        }
        if let Some(maximum) = bound("maximum") {
            let shown = &schema["maximum"];
            if strict("exclusiveMaximum") && number >= maximum {
                self.invalid(path, value, &format!("should be less than {shown}"));
            } else if number > maximum {
                self.invalid(path, value, &format!("should be less than or equal to {shown}"));
            }
        }
        if let Some(factor) = bound("multipleOf").filter(|factor| *factor > 0.0)
            && (number / factor).fract() != 0.0
        {
            self.invalid(path, value, &format!("should be a multiple of {}", schema["multipleOf"]));
        }
    }

    fn text(&mut self, text: &str, schema: &Value, path: &str) {
        let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        let limit = |key: &str| schema.get(key).and_then(Value::as_u64);
        if let Some(most) = limit("maxLength").filter(|most| length > *most) {
            self.causes.push(Cause::too_long(path, most));
        }
        if let Some(least) = limit("minLength").filter(|least| length < *least) {
            self.invalid(path, &text.into(), &format!("should be at least {least} chars long"));
        }
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && !Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
        {
            self.invalid(path, &text.into(), &format!("should match '{pattern}'"));
        }
        if let Some(format) = schema.get("format").and_then(Value::as_str)
            && !fits(text, format)
        {
            let why = format!("{path} in body must be of type {format}: {text:?}");
            self.causes.push(Cause::type_invalid(path, &text.into(), &why));
        }
    }

    fn list(&mut self, items: &[Value], old: Option<&Value>, schema: &Value, path: &str) {
        let limit = |key: &str| schema.get(key).and_then(Value::as_u64);
        let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
        if let Some(item) = schema.get("items") {
            for (number, each) in items.iter().enumerate() {
                let before = old.and_then(Value::as_array).and_then(|old| old.iter().find(|other| *other == each));
                self.value(each, before, item, &format!("{path}[{number}]"));
            }
        }
        if let Some(least) = limit("minItems").filter(|least| count < *least) {
            self.invalid(path, &count.into(), &format!("should have at least {least} items"));
        }
        if let Some(most) = limit("maxItems").filter(|most| count > *most) {
            self.causes.push(Cause::too_many(path, count, most));
        }
    }

    fn object(&mut self, value: &Value, old: Option<&Value>, schema: &Value, path: &str) {
        let Some(object) = value.as_object() else { return };
        let limit = |key: &str| schema.get(key).and_then(Value::as_u64);
        let count = u64::try_from(object.len()).unwrap_or(u64::MAX);
        if let Some(least) = limit("minProperties").filter(|least| count < *least) {
            self.invalid(path, &count.into(), &format!("should have at least {least} properties"));
        }
        if let Some(most) = limit("maxProperties").filter(|most| count > *most) {
            self.causes.push(Cause::too_many(path, count, most));
        }
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                self.causes.push(Cause::required(below(name), ""));
            }
        }
        let mut names: Vec<&String> = object.keys().collect();
        names.sort();
        for name in names {
            if let Some(schema) = field(schema, name) {
                self.value(&object[name], old.and_then(|old| old.get(name)), schema, &below(name));
            }
        }
        if is_embedded(schema) {
            for name in ["apiVersion", "kind"] {
                if !object.contains_key(name) {
                    self.causes.push(Cause::required(below(name), ""));
                }
            }
        }
    }

    /// `allOf`, `anyOf`, `oneOf`, `not`: whether a value fits schemas beside its own.
    fn combinations(&mut self, value: &Value, schema: &Value, path: &str) {
        let each = |key: &str| schema.get(key).and_then(Value::as_array).map(Vec::as_slice);
        let wrong = |schema: &Value| {
            let mut check = Check { causes: Vec::new() };
            check.value(value, None, schema, path);
            check.causes
        };
        for schema in each("allOf").into_iter().flatten() {
            self.causes.extend(wrong(schema));
        }
        if let Some(any) = each("anyOf")
            && !any.iter().any(|schema| wrong(schema).is_empty())
        {
            self.combination(path, "must validate at least one schema (anyOf)");
            self.causes.extend(any.first().map(wrong).into_iter().flatten());
        }
        if let Some(one) = each("oneOf") {
            match one.iter().filter(|schema| wrong(schema).is_empty()).count() {
                1 => {}
                0 => {
                    self.combination(path, "must validate one and only one schema (oneOf). Found none valid");
                    self.causes.extend(one.first().map(wrong).into_iter().flatten());
                }
                many => self.combination(
                    path,
                    &format!("must validate one and only one schema (oneOf). Found {many} valid alternatives"),
                ),
            }
        }
        if schema.get("not").is_some_and(|schema| wrong(schema).is_empty()) {
            self.combination(path, "must not validate the schema (not)");
        }
    }

    fn combination(&mut self, path: &str, why: &str) {
        self.causes.push(Cause::invalid("<nil>", &"".into(), &format!("{path:?} {why}")));
    }
}

/// The type that a value should have had.
fn wrong_type(value: &Value, schema: &Value) -> Option<String> {
    if value.is_null() && schema.get("nullable").is_some_and(|nullable| nullable == true) {
        return None;
    }
    if schema.get("x-kubernetes-int-or-string").is_some_and(|either| either == true) {
        return (!["integer", "string"].contains(&type_of(value))).then(|| "integer,string".to_owned());
    }
    let wanted = schema.get("type").and_then(Value::as_str).filter(|wanted| !wanted.is_empty())?;
    let is = type_of(value);
    let whole = is == "number" && wanted == "integer" && value.as_f64().is_some_and(|number| number.fract() == 0.0);
    let fits = is == wanted || (is == "integer" && wanted == "number") || whole;
    (!fits).then(|| wanted.to_owned())
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Whether a text has a format, of those that definitions use.
fn fits(text: &str, format: &str) -> bool {
    match format {
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.parse::<jiff::civil::Date>().is_ok(),
        "uuid" => {
            let parts: Vec<&str> = text.split('-').collect();
            parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
                && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
        }
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        _ => true,
    }
}

/// Sets have each item once, maps each key.
fn lists(value: &Value, old: Option<&Value>, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    if old == Some(value) {
        return;
    }
    match value {
        Value::Object(object) => {
            let mut names: Vec<&String> = object.keys().collect();
            names.sort();
            for name in names {
                if let Some(schema) = field(schema, name) {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    lists(&object[name], old.and_then(|old| old.get(name)), schema, &path, causes);
                }
            }
        }
        Value::Array(items) => {
            let keys: Option<Vec<&str>> = match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
                Some("set") => Some(Vec::new()),
                Some("map") => schema
                    .get("x-kubernetes-list-map-keys")
                    .and_then(Value::as_array)
                    .map(|keys| keys.iter().filter_map(Value::as_str).collect()),
                _ => None,
            };
            let mut seen: Vec<Value> = Vec::new();
            for (number, item) in items.iter().enumerate() {
                if let Some(keys) = &keys {
                    let identity = if keys.is_empty() {
                        item.clone()
                    } else {
                        let named = keys.iter().filter_map(|key| Some(((*key).to_owned(), item.get(key)?.clone())));
                        json!(named.collect::<std::collections::BTreeMap<_, _>>())
                    };
                    if seen.contains(&identity) {
                        causes.push(Cause::duplicate(format!("{path}[{number}]"), &identity));
                    }
                    seen.push(identity);
                }
                if let Some(schema) = schema.get("items") {
                    lists(item, None, schema, &format!("{path}[{number}]"), causes);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
