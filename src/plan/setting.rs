use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::expr::{Cel, Env, Template};
use crate::text;

/// A value of a step, written plainly or as `"${…}"`, which is evaluated when
/// the step acts.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting<T> {
    /// Known when the plan is loaded.
    Plain(T),
    /// A string with holes.
    Late(Template),
}

/// A text that may have holes: the most common setting.
pub type Text = Setting<String>;

impl<T: DeserializeOwned + Clone> Setting<T> {
    /// The value, with its holes filled in.
    pub fn get(&self, env: &Env) -> Result<T, SettingError> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::Late(template) => {
                let value = template.eval(env)?;
                let shown = value.to_string();
                serde_json::from_value(value)
                    .map_err(|reason| SettingError::Shape { shown, reason })
            }
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
    #[error("an expression gave {shown}, which does not fit here")]
    Shape {
        /// The value as JSON.
        shown: String,
        /// What was expected.
        #[source]
        reason: serde_json::Error,
    },
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Setting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match &value {
            Value::String(written) if written.contains("${") => match Template::compile(written) {
                Ok(template) => Ok(Self::Late(template)),
                Err(mistakes) => Err(D::Error::custom(mistakes.first().map_or_else(
                    || "an expression is wrong".to_owned(),
                    |m| m.message.clone(),
                ))),
            },
            _ => T::deserialize(value)
                .map(Self::Plain)
                .map_err(D::Error::custom),
        }
    }
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
        text::parse_duration(&written)
            .map(Self)
            .map_err(D::Error::custom)
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
    let digits = written
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(written.len());
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
        let source = String::deserialize(deserializer)?;
        Self::compile(&source).map_err(|mistake| D::Error::custom(mistake.message))
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
}
