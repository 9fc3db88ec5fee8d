//! A run as one HTML file that needs nothing else: no script, no request, no
//! clock. Top-down: how it went, what failed, what was checked, what the objects
//! did, the graph, the time, every step, what it ran on.
//!
//! `markup` is the only way into the page and has the one escaping function.
//! Each other file is one section.

mod axis;
mod banner;
mod checks;
mod environment;
mod evidence;
mod failures;
mod footer;
mod graph;
mod lanes;
mod legend;
mod mark;
mod markup;
mod page;
mod proof;
mod steps;
mod strip;
#[cfg(test)]
mod tests;
mod timeline;
mod times;

pub use page::html;
