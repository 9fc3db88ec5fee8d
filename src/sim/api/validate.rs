//! The rules that every object's metadata keeps, with the server's own sentences.

use serde_json::Value;

use super::definition;
use super::kind_rules;
use super::object::Object;
use super::resource::Resource;
use super::schema;
use super::selector::{Selection, of_object};
use super::state::is_definition;
use super::status::Cause;

/// What is wrong with the metadata of an object that is to be created.
pub(crate) fn creation(object: &Object, resource: &Resource) -> Vec<Cause> {
    let mut causes = Vec::new();
    if object.name().is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else if let Some(why) = name_problem(object.name(), NameRule::of(resource)) {
        causes.push(Cause::invalid("metadata.name", &object.name().into(), &why));
    }
    let base = object.meta_text("generateName").to_owned();
    if !base.is_empty()
        && let Some(why) = name_problem(base.trim_end_matches('-'), NameRule::of(resource))
    {
        causes.push(Cause::invalid("metadata.generateName", &base.into(), &why));
    }
    causes.extend(labels(object));
    causes.extend(annotations(object));
    causes.extend(owners(object));
    causes.extend(finalizers(object));
    causes.extend(data(object, resource));
    causes.extend(workload(object, resource));
    causes.extend(schema_of(object, None, resource));
    causes
}

/// What the schema of a custom resource, or the rules for definitions, have against an object.
fn schema_of(object: &Object, old: Option<&Object>, resource: &Resource) -> Vec<Cause> {
    if is_definition(resource) {
        return definition::problems(object, old);
    }
    let Some(definition) = resource.definition() else {
        return Vec::new();
    };
    let old = old.map(Object::value);
    schema::check(&object.value(), old.as_ref(), &definition.schema, &definition.rules)
}

/// A pod has containers. A workload finds its pods by their labels: its own template must make such pods.
fn workload(object: &Object, resource: &Resource) -> Vec<Cause> {
    let mut causes = Vec::new();
    if !is_workload(resource) {
        causes.extend(kind_rules::problems(object, resource));
        return causes;
    }
    let selector = object.at(&["spec", "selector"]).filter(|selector| !selector.is_null());
    if selector.is_none() {
        causes.push(Cause::required("spec.selector", ""));
    }
    let labels = object.at(&["spec", "template", "metadata", "labels"]).cloned().unwrap_or_default();
    let mut template = Object::default();
    template.set_meta("labels", Some(labels.clone()));
    let matches =
        of_object(selector).is_some_and(|labels| Selection { labels, ..Selection::default() }.matches(&template));
    if !matches {
        let why = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", &labels, why));
    }
    causes.extend(kind_rules::problems(object, resource));
    causes
}

fn is_workload(resource: &Resource) -> bool {
    let plural = resource.plural.as_str();
    resource.group == "apps" && ["deployments", "daemonsets", "statefulsets", "replicasets"].contains(&plural)
}

/// What is wrong with the metadata of an object that is to replace another.
pub(crate) fn change(new: &Object, old: &Object, resource: &Resource) -> Vec<Cause> {
    let mut causes = Vec::new();
    if old.is_terminating() {
        let mut added: Vec<&str> =
            new.finalizers().into_iter().filter(|name| !old.finalizers().contains(name)).collect();
        added.sort_unstable();
        if !added.is_empty() {
            let list: Vec<String> = added.iter().map(|name| format!("{name:?}")).collect();
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                list.join(", "),
            );
            causes.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
    for field in ["name", "namespace", "uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        if new.meta(field) != old.meta(field) {
            let value = new.meta(field).cloned().unwrap_or_default();
            causes.push(Cause::invalid(format!("metadata.{field}"), &value, "field is immutable"));
        }
    }
    // The real server asks twice, once for all kinds and once for each, and lists what it finds twice.
    causes.extend(causes.clone());
    for _ in 0..rounds(resource) {
        causes.extend(labels(new));
        causes.extend(annotations(new));
        causes.extend(owners(new));
    }
    causes.extend(data(new, resource));
    causes.extend(sealed(new, old, resource));
    causes.extend(sealed_spec(new, old, resource));
    causes.extend(workload(new, resource));
    causes.extend(schema_of(new, Some(old), resource));
    let selector = |object: &Object| object.at(&["spec", "selector"]).cloned().unwrap_or_default();
    if is_workload(resource) && selector(new) != selector(old) {
        causes.push(Cause::invalid("spec.selector", &selector(new), "field is immutable"));
    }
    causes
}

