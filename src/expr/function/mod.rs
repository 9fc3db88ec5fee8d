//! The functions an expression may call: the table of all of them, and those
//! that are ours.

mod answer;
mod catalog;
mod object;
mod quantity;
mod standard;
mod version;

pub(super) use answer::{ANSWER, take_answer};
pub use catalog::{FUNCTIONS, Function};
pub(super) use catalog::{check, is_lenient, is_namespace};
pub(super) use standard::{AMONG, DIFFER, EACH, SAME, refuel, spell, standard};
pub(super) use version::Version;
