use std::ops::Range;
use std::path::PathBuf;

use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::check::RawCheck;
use super::step::{self, RawStep};
use crate::expr::{Cel, Env, Form, Template};
use crate::id::is_kebab;
use crate::plan::mention::{Mention, Texts, Within};
use crate::plan::origin::leading_var;
use crate::plan::reader::{Mismatch, Reading, read, read_evaluated};
use crate::plan::tree::{Entry, Item, Kind, Table};
use crate::plan::{Problem, Spot};

/// One file of a plan: the plan itself, a part, or an included file.
#[derive(Debug)]
pub(in crate::plan) struct RawFile {
    /// The file, by its place among those that were read.
    pub(in crate::plan) source: usize,
    /// The folder that its paths start from, as people are shown it.
    pub(in crate::plan) folder: PathBuf,
    pub(in crate::plan) header: Header,
    pub(in crate::plan) vars: IndexMap<String, RawVar>,
    pub(in crate::plan) objects: IndexMap<String, RawObject>,
    /// An included file could not be read, so that selections may be missing.
    pub(in crate::plan) lacks_objects: bool,
    pub(in crate::plan) steps: Vec<RawStep>,
    pub(in crate::plan) checks: Vec<RawCheck>,
    pub(in crate::plan) outputs: Option<Written>,
    /// What `[plan]`, `[vars]`, `[objects]` and `[outputs]` name, in this file.
    pub(in crate::plan) mentions: Vec<Mention>,
    /// Which tables stand in it.
    pub(in crate::plan) tables: Vec<(String, Range<usize>)>,
}

/// The `[plan]` table.
#[derive(Debug, Default)]
pub(in crate::plan) struct Header {
    pub(in crate::plan) name: Option<String>,
    pub(in crate::plan) title: Option<Written>,
    pub(in crate::plan) about: Option<Written>,
    pub(in crate::plan) namespace: Option<Written>,
    pub(in crate::plan) timeout: Option<Written>,
    pub(in crate::plan) include: Vec<(String, Range<usize>)>,
    /// `None` if nothing is written: then steps may cover what they like.
    pub(in crate::plan) covers: Option<Vec<(String, Range<usize>)>>,
    /// What each of them asks for, if `covers` is a table.
    pub(in crate::plan) sentences: IndexMap<String, String>,
}

/// A value that is filled in while the plan is loaded.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Written {
    pub(in crate::plan) form: Form,
    /// As it is written, if it is a text.
    pub(in crate::plan) text: Option<String>,
    /// Its keys, if it is a table.
    pub(in crate::plan) keys: Option<Vec<String>>,
    /// It is one expression and nothing else, so that it may come to anything.
    pub(in crate::plan) lone: bool,
    /// The var that it begins with.
    pub(in crate::plan) lead: Option<String>,
    pub(in crate::plan) spot: Spot,
    pub(in crate::plan) mentions: Vec<Mention>,
}

/// A var as it is declared.
#[derive(Debug)]
pub(in crate::plan) struct RawVar {
    pub(in crate::plan) key: Range<usize>,
    /// `None` also if an expression in it is wrong.
    pub(in crate::plan) default: Option<Written>,
    /// Nobody has to give it.
    pub(in crate::plan) has_default: bool,
    pub(in crate::plan) env: Option<String>,
    pub(in crate::plan) secret: bool,
}

/// A selection as it is written.
#[derive(Clone, Debug)]
pub(in crate::plan) struct RawObject {
    /// Its name: included selections stand in another file.
    pub(in crate::plan) key: Spot,
    pub(in crate::plan) resource: Option<Written>,
    pub(in crate::plan) name: Option<Written>,
    pub(in crate::plan) namespace: Option<Written>,
    pub(in crate::plan) labels: Option<Written>,
    pub(in crate::plan) fields: Option<Written>,
    pub(in crate::plan) on: Option<(String, Spot)>,
    pub(in crate::plan) filter: Option<(Cel, Spot)>,
    pub(in crate::plan) each: Option<(Cel, Spot)>,
    pub(in crate::plan) mentions: Vec<Mention>,
}

