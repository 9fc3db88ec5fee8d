use serde::Deserialize;
use serde_json::value::RawValue;

use super::Error;
use super::object::Object;
use super::stream::{Trouble, refusal};
use crate::event::How;

/// What one line of a watch says.
pub(super) enum Told {
    /// One version of one object.
    Version(Box<Object>, How),
    /// A bookmark: everything up to this version was shown.
    Reached(String),
}

/// One line of a watch, as it is written.
#[derive(Deserialize)]
struct Line<'l> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    object: &'l RawValue,
}

/// As much as is needed of a bookmark.
#[derive(Deserialize)]
struct Bookmark {
    metadata: Mark,
}

#[derive(Deserialize)]
struct Mark {
    #[serde(rename = "resourceVersion")]
    version: String,
}

/// An error in the place of an object.
#[derive(Deserialize)]
struct Status {
    code: Option<u16>,
    message: Option<String>,
}

impl Told {
    /// Reads one line. An error that the server tells in a line is trouble like any other.
    pub(super) fn read(line: &[u8], secret: bool) -> Result<Self, Trouble> {
        let undecodable = |error: serde_json::Error| Trouble::from(Error::Undecodable(error.to_string()));
        let Line { kind, object } = serde_json::from_slice(line).map_err(undecodable)?;
        let how = match kind.as_str() {
            "ADDED" => How::Added,
            "MODIFIED" => How::Modified,
            "DELETED" => How::Deleted,
            "BOOKMARK" => {
                let mark: Bookmark = serde_json::from_str(object.get()).map_err(undecodable)?;
                return Ok(Self::Reached(mark.metadata.version));
            }
            "ERROR" => {
                let status: Status = serde_json::from_str(object.get()).map_err(undecodable)?;
                let code = status.code.and_then(|code| http::StatusCode::from_u16(code).ok());
                let said = status.message.unwrap_or_else(|| "the watch ended with an error".to_owned());
                return Err(refusal(code.unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR), said));
            }
            other => return Err(Error::Undecodable(format!("an event has the type `{other}`")).into()),
        };
        Ok(Self::Version(Box::new(Object::read(object.get(), secret, None)?), how))
    }
}
