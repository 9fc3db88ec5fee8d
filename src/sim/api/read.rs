//! get and list.

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::call::{Call, Shape};
use super::selector::{self, Selection};
use super::show;
use super::state::State;
use super::status::{Cause, Refusal};
use super::table::{self, Include};

/// One object.
pub(crate) fn get(state: &State, call: &Call) -> Result<Value, Refusal> {
    if let Some(wanted) = call.query.text("resourceVersion") {
        // A single object is looked up further inside, where a word that is no number is nobody's fault.
        not_in_the_future(version(wanted, true)?, state)?;
    }
    let object = state
        .store
        .get(&call.resource.drawer(), &call.key())
        .ok_or_else(|| Refusal::not_found(&call.resource, call.name()))?;
    show::answer(object, call)
}

/// A list, or a page of it.
///
/// A page remembers the revision of the first one: the list is one moment, however
/// long reading it takes, until that moment is compacted away.
pub(crate) fn list(state: &State, call: &Call) -> Result<Value, Refusal> {
    if let Some(text) = call.query.text("limit").filter(|text| text.parse::<i64>().is_err()) {
        return Err(Refusal::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")));
    }
    check_list_options(call)?;
    let selection = selection(call)?;
    let namespace = selection.namespace.as_deref();
    let drawer = call.resource.drawer();
    let limit = usize::try_from(call.query.number("limit").unwrap_or_default()).unwrap_or_default();
    let mut start = String::new();

    let (revision, objects) = if let Some(token) = call.query.text("continue") {
        let token = Continue::read(token)?;
        if call.query.text("resourceVersion").is_some_and(|version| version != "0") {
            return Err(Refusal::bad_request("specifying resource version is not allowed when using continue"));
        }
        let objects = match u64::try_from(token.revision) {
            // A negative revision in a token means "as it is now".
            Err(_) => state.store.list(&drawer, namespace),
            Ok(then) => state.store.list_at(&drawer, namespace, then).map_err(|_| too_old_to_continue(&token.start))?,
        };
        start = token.start;
        (u64::try_from(token.revision).unwrap_or_else(|_| state.store.revision()), objects)
    } else {
        match call.query.text("resourceVersion") {
            Some(wanted) if call.query.text("resourceVersionMatch") == Some("Exact") => {
                let wanted = version(wanted, false)?;
                not_in_the_future(wanted, state)?;
                let objects = state
                    .store
                    .list_at(&drawer, namespace, wanted)
                    .map_err(|_| Refusal::expired("The resourceVersion for the provided list is too old."))?;
                (wanted, objects)
            }
            wanted => {
                not_in_the_future(version(wanted.unwrap_or("0"), false)?, state)?;
                (state.store.revision(), state.store.list(&drawer, namespace))
            }
        }
    };

    let key = |object: &super::object::Object| {
        if call.resource.namespaced {
            format!("{}/{}", object.namespace(), object.name())
        } else {
            object.name().to_owned()
        }
    };
    let mut rest = objects.into_iter().filter(|object| key(object) > start && selection.matches(object)).peekable();
    let mut page = Vec::new();
    let mut last = String::new();
    while let Some(object) = rest.next_if(|_| limit == 0 || page.len() < limit) {
        last = key(&object);
        page.push(object);
    }
    let mut items = Vec::new();
    for object in page.iter().filter(|_| call.shape != Shape::Table) {
        let mut item = show::object(object, &call.resource, call.shape);
        // Items of a typed list do not repeat what the list says; custom ones do.
        if !call.resource.is_custom() && call.shape == Shape::Whole {
            let item = item.as_object_mut().expect("a shown object is a JSON object");
            item.shift_remove("kind");
            item.shift_remove("apiVersion");
        }
        items.push(item);
    }
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if call.resource.is_custom() && call.shape == Shape::Whole {
        metadata["continue"] = "".into();
    }
    let remaining = rest.count();
    if remaining > 0 {
        metadata["continue"] =
            Continue { revision: i64::try_from(revision).unwrap_or(i64::MAX), start: last }.text().into();
        if selection.is_whole() {
            metadata["remainingItemCount"] = remaining.into();
        }
    }
    if call.shape == Shape::Table {
        let objects = page.iter().map(AsRef::as_ref);
        return Ok(table::table(objects, &metadata, &call.resource, Include::of(call)?, call.now));
    }
    let (kind, api_version) = show::list_type(&call.resource, call.shape);
    // A real server's empty list of names alone has null there.
    let items = if items.is_empty() && matches!(call.shape, Shape::Metadata) { Value::Null } else { items.into() };
    // `json!` would copy the items.
    let fields = [("kind", kind.into()), ("apiVersion", api_version.into()), ("metadata", metadata), ("items", items)];
    Ok(Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()))
}

