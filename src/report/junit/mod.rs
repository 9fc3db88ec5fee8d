//! A run as `JUnit` XML, for readers that agree on little.
//!
//! One flat suite, one case for each verb. `case` says what a row is there,
//! `suite` gathers them and hands them to `junit-report`, `finish` goes over its
//! output and adds what it lacks. `docs/reports.md` has the decisions.

mod case;
mod finish;
mod suite;
#[cfg(test)]
mod tests;

pub use suite::{Form, Paths, junit};
