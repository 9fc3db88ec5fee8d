use std::time::Duration;

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::store::{Store, Version};
use super::{Digests, Sums};
use crate::cluster::FetchError;
use crate::cluster::live::reach::is_about_certificates;
use crate::event::Class;
use crate::text;

/// Bytes that are gathered before they are written.
const BUFFER: usize = 1 << 20;
/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// One request for one file, and the reading of its answer.
pub(super) struct Transfer<'a> {
    pub(super) client: &'a Client,
    pub(super) store: &'a Store,
    /// Names the partial file.
    pub(super) name: &'a str,
    pub(super) url: &'a str,
    /// The address as it is shown: without credentials.
    pub(super) shown: &'a str,
    /// The size that it must have.
    pub(super) bytes: Option<u64>,
    /// Whether its SHA-256 is wanted too.
    pub(super) sha256: bool,
    pub(super) progress: &'a (dyn Fn(u64, Option<u64>) + Send + Sync),
}

/// A transfer that came to its end.
pub(super) enum Came {
    /// All of it is in the partial file.
    Whole { version: Version, sums: Sums, resumed: bool },
    /// The server has nothing newer than what was known.
    Unchanged,
}

/// A transfer that did not.
pub(super) struct Fault {
    pub(super) error: FetchError,
    pub(super) next: Next,
    /// How much more came before it happened.
    pub(super) gained: u64,
    /// Whether the transfer went on from a partial file.
    pub(super) resumed: bool,
}

/// What is to be done after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask again, after the time that the server asks for.
    Again(Option<Duration>),
    /// Try the next address.
    Mirror,
    /// Nothing else may help: the file itself or the disk is wrong.
    Stop,
}

impl Fault {
    pub(super) fn new(class: Class, next: Next, message: String) -> Self {
        Self { error: FetchError { class, message, source: None }, next, gained: 0, resumed: false }
    }

    /// As the last of so many.
    pub(super) fn after(self, tries: usize) -> Self {
        let message = format!("{}, tried {}", self.error.message, text::count(tries, "time"));
        let error = FetchError { message, ..self.error };
        Self { error, ..self }
    }

    fn stop(error: FetchError) -> Self {
        Self { error, next: Next::Stop, gained: 0, resumed: false }
    }
}

