//! Values out of the tree: serde with places, and without stopping at the first mistake.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde_json::Value;

use super::tree::{Entry, Item, Kind, Table};
use crate::text;

/// The names under which types of this room tell the reader what stands there.
pub(super) const SETTING: &str = "lariat::Setting";
pub(super) const CEL: &str = "lariat::Cel";

/// An expression that was met while reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met<'a> {
    pub(super) what: What,
    /// The key it stands under.
    pub(super) key: &'a str,
    /// The item; a setting may hold many texts.
    pub(super) item: &'a Item,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Texts with holes.
    Setting,
    /// A CEL expression.
    Cel,
}

/// A mistake met while reading.
#[derive(Clone, Debug)]
pub(super) struct Mismatch {
    pub(super) message: Box<str>,
    pub(super) help: Option<Box<str>>,
    pub(super) instead: Option<Box<str>>,
    /// Bytes of the file; without them the table itself is meant.
    pub(super) span: Option<Range<usize>>,
    /// The key whose entry is to be left out to read on.
    entry: Option<usize>,
    kind: Fault,
    /// It follows from a mistake that was already met.
    follows: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Key,
    Missing(&'static str),
    Other,
}

/// What reading a value gave.
pub(super) struct Reading<'a, T> {
    /// The value, if nothing is wrong with it.
    pub(super) value: Option<T>,
    pub(super) mistakes: Vec<Mismatch>,
    pub(super) met: Vec<Met<'a>>,
}

/// Reads a value of a file, going on after each mistake without the entry that has it.
pub(super) fn read<'a, T>(item: &'a Item, each: impl Fn(Reader<'a, '_>) -> Result<T, Mismatch>) -> Reading<'a, T> {
    let session = Session::default();
    let mut mistakes = Vec::new();
    loop {
        let reader = Reader { item, key: "", session: &session };
        match each(reader) {
            Ok(value) => {
                let value = mistakes.is_empty().then_some(value);
                return Reading { value, mistakes, met: session.met.take() };
            }
            Err(mut mistake) => {
                mistake.follow(item, &session.dropped.borrow());
                let entry = mistake.entry;
                if !mistake.follows {
                    mistakes.push(mistake);
                }
                match entry {
                    Some(entry) if session.dropped.borrow_mut().insert(entry) => {}
                    _ => {
                        return Reading { value: None, mistakes, met: session.met.take() };
                    }
                }
            }
        }
    }
}

/// Reads a value that an expression gave. Numbers and bools stand for texts where texts are wanted:
/// `${item}` is a number in `for-each = 3`.
pub(super) fn read_evaluated<T: de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    read_value(value, true)
}

/// Reads a value as it was written, without places.
pub(super) fn read_written<T: de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    read_value(value, false)
}

fn read_value<T: de::DeserializeOwned>(value: &Value, lenient: bool) -> Result<T, String> {
    let item = Item::of(value);
    let session = Session { lenient, ..Session::default() };
    T::deserialize(Reader { item: &item, key: "", session: &session }).map_err(|mistake| mistake.message.into_string())
}

#[derive(Default)]
struct Session<'a> {
    lenient: bool,
    dropped: RefCell<BTreeSet<usize>>,
    met: RefCell<Vec<Met<'a>>>,
}

/// A deserializer of one item.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a, 's> {
    item: &'a Item,
    key: &'a str,
    session: &'s Session<'a>,
}

impl Mismatch {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into().into_boxed_str(),
            help: None,
            instead: None,
            span: None,
            entry: None,
            kind: Fault::Other,
            follows: false,
        }
    }

    /// Notes whether this follows from entries that were left out of the table it speaks of.
    fn follow(&mut self, item: &Item, dropped: &BTreeSet<usize>) {
        if self.follows || self.span.is_some() || dropped.is_empty() {
            return;
        }
        let Kind::Table(table) = &item.kind else {
            return;
        };
        self.follows = match self.kind {
            // A misspelled key is most often the one that is then missing.
            Fault::Missing(field) => table.iter().any(|(key, entry)| {
                dropped.contains(&entry.key.start) && (key == field || text::suggest(key, [field]).is_some())
            }),
            Fault::Key => false,
            Fault::Other => any_dropped(table, dropped),
        };
    }

    fn at(mut self, span: &Range<usize>) -> Self {
        if self.span.is_none() && self.entry.is_none() {
            self.span = Some(span.clone());
        }
        self
    }

    /// Passing the entry of a table on its way out.
    fn within(mut self, entry: &Entry, dropped: &BTreeSet<usize>) -> Self {
        if self.entry.is_none() {
            self.follow(&entry.item, dropped);
            self.entry = Some(entry.key.start);
            self.span.get_or_insert_with(|| entry.key.clone());
        }
        self
    }
}

fn any_dropped(table: &Table, dropped: &BTreeSet<usize>) -> bool {
    fn inside(item: &Item, dropped: &BTreeSet<usize>) -> bool {
        match &item.kind {
            Kind::Table(table) => any_dropped(table, dropped),
            Kind::List(items) => items.iter().any(|item| inside(item, dropped)),
            _ => false,
        }
    }
    table.values().any(|entry| dropped.contains(&entry.key.start) || inside(&entry.item, dropped))
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {}, found {}", wanted(&expected.to_string()), named(&found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {}, found {}", wanted(&expected.to_string()), named(&found)))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {}, found {}", expected, text::count(length, "element")))
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        let quoted: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        let mut mistake = Self::new(format!("expected {}, found `{found}`", text::or(&quoted)));
        let near = text::suggest(found, known.iter().copied());
        mistake.help = near.map(|near| format!("did you mean `{near}`?").into());
        mistake
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        let mut mistake = Self::new(format!("there is no key `{found}` here"));
        mistake.kind = Fault::Key;
        if let Some(near) = text::suggest(found, known.iter().copied()) {
            mistake.help = Some(format!("did you mean `{near}`?").into());
            mistake.instead = Some(near.into());
        } else {
            let quoted: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            mistake.help = Some(format!("the keys here are {}", text::and(&quoted)).into());
        }
        mistake
    }

    fn missing_field(field: &'static str) -> Self {
        let mut mistake = Self::new(format!("`{field}` is missing"));
        mistake.kind = Fault::Missing(field);
        mistake
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("`{field}` is there twice"))
    }
}

