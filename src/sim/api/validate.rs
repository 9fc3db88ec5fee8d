//! The rules that every object's metadata keeps, with the server's own sentences.

use serde_json::Value;

use super::object::Object;
use super::resource::Resource;
use super::selector::{Selection, of_object};
use super::status::Cause;

/// What is wrong with the metadata of an object that is to be created.
pub(crate) fn creation(object: &Object, resource: &Resource) -> Vec<Cause> {
    let mut causes = Vec::new();
    if object.name().is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else if let Some(why) = name_problem(object.name(), NameRule::of(resource)) {
        causes.push(Cause::invalid("metadata.name", &object.name().into(), &why));
    }
    causes.extend(labels(object));
    causes.extend(owners(object));
    causes.extend(workload(object, resource));
    causes
}

/// A pod has containers. A workload finds its pods by their labels: its own template must make such pods.
fn workload(object: &Object, resource: &Resource) -> Vec<Cause> {
    let mut causes = Vec::new();
    let has = |path: &[&str]| object.at(path).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if resource.is("", "pods") && !has(&["spec", "containers"]) {
        causes.push(Cause::required("spec.containers", ""));
    }
    if !is_workload(resource) {
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
    if !has(&["spec", "template", "spec", "containers"]) {
        causes.push(Cause::required("spec.template.spec.containers", ""));
    }
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
    causes.extend(labels(new));
    causes.extend(owners(new));
    // The real server asks twice, once for all kinds and once for each, and lists what it finds twice.
    causes.extend(causes.clone());
    causes.extend(workload(new, resource));
    let selector = |object: &Object| object.at(&["spec", "selector"]).cloned().unwrap_or_default();
    if is_workload(resource) && selector(new) != selector(old) {
        causes.push(Cause::invalid("spec.selector", &selector(new), "field is immutable"));
    }
    causes
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

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SERVICE_LABEL: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

fn name_problem(name: &str, rule: NameRule) -> Option<String> {
    let too_long = |limit: usize| (name.len() > limit).then(|| format!("must be no more than {limit} bytes"));
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
        let name = key.rsplit_once('/').map_or(key.as_str(), |(_, name)| name);
        if name.len() > 63 {
            causes.push(Cause::invalid(
                "metadata.labels",
                &key.as_str().into(),
                "name part must be no more than 63 bytes",
            ));
        } else if !is_qualified(name) {
            let why = format!(
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
                 character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{QUALIFIED}')"
            );
            causes.push(Cause::invalid("metadata.labels", &key.as_str().into(), &why));
        }
        let text = value.as_str().unwrap_or_default();
        if text.len() > 63 {
            causes.push(Cause::invalid("metadata.labels", value, "must be no more than 63 bytes"));
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

fn owners(object: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
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
            let containers = json!([{"name": "c", "image": "i"}]);
            let object = Object::new(json!({"metadata": {"name": name}, "spec": {"containers": containers}})).unwrap();
            let causes = creation(&object, &registry.by_word(kind).unwrap());
            assert_eq!(causes.is_empty(), fine, "{kind} {name}: {causes:?}");
        }
    }
}
