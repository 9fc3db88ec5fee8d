//! One request on a resource, understood: what the verbs work on.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::kinds;
use super::object::Object;
use super::protobuf;
use super::resource::{Resource, Subresource};
use super::route::Query;
use super::status::{Cause, Refusal};
use super::store::Name;
use super::typed;

/// A request whose path leads to a resource that is served.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) resource: Arc<Resource>,
    /// The namespace in the path, empty for none.
    pub(crate) namespace: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<Subresource>,
    pub(crate) query: Query,
    pub(crate) content_type: String,
    pub(crate) shape: Shape,
    /// The client, by the first word of its user agent.
    pub(crate) agent: String,
    pub(crate) body: Bytes,
    pub(crate) now: Timestamp,
    /// What the client is told besides the answer, and how long the answer takes.
    pub(crate) aside: RefCell<Aside>,
}

/// What goes along with an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aside {
    pub(crate) warnings: Vec<String>,
    pub(crate) delay: Duration,
}

/// How the client wants objects shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Whole,
    /// `as=PartialObjectMetadata`: metadata alone.
    Metadata,
    /// `as=Table`: rows of cells.
    Table,
}

/// In which words an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    Json,
    Yaml,
}

impl Shape {
    /// What an `Accept` header asks for: the first of its types that is served. `None` if none is.
    pub(crate) fn of(headers: &HeaderMap) -> Option<(Self, Words)> {
        let accept = headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if accept.trim().is_empty() {
            return Some((Self::Whole, Words::Json));
        }
        accept.split(',').find_map(|wanted| {
            let mut parts = wanted.split(';').map(str::trim);
            let words = match parts.next()? {
                "application/json" | "application/*" | "*/*" => Words::Json,
                "application/yaml" => Words::Yaml,
                _ => return None,
            };
            let parameter = |key: &str| {
                wanted
                    .split(';')
                    .filter_map(|part| part.trim().split_once('='))
                    .find(|(own, _)| *own == key)
                    .map(|(_, v)| v)
            };
            let shape = match parameter("as") {
                None => Self::Whole,
                Some("Table") if ["v1", "v1beta1"].contains(&parameter("v")?) => Self::Table,
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Self::Metadata,
                Some(_) => return None,
            };
            (parameter("as").is_none() || parameter("g") == Some("meta.k8s.io")).then_some((shape, words))
        })
    }
}

impl Call {
    /// The name in the path, for verbs that are routed by having one.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// Where the object of the path is kept.
    pub(crate) fn key(&self) -> Name {
        Name { namespace: self.namespace.clone(), name: self.name().to_owned() }
    }

    /// Tells the client something that is no refusal.
    pub(crate) fn warn(&self, text: String) {
        self.aside.borrow_mut().warnings.push(text);
    }

    /// Lets the answer take its time.
    pub(crate) fn wait(&self, time: Duration) {
        self.aside.borrow_mut().delay += time;
    }

