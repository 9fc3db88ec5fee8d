//! The controllers of the cluster itself: where pods go, who serves them, what goes with what.

mod scheduler;

pub(in crate::sim) use scheduler::controller as scheduler;
