use indexmap::IndexMap;

use super::{Plan, Step};
use crate::id::StepId;

/// Each requirement with the steps that cover it, in the order in which `[plan] covers`
/// names them; one without steps is not covered. A plan that declares none has those
/// that its steps name.
pub fn coverage(plan: &Plan) -> IndexMap<String, Vec<StepId>> {
    fn down(steps: &[Step], outer: &[String], declared: bool, into: &mut IndexMap<String, Vec<StepId>>) {
        for step in steps {
            // A cell or round covers what its step covers, and is not named again.
            for id in step.covers.iter().filter(|id| !outer.contains(id)) {
                if let Some(covering) = into.get_mut(id) {
                    covering.push(step.id.clone());
                } else if !declared {
                    into.insert(id.clone(), vec![step.id.clone()]);
                }
            }
            let inside: Vec<String> = outer.iter().chain(&step.covers).cloned().collect();
            down(step.children(), &inside, declared, into);
        }
    }
    let mut covered: IndexMap<String, Vec<StepId>> = plan.covers.iter().map(|id| (id.clone(), Vec::new())).collect();
    down(&plan.steps, &[], !plan.covers.is_empty(), &mut covered);
    covered
}
