//! A stand-in for helm on the embedded cluster.
//!
//! It does to the API what helm 4 does, request for request: release secrets that the
//! real helm reads, hooks by weight and delete policy, server-side apply as `helm`,
//! and helm's own complaints. Templates are no part of it: a chart is a Rust function
//! from values to objects, registered by name and version.
//!
//! Its sentences and statuses were taken from helm v4.3.1 on Kubernetes v1.34.4.

mod apply;
mod chart;
mod hook;
mod ledger;
mod order;
mod record;
mod stand_in;
mod values;

#[cfg(test)]
mod tests;

pub use chart::{Chart, Charts, Rendered, Rendering, Templates};
pub use stand_in::StandInHelm;
