use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::expr::Cel;
use crate::plan::{Setting, Span};

/// `pod-kill`: deletes pods. The set is resolved once; killing nobody is an error.
/// Done when every delete is answered.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PodKill {
    /// The selection of pods.
    pub on: String,
    /// `"all"`, a number, or a share such as `"50%"`; the choice follows the run's seed.
    #[serde(default)]
    pub which: Setting<Which>,
    /// One delete for each pod, all at the same time; or one delete-collection request.
    #[serde(default)]
    pub how: How,
    /// All together, or one after another.
    #[serde(default)]
    pub order: Setting<Order>,
    /// With `order = "rolling"`: what must hold of every selected object before the next kill.
    #[serde(default)]
    pub gate: Option<Cel>,
    /// Grace period; default the pods' own. `0s` is kubectl's `--force`.
    #[serde(default)]
    pub grace: Option<Setting<Span>>,
    /// Fewer than this is an error.
    #[serde(default = "one")]
    pub min: Setting<u64>,
}

fn one() -> Setting<u64> {
    Setting::Plain(1)
}

/// How many of the selected pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// Every one.
    #[default]
    All,
    /// So many.
    Number(u64),
    /// A share in percent, rounded up.
    Percent(u64),
}

impl<'de> Deserialize<'de> for Which {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Number(number) => number.as_u64().map(Self::Number),
            Value::String(written) if written == "all" => Some(Self::All),
            Value::String(written) => written
                .strip_suffix('%')
                .and_then(|n| n.parse().ok())
                .filter(|n| (1..=100).contains(n))
                .map(Self::Percent),
            _ => None,
        }
        .ok_or_else(|| D::Error::custom("expected `\"all\"`, a number, or a share such as `\"50%\"`"))
    }
}

impl JsonSchema for Which {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Which".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "string"], "description": "\"all\", a number, or a share such as \"50%\"" })
    }
}

/// How the deletes are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// One request for each pod, by uid, all at the same time.
    #[default]
    Each,
    /// One delete-collection request over the selection's query.
    Collection,
}

/// In which order pods are killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// All at the same time.
    #[default]
    Together,
    /// One after another, the next when the gate holds.
    Rolling,
}
