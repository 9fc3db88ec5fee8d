use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::pod::zero;
use crate::plan::{Bytes, Setting, Span, Text};

/// `command`: a local process in its own process group, ended with its children.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Command {
    /// The program and its arguments; no shell in between.
    pub args: Setting<Vec<String>>,
    /// Variables added to its environment.
    #[serde(default)]
    pub env: IndexMap<String, Text>,
    /// The folder it runs in, relative to this file; default this file's.
    #[serde(default)]
    pub dir: Option<Text>,
    /// Text for its standard input.
    #[serde(default)]
    pub stdin: Option<Text>,
    /// Exit codes that are not a failure.
    #[serde(default = "zero")]
    pub codes: Vec<i32>,
}

/// `edit-constant`: changes a named constant in a source file; refuses unless it is there exactly once.
/// A constant is `NAME = value`, `const NAME … = value` (with words and types around it), `NAME: value`,
/// `"NAME": value` or `#define NAME value` on one line; its value ends before `;`, `,` or a comment.
/// In YAML and JSON only the colon counts, and nowhere a line that is a comment.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EditConstant {
    /// The file, relative to this file.
    pub file: Text,
    /// The constant's name.
    pub name: Text,
    /// Added to a number.
    #[serde(default)]
    pub add: Option<Setting<i64>>,
    /// The new value, as it is to stand in the source.
    #[serde(default)]
    pub to: Option<Text>,
}

/// `collect`: gathers logs, descriptions, events and objects into the run folder. Never Secrets.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent kinds of evidence, each switched by name in the plan"
)]
pub struct Collect {
    /// Selections to collect from; default every selection of this file.
    #[serde(default)]
    pub on: Vec<String>,
    /// Container logs of selected pods, the previous container's too.
    #[serde(default)]
    pub logs: bool,
    /// What `kubectl describe` would tell: the object with its events.
    #[serde(default)]
    pub describe: bool,
    /// Events of the namespaces concerned.
    #[serde(default)]
    pub events: bool,
    /// The objects as YAML.
    #[serde(default)]
    pub objects: bool,
    /// Most bytes kept of one file; its head and tail stay.
    #[serde(default = "max_size")]
    pub max_size: Setting<Bytes>,
}

fn max_size() -> Setting<Bytes> {
    Setting::Plain(Bytes(10 << 20))
}

/// `sleep`: lets time pass, and says why.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sleep {
    /// How long.
    pub r#for: Setting<Span>,
    /// Why nothing better than time can be waited for.
    pub because: Text,
}
