//! create and update, and the one way in which every change of an object goes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::address;
use super::admission::{self, Act, Hearing};
use super::builtin;
use super::call::Call;
use super::defaults;
use super::managed;
use super::object::{Object, time_text};
use super::prepare;
use super::resource::{Resource, Subresource};
use super::show;
use super::state::{State, name_of};
use super::status::{Cause, Refusal};
use super::store::Name;
use super::validate;

/// POST to a collection.
pub(crate) fn create(state: &mut State, call: &Call) -> Result<(u16, Value), Refusal> {
    call.check_options("CreateOptions")?;
    let object = call.object()?;
    let created = insert(state, call, object, Means::Update)?;
    Ok((201, show::answer(&created, call)?))
}

/// PUT to an object or to one of its parts.
pub(crate) fn update(state: &mut State, call: &Call) -> Result<(u16, Value), Refusal> {
    call.check_options("UpdateOptions")?;
    let object = call.object()?;
    check_name(&object, call)?;
    let resource = &call.resource;
    if state.store.get(&resource.drawer(), &call.key()).is_none()
        && call.subresource.is_none()
        && builtin::creates_on_update(&resource.group, &resource.plural)
    {
        let created = insert(state, call, object, Means::Update)?;
        return Ok((201, show::answer(&created, call)?));
    }
    let changed = change(state, call, Means::Update, |_| Ok(object))?;
    Ok((200, show::answer(&changed, call)?))
}

/// Creates an object: places it, names it, fills in what the server owns, checks it, keeps it.
pub(crate) fn insert(state: &mut State, call: &Call, mut object: Object, means: Means) -> Result<Arc<Object>, Refusal> {
    let resource = &call.resource;
    place(&mut object, call)?;
    if resource.namespaced {
        let namespace =
            state.namespace(&call.namespace).ok_or_else(|| Refusal::not_found_named("namespaces", &call.namespace))?;
        if namespace.is_terminating() {
            let why =
                format!("unable to create new content in namespace {} because it is being terminated", call.namespace);
            return Err(Refusal::forbidden_in_terminating(resource, object.name(), &why, &call.namespace));
        }
    }
    let generated = object.name().is_empty() && !object.meta_text("generateName").is_empty();
    if generated {
        // The real server cuts the base so that base and suffix fit into a label.
        let base: String = object.meta_text("generateName").chars().take(58).collect();
        let name = format!("{base}{}", state.chance.suffix());
        object.set_meta("name", Some(name.into()));
    }
    // An apply or a PUT that creates does not look at the version that it was written for.
    let is_post = means != Means::Apply && call.name.is_none();
    if is_post && !object.resource_version().is_empty() && object.resource_version() != "0" {
        return Err(Refusal::unknown("resourceVersion should not be set on objects to be created"));
    }
    for field in ["resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        // What is only tried is not kept, and gets no version of its own over what it says.
        if field != "resourceVersion" || !call.is_dry_run() {
            object.set_meta(field, None);
        }
    }
    object.set_meta("uid", Some(state.chance.uid().into()));
    object.set_meta("creationTimestamp", Some(time_text(call.now).into()));
    object.drop_empty_metadata();
    if resource.definition().is_some_and(|definition| definition.terminating) {
        let why = "create not allowed while custom resource definition is terminating";
        return Err(Refusal::forbidden(resource, object.name(), why));
    }
    defaults::fill(&mut object, resource);
    let heard = Hearing { call, act: Act::Create, object: Some(&object), old: None };
    if let Some(mutated) = admission::mutated(state, heard)? {
        object = mutated;
        call.fitted(&mut object).map_err(|why| Refusal::internal(&why))?;
        defaults::fill(&mut object, resource);
    }
    if means != Means::Apply {
        managed::track(None, &mut object, call);
    }
    if resource.is("", "pods") {
        admit_pod(&mut object, state, resource)?;
    }
    prepare::creation(&mut object, resource);
    let causes = validate::creation(&object, resource);
    if !causes.is_empty() {
        return Err(Refusal::invalid(resource, object.name(), &causes));
    }
    admission::validated(state, Hearing { call, act: Act::Create, object: Some(&object), old: None })?;
    if resource.is("", "services") {
        address::give(&mut object, None, state);
    }
    let key = name_of(&object);
    if state.store.get(&resource.drawer(), &key).is_some() {
        return Err(if generated {
            Refusal::generated_name_taken(resource, object.name())
        } else {
            Refusal::already_exists(resource, object.name())
        });
    }
    if call.is_dry_run() {
        return Ok(Arc::new(object));
    }
    Ok(state.commit(resource, key, object, call.now))
}

