//! A file as it is written: one struct for each table, every key known, every
//! expression compiled, nothing looked up yet.

mod file;
mod step;

pub(super) use file::{RawFile, RawObject, RawVar, Written};
pub(super) use step::{RawBody, RawPart, RawStep};
