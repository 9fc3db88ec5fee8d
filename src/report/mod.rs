//! How a run is shown: to machines in a few lines, to people while it goes on.
//!
//! Everything here is a fold over the same events through the same view, so that
//! no two reports can disagree. Knows no plan, no step and no cluster: a recording
//! of last year is enough.

mod summary;

pub use summary::summary;
