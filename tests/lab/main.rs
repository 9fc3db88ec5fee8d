//! The lab lane: run by `just lab-test`, on a real control plane with real nodes.

mod checks;
mod conformance;
#[path = "../it/conformance/body/mod.rs"]
mod conformance_body;
mod house;
mod live;
mod restart;
mod verbs;
