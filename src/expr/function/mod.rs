//! The functions an expression may call: the table of all of them, and those
//! that are ours.
#![expect(clippy::needless_pass_by_value, reason = "the interpreter hands its functions their arguments to keep")]

mod answer;
mod budget;
mod catalog;
mod object;
mod quantity;
mod standard;
mod version;

pub(super) use answer::{ANSWER, take_answer};
pub(super) use budget::{JOIN, MADE, REPLACE, refuel};
pub use catalog::{FUNCTIONS, Function};
pub(super) use catalog::{check, is_lenient, is_namespace};
pub(super) use standard::{AMONG, DIFFER, EACH, SAME, spell, standard};
pub(super) use version::Version;
