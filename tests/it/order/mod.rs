//! The embedded controllers held to the real ones: in which order things happen.

pub(crate) mod body;
mod decided;
mod embedded;
