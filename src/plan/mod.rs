//! What was asked: TOML text in, a checked plan out.
//!
//! Pure: it knows files only through a `Files` that is handed in, and neither
//! Kubernetes' client nor the runtime. All mistakes are found here, all at once.

mod condition;
mod quote;
mod objects;
mod plan;
mod resource;
mod problem;
mod reader;
mod scope;
mod setting;
mod source;
mod step;
mod tree;
/// The verbs and their arguments.
pub mod verb;

pub use condition::{Condition, Conditions, Count, Require};
pub use objects::{Query, Selection, SelectionId, Source};
pub use plan::Plan;
pub use resource::Resource;
pub use problem::{Problem, Problems, Spot};
pub use scope::{Scope, StepName, Var, Vars};
pub use setting::{Bytes, Setting, SettingError, Span, Text};
pub use source::{Disk, Files, MAX_FILE, Recorded};
pub use step::{Body, LeftOut, Place, Retry, Step};
pub use verb::Verb;
