//! The stream folded: what a run's events say so far, as one value.
//!
//! Holds the table of legal transitions and the questions that every report
//! asks. Knows no output format, asks no clock and reads no file: a live run and
//! a recording give the same view.

mod blame;
mod coverage;
mod illegal;
#[cfg(test)]
mod laws;
mod row;
mod run;
#[cfg(test)]
mod sample;
mod totals;

pub use blame::Culprit;
pub use coverage::Requirement;
pub use illegal::IllegalTransition;
pub use row::{Attempt, Row, RowState};
pub use run::{Finish, RunView};
#[cfg(test)]
pub(crate) use sample::{Story, chaos, hostile, node, red};
pub use totals::Totals;
