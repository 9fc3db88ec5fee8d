use schemars::JsonSchema;
use serde::Deserialize;

use crate::plan::condition::WaitTable;
use crate::plan::{Conditions, Setting, Span};

/// `wait`: until conditions hold. Driven by watches, never by polling.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "WaitTable")]
#[schemars(with = "WaitTable")]
pub struct Wait {
    /// What must hold.
    pub conditions: Conditions,
    /// For how long without a break.
    pub stable: Option<Setting<Span>>,
}
