//! Wiring: a command line in, an exit code out.
//!
//! The only room that knows all others, and the only one that prints. It decides
//! nothing about runs: it opens doors and hands values from one to the next.

mod args;
mod check;
mod cleanup;
mod doctor;
mod door;
mod dry_run;
mod exit;
mod finish;
mod graph;
mod judge;
mod lasso;
mod look;
mod main;
mod papers;
mod report;
mod run;
mod runtime;
mod screen;
mod sim;
mod sink;
mod watch;

pub use exit::Exit;
pub use main::main;
