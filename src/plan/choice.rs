//! `--only` and `--skip`: which steps are left out by choice.

use std::collections::BTreeSet;

use super::load::Settings;
use super::{LeftOut, Problem, Step};
use crate::id::StepId;

/// Marks the steps that the command line leaves out, the outermost of each branch.
pub(super) fn leave_out(steps: &mut [Step], settings: &Settings, problems: &mut Vec<Problem>) {
    if !settings.only.is_empty() {
        let mut kept = BTreeSet::new();
        for name in &settings.only {
            if keep(steps, name, &mut kept, false) {
                continue;
            }
            unknown(steps, "--only", name, problems);
        }
        let flag = settings.only.iter().map(|name| format!("--only {name}")).collect::<Vec<_>>().join(" ");
        drop_others(steps, &kept, &flag);
    }
    for name in &settings.skip {
        if !skip(steps, name) {
            unknown(steps, "--skip", name, problems);
        }
    }
}

/// Whether a step is meant by a name: its id, its id without brackets, or its own name.
fn is_called(id: &StepId, name: &str) -> bool {
    let id = id.as_str();
    let plain = plain(id);
    id == name || plain == name || plain.rsplit('/').next() == Some(name)
}

/// An id without the brackets of cells and rounds.
pub(super) fn plain(id: &str) -> String {
    let mut inside = false;
    id.chars()
        .filter(|c| {
            inside |= *c == '[';
            let kept = !inside;
            inside &= *c != ']';
            kept
        })
        .collect()
}

fn skip(steps: &mut [Step], name: &str) -> bool {
    let mut found = false;
    for step in steps {
        if is_called(&step.id, name) {
            found = true;
            step.left_out.get_or_insert(LeftOut::Flag(format!("--skip {name}")));
        } else {
            found |= skip(step.children_mut(), name);
        }
    }
    found
}

/// Collects the steps of this name with all that is inside them, the groups around them,
/// and all that they need. Says whether there is one.
fn keep(steps: &[Step], name: &str, kept: &mut BTreeSet<StepId>, all: bool) -> bool {
    let mut found = false;
    let mut wanted: Vec<usize> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let called = all || is_called(&step.id, name);
        let inside = keep(step.children(), name, kept, called);
        if called || inside {
            found = true;
            wanted.push(at);
        }
    }
    // What is named keeps only what is named in it; what is needed is kept whole.
    kept.extend(wanted.iter().map(|at| steps[*at].id.clone()));
    while let Some(at) = wanted.pop() {
        for (other, needed) in steps.iter().enumerate() {
            if steps[at].needs.contains(&needed.id) && kept.insert(needed.id.clone()) {
                keep(needed.children(), name, kept, true);
                wanted.push(other);
            }
        }
    }
    found
}

/// Leaves out what is not kept. Clean-up stays where something that it cleans up after stays.
fn drop_others(steps: &mut [Step], kept: &BTreeSet<StepId>, flag: &str) {
    for step in steps {
        let cleans = step.when.is_cleanup() && step.needs.iter().any(|need| kept.contains(need));
        if kept.contains(&step.id) {
            drop_others(step.children_mut(), kept, flag);
        } else if !cleans {
            step.left_out.get_or_insert(LeftOut::Flag(flag.to_owned()));
        }
    }
}

fn unknown(steps: &[Step], flag: &str, name: &str, problems: &mut Vec<Problem>) {
    fn names(steps: &[Step], into: &mut BTreeSet<String>) {
        for step in steps {
            into.insert(plain(step.id.as_str()));
            names(step.children(), into);
        }
    }
    let mut known = BTreeSet::new();
    names(steps, &mut known);
    let last: BTreeSet<String> = known.iter().filter_map(|id| id.rsplit('/').next()).map(str::to_owned).collect();
    let candidates: Vec<&str> = last.iter().chain(&known).map(String::as_str).collect();
    let problem = Problem::on_command_line(format!("`{flag} {name}`: the plan has no such step"));
    let near = crate::text::suggest(name, candidates.iter().copied());
    problems.push(match near {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.suggest(name, steps.iter().map(|step| step.id.as_str())),
    });
}
