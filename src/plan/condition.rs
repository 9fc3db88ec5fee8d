use std::fmt;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Setting, Span};
use crate::expr::Cel;

/// What must hold of a selection's objects at one moment.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Condition {
    /// The selection looked at, by its name in `[objects]`.
    pub on: String,
    /// What must hold of `o`; without it, to exist is enough.
    #[serde(default)]
    pub that: Option<Cel>,
    /// How many objects must satisfy it; then others need not.
    #[serde(default)]
    pub count: Option<Setting<Count>>,
    /// Without `count` every object must satisfy it, and at least so many must exist (1).
    #[serde(default)]
    pub min: Option<Setting<u64>>,
    /// False: this condition is left out.
    #[serde(default)]
    pub r#if: Option<Cel>,
}

/// One condition, or several by name that must hold at one moment.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "ConditionsTable")]
#[schemars(with = "ConditionsTable")]
pub enum Conditions {
    /// The only one.
    One(Condition),
    /// All of these, each with its name.
    All(IndexMap<String, Condition>),
}

impl Conditions {
    /// The conditions with their names; a single one has none.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&str>, &Condition)> {
        let (one, all) = match self {
            Self::One(condition) => (Some((None, condition)), None),
            Self::All(map) => (None, Some(map.iter().map(|(name, condition)| (Some(name.as_str()), condition)))),
        };
        one.into_iter().chain(all.into_iter().flatten())
    }
}

/// What must hold in the instant before a step acts.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "RequireTable")]
#[schemars(with = "RequireTable")]
pub struct Require {
    /// The conditions.
    pub conditions: Conditions,
    /// How long to wait for them; without it they must hold at once.
    pub within: Option<Setting<Span>>,
}

/// The table as it is written: the fields of one condition, or `all`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConditionsTable {
    /// The selection looked at, by its name in `[objects]`.
    on: Option<String>,
    /// What must hold of `o`.
    that: Option<Cel>,
    /// How many objects must satisfy it; then others need not.
    count: Option<Setting<Count>>,
    /// At least so many objects must exist (1).
    min: Option<Setting<u64>>,
    /// False: this condition is left out.
    r#if: Option<Cel>,
    /// Several conditions by name, instead of the fields above.
    all: Option<IndexMap<String, Condition>>,
}

/// A `require` table: conditions and `within`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RequireTable {
    /// The selection looked at, by its name in `[objects]`.
    on: Option<String>,
    /// What must hold of `o`.
    that: Option<Cel>,
    /// How many objects must satisfy it; then others need not.
    count: Option<Setting<Count>>,
    /// At least so many objects must exist (1).
    min: Option<Setting<u64>>,
    /// False: this condition is left out.
    r#if: Option<Cel>,
    /// Several conditions by name, instead of the fields above.
    all: Option<IndexMap<String, Condition>>,
    /// Waits so long until all hold; without it they must hold at once.
    within: Option<Setting<Span>>,
}

/// A `wait` table: conditions and `stable`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitTable {
    /// The selection looked at, by its name in `[objects]`.
    on: Option<String>,
    /// What must hold of `o`.
    that: Option<Cel>,
    /// How many objects must satisfy it; then others need not.
    count: Option<Setting<Count>>,
    /// At least so many objects must exist (1).
    min: Option<Setting<u64>>,
    /// False: this condition is left out.
    r#if: Option<Cel>,
    /// Several conditions by name, instead of the fields above.
    all: Option<IndexMap<String, Condition>>,
    /// They must hold so long without a break.
    stable: Option<Setting<Span>>,
}

impl TryFrom<ConditionsTable> for Conditions {
    type Error = String;

