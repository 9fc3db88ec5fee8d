//! All files of a plan, each read and parsed once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::raw::{RawBody, RawClaim, RawFile, RawStep};
use super::source::{Sources, tidy};
use super::{Files, Problem, Spot, tree};
use crate::event::PlanFile;

/// How deep parts may stand inside each other.
const MAX_PARTS: usize = 16;

/// The plan and its parts.
pub(super) struct Library<'f> {
    pub(super) sources: Sources<'f>,
    /// The plan first; a part after those that it uses itself.
    pub(super) files: Vec<RawFile>,
    pub(super) problems: Vec<Problem>,
    /// How many of the files that were read belong to the plan.
    own: usize,
    by_path: BTreeMap<PathBuf, Option<usize>>,
    /// The files that are being read, the plan first.
    stack: Vec<PathBuf>,
}

impl<'f> Library<'f> {
    /// Reads the plan and all it uses. `None` if the plan itself cannot be read as TOML.
    pub(super) fn open(files: &'f dyn Files, path: &Path) -> (Self, Option<usize>) {
        let mut library = Self {
            sources: Sources::new(files),
            files: Vec::new(),
            problems: Vec::new(),
            own: 0,
            by_path: BTreeMap::new(),
            stack: Vec::new(),
        };
        let path = tidy(&files.shown(path));
        let plan = match library.sources.read(&path) {
            Ok(source) => {
                let plan = library.file(source, &path);
                library.is_a_plan(plan);
                plan
            }
            Err(sentence) => {
                let problem = Problem::on_command_line(sentence);
                library.problems.push(problem.split_help());
                None
            }
        };
        library.own = library.sources.read.len();
        (library, plan)
    }

    /// What a part may lack, and a plan may not.
    fn is_a_plan(&mut self, plan: Option<usize>) {
        let Some(file) = plan.map(|plan| &self.files[plan]) else { return };
        let source = file.source;
        let told = |problem: &Problem| problem.spot.as_ref().is_some_and(|spot| spot.file == source);
        // A misspelled table is told already, and its steps may be all that was meant.
        if self.problems.iter().any(told) {
            return;
        }
        let spot = Spot::new(source, 0..0);
        if file.tables.is_empty() {
            let problem = Problem::at(spot, format!("`{}` is empty", self.sources.path_of(source)));
            self.problems.push(problem.help("a plan begins with `[plan]` and has steps such as `[steps.install]`"));
            return;
        }
        let named = file.header.name.is_some();
        if file.steps.is_empty() && file.checks.is_empty() {
            let problem = Problem::at(spot.clone(), "the plan has no steps");
            self.problems.push(problem.help("a step is a table such as `[steps.install]`"));
        }
        if !named {
            let table = self.files.last().and_then(|file| file.tables.iter().find(|(name, _)| name == "plan"));
            let spot = table.map_or(spot, |(_, key)| Spot::new(source, key.clone()));
            let problem = Problem::at(spot, "the plan has no name");
            self.problems.push(problem.help("write `name = \"…\"` under `[plan]`"));
        }
    }

    fn file(&mut self, source: usize, path: &Path) -> Option<usize> {
        let file = self.parse(source, path);
        let Some(mut file) = file else {
            self.by_path.insert(path.to_owned(), None);
            return None;
        };
        self.stack.push(path.to_owned());
        self.include(&mut file);
        let mut steps = std::mem::take(&mut file.steps);
        self.parts(&file, &mut steps);
        file.steps = steps;
        self.check_parts(&mut file);
        self.stack.pop();
        self.files.push(file);
        let index = self.files.len() - 1;
        self.by_path.insert(path.to_owned(), Some(index));
        Some(index)
    }

    /// Reads a file's tables.
    fn parse(&mut self, source: usize, path: &Path) -> Option<RawFile> {
        let text = self.sources.text_of(source).to_owned();
        let (table, errors) = tree::parse(&text);
        if !errors.is_empty() {
            // The recovered tables are partly wrong: what they lack was perhaps only misread.
            let told = errors.into_iter().map(|error| Problem::at(Spot::new(source, error.span), error.message));
            self.problems.extend(told);
            return None;
        }
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Some(RawFile::read(source, folder, &text, &table, &mut self.problems))
    }

