use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server on loopback that answers as a test's script says, byte for byte: real
/// ones do not lie about ranges or break off in the middle on request.
pub(super) struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) path: String,
    head: String,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// One answer. The connection ends after it.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    /// `200 OK`.
    pub(super) status: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// Stays silent this long before the body's second half.
    pub(super) pause: Option<Duration>,
}

impl Reply {
    pub(super) fn new(status: &'static str) -> Self {
        Self { status, ..Self::default() }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A body, with its length told.
    pub(super) fn body(self, body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..self }.header("content-length", body.len().to_string())
    }

    /// As much of a body, with the whole length told.
    pub(super) fn cut(self, body: &[u8], at: usize) -> Self {
        let told = self.body(body);
        Self { body: body[..at].to_vec(), ..told }
    }
}

impl Server {
    pub(super) async fn start(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (answer, list) = (Arc::new(answer), Arc::clone(&log));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((mut stream, _)) = listener.accept().await else {
                    return;
                };
                let (answer, list) = (Arc::clone(&answer), Arc::clone(&list));
                connections.spawn(async move {
                    let mut head = Vec::new();
                    let mut byte = [0];
                    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte).await, Ok(1)) {
                        head.push(byte[0]);
                    }
                    let head = String::from_utf8(head).unwrap();
                    let path = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
                    let asked = Asked { path, head };
                    let nth = {
                        let mut list = list.lock().unwrap();
                        list.push(asked.clone());
                        list.len() - 1
                    };
                    let reply = answer(&asked, nth);
                    let mut out = format!("HTTP/1.1 {}\r\nconnection: close\r\n", reply.status);
                    out.extend(reply.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
                    out += "\r\n";
                    let half = if reply.pause.is_some() { reply.body.len() / 2 } else { reply.body.len() };
                    // A client that does not want the rest may leave.
                    let _ = stream.write_all(out.as_bytes()).await;
                    let _ = stream.write_all(&reply.body[..half]).await;
                    if let Some(pause) = reply.pause {
                        tokio::time::sleep(pause).await;
                        let _ = stream.write_all(&reply.body[half..]).await;
                    }
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { address, log, task }
    }

    /// A file that is served well, ranges and conditions included.
    pub(super) async fn of_file(etag: &'static str, body: Vec<u8>) -> Self {
        Self::start(move |asked, _| serve(asked, etag, &body)).await
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn heard(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The answer of a good server.
pub(super) fn serve(asked: &Asked, etag: &str, body: &[u8]) -> Reply {
    if asked.header("if-none-match") == Some(etag) {
        return Reply::new("304 Not Modified").header("etag", etag);
    }
    let from = asked.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match from {
        Some(from) if asked.header("if-range").is_none_or(|tag| tag == etag) => Reply::new("206 Partial Content")
            .header("etag", etag)
            .header("content-range", format!("bytes {from}-{}/{}", body.len() - 1, body.len()))
            .body(&body[from..]),
        _ => Reply::new("200 OK").header("etag", etag).body(body),
    }
}
