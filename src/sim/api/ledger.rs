//! Every request that reached the server, for tests to read.

use std::fmt;

use crate::clock::Elapsed;

/// One request, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Virtual time of its arrival, since the server's clock began.
    pub at: Elapsed,
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The query as sent, without the question mark.
    pub query: String,
    /// The `User-Agent` header.
    pub agent: String,
    /// The API's word: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`,
    /// `deletecollection`, `connect` for exec and the like, `other` for what is about no object.
    pub verb: Verb,
    /// The plural in the path; empty for discovery and the like.
    pub resource: String,
    /// The namespace in the path.
    pub namespace: String,
    /// The name in the path.
    pub name: String,
    /// What follows the name in the path.
    pub subresource: String,
}

/// What a request does to a resource, in the words of RBAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each variant is the API's own word")]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
    Connect,
    Other,
}

impl Verb {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Connect => "connect",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        if self.query.is_empty() { Ok(()) } else { write!(f, "?{}", self.query) }
    }
}

/// All requests so far, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Vec<Request>);

impl Ledger {
    /// Writes a request down.
    pub(crate) fn enter(&mut self, request: Request) {
        self.0.push(request);
    }

    /// What is written down.
    pub(crate) fn requests(&self) -> &[Request] {
        &self.0
    }
}
