use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{Body, Check, Scope, Selection, Step};
use crate::event::{CheckNode, NodeKind, PlanFile, StepNode};
use crate::expr::Form;
use crate::id::StepId;

/// A checked plan: what will be run, with parts expanded, cells and rounds made,
/// and every name resolved. There is no way to run what was not checked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Its title, filled in; the name if it has none.
    pub title: String,
    /// One sentence about it.
    pub about: String,
    /// Ids of requirements it covers.
    pub covers: Vec<String>,
    /// What each of them asks for, where the plan says so.
    pub sentences: IndexMap<String, String>,
    /// Default namespace.
    pub namespace: String,
    /// Most time for the whole run.
    pub timeout: Duration,
    /// Every file that was read, the plan itself first.
    pub files: Vec<PlanFile>,
    /// The plan's own vars with what was set on the command line; secret ones are left out.
    pub vars: Map<String, Value>,
    /// Secret vars by name, with the values to hide.
    pub secrets: Vec<(String, String)>,
    /// Every selection, those of parts included.
    pub selections: Vec<Selection>,
    /// Checks in file order, those of parts where the part is used.
    pub checks: Vec<Check>,
    /// Steps in file order.
    pub steps: Vec<Step>,
    /// What it leaves for who runs it, with the names that its expressions know.
    pub outputs: Option<(Form, Arc<Scope>)>,
}

impl Plan {
    /// Every step in plan order, a group before what is in it.
    pub fn walk(&self) -> Vec<&Step> {
        fn down<'a>(steps: &'a [Step], into: &mut Vec<&'a Step>) {
            for step in steps {
                into.push(step);
                down(step.children(), into);
            }
        }
        let mut all = Vec::new();
        down(&self.steps, &mut all);
        all
    }

    /// Every step as events and drawings know it, in plan order.
    pub fn nodes(&self) -> Vec<StepNode> {
        fn down(steps: &[Step], parent: Option<&StepId>, into: &mut Vec<StepNode>) {
            for step in steps {
                into.push(node(step, parent));
                down(step.children(), Some(&step.id), into);
            }
        }
        let mut nodes = Vec::new();
        down(&self.steps, None, &mut nodes);
        nodes
    }

    /// Every check as events and drawings know it.
    pub fn check_nodes(&self) -> Vec<CheckNode> {
        self.checks.iter().map(Check::node).collect()
    }

    /// Whether a run needs a cluster: it has selections or verbs that speak to one.
    pub fn needs_cluster(&self) -> bool {
        !self.selections.is_empty()
            || self.walk().iter().any(|step| matches!(&step.body, Body::Verb(verb) if verb.needs_cluster()))
    }

    /// The steps that can break what they are pointed at.
    pub fn harming(&self) -> Vec<&Step> {
        let harms = |step: &&Step| matches!(&step.body, Body::Verb(verb) if verb.harms());
        self.walk().into_iter().filter(harms).collect()
    }
}

fn node(step: &Step, parent: Option<&StepId>) -> StepNode {
    let kind = match &step.body {
        Body::Verb(verb) => NodeKind::Verb(verb.name().to_owned()),
        Body::Group { .. } => NodeKind::Group,
        Body::Repeat { .. } => NodeKind::Repeat,
        Body::Cells { .. } => NodeKind::Cells,
    };
    StepNode {
        id: step.id.clone(),
        parent: parent.cloned(),
        kind,
        about: step.about.clone(),
        needs: step.needs.clone(),
        when: step.when,
        until: step.until.clone(),
        covers: step.covers.clone(),
        file: step.place.file.clone(),
        line: step.place.line,
    }
}