/// How often the real server asks about labels and the like in an update, and lists what it finds: as counted there.
fn rounds(resource: &Resource) -> usize {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "persistentvolumeclaims") | ("rbac.authorization.k8s.io", _) => 5,
        ("", "configmaps" | "secrets" | "serviceaccounts" | "pods" | "persistentvolumes")
        | ("batch", _)
        | ("storage.k8s.io", "storageclasses") => 4,
        ("", "services" | "podtemplates") | ("apps" | "coordination.k8s.io", _) => 3,
        _ => 2,
    }
}

/// What a name may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameRule {
    Subdomain,
    Label,
    ServiceLabel,
    /// Anything that can stand in a path: roles and bindings.
    Segment,
}

impl NameRule {
    fn of(resource: &Resource) -> Self {
        match (resource.group.as_str(), resource.plural.as_str()) {
            ("", "namespaces") => Self::Label,
            ("", "services") => Self::ServiceLabel,
            ("rbac.authorization.k8s.io", _) => Self::Segment,
            _ => Self::Subdomain,
        }
    }
}

/// What is wrong with a name of a version, which is one of a service.
pub(crate) fn service_label_problem(name: &str) -> Option<String> {
    name_problem(name, NameRule::ServiceLabel)
}

/// What is wrong with a name of a part of an object: a container's, a port's.
pub(crate) fn label_problem(name: &str) -> Option<String> {
    name_problem(name, NameRule::Label)
}

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SERVICE_LABEL: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

fn name_problem(name: &str, rule: NameRule) -> Option<String> {
    let too_long = |limit: usize| (name.len() > limit).then(|| format!("must be no more than {limit} characters"));
    match rule {
        NameRule::Subdomain => too_long(253).or_else(|| {
            let fine = name.split('.').all(|part| is_label(part, false));
            (!fine).then(|| {
                format!(
                    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
                     and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{LABEL}(\\.{LABEL})*')"
                )
            })
        }),
        NameRule::Label if name.contains('.') => Some("must not contain dots".to_owned()),
        NameRule::Label => too_long(63).or_else(|| {
            (!is_label(name, false)).then(|| {
                format!(
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
                     with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL}')"
                )
            })
        }),
        NameRule::ServiceLabel => too_long(63).or_else(|| {
            (!is_label(name, true)).then(|| {
                format!(
                    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, \
                     and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is \
                     '{SERVICE_LABEL}')"
                )
            })
        }),
        NameRule::Segment => {
            if [".", ".."].contains(&name) {
                return Some(format!("may not be '{name}'"));
            }
            name.chars().find(|letter| "/%".contains(*letter)).map(|letter| format!("may not contain '{letter}'"))
        }
    }
}

/// A DNS label: lower case, digits and inner dashes.
fn is_label(text: &str, starts_with_letter: bool) -> bool {
    let edge = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    text.starts_with(|letter: char| if starts_with_letter { letter.is_ascii_lowercase() } else { edge(letter) })
        && text.ends_with(edge)
        && text.chars().all(|letter| edge(letter) || letter == '-')
}

fn is_qualified(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && text.ends_with(|letter: char| letter.is_ascii_alphanumeric())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
}

fn labels(object: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (key, value) in object.meta("labels").and_then(Value::as_object).into_iter().flatten() {
        if let Some(why) = key_problem(key) {
            causes.push(Cause::invalid("metadata.labels", &key.as_str().into(), &why));
        }
        let text = value.as_str().unwrap_or_default();
        if text.len() > 63 {
            causes.push(Cause::invalid("metadata.labels", value, "must be no more than 63 characters"));
        } else if !text.is_empty() && !is_qualified(text) {
            let why = format!(
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and \
                 end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
                 '({QUALIFIED})?')"
            );
            causes.push(Cause::invalid("metadata.labels", value, &why));
        }
    }
    causes
}

/// What is wrong with a qualified name: the key of a label, or of an annotation.
pub(crate) fn key_problem(key: &str) -> Option<String> {
    let parts: Vec<&str> = key.split('/').collect();
    let name = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            if let Some(why) = name_problem(prefix, NameRule::Subdomain) {
                return Some(format!("prefix part {why}"));
            }
            *name
        }
        _ => {
            return Some(format!(
                "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                 alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{QUALIFIED}') \
                 with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ));
        }
    };
    if name.len() > 63 {
        return Some("name part must be no more than 63 characters".to_owned());
    }
    (!is_qualified(name)).then(|| {
        format!(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
             character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{QUALIFIED}')"
        )
    })
}

