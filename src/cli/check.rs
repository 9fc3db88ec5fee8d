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
                let mut parts =
                    vec![text::count(plan.walk().len(), "step"), text::count(plan.selections.len(), "selection")];
                if !plan.checks.is_empty() {
                    parts.push(text::count(plan.checks.len(), "check"));
                }
                out(&format!("{}: {}: no mistakes", path.display(), parts.join(", ")));
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

/// Each requirement with the steps and checks that cover it; those that nobody covers last.
fn coverage(plan: &Plan) -> String {
    let covered = plan::coverage(plan);
    let mut lines = Vec::new();
    for (requirement, covering) in covered.iter().filter(|(_, covering)| !covering.is_empty()) {
        let steps = covering.steps.iter().map(ToString::to_string);
        let checks = covering.checks.iter().map(|check| format!("check/{check}"));
        lines.push(format!("  {requirement}  {}", steps.chain(checks).collect::<Vec<_>>().join(", ")));
    }
    for (requirement, _) in covered.iter().filter(|(_, covering)| covering.is_empty()) {
        lines.push(format!("  {requirement}  nobody"));
    }
    if lines.is_empty() {
        lines.push("  the plan names no requirements (`[plan] covers`)".to_owned());
    }
    lines.join("\n")
}
