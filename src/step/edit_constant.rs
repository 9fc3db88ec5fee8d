use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use similar::TextDiff;

use super::constant::{self, Constant};
use super::{Done, Error, StepContext};
use crate::event::{Class, Note};
use crate::plan::verb::EditConstant;
use crate::text;

/// Changes one constant in a source file, in one stroke: the file is either the old
/// one or the new one.
///
/// Outputs: `old`, `new` (a whole number as such, else the text without its quotes).
#[expect(clippy::unused_async, reason = "every verb is bound in the same way")]
pub(super) async fn act(args: &EditConstant, ctx: &StepContext) -> Result<Done, Error> {
    let (written, name) = (ctx.get(&args.file)?, ctx.get(&args.name)?);
    let change = match (ctx.get_opt(args.add.as_ref())?, ctx.get_opt(args.to.as_ref())?) {
        (Some(add), None) => Change::Add(add),
        (None, Some(to)) => Change::To(to),
        (None, None) | (Some(_), Some(_)) => {
            return Err(Error::new(Class::Broken, "either `add` or `to` says what the constant becomes"));
        }
    };
    let trouble = |act: &str, error| Error::from_source(Class::Broken, format!("`{written}` can't be {act}"), error);
    // A link stays a link: what it leads to is changed.
    let path = fs::canonicalize(ctx.path(&written)).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::new(Class::Missing, format!("the file `{written}` is not there")),
        _ => trouble("found", error),
    })?;
    let before = fs::read_to_string(&path).map_err(|error| trouble("read", error))?;
    let found = only(&before, &written, &name)?;
    let old = &before[found.value.clone()];
    let memory = json!({ "file": path, "name": name, "old": old });
    if let Some(earlier) = done_before(ctx, &memory, old) {
        return Ok(earlier);
    }
    let new = change.of(old).ok_or_else(|| {
        let line = found.line;
        Error::new(
            Class::Refused,
            format!("`{name}` in `{written}`, line {line}, is `{old}`, to which nothing can be added"),
        )
        .expected("a whole number")
    })?;
    let mut after = before.clone();
    after.replace_range(found.value.clone(), &new);
    replace(&path, &after).map_err(|error| trouble("written", error))?;
    ctx.memory.keep(json!({ "before": memory, "new": new }));
    if after == before {
        ctx.note(Note::text(format!("`{name}` in `{written}` was `{new}` already")));
    } else {
        ctx.note(Note::Diff { title: written, text: diff(&before, &after) });
    }
    Ok(Done::default().with("old", plain(old)).with("new", plain(&new)))
}

/// What an attempt before this one did, if it did: the constant is not added to twice.
fn done_before(ctx: &StepContext, now: &Value, current: &str) -> Option<Done> {
    let earlier = ctx.memory.recall()?;
    let (before, new) = (&earlier["before"], earlier["new"].as_str()?);
    let same = ["file", "name"].iter().all(|key| before[key] == now[key]);
    (same && current == new).then(|| {
        ctx.note(Note::text("an attempt before this one changed it"));
        Done::default().with("old", plain(before["old"].as_str().unwrap_or_default())).with("new", plain(new))
    })
}

/// The one place where the constant gets its value.
fn only(source: &str, file: &str, name: &str) -> Result<Constant, Error> {
    let mut found = constant::find(source, file, name);
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let names = constant::names(source, file);
            let near = text::suggest(name, names.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            Err(Error::new(Class::Refused, format!("`{file}` has no constant `{name}`{near}")))
        }
        n => {
            let lines: Vec<String> = found.iter().map(|found| found.line.to_string()).collect();
            let message = format!("`{file}` has `{name}` {n} times, in lines {}", text::and(&lines));
            Err(Error::new(Class::Refused, message).expected("exactly one"))
        }
    }
}

enum Change {
    Add(i64),
    To(String),
}

impl Change {
    fn of(&self, old: &str) -> Option<String> {
        match self {
            Self::To(new) => Some(new.clone()),
            Self::Add(add) => {
                // A type may follow the number: `5u32`.
                let end =
                    old.find(|c: char| !(c.is_ascii_digit() || matches!(c, '_' | '-' | '+'))).unwrap_or(old.len());
                let (number, kind) = old.split_at(end);
                let is_kind =
                    kind.is_empty() || kind.starts_with(['i', 'u']) && kind[1..].chars().all(char::is_alphanumeric);
                let number: i64 = number.replace('_', "").parse().ok().filter(|_| is_kind)?;
                Some(format!("{}{kind}", number.checked_add(*add)?))
            }
        }
    }
}

/// A value as a step after this one wants it.
fn plain(value: &str) -> Value {
    if let Ok(number) = value.parse::<i64>() {
        return number.into();
    }
    let quoted = ['"', '\'', '`'].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    quoted.unwrap_or(value).into()
}

/// Writes a file beside the old one and puts it in its place, with the same rights.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(fs::metadata(path)?.permissions())?;
    file.persist(path)?;
    Ok(())
}

fn diff(before: &str, after: &str) -> String {
    TextDiff::from_lines(before, after).unified_diff().context_radius(3).to_string()
}

#[cfg(test)]
mod tests;
