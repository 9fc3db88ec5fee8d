//! `x-kubernetes-validations`: rules in CEL.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::expr::{Cel, Env};

use super::super::status::Cause;
use super::field;

/// The rules of a schema, compiled once.
#[derive(Debug, Default)]
pub(crate) struct Rules(BTreeMap<String, Cel>);

impl PartialEq for Rules {
    /// Rules are as their sources are.
    fn eq(&self, other: &Self) -> bool {
        self.0.keys().eq(other.0.keys())
    }
}

impl Rules {
    /// Compiles the rules of a schema. What does not compile was refused when the definition came, so it is left out.
    pub(crate) fn of(schema: &Value) -> Self {
        let mut rules = Self::default();
        rules.collect(schema);
        rules
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn collect(&mut self, schema: &Value) {
        for rule in schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
            for source in ["rule", "messageExpression"].iter().filter_map(|key| rule.get(*key)?.as_str()) {
                if let Ok(compiled) = Cel::compile(source) {
                    self.0.insert(source.to_owned(), compiled);
                }
            }
        }
        for below in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            self.collect(below.1);
        }
        for key in ["items", "additionalProperties"] {
            if let Some(below) = schema.get(key) {
                self.collect(below);
            }
        }
    }

    /// What the rules have against an object; `old` is what it replaces.
    pub(crate) fn check(&self, object: &Value, old: Option<&Value>, schema: &Value) -> Vec<Cause> {
        let mut causes = Vec::new();
        if !self.is_empty() {
            self.value(object, old, schema, "", &mut causes);
        }
        causes
    }

    fn value(&self, value: &Value, old: Option<&Value>, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
        for rule in schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
            causes.extend(self.ask(rule, value, old, schema, path));
        }
        match value {
            Value::Object(object) => {
                let named = schema.get("properties").and_then(Value::as_object);
                let mut names: Vec<&String> = object.keys().collect();
                names.sort();
                for name in names {
                    let Some(schema) = field(schema, name) else { continue };
                    let is_named = named.is_some_and(|named| named.contains_key(name));
                    let path = match (path.is_empty(), is_named) {
                        (true, _) => name.clone(),
                        (false, true) => format!("{path}.{name}"),
                        (false, false) => format!("{path}[{name}]"),
                    };
                    self.value(&object[name], old.and_then(|old| old.get(name)), schema, &path, causes);
                }
            }
            Value::Array(items) => {
                let Some(item) = schema.get("items") else { return };
                for (number, each) in items.iter().enumerate() {
                    let before = old.and_then(|old| correlated(old, each, schema));
                    self.value(each, before, item, &format!("{path}[{number}]"), causes);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn ask(&self, rule: &Value, value: &Value, old: Option<&Value>, schema: &Value, path: &str) -> Option<Cause> {
        let source = rule["rule"].as_str().unwrap_or_default();
        let compiled = self.0.get(source)?;
        let is_about_change = compiled.paths().iter().any(|path| path.root() == "oldSelf");
        if is_about_change && old.is_none() {
            return None;
        }
        let env = Env::new().with("self", value.clone()).with("oldSelf", old.cloned().unwrap_or_default());
        let said = rule["message"].as_str().map(str::to_owned);
        let expression = rule["messageExpression"].as_str().and_then(|source| self.0.get(source));
        let evaluated = || expression.and_then(|cel| cel.eval(&env).ok()?.as_str().map(str::to_owned));
        let message = match compiled.holds(&env) {
            Ok(true) => return None,
            Ok(false) => evaluated().or(said).unwrap_or_else(|| format!("failed rule: {source}")),
            Err(error) => format!("{error} evaluating rule: {}", said.unwrap_or_else(|| source.to_owned())),
        };
        let mut at = if path.is_empty() { "<nil>".to_owned() } else { path.to_owned() };
        if let Some(below) = rule["fieldPath"].as_str().filter(|below| !below.is_empty()) {
            at = if path.is_empty() { below.trim_start_matches('.').to_owned() } else { format!("{path}{below}") };
        }
        Some(match rule["reason"].as_str() {
            Some("FieldValueForbidden") => Cause::forbidden(at, &message),
            Some("FieldValueRequired") => Cause::required(at, &message),
            Some("FieldValueDuplicate") => Cause::duplicate(at, value),
            _ => Cause::invalid(at, &json!(schema["type"].as_str().unwrap_or_default()), &message),
        })
    }
}

/// The item that was there before under the same keys. Items of other lists are not told apart.
fn correlated<'a>(old: &'a Value, item: &Value, schema: &Value) -> Option<&'a Value> {
    if schema.get("x-kubernetes-list-type").is_none_or(|kind| kind != "map") {
        return None;
    }
    let keys = schema.get("x-kubernetes-list-map-keys")?.as_array()?;
    old.as_array()?
        .iter()
        .find(|other| keys.iter().filter_map(Value::as_str).all(|key| other.get(key) == item.get(key)))
}
