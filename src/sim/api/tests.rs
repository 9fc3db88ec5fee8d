//! The server through the real kube client, on paused time.

mod apply;
mod basics;
mod clients;
mod determinism;
mod faults;
mod wire;