/// What the query selects.
pub(crate) fn selection(call: &Call) -> Result<Selection, Refusal> {
    Ok(Selection {
        namespace: Some(call.namespace.clone()).filter(|namespace| !namespace.is_empty()),
        labels: call.query.text("labelSelector").map_or(Ok(Vec::new()), selector::labels)?,
        fields: call
            .query
            .text("fieldSelector")
            .map_or(Ok(Vec::new()), |text| selector::fields(text, &call.resource))?,
    })
}

/// A resource version as a number.
pub(crate) fn version(text: &str, watch: bool) -> Result<u64, Refusal> {
    text.parse().map_err(|_| Refusal::version_is_no_number(text, watch))
}

fn not_in_the_future(wanted: u64, state: &State) -> Result<(), Refusal> {
    let current = state.store.revision();
    if wanted <= current {
        return Ok(());
    }
    let causes = vec![json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"})];
    Err(Refusal::timeout(&format!("Too large resource version: {wanted}, current: {current}"), 1, causes))
}

fn check_list_options(call: &Call) -> Result<(), Refusal> {
    let mut causes = Vec::new();
    let version = call.query.text("resourceVersion");
    if let Some(wanted) = call.query.text("resourceVersionMatch") {
        let forbidden = |why| Cause::forbidden("resourceVersionMatch", why);
        if version.is_none() {
            causes.push(forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"));
        }
        if call.query.text("continue").is_some() {
            causes.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
        }
        if !["Exact", "NotOlderThan"].contains(&wanted) {
            causes.push(Cause::not_supported("resourceVersionMatch", &wanted.into(), &["Exact", "NotOlderThan", ""]));
        }
        if wanted == "Exact" && version == Some("0") {
            causes.push(forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
        }
    }
    if call.query.text("sendInitialEvents").is_some() {
        causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    refuse_options(&causes)
}

/// Refuses list options, if something is wrong with them.
pub(crate) fn refuse_options(causes: &[Cause]) -> Result<(), Refusal> {
    if causes.is_empty() { Ok(()) } else { Err(Refusal::invalid_kind("meta.k8s.io", "ListOptions", "", causes)) }
}

fn too_old_to_continue(start: &str) -> Refusal {
    let again = Continue { revision: -1, start: start.to_owned() };
    Refusal::expired_page(
        &again.text(),
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without \
         the continue parameter, or use the continue token in this response to retrieve the remainder of the results. \
         Continuing with the provided token results in an inconsistent list - objects that were created, modified, or \
         deleted between the time the first chunk was returned and now may show up in the list.",
    )
}

/// Where a page ended: the real server's token, base64 of JSON without padding.
struct Continue {
    revision: i64,
    start: String,
}

impl Continue {
    fn read(text: &str) -> Result<Self, Refusal> {
        let invalid =
            |why: &str| Refusal::bad_request(format!("invalid continue token: continue key is not valid{why}"));
        let padded =
            format!("{}{}", text.replace('-', "+").replace('_', "/"), "=".repeat(text.len().wrapping_neg() % 4));
        let ByteString(bytes) =
            serde_json::from_value(padded.into()).map_err(|_| invalid(": illegal base64 data at input byte 0"))?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|_| {
            let first = String::from_utf8_lossy(&bytes).chars().next().unwrap_or_default();
            invalid(&format!(": invalid character '{first}' looking for beginning of value"))
        })?;
        if token["v"] != "meta.k8s.io/v1" {
            return Err(invalid(&format!(
                ": server does not recognize this encoded version {}",
                token["v"].as_str().unwrap_or_default()
            )));
        }
        let revision = token["rv"].as_i64().unwrap_or_default();
        if revision == 0 {
            return Err(invalid(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)"));
        }
        let start = token["start"].as_str().unwrap_or_default().trim_end_matches('\0').to_owned();
        Ok(Self { revision, start })
    }

    fn text(&self) -> String {
        let token = json!({"v": "meta.k8s.io/v1", "rv": self.revision, "start": format!("{}\0", self.start)});
        let encoded = json!(ByteString(token.to_string().into_bytes()));
        encoded.as_str().unwrap_or_default().trim_end_matches('=').replace('+', "-").replace('/', "_")
    }
}
