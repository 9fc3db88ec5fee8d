use std::fmt::Write as _;

use crate::graph::{self, Graph};
use crate::plan::verb::Verb;
use crate::plan::{Body, Plan, Step};
use crate::text;

/// What a run would do, from the plan alone: its graph, who is harmed, what is made.
pub(super) fn client(plan: &Plan, context: Option<&str>) -> String {
    let mut said = format!("{}: {}\n\n{}\n", plan.name, plan.title, graph::text(&Graph::new(&plan.nodes())));
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = writeln!(said, "{title}\n  {}\n", lines.join("\n  "));
        }
    };
    let harming = plan.harming().into_iter().map(|step| match &step.body {
        Body::Verb(verb) => format!("{} ({})", step.id, verb.name()),
        Body::Group { .. } | Body::Repeat { .. } | Body::Cells { .. } => step.id.to_string(),
    });
    section("These steps can break what they are pointed at:", harming.collect());
    section("These objects are applied:", plan.walk().iter().flat_map(|step| applied(step)).collect());
    let selections = plan.selections.iter().map(|selection| selection.id.to_string());
    section("These selections are looked at:", selections.collect());
    let steps = text::count(plan.walk().iter().filter(|step| matches!(step.body, Body::Verb(_))).count(), "step");
    let place = match context {
        _ if !plan.needs_cluster() => "without a cluster".to_owned(),
        Some(context) => format!("against the context `{context}`"),
        None => "on the embedded cluster (`--context NAME` names a real one)".to_owned(),
    };
    let _ = write!(said, "{steps} would run {place}. Nothing was asked and nothing was touched.");
    said
}

/// The objects of an `apply` as kubectl names them; `?` where only the run will tell.
fn applied(step: &Step) -> Vec<String> {
    let Body::Verb(verb) = &step.body else { return Vec::new() };
    let Verb::Apply(apply) = verb.as_ref() else { return Vec::new() };
    let inline = apply.object.iter();
    let read = apply.file.iter().flat_map(|file| &file.documents);
    let known = step.scope.known();
    let manifests = inline.chain(read).map(|manifest| {
        let object = manifest.0.eval(&known).unwrap_or_default();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
        let kind = text(&object["kind"]);
        let name = text(&object["metadata"]["name"]);
        match object["metadata"]["namespace"].as_str() {
            Some(namespace) => format!("{kind}/{name} in {namespace}"),
            None => format!("{kind}/{name}"),
        }
    });
    manifests.collect()
}