    /// Whether nothing is to be kept.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.query.text("dryRun").is_some()
    }

    /// Who is written down as having changed the fields.
    pub(crate) fn manager(&self) -> &str {
        self.query.text("fieldManager").unwrap_or(&self.agent)
    }

    /// Refuses options that no server takes.
    pub(crate) fn check_options(&self, kind: &str) -> Result<(), Refusal> {
        let mut causes = Vec::new();
        let dry = self.query.texts("dryRun");
        if dry.iter().any(|value| !["", "All"].contains(&value.as_str())) {
            causes.push(Cause::not_supported("dryRun", &serde_json::json!(dry), &["All"]));
        }
        if self.query.text("fieldManager").is_some_and(|manager| manager.len() > 128) {
            causes.push(Cause::too_long("fieldManager", 128));
        }
        if let Some(wanted) = self.query.text("fieldValidation")
            && !["Ignore", "Strict", "Warn"].contains(&wanted)
        {
            causes.push(Cause::not_supported("fieldValidation", &wanted.into(), &["", "Ignore", "Strict", "Warn"]));
        }
        if causes.is_empty() { Ok(()) } else { Err(Refusal::invalid_kind("meta.k8s.io", kind, "", &causes)) }
    }

    /// The body as an object of this resource; kind and version may be left out for built-in ones.
    pub(crate) fn object(&self) -> Result<Object, Refusal> {
        let kind = self.content_type.split(';').next().unwrap_or_default().trim();
        if !["", "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"].contains(&kind) {
            return Err(Refusal::body_of_unknown_type());
        }
        let object = decode(&self.body, &self.resource.kind)?;
        let mut object = self.typed(object)?;
        let refuse = |why: String| {
            let (kind, version) = (&self.resource.kind, &self.resource.version);
            Refusal::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
        };
        let mut wrong = self.repeated();
        wrong.extend(self.fitted(&mut object).map_err(refuse)?);
        self.judge(&wrong, refuse)?;
        Ok(object)
    }

    /// Makes an object fit the type of this resource; the answer is what does not belong there, or
    /// why it cannot be of that type at all.
    pub(crate) fn fitted(&self, object: &mut Object) -> Result<Vec<String>, String> {
        if self.speaks_another_kind() {
            return Ok(Vec::new());
        }
        let unknown = match self.resource.definition() {
            Some(definition) => {
                typed::check_metadata(object)?;
                object.fit(&definition.schema)
            }
            None => typed::read(object, &self.resource)?,
        };
        Ok(unknown.into_iter().map(|path| format!("unknown field {path:?}")).collect())
    }

    fn repeated(&self) -> Vec<String> {
        repeated_fields(&self.body).into_iter().map(|path| format!("duplicate field {path:?}")).collect()
    }

    fn speaks_another_kind(&self) -> bool {
        matches!(self.subresource, Some(Subresource::Scale | Subresource::Eviction | Subresource::Binding))
    }

    /// Does with what does not belong into an object as the client wishes: refuse, warn, or nothing.
    pub(crate) fn judge(&self, wrong: &[String], refusal: impl FnOnce(String) -> Refusal) -> Result<(), Refusal> {
        match self.query.text("fieldValidation") {
            Some("Ignore") => {}
            Some("Strict") if !wrong.is_empty() => {
                return Err(refusal(format!("strict decoding error: {}", wrong.join(", "))));
            }
            _ => wrong.iter().for_each(|text| self.warn(text.clone())),
        }
        Ok(())
    }

    /// Checks that an object says it is of this resource, and makes it say so.
    pub(crate) fn typed(&self, mut object: Object) -> Result<Object, Refusal> {
        let resource = &self.resource;
        let (expected_version, expected_kind) = self.expected_type();
        for (field, expected) in [("kind", expected_kind), ("apiVersion", expected_version.as_str())] {
            let given = object.field(field).and_then(Value::as_str).unwrap_or_default();
            if given.is_empty() {
                if resource.is_custom() {
                    let raw = String::from_utf8_lossy(&self.body);
                    let word = if field == "kind" { "Kind" } else { "apiVersion" };
                    return Err(Refusal::bad_request(format!(
                        "the object provided is unrecognized (must be of type {expected_kind}): Object '{word}' is missing in '{raw}' \
                         ({raw})"
                    )));
                }
                object.set_field(field, Some(expected.into()));
            }
        }
        let version = object.api_version().rsplit('/').next().unwrap_or_default().to_owned();
        let (given, given_version) = (object.kind(), object.api_version());
        let known = || {
            let group = given_version.rsplit_once('/').map_or("", |(group, _)| group);
            kinds::is_known(group, &version, given)
        };
        if !resource.is_custom() && given != expected_kind && known() {
            let group = expected_version.split_once('/').map_or("", |(group, _)| group);
            let package = group.split('.').next().filter(|group| !group.is_empty()).unwrap_or("core");
            return Err(Refusal::bad_request(format!(
                "{given} in version {version:?} cannot be handled as a {expected_kind}: converting ({version}.{given}) to \
                 ({package}.{expected_kind}): unknown conversion"
            )));
        }
        if !resource.is_custom() && (given_version != expected_version || given != expected_kind) {
            return Err(Refusal::bad_request(format!(
                "{given} in version {version:?} cannot be handled as a {expected_kind}: no kind {given:?} is registered for \
                 version {given_version:?} in scheme \"pkg/runtime/scheme.go:110\""
            )));
        }
        if given_version != expected_version {
            return Err(Refusal::bad_request(format!(
                "the API version in the data ({given_version}) does not match the expected API version ({expected_version})"
            )));
        }
        if given != expected_kind {
            let cause = Cause::invalid("kind", &given.into(), &format!("must be {expected_kind}"));
            return Err(Refusal::invalid_kind(&resource.group, given, object.name(), &[cause]));
        }
        match object.field("metadata") {
            Some(Value::Object(_)) => {}
            None | Some(Value::Null) => object.set_field("metadata", Some(serde_json::json!({}))),
            Some(other) => {
                let is = if other.is_array() { "array" } else { "string" };
                let place =
                    if resource.is_custom() { "value".to_owned() } else { format!("struct field {given}.metadata") };
                return Err(Refusal::bad_request(format!(
                    "{given} in version {version:?} cannot be handled as a {given}: json: cannot unmarshal {is} into Go {place} of \
                     type v1.ObjectMeta"
                )));
            }
        }
        Ok(object)
    }

    fn expected_type(&self) -> (String, &str) {
        match self.subresource {
            Some(Subresource::Scale) => ("autoscaling/v1".to_owned(), "Scale"),
            Some(Subresource::Eviction) => ("policy/v1".to_owned(), "Eviction"),
            Some(Subresource::Binding) => ("v1".to_owned(), "Binding"),
            _ => (self.resource.api_version(), &self.resource.kind),
        }
    }
}