impl Transfer<'_> {
    /// Asks for the file, or for the rest of it. `known` is a whole version that is
    /// in the cache: then the server is only asked whether it changed.
    pub(super) async fn run(&self, known: Option<&Version>) -> Result<Came, Fault> {
        // What another address gave is not gone on with: nobody promises that it is the same.
        let partial = self.store.partial(self.name);
        let partial = partial.filter(|(version, _)| version.url == self.url && version.validator().is_some());
        let Some((version, have)) = partial else {
            return self.all(known).await;
        };
        let mut digests = Digests::new(self.sha256);
        let file = self.store.resume(self.name, &mut digests).await.map_err(Fault::stop)?;
        if version.total == Some(have) {
            return Ok(Came::Whole { version, sums: digests.finish(), resumed: true });
        }
        self.rest(version, file, digests).await
    }

    async fn all(&self, known: Option<&Version>) -> Result<Came, Fault> {
        let mut request = self.request();
        if let Some(known) = known {
            let conditions = [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)];
            for (name, value) in conditions {
                request = value.iter().fold(request, |request, value| request.header(&name, value));
            }
        }
        let response = self.send(request).await?;
        match response.status() {
            StatusCode::OK => self.whole(response, false).await,
            StatusCode::NOT_MODIFIED if known.is_some() => Ok(Came::Unchanged),
            StatusCode::PARTIAL_CONTENT => {
                Err(self.broken("answered 206 with a part of the file, though all of it was asked for"))
            }
            _ => Err(self.refused(&response)),
        }
    }

    async fn rest(&self, version: Version, file: File, digests: Digests) -> Result<Came, Fault> {
        let have = digests.bytes();
        let validator = version.validator().expect("a partial file is gone on with only by its validator");
        let request = self.request().header(RANGE, format!("bytes={have}-")).header(IF_RANGE, validator);
        let response = self.send(request).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {}
            // It changed meanwhile, or the server knows no ranges.
            StatusCode::OK => return self.whole(response, false).await,
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(self.start_again("has no more of it, by its own words"));
            }
            _ => return Err(self.refused(&response)),
        }
        let etag = header(response.headers(), &ETAG);
        if etag.is_some() && etag != version.etag {
            return Err(self.start_again("gave a part of another version"));
        }
        let said = header(response.headers(), &CONTENT_RANGE).unwrap_or_default();
        let Some((from, total)) = content_range(&said) else {
            return Err(self.broken(&format!("answered 206 without a readable Content-Range (`{said}`)")));
        };
        if from != have {
            return Err(self.broken(&format!("answered 206 with `{said}`, asked for bytes from {have} on")));
        }
        if let (Some(before), Some(now)) = (version.total, total)
            && before != now
        {
            return Err(self.broken(&format!("answered 206 with `{said}`, said {before} bytes in all before")));
        }
        let version = Version { total: version.total.or(total), ..version };
        self.write(response, version, file, digests, true).await
    }

    async fn whole(&self, response: Response, resumed: bool) -> Result<Came, Fault> {
        let headers = response.headers();
        let version = Version {
            url: self.url.to_owned(),
            etag: header(headers, &ETAG),
            last_modified: header(headers, &LAST_MODIFIED),
            total: response.content_length(),
            sha512: None,
        };
        self.check_size(version.total, false)?;
        let file = self.store.begin(self.name, &version).await.map_err(Fault::stop)?;
        self.write(response, version, file, Digests::new(self.sha256), resumed).await
    }

    /// Streams the body behind what is in the file, digesting on the way.
    async fn write(
        &self,
        mut response: Response,
        version: Version,
        file: File,
        mut digests: Digests,
        resumed: bool,
    ) -> Result<Came, Fault> {
        let before = digests.bytes();
        let mut file = BufWriter::with_capacity(BUFFER, file);
        let mut broke = None;
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    digests.update(&chunk);
                    self.check_size(Some(digests.bytes()), true)?;
                    file.write_all(&chunk).await.map_err(|error| self.disk(&error))?;
                    (self.progress)(digests.bytes(), version.total);
                }
                Ok(None) => break,
                Err(error) => {
                    broke = Some(innermost(&error));
                    break;
                }
            }
        }
        file.flush().await.map_err(|error| self.disk(&error))?;
        let have = digests.bytes();
        if broke.is_none() && version.total.is_none_or(|total| total == have) {
            self.check_size(Some(have), false)?;
            return Ok(Came::Whole { version, sums: digests.finish(), resumed });
        }
        let total = version.total.map_or("an unknown number".to_owned(), |total| total.to_string());
        let broke = broke.map(|broke| format!(" ({broke})")).unwrap_or_default();
        let message = format!("`{}` broke off after {have} of {total} bytes{broke}", self.shown);
        let fault = Fault::new(Class::Unreachable, Next::Again(None), message);
        Err(Fault { gained: have - before, resumed, ..fault })
    }

    fn request(&self) -> RequestBuilder {
        self.client.get(self.url).header(ACCEPT_ENCODING, "identity")
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Fault> {
        request.send().await.map_err(|error| {
            let how = innermost(&error);
            let said = |what: &str| format!("`{}` {what}", self.shown);
            if error.is_redirect() {
                return Fault::new(Class::Refused, Next::Mirror, said(&format!("leads nowhere: {how}")));
            }
            if error.is_builder() {
                return Fault::new(Class::Broken, Next::Mirror, said(&format!("can't be asked: {how}")));
            }
            if is_about_certificates(&error) {
                return Fault::new(Class::Broken, Next::Mirror, said(&format!("is not trusted: {how}")));
            }
            Fault::new(Class::Unreachable, Next::Again(None), said(&format!("can't be reached: {how}")))
        })
    }

    fn refused(&self, response: &Response) -> Fault {
        let status = response.status();
        let message = format!("`{}` answered {status}", self.shown);
        let passes = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
        if !passes || status == StatusCode::NOT_IMPLEMENTED {
            return Fault::new(Class::Refused, Next::Mirror, message);
        }
        let wait = header(response.headers(), &RETRY_AFTER).and_then(|wait| wait.parse().ok());
        let wait = wait.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
        Fault::new(Class::Unreachable, Next::Again(wait), message)
    }

    fn broken(&self, what: &str) -> Fault {
        Fault::new(Class::Broken, Next::Mirror, format!("`{}` {what}", self.shown))
    }

    fn start_again(&self, what: &str) -> Fault {
        self.store.forget(self.name);
        Fault::new(Class::Broken, Next::Again(None), format!("`{}` {what}", self.shown))
    }

    fn disk(&self, error: &std::io::Error) -> Fault {
        if error.kind() == std::io::ErrorKind::StorageFull {
            // What is of no use on a full disk only keeps it full.
            self.store.forget(self.name);
        }
        Fault::stop(self.store.write_trouble(self.name, error))
    }

    /// A size other than the wanted one is known to be wrong as early as can be.
    fn check_size(&self, size: Option<u64>, growing: bool) -> Result<(), Fault> {
        let (Some(size), Some(wanted)) = (size, self.bytes) else {
            return Ok(());
        };
        if size == wanted || (growing && size < wanted) {
            return Ok(());
        }
        self.store.forget(self.name);
        let more = if growing { "more than " } else { "" };
        let size = if growing { wanted } else { size };
        let message = format!("`{}` has {more}{size} bytes, expected {wanted}", self.shown);
        Err(Fault::new(Class::Unmet, Next::Stop, message))
    }
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// `bytes 100-199/200` as where it begins and how much there is in all; `/*` leaves that open.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (from, to) = range.split_once('-')?;
    let (from, to): (u64, u64) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    let total: Option<u64> = if total.trim() == "*" { None } else { Some(total.trim().parse().ok()?) };
    (from <= to && total.is_none_or(|total| to < total)).then_some((from, total))
}

/// The cause at the bottom: reqwest's own sentences only repeat the address.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        for (text, read) in [
            ("bytes 100-199/200", Some((100, Some(200)))),
            ("bytes 100-199/*", Some((100, None))),
            ("bytes 0-0/1", Some((0, Some(1)))),
            ("bytes 100-99/200", None),
            ("bytes 100-200/200", None),
            ("bytes */200", None),
            ("pages 1-2/3", None),
            ("", None),
        ] {
            assert_eq!(content_range(text), read, "{text}");
        }
    }
}