impl Written {
    /// The value, with its holes filled in.
    pub(in crate::plan) fn value(&self, env: &Env) -> Result<Value, Box<Problem>> {
        self.form.eval(env).map_err(|error| Box::new(Problem::at(self.spot.clone(), error.to_string())))
    }

    /// The value as what is wanted here.
    pub(in crate::plan) fn get<T: DeserializeOwned>(&self, env: &Env) -> Result<T, Box<Problem>> {
        let value = self.value(env)?;
        read_evaluated(&value).map_err(|reason| {
            let shown = if self.form.is_plain() { String::new() } else { format!(" (it comes to {value})") };
            Box::new(Problem::at(self.spot.clone(), format!("{reason}{shown}")))
        })
    }
}

/// The tables of a file, but for `[prove]`.
const TABLES: [&str; 6] = ["plan", "vars", "objects", "steps", "checks", "outputs"];

impl RawFile {
    /// Reads the tables of a file. What is wrong with one entry does not hide the others.
    pub(in crate::plan) fn read(
        source: usize,
        folder: PathBuf,
        text: &str,
        root: &Table,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut file = Self {
            source,
            folder,
            header: Header::default(),
            vars: IndexMap::new(),
            objects: IndexMap::new(),
            lacks_objects: false,
            steps: Vec::new(),
            checks: Vec::new(),
            outputs: None,
            mentions: Vec::new(),
            tables: root.iter().map(|(name, entry)| (name.clone(), entry.key.clone())).collect(),
        };
        let mut texts = Texts { source, text, problems };
        for (name, entry) in root {
            match name.as_str() {
                "prove" => {
                    let problem = texts.problem(&entry.key, "this version of lariat does not prove plans yet");
                    problem.help = Some("leave `[prove]` out".to_owned());
                    continue;
                }
                name if !TABLES.contains(&name) => {
                    let problem =
                        Problem::at(texts.spot(&entry.key), format!("there is no table `[{name}]` in a plan"));
                    texts.problems.push(problem.suggest(name, TABLES));
                    continue;
                }
                _ => {}
            }
            let Some(table) = entry.item.as_table() else {
                let what = entry.item.what();
                texts.problem(&entry.key, format!("`{name}` is a table, found {what}"));
                continue;
            };
            match name.as_str() {
                "plan" => file.header = header(&mut texts, table, &mut file.mentions),
                "vars" => vars(&mut texts, table, &mut file),
                "objects" => objects(&mut texts, table, &mut file),
                "steps" => file.steps = step::list(&mut texts, table),
                "checks" => file.checks(&mut texts, table),
                _ => {
                    for (name, entry) in table {
                        identifier(&mut texts, name, entry, "an output");
                    }
                    file.outputs = written(&mut texts, &entry.item, &entry.key, Within::Outputs);
                    file.mentions.extend(file.outputs.iter().flat_map(|outputs| outputs.mentions.clone()));
                }
            }
        }
        file
    }
}

/// A value that is filled in while the plan is loaded; `None` if an expression in it is wrong.
pub(super) fn written(texts: &mut Texts<'_>, item: &Item, key: &Range<usize>, within: Within) -> Option<Written> {
    let (mentions, fine) = texts.templates(item, within);
    let form = Form::compile(&item.to_json()).ok().filter(|_| fine)?;
    let span = if matches!(item.kind, Kind::Table(_)) { key } else { &item.span };
    let keys = item.as_table().map(|table| table.keys().cloned().collect());
    let lone = item.as_text().is_some_and(|text| Template::compile(text).is_ok_and(|text| text.only_hole().is_some()));
    let lead = item.as_text().and_then(leading_var);
    let text = item.as_text().map(str::to_owned);
    Some(Written { form, text, keys, lone, lead, spot: texts.spot(span), mentions })
}

