use std::ops::Range;

use indexmap::IndexMap;
use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value with its place in the file.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Bytes of the file; of a table written under a header, the header alone.
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// An expression may give it; TOML cannot say it.
    Null,
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// A date, which has no place in a plan but as text.
    Date(String),
    List(Vec<Item>),
    Table(Table),
}

pub(super) type Table = IndexMap<String, Entry>;

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Bytes of the key where it first stands; they tell entries of one file apart.
    pub(super) key: Range<usize>,
    pub(super) item: Item,
}

/// What a text says that is not TOML.
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) span: Range<usize>,
}

/// How many syntax errors are worth showing: later ones follow from earlier ones.
const MAX_SYNTAX_ERRORS: usize = 20;

/// Reads TOML. If there are syntax errors the table is partly wrong.
pub(super) fn parse(text: &str) -> (Table, Vec<SyntaxError>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut wrong = Vec::new();
    let mut converted = Table::new();
    fill(&mut converted, table.get_ref(), &mut wrong);
    let mut found: Vec<SyntaxError> = errors
        .iter()
        .map(|error| {
            let span = error.span().unwrap_or(0..0);
            SyntaxError { message: sentence(error.message()), span: visible(text, span) }
        })
        .collect();
    found.append(&mut wrong);
    found.sort_by_key(|error| (error.span.start, error.span.end));
    // The parser goes on after a mistake; what it says of the same line again follows from the first.
    let line = |error: &SyntaxError| text[..error.span.start].matches('\n').count();
    found.dedup_by_key(|error| line(error));
    found.truncate(MAX_SYNTAX_ERRORS);
    (converted, found)
}

/// An empty span at a line's end is moved onto the line's last character, where a caret can be seen.
fn visible(text: &str, span: Range<usize>) -> Range<usize> {
    let mut start = span.start.min(text.len());
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

fn sentence(message: &str) -> String {
    match message {
        "duplicate key" => "this key is there twice in one table".to_owned(),
        "cannot recurse further; max recursion depth met" => "brackets are nested too deeply".to_owned(),
        "recursion limit" => "keys are nested too deeply".to_owned(),
        other => other.split_once('\n').map_or(other, |(first, _)| first).to_owned(),
    }
}

fn fill(into: &mut Table, from: &DeTable<'_>, wrong: &mut Vec<SyntaxError>) {
    for (key, value) in from {
        let item = convert(value, wrong);
        into.insert(key.get_ref().clone().into_owned(), Entry { key: key.span(), item });
    }
}

fn convert(value: &Spanned<DeValue<'_>>, wrong: &mut Vec<SyntaxError>) -> Item {
    let span = value.span();
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.clone().into_owned()),
        DeValue::Boolean(truth) => Kind::Bool(*truth),
        DeValue::Datetime(date) => Kind::Date(date.to_string()),
        DeValue::Integer(int) => i64::from_str_radix(int.as_str(), int.radix()).map_or_else(
            |_| {
                let message = "the number is too large: whole numbers have 64 bits".to_owned();
                wrong.push(SyntaxError { message, span: span.clone() });
                Kind::Int(0)
            },
            Kind::Int,
        ),
        DeValue::Float(float) => float.as_str().parse().map_or_else(
            |_| {
                let message = "this is not a number".to_owned();
                wrong.push(SyntaxError { message, span: span.clone() });
                Kind::Float(0.0)
            },
            Kind::Float,
        ),
        DeValue::Array(items) => Kind::List(items.iter().map(|item| convert(item, wrong)).collect()),
        DeValue::Table(table) => {
            let mut converted = Table::new();
            fill(&mut converted, table, wrong);
            Kind::Table(converted)
        }
    };
    Item { span, kind }
}

impl Item {
    /// A value that stands in no file.
    pub(super) fn of(value: &Value) -> Self {
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(truth) => Kind::Bool(*truth),
            Value::Number(number) => match number.as_i64() {
                Some(int) => Kind::Int(int),
                None => Kind::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Kind::Text(text.clone()),
            Value::Array(items) => Kind::List(items.iter().map(Self::of).collect()),
            Value::Object(members) => {
                let members = members.iter().filter(|(_, member)| !member.is_null());
                Kind::Table(
                    members.map(|(key, member)| (key.clone(), Entry { key: 0..0, item: Self::of(member) })).collect(),
                )
            }
        };
        Self { span: 0..0, kind }
    }

    /// The same value as JSON.
    pub(super) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Text(text) | Kind::Date(text) => Value::String(text.clone()),
            Kind::Int(int) => Value::from(*int),
            Kind::Float(float) => Number::from_f64(*float).map_or(Value::Null, Value::Number),
            Kind::Bool(truth) => Value::Bool(*truth),
            Kind::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Kind::Table(table) => {
                let members = table.iter().map(|(key, entry)| (key.clone(), entry.item.to_json()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    /// What it is, for people, with its article.
    pub(super) fn what(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "null",
            Kind::Text(_) => "a text",
            Kind::Int(_) => "a whole number",
            Kind::Float(_) => "a number with a fraction",
            Kind::Bool(_) => "true or false",
            Kind::Date(_) => "a date",
            Kind::List(_) => "a list",
            Kind::Table(_) => "a table",
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_table(&self) -> Option<&Table> {
        match &self.kind {
            Kind::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Every text in it, at any depth, with its JSON pointer.
    pub(super) fn texts(&self) -> Vec<(&Item, &str)> {
        fn down<'a>(item: &'a Item, into: &mut Vec<(&'a Item, &'a str)>) {
            match &item.kind {
                Kind::Text(text) => into.push((item, text)),
                Kind::List(items) => items.iter().for_each(|item| down(item, into)),
                Kind::Table(table) => table.values().for_each(|entry| down(&entry.item, into)),
                Kind::Null | Kind::Int(_) | Kind::Float(_) | Kind::Bool(_) | Kind::Date(_) => {}
            }
        }
        let mut texts = Vec::new();
        down(self, &mut texts);
        texts
    }
}