    fn try_from(table: ConditionsTable) -> Result<Self, String> {
        let ConditionsTable { on, that, count, min, r#if, all } = table;
        match (on, all) {
            (Some(on), None) if count.is_some() && min.is_some() => Err(format!(
                "`count` and `min` exclude each other (condition on `{on}`): `count` says how many satisfy it, `min` how many there must be when all do"
            )),
            (Some(on), None) => Ok(Self::One(Condition { on, that, count, min, r#if })),
            (None, Some(all)) if that.is_some() || count.is_some() || min.is_some() || r#if.is_some() => {
                drop(all);
                Err("`all` stands alone: move the other fields into one of its named conditions".to_owned())
            }
            (None, Some(all)) if all.is_empty() => Err("`all` names no condition".to_owned()),
            (None, Some(all)) => Ok(Self::All(all)),
            (Some(_), Some(_)) => Err("write either one condition (`on`, `that`, …) or several under `all`".to_owned()),
            (None, None) => {
                Err("a condition needs `on` (a name from `[objects]`), or several conditions under `all`".to_owned())
            }
        }
    }
}

impl TryFrom<RequireTable> for Require {
    type Error = String;

    fn try_from(table: RequireTable) -> Result<Self, String> {
        let RequireTable { on, that, count, min, r#if, all, within } = table;
        let conditions = ConditionsTable { on, that, count, min, r#if, all }.try_into()?;
        Ok(Self { conditions, within })
    }
}

impl TryFrom<WaitTable> for super::verb::Wait {
    type Error = String;

    fn try_from(table: WaitTable) -> Result<Self, String> {
        let WaitTable { on, that, count, min, r#if, all, stable } = table;
        let conditions = ConditionsTable { on, that, count, min, r#if, all }.try_into()?;
        Ok(Self { conditions, stable })
    }
}

/// A number of objects: exactly, or within a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// `3`
    Exactly(u64),
    /// `">= 1"`
    AtLeast(u64),
    /// `"<= 2"`
    AtMost(u64),
}

impl Count {
    /// Whether so many satisfy it.
    pub fn admits(self, n: u64) -> bool {
        match self {
            Self::Exactly(wanted) => n == wanted,
            Self::AtLeast(wanted) => n >= wanted,
            Self::AtMost(wanted) => n <= wanted,
        }
    }

    fn parse(written: &str) -> Option<Self> {
        let number = |text: &str| text.trim().parse().ok();
        let written = written.trim();
        if let Some(rest) = written.strip_prefix(">=") {
            number(rest).map(Self::AtLeast)
        } else if let Some(rest) = written.strip_prefix("<=") {
            number(rest).map(Self::AtMost)
        } else if let Some(rest) = written.strip_prefix('>') {
            number(rest).and_then(|n: u64| n.checked_add(1)).map(Self::AtLeast)
        } else if let Some(rest) = written.strip_prefix('<') {
            number(rest).and_then(|n: u64| n.checked_sub(1)).map(Self::AtMost)
        } else {
            number(written.strip_prefix("==").unwrap_or(written)).map(Self::Exactly)
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(n) => write!(f, "exactly {n}"),
            Self::AtLeast(n) => write!(f, "at least {n}"),
            Self::AtMost(n) => write!(f, "at most {n}"),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Number(number) => number.as_u64().map(Self::Exactly),
            Value::String(written) => Self::parse(&written),
            _ => None,
        }
        .ok_or_else(|| D::Error::custom("expected a count such as `3`, `\">= 1\"` or `\"<= 2\"`"))
    }
}

impl JsonSchema for Count {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "string"], "description": "3, \">= 1\", \"<= 2\", or an expression in ${…}" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_numbers_or_bounds() {
        let cases = [
            ("3", Some(Count::Exactly(3))),
            (">= 1", Some(Count::AtLeast(1))),
            ("<=2", Some(Count::AtMost(2))),
            ("> 0", Some(Count::AtLeast(1))),
            ("< 1", Some(Count::AtMost(0))),
            ("< 0", None),
            ("== 4", Some(Count::Exactly(4))),
            ("many", None),
        ];
        for (written, count) in cases {
            assert_eq!(Count::parse(written), count, "{written}");
        }
    }
}
