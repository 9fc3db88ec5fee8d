//! Which folder a path starts from that comes out of a var.
//!
//! A path is relative to the file that writes it, also when it is handed on: a chart
//! that a plan gives to its part starts at the plan's folder, one from `--set` at the
//! current folder. So what leads with a var is moved before a verb sees it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::attach::is_local_chart;
use super::tree::{Item, Kind};
use super::{Scope, Setting, Verb};
use crate::expr::{Env, Template};

/// For each var whose text was not written in the file itself: the folder it starts from.
pub(super) type Origins = BTreeMap<String, PathBuf>;

/// The var that a text begins with, so that its value decides where a path starts.
pub(super) fn leading_var(text: &str) -> Option<String> {
    if !text.starts_with("${") {
        return None;
    }
    let template = Template::compile(text).ok()?;
    let first = template.holes().next()?;
    let [path] = first.paths() else { return None };
    let plain = path.root() == "vars" && path.parts.len() == 2 && path.span.len() == first.source().trim().len();
    path.name(1).filter(|_| plain).map(str::to_owned)
}

/// The verb with its paths moved, if any of them comes from elsewhere and is known.
pub(super) fn moved(verb: &Arc<Verb>, item: &Item, origins: &Origins, folder: &Path, scope: &Scope) -> Arc<Verb> {
    if origins.is_empty() {
        return Arc::clone(verb);
    }
    let env = &scope.known();
    let text = |key: &str| item.as_table().and_then(|table| table.get(key)).map(|entry| &entry.item);
    let path = |key: &str| text(key).and_then(|item| one(item, origins, folder, env, false)).map(Setting::Plain);
    let chart = || text("chart").and_then(|item| one(item, origins, folder, env, true)).map(Setting::Plain);
    let values = || text("values").and_then(|item| many(item, origins, folder, env)).map(Setting::Plain);
    let mut moved = Arc::clone(verb);
    match verb.as_ref() {
        Verb::HelmInstall(_) | Verb::HelmUpgrade(_) => {
            let (chart, values) = (chart(), values());
            if chart.is_none() && values.is_none() {
                return moved;
            }
            let (own_chart, own_values) = match Arc::make_mut(&mut moved) {
                Verb::HelmInstall(install) => (&mut install.chart, &mut install.values),
                Verb::HelmUpgrade(upgrade) => (&mut upgrade.chart, &mut upgrade.values),
                _ => return moved,
            };
            if let Some(chart) = chart {
                *own_chart = chart;
            }
            if let Some(values) = values {
                *own_values = values;
            }
        }
        Verb::Command(_) => {
            if let (Some(dir), Verb::Command(command)) = (path("dir"), Arc::make_mut(&mut moved)) {
                command.dir = Some(dir);
            }
        }
        Verb::EditConstant(_) => {
            if let (Some(file), Verb::EditConstant(edit)) = (path("file"), Arc::make_mut(&mut moved)) {
                edit.file = file;
            }
        }
        Verb::WriteFile(_) => {
            if let (Some(file), Verb::WriteFile(write)) = (path("file"), Arc::make_mut(&mut moved)) {
                write.file = Some(file);
            }
        }
        _ => {}
    }
    moved
}

fn origin<'o>(item: &Item, origins: &'o Origins) -> Option<&'o PathBuf> {
    origins.get(&leading_var(item.as_text()?)?)
}

fn one(item: &Item, origins: &Origins, folder: &Path, env: &Env, chart: bool) -> Option<String> {
    let origin = origin(item, origins)?;
    let written = Template::compile(item.as_text()?).ok()?.text(env).ok()?;
    if chart && !is_local_chart(&written) {
        return None;
    }
    Some(relocate(&written, origin, folder))
}

fn many(item: &Item, origins: &Origins, folder: &Path, env: &Env) -> Option<Vec<String>> {
    let Kind::List(items) = &item.kind else {
        let origin = origin(item, origins)?;
        let Value::Array(paths) = Template::compile(item.as_text()?).ok()?.eval(env).ok()? else { return None };
        return paths.iter().map(|path| Some(relocate(path.as_str()?, origin, folder))).collect();
    };
    items.iter().find_map(|item| origin(item, origins))?;
    let moved = items.iter().map(|item| match origin(item, origins) {
        Some(_) => one(item, origins, folder, env, false),
        None => Template::compile(item.as_text()?).ok()?.text(env).ok(),
    });
    moved.collect()
}

/// A path that starts at `origin`, as one that starts at `folder`.
fn relocate(written: &str, origin: &Path, folder: &Path) -> String {
    if Path::new(written).is_absolute() {
        return written.to_owned();
    }
    let target = super::source::tidy(&origin.join(written));
    let Some(relative) = relative(&target, folder) else { return target.display().to_string() };
    let shown = relative.display().to_string();
    if shown.starts_with("../") { shown } else { format!("./{shown}") }
}

/// The way from a folder to a path, both tidy and both from the same start.
fn relative(target: &Path, folder: &Path) -> Option<PathBuf> {
    let folder = super::source::tidy(folder);
    if target.is_absolute() != folder.is_absolute() {
        return None;
    }
    let mut from = folder.components().peekable();
    let mut to = target.components().peekable();
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    // Where a folder above the start is called is not known here.
    if from.clone().any(|part| part == Component::ParentDir) {
        return None;
    }
    Some(from.map(|_| Component::ParentDir).chain(to).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_moved_from_where_they_were_written() {
        for (written, origin, folder, moved) in [
            ("values/a.yaml", "", "plans/parts", "../../values/a.yaml"),
            ("../charts/a", "plans", "plans/parts", "../../charts/a"),
            ("a.yaml", "plans/parts", "plans", "./parts/a.yaml"),
            ("/a.yaml", "plans", "", "/a.yaml"),
            ("a.yaml", "plans", "plans", "./a.yaml"),
        ] {
            assert_eq!(relocate(written, Path::new(origin), Path::new(folder)), moved, "{written}");
        }
    }

    #[test]
    fn only_a_text_that_begins_with_a_var_comes_from_it() {
        assert_eq!(leading_var("${vars.work}/src").as_deref(), Some("work"));
        assert_eq!(leading_var("${ vars.work }").as_deref(), Some("work"));
        for text in ["src/${vars.work}", "${vars.a.b}", "${vars.a + '/x'}", "${run.dir}/x", "x"] {
            assert_eq!(leading_var(text), None, "{text}");
        }
    }
}