/// Reads a value with serde and turns its mistakes into problems.
pub(super) fn value<T: DeserializeOwned>(texts: &mut Texts<'_>, entry: &Entry) -> Option<T> {
    let reading = read(&entry.item, |reader| T::deserialize(reader));
    for mistake in reading.mistakes {
        mismatch(texts, mistake, &entry.key);
    }
    reading.value
}

/// Takes over what was met, and tells what is wrong: an expression at its own place,
/// so that it is not told again as a mismatch.
pub(super) fn finish<T>(
    texts: &mut Texts<'_>,
    reading: Reading<'_, T>,
    key: &Range<usize>,
    verb: &str,
    mentions: &mut Vec<Mention>,
) -> Option<T> {
    let before = texts.problems.len();
    for met in &reading.met {
        mentions.extend(texts.met(met, verb));
    }
    let told: Vec<String> = texts.problems[before..].iter().map(|problem| problem.message.clone()).collect();
    for mistake in reading.mistakes {
        if !told.iter().any(|told| **told == *mistake.message) {
            mismatch(texts, mistake, key);
        }
    }
    reading.value
}

pub(super) fn mismatch(texts: &mut Texts<'_>, mistake: Mismatch, key: &Range<usize>) {
    let span = mistake.span.unwrap_or_else(|| key.clone());
    let mut problem = Problem::at(texts.spot(&span), mistake.message.into_string());
    problem.help = mistake.help.map(String::from);
    problem.instead = mistake.instead.map(String::from);
    texts.problems.push(problem);
}

/// A text by itself: names and ids, where holes are not filled in.
pub(super) fn word(texts: &mut Texts<'_>, item: &Item) -> Option<(String, Range<usize>)> {
    if let Some(text) = item.as_text() {
        return Some((text.to_owned(), item.span.clone()));
    }
    let what = item.what();
    texts.problem(&item.span, format!("expected a text in quotes, found {what}"));
    None
}

/// A list of names or ids.
pub(super) fn words(texts: &mut Texts<'_>, item: &Item) -> Vec<(String, Range<usize>)> {
    if let Kind::List(items) = &item.kind {
        return items.iter().filter_map(|item| word(texts, item)).collect();
    }
    let what = item.what();
    let instead = item.as_text().map(|text| format!("[\"{text}\"]"));
    texts.problem(&item.span, format!("expected a list of texts, found {what}")).instead = instead;
    item.as_text().map(|text| (text.to_owned(), item.span.clone())).into_iter().collect()
}

pub(super) fn unknown_key(texts: &mut Texts<'_>, name: &str, entry: &Entry, known: &[&str]) {
    let mut problem = Problem::at(texts.spot(&entry.key), format!("there is no key `{name}` here"));
    if let Some(near) = crate::text::suggest(name, known.iter().copied()) {
        problem = problem.help(format!("did you mean `{near}`?")).instead(near);
    } else {
        let quoted: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        problem = problem.help(format!("the keys here are {}", crate::text::and(&quoted)));
    }
    texts.problems.push(problem);
}

/// Words that expressions keep for themselves, also after a dot.
fn reserved(texts: &mut Texts<'_>, name: &str, entry: &Entry, what: &str) {
    if matches!(name, "in" | "true" | "false" | "null") {
        texts.problem(&entry.key, format!("`{name}` cannot be the name of {what}: expressions could not say it"));
    }
}

/// Names of steps and selections.
pub(super) fn kebab(texts: &mut Texts<'_>, name: &str, entry: &Entry, what: &str) {
    reserved(texts, name, entry, what);
    if is_kebab(name) {
        return;
    }
    let better: String = name.to_ascii_lowercase().replace(['_', ' ', '.'], "-");
    let problem = texts.problem(&entry.key, format!("`{name}` cannot be the name of {what}"));
    if is_kebab(&better) {
        problem.help = Some("names are written in lower case with dashes; expressions spell a dash `_`".to_owned());
        problem.instead = Some(better);
    } else {
        problem.help =
            Some("a name is lower-case letters, digits and single dashes, a letter first, at most 63".to_owned());
    }
}

