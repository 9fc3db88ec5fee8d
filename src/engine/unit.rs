use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::event::{SkipReason, StepNode};
use crate::expr::Form;
use crate::graph::{Graph, Rules};
use crate::id::StepId;
use crate::plan::{Body, Conditions, LeftOut, Plan, Require, Retry, Scope, Setting, Span, Step, Verb};

/// A step of the plan without what is inside it: what the loop looks up by place.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) id: StepId,
    pub(super) timeout: Option<Setting<Span>>,
    pub(super) retry: Option<Retry>,
    pub(super) require: Option<Require>,
    pub(super) expect: Option<Conditions>,
    pub(super) scope: Arc<Scope>,
    pub(super) until: Option<StepId>,
    pub(super) verb: Option<Arc<Verb>>,
    pub(super) outputs: Option<(Form, Arc<Scope>)>,
}

impl Unit {
    fn of(step: &Step) -> Self {
        let (verb, outputs) = match &step.body {
            Body::Verb(verb) => (Some(Arc::clone(verb)), None),
            Body::Group { outputs, .. } => (None, outputs.clone()),
            Body::Repeat { .. } | Body::Cells { .. } => (None, None),
        };
        Self {
            id: step.id.clone(),
            timeout: step.timeout.clone(),
            retry: step.retry.clone(),
            require: step.require.clone(),
            expect: step.expect.clone(),
            scope: Arc::clone(&step.scope),
            until: step.until.clone(),
            verb,
            outputs,
        }
    }

    /// Whether it waits for its requirement first, without a permit.
    pub(super) fn waits(&self) -> bool {
        self.require.as_ref().is_some_and(|require| require.within.is_some())
    }

    /// Whether it must hold a permit while it acts.
    pub(super) fn holds_permit(&self) -> bool {
        self.verb.as_ref().is_some_and(|verb| verb.holds_permit())
    }
}

/// A plan taken apart: its steps in plan order, their graph, and the choices made before the run.
pub(super) fn take_apart(plan: &Plan, nodes: &[StepNode]) -> (Vec<Arc<Unit>>, Graph, Rules) {
    let graph = Graph::new(nodes);
    let steps = plan.walk();
    assert_eq!(steps.len(), nodes.len(), "a run's first event lists the steps of its plan");
    let mut rules = Rules { left_out: BTreeMap::new(), stop_on_failure: BTreeSet::new() };
    for (place, step) in graph.all().zip(&steps) {
        match &step.left_out {
            Some(LeftOut::If(expression)) => {
                rules.left_out.insert(place, SkipReason::If { expression: expression.clone() });
            }
            Some(LeftOut::Flag(flag)) => {
                rules.left_out.insert(place, SkipReason::Flag { flag: flag.clone() });
            }
            None => {}
        }
        if matches!(step.body, Body::Repeat { stop_on_failure: true, .. }) {
            rules.stop_on_failure.insert(place);
        }
    }
    let units = steps.into_iter().map(|step| Arc::new(Unit::of(step))).collect();
    (units, graph, rules)
}
