use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::Value;

use super::Error;
use crate::event::Class;
use crate::text;

/// Most time until an answer begins. A list of 500 objects takes a busy API server about a second.
const ANSWER: Duration = Duration::from_secs(30);

/// Most bytes of one line of a watch: an object may have 1.5 MB in etcd
/// (`--max-request-bytes`), and several times that as JSON with managed fields.
const LONGEST_LINE: usize = 32 << 20;

/// What the server says instead of what was asked for.
#[derive(Debug)]
pub(super) enum Trouble {
    /// 404: no such kind, or none any more.
    NotServed,
    /// 410: the version asked for is forgotten.
    Gone,
    /// Anything else.
    Error(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Asks for one document.
pub(super) async fn document(client: &Client, request: Request<Vec<u8>>) -> Result<Value, Trouble> {
    let bytes = bytes(client, request).await?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Undecodable(error.to_string()).into())
}

/// Asks for one document and leaves it as it is.
pub(super) async fn bytes(client: &Client, request: Request<Vec<u8>>) -> Result<Bytes, Trouble> {
    let body = answer(client, request).await?;
    let body = tokio::time::timeout(ANSWER, body.collect())
        .await
        .map_err(|_| Error::Unreachable("the API server's answer did not end".to_owned()))?
        .map_err(|error| Error::Unreachable(text::causes(&error)))?;
    Ok(body.to_bytes())
}

/// Asks for a stream of lines.
pub(super) async fn lines(client: &Client, request: Request<Vec<u8>>) -> Result<Lines, Trouble> {
    Ok(Lines { body: answer(client, request).await?, read: BytesMut::new(), seen: 0 })
}

async fn answer(client: &Client, request: Request<Vec<u8>>) -> Result<Body, Trouble> {
    let response = tokio::time::timeout(ANSWER, client.send(request.map(Body::from)))
        .await
        .map_err(|_| Error::Unreachable(format!("the API server did not answer within {} seconds", ANSWER.as_secs())))?
        .map_err(|error| Error::Unreachable(text::causes(&error)))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response.into_body());
    }
    let said = match tokio::time::timeout(ANSWER, response.into_body().collect()).await {
        Ok(Ok(body)) => message(&body.to_bytes()),
        Ok(Err(_)) | Err(_) => None,
    };
    Err(refusal(status, said.unwrap_or_else(|| format!("the API server answered {status}"))))
}

/// What a status other than success means for a list or watch.
pub(super) fn refusal(status: StatusCode, said: String) -> Trouble {
    match status {
        StatusCode::NOT_FOUND => Trouble::NotServed,
        StatusCode::GONE => Trouble::Gone,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Refused { said, class: Class::Forbidden }.into(),
        _ if status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::REQUEST_TIMEOUT
            || status.is_server_error() =>
        {
            Error::Unreachable(said).into()
        }
        _ => Error::Refused { said, class: Class::Refused }.into(),
    }
}

/// The sentence in a `Status` body.
fn message(body: &[u8]) -> Option<String> {
    let status: Value = serde_json::from_slice(body).ok()?;
    Some(status.get("message")?.as_str()?.to_owned())
}

/// A body read line by line.
pub(super) struct Lines {
    body: Body,
    read: BytesMut,
    /// How much of `read` is known to hold no end of line.
    seen: usize,
}

impl Lines {
    /// The next line as JSON; `None` when the body has ended.
    pub(super) async fn next_value(&mut self) -> Result<Option<Value>, Error> {
        let Some(line) = self.next().await? else { return Ok(None) };
        serde_json::from_slice(&line).map(Some).map_err(|error| Error::Undecodable(error.to_string()))
    }

    /// The next line; `None` when the body has ended. Nothing is lost when this is dropped and called again.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(at) = self.read[self.seen..].iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(self.seen + at);
                self.read.advance(1);
                self.seen = 0;
                if line.is_empty() {
                    continue;
                }
                return Ok(Some(line.freeze()));
            }
            self.seen = self.read.len();
            if self.seen > LONGEST_LINE {
                return Err(Error::Undecodable(format!("one event has more than {LONGEST_LINE} bytes")));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(Error::Unreachable(text::causes(&error))),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.read.extend_from_slice(data);
                    }
                }
            }
        }
    }
}
