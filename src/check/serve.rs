//! Which recorded watch shows a selection's objects.

use serde_json::Value;

use crate::event::{ObjectName, Watched};
use crate::plan::Query;

/// What is left to be sorted out of a watch that asked for more than a selection wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sieve {
    namespace: Option<String>,
    name: Option<String>,
    labels: Vec<LabelTerm>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum LabelTerm {
    Has(String),
    HasNot(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

/// How a watch serves a query: `None` if it asked for less than that, or for something else.
pub(super) fn serves(watched: &Watched, query: &Query) -> Option<Sieve> {
    if watched.resource != query.resource.to_string() {
        return None;
    }
    let none = String::is_empty;
    let namespaced = query.resource.namespaced() != Some(false);
    let narrower = |have: &Option<String>, want: &Option<String>| have.is_some() && have != want;
    if (namespaced && !none(&watched.namespace) && watched.namespace != query.namespace)
        || narrower(&watched.name, &query.name)
        || narrower(&watched.labels, &query.labels)
        || narrower(&watched.fields, &query.fields)
    {
        return None;
    }
    let left = |have: &Option<String>, want: &Option<String>| want.clone().filter(|_| have.is_none());
    let namespace =
        (namespaced && none(&watched.namespace) && !none(&query.namespace)).then(|| query.namespace.clone());
    Some(Sieve {
        namespace,
        name: left(&watched.name, &query.name),
        labels: left(&watched.labels, &query.labels).map(|labels| label_terms(&labels)).unwrap_or_default(),
        fields: left(&watched.fields, &query.fields).map(|fields| field_terms(&fields)).unwrap_or_default(),
    })
}

impl Sieve {
    /// Whether nothing has to be sorted out.
    pub(super) fn is_open(&self) -> bool {
        self.namespace.is_none() && self.name.is_none() && self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object is wanted.
    pub(super) fn admits(&self, called: &ObjectName, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"].get(key).and_then(Value::as_str);
        // Objects of a kind without namespace have none to compare.
        let in_namespace = |wanted: &String| called.namespace.is_empty() || called.namespace == *wanted;
        self.namespace.as_ref().is_none_or(in_namespace)
            && self.name.as_ref().is_none_or(|wanted| called.name == *wanted)
            && self.labels.iter().all(|term| match term {
                LabelTerm::Has(key) => label(key).is_some(),
                LabelTerm::HasNot(key) => label(key).is_none(),
                LabelTerm::In(key, values) => label(key).is_some_and(|found| values.iter().any(|value| value == found)),
                LabelTerm::NotIn(key, values) => {
                    label(key).is_none_or(|found| !values.iter().any(|value| value == found))
                }
            })
            && self.fields.iter().all(|(path, equal, wanted)| {
                let found = path.split('.').try_fold(object, |at, key| at.get(key));
                let found = match found {
                    Some(Value::String(text)) => text.clone(),
                    Some(Value::Null) | None => String::new(),
                    Some(other) => other.to_string(),
                };
                (found == *wanted) == *equal
            })
    }
}

/// The terms of a label selector that was checked when the plan was loaded.
fn label_terms(written: &str) -> Vec<LabelTerm> {
    let mut depth = 0_usize;
    let terms = written.split(|c: char| {
        depth += usize::from(c == '(');
        depth = depth.saturating_sub(usize::from(c == ')'));
        c == ',' && depth == 0
    });
    terms.map(|term| label_term(term.trim())).collect()
}

fn label_term(term: &str) -> LabelTerm {
    if let Some(key) = term.strip_prefix('!') {
        return LabelTerm::HasNot(key.trim().to_owned());
    }
    if let Some((head, list)) = term.split_once('(') {
        let values = list.trim_end().trim_end_matches(')').split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        let key = words.next().unwrap_or_default().to_owned();
        return if words.next() == Some("notin") { LabelTerm::NotIn(key, values) } else { LabelTerm::In(key, values) };
    }
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = term.split_once(operator) {
            let (key, values) = (key.trim().to_owned(), vec![value.trim().to_owned()]);
            return if equal { LabelTerm::In(key, values) } else { LabelTerm::NotIn(key, values) };
        }
    }
    LabelTerm::Has(term.to_owned())
}

fn field_terms(written: &str) -> Vec<(String, bool, String)> {
    let term = |term: &str| {
        ["!=", "==", "="].into_iter().find_map(|operator| {
            let (path, value) = term.split_once(operator)?;
            Some((path.trim().to_owned(), operator != "!=", value.trim().to_owned()))
        })
    };
    written.split(',').filter_map(term).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::Resource;

    fn query(namespace: &str, labels: Option<&str>, fields: Option<&str>, name: Option<&str>) -> Query {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Query {
            resource: Resource::core("pods"),
            namespace: namespace.to_owned(),
            name: own(name),
            labels: own(labels),
            fields: own(fields),
        }
    }

    fn watched(query: &Query) -> Watched {
        let Query { resource, namespace, name, labels, fields } = query.clone();
        Watched { resource: resource.to_string(), namespace, name, labels, fields }
    }

    #[test]
    fn a_watch_serves_what_it_asked_for_and_what_is_narrower() {
        let cases = [
            (query("a", None, None, None), query("a", None, None, None), Some(true)),
            (query("", None, None, None), query("a", None, None, None), Some(false)),
            (query("b", None, None, None), query("a", None, None, None), None),
            (query("a", None, None, None), query("a", Some("app=web"), None, None), Some(false)),
            (query("a", Some("app=web"), None, None), query("a", Some("app=web"), None, None), Some(true)),
            (query("a", Some("app=web"), None, None), query("a", None, None, None), None),
            (query("a", Some("app=web"), None, None), query("a", Some("app=db"), None, None), None),
            (query("a", None, None, None), query("a", None, None, Some("p")), Some(false)),
            (query("a", None, None, Some("p")), query("a", None, None, Some("q")), None),
        ];
        for (have, want, open) in cases {
            let found = serves(&watched(&have), &want).map(|sieve| sieve.is_open());
            assert_eq!(found, open, "{have:?} {want:?}");
        }
    }

    #[test]
    fn a_sieve_knows_selectors() {
        let object =
            json!({ "metadata": { "labels": { "app": "web", "tier": "front" } }, "status": { "phase": "Running" } });
        let called = ObjectName { namespace: "a".to_owned(), name: "p".to_owned() };
        let all = watched(&query("", None, None, None));
        for (labels, fields, admitted) in [
            ("app=web,tier in (front, back)", None, true),
            ("app!=web", None, false),
            ("app notin (db),!canary", None, true),
            ("canary", None, false),
            ("app", Some("status.phase=Running"), true),
            ("app", Some("status.phase!=Running"), false),
            ("app", Some("status.reason="), true),
        ] {
            let sieve = serves(&all, &query("a", Some(labels), fields, None)).unwrap();
            assert_eq!(sieve.admits(&called, &object), admitted, "{labels} {fields:?}");
        }
        let other = serves(&all, &query("b", None, None, None)).unwrap();
        assert!(!other.admits(&called, &object));
    }
}
