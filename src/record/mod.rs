//! Watches held open.
//!
//! A recorder serves the selections of one plan: for each query that somebody
//! follows it holds one list and watch, resumes it where it broke, lists again
//! after a gap, and hands every single version to every feed. It speaks list and
//! watch itself, so that each recovery is known and can be told.
//!
//! It does not know what is waited for, nor which step asks.

mod desk;
mod error;
mod feed;
mod kind;
mod object;
mod query;
mod recorder;
mod stream;
mod watch;

pub use error::Error;
pub use feed::{Change, Feed};
pub use query::Served;
pub use recorder::Recorder;
