//! A run as one HTML file that needs nothing else: no script, no request, no
//! clock. Top-down: how it went, what failed, every step, the graph, the time,
//! what it ran on.
//!
//! `markup` is the only way into the page and has the one escaping function.
//! Each other file is one section.

mod axis;
mod banner;
mod environment;
mod evidence;
mod failures;
mod footer;
mod graph;
mod mark;
mod markup;
mod page;
mod steps;
#[cfg(test)]
mod tests;
mod timeline;
mod times;

pub use page::html;
