use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::library::Library;
use super::problem::Problems;
use super::resolve::Resolver;
use super::{Files, Plan, names};

/// What the command line says about a plan.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Values of vars that are known already: an old run's.
    pub vars: Map<String, Value>,
    /// `--vars`: files of values, later ones win.
    pub vars_files: Vec<PathBuf>,
    /// `--set`: names with their values as text; they win over files.
    pub set: Vec<(String, String)>,
    /// `--namespace`: instead of the plan's own default; a part's own stays.
    pub namespace: Option<String>,
    /// `--only`: steps by id or name.
    pub only: Vec<String>,
    /// `--skip`: steps by id or name.
    pub skip: Vec<String>,
    /// The environment that vars with `env` read.
    pub env: BTreeMap<String, String>,
}

/// Reads a plan with all its parts and checks it. All mistakes are found, not the first.
pub fn load(files: &dyn Files, path: &Path, settings: &Settings) -> Result<Plan, Problems> {
    let (mut library, root) = Library::open(files, path);
    let mut problems = std::mem::take(&mut library.problems);
    let plan = root.and_then(|root| {
        problems.extend(names::check(&library));
        let told = problems.len();
        let mut resolver = Resolver::new(&mut library, root, settings);
        let plan = resolver.plan(root);
        // What is wrong with a value is told where the value is written, once.
        let later =
            resolver.problems.into_iter().filter(|problem| !problems[..told].iter().any(|known| known.covers(problem)));
        let later: Vec<_> = later.collect();
        problems.extend(later);
        plan
    });
    match plan {
        Some(plan) if problems.is_empty() => Ok(plan),
        _ => Err(Problems::sorted(library.sources.read, problems)),
    }
}
