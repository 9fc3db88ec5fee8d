//! The ways in: in memory with upgrades, in memory without, and over loopback HTTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{HeaderValue, USER_AGENT};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tower::{BoxError, Service};

use super::handler::{Body, handle, is_refused};
use super::server::Server;

/// How much may be under way in memory before a writer waits for its reader.
const PIPE: usize = 256 * 1024;

/// Requests by a connection in memory, one for each: everything works as over a network, exec too.
pub(crate) fn connection(
    server: Arc<Server>,
    agent: Option<HeaderValue>,
) -> impl Service<Request<kube::client::Body>, Response = Response<Incoming>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ 'static {
    tower::service_fn(move |mut request: Request<kube::client::Body>| {
        let server = server.clone();
        if let Some(agent) = &agent {
            request.headers_mut().entry(USER_AGENT).or_insert_with(|| agent.clone());
        }
        async move {
            if is_refused(&server, &request) {
                return Err(BoxError::from(refused()));
            }
            let (ours, theirs) = tokio::io::duplex(PIPE);
            tokio::spawn(serve_connection(server, TokioIo::new(theirs)));
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(ours)).await?;
            // The connection ends when its answer has been read or dropped; what breaks it shows in the answer.
            tokio::spawn(connection.with_upgrades());
            Ok(sender.send_request(request).await?)
        }
    })
}

/// Requests handed to the handler as they are: quickest, but nothing that needs a connection works.
pub(crate) fn direct(
    server: Arc<Server>,
) -> impl Service<Request<kube::client::Body>, Response = Response<Body>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ 'static {
    tower::service_fn(move |request: Request<kube::client::Body>| {
        let server = server.clone();
        async move {
            if is_refused(&server, &request) {
                return Err(BoxError::from(refused()));
            }
            Ok(handle(server, request).await?)
        }
    })
}

/// A loopback listener that serves the API until it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    task: AbortHandle,
}

impl Listener {
    /// Listens there; port 0 is any free one.
    pub(crate) async fn open(server: Arc<Server>, address: SocketAddr) -> io::Result<Self> {
        crate::cluster::reaches_out("listens at a port");
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                // A connection that could not be accepted is the client's to try again.
                if let Ok((socket, _)) = listener.accept().await {
                    connections.spawn(serve_connection(server.clone(), TokioIo::new(socket)));
                }
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, task: task.abort_handle() })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve_connection<I>(server: Arc<Server>, io: I)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| handle(server.clone(), request));
    // A broken connection is an event on the other side; here it is only over.
    let _: Result<(), hyper::Error> =
        hyper::server::conn::http1::Builder::new().serve_connection(io, service).with_upgrades().await;
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, "tcp connect error: Connection refused (os error 111)")
}
