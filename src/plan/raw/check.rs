use std::ops::Range;

use serde::de::DeserializeOwned;

use super::file::{finish, kebab, unknown_key, word, words, written};
use super::part::{RawPart, part};
use super::{RawFile, Written};
use crate::event::JudgeBy;
use crate::expr::Cel;
use crate::plan::claim::{
    AlwaysTable, Asked, ConstantTable, CountTable, NeverTable, RecoversTable, SequenceTable, TransitionsTable,
};
use crate::plan::mention::{Mention, Texts, Within};
use crate::plan::reader::read;
use crate::plan::tree::{Entry, Item, Kind, Table};
use crate::plan::{Claim, Problem};

/// A check as it is written.
#[derive(Debug)]
pub(in crate::plan) struct RawCheck {
    pub(in crate::plan) name: String,
    /// Bytes of its name in its header.
    pub(in crate::plan) key: Range<usize>,
    pub(in crate::plan) about: Option<Written>,
    pub(in crate::plan) covers: Vec<(String, Range<usize>)>,
    pub(in crate::plan) during: During,
    pub(in crate::plan) judge: JudgeBy,
    pub(in crate::plan) condition: Option<(Cel, Range<usize>)>,
    pub(in crate::plan) body: RawClaim,
    /// What its texts name.
    pub(in crate::plan) mentions: Vec<Mention>,
}

/// When a check's window is open.
#[derive(Debug)]
pub(in crate::plan) enum During {
    /// Nothing is written: the whole run; in a part, the step that uses it.
    All,
    /// One step, each of its cells and rounds by itself.
    Step((String, Range<usize>)),
    /// From before one step to the end of another.
    Between((String, Range<usize>), (String, Range<usize>)),
    /// Something is wrong with it, which has been told.
    Broken,
}

/// What a check claims.
#[derive(Debug)]
pub(in crate::plan) enum RawClaim {
    /// One operator, with the selection that it follows.
    One { asked: Box<Asked>, on: Range<usize>, written: String },
    /// `part`: the checks of another file.
    Part(RawPart),
    /// Something is wrong with it, which has been told.
    Broken,
}

/// The keys that any check may have.
const COMMON: [&str; 5] = ["about", "covers", "during", "judge", "if"];

impl RawFile {
    /// Reads `[checks]`.
    pub(super) fn checks(&mut self, texts: &mut Texts<'_>, table: &Table) {
        for (name, entry) in table {
            kebab(texts, name, entry, "a check");
            let Some(table) = entry.item.as_table() else {
                let what = entry.item.what();
                texts.problem(&entry.key, format!("a check is a table, found {what}"));
                continue;
            };
            self.checks.push(one(texts, name, entry, table));
        }
    }
}

fn one(texts: &mut Texts<'_>, name: &str, entry: &Entry, table: &Table) -> RawCheck {
    let mut check = RawCheck {
        name: name.to_owned(),
        key: entry.key.clone(),
        about: None,
        covers: Vec::new(),
        during: During::All,
        judge: JudgeBy::Fail,
        condition: None,
        body: RawClaim::Broken,
        mentions: Vec::new(),
    };
    let mut claims: Vec<(&str, &Entry)> = Vec::new();
    let mut told = false;
    for (key, entry) in table {
        match key.as_str() {
            "about" => {
                check.about = written(texts, &entry.item, &entry.key, Within::About);
                check.mentions.extend(check.about.iter().flat_map(|about| about.mentions.clone()));
            }
            "covers" => check.covers = words(texts, &entry.item),
            "during" => check.during = during(texts, entry),
            "judge" => check.judge = judge(texts, entry),
            "if" => {
                if let Some((cel, mentions)) = texts.cel(&entry.item, Within::Shape) {
                    check.mentions.extend(mentions);
                    check.condition = Some((cel, entry.item.span.clone()));
                }
            }
            "part" => claims.push((key, entry)),
            key if Claim::OPERATORS.contains(&key) => claims.push((key, entry)),
            _ => {
                told = true;
                let known = COMMON.into_iter().chain(["part"]).chain(Claim::OPERATORS);
                let near = crate::text::suggest(key, known);
                let message = format!("`{key}` is neither a key of a check nor an operator");
                let problem = Problem::at(texts.spot(&entry.key), message);
                texts.problems.push(match near {
                    Some(near) => problem.help(format!("did you mean `{near}`?")).instead(near),
                    None => problem.help("docs/checks.md lists the operators"),
                });
            }
        }
    }
    let mut seen: Vec<&str> = Vec::new();
    for (id, span) in &check.covers {
        if seen.contains(&id.as_str()) {
            texts.problem(span, format!("`{id}` is named twice"));
        }
        seen.push(id);
    }
    match claims.as_slice() {
        [] if !told => {
            texts.problem(&entry.key, format!("`{name}` claims nothing")).help =
                Some("a check has exactly one operator, such as `never = { on = \"pods\" }`, or `part`".to_owned());
        }
        [] => {}
        [("part", entry)] => {
            if let Some(part) = part(texts, entry, &mut check.mentions) {
                check.body = RawClaim::Part(part);
            }
        }
        [(operator, entry)] => check.claim(texts, operator, entry),
        [(first, _), rest @ ..] => {
            for (key, entry) in rest {
                texts.problem(&entry.key, format!("`{name}` has `{first}` and `{key}`")).help =
                    Some("a check has exactly one operator; make two checks of it".to_owned());
            }
        }
    }
    check
}

