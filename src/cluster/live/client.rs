use http::{Request, Uri};
use http_body_util::BodyExt as _;
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client as Wire;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt as _};
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder};
use tower_http::decompression::DecompressionLayer;

/// A client of an API server whose requests leave at once.
///
/// kube's own leaves Nagle's algorithm on: on a new connection the first request then waits
/// for the acknowledgement of TLS' last word, which Linux delays by 40 ms. And each watch takes a
/// connection for itself, so that the step after a `wait` would need a new one: a spare one is
/// opened beside each watch. Through a proxy the client is kube's, without either.
pub(super) fn client(config: Config) -> kube::Result<Client> {
    crate::cluster::reaches_out("connects to an API server");
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp())?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let wire = Wire::builder(TokioExecutor::new()).build(connector);
    let sending = tower::service_fn(move |request: Request<Body>| {
        let wire = wire.clone();
        async move {
            let spare = beside(&request);
            let answer = wire.request(request).await?;
            if let Some(spare) = spare.filter(|_| answer.status().is_success()) {
                tokio::spawn(async move {
                    // What has been read to its end leaves its connection to whoever comes next.
                    if let Ok(answer) = wire.request(spare).await {
                        let _ = answer.into_body().collect().await;
                    }
                });
            }
            Ok::<_, hyper_util::client::legacy::Error>(answer)
        }
    });
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(DecompressionLayer::new().gzip(!config.disable_compression))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(sending);
    Ok(Client::new(service, config.default_namespace))
}

/// A small request to the same server, if this one keeps its connection: anybody may ask for the version.
fn beside(request: &Request<Body>) -> Option<Request<Body>> {
    let watches = request.uri().query().is_some_and(|query| query.split('&').any(|part| part == "watch=true"));
    if !watches {
        return None;
    }
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/version"));
    let mut spare = Request::get(Uri::from_parts(parts).ok()?).body(Body::empty()).ok()?;
    spare.headers_mut().clone_from(request.headers());
    Some(spare)
}

/// Connections that do not hold back what is written to them.
fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    // TLS comes on top: it is not for this one to refuse `https`.
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;

    #[test]
    fn a_watch_has_a_spare_connection_beside_it() {
        let get = |uri: &str| {
            Request::get(uri).header("authorization", "Bearer abc").body(Body::empty()).expect("it is a request")
        };
        let spare = beside(&get("https://host:1/api/v1/pods?limit=1&watch=true&resourceVersion=7")).unwrap();
        assert_eq!(spare.uri(), "https://host:1/version");
        assert_eq!(spare.headers()["authorization"], "Bearer abc");
        for other in ["https://host:1/api/v1/pods?limit=500", "https://host:1/api/v1/pods?fieldSelector=a%3Dwatch=true"]
        {
            assert!(beside(&get(other)).is_none(), "{other}");
        }
    }

    #[tokio::test]
    async fn connections_hold_nothing_back() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let stream = tcp().oneshot(uri).await.unwrap();
        assert!(stream.inner().nodelay().unwrap());
    }
}