/// Gives a pod the priority of its class, and refuses a class or an account that is not there.
///
/// The account `default` is there in every namespace, whether or not a controller has made it yet.
fn admit_pod(pod: &mut Object, state: &State, resource: &Resource) -> Result<(), Refusal> {
    let text =
        |pod: &Object, field: &str| pod.at(&["spec", field]).and_then(Value::as_str).unwrap_or_default().to_owned();
    let of = |kind: &str, namespace: &str, name: &str| {
        let kind = state.registry.by_word(kind)?;
        let key = Name { namespace: namespace.to_owned(), name: name.to_owned() };
        state.store.get(&kind.drawer(), &key).cloned()
    };
    let class = text(pod, "priorityClassName");
    if !class.is_empty() && !prepare::is_system_class(&class) {
        let Some(class) = of("priorityclass", "", &class) else {
            let why = format!("no PriorityClass with name {class} was found");
            return Err(Refusal::forbidden(resource, pod.name(), &why));
        };
        pod.set_at(&["spec", "priority"], class.field("value").cloned().unwrap_or_else(|| json!(0)));
        if let Some(policy) = class.field("preemptionPolicy") {
            pod.set_at(&["spec", "preemptionPolicy"], policy.clone());
        }
    }
    let account = text(pod, "serviceAccountName");
    if !account.is_empty() && account != "default" && of("serviceaccount", pod.namespace(), &account).is_none() {
        let namespace = pod.namespace();
        let why =
            format!("error looking up service account {namespace}/{account}: serviceaccount {account:?} not found");
        return Err(Refusal::forbidden(resource, pod.name(), &why));
    }
    Ok(())
}

/// How a change came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    Update,
    Patch,
    /// The owners of fields come with the object.
    Apply,
}

/// Changes an object: `make` gives what the client wants from what is there; what the
/// server owns stays, the rules are checked, and a last finalizer's going ends the object.
pub(crate) fn change(
    state: &mut State,
    call: &Call,
    means: Means,
    make: impl FnOnce(&Object) -> Result<Object, Refusal>,
) -> Result<Arc<Object>, Refusal> {
    let resource = &call.resource;
    let (drawer, key) = (resource.drawer(), call.key());
    let old = state.store.get(&drawer, &key).cloned().ok_or_else(|| Refusal::not_found(resource, call.name()))?;
    let old = match resource.definition().filter(|definition| definition.varied) {
        Some(definition) => {
            let mut fitting = Object::clone(&old);
            fitting.fit(&definition.storage);
            fitting.fit(&definition.schema);
            Arc::new(fitting)
        }
        None => old,
    };
    let mut new = make(&old)?;

    if means == Means::Update && !new.uid().is_empty() && new.uid() != old.uid() {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: \
             UID in precondition: {}, UID in object meta: {}",
            registry_key(call),
            new.uid(),
            old.uid(),
        );
        return Err(Refusal::conflict(resource, call.name(), &why));
    }
    check_version(&new, &old, call)?;
    place(&mut new, call)?;
    for field in
        ["uid", "creationTimestamp", "generation", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        let owned_by_client = field == "uid" && !new.uid().is_empty();
        let unset_by_server = field.starts_with("deletion") && !old.is_terminating();
        if !owned_by_client && !unset_by_server {
            new.set_meta(field, old.meta(field).cloned());
        }
    }
    new.set_meta("selfLink", None);
    new.drop_empty_metadata();
    defaults::fill(&mut new, resource);
    let heard = Hearing { call, act: Act::Update, object: Some(&new), old: Some(&old) };
    if let Some(mutated) = admission::mutated(state, heard)? {
        new = mutated;
        call.fitted(&mut new).map_err(|why| Refusal::internal(&why))?;
        defaults::fill(&mut new, resource);
    }
    if means != Means::Apply {
        managed::track(Some(&old), &mut new, call);
    }
    prepare::change(&mut new, &old, resource, call.subresource);
    if resource.is("", "services") {
        address::give(&mut new, Some(&old), state);
    }
    let causes = validate::change(&new, &old, resource);
    if !causes.is_empty() {
        return Err(Refusal::invalid(resource, call.name(), &causes));
    }
    admission::validated(state, Hearing { call, act: Act::Update, object: Some(&new), old: Some(&old) })?;
    if prepare::spec_changed(&new, &old, resource) {
        new.set_meta("generation", Some(json!(old.generation() + 1)));
    }
    let finished = old.is_terminating()
        && new.finalizers().is_empty()
        && old.meta("deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or_default() == 0
        && !namespace_is_in_use(&new, call);
    if call.is_dry_run() || (!finished && new == *old) {
        return Ok(Arc::new(new));
    }
    if finished {
        // Watches are told the state before this change, as the real server tells them.
        state.discard(resource, &key);
        return Ok(Arc::new(new));
    }
    Ok(state.commit(resource, key, new, call.now))
}

