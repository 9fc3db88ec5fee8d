//! The lab lane: run by `just lab-test`, on a real control plane with real nodes.

mod house;
mod live;
mod restart;
mod verbs;
