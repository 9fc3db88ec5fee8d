//! The recorded stream: written while a run goes on, read back afterwards.
//!
//! Holds the journal file, the folder it stands in and the way files get there
//! whole. Knows the shape of events and nothing of what they mean: whether one
//! may follow another is the view's matter.

mod atomic;
mod error;
mod folder;
#[cfg(test)]
mod laws;
mod read;
mod tape;
mod write;

pub use atomic::write_atomically;
pub use error::Error;
pub use folder::RunFolder;
pub use read::{Cut, Reader, Recording, read};
pub use write::Writer;