/// A namespace also waits for the finalizers in its specification.
fn namespace_is_in_use(new: &Object, call: &Call) -> bool {
    call.resource.is("", "namespaces")
        && new.at(&["spec", "finalizers"]).and_then(Value::as_array).is_some_and(|finalizers| !finalizers.is_empty())
}

/// Refuses an object that says it is another than the path says.
pub(crate) fn check_name(object: &Object, call: &Call) -> Result<(), Refusal> {
    let name = call.name();
    if object.name().is_empty() {
        let message = format!("the name of the object ({name} based on URL) was undeterminable: name must be provided");
        return Err(Refusal::bad_request(message));
    }
    if object.name() != name {
        let given = object.name();
        return Err(Refusal::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        )));
    }
    let (given, namespace) = (object.namespace(), &call.namespace);
    if !namespace.is_empty() && !given.is_empty() && given != namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Refusal::bad_request(message));
    }
    Ok(())
}

fn check_version(new: &Object, old: &Object, call: &Call) -> Result<(), Refusal> {
    let resource = &call.resource;
    let given = new.resource_version();
    if given.is_empty() || given == "0" {
        let unconditional = !resource.is_custom() && !builtin::needs_version(&resource.group, &resource.plural);
        if unconditional || call.subresource == Some(Subresource::Status) && !resource.is_custom() {
            return Ok(());
        }
        let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
        return Err(Refusal::invalid_kind(&resource.group, &resource.plural, call.name(), &[cause]));
    }
    if given.parse::<u64>().is_err() {
        return Err(Refusal::unknown(format!("strconv.ParseUint: parsing {given:?}: invalid syntax")));
    }
    if given != old.resource_version() {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Refusal::conflict(resource, call.name(), why));
    }
    Ok(())
}

/// Puts an object into the namespace of the path, which it may not contradict.
fn place(object: &mut Object, call: &Call) -> Result<(), Refusal> {
    let expected = if call.resource.namespaced { call.namespace.as_str() } else { "" };
    let given = object.namespace();
    if !given.is_empty() && given != expected && call.resource.namespaced {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Refusal::bad_request(message));
    }
    let namespace = Some(Value::from(expected)).filter(|_| !expected.is_empty());
    object.set_meta("namespace", namespace);
    Ok(())
}

fn registry_key(call: &Call) -> String {
    let resource = &call.resource;
    let mut key = String::from("/registry");
    let group = if resource.is_custom() { resource.group.as_str() } else { "" };
    for part in [group, resource.plural.as_str(), call.namespace.as_str(), call.name()] {
        if !part.is_empty() {
            key.push('/');
            key.push_str(part);
        }
    }
    key
}
