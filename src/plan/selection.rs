//! `[objects]`: from what is written to what is asked of the API server.

use super::raw::{RawObject, Written};
use super::{Problem, Query, Resource, Selection, SelectionId, Source, selector};
use crate::expr::Env;
use crate::id::StepId;

/// A selection's name in the run.
pub(super) fn id(group: Option<&StepId>, name: &str) -> SelectionId {
    SelectionId(group.map_or_else(|| name.to_owned(), |group| format!("{group}/{name}")))
}

/// A selection with its vars filled in; `None` if something is wrong with it.
pub(super) fn make(
    name: &str,
    object: &RawObject,
    group: Option<&StepId>,
    env: &Env,
    namespace: &str,
    problems: &mut Vec<Problem>,
) -> Option<Selection> {
    let source = if let Some((on, _)) = &object.on {
        Source::On(id(group, on))
    } else {
        Source::Api(query(object, env, namespace, problems)?)
    };
    Some(Selection {
        id: id(group, name),
        source,
        filter: object.filter.as_ref().map(|(cel, _)| cel.clone()),
        each: object.each.as_ref().map(|(cel, _)| cel.clone()),
        env: env.clone(),
    })
}

fn query(object: &RawObject, env: &Env, namespace: &str, problems: &mut Vec<Problem>) -> Option<Query> {
    let told = problems.len();
    let mut text = |written: &Option<Written>| -> Option<String> {
        match written.as_ref()?.get::<String>(env) {
            Ok(text) => Some(text),
            Err(problem) => {
                problems.push(*problem);
                None
            }
        }
    };
    let [resource, name, own, labels, fields] =
        [&object.resource, &object.name, &object.namespace, &object.labels, &object.fields].map(&mut text);
    let mut tell = |written: &Option<Written>, sentence: String| {
        if let Some(written) = written {
            problems.push(Problem::at(written.spot.clone(), sentence).split_help());
        }
    };
    let resource = resource.and_then(|written| match Resource::parse(&written) {
        Ok(resource) => Some(resource),
        Err(sentence) => {
            tell(&object.resource, sentence);
            None
        }
    });
    if let Some(Err(sentence)) = labels.as_deref().map(selector::labels) {
        tell(&object.labels, sentence);
    }
    if let Some(Err(sentence)) = fields.as_deref().map(selector::fields) {
        tell(&object.fields, sentence);
    }
    if name.as_deref() == Some("") {
        tell(&object.name, "the name is empty".to_owned());
    }
    if own.as_deref() == Some("") {
        tell(&object.namespace, "the namespace is empty".to_owned());
    }
    if problems.len() > told {
        return None;
    }
    Some(Query { resource: resource?, namespace: own.unwrap_or_else(|| namespace.to_owned()), name, labels, fields })
}
