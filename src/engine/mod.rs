//! When: the one loop that owns a run, and the attempts that report to it.
//!
//! `graph::Frontier` decides, this room acts: it says each fact to the sink before
//! it acts on it, holds permits, deadlines and retries, and cancels in order of
//! urgency. It knows no report and can't tell the embedded cluster from a real one.

mod attempt;
mod deadlines;
mod dispatch;
mod hands;
mod message;
mod order;
mod outputs;
mod permits;

pub use dispatch::run;
pub use order::Order;