/// What is wrong with the value of a label.
pub(crate) fn value_problem(value: &str) -> Option<String> {
    (!value.is_empty() && !is_qualified(value)).then(|| {
        format!(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and \
             end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
             '({QUALIFIED})?')"
        )
    })
}

fn annotations(object: &Object) -> Vec<Cause> {
    let keys = object.meta("annotations").and_then(Value::as_object).into_iter().flat_map(|notes| notes.keys());
    keys.filter_map(|key| {
        let why = key_problem(&key.to_lowercase())?;
        Some(Cause::invalid("metadata.annotations", &key.as_str().into(), &why))
    })
    .collect()
}

fn finalizers(object: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (number, name) in object.finalizers().into_iter().enumerate() {
        if let Some(why) = key_problem(name) {
            causes.push(Cause::invalid("metadata.finalizers", &name.into(), &why));
        } else if !name.contains('/')
            && !["orphan", "foregroundDeletion", "kubernetes"].contains(&name)
            && !name.contains('.')
        {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(format!("metadata.finalizers[{number}]"), &name.into(), why));
        }
    }
    causes
}

/// The keys of config maps and secrets.
fn data(object: &Object, resource: &Resource) -> Vec<Cause> {
    let mut causes = Vec::new();
    if !resource.is("", "configmaps") && !resource.is("", "secrets") {
        return causes;
    }
    let fields = |name: &str| object.field(name).and_then(Value::as_object);
    for name in ["data", "binaryData"] {
        for key in fields(name).into_iter().flat_map(|fields| fields.keys()) {
            let fine =
                !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            if !fine {
                let why = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
                           'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
                causes.push(Cause::invalid(format!("{name}[{key}]"), &key.as_str().into(), why));
            }
            if name == "data" && fields("binaryData").is_some_and(|other| other.contains_key(key)) {
                let why = "duplicate of key present in binaryData";
                causes.push(Cause::invalid(format!("data[{key}]"), &key.as_str().into(), why));
            }
        }
    }
    if object.field("type").is_some_and(|kind| kind == "kubernetes.io/tls") {
        for key in ["tls.crt", "tls.key"] {
            if fields("data").is_none_or(|data| !data.contains_key(key)) {
                causes.push(Cause::required(format!("data[{key}]"), ""));
            }
        }
    }
    causes
}

/// What config maps and secrets let nobody change.
fn sealed(new: &Object, old: &Object, resource: &Resource) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (is_map, is_secret) = (resource.is("", "configmaps"), resource.is("", "secrets"));
    // An object that was put there past the defaults says no type and means the usual one.
    let kind = |secret: &Object| secret.field("type").cloned().unwrap_or_else(|| "Opaque".into());
    if is_secret && kind(new) != kind(old) {
        let kind = kind(new);
        causes.push(Cause::invalid("type", &kind, "field is immutable"));
    }
    if (is_map || is_secret) && old.field("immutable").is_some_and(|sealed| sealed == true) {
        let why = "field is immutable when `immutable` is set";
        if new.field("immutable").is_none_or(|sealed| sealed != true) {
            causes.push(Cause::forbidden("immutable", why));
        }
        for field in ["data", "binaryData"] {
            if new.field(field) != old.field(field) {
                causes.push(Cause::forbidden(field, why));
            }
        }
    }
    causes
}

