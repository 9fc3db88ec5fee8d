//! An API server in this process: store, discovery, every verb, watches, patches, exec.
//!
//! It answers as kube-apiserver v1.34 answers: codes, reasons, sentences, versions, the
//! order of events. Resources are data. It knows nothing of controllers, kubelets or
//! products: those are clients of it, like anyone.

mod api;
mod apply;
mod builtin;
mod call;
mod compare;
mod container;
mod delete;
mod discovery;
mod door;
mod exec;
mod fault;
mod field_set;
mod handler;
mod ledger;
mod log;
mod managed;
mod merge_key;
mod object;
mod patch;
mod prepare;
mod program;
mod read;
mod resource;
mod route;
mod selector;
mod server;
mod shape;
mod show;
mod stand_in;
mod state;
mod status;
mod store;
mod strategic;
mod subresource;
mod validate;
mod watch;
mod write;

#[cfg(test)]
mod tests;

pub use api::{Api, Guard, Options, Served};
pub use fault::{Effect, Matching, Rule};
pub use ledger::{Request, Verb};
pub use program::{Answer, Exec, Program};
pub use state::StandIns;
pub use status::Refusal;
pub use store::Ending;
