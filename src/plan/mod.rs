//! What was asked: TOML text in, a checked plan out.
//!
//! Pure: it knows files only through a `Files` that is handed in, and neither
//! Kubernetes' client nor the runtime. All mistakes are found here, all at once.

mod attach;
mod choice;
mod claim;
mod condition;
mod coverage;
mod library;
mod load;
mod manifest;
mod mention;
mod names;
mod objects;
mod order;
mod origin;
mod page;
#[expect(clippy::module_inception, reason = "the room is named for its main type")]
mod plan;
mod problem;
mod quote;
mod raw;
mod reader;
mod resolve;
mod resource;
mod schema;
mod scope;
mod selection;
mod selector;
mod setting;
mod source;
mod step;
#[cfg(test)]
mod tests;
mod tree;
mod vars;
/// The verbs and their arguments.
pub mod verb;
mod window;

pub use claim::{Check, Claim, Edge, Edges};
pub use condition::{Condition, Conditions, Count, Require};
pub use coverage::{Covering, coverage};
pub use load::{Settings, load};
pub use objects::{Query, Selection, SelectionId, Source};
pub use page::verbs_page;
pub use plan::Plan;
pub use problem::{Problem, Problems, Spot};
pub use resolve::MAX_STEPS;
pub use resource::Resource;
pub use schema::schema;
pub use scope::{Cells, Scope, StepName, Var, Vars};
pub use setting::{Bytes, Setting, SettingError, Span, Text};
pub use source::{Disk, Files, MAX_FILE, Recorded};
pub use step::{Body, LeftOut, Place, Retry, Step};
pub use verb::Verb;
