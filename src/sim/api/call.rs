//! One request on a resource, understood: what the verbs work on.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;

use super::object::Object;
use super::protobuf;
use super::resource::{Resource, Subresource};
use super::route::Query;
use super::status::{Cause, Refusal};
use super::store::Name;

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
}

/// How the client wants objects shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Whole,
    /// `as=PartialObjectMetadata`: metadata alone.
    Metadata,
}

impl Shape {
    /// What an `Accept` header asks for; what is not imitated falls to whole objects, as with old servers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let first = accept.split(',').next().unwrap_or_default();
        if first.contains("as=PartialObjectMetadata") { Self::Metadata } else { Self::Whole }
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
        for value in self.query.texts("dryRun").iter().filter(|value| !["", "All"].contains(&value.as_str())) {
            causes.push(Cause::not_supported("dryRun", &serde_json::json!([value]), &["All"]));
        }
        if let Some(manager) = self.query.text("fieldManager").filter(|manager| manager.len() > 128) {
            causes.push(Cause::invalid("fieldManager", &manager.into(), "may not be more than 128 bytes"));
        }
        if causes.is_empty() { Ok(()) } else { Err(Refusal::invalid_kind("meta.k8s.io", kind, "", &causes)) }
    }

    /// The body as an object of this resource; kind and version may be left out for built-in ones.
    pub(crate) fn object(&self) -> Result<Object, Refusal> {
        let object = decode(&self.body, &self.resource.kind)?;
        self.typed(object)
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
        if !resource.is_custom() && given != expected_kind {
            let package = resource.group.split('.').next().filter(|group| !group.is_empty()).unwrap_or("core");
            return Err(Refusal::bad_request(format!(
                "{given} in version {version:?} cannot be handled as a {expected_kind}: converting ({version}.{given}) to \
                 ({package}.{expected_kind}): unknown conversion"
            )));
        }
        if !resource.is_custom() && given_version != expected_version {
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
            Some(_) => return Err(Refusal::bad_request("metadata: expected an object")),
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
        Ok(value) => value,
        Err(error) if error.is_eof() => return Err(unrecognized("unexpected end of JSON input")),
        Err(error) => {
            let text = std::str::from_utf8(body).unwrap_or_default();
            serde_saphyr::from_str::<Value>(text).map_err(|_| unrecognized(&error.to_string()))?
        }
    };
    Object::new(value).ok_or_else(|| unrecognized("an object was expected"))
}
