//! PATCH: the four kinds, by content type.

use json_patch::{AddOperation, PatchOperation, ReplaceOperation};
use serde_json::Value;

use super::apply;
use super::call::{Call, in_go};
use super::object::Object;
use super::show;
use super::state::State;
use super::status::{Cause, Refusal};
use super::strategic;
use super::write::{self, Means};

const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// PATCH of an object or of one of its parts. An apply patch may also create it.
pub(crate) fn patch(state: &mut State, call: &Call) -> Result<(u16, Value), Refusal> {
    let resource = &call.resource;
    let known = [MERGE, JSON, APPLY].contains(&kind(call)) || (kind(call) == STRATEGIC && !resource.is_custom());
    if !known {
        return Err(Refusal::unsupported_media_type(resource));
    }
    call.check_options("PatchOptions")?;
    if !is_apply(call) {
        if call.query.text("force").is_some() {
            let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
            return Err(Refusal::invalid_kind("meta.k8s.io", "PatchOptions", "", &[cause]));
        }
        let changed = write::change(state, call, Means::Patch, |old| applied(call, old))?;
        return Ok((200, show::answer(&changed, call)?));
    }
    if state.store.get(&resource.drawer(), &call.key()).is_none() && call.subresource.is_none() {
        let object = call.typed(apply::applied(call, None)?)?;
        write::check_name(&object, call)?;
        let created = write::insert(state, call, object, Means::Apply)?;
        return Ok((201, show::answer(&created, call)?));
    }
    let changed = write::change(state, call, Means::Apply, |old| {
        let object = call.typed(apply::applied(call, Some(old))?)?;
        write::check_name(&object, call)?;
        Ok(object)
    })?;
    Ok((200, show::answer(&changed, call)?))
}

fn merge_patch(call: &Call) -> Result<Value, Refusal> {
    let refuse = |why: String| Refusal::bad_request(format!("error decoding patch: {why}"));
    let patch: Value = serde_json::from_slice(&call.body).map_err(|error| refuse(in_go(&error, &call.body)))?;
    let is = match &patch {
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Object(_) | Value::Null => return Ok(patch),
    };
    Err(refuse(format!("json: cannot unmarshal {is} into Go value of type map[string]interface {{}}")))
}

fn is_apply(call: &Call) -> bool {
    kind(call) == APPLY
}

fn kind(call: &Call) -> &str {
    call.content_type.split(';').next().unwrap_or_default().trim()
}

/// What the request's patch makes of an object, if that is still the object that the path names.
pub(crate) fn applied(call: &Call, old: &Object) -> Result<Object, Refusal> {
    let custom = call.resource.is_custom();
    let mut value = old.value();
    let mut shown = None;
    match kind(call) {
        MERGE => json_patch::merge(&mut value, &merge_patch(call)?),
        JSON => {
            let patch: Value = serde_json::from_slice(&call.body).map_err(|error| {
                Refusal::bad_request(format!("error decoding patch: {}", in_go(&error, &call.body)))
            })?;
            if patch.is_object() {
                let why =
                    "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp";
                return Err(Refusal::bad_request(why));
            }
            let patch: json_patch::Patch = serde_json::from_value(patch).map_err(|_| Refusal::patch_does_not_fit())?;
            for mut operation in patch.0 {
                // The real server's patches replace in an object what is not there; the standard's do not.
                if let PatchOperation::Replace(ReplaceOperation { path, value: new }) = &operation
                    && path.resolve(&value).is_err()
                    && path.parent().is_some_and(|parent| parent.resolve(&value).is_ok_and(Value::is_object))
                {
                    operation = PatchOperation::Add(AddOperation { path: path.clone(), value: new.clone() });
                }
                json_patch::patch(&mut value, &[operation]).map_err(|_| Refusal::patch_does_not_fit())?;
            }
        }
        STRATEGIC if !custom => {
            // This kind of patch is not called a patch when it cannot be read.
            let bare =
                |refusal: Refusal| Refusal::bad_request(refusal.message().trim_start_matches("error decoding patch: "));
            let patch = merge_patch(call).map_err(bare)?;
            value = strategic::merge(&value, &patch)?;
            shown = Some(strategic::go(&patch));
        }
        _ => return Err(Refusal::unsupported_media_type(&call.resource)),
    }
    let converts = shown.is_some();
    let shown = shown.unwrap_or_else(|| value.to_string());
    let refuse = |why: String| {
        let why = if converts { converted(why) } else { why };
        Refusal::invalid_kind("", "", "", &[Cause::invalid("patch", &shown.as_str().into(), &why)])
    };
    let object = Object::new(value).ok_or_else(|| Refusal::bad_request("the patched object is no object"))?;
    let mut object = call.typed(object).map_err(|refusal| {
        let unknown = refusal.message().split_once(": ").filter(|(_, why)| why.starts_with("no kind "));
        unknown.map(|(_, why)| refuse(why.to_owned())).unwrap_or(refusal)
    })?;
    let wrong = call.fitted(&mut object).map_err(refuse)?;
    call.judge(&wrong, refuse)?;
    write::check_name(&object, call)?;
    Ok(object)
}

/// What the converter from maps to types says where the reader of JSON says that a value is of another type.
fn converted(why: String) -> String {
    let Some((is, wanted)) = why
        .strip_prefix("json: cannot unmarshal ")
        .and_then(|rest| rest.split_once(" into Go "))
        .and_then(|(is, rest)| Some((is, rest.rsplit_once(" of type ")?.1)))
    else {
        return why;
    };
    let is = match is {
        "array" => "slice",
        "object" => "map",
        "number" => "int64",
        other => other,
    };
    match wanted {
        wanted if wanted.starts_with("map[") => format!("cannot restore map from {is}"),
        wanted if wanted.starts_with("[]") => format!("cannot restore slice from {is}"),
        wanted if wanted.contains('.') => format!("cannot restore struct from: {is}"),
        wanted => format!("cannot convert {is} to {wanted}"),
    }
}
