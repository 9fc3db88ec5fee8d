//! How a stored object leaves the server: in the version and shape that was asked for.

use serde_json::{Value, json};

use super::call::{Call, Shape};
use super::object::Object;
use super::resource::Resource;
use super::status::Refusal;
use super::table::{self, Include};

/// An object as the answer to a request on it: as a table too.
pub(crate) fn answer(object: &Object, call: &Call) -> Result<Value, Refusal> {
    match call.shape {
        Shape::Table => Ok(table::single(object, &call.resource, Include::of(call)?, call.now)),
        Shape::Whole | Shape::Metadata => Ok(self::object(object, &call.resource, call.shape)),
    }
}

/// An object as a client of this version of the resource sees it.
///
/// All versions share their fields here: a conversion strategy of `None`, which
/// changes `apiVersion` alone.
pub(crate) fn object(object: &Object, resource: &Resource, shape: Shape) -> Value {
    match shape {
        Shape::Whole | Shape::Table => {
            let mut shown = object.clone();
            shown.set_field("apiVersion", Some(resource.api_version().into()));
            if let Some(definition) = resource.definition().filter(|definition| definition.varied) {
                shown.fit(&definition.storage);
                shown.fit(&definition.schema);
            }
            shown.into_value()
        }
        Shape::Metadata => json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": object.field("metadata"),
        }),
    }
}

/// Whether an object is shown whole just as it is stored.
pub(crate) fn is_as_stored(object: &Object, resource: &Resource) -> bool {
    object.field("apiVersion").is_some_and(|version| *version == *resource.api_version())
        && resource.definition().is_none_or(|definition| !definition.varied)
}

/// The kind and version of a list.
pub(crate) fn list_type(resource: &Resource, shape: Shape) -> (String, String) {
    match shape {
        Shape::Whole | Shape::Table => (format!("{}List", resource.kind), resource.api_version()),
        Shape::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
    }
}
