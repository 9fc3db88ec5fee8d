//! A file as it is written: one struct for each table, every key known, every
//! expression compiled, nothing looked up yet.

mod check;
mod file;
mod part;
mod step;

pub(super) use check::{During, RawCheck, RawClaim};
pub(super) use file::{RawFile, RawObject, RawVar, Written};
pub(super) use part::RawPart;
pub(super) use step::{RawBody, RawStep};