    /// Puts the selections of included files where they would stand if they were written.
    fn include(&mut self, file: &mut RawFile) {
        let mut included = indexmap::IndexMap::new();
        for (path, span) in file.header.include.clone() {
            let spot = Spot::new(file.source, span);
            let full = tidy(&file.folder.join(&path));
            let source = match self.sources.read(&full) {
                Ok(source) => source,
                Err(sentence) => {
                    self.problems.push(Problem::at(spot, sentence).split_help());
                    file.lacks_objects = true;
                    continue;
                }
            };
            let Some(other) = self.parse(source, &full) else {
                file.lacks_objects = true;
                continue;
            };
            for (table, key) in &other.tables {
                if !matches!(table.as_str(), "objects" | "prove") {
                    let problem = Problem::at(
                        Spot::new(source, key.clone()),
                        "an included file has `[objects]` and nothing else",
                    );
                    self.problems.push(problem.help("what has steps is a part: `part = { file = … }`"));
                }
            }
            for (name, object) in other.objects {
                if included.contains_key(&name) {
                    let problem =
                        Problem::at(spot.clone(), format!("`{name}` is also in a file that is included before"));
                    self.problems.push(problem);
                }
                included.insert(name, object);
            }
        }
        for (name, object) in std::mem::take(&mut file.objects) {
            if included.contains_key(&name) {
                let message = format!("`{name}` is also in an included file");
                self.problems.push(Problem::at(object.key.clone(), message).help("give one of them another name"));
            }
            included.insert(name, object);
        }
        file.objects = included;
    }

    /// Reads the parts that steps use.
    fn parts(&mut self, file: &RawFile, steps: &mut [RawStep]) {
        for step in steps {
            match &mut step.body {
                RawBody::Steps(steps) => self.parts(file, steps),
                RawBody::Part(part) => {
                    part.target = self.part(file, &part.file, Spot::new(file.source, part.span.clone()));
                    if part.target.is_none() {
                        step.body = RawBody::Broken(None);
                    }
                }
                RawBody::Verb(verb, item) => self.attach(file, verb, item, &mut step.mentions),
                RawBody::Broken(_) => {}
            }
        }
    }

    /// Reads the parts that checks use: files of checks only.
    fn check_parts(&mut self, file: &mut RawFile) {
        let mut checks = std::mem::take(&mut file.checks);
        for check in &mut checks {
            let RawClaim::Part(part) = &mut check.body else { continue };
            let spot = Spot::new(file.source, part.span.clone());
            part.target = self.part(file, &part.file, spot.clone());
            let Some(target) = part.target.map(|target| &self.files[target]) else {
                check.body = RawClaim::Broken;
                continue;
            };
            let message = if !target.steps.is_empty() {
                format!("`{}` has steps, and the part of a check has checks only", part.file)
            } else if target.checks.is_empty() {
                format!("`{}` has no checks", part.file)
            } else {
                continue;
            };
            self.problems.push(Problem::at(spot, message));
        }
        file.checks = checks;
    }

    fn part(&mut self, file: &RawFile, written: &str, spot: Spot) -> Option<usize> {
        let path = tidy(&file.folder.join(written));
        if let Some(start) = self.stack.iter().position(|open| *open == path) {
            let chain: Vec<String> =
                self.stack[start..].iter().chain([&path]).map(|path| path.display().to_string()).collect();
            let problem = Problem::at(spot, format!("a part includes itself: {}", chain.join(" -> ")));
            self.problems.push(problem.help("rounds are made with `repeat`, copies with `for-each`"));
            return None;
        }
        if let Some(known) = self.by_path.get(&path) {
            return *known;
        }
        if self.stack.len() > MAX_PARTS {
            let message = format!("parts stand inside each other more than {MAX_PARTS} deep");
            self.problems.push(Problem::at(spot, message));
            return None;
        }
        match self.sources.read(&path) {
            Ok(source) => self.file(source, &path),
            Err(sentence) => {
                self.problems.push(Problem::at(spot, sentence).split_help());
                self.by_path.insert(path, None);
                None
            }
        }
    }
}

impl Library<'_> {
    /// The files of the plan, the plan itself first; files of values are not among them,
    /// since secrets may stand there.
    pub(super) fn plan_files(&self) -> Vec<PlanFile> {
        self.sources.read[..self.own].to_vec()
    }
}

impl Problem {
    /// Turns `…; did you mean …?` into a sentence and its help.
    pub(super) fn split_help(mut self) -> Self {
        if let Some((what, help)) = self.message.clone().split_once("; ") {
            what.clone_into(&mut self.message);
            self.help = Some(help.to_owned());
        }
        self
    }
}
