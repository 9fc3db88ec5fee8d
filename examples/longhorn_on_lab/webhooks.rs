//! Longhorn's webhooks for a real API server: over TLS, up only while a manager serves them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lariat::sim::{Gate, Review, Service, Webhook};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// Below the ports that the kernel gives away: it must be free again when the managers are back.
const ADDRESS: &str = "127.0.0.1:19502";

/// The gate. Clones are the same.
#[derive(Clone)]
pub(crate) struct Served(Arc<Shared>);

struct Shared {
    tls: TlsAcceptor,
    /// What the API server trusts, as a configuration has it.
    bundle: String,
    house: Mutex<House>,
    asked: AtomicU64,
    denied: AtomicU64,
}

/// The backends that are up, by path, and who listens for them.
#[derive(Default)]
struct House {
    backends: BTreeMap<String, Arc<dyn Webhook>>,
    server: Option<AbortHandle>,
}

impl Served {
    /// Makes a certificate; nobody listens yet.
    pub(crate) async fn new() -> Result<Self, String> {
        drop(listen()?);
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("certificate.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]);
        openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        let made = openssl.output().await.map_err(|error| format!("`openssl` can't be started: {error}"))?;
        if !made.status.success() {
            return Err(format!("`openssl` made no certificate: {}", String::from_utf8_lossy(&made.stderr)));
        }
        let pem = std::fs::read(&certificate).map_err(|error| error.to_string())?;
        let chain = CertificateDer::from_pem_slice(&pem).map_err(|error| error.to_string())?;
        let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| error.to_string())?;
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(vec![chain], key))
            .map_err(|error| format!("the certificate can't be used: {error}"))?;
        Ok(Self(Arc::new(Shared {
            tls: TlsAcceptor::from(Arc::new(config)),
            bundle: STANDARD.encode(pem),
            house: Mutex::default(),
            asked: AtomicU64::new(0),
            denied: AtomicU64::new(0),
        })))
    }

    /// How often they were asked.
    pub(crate) fn told(&self) -> String {
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        format!("{} times, {} requests were denied", count(&self.0.asked), count(&self.0.denied))
    }
}

fn listen() -> Result<TcpListener, String> {
    let listener = TcpListener::bind(ADDRESS).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| format!("the webhooks need {ADDRESS}: {error}"))
}

impl Gate for Served {
    fn address(&self, service: &Service<'_>) -> Value {
        json!({"url": format!("https://{ADDRESS}{}", service.path), "caBundle": self.0.bundle})
    }

    fn open(&self, service: &Service<'_>, backend: Arc<dyn Webhook>) {
        let mut house = self.0.house.lock().expect("nobody panics with it");
        house.backends.insert(service.path.to_owned(), backend);
        if house.server.is_none() {
            let listener = listen().and_then(|own| tokio::net::TcpListener::from_std(own).map_err(|e| e.to_string()));
            let listener = listener.expect("the port was free before, and is nobody else's");
            house.server = Some(tokio::spawn(accept(listener, self.0.clone())).abort_handle());
        }
    }

    fn close(&self, service: &Service<'_>) {
        let mut house = self.0.house.lock().expect("nobody panics with it");
        house.backends.remove(service.path);
        if house.backends.is_empty()
            && let Some(server) = house.server.take()
        {
            server.abort();
        }
    }
}

/// Ends with its connections.
async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let shared = shared.clone();
        connections.spawn(async move {
            let Ok(stream) = shared.tls.accept(stream).await else { return };
            let service = service_fn(move |request| answer(request, shared.clone()));
            // The API server tells of a broken connection by itself.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let backend = shared.house.lock().expect("nobody panics with it").backends.get(&path).cloned();
    let review: Option<Value> = serde_json::from_slice(&body).ok();
    let (Some(backend), Some(review)) = (backend, review) else {
        let mut response = Response::new(Full::default());
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        return Ok(response);
    };
    shared.asked.fetch_add(1, Ordering::Relaxed);
    let request = &review["request"];
    let mut said = json!({"uid": request["uid"], "allowed": true});
    match backend.review(request) {
        Review::Allowed => {}
        Review::Patched(patch) => {
            said["patchType"] = "JSONPatch".into();
            said["patch"] = STANDARD.encode(patch.to_string()).into();
        }
        Review::Denied { code, message } => {
            shared.denied.fetch_add(1, Ordering::Relaxed);
            said["allowed"] = false.into();
            said["status"] = json!({"code": code, "message": message});
        }
        Review::Silence => std::future::pending().await,
    }
    let answer = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": said});
    Ok(Response::new(Full::from(answer.to_string())))
}
