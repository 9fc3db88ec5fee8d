//! The embedded API server held to the real one: the same requests, the recorded answers.

pub(crate) mod body;
mod decided;
mod embedded;
