use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client as Wire;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::ConfigExt as _;
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder};
use tower_http::decompression::DecompressionLayer;

/// A client of an API server whose requests leave at once.
///
/// kube's own leaves Nagle's algorithm on: on a new connection the first request then waits
/// for the acknowledgement of TLS' last word, which Linux delays by 40 ms. Each watch takes a
/// connection for itself, so that the step after a `wait` needs a new one nearly always.
/// Through a proxy the client is kube's, and that wait stays.
pub(super) fn client(config: Config) -> kube::Result<Client> {
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp())?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(DecompressionLayer::new().gzip(!config.disable_compression))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(Wire::builder(TokioExecutor::new()).build(connector));
    Ok(Client::new(service, config.default_namespace))
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
    use http::Uri;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn connections_hold_nothing_back() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: Uri = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let stream = tcp().oneshot(uri).await.unwrap();
        assert!(stream.inner().nodelay().unwrap());
    }
}
