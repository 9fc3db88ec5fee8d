//! Refusals, worded as the real server words them.

use std::fmt;

use serde_json::{Map, Value, json};

use super::resource::Resource;

/// A request that was not done: what a client reads as a `Status` object.
///
/// The texts are those of apimachinery's `api/errors`: clients and people match on them.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    code: u16,
    reason: &'static str,
    message: String,
    details: Box<Map<String, Value>>,
    form: Form,
    /// Where a list that broke off can be taken up again.
    token: Option<String>,
}

/// How a refusal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A `Status`; its details are left out when there are none.
    Status,
    /// A `Status` that the server makes of a bare code: its details are there and empty.
    Generic,
    /// The bare sentence.
    Plain,
}

/// One field at fault in an invalid object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cause {
    kind: CauseKind,
    field: String,
    body: String,
}

/// What is wrong with a field, by apimachinery's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CauseKind {
    Required,
    Invalid,
    Forbidden,
    NotSupported,
    NotFound,
    Duplicate,
    TooLong,
    TooMany,
    TypeInvalid,
}

impl Cause {
    /// A field that has to be there.
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Self {
        let body = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Self { kind: CauseKind::Required, field: field.into(), body }
    }

    /// A field with a wrong value; the value is printed as Go's `%#v`, which for texts is JSON's.
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        let mut shown = value.to_string();
        if value.is_object() || value.is_array() {
            // Go writes JSON so that it can stand in HTML.
            for (plain, escaped) in [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")] {
                shown = shown.replace(plain, escaped);
            }
        }
        Self { kind: CauseKind::Invalid, field: field.into(), body: format!("Invalid value: {shown}: {detail}") }
    }

    /// A field that may not be there, or not like this.
    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self { kind: CauseKind::Forbidden, field: field.into(), body: format!("Forbidden: {detail}") }
    }

    /// A field with a value that is none of a list.
    pub(crate) fn not_supported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let list: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
        let body = format!("Unsupported value: {value}: supported values: {}", list.join(", "));
        Self { kind: CauseKind::NotSupported, field: field.into(), body }
    }

    /// A field with a value of a wrong type.
    pub(crate) fn type_invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self { kind: CauseKind::TypeInvalid, ..Self::invalid(field, value, detail) }
    }

    /// A value that stands there twice.
    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self { kind: CauseKind::Duplicate, field: field.into(), body: format!("Duplicate value: {value}") }
    }

    /// A reference to what is not there.
    pub(crate) fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self { kind: CauseKind::NotFound, field: field.into(), body: format!("Not found: {value}") }
    }

    /// A text that is too long.
    pub(crate) fn too_long(field: impl Into<String>, most: u64) -> Self {
        let body = format!("Too long: may not be more than {most} bytes");
        Self { kind: CauseKind::TooLong, field: field.into(), body }
    }

    /// A list or map with too much in it.
    pub(crate) fn too_many(field: impl Into<String>, count: u64, most: u64) -> Self {
        let body = format!("Too many: {count}: must have at most {most} items");
        Self { kind: CauseKind::TooMany, field: field.into(), body }
    }

    /// The field at fault.
    pub(crate) fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong with it.
    pub(crate) fn kind(&self) -> CauseKind {
        self.kind
    }

    /// The same fault, found below another field.
    pub(crate) fn moved_to(mut self, field: &str) -> Self {
        let apart = !self.field.is_empty() && self.field != "<nil>";
        self.field = if apart { format!("{field}.{}", self.field) } else { field.to_owned() };
        self
    }

    fn reason(&self) -> &'static str {
        match self.kind {
            CauseKind::NotFound => "FieldValueNotFound",
            CauseKind::Duplicate => "FieldValueDuplicate",
            CauseKind::TooLong => "FieldValueTooLong",
            CauseKind::TooMany => "FieldValueTooMany",
            CauseKind::TypeInvalid => "FieldValueTypeInvalid",
            CauseKind::Required => "FieldValueRequired",
            CauseKind::Invalid => "FieldValueInvalid",
            CauseKind::Forbidden => "FieldValueForbidden",
            CauseKind::NotSupported => "FieldValueNotSupported",
        }
    }
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Box::default(), form: Form::Status, token: None }
    }

    fn detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if value != json!("") && value != json!(0) {
            self.details.insert(key.to_owned(), value);
        }
        self
    }

    fn about(self, name: &str, group: &str, kind: &str) -> Self {
        self.detail("name", name).detail("group", group).detail("kind", kind)
    }

    /// The path leads nowhere: the text that Go's own mux sends, not a `Status`.
    pub(crate) fn no_such_path() -> Self {
        Self { form: Form::Plain, ..Self::new(404, "NotFound", "404 page not found\n") }
    }

    fn generic(code: u16, reason: &'static str, message: &str) -> Self {
        Self { form: Form::Generic, ..Self::new(code, reason, message) }
    }

    /// The group is served, but nothing of this name in it.
    pub(crate) fn no_such_resource() -> Self {
        Self::generic(404, "NotFound", "the server could not find the requested resource")
    }

    /// The patch cannot be applied to what is there.
    pub(crate) fn patch_does_not_fit() -> Self {
        Self::generic(422, "Invalid", "the server rejected our request due to an error in our request")
    }

    /// The version asked for is no number; a list and a watch say so differently.
    pub(crate) fn version_is_no_number(text: &str, watch: bool) -> Self {
        let why =
            format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax");
        if watch { Self::unknown(why) } else { Self::bad_request(format!("invalid resource version: {why}")) }
    }

    /// No object of this name.
    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", resource.group_resource())).about(
            name,
            &resource.group,
            &resource.plural,
        )
    }

    /// No resource of this kind is served; a client finds out by itself, the words are kubectl's.
    pub(crate) fn unknown_kind(api_version: &str, kind: &str) -> Self {
        Self::new(404, "NotFound", format!("no matches for kind {kind:?} in version {api_version:?}"))
    }

    /// No object of this name, of a built-in kind without a group.
    pub(crate) fn not_found_named(plural: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{plural} {name:?} not found")).about(name, "", plural)
    }

    /// The name is taken.
    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", resource.group_resource())).about(
            name,
            &resource.group,
            &resource.plural,
        )
    }

    /// The name that the server made up is taken.
    pub(crate) fn generated_name_taken(resource: &Resource, name: &str) -> Self {
        let mut refusal = Self::already_exists(resource, name).detail("retryAfterSeconds", 1);
        refusal.message.push_str(", the server was not able to generate a unique name for the object");
        refusal
    }

    /// Somebody was faster.
    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", resource.group_resource());
        Self::new(409, "Conflict", message).about(name, &resource.group, &resource.plural)
    }

    /// As [`Self::conflict`], where the server names the kind instead of the resource.
    pub(crate) fn conflict_of_kind(resource: &Resource, name: &str, why: &str) -> Self {
        let qualified = resource.qualified_kind();
        Self::new(409, "Conflict", format!("Operation cannot be fulfilled on {qualified} {name:?}: {why}")).about(
            name,
            &resource.group,
            &resource.kind,
        )
    }

    /// Server-side apply met fields of another manager.
    pub(crate) fn apply_conflict(message: String, causes: Vec<Value>) -> Self {
        Self::new(409, "Conflict", message).detail("causes", causes)
    }

    /// The version asked for is no longer, or not, in the history.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// The moment of a page is no longer in the history; with this token the rest can be read as it is now.
    pub(crate) fn expired_page(token: &str, message: &str) -> Self {
        Self { token: Some(token.to_owned()), ..Self::expired(message) }
    }

    /// None of the types that the client would take is served.
    pub(crate) fn not_acceptable(message: impl Into<String>) -> Self {
        Self { form: Form::Generic, ..Self::new(406, "NotAcceptable", message) }
    }

    /// No answer has the form that the client wants of an object.
    pub(crate) fn shape_not_acceptable(message: impl Into<String>) -> Self {
        Self::new(406, "NotAcceptable", message)
    }

    /// The object breaks rules. More than one cause is bracketed, as Go's aggregate prints it.
    pub(crate) fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        Self::invalid_kind(&resource.group, &resource.kind, name, causes)
    }

    /// As [`Self::invalid`], for what is no resource: options.
    pub(crate) fn invalid_kind(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let mut texts: Vec<String> = Vec::new();
        for cause in causes {
            let text = format!("{}: {}", cause.field, cause.body);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let list = if let [one] = texts.as_slice() { one.clone() } else { format!("[{}]", texts.join(", ")) };
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let causes: Vec<Value> = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason(), "message": cause.body, "field": cause.field}))
            .collect();
        Self::new(422, "Invalid", format!("{qualified} {name:?} is invalid: {list}"))
            .about(name, group, kind)
            .detail("causes", causes)
    }

    /// The request cannot be understood.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// Not allowed.
    pub(crate) fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let what = resource.group_resource();
        let message = if name.is_empty() {
            format!("{what} is forbidden: {why}")
        } else {
            format!("{what} {name:?} is forbidden: {why}")
        };
        Self::new(403, "Forbidden", message).about(name, &resource.group, &resource.plural)
    }

    /// Nothing new in a namespace that is going.
    pub(crate) fn forbidden_in_terminating(resource: &Resource, name: &str, why: &str, namespace: &str) -> Self {
        let cause = json!({
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        });
        Self::forbidden(resource, name, why).detail("causes", vec![cause])
    }

    /// An error that the server did not foresee: 500 without a reason.
    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// Any other code, with the sentence that clients themselves make of one.
    pub(crate) fn bare(code: u16) -> Self {
        Self::new(
            code,
            "",
            format!("the server responded with the status code {code} but did not return more information"),
        )
    }

    /// Come again later.
    pub(crate) fn too_many_requests(message: impl Into<String>, retry_after: u64) -> Self {
        Self::new(429, "TooManyRequests", message).detail("retryAfterSeconds", retry_after)
    }

    /// An eviction that a disruption budget does not allow.
    pub(crate) fn would_violate_budget(why: &str, retry_after: u64) -> Self {
        let cause = json!({"reason": "DisruptionBudget", "message": why});
        Self::too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", retry_after)
            .detail("causes", vec![cause])
    }

    /// The server cannot answer now.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    /// The server broke.
    pub(crate) fn internal(why: &str) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {why}"))
            .detail("causes", vec![json!({"message": why})])
    }

    /// A webhook does not want it.
    pub(crate) fn denied(webhook: &str, code: u16, why: &str) -> Self {
        let message = if why.is_empty() {
            format!("admission webhook {webhook:?} denied the request without explanation")
        } else {
            format!("admission webhook {webhook:?} denied the request: {why}")
        };
        let reason = match code {
            400 => "BadRequest",
            403 => "Forbidden",
            409 => "Conflict",
            422 => "Invalid",
            500 => "InternalError",
            _ => "",
        };
        Self::new(code, reason, message)
    }

    /// The server did not come to an answer in time.
    pub(crate) fn timeout(message: &str, retry_after: u64, causes: Vec<Value>) -> Self {
        Self::new(504, "Timeout", format!("Timeout: {message}"))
            .detail("causes", causes)
            .detail("retryAfterSeconds", retry_after)
    }

    /// This resource does not know the verb.
    pub(crate) fn method_not_allowed() -> Self {
        Self::generic(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    /// The body of a creation or an update is of a type that nobody reads.
    pub(crate) fn body_of_unknown_type() -> Self {
        let message = "the body of the request was in an unknown format - accepted media types include: application/json, \
                       application/yaml, application/vnd.kubernetes.protobuf";
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// The body is of a type that this request does not take.
    pub(crate) fn unsupported_media_type(resource: &Resource) -> Self {
        if resource.is_custom() {
            let message = "the body of the request was in an unknown format - accepted media types include: \
                           application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
            return Self::new(415, "UnsupportedMediaType", message);
        }
        Self::generic(415, "UnsupportedMediaType", "415: Unsupported Media Type")
    }

    /// A real server would do this, the embedded one does not.
    pub(crate) fn not_imitated(what: &str) -> Self {
        let message =
            format!("the embedded API server does not imitate {what}; a real cluster does: name one with `--context`");
        Self::new(501, "NotImplemented", message)
    }

    /// A command for a container in which nothing runs.
    pub(crate) fn no_program(image: &str) -> Self {
        let message = format!(
            "no program is registered for image {image:?} in the embedded cluster, so nothing answers exec in its containers"
        );
        Self::new(501, "NotImplemented", message)
    }

    /// The HTTP status.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The machine-readable reason, as in `NotFound`.
    pub fn reason(&self) -> &str {
        self.reason
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Seconds for a `Retry-After` header.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.details.get("retryAfterSeconds").and_then(Value::as_u64)
    }

    /// Whether the body is the bare sentence instead of a `Status`.
    pub(crate) fn is_plain(&self) -> bool {
        self.form == Form::Plain
    }

    /// The `Status` object.
    pub(crate) fn body(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message,
        });
        if let Some(token) = &self.token {
            status["metadata"]["continue"] = json!(token);
        }
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if !self.details.is_empty() || self.form == Form::Generic {
            status["details"] = Value::Object((*self.details).clone());
        }
        status["code"] = json!(self.code);
        status
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message.trim_end())
    }
}

impl std::error::Error for Refusal {}
