//! Downloads over the network into a cache that is addressed by content.
//!
//! `downloads` decides what is asked of whom, `transfer` reads one answer,
//! `store` is the cache on disk, `digest` counts while it is written.

mod digest;
mod downloads;
mod store;
mod transfer;

use digest::{Digests, Sums};
pub(super) use downloads::Downloads;
