use super::args::{CheckArgs, PlanArgs};
use super::screen::{err, out};
use super::{Exit, door};
use crate::plan::{self, Plan};
use crate::text;

/// Checks plans and prints every mistake of each.
pub(super) fn check(args: &CheckArgs) -> Exit {
    let mut exit = Exit::Ok;
    for path in &args.plans {
        let asked =
            PlanArgs { plan: path.clone(), set: args.set.clone(), vars: args.vars.clone(), ..PlanArgs::default() };
        match door::load(&asked, args.color) {
            Ok(plan) => {
                let (steps, selections) = (plan.walk().len(), plan.selections.len());
                out(&format!(
                    "{}: {}, {}: no mistakes",
                    path.display(),
                    text::count(steps, "step"),
                    text::count(selections, "selection")
                ));
                if args.coverage {
                    out(&coverage(&plan));
                }
            }
            Err(wrong) => exit = wrong,
        }
    }
    if exit != Exit::Ok && args.plans.len() > 1 {
        err("lariat: not all plans are right");
    }
    exit
}

/// Each requirement with the steps that cover it; those that nobody covers last.
fn coverage(plan: &Plan) -> String {
    let covered = plan::coverage(plan);
    let mut lines = Vec::new();
    for (requirement, steps) in covered.iter().filter(|(_, steps)| !steps.is_empty()) {
        let steps: Vec<&str> = steps.iter().map(crate::id::StepId::as_str).collect();
        lines.push(format!("  {requirement}  {}", steps.join(", ")));
    }
    for (requirement, _) in covered.iter().filter(|(_, steps)| steps.is_empty()) {
        lines.push(format!("  {requirement}  nobody"));
    }
    if lines.is_empty() {
        lines.push("  the plan names no requirements (`[plan] covers`)".to_owned());
    }
    lines.join("\n")
}
