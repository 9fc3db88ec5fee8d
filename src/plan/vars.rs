//! The vars of a file: where each value comes from, and in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::load::Settings;
use super::mention::Mention;
use super::origin::Origins;
use super::raw::{RawFile, RawVar};
use super::source::{Sources, tidy};
use super::{Problem, Scope, Spot, Var, Vars, tree};

/// What the command line and vars files say about the plan's own vars, and which folder
/// each value's paths start from.
pub(super) fn given(
    file: &RawFile,
    settings: &Settings,
    sources: &mut Sources<'_>,
    problems: &mut Vec<Problem>,
) -> (IndexMap<String, Var>, Origins) {
    let here = if file.folder.is_absolute() { sources.files.here() } else { PathBuf::new() };
    let mut values: BTreeMap<String, (Value, PathBuf)> = BTreeMap::new();
    for (name, value) in &settings.vars {
        if file.vars.contains_key(name) {
            values.insert(name.clone(), (value.clone(), here.clone()));
        }
    }
    for path in &settings.vars_files {
        let path = tidy(&sources.files.shown(path));
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        for (name, value) in from_file(file, &path, sources, problems) {
            values.insert(name, (value, folder.clone()));
        }
    }
    for (name, text) in &settings.set {
        let Some(var) = file.vars.get(name) else {
            let problem = Problem::on_command_line(format!("`--set {name}=…`: the plan has no var `{name}`"));
            problems.push(problem.suggest(name, file.vars.keys().map(String::as_str)));
            continue;
        };
        match typed(text, var) {
            Ok(value) => {
                values.insert(name.clone(), (value, here.clone()));
            }
            Err(expected) => {
                // A secret is not shown, not even when it is wrong.
                let shown = if var.secret { "…" } else { text };
                problems.push(Problem::on_command_line(format!("`--set {name}={shown}`: expected {expected}")));
            }
        }
    }
    let origins = values.iter().map(|(name, (_, folder))| (name.clone(), folder.clone())).collect();
    let values = values.into_iter().map(|(name, (value, _))| (name, Var::Known(value))).collect();
    (values, origins)
}

fn from_file(
    file: &RawFile,
    path: &Path,
    sources: &mut Sources<'_>,
    problems: &mut Vec<Problem>,
) -> Map<String, Value> {
    let source = match sources.read(path) {
        Ok(source) => source,
        Err(sentence) => {
            problems.push(Problem::on_command_line(sentence).split_help());
            return Map::new();
        }
    };
    let text = sources.text_of(source);
    let (table, errors) = tree::parse(text);
    if !errors.is_empty() {
        problems.extend(errors.into_iter().map(|error| Problem::at(Spot::new(source, error.span), error.message)));
        return Map::new();
    }
    let mut values = Map::new();
    for (name, entry) in &table {
        if file.vars.contains_key(name) {
            values.insert(name.clone(), entry.item.to_json());
        } else {
            let problem = Problem::at(Spot::new(source, entry.key.clone()), format!("the plan has no var `{name}`"));
            problems.push(problem.suggest(name, file.vars.keys().map(String::as_str)));
        }
    }
    values
}

/// A text from outside, as what the var's default is; without one as TOML would read it,
/// and what TOML cannot read is a text.
fn typed(text: &str, var: &RawVar) -> Result<Value, &'static str> {
    let default = var.default.as_ref().and_then(|default| default.form.plain());
    let toml = || {
        let (table, errors) = tree::parse(&format!("a = {text}"));
        let only = table.len() == 1 && errors.is_empty();
        table.get("a").filter(|_| only).map(|entry| entry.item.to_json())
    };
    match default {
        Some(Value::String(_)) => Ok(Value::String(text.to_owned())),
        Some(Value::Bool(_)) => text.parse().map(Value::Bool).map_err(|_| "`true` or `false`"),
        Some(Value::Number(number)) if number.is_f64() => toml().filter(Value::is_number).ok_or("a number"),
        Some(Value::Number(_)) => text.parse::<i64>().map(Value::from).map_err(|_| "a whole number"),
        Some(Value::Array(_)) => toml().filter(Value::is_array).ok_or("a list such as `[\"a\", \"b\"]`"),
        Some(Value::Object(_)) => toml().filter(Value::is_object).ok_or("a table such as `{ a = 1 }`"),
        // A text with holes in it is a text; a lone hole may be anything.
        None if var.default.as_ref().is_some_and(|default| !default.lone) => Ok(Value::String(text.to_owned())),
        Some(Value::Null) | None => Ok(toml().unwrap_or_else(|| Value::String(text.to_owned()))),
    }
}

/// The vars of one use of a file.
pub(super) struct Bound {
    pub(super) vars: Vars,
    /// Secret ones by name, with their values.
    pub(super) secrets: Vec<(String, String)>,
    /// Those that came from the environment.
    pub(super) from_env: Vec<String>,
}

