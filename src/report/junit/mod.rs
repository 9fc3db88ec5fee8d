//! A run as `JUnit` XML, for readers that agree on little.
//!
//! One flat suite, one case for each verb and each check. `case` and `checked` say
//! what a row is there, `suite` gathers them and hands them to `junit-report`, `finish` goes over its
//! output and adds what it lacks. `docs/reports.md` has the decisions.

mod case;
mod checked;
mod finish;
mod suite;
#[cfg(test)]
mod tests;

pub use suite::{Form, Paths, junit};
