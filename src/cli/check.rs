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

/// How wide the second column of the table of requirements may be.
const WIDTH: usize = 100;

/// A table: each requirement with what it asks for, if the plan says so, and the steps and
/// checks that cover it; those that nobody covers last.
fn coverage(plan: &Plan) -> String {
    let covered = plan::coverage(plan);
    if covered.is_empty() {
        return "  the plan names no requirements (`[plan] covers`)".to_owned();
    }
    let ids = covered.keys().map(|id| id.chars().count()).max().unwrap_or_default();
    let mut lines = Vec::new();
    let (some, none): (Vec<_>, Vec<_>) = covered.iter().partition(|(_, covering)| !covering.is_empty());
    for (requirement, covering) in some.into_iter().chain(none) {
        let mut texts = Vec::new();
        if let Some(sentence) = plan.sentences.get(requirement) {
            texts.extend(fold(sentence.split(' '), " ", WIDTH));
        }
        let steps = covering.steps.iter().cloned();
        let names: Vec<String> = steps.chain(covering.checks.iter().map(|check| format!("check/{check}"))).collect();
        let names = if names.is_empty() { vec!["nobody".to_owned()] } else { names };
        texts.extend(fold(names.iter().map(String::as_str), ", ", WIDTH));
        let firsts = std::iter::once(requirement.as_str()).chain(std::iter::repeat(""));
        lines.extend(firsts.zip(texts).map(|(first, text)| format!("  {first:ids$}  {text}")));
    }
    lines.push(format!(
        "  {} of {} covered",
        covered.values().filter(|covering| !covering.is_empty()).count(),
        text::count(covered.len(), "requirement")
    ));
    lines.join("\n")
}

/// Words put together in lines of at most so many characters, a longer word by itself.
fn fold<'a>(words: impl Iterator<Item = &'a str>, between: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + between.len() + word.chars().count() < width => {
                line.push_str(between);
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
