use super::port::{Answer, Fetched, Progressed};
use crate::event::Class;

/// Downloads into a cache that is addressed by content. Hashing and writing are
/// behind this port, since the embedded internet does neither.
pub trait Fetch: Send + Sync {
    /// Fetches and checks one file; what is in the cache with the wanted digest is not fetched again.
    fn fetch<'a>(&'a self, wanted: &'a Wanted, progress: Progressed<'a>) -> Answer<'a, Fetched, FetchError>;
}

/// What to fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Addresses of the same file, tried in order.
    pub urls: Vec<String>,
    /// The digest it must have.
    pub sha512: Option<String>,
    /// The digest it must have.
    pub sha256: Option<String>,
    /// The size it must have.
    pub bytes: Option<u64>,
}

/// Why a file was not fetched.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// Decides the step's outcome.
    pub class: Class,
    /// One sentence that names the address.
    pub message: String,
    /// What lies below it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}
