use indexmap::IndexMap;

use super::{Plan, Step};

/// What covers one requirement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covering {
    /// Ids of steps in plan order, all rounds and cells of one as one.
    pub steps: Vec<String>,
    /// Ids of checks in plan order, likewise.
    pub checks: Vec<String>,
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
                    note(&mut into.entry(id.clone()).or_default().steps, step.id.as_str());
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
        for requirement in &check.covers {
            if !declared || covered.contains_key(requirement) {
                note(&mut covered.entry(requirement.clone()).or_default().checks, check.id.as_str());
            }
        }
    }
    covered
}

/// Adds an id without the brackets of its cells and rounds, once.
fn note(ids: &mut Vec<String>, id: &str) {
    let mut inside = false;
    let mut plain = String::with_capacity(id.len());
    for c in id.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ if !inside => plain.push(c),
            _ => {}
        }
    }
    if !ids.contains(&plain) {
        ids.push(plain);
    }
}
