//! The internet of the run: one image, real bytes behind a proxy for `download`, its digest for the imitation.

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lariat::sim::{Internet, Site};
use sha2::{Digest as _, Sha512};
use tokio::net::TcpListener;

/// The address as the plan and Longhorn have it. Nobody resolves it: `download` asks the proxy, a data
/// source's program asks its `Internet`. An address of this host Longhorn would refuse.
const URL: &str = "http://images.lariat.dev/small.raw";
const SIZE: usize = 16 << 20;

/// Where the image is.
pub(crate) struct Served {
    pub(crate) url: &'static str,
    pub(crate) sha512: String,
    /// What `http_proxy` is to say.
    pub(crate) proxy: String,
}

/// Serves it for as long as the process runs.
pub(crate) async fn serve(online: &Internet) -> Result<Served, String> {
    let content: Vec<u8> =
        (0_u32..).flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes()).take(SIZE).collect();
    let sha512: String = Sha512::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    online.publish(URL, Site::new(SIZE as u64, sha512.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| format!("no port for the image: {error}"))?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    tokio::spawn(accept(listener, Bytes::from(content)));
    Ok(Served { url: URL, sha512, proxy: format!("http://127.0.0.1:{port}") })
}

async fn accept(listener: TcpListener, content: Bytes) {
    while let Ok((stream, _)) = listener.accept().await {
        let content = content.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| ready(Ok::<_, Infallible>(answer(&request, content.clone()))));
            // Whoever goes away in the middle has what it wanted.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(request: &Request<Incoming>, content: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(content));
    if request.uri() != URL {
        *response.status_mut() = StatusCode::NOT_FOUND;
        *response.body_mut() = Full::default();
    }
    response
}
