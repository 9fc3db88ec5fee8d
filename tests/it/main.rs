//! The real binary from outside, and rules about the source that the compiler does not know.

mod architecture;
mod bad_cluster;
mod bad_plan;
mod bad_world;
mod checks;
mod conformance;
mod disk;
mod embedded;
mod faults;
mod judge;
mod longhorn;
mod longhorn_plans;
mod order;
mod plans;
mod recorded;
mod runs;
mod sample_run;
mod served;
mod signals;
mod support;
