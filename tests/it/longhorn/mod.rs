//! The embedded Longhorn is held to the original: to watch streams of real managers in `tests/data/recordings`.
//!
//! One reader turns a recording, and what a watch saw of the embedded cluster, into the same
//! two things: [`turn::Turn`]s, each a change of one state to another, and [`span`]s of time.

mod recorded;
mod span;
mod tape;
mod text;
mod turn;