/// The paths of fields that stand twice in a JSON body, each once.
fn repeated_fields(body: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut source = serde_json::Deserializer::from_slice(body);
    // What is no JSON is refused elsewhere.
    let _ = Walk { path: String::new(), found: &mut found }.deserialize(&mut source);
    found
}

/// Reads JSON for nothing but the names of its fields.
struct Walk<'a> {
    path: String,
    found: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            if !seen.insert(name) && !self.found.contains(&path) {
                self.found.push(path.clone());
            }
            map.next_value_seed(Walk { path, found: &mut *self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut number = 0;
        while list
            .next_element_seed(Walk { path: format!("{}[{number}]", self.path), found: &mut *self.found })?
            .is_some()
        {
            number += 1;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// What Go's parser says of a text that is no JSON.
pub(crate) fn in_go(error: &serde_json::Error, body: &[u8]) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let line = body.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let text = error.to_string();
    let letter = |column: usize| char::from(line.get(column.saturating_sub(1)).copied().unwrap_or_default());
    let found = letter(error.column());
    let place = match text.as_str() {
        text if text.starts_with("key must be a string") => "looking for beginning of object key string",
        text if text.starts_with("expected value") => "looking for beginning of value",
        text if text.starts_with("expected `,` or `}`") => "after object key:value pair",
        text if text.starts_with("expected `,` or `]`") => "after array element",
        text if text.starts_with("expected `:`") => "after object key",
        text if text.starts_with("trailing characters") => "after top-level value",
        _ => return text,
    };
    format!("invalid character '{found}' {place}")
}

/// A body as an object: JSON, or YAML, which is how apply patches come. `kind` is what it should be.
pub(crate) fn decode(body: &[u8], kind: &str) -> Result<Object, Refusal> {
    let unrecognized = |why: &str| {
        let shown = if body.is_empty() { "<empty>".into() } else { String::from_utf8_lossy(body) };
        Refusal::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: {why} ({shown})"
        ))
    };
    if protobuf::is_protobuf(body) {
        return Object::new(protobuf::decode(body)?).ok_or_else(|| unrecognized("an object was expected"));
    }
    let value = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Null) => serde_json::json!({}),
        Ok(Value::Object(value)) => Value::Object(value),
        Ok(other) => {
            let is = match other {
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                _ => "number",
            };
            let digits: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(Refusal::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: \
                 json: cannot unmarshal {is} into Go value of type struct {{ APIVersion string \
                 \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }} ({digits})"
            )));
        }
        Err(error) if error.is_eof() => return Err(unrecognized("unexpected end of JSON input")),
        Err(error) => {
            let text = std::str::from_utf8(body).unwrap_or_default();
            serde_saphyr::from_str::<Value>(text).map_err(|_| unrecognized(&in_go(&error, body)))?
        }
    };
    Object::new(value).ok_or_else(|| unrecognized("an object was expected"))
}
