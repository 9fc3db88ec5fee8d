use std::ops::Range;
use std::sync::Arc;

use super::file::{self, Written, finish, kebab, unknown_key, value, word, words, written};
use super::part::{RawPart, part};
use crate::event::When;
use crate::expr::Cel;
use crate::plan::condition::{Conditions, Require};
use crate::plan::mention::{Mention, Texts, Within};
use crate::plan::reader::read;
use crate::plan::tree::{Entry, Item, Kind, Table};
use crate::plan::{Problem, Resource, Retry, Setting, Span, Verb};

/// A step as it is written.
#[derive(Debug)]
pub(in crate::plan) struct RawStep {
    pub(in crate::plan) name: String,
    /// Bytes of its name in its header.
    pub(in crate::plan) key: Range<usize>,
    pub(in crate::plan) about: Option<Written>,
    pub(in crate::plan) covers: Vec<(String, Range<usize>)>,
    pub(in crate::plan) needs: Vec<(String, Range<usize>)>,
    pub(in crate::plan) when: When,
    pub(in crate::plan) timeout: Option<Setting<Span>>,
    pub(in crate::plan) retry: Option<Retry>,
    pub(in crate::plan) repeat: Option<RawRepeat>,
    pub(in crate::plan) for_each: Option<Written>,
    /// Whether it was meant to have rounds, and cells, right or wrong.
    pub(in crate::plan) has_rounds: bool,
    pub(in crate::plan) has_cells: bool,
    pub(in crate::plan) require: Option<Require>,
    pub(in crate::plan) expect: Option<Conditions>,
    pub(in crate::plan) until: Option<(String, Range<usize>)>,
    pub(in crate::plan) condition: Option<(Cel, Range<usize>)>,
    pub(in crate::plan) body: RawBody,
    /// What it names itself, steps inside left out.
    pub(in crate::plan) mentions: Vec<Mention>,
    /// Selections it names under `on`.
    pub(in crate::plan) ons: Vec<(String, Range<usize>)>,
    /// Where its conditions stand, each with the selection that it looks at.
    pub(in crate::plan) thats: Vec<(Range<usize>, String)>,
}

/// `repeat`.
#[derive(Debug)]
pub(in crate::plan) struct RawRepeat {
    pub(in crate::plan) times: Written,
    pub(in crate::plan) stop_on_failure: bool,
}

