//! `metadata.managedFields`: who owns which field, kept up with every write.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::call::Call;
use super::compare::compare;
use super::field_set::FieldSet;
use super::object::{Object, time_text};
use super::resource::{Resource, Subresource, api_version};
use super::shape::Shape;
use super::typed;

/// All owners of an object's fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Owners(BTreeMap<Owner, Holding>);

/// Who owns: the parts of an entry that make it another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) manager: String,
    pub(crate) applies: bool,
    /// Of an updater; an applier is the same whatever version it applies in.
    pub(crate) api_version: String,
    pub(crate) subresource: String,
}

/// What is owned, and since when.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Holding {
    pub(crate) fields: FieldSet,
    pub(crate) api_version: String,
    pub(crate) time: Option<String>,
}

impl Owner {
    /// The client of a request that writes by other means than apply.
    pub(crate) fn updater(call: &Call) -> Self {
        Self {
            manager: call.manager().to_owned(),
            applies: false,
            api_version: written_version(call),
            subresource: call.subresource.map_or("", Subresource::word).to_owned(),
        }
    }

    /// The client of a request that applies.
    pub(crate) fn applier(call: &Call) -> Self {
        Self { applies: true, api_version: String::new(), ..Self::updater(call) }
    }

    /// The owner as conflicts name it.
    pub(crate) fn shown(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            write!(text, " with subresource {:?}", self.subresource).expect("a String takes text");
        }
        if !self.applies {
            write!(text, " using {}", self.api_version).expect("a String takes text");
        }
        text
    }
}

/// The version in which a call writes its object.
pub(crate) fn written_version(call: &Call) -> String {
    api_version(&call.resource.group, &call.resource.version)
}

impl Owners {
    /// The owners that an object names. Entries that cannot be read count as none.
    pub(crate) fn read(object: &Object) -> Self {
        let entries = object.meta("managedFields").and_then(Value::as_array);
        let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let owners = entries.into_iter().flatten().filter(|entry| entry.get("fieldsV1").is_some()).map(|entry| {
            let applies = entry["operation"] == "Apply";
            let owner = Owner {
                manager: text(entry, "manager"),
                applies,
                api_version: if applies { String::new() } else { text(entry, "apiVersion") },
                subresource: text(entry, "subresource"),
            };
            let holding = Holding {
                fields: FieldSet::read(&entry["fieldsV1"]),
                api_version: text(entry, "apiVersion"),
                time: entry["time"].as_str().map(str::to_owned),
            };
            (owner, holding)
        });
        Self(owners.collect())
    }

    /// Writes the owners into an object, in the real server's order.
    pub(crate) fn write(&self, object: &mut Object) {
        let mut sorted: Vec<_> = self.0.iter().filter(|(_, holding)| !holding.fields.is_empty()).collect();
        sorted.sort_by_key(|(owner, holding)| {
            (
                !owner.applies,
                holding.time.clone(),
                owner.manager.clone(),
                holding.api_version.clone(),
                owner.subresource.clone(),
            )
        });
        let entries: Vec<Value> = sorted
            .into_iter()
            .map(|(owner, holding)| {
                let mut entry = json!({
                    "manager": owner.manager,
                    "operation": if owner.applies { "Apply" } else { "Update" },
                    "apiVersion": holding.api_version,
                });
                if let Some(time) = &holding.time {
                    entry["time"] = time.as_str().into();
                }
                entry["fieldsType"] = "FieldsV1".into();
                entry["fieldsV1"] = holding.fields.write();
                if !owner.subresource.is_empty() {
                    entry["subresource"] = owner.subresource.as_str().into();
                }
                entry
            })
            .collect();
        object.set_meta("managedFields", Some(json!(entries)).filter(|_| !entries.is_empty()));
    }

    /// Whether nobody owns anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What one owner owns.
    pub(crate) fn of(&self, owner: &Owner) -> Option<&Holding> {
        self.0.get(owner)
    }

    /// All owners but one.
    pub(crate) fn others(&self, owner: &Owner) -> impl Iterator<Item = (&Owner, &Holding)> {
        self.0.iter().filter(move |(other, _)| *other != owner)
    }

    /// What somebody owns.
    pub(crate) fn everything(&self) -> FieldSet {
        self.0.values().fold(FieldSet::default(), |all, holding| all.union(&holding.fields))
    }

    /// Gives an owner exactly these fields.
    pub(crate) fn set(&mut self, owner: Owner, holding: Holding) {
        self.0.insert(owner, holding);
    }

    /// Takes fields from all owners but one.
    pub(crate) fn take_from_others(&mut self, owner: &Owner, fields: &FieldSet) {
        for (other, holding) in &mut self.0 {
            if other != owner {
                holding.fields = holding.fields.difference(fields);
            }
        }
        self.0.retain(|other, holding| other == owner || !holding.fields.is_empty());
    }

    /// Keeps the owners up with a change that `owner` made.
    pub(crate) fn update(&mut self, old: &Value, new: &Value, resource: &Resource, owner: &Owner, at: Timestamp) {
        let stripped = |fields| strip(fields, resource, &owner.subresource);
        self.update_shaped(old, new, &Shape::of(resource), owner, at, stripped);
    }

