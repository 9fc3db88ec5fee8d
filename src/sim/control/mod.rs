//! Controllers: what a cluster does by itself, through the API like any client.
//!
//! A [`Controller`] is data and one plain function; a [`Process`] brings it time and an API
//! server, embedded or real, and can be killed. Nothing here knows how the server keeps
//! objects, and no product is known.

mod chance;
pub mod timing;

mod key;
mod kind;
mod lean;
mod object;

mod cache;
mod queue;
mod write;

mod controller;

mod quantity;
mod select;

mod watch;

mod process;

mod node;

mod cluster;
mod workload;

mod manager;

#[cfg(test)]
mod chart;
#[cfg(test)]
mod stage;

pub use cache::{Cache, Change};
pub use chance::{Chance, Span};
pub use cluster::PROVISIONER;
pub(in crate::sim) use cluster::scheduler;
pub use controller::{Controller, Round, Runs, Trigger, Watches};
pub use key::Key;
pub use kind::Kind;
pub(in crate::sim) use manager::controller_manager;
pub use node::{
    Afflicted, Ailment, Anywhere, Attach, Behaviour, File, Image, Life, Machines, OnTerm, PodFilter, Start, Switch,
    Trouble, Volume, kubelet, sha256,
};
pub(in crate::sim) use node::{node_object, ring};
pub use object::Object;
pub use process::{Bell, Process, Setting};
pub use queue::Backoff;
pub use write::{Form, Pace, Write};