fn during(texts: &mut Texts<'_>, entry: &Entry) -> During {
    if entry.item.as_text().is_some() {
        return word(texts, &entry.item).map_or(During::Broken, During::Step);
    }
    let Some(table) = entry.item.as_table() else {
        let what = entry.item.what();
        let message = format!("expected a step, or `{{ from = \"…\", to = \"…\" }}`, found {what}");
        texts.problem(&entry.item.span, message);
        return During::Broken;
    };
    let (mut from, mut to) = (None, None);
    for (key, entry) in table {
        match key.as_str() {
            "from" => from = word(texts, &entry.item),
            "to" => to = word(texts, &entry.item),
            _ => unknown_key(texts, key, entry, &["from", "to"]),
        }
    }
    for key in ["from", "to"] {
        if !table.contains_key(key) {
            texts.problem(&entry.key, format!("`{key}` is missing")).help =
                Some("a window opens before the step `from` acts and closes when the step `to` has settled".to_owned());
        }
    }
    match (from, to) {
        (Some(from), Some(to)) => During::Between(from, to),
        _ => During::Broken,
    }
}

fn judge(texts: &mut Texts<'_>, entry: &Entry) -> JudgeBy {
    let Some((word, span)) = word(texts, &entry.item) else { return JudgeBy::Fail };
    match word.as_str() {
        "fail" => JudgeBy::Fail,
        "report" => JudgeBy::Report,
        _ => {
            let problem = Problem::at(texts.spot(&span), format!("expected `fail` or `report`, found `{word}`"));
            texts.problems.push(problem.suggest(&word, ["fail", "report"]));
            JudgeBy::Fail
        }
    }
}

impl RawCheck {
    fn claim(&mut self, texts: &mut Texts<'_>, operator: &str, entry: &Entry) {
        let asked = match operator {
            "never" => self.read::<NeverTable>(texts, entry),
            "always" => self.read::<AlwaysTable>(texts, entry),
            "constant" => self.read::<ConstantTable>(texts, entry),
            "transitions" => self.read::<TransitionsTable>(texts, entry),
            "sequence" => self.read::<SequenceTable>(texts, entry),
            "recovers" => self.read::<RecoversTable>(texts, entry),
            _ => self.read::<CountTable>(texts, entry),
        };
        let Some(asked) = asked else { return };
        for cel in asked.expressions() {
            if cel.calls("age") {
                let of = |key: &str| entry.item.as_table().and_then(|table| table.get(key));
                let at = of("that").or(of("value")).map_or(&entry.key, |entry| &entry.item.span);
                texts.problem(at, "`age` cannot be used in a check: it would hang on when it is asked").help =
                    Some("`recovers` says how long something may take".to_owned());
            }
        }
        let on = entry.item.as_table().and_then(|table| table.get("on"));
        let on = on.map_or_else(|| entry.key.clone(), |on| on.item.span.clone());
        let written = format!("{operator} = {}", inline(&entry.item));
        self.body = RawClaim::One { asked: Box::new(asked), on, written };
    }

    fn read<T: DeserializeOwned + TryInto<Asked, Error: ToString>>(
        &mut self,
        texts: &mut Texts<'_>,
        entry: &Entry,
    ) -> Option<Asked> {
        let reading = read(&entry.item, |reader| T::deserialize(reader));
        let table = finish(texts, reading, &entry.key, "check", &mut self.mentions)?;
        match table.try_into() {
            Ok(asked) => Some(asked),
            Err(sentence) => {
                let problem = Problem::at(texts.spot(&entry.key), sentence.to_string());
                texts.problems.push(problem.split_help());
                None
            }
        }
    }
}

/// An item as TOML in one line, as it may have been written.
fn inline(item: &Item) -> String {
    match &item.kind {
        Kind::Text(text) if !text.contains(['"', '\\', '\n']) => format!("\"{text}\""),
        Kind::Text(text) if !text.contains(['\'', '\n']) => format!("'{text}'"),
        Kind::Text(text) => format!("{text:?}"),
        Kind::List(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Kind::Table(table) if table.is_empty() => "{}".to_owned(),
        Kind::Table(table) => {
            let entries: Vec<String> =
                table.iter().map(|(key, entry)| format!("{key} = {}", inline(&entry.item))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        _ => item.to_json().to_string(),
    }
}