/// Gives each var its value: what was given, else the environment, else the default,
/// each after the vars that it uses. `None` if something is wrong, which has been told.
pub(super) fn bind(
    file: &RawFile,
    given: IndexMap<String, Var>,
    env: &BTreeMap<String, String>,
    part: bool,
    scope: &dyn Fn(Vars) -> Scope,
    problems: &mut Vec<Problem>,
) -> Option<Bound> {
    let mut binder = Binder {
        file,
        given,
        env,
        part,
        scope,
        values: BTreeMap::new(),
        open: BTreeSet::new(),
        problems,
        wrong: false,
        from_env: Vec::new(),
    };
    for name in file.vars.keys() {
        binder.value(name);
    }
    if binder.wrong {
        return None;
    }
    let from_env = binder.from_env;
    let mut values = binder.values;
    let in_order: IndexMap<String, Var> =
        file.vars.keys().filter_map(|name| Some((name.clone(), values.remove(name)?))).collect();
    let secret = file.vars.iter().filter(|(_, var)| var.secret);
    let secrets = secret.filter_map(|(name, _)| match in_order.get(name)? {
        Var::Known(Value::String(text)) => Some((name.clone(), text.clone())),
        Var::Known(other) => Some((name.clone(), other.to_string())),
        Var::Late(..) => None,
    });
    let secrets = secrets.filter(|(_, value)| !value.is_empty()).collect();
    Some(Bound { vars: Vars::new(in_order), secrets, from_env })
}

struct Binder<'a> {
    file: &'a RawFile,
    given: IndexMap<String, Var>,
    env: &'a BTreeMap<String, String>,
    /// Whether the file is used as a part.
    part: bool,
    scope: &'a dyn Fn(Vars) -> Scope,
    values: BTreeMap<String, Var>,
    open: BTreeSet<&'a str>,
    problems: &'a mut Vec<Problem>,
    wrong: bool,
    from_env: Vec<String>,
}

impl<'a> Binder<'a> {
    fn value(&mut self, name: &'a str) {
        let Some(var) = self.file.vars.get(name) else { return };
        if self.values.contains_key(name) || !self.open.insert(name) {
            return;
        }
        if let Some(given) = self.given.swap_remove(name) {
            self.values.insert(name.to_owned(), given);
        } else if let Some((key, text)) = var.env.as_ref().and_then(|key| Some((key, self.env.get(key)?))) {
            match typed(text, var) {
                Ok(value) => {
                    self.from_env.push(name.to_owned());
                    self.values.insert(name.to_owned(), Var::Known(value));
                }
                Err(expected) => self.tell(var, format!("`{name}` comes from `${key}`, which is not {expected}")),
            }
        } else if let Some(default) = &var.default {
            let uses: BTreeSet<&str> = named(&default.mentions).collect();
            for used in uses {
                if let Some((used, _)) = self.file.vars.get_key_value(used) {
                    self.value(used);
                }
            }
            self.default(name, default);
        } else if var.has_default {
            // An expression in it is wrong, which has been told.
            self.wrong = true;
        } else {
            self.missing(name, var);
            self.wrong = true;
        }
        self.open.remove(name);
    }

    fn missing(&mut self, name: &str, var: &RawVar) {
        let way = match (&var.env, self.part) {
            // Told where the part is used.
            (None, true) => return,
            (None, false) => format!("give it with `--set {name}=…`"),
            (Some(key), true) => format!("give it with `with = {{ {name} = … }}`, or set `${key}`"),
            (Some(key), false) => format!("give it with `--set {name}=…`, or set `${key}`"),
        };
        let spot = Spot::new(self.file.source, var.key.clone());
        self.problems.push(Problem::at(spot, format!("`{name}` has no value")).help(way));
    }

    fn default(&mut self, name: &str, default: &super::raw::Written) {
        let used =
            |name: &&str| default.mentions.iter().any(|mention| mention.path.name(1).is_none_or(|used| used == *name));
        let is_late = self.values.iter().any(|(name, var)| matches!(var, Var::Late(..)) && used(&name.as_str()));
        let so_far: IndexMap<String, Var> = self.values.iter().map(|(name, var)| (name.clone(), var.clone())).collect();
        let vars = Vars::new(so_far);
        let var = if is_late {
            Var::Late(default.form.clone(), Arc::new((self.scope)(vars)))
        } else {
            match default.value(&super::scope::known(&vars, None, None)) {
                Ok(value) => Var::Known(value),
                Err(problem) => {
                    self.problems.push(*problem);
                    self.wrong = true;
                    return;
                }
            }
        };
        self.values.insert(name.to_owned(), var);
    }

    fn tell(&mut self, var: &RawVar, message: String) {
        self.problems.push(Problem::at(Spot::new(self.file.source, var.key.clone()), message));
        self.wrong = true;
    }
}

/// The vars that expressions name.
fn named(mentions: &[Mention]) -> impl Iterator<Item = &str> {
    mentions.iter().filter(|mention| mention.path.root() == "vars").filter_map(|mention| mention.path.name(1))
}

/// Vars that are made of each other, each circle once, as names in the order of the circle.
pub(super) fn circles(file: &RawFile) -> Vec<Vec<String>> {
    let uses = |name: &str| -> Vec<&str> {
        let default = file.vars.get(name).and_then(|var| var.default.as_ref());
        let used = default.into_iter().flat_map(|default| named(&default.mentions));
        used.filter_map(|used| file.vars.get_key_value(used).map(|(name, _)| name.as_str())).collect()
    };
    let mut circles: Vec<Vec<String>> = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in file.vars.keys() {
        // Depth first with an own stack: each frame is a name and what it still has to look at.
        let mut way: Vec<(&str, Vec<&str>)> = vec![(start, uses(start))];
        while let Some((name, left)) = way.last_mut() {
            let name = *name;
            let Some(next) = left.pop() else {
                done.insert(name);
                way.pop();
                continue;
            };
            if let Some(at) = way.iter().position(|(open, _)| *open == next) {
                let mut circle: Vec<String> = way[at..].iter().map(|(name, _)| (*name).to_owned()).collect();
                circle.push(next.to_owned());
                circles.push(circle);
            } else if !done.contains(next) {
                way.push((next, uses(next)));
            }
        }
    }
    circles
}