/// What specifications let nobody change. The real server adds a drawing of the difference.
fn sealed_spec(new: &Object, old: &Object, resource: &Resource) -> Vec<Cause> {
    let spec = |object: &Object| object.field("spec").cloned().unwrap_or_default();
    let (mut wanted, was) = (spec(new), spec(old));
    if wanted == was {
        return Vec::new();
    }
    if resource.is("", "pods") {
        for list in ["containers", "initContainers"] {
            let before = was[list].as_array().cloned().unwrap_or_default();
            for (now, before) in wanted[list].as_array_mut().into_iter().flatten().zip(before) {
                now["image"] = before["image"].clone();
            }
        }
        let seconds = wanted["activeDeadlineSeconds"].as_i64();
        if seconds.is_some_and(|now| was["activeDeadlineSeconds"].as_i64().is_none_or(|before| now <= before)) {
            keep(&mut wanted, &was, "activeDeadlineSeconds");
        }
        let has = |spec: &Value, each: &Value| spec["tolerations"].as_array().is_some_and(|list| list.contains(each));
        if was["tolerations"].as_array().into_iter().flatten().all(|each| has(&wanted, each)) {
            keep(&mut wanted, &was, "tolerations");
        }
        if wanted["terminationGracePeriodSeconds"] == 1
            && was["terminationGracePeriodSeconds"].as_i64().is_some_and(|before| before < 0)
        {
            keep(&mut wanted, &was, "terminationGracePeriodSeconds");
        }
        let why = "pod updates may not change fields other than \
                   `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                   `spec.tolerations` (only additions to existing tolerations),\
                   `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        return if same(&wanted, &was) { Vec::new() } else { vec![Cause::forbidden("spec", why)] };
    }
    if resource.is("", "persistentvolumeclaims") {
        if was["volumeName"].as_str().unwrap_or_default().is_empty() {
            keep(&mut wanted, &was, "volumeName");
        }
        if was["storageClassName"].is_null() {
            keep(&mut wanted, &was, "storageClassName");
        }
        if old.at(&["status", "phase"]).is_some_and(|phase| phase == "Bound") {
            wanted["resources"]["requests"] = was["resources"]["requests"].clone();
            keep(&mut wanted, &was, "volumeAttributesClassName");
        }
        let why =
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        return if same(&wanted, &was) { Vec::new() } else { vec![Cause::forbidden("spec", why)] };
    }
    let address = |spec: &Value| spec["clusterIP"].as_str().unwrap_or_default().to_owned();
    if resource.is("", "services") && !address(&was).is_empty() && address(&wanted) != address(&was) {
        let external = |spec: &Value| spec["type"] == "ExternalName";
        if !external(&wanted) && !external(&was) {
            let shown = serde_json::json!([address(&wanted)]);
            return vec![Cause::invalid("spec.clusterIPs[0]", &shown, "may not change once set")];
        }
    }
    Vec::new()
}

/// Puts a field back to what it was.
fn keep(wanted: &mut Value, was: &Value, field: &str) {
    let Some(fields) = wanted.as_object_mut() else { return };
    match was.get(field) {
        Some(before) => {
            fields.insert(field.to_owned(), before.clone());
        }
        None => {
            fields.shift_remove(field);
        }
    }
}

/// Whether two specifications are the same but for fields that say nothing.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(left), Value::Object(right)) => {
            let keys = left.keys().chain(right.keys());
            keys.into_iter().all(|key| same(&one[key.as_str()], &other[key.as_str()]))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        _ => one == other,
    }
}

fn owners(object: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
    let list = object.meta("ownerReferences").and_then(Value::as_array);
    let mut leaders = list.into_iter().flatten().filter(|owner| owner["controller"] == true);
    if let (Some(one), Some(two)) = (leaders.next(), leaders.next()) {
        let shown = |owner: &Value| {
            format!("{}/{}", owner["kind"].as_str().unwrap_or_default(), owner["name"].as_str().unwrap_or_default())
        };
        let why = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
            shown(one),
            shown(two)
        );
        let list = list.cloned().unwrap_or_default();
        causes.push(Cause::invalid("metadata.ownerReferences", &list.into(), &why));
    }
    for owner in object.meta("ownerReferences").and_then(Value::as_array).into_iter().flatten() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().unwrap_or_default().is_empty() {
                let why = if field == "apiVersion" { "version must not be empty" } else { "must not be empty" };
                causes.push(Cause::invalid(format!("metadata.ownerReferences.{field}"), &"".into(), why));
            }
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resource::Registry;
    use super::*;

    #[test]
    fn names_are_checked_by_kind() {
        let registry = Registry::new();
        for (kind, name, fine) in [
            ("Pod", "a.b-c", true),
            ("Pod", "A", false),
            ("Pod", "-a", false),
            ("Pod", "a..b", false),
            ("Namespace", "a.b", false),
            ("Service", "1a", false),
            ("Service", "a1", true),
            ("ClusterRole", "system:Node", true),
            ("ClusterRole", "a/b", false),
        ] {
            let spec = json!({"containers": [{"name": "c", "image": "i"}], "ports": [{"port": 80}]});
            let object = Object::new(json!({"metadata": {"name": name}, "spec": spec})).unwrap();
            let causes = creation(&object, &registry.by_word(kind).unwrap());
            assert_eq!(causes.is_empty(), fine, "{kind} {name}: {causes:?}");
        }
    }
}
