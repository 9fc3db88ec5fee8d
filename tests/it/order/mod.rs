//! The embedded cluster's controllers held to the real ones: what always came first on the lab comes first here.

pub(crate) mod body;
mod embedded;
