//! PATCH: the four kinds, by content type.

use serde_json::Value;

use super::call::{Call, decode};
use super::object::Object;
use super::show;
use super::state::State;
use super::status::Refusal;
use super::strategic;
use super::write::{self, Means};

const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// PATCH of an object or of one of its parts.
pub(crate) fn patch(state: &mut State, call: &Call) -> Result<(u16, Value), Refusal> {
    call.check_options("PatchOptions")?;
    let changed = write::change(state, call, Means::Patch, |old| applied(call, old))?;
    Ok((200, show::object(&changed, &call.resource, call.shape)))
}

/// What the request's patch makes of an object, if that is still the object that the path names.
pub(crate) fn applied(call: &Call, old: &Object) -> Result<Object, Refusal> {
    let custom = call.resource.is_custom();
    let mut value = old.value();
    match call
        .content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
    {
        MERGE => json_patch::merge(&mut value, &decode(&call.body)?.into_value()),
        JSON => {
            let patch: json_patch::Patch = serde_json::from_slice(&call.body)
                .map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}")))?;
            json_patch::patch(&mut value, &patch).map_err(|error| {
                Refusal::unprocessable(format!(
                    "the server rejected our request due to an error in our request: {error}"
                ))
            })?;
        }
        STRATEGIC if !custom => {
            value = strategic::merge(&value, &decode(&call.body)?.into_value())?
        }
        _ => {
            let accepted: &[&str] = if custom {
                &[JSON, MERGE, APPLY]
            } else {
                &[JSON, MERGE, STRATEGIC, APPLY]
            };
            return Err(Refusal::unsupported_media_type(&accepted.join(", ")));
        }
    }
    let object = Object::new(value)
        .ok_or_else(|| Refusal::bad_request("the patched object is no object"))?;
    let object = call.typed(object)?;
    write::check_name(&object, call)?;
    Ok(object)
}
