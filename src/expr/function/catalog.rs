use std::ops::RangeInclusive;

use crate::text;

/// A function, as documentation shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// As it is called: `ready`, `startsWith`, `math.abs`.
    pub name: &'static str,
    /// How it is written and what it gives: `ready(o) -> bool`.
    pub signature: &'static str,
    /// One sentence.
    pub about: &'static str,
    style: Style,
    fewest: usize,
    most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `f(x)`
    Global,
    /// `x.f()`
    Member,
    /// Both.
    Either,
}

use Style::{Either, Global, Member};

const fn f(
    style: Style,
    name: &'static str,
    (fewest, most): (usize, usize),
    signature: &'static str,
    about: &'static str,
) -> Function {
    Function { name, signature, about, style, fewest, most }
}

/// Every function that expressions may call: ours first, then CEL's own.
///
/// Documentation is made from it, and so are the answers to a mistyped name.
#[rustfmt::skip] // A table is read by its lines.
pub const FUNCTIONS: &[Function] = &[
    // Ours.
    f(Global, "ready", (1, 1), "ready(o) -> bool", "Whether an object is up: a pod, node, job or workload by its kind's own rule, anything else by its condition `Ready` or `Available`; never with a deletionTimestamp."),
    f(Global, "condition", (2, 2), "condition(o, type) -> string", "The status of a condition, `''` if there is no such condition; also for a map entry that has conditions of its own."),
    f(Global, "keys", (1, 1), "keys(map) -> list", "The keys of a map, sorted; `[]` if the map or anything on the way to it is absent."),
    f(Global, "values", (1, 1), "values(map) -> list", "The values of a map in the order of its sorted keys; `[]` if the map or anything on the way to it is absent."),
    f(Global, "quantity", (1, 1), "quantity(text) -> double", "A Kubernetes quantity as a number of its base unit: `quantity('1Gi') == 1073741824.0`, `quantity('500m') == 0.5`."),
    f(Global, "semver", (1, 1), "semver(text) -> semver", "A semantic version, to be compared by `<`, `==` and the like; a leading `v` is read over."),
    f(Global, "age", (1, 1), "age(o) -> duration", "The time since the object was created; not in checks, where there is no present moment."),
    f(Global, "range", (1, 1), "range(n) -> list", "The whole numbers from 0 to n - 1, at most 10000 of them."),
    // Macros.
    f(Global, "has", (1, 1), "has(o.field) -> bool", "Whether the last field of a path is there; an error if what is before it is not."),
    f(Member, "all", (2, 2), "list.all(x, condition) -> bool", "Whether the condition holds for every element, or every key of a map."),
    f(Member, "exists", (2, 2), "list.exists(x, condition) -> bool", "Whether the condition holds for at least one element, or one key of a map."),
    f(Member, "exists_one", (2, 2), "list.exists_one(x, condition) -> bool", "Whether the condition holds for exactly one element, or one key of a map."),
    f(Member, "existsOne", (2, 2), "list.existsOne(x, condition) -> bool", "The same as `exists_one`."),
    f(Member, "filter", (2, 2), "list.filter(x, condition) -> list", "The elements, or keys of a map in order, for which the condition holds."),
    f(Member, "map", (2, 3), "list.map(x, [condition,] value) -> list", "The value for each element, or each key of a map in order, for which the condition holds."),
    f(Member, "sortBy", (2, 2), "list.sortBy(x, key) -> list", "The elements in the order of their keys."),
    f(Member, "optMap", (2, 2), "optional.optMap(x, value) -> optional", "The value made of what an optional holds, if it holds something."),
    f(Member, "optFlatMap", (2, 2), "optional.optFlatMap(x, optional) -> optional", "The optional made of what an optional holds, if it holds something."),
    // Conversions.
    f(Global, "bool", (1, 1), "bool(value) -> bool", "A bool from `'true'` or `'false'`."),
    f(Global, "bytes", (1, 1), "bytes(text) -> bytes", "The bytes of a text."),
    f(Global, "double", (1, 1), "double(value) -> double", "A number or text as a double."),
    f(Global, "duration", (1, 1), "duration(text) -> duration", "A duration from text: `duration('1h30m')`; there are no days."),
    f(Global, "dyn", (1, 1), "dyn(value) -> value", "The value itself."),
    f(Global, "int", (1, 1), "int(value) -> int", "A number, text or timestamp as a whole number."),
    f(Global, "string", (1, 1), "string(value) -> string", "A bool, number, duration, timestamp or bytes as text."),
    f(Global, "timestamp", (1, 1), "timestamp(value) -> timestamp", "A timestamp from RFC 3339 text or seconds since 1970."),
    f(Global, "type", (1, 1), "type(value) -> type", "The type of a value: `type(x) == string`."),
    f(Global, "uint", (1, 1), "uint(value) -> uint", "A number or text as a whole number without sign."),
    // Texts, lists and maps.
    f(Either, "size", (0, 0), "size(value) -> int", "How many characters, bytes, elements or entries there are; also `value.size()`."),
    f(Member, "contains", (1, 1), "text.contains(part) -> bool", "Whether a text has a part."),
    f(Member, "startsWith", (1, 1), "text.startsWith(prefix) -> bool", "Whether a text begins so."),
    f(Member, "endsWith", (1, 1), "text.endsWith(suffix) -> bool", "Whether a text ends so."),
    f(Either, "matches", (1, 1), "text.matches(regex) -> bool", "Whether a regular expression (RE2 syntax) is found in a text; also `matches(text, regex)`."),
    f(Member, "charAt", (1, 1), "text.charAt(index) -> string", "The character at a place."),
    f(Member, "format", (1, 1), "text.format(list) -> string", "The text with `%s`, `%d`, `%f`, … replaced by the elements."),
    f(Member, "indexOf", (1, 2), "text.indexOf(part[, from]) -> int", "Where a part first stands, -1 if nowhere."),
    f(Member, "join", (0, 1), "list.join([separator]) -> string", "The texts of a list as one."),
    f(Member, "lastIndexOf", (1, 2), "text.lastIndexOf(part[, to]) -> int", "Where a part last stands, -1 if nowhere."),
    f(Member, "lowerAscii", (0, 0), "text.lowerAscii() -> string", "The text with A to Z in lower case."),
    f(Member, "replace", (2, 3), "text.replace(old, new[, times]) -> string", "The text with one part replaced by another."),
    f(Member, "reverse", (0, 0), "value.reverse() -> value", "A text or list backwards."),
    f(Member, "split", (1, 2), "text.split(separator[, most]) -> list", "The parts of a text."),
    f(Member, "substring", (1, 2), "text.substring(from[, to]) -> string", "The characters between two places."),
    f(Member, "trim", (0, 0), "text.trim() -> string", "The text without white space around it."),
    f(Member, "upperAscii", (0, 0), "text.upperAscii() -> string", "The text with a to z in upper case."),
    f(Global, "strings.quote", (1, 1), "strings.quote(text) -> string", "The text in quotes, its control characters escaped."),
    f(Global, "base64.encode", (1, 1), "base64.encode(bytes) -> string", "Bytes in base64."),
    f(Global, "base64.decode", (1, 1), "base64.decode(text) -> bytes", "The bytes that a base64 text stands for."),
    f(Member, "distinct", (0, 0), "list.distinct() -> list", "The list without repetitions."),
    f(Member, "flatten", (0, 1), "list.flatten([depth]) -> list", "The lists inside a list laid end to end."),
    f(Member, "slice", (2, 2), "list.slice(from, to) -> list", "The elements between two places."),
    f(Member, "sort", (0, 0), "list.sort() -> list", "The elements in order; all of one type."),
    // Optionals.
    f(Global, "optional.of", (1, 1), "optional.of(value) -> optional", "An optional that holds a value."),
    f(Global, "optional.ofNonZeroValue", (1, 1), "optional.ofNonZeroValue(value) -> optional", "An optional that holds a value unless it is empty, zero or false."),
    f(Global, "optional.none", (0, 0), "optional.none() -> optional", "An optional that holds nothing."),
    f(Member, "hasValue", (0, 0), "optional.hasValue() -> bool", "Whether an optional holds something."),
    f(Member, "value", (0, 0), "optional.value() -> value", "What an optional holds; an error if nothing."),
    f(Member, "or", (1, 1), "optional.or(optional) -> optional", "The first of two optionals that holds something."),
    f(Member, "orValue", (1, 1), "optional.orValue(value) -> value", "What an optional holds, else the value: `o.?spec.?paused.orValue(false)`."),
    // Numbers.
    f(Global, "math.greatest", (1, usize::MAX), "math.greatest(numbers…) -> number", "The greatest of some numbers or of a list."),
    f(Global, "math.least", (1, usize::MAX), "math.least(numbers…) -> number", "The least of some numbers or of a list."),
    f(Global, "math.abs", (1, 1), "math.abs(number) -> number", "The number without its sign."),
    f(Global, "math.bitAnd", (2, 2), "math.bitAnd(a, b) -> int", "Bitwise and."),
    f(Global, "math.bitNot", (1, 1), "math.bitNot(a) -> int", "Bitwise not."),
    f(Global, "math.bitOr", (2, 2), "math.bitOr(a, b) -> int", "Bitwise or."),
    f(Global, "math.bitShiftLeft", (2, 2), "math.bitShiftLeft(a, by) -> int", "Bits moved to the left."),
    f(Global, "math.bitShiftRight", (2, 2), "math.bitShiftRight(a, by) -> int", "Bits moved to the right."),
    f(Global, "math.bitXor", (2, 2), "math.bitXor(a, b) -> int", "Bitwise exclusive or."),
    f(Global, "math.ceil", (1, 1), "math.ceil(double) -> double", "The next whole number upwards."),
    f(Global, "math.floor", (1, 1), "math.floor(double) -> double", "The next whole number downwards."),
    f(Global, "math.isFinite", (1, 1), "math.isFinite(double) -> bool", "Whether a double is a number and not infinite."),
    f(Global, "math.isInf", (1, 1), "math.isInf(double) -> bool", "Whether a double is infinite."),
    f(Global, "math.isNaN", (1, 1), "math.isNaN(double) -> bool", "Whether a double is not a number."),
    f(Global, "math.round", (1, 1), "math.round(double) -> double", "The nearest whole number."),
    f(Global, "math.sign", (1, 1), "math.sign(number) -> number", "-1, 0 or 1."),
    f(Global, "math.sqrt", (1, 1), "math.sqrt(number) -> double", "The square root."),
    f(Global, "math.trunc", (1, 1), "math.trunc(double) -> double", "The number without its fraction."),
    // Time.
    f(Member, "getDate", (0, 1), "timestamp.getDate([zone]) -> int", "The day of the month, from 1."),
    f(Member, "getDayOfMonth", (0, 1), "timestamp.getDayOfMonth([zone]) -> int", "The day of the month, from 0."),
    f(Member, "getDayOfWeek", (0, 1), "timestamp.getDayOfWeek([zone]) -> int", "The day of the week, Sunday is 0."),
    f(Member, "getDayOfYear", (0, 1), "timestamp.getDayOfYear([zone]) -> int", "The day of the year, from 0."),
    f(Member, "getFullYear", (0, 1), "timestamp.getFullYear([zone]) -> int", "The year."),
    f(Member, "getHours", (0, 1), "time.getHours([zone]) -> int", "The hour of a timestamp, or the hours in a duration."),
    f(Member, "getMilliseconds", (0, 1), "time.getMilliseconds([zone]) -> int", "The millisecond of a timestamp or duration."),
    f(Member, "getMinutes", (0, 1), "time.getMinutes([zone]) -> int", "The minute of a timestamp, or the minutes in a duration."),
    f(Member, "getMonth", (0, 1), "timestamp.getMonth([zone]) -> int", "The month, from 0."),
    f(Member, "getSeconds", (0, 1), "time.getSeconds([zone]) -> int", "The second of a timestamp, or the seconds in a duration."),
];

