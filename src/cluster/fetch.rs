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

/// Why a download did not come, in the words of the real ones: for an internet that is not the real one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchTrouble {
    /// The embedded internet has no such address.
    Unknown(String),
    /// An answer other than the file.
    Status {
        /// The address.
        url: String,
        /// The answer's code.
        code: u16,
        /// How often it was asked.
        tries: u32,
    },
    /// The connection broke, again and again.
    Broke {
        /// The address.
        url: String,
        /// How many bytes had come.
        done: u64,
        /// How many there are.
        of: u64,
        /// How often it was tried.
        tries: u32,
    },
    /// What came is not what was wanted.
    Wrong(String),
    /// Several addresses, and none gave the file.
    None(Vec<FetchTrouble>),
}

impl FetchTrouble {
    /// What several addresses said; one alone speaks for itself.
    pub fn all(mut troubles: Vec<Self>) -> Self {
        if troubles.len() == 1 { troubles.remove(0) } else { Self::None(troubles) }
    }

    /// Holds a file against what is wanted of it.
    pub fn compare(url: &str, wanted: &Wanted, bytes: u64, sha512: &str, sha256: Option<&str>) -> Result<(), Self> {
        let digests =
            [("SHA-512", wanted.sha512.as_deref(), Some(sha512)), ("SHA-256", wanted.sha256.as_deref(), sha256)];
        for (name, expected, found) in digests {
            if let Some((expected, found)) = expected.zip(found)
                && !expected.eq_ignore_ascii_case(found)
            {
                return Err(Self::Wrong(format!("`{url}` has the {name} {found}, expected {expected}")));
            }
        }
        match wanted.bytes.filter(|expected| *expected != bytes) {
            Some(expected) => Err(Self::Wrong(format!("`{url}` has {bytes} bytes, expected {expected}"))),
            None => Ok(()),
        }
    }

    /// Whether asking again may help.
    pub fn passes(code: u16) -> bool {
        (code >= 500 && code != 501) || matches!(code, 408 | 429)
    }

    /// Whether another address may help.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Wrong(_))
    }

    fn class(&self) -> Class {
        match self {
            Self::Unknown(_) => Class::Missing,
            Self::Status { code, .. } if !Self::passes(*code) => Class::Refused,
            Self::Status { .. } | Self::Broke { .. } => Class::Unreachable,
            Self::Wrong(_) => Class::Unmet,
            Self::None(troubles) => troubles.iter().map(Self::class).max().unwrap_or(Class::Missing),
        }
    }

    fn message(&self) -> String {
        let again = |tries: u32| if tries > 1 { format!(", tried {tries} times") } else { String::new() };
        match self {
            Self::Unknown(url) => format!(
                "the embedded internet does not have `{url}`; it is downloaded for real on a cluster that `--context` names"
            ),
            Self::Status { url, code, tries } => {
                let status = http::StatusCode::from_u16(*code).map_or_else(|_| code.to_string(), |it| it.to_string());
                format!("`{url}` answered {status}{}", again(*tries))
            }
            Self::Broke { url, done, of, tries } => {
                format!("`{url}` broke off after {done} of {of} bytes{}", again(*tries))
            }
            Self::Wrong(message) => message.clone(),
            Self::None(troubles) => {
                let said: Vec<String> = troubles.iter().map(Self::message).collect();
                format!("none of {} addresses gave the file: {}", said.len(), said.join("; "))
            }
        }
    }
}

impl From<FetchTrouble> for FetchError {
    fn from(trouble: FetchTrouble) -> Self {
        Self { class: trouble.class(), message: trouble.message(), source: None }
    }
}
