//! Watches held open.
//!
//! A recorder serves the selections of one plan: for each query that somebody
//! needs it holds one list and watch, resumes it where it broke, lists again
//! after a gap, puts every single version on the tape that leads to the journal,
//! and only then hands it to every feed. It speaks list and watch itself, so that
//! each recovery is known and can be told.
//!
//! It does not know what is waited for or checked, nor which step asks.

mod error;
mod object;

mod query;
mod stream;

mod kind;
mod line;
mod list;
mod walk;

mod patch;
mod tape;

mod inquiry;
mod ledger;

mod feed;
mod follower;
mod mailbox;

mod access;
mod aside;
mod desk;
mod hold;
mod holders;
mod recorder;
mod sight;
mod watch;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use feed::{Change, Feed};
pub use hold::{Confirmed, Hold};
pub use query::Served;
pub use recorder::Recorder;
pub use tape::{Fact, Held, Tape};
