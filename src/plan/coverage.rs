use indexmap::IndexMap;

use super::{Plan, Step};
use crate::id::{CheckId, StepId};

/// What covers one requirement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covering {
    /// Steps in plan order; a cell or round is not named beside its step.
    pub steps: Vec<StepId>,
    /// Checks in plan order, all rounds and cells of one as one.
    pub checks: Vec<CheckId>,
}

impl Covering {
    /// Whether nothing covers it.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.checks.is_empty()
    }
}

/// Each requirement with the steps and checks that cover it, in the order in which `[plan] covers`
/// names them. A plan that declares none has those that its steps and checks name.
pub fn coverage(plan: &Plan) -> IndexMap<String, Covering> {
    fn down(steps: &[Step], outer: &[String], declared: bool, into: &mut IndexMap<String, Covering>) {
        for step in steps {
            // A cell or round covers what its step covers, and is not named again.
            for id in step.covers.iter().filter(|id| !outer.contains(id)) {
                if !declared || into.contains_key(id) {
                    into.entry(id.clone()).or_default().steps.push(step.id.clone());
                }
            }
            let inside: Vec<String> = outer.iter().chain(&step.covers).cloned().collect();
            down(step.children(), &inside, declared, into);
        }
    }
    let declared = !plan.covers.is_empty();
    let mut covered: IndexMap<String, Covering> =
        plan.covers.iter().map(|id| (id.clone(), Covering::default())).collect();
    down(&plan.steps, &[], declared, &mut covered);
    for check in &plan.checks {
        let id = check.round.as_ref().map_or(&check.id, |round| &round.of);
        for requirement in &check.covers {
            if !declared || covered.contains_key(requirement) {
                let checks = &mut covered.entry(requirement.clone()).or_default().checks;
                if !checks.contains(id) {
                    checks.push(id.clone());
                }
            }
        }
    }
    covered
}