/// serde's words for what was expected, as people say it.
fn wanted(expected: &str) -> String {
    match expected {
        "a string" | "a borrowed string" | "string or map" => "a text in quotes".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other if other.starts_with("a nonzero ") => "a whole number, 1 or more".to_owned(),
        other if other.starts_with("enum ") || other.starts_with("variant ") => "a text in quotes".to_owned(),
        other => other.to_owned(),
    }
}

fn named(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(truth) => format!("`{truth}`"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Str(text) if text.chars().count() <= 60 => format!("the text \"{text}\""),
        Unexpected::Str(_) => "a text".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        Unexpected::Unit => "null".to_owned(),
        other => other.to_string(),
    }
}

impl Reader<'_, '_> {
    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match &self.item.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Text(text) | Kind::Date(text) => visitor.visit_str(text),
            Kind::Int(int) => match u64::try_from(*int) {
                Ok(int) => visitor.visit_u64(int),
                Err(_) => visitor.visit_i64(*int),
            },
            Kind::Float(float) => visitor.visit_f64(*float),
            Kind::Bool(truth) => visitor.visit_bool(*truth),
            Kind::List(items) => visitor.visit_seq(Elements { items: items.iter(), reader: self }),
            Kind::Table(table) => visitor.visit_map(Entries { left: table.iter(), value: None, reader: self }),
        }
    }

    /// Adds this item's place, where it has one that a caret can point at.
    fn placed<T>(self, result: Result<T, Mismatch>) -> Result<T, Mismatch> {
        match self.item.kind {
            // A table may be spread over headers: its key is the better place.
            Kind::Table(_) => result,
            _ => result.map_err(|mistake| mistake.at(&self.item.span)),
        }
    }

    fn meet(self, what: What) {
        // After a mistake all is read again, but for the entry that has it.
        let mut met = self.session.met.borrow_mut();
        if !met.iter().any(|known| known.what == what && std::ptr::eq(known.item, self.item)) {
            met.push(Met { what, key: self.key, item: self.item });
        }
    }
}

macro_rules! forward {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
            self.placed(self.any(visitor))
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'_, '_> {
    type Error = Mismatch;

    forward! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64
        deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_seq deserialize_map
        deserialize_ignored_any
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_string(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_string(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        if self.session.lenient && matches!(self.item.kind, Kind::Int(_) | Kind::Float(_) | Kind::Bool(_)) {
            return visitor.visit_string(self.item.to_json().to_string());
        }
        self.placed(self.any(visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.placed(visitor.visit_some(self))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        self.placed(self.any(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        match name {
            SETTING => self.meet(What::Setting),
            CEL => self.meet(What::Cel),
            _ => {}
        }
        self.placed(visitor.visit_newtype_struct(self))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mismatch> {
        self.placed(self.any(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.placed(self.any(visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        if let Kind::List(_) = self.item.kind {
            // serde would take a list as the fields in order, which nobody means.
            return self.placed(Err(Mismatch::new("expected a table, found a list")));
        }
        self.placed(self.any(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        let result = match &self.item.kind {
            Kind::Text(text) => visitor.visit_enum(Variant { name: text }),
            _ => Err(Mismatch::new(format!("expected a text in quotes, found {}", self.item.what()))),
        };
        self.placed(result)
    }
}

struct Elements<'a, 's> {
    items: std::slice::Iter<'a, Item>,
    reader: Reader<'a, 's>,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mismatch> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        let reader = Reader { item, ..self.reader };
        let span = item.span.clone();
        seed.deserialize(reader).map(Some).map_err(|mistake| mistake.at(&span))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'a, 's> {
    left: indexmap::map::Iter<'a, String, Entry>,
    value: Option<(&'a String, &'a Entry)>,
    reader: Reader<'a, 's>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mismatch> {
        let session = self.reader.session;
        let kept = |entry: &Entry| !session.dropped.borrow().contains(&entry.key.start);
        let Some((key, entry)) = self.left.by_ref().find(|(_, entry)| kept(entry)) else {
            return Ok(None);
        };
        self.value = Some((key, entry));
        let deserializer: StrDeserializer<'_, Mismatch> = key.as_str().into_deserializer();
        seed.deserialize(deserializer).map(Some).map_err(|mut mistake| {
            mistake.span = Some(entry.key.clone());
            mistake.entry = Some(entry.key.start);
            mistake
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mismatch> {
        let (key, entry) = self.value.take().expect("serde asks for a value after its key");
        let reader = Reader { item: &entry.item, key, session: self.reader.session };
        seed.deserialize(reader).map_err(|mistake| mistake.within(entry, &self.reader.session.dropped.borrow()))
    }
}

struct Variant<'a> {
    name: &'a str,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Mismatch;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Mismatch> {
        let deserializer: StrDeserializer<'_, Mismatch> = self.name.into_deserializer();
        Ok((seed.deserialize(deserializer)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Mismatch;

    fn unit_variant(self) -> Result<(), Mismatch> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Mismatch> {
        Err(Mismatch::new("expected a table"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Mismatch> {
        Err(Mismatch::new("expected a table"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Mismatch> {
        Err(Mismatch::new("expected a table"))
    }
}
