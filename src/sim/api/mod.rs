//! An API server in this process: store, discovery, every verb, watches, patches, exec.
//!
//! It answers as kube-apiserver v1.34 answers: codes, reasons, sentences, versions, the
//! order of events. Resources are data. It knows nothing of controllers, kubelets or
//! products: those are clients of it, like anyone.
//!
//! Built-in kinds are data too (`kinds.json.gz`, recorded from a real server): their schemas
//! decide what is an unknown field or a wrong type, their columns make the tables. Custom
//! kinds are pruned, defaulted and checked by their definitions, rules in CEL included.
//! What a kind's own code refuses upstream, and its defaults, are lists by hand: what plans
//! and charts meet. Everybody may do everything: there is no authorization.

mod object;
mod status;

mod builtin;
mod kinds;
mod quantity;
mod schema;

mod resource;
mod typed;

mod route;
mod selector;

mod store;

mod admission;
mod fault;
mod ledger;
mod program;
mod state;

mod server;

mod call;
mod protobuf;
mod read;
mod show;
mod watch;

mod cells;
mod json_path;
mod table;

mod address;
mod defaults;
mod definition;
mod kind_rules;
mod prepare;
mod validate;
mod write;

mod merge_key;
mod strategic;

mod compare;
mod field_set;
mod managed;
mod shape;

mod apply;
mod patch;

mod delete;
mod stand_in;
mod subresource;

mod container;
mod exec;
mod log;

mod discovery;
mod openapi;
mod yaml;

mod handler;

mod door;

mod handle;

#[cfg(test)]
mod tests;

pub use admission::{Review, Webhook};
pub use fault::{Effect, Matching, Rule};
pub use handle::{Api, Guard, Options, Served};
pub use ledger::{Request, Verb};
pub use program::{Answer, Entered, Exec, Kubelets, LogLine, Program, Says, Talk};
pub use state::StandIns;
pub use status::Refusal;
pub use store::Ending;
