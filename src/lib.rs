//! Lariat runs declarative upgrade and chaos plans against a Kubernetes system
//! and proves what did, and what did not, happen while they ran.
//!
//! The rooms stand in the order in which they build on each other: each imports
//! only from those above it (`tests/it/architecture.rs` holds the table).
//! `docs/ARCHITECTURE.md` is the map, with one walk through the house.

pub mod clock;
pub mod id;
pub mod text;

pub mod event;
pub mod expr;

pub mod plan;

pub mod check;
pub mod cluster;
pub mod graph;
pub mod journal;
pub mod view;

pub mod record;
pub mod report;
pub mod sim;

pub mod step;

pub mod engine;

pub mod cli;
