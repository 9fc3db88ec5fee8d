//! The verbs on an embedded API server, in virtual time.

mod apply;
mod ask;
mod collect;
mod delete;
mod drain;
mod exec;
mod file;
mod pod_kill;
mod steady_io;
mod wait;
mod workload;