impl Function {
    /// How many arguments it takes when it is called on a value, or not.
    fn arguments(&self, on_value: bool) -> RangeInclusive<usize> {
        let extra = usize::from(self.style == Either && !on_value);
        self.fewest + extra..=self.most.saturating_add(extra)
    }

    fn is_called(&self, on_value: bool) -> bool {
        matches!((self.style, on_value), (Either, _) | (Global, false) | (Member, true))
    }
}

/// What is wrong with a call.
pub(in crate::expr) struct Fault {
    pub(in crate::expr) message: String,
    pub(in crate::expr) help: Option<String>,
}

/// Whether there is such a function and it takes as many arguments.
pub(in crate::expr) fn check(name: &str, on_value: bool, arguments: usize) -> Result<(), Fault> {
    let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) else {
        let help = match name {
            "lists.range" => Some("range"),
            "len" | "length" | "count" => Some("size"),
            "lower" | "toLower" => Some("lowerAscii"),
            "upper" | "toUpper" => Some("upperAscii"),
            "any" | "some" => Some("exists"),
            _ => text::suggest(name, FUNCTIONS.iter().map(|function| function.name)),
        };
        let help = help.map(|near| format!("did you mean `{near}`? It is written `{}`", signature(near)));
        return Err(Fault { message: format!("there is no function `{name}`"), help });
    };
    let help = Some(format!("it is written `{}`", function.signature));
    if !function.is_called(on_value) {
        let how = if on_value { "is not called on a value" } else { "is called on a value" };
        return Err(Fault { message: format!("`{name}` {how}"), help });
    }
    let takes = function.arguments(on_value);
    if takes.contains(&arguments) {
        return Ok(());
    }
    let wanted = match (*takes.start(), *takes.end()) {
        (0, 0) => "no arguments".to_owned(),
        (fewest, most) if fewest == most => text::count(fewest, "argument"),
        (fewest, usize::MAX) => format!("at least {}", text::count(fewest, "argument")),
        (fewest, most) => format!("{fewest} to {most} arguments"),
    };
    Err(Fault { message: format!("`{name}` takes {wanted}, found {arguments}"), help })
}

fn signature(name: &str) -> &'static str {
    FUNCTIONS.iter().find(|function| function.name == name).map_or("", |function| function.signature)
}

/// Whether what is missing on the way to a function's argument counts as empty.
pub(in crate::expr) fn is_lenient(name: &str) -> bool {
    matches!(name, "keys" | "values")
}

/// Whether a name only stands before the names of functions: `math`, `optional`.
pub(in crate::expr) fn is_namespace(name: &str) -> bool {
    matches!(name, "base64" | "lists" | "math" | "optional" | "strings")
}