/// Names of vars and outputs: as expressions write them.
fn identifier(texts: &mut Texts<'_>, name: &str, entry: &Entry, what: &str) {
    reserved(texts, name, entry, what);
    let fine = |name: &str| {
        name.len() <= 63
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if fine(name) {
        return;
    }
    let better = name.replace('-', "_");
    let problem = texts.problem(&entry.key, format!("`{name}` cannot be the name of {what}"));
    if fine(&better) {
        problem.help = Some("expressions would read the dash as a minus; write `_`".to_owned());
        problem.instead = Some(better);
    } else {
        problem.help = Some("a name is letters, digits and `_`, a letter first, at most 63".to_owned());
    }
}

fn header(texts: &mut Texts<'_>, table: &Table, mentions: &mut Vec<Mention>) -> Header {
    const KEYS: [&str; 7] = ["name", "title", "about", "namespace", "timeout", "include", "covers"];
    let mut header = Header::default();
    for (name, entry) in table {
        let mut head = || {
            let written = written(texts, &entry.item, &entry.key, Within::Head);
            mentions.extend(written.iter().flat_map(|written| written.mentions.clone()));
            written
        };
        match name.as_str() {
            "title" => header.title = head(),
            "about" => header.about = head(),
            "namespace" => header.namespace = head(),
            "timeout" => header.timeout = head(),
            "name" => {
                let name = word(texts, &entry.item);
                if let Some((name, span)) = &name
                    && !is_kebab(name)
                {
                    texts.problem(span, format!("`{name}` cannot be the name of a plan")).help = Some(
                        "a name is lower-case letters, digits and single dashes, a letter first, at most 63".to_owned(),
                    );
                }
                header.name = name.map(|(name, _)| name);
            }
            "include" => header.include = words(texts, &entry.item),
            "covers" => match entry.item.as_table() {
                Some(table) => {
                    header.covers = Some(table.iter().map(|(id, entry)| (id.clone(), entry.key.clone())).collect());
                    let sentences =
                        table.iter().filter_map(|(id, entry)| Some((id.clone(), word(texts, &entry.item)?.0)));
                    header.sentences = sentences.collect();
                }
                None => header.covers = Some(words(texts, &entry.item)),
            },
            _ => unknown_key(texts, name, entry, &KEYS),
        }
    }
    header
}

/// The keys that make a table the declaration of a var instead of its value.
const DECLARATION: [&str; 4] = ["default", "env", "required", "secret"];

/// How many vars a file may have: they may all hang on each other.
const MAX_VARS: usize = 500;

fn vars(texts: &mut Texts<'_>, table: &Table, file: &mut RawFile) {
    if let Some((_, entry)) = table.get_index(MAX_VARS) {
        texts.problem(&entry.key, format!("there are more than {MAX_VARS} vars"));
        return;
    }
    for (name, entry) in table {
        identifier(texts, name, entry, "a var");
        let mut var = RawVar { key: entry.key.clone(), default: None, has_default: true, env: None, secret: false };
        let declared = entry
            .item
            .as_table()
            .filter(|table| !table.is_empty() && table.keys().all(|key| DECLARATION.contains(&key.as_str())));
        let Some(declared) = declared else {
            var.default = written(texts, &entry.item, &entry.key, Within::Head);
            file.mentions.extend(var.default.iter().flat_map(|default| default.mentions.clone()));
            file.vars.insert(name.clone(), var);
            continue;
        };
        var.has_default = declared.contains_key("default");
        let mut required = None;
        for (key, entry) in declared {
            match key.as_str() {
                "default" => {
                    var.default = written(texts, &entry.item, &entry.key, Within::Head);
                    file.mentions.extend(var.default.iter().flat_map(|default| default.mentions.clone()));
                }
                "env" => var.env = word(texts, &entry.item).map(|(name, _)| name),
                "secret" => var.secret = value(texts, entry).unwrap_or_default(),
                _ => required = value::<bool>(texts, entry).map(|required| (required, entry.key.clone())),
            }
        }
        match required {
            Some((true, span)) if declared.contains_key("default") => {
                texts
                    .problem(&span, format!("`{name}` has a default and is required: one of them says nothing"))
                    .help = Some("leave out `default` if it must be given, else `required`".to_owned());
            }
            Some((false, span)) if !declared.contains_key("default") => {
                texts
                    .problem(
                        &span,
                        format!("`{name}` is not required and has no default: what is it when nobody gives it?"),
                    )
                    .help = Some("write `default`".to_owned());
            }
            _ => {}
        }
        file.vars.insert(name.clone(), var);
    }
}

fn objects(texts: &mut Texts<'_>, table: &Table, file: &mut RawFile) {
    const KEYS: [&str; 8] = ["resource", "name", "namespace", "labels", "fields", "on", "where", "each"];
    for (name, entry) in table {
        kebab(texts, name, entry, "a selection");
        let Some(table) = entry.item.as_table() else {
            let what = entry.item.what();
            texts.problem(&entry.item.span, format!("a selection is a table, found {what}")).help =
                Some("such as `{ resource = \"pods\", labels = \"app=web\" }`".to_owned());
            continue;
        };
        let mut object = RawObject {
            key: texts.spot(&entry.key),
            resource: None,
            name: None,
            namespace: None,
            labels: None,
            fields: None,
            on: None,
            filter: None,
            each: None,
            mentions: Vec::new(),
        };
        for (key, entry) in table {
            match key.as_str() {
                "resource" => object.resource = written(texts, &entry.item, &entry.key, Within::Head),
                "name" => object.name = written(texts, &entry.item, &entry.key, Within::Head),
                "namespace" => object.namespace = written(texts, &entry.item, &entry.key, Within::Head),
                "labels" => object.labels = written(texts, &entry.item, &entry.key, Within::Head),
                "fields" => object.fields = written(texts, &entry.item, &entry.key, Within::Head),
                "on" => object.on = word(texts, &entry.item).map(|(name, span)| (name, texts.spot(&span))),
                "where" | "each" => {
                    let Some((cel, mentions)) = texts.cel(&entry.item, Within::Filter) else { continue };
                    object.mentions.extend(mentions);
                    let cel = Some((cel, texts.spot(&entry.item.span)));
                    if key == "where" { object.filter = cel } else { object.each = cel }
                }
                _ => unknown_key(texts, key, entry, &KEYS),
            }
        }
        let head = [&object.resource, &object.name, &object.namespace, &object.labels, &object.fields];
        let named: Vec<Mention> = head.into_iter().flatten().flat_map(|written| written.mentions.clone()).collect();
        object.mentions.extend(named);
        shape(texts, name, entry, table);
        file.objects.insert(name.clone(), object);
    }
}

/// Which keys of a selection go together.
fn shape(texts: &mut Texts<'_>, name: &str, entry: &Entry, table: &Table) {
    let has = |key: &str| table.contains_key(key);
    if has("on") {
        for key in ["resource", "name", "namespace", "labels", "fields"] {
            if let Some(entry) = table.get(key) {
                texts
                    .problem(
                        &entry.key,
                        format!("`{key}` asks the API server, but `{name}` is made from another selection (`on`)"),
                    )
                    .help = Some("narrow it down with `where`".to_owned());
            }
        }
    } else if !has("resource") {
        texts.problem(&entry.key, format!("`{name}` selects nothing: `resource` is missing")).help =
            Some("name a kind (`resource = \"pods\"`), or another selection (`on`)".to_owned());
    } else if let Some(each) = table.get("each") {
        texts
            .problem(&each.key, "`each` needs `on`: it takes the entries of a map inside another selection's objects")
            .help = Some("declare the objects as a selection of their own and name it under `on`".to_owned());
    }
    if let (Some(name), Some(_)) = (table.get("name"), table.get("labels").or(table.get("fields"))) {
        texts.problem(&name.key, "a name and a selector exclude each other: the name alone decides").help =
            Some("keep one of them".to_owned());
    }
}
