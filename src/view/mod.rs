//! The stream folded: what a run's events say so far, as one value.
//!
//! Holds the tables of legal transitions and the questions that every report
//! asks. Knows no output format, asks no clock and reads no file: a live run and
//! a recording give the same view. Objects are counted and not kept.

mod blame;
mod check;
mod coverage;
mod illegal;
#[cfg(test)]
mod laws;
mod row;
mod run;
#[cfg(test)]
mod sample;
mod series;
mod totals;
mod watch;

pub use blame::Culprit;
pub use check::{CheckRow, CheckState};
pub use coverage::Requirement;
pub use illegal::IllegalTransition;
pub use row::{Attempt, Row, RowState};
pub use run::{Finish, RunView};
#[cfg(test)]
pub(crate) use sample::{Story, chaos, check, hostile, moment, node, red, watched};
pub use series::{Measured, Series};
pub use totals::Totals;
pub use watch::{Lapse, LapseKind, WatchRow};
