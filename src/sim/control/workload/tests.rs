//! Workloads as a watch sees them, held to what the lab's real cluster showed.

mod daemon_set;
mod deployment;
mod job;
mod stateful_set;
