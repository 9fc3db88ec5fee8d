//! When: concurrency, deadlines, retries, cancelling.
//!
//! One loop owns the run's state. It takes moves from the graph's frontier, says
//! each to the sink before acting on it, and lets attempts run as tasks that
//! report by message. It knows no product, no report and no format, and cannot
//! tell the embedded cluster from a real one.

mod act;
mod arming;
mod attempt;
mod cancel;
mod closing;
mod conclusion;
mod container;
mod court;
mod dispatch;
mod leaf;
mod message;
mod order;
mod scribe;
mod timer;
mod unit;
mod vigil;
mod window;

#[cfg(test)]
mod script;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod watching;

pub use order::{Order, run};
pub use vigil::{Vigil, watch};