/// What a step does.
#[derive(Debug)]
pub(in crate::plan) enum RawBody {
    /// A verb; its table is kept for the texts that name files.
    Verb(Arc<Verb>, Item),
    /// `steps`.
    Steps(Vec<RawStep>),
    /// `part`.
    Part(RawPart),
    /// Something is wrong with it, which has been told; with the verb it was to be.
    Broken(Option<&'static str>),
}

/// The keys that any step may have.
pub(in crate::plan) const COMMON: [&str; 12] = [
    "about",
    "covers",
    "needs",
    "when",
    "if",
    "timeout",
    "retry",
    "repeat",
    "for-each",
    "require",
    "expect",
    "background",
];

/// The steps of a table in file order.
pub(super) fn list(texts: &mut Texts<'_>, table: &Table) -> Vec<RawStep> {
    table.iter().filter_map(|(name, entry)| one(texts, name, entry)).collect()
}

fn one(texts: &mut Texts<'_>, name: &str, entry: &Entry) -> Option<RawStep> {
    kebab(texts, name, entry, "a step");
    let Some(table) = entry.item.as_table() else {
        let what = entry.item.what();
        texts.problem(&entry.key, format!("a step is a table, found {what}"));
        return None;
    };
    let mut step = RawStep {
        name: name.to_owned(),
        key: entry.key.clone(),
        about: None,
        covers: Vec::new(),
        needs: Vec::new(),
        when: When::Passed,
        timeout: None,
        retry: None,
        repeat: None,
        for_each: None,
        has_rounds: false,
        has_cells: false,
        require: None,
        expect: None,
        until: None,
        condition: None,
        body: RawBody::Broken(None),
        mentions: Vec::new(),
        ons: Vec::new(),
        thats: Vec::new(),
    };
    let mut acts: Vec<(&str, &Entry)> = Vec::new();
    for (key, entry) in table {
        match key.as_str() {
            "about" => step.about = step.written(texts, entry, Within::About),
            "covers" => step.covers = words(texts, &entry.item),
            "needs" => step.needs = words(texts, &entry.item),
            "when" => step.when = when(texts, entry),
            "timeout" => step.timeout = step.read(texts, entry),
            "retry" => step.retry = step.read(texts, entry),
            "repeat" => step.repeat = step.repeat(texts, entry),
            "for-each" => step.for_each = step.written(texts, entry, Within::Cells),
            "require" => {
                step.ons(texts, &entry.item);
                step.require = step.read(texts, entry);
            }
            "expect" => {
                step.ons(texts, &entry.item);
                step.expect = step.read(texts, entry);
            }
            "background" => step.until = background(texts, entry),
            "if" => {
                if let Some((cel, mentions)) = texts.cel(&entry.item, Within::Shape) {
                    step.mentions.extend(mentions);
                    step.condition = Some((cel, entry.item.span.clone()));
                }
            }
            key if is_act(key) => acts.push((key, entry)),
            _ => {
                // What was probably meant is taken for it, so that nothing follows from the slip.
                match unknown_step_key(texts, key, entry) {
                    Some("needs") => step.needs = words(texts, &entry.item),
                    Some("for-each") => step.has_cells = true,
                    Some("repeat") => step.has_rounds = true,
                    _ => {}
                }
            }
        }
    }
    step.has_rounds |= table.contains_key("repeat");
    step.has_cells |= table.contains_key("for-each");
    step.body = step.act(texts, &acts, table);
    step.rules(texts, table);
    Some(step)
}

fn is_act(key: &str) -> bool {
    matches!(key, "steps" | "part") || Verb::NAMES.contains(&key)
}

/// Tells that a key is none, and gives the one that was probably meant.
fn unknown_step_key(texts: &mut Texts<'_>, key: &str, entry: &Entry) -> Option<&'static str> {
    let known = COMMON.into_iter().chain(["steps", "part"]).chain(Verb::NAMES.iter().copied());
    let near = crate::text::suggest(key, known);
    let problem = Problem::at(texts.spot(&entry.key), format!("`{key}` is neither a key of a step nor a verb"));
    texts.problems.push(match near {
        Some(near) => problem.help(format!("did you mean `{near}`?")).instead(near),
        None => problem.help("docs/plan.md lists the keys, docs/verbs.md the verbs"),
    });
    near
}

fn when(texts: &mut Texts<'_>, entry: &Entry) -> When {
    let Some((word, span)) = word(texts, &entry.item) else { return When::Passed };
    match word.as_str() {
        "passed" => When::Passed,
        "always" => When::Always,
        "failed" => When::Failed,
        _ => {
            let spot = texts.spot(&span);
            let message = format!("expected `passed`, `always` or `failed`, found `{word}`");
            texts.problems.push(Problem::at(spot, message).suggest(&word, ["passed", "always", "failed"]));
            When::Passed
        }
    }
}

fn background(texts: &mut Texts<'_>, entry: &Entry) -> Option<(String, Range<usize>)> {
    let Some(table) = entry.item.as_table() else {
        let what = entry.item.what();
        texts.problem(&entry.item.span, format!("expected a table such as `{{ until = \"upgrade\" }}`, found {what}"));
        return None;
    };
    let mut until = None;
    for (key, entry) in table {
        match key.as_str() {
            "until" => until = word(texts, &entry.item),
            _ => unknown_key(texts, key, entry, &["until"]),
        }
    }
    if !table.contains_key("until") {
        texts.problem(&entry.key, "`until` is missing: the step whose end is also the end of this one");
    }
    until
}

/// Whether the kind that a verb names is one.
fn resource(texts: &mut Texts<'_>, verb: &str, item: &Item) {
    let named = item.as_table().and_then(|table| table.get("resource")).map(|entry| &entry.item);
    let Some((item, written)) = named.and_then(|item| Some((item, item.as_text()?))) else { return };
    if !matches!(verb, "patch" | "delete" | "scale" | "rollout-restart") || written.contains("${") {
        return;
    }
    match Resource::parse(written) {
        Err(sentence) => {
            let spot = texts.spot(&item.span);
            texts.problems.push(Problem::at(spot, sentence).split_help());
        }
        Ok(resource) => {
            let restarts = ["deployments.apps", "daemonsets.apps", "statefulsets.apps"];
            if verb == "rollout-restart" && !restarts.contains(&resource.to_string().as_str()) {
                texts.problem(&item.span, format!("`{written}` has no rollout")).help =
                    Some("deployments, daemonsets and statefulsets have one".to_owned());
            }
        }
    }
}

impl RawStep {
    fn written(&mut self, texts: &mut Texts<'_>, entry: &Entry, within: Within) -> Option<Written> {
        let written = written(texts, &entry.item, &entry.key, within)?;
        self.mentions.extend(written.mentions.clone());
        Some(written)
    }

    /// Reads a value with its expressions.
    fn read<T: serde::de::DeserializeOwned>(&mut self, texts: &mut Texts<'_>, entry: &Entry) -> Option<T> {
        let reading = read(&entry.item, |reader| T::deserialize(reader));
        finish(texts, reading, &entry.key, "", &mut self.mentions)
    }

    fn repeat(&mut self, texts: &mut Texts<'_>, entry: &Entry) -> Option<RawRepeat> {
        let Some(table) = entry.item.as_table() else {
            let what = entry.item.what();
            texts.problem(&entry.item.span, format!("expected a table such as `{{ times = 10 }}`, found {what}"));
            return None;
        };
        let (mut times, mut stop_on_failure) = (None, false);
        for (key, entry) in table {
            match key.as_str() {
                "times" => times = self.written(texts, entry, Within::Shape),
                "stop-on-failure" => stop_on_failure = value(texts, entry).unwrap_or_default(),
                _ => unknown_key(texts, key, entry, &["times", "stop-on-failure"]),
            }
        }
        if !table.contains_key("times") {
            texts.problem(&entry.key, "`times` is missing: how many rounds there are");
        }
        Some(RawRepeat { times: times?, stop_on_failure })
    }

    /// The selections that conditions look at.
    fn ons(&mut self, texts: &mut Texts<'_>, item: &Item) {
        let Some(table) = item.as_table() else { return };
        match table.get("on").map(|entry| &entry.item) {
            Some(on) if on.as_text().is_some() => {
                let on = word(texts, on);
                let conditions = ["that", "gate"].into_iter().filter_map(|key| table.get(key));
                self.thats.extend(
                    conditions.zip(on.iter().cycle()).map(|(that, (on, _))| (that.item.span.clone(), on.clone())),
                );
                self.ons.extend(on);
            }
            Some(Item { kind: Kind::List(items), .. }) => {
                let names = items.iter().filter(|item| item.as_text().is_some());
                self.ons.extend(names.filter_map(|item| word(texts, item)));
            }
            _ => {}
        }
        let all = table.get("all").and_then(|entry| entry.item.as_table());
        for entry in all.into_iter().flat_map(Table::values) {
            self.ons(texts, &entry.item);
        }
    }

    fn act(&mut self, texts: &mut Texts<'_>, acts: &[(&str, &Entry)], table: &Table) -> RawBody {
        let [(key, entry)] = acts else {
            match acts {
                [] => {
                    // A misspelled verb has been told already.
                    let told = table.iter().any(|(key, _)| !COMMON.contains(&key.as_str()));
                    if !told {
                        texts.problem(&self.key, format!("`{}` does nothing", self.name)).help =
                            Some("a step has exactly one verb, `steps`, or `part`".to_owned());
                    }
                }
                [(first, _), rest @ ..] => {
                    for (key, entry) in rest {
                        texts.problem(&entry.key, format!("`{}` has `{first}` and `{key}`", self.name)).help =
                            Some("a step has exactly one verb, `steps`, or `part`; make two steps of it".to_owned());
                    }
                }
            }
            return RawBody::Broken(None);
        };
        match *key {
            "steps" => match entry.item.as_table() {
                Some(table) if !table.is_empty() => RawBody::Steps(list(texts, table)),
                Some(_) => {
                    texts.problem(&entry.key, format!("the group `{}` has no steps", self.name));
                    RawBody::Broken(None)
                }
                None => {
                    texts.problem(&entry.key, format!("`steps` is a table, found {}", entry.item.what()));
                    RawBody::Broken(None)
                }
            },
            "part" => part(texts, entry, &mut self.mentions).map_or(RawBody::Broken(None), RawBody::Part),
            verb => {
                if !matches!(verb, "apply" | "command") {
                    self.ons(texts, &entry.item);
                }
                resource(texts, verb, &entry.item);
                let reading = read(&entry.item, |reader| Verb::read(verb, reader).expect("the name is a verb's"));
                let Some(read) = finish(texts, reading, &entry.key, verb, &mut self.mentions) else {
                    return RawBody::Broken(Verb::NAMES.iter().copied().find(|name| *name == verb));
                };
                for fault in read.faults() {
                    texts.problem(&entry.key, fault);
                }
                RawBody::Verb(Arc::new(read), entry.item.clone())
            }
        }
    }

    /// Which keys go together.
    fn rules(&self, texts: &mut Texts<'_>, table: &Table) {
        let key = |name: &str| table.get(name).map(|entry| entry.key.clone());
        let group = table.contains_key("steps") || table.contains_key("part");
        if let Some(span) = key("retry").filter(|_| group) {
            texts.problem(&span, "a group has no `retry`: what passed inside would be done again").help =
                Some("give `retry` to the steps inside".to_owned());
        }
        if let Some(span) = key("background") {
            if self.repeat.is_some() {
                texts.problem(&span, "a background step has no rounds: it ends when another step settles");
            }
            if self.when != When::Passed {
                texts.problem(&span, "clean-up does not run in the background");
            }
        }
        let mut seen: Vec<&str> = Vec::new();
        for (need, span) in &self.needs {
            if seen.contains(&need.as_str()) {
                texts.problem(span, format!("`{need}` is named twice"));
            }
            seen.push(need);
        }
        let mut seen: Vec<&str> = Vec::new();
        for (id, span) in &self.covers {
            if seen.contains(&id.as_str()) {
                texts.problem(span, format!("`{id}` is named twice"));
            }
            seen.push(id);
        }
        if let Some(file::Written { form, spot, .. }) = &self.for_each
            && let Some(plain) = form.plain()
            && !(plain.is_array() || plain.as_u64().is_some())
        {
            let problem = Problem::at(spot.clone(), "expected a list, or how many cells there are");
            texts.problems.push(problem.help("such as `[\"one\", \"two\"]`, `3`, or `\"${vars.volumes}\"`"));
        }
    }
}
