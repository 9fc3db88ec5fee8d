//! The embedded Longhorn is held to the original: to watch streams of real managers in `tests/data/recordings`.
//!
//! One reader turns a recording, and what a watch saw of the embedded cluster, into the same
//! two things: [`turn::Turn`]s, each a change of one state to another, and [`span`]s of time.

mod compare;
mod held;
mod recorded;
mod scenario;
mod span;
mod tape;
mod text;
mod turn;
mod witness;
