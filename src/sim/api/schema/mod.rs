//! Schemas of custom resources: what of an object is kept, filled in and allowed.
//!
//! Schemas are taken as the definition has them; that they are structural was checked when
//! the definition came ([`super::definition`]).

mod check;
mod fill;
mod prune;
mod rules;

pub(crate) use check::check;
pub(crate) use fill::fill;
pub(crate) use prune::prune;
pub(crate) use rules::Rules;

use serde_json::Value;

/// Whether anything may be below, known or not.
fn keeps_unknown(schema: &Value) -> bool {
    schema.get("x-kubernetes-preserve-unknown-fields").is_some_and(|keeps| keeps == true)
}

/// Whether this is an object with a kind and metadata of its own.
fn is_embedded(schema: &Value) -> bool {
    schema.get("x-kubernetes-embedded-resource").is_some_and(|embedded| embedded == true)
}

/// The schema of one field, by its name or as one of many.
fn field<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let named = schema.get("properties").and_then(|properties| properties.get(name));
    named.or_else(|| schema.get("additionalProperties").filter(|more| more.is_object()))
}
