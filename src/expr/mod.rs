//! CEL, once: expressions, templates and documents with holes, the names they
//! use, and what they evaluate to.
//!
//! Everything is JSON at the door: values go in and come out as
//! [`serde_json::Value`]. Inside, an object is converted once
//! ([`Shared`]) and then only pointed at, so that a condition can be asked
//! again at each event of a busy watch.
//!
//! The room bounds what a source may cost, in stack, steps and memory, when it
//! is compiled; evaluation is inline and gives the same answer every time.
//! It does not know what a name stands for: plans, objects and the clock are
//! handed in as an [`Env`].

mod cel;
mod env;
mod error;
mod form;
mod function;
mod lower;
mod mistake;
mod node;
mod path;
mod scan;
mod survey;
mod syntax;
mod template;

pub use self::cel::Cel;
pub use env::{Env, NOW, Shared};
pub use error::Error;
pub use form::Form;
pub use function::{FUNCTIONS, Function};
pub use mistake::Mistake;
pub use path::{Part, Path};
pub use template::Template;

#[cfg(test)]
mod tests;