    fn update_shaped(
        &mut self,
        old: &Value,
        new: &Value,
        shape: &Shape<'_>,
        owner: &Owner,
        at: Timestamp,
        stripped: impl Fn(FieldSet) -> FieldSet,
    ) {
        let comparison = compare(old, new, shape);
        let taken = stripped(comparison.modified.union(&comparison.added));
        // What this part of the object cannot write it cannot take away either.
        let removed = stripped(comparison.removed);
        self.take_from_others(owner, &taken.union(&removed));
        let mut holding = self.0.remove(owner).unwrap_or_default();
        holding.fields = holding.fields.difference(&removed).union(&taken);
        if !taken.is_empty() || holding.time.is_none() {
            holding.time = Some(time_text(at));
        }
        holding.api_version.clone_from(&owner.api_version);
        if !holding.fields.is_empty() {
            self.0.insert(owner.clone(), holding);
        }
    }
}

/// Keeps `managedFields` up with a write by other means than apply. `old` is nothing for a creation.
pub(crate) fn track(old: Option<&Object>, new: &mut Object, call: &Call) {
    let given = new.meta("managedFields").and_then(Value::as_array).cloned();
    let reset =
        given.as_ref().is_some_and(|entries| entries.is_empty() || entries.len() == 1 && entries[0] == json!({}));
    let mut owners = match old {
        _ if reset => Owners::default(),
        // A part of an object cannot rewrite who owns the whole.
        Some(old) if call.subresource.is_some() => Owners::read(old),
        Some(old) => Some(Owners::read(new)).filter(|owners| !owners.is_empty()).unwrap_or_else(|| Owners::read(old)),
        None => Owners::read(new),
    };
    new.set_meta("managedFields", None);
    // An object that nobody owns, set up past the API, stays so until somebody applies.
    if let (Some(_), true) = (old, owners.is_empty()) {
        return;
    }
    let mut before = old.cloned().unwrap_or_else(|| nothing(&call.resource));
    before.set_meta("managedFields", None);
    let owner = Owner::updater(call);
    owners.update(&before.value(), &new.value(), &call.resource, &owner, call.now);
    // Who scales a custom resource is written down without a time.
    if call.resource.is_custom()
        && call.subresource == Some(Subresource::Scale)
        && let Some(holding) = owners.0.get_mut(&owner)
    {
        holding.time = None;
    }
    owners.write(new);
    if let Some(old) = old {
        keep_if_only_times_differ(old, new);
    }
}

/// Writes down a change that the server itself made, in the name of one of its own.
pub(crate) fn track_as(owner: &Owner, old: &Object, new: &mut Object, at: Timestamp) {
    let mut owners = Owners::read(new);
    if owners.is_empty() {
        return;
    }
    let bare = |object: &Object| {
        let mut bare = object.clone();
        bare.set_meta("managedFields", None);
        bare.into_value()
    };
    // What is changed so is metadata, or a built-in definition: the shape is that of all built-in kinds.
    owners.update_shaped(&bare(old), &bare(new), &Shape::Builtin(Vec::new()), owner, at, |fields| fields);
    owners.write(new);
}

/// A write that changes nothing but the times of its own bookkeeping changes nothing.
pub(crate) fn keep_if_only_times_differ(old: &Object, new: &mut Object) {
    let timeless = |object: &Object| {
        let mut owners = Owners::read(object);
        owners.0.values_mut().for_each(|holding| holding.time = None);
        let mut bare = object.clone();
        bare.set_meta("managedFields", None);
        (bare, owners)
    };
    if timeless(old) == timeless(new) {
        new.set_meta("managedFields", old.meta("managedFields").cloned());
    }
}

/// The object before it is created: what a kind has by its type alone, and what nobody comes to own therefore.
pub(crate) fn nothing(resource: &Resource) -> Object {
    let value = if resource.is_custom() { json!({"metadata": {}}) } else { typed::blank(resource) };
    Object::new(value).expect("a kind's blank is an object")
}

/// What of the metadata is the server's own, or the object's identity.
const METADATA: [&str; 10] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
    "deletionTimestamp",
];

/// Takes out what nobody owns: the object's identity, and what this part of it may not write.
pub(crate) fn strip(mut fields: FieldSet, resource: &Resource, subresource: &str) -> FieldSet {
    for field in ["apiVersion", "kind"] {
        fields.cut(&[&format!("f:{field}")]);
    }
    for field in METADATA {
        fields.cut(&["f:metadata", &format!("f:{field}")]);
    }
    fields.disown(&["f:metadata"]);
    if resource.is("apps", "controllerrevisions") && fields.below("f:data").is_some() {
        // What a revision holds is nobody's but its own: one value.
        fields.cut(&["f:data"]);
        fields.insert(&["f:data".to_owned()]);
    }
    match subresource {
        "status" => fields.cut(&["f:spec"]),
        "" if resource.is("", "namespaces") => {
            fields.cut(&["f:spec"]);
            fields.cut(&["f:status"]);
        }
        _ if resource.has(Subresource::Status) => fields.cut(&["f:status"]),
        _ => {}
    }
    fields
}
