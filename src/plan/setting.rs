use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::reader::{CEL, SETTING, read_evaluated, read_written};
use crate::expr::{Cel, Env, Form, Mistake};
use crate::text;

/// A value of a step, written plainly or with `${…}` in any of its texts, which are
/// filled in when the step acts.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting<T> {
    /// Known when the plan is loaded.
    Plain(T),
    /// A text, list or table with holes.
    Late(Form),
}

/// A text that may have holes: the most common setting.
pub type Text = Setting<String>;

impl<T: DeserializeOwned + Clone> Setting<T> {
    /// The value, with its holes filled in. Where a text is wanted a number or a
    /// bool is written out.
    pub fn get(&self, env: &Env) -> Result<T, SettingError> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::Late(form) => {
                let value = form.eval(env)?;
                read_evaluated(&value).map_err(|reason| SettingError::Shape { shown: value.to_string(), reason })
            }
        }
    }
}

impl<T> Setting<T> {
    /// The value, if it was written without holes.
    pub fn plain(&self) -> Option<&T> {
        match self {
            Self::Plain(value) => Some(value),
            Self::Late(_) => None,
        }
    }
}

impl<T: Default> Default for Setting<T> {
    fn default() -> Self {
        Self::Plain(T::default())
    }
}

impl<T> From<T> for Setting<T> {
    fn from(value: T) -> Self {
        Self::Plain(value)
    }
}

/// Why a setting has no value.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// The expression itself failed.
    #[error(transparent)]
    Expression(#[from] crate::expr::Error),
    /// It gave a value of another kind.
    #[error("an expression gave {shown}, which does not fit here: {reason}")]
    Shape {
        /// The value as JSON.
        shown: String,
        /// What was expected, what was found.
        reason: String,
    },
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Setting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SETTING, SettingVisitor(PhantomData))
    }
}

/// Reads a document whose texts may have holes.
pub(super) fn read_form<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Form, D::Error> {
    deserializer.deserialize_newtype_struct(SETTING, FormVisitor)
}

struct FormVisitor;

impl<'de> Visitor<'de> for FormVisitor {
    type Value = Form;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Form, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Form::compile(&value).map_err(|mistakes| D::Error::custom(first(&mistakes)))
    }
}

struct SettingVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for SettingVisitor<T> {
    type Value = Setting<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Setting<T>, D::Error> {
        let form = FormVisitor.visit_newtype_struct(deserializer)?;
        match form.plain() {
            Some(plain) => read_written(plain).map(Setting::Plain).map_err(D::Error::custom),
            None => Ok(Setting::Late(form)),
        }
    }
}

fn first(mistakes: &[(String, Mistake)]) -> &str {
    mistakes.first().map_or("an expression is wrong", |(_, mistake)| mistake.message.as_str())
}

impl<T: JsonSchema> JsonSchema for Setting<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Setting_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let plain = generator.subschema_for::<T>();
        if plain.get("type").and_then(Value::as_str) == Some("string")
            && plain.get("pattern").is_none()
            && plain.get("enum").is_none()
        {
            return plain;
        }
        json_schema!({ "anyOf": [plain, { "type": "string", "pattern": "\\$\\{" }] })
    }
}

/// A span of time, written `90s`, `5m`, `1h30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// Whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::duration(self.0))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        text::parse_duration(&written).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}ms", self.0.as_millis()))
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-9.]+ ?[a-z]+ ?)+$|\\$\\{", "description": "a duration such as 90s, 5m or 1h30m" })
    }
}

/// A size in bytes, written as a number or with a unit: `4096`, `64Ki`, `1Gi`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Number(number) => number.as_u64().map(Self),
            Value::String(written) => parse_bytes(&written).map(Self),
            _ => None,
        }
        .ok_or_else(|| D::Error::custom("expected a size such as `4096`, `64Ki`, `256Mi` or `1Gi`"))
    }
}

impl JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "string"], "description": "a size in bytes: 4096, 64Ki, 256Mi, 1Gi" })
    }
}

fn parse_bytes(written: &str) -> Option<u64> {
    let digits = written.find(|c: char| !c.is_ascii_digit()).unwrap_or(written.len());
    let (number, unit) = written.split_at(digits);
    let factor: u64 = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

impl<'de> Deserialize<'de> for Cel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(CEL, CelVisitor)
    }
}

struct CelVisitor;

impl<'de> Visitor<'de> for CelVisitor {
    type Value = Cel;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an expression in quotes")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cel, D::Error> {
        let source = String::deserialize(deserializer)?;
        Cel::compile(&source).map_err(|mistake| D::Error::custom(mistake.message))
    }
}

impl JsonSchema for Cel {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cel".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "an expression (CEL)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_kubernetes_units() {
        let cases = [
            ("4096", Some(4096)),
            ("64Ki", Some(65_536)),
            ("1Gi", Some(1 << 30)),
            ("2M", Some(2_000_000)),
            ("1 Gi", None),
            ("1GB", None),
            ("", None),
            ("99999999999Ti", None),
        ];
        for (written, bytes) in cases {
            assert_eq!(parse_bytes(written), bytes, "{written}");
        }
    }

    #[test]
    fn a_setting_is_plain_or_late() {
        let plain: Setting<u64> = serde_json::from_str("3").unwrap();
        assert_eq!(plain, Setting::Plain(3));
        let late: Setting<u64> = serde_json::from_str(r#""${vars.n}""#).unwrap();
        let env = Env::new().with("vars", serde_json::json!({ "n": 7 }));
        assert_eq!(late.get(&env).unwrap(), 7);
        let wrong = Env::new().with("vars", serde_json::json!({ "n": "x" }));
        assert!(late.get(&wrong).unwrap_err().to_string().contains("\"x\""));
    }

    #[test]
    fn a_list_with_a_hole_is_filled_in_and_never_read_again() {
        let args: Setting<Vec<String>> = serde_json::from_str(r#"["sleep", "${vars.n}", "${vars.t}"]"#).unwrap();
        let env = Env::new().with("vars", serde_json::json!({ "n": 7, "t": "${vars.n}" }));
        assert_eq!(args.get(&env).unwrap(), ["sleep", "7", "${vars.n}"]);
        let whole: Setting<Vec<String>> = serde_json::from_str(r#""${['a', 'b']}""#).unwrap();
        assert_eq!(whole.get(&env).unwrap(), ["a", "b"]);
    }
}
