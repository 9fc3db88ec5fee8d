use std::error::Error as _;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::cluster::live::server::{Reply, Server};

const AUTHORITY: &str = include_str!("../testdata/ca.pem");
const GOOD: &str = include_str!("../testdata/server.pem");
const EXPIRED: &str = include_str!("../testdata/expired.pem");
const KEY: &str = include_str!("../testdata/key.pem");

const VERSION: &str = r#"{"major":"1","minor":"34","gitVersion":"v1.34.4","gitCommit":"","gitTreeState":"","buildDate":"","goVersion":"","compiler":"","platform":""}"#;

/// Connects with a kubeconfig that has one cluster and one user of these fields.
async fn connect(cluster: &str, user: &str) -> Result<Live, ConnectError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let text = format!(
        "clusters: [{{name: c, cluster: {{{cluster}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n\
         contexts: [{{name: lab, context: {{cluster: c, user: u}}}}]\n"
    );
    std::fs::write(&path, text).unwrap();
    Live::connect(LiveOptions {
        kubeconfig: Some(path),
        context: "lab".to_owned(),
        helm: "helm".into(),
        cache: folder.path().join("cache"),
        user_agent: "lariat/test".to_owned(),
    })
    .await
}

async fn refused(cluster: &str, user: &str) -> String {
    let error = connect(cluster, user).await.err().expect("there is no connection");
    let below = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    let said = format!("{}: {error}{below}", error.class());
    let port = regex::Regex::new(r"127\.0\.0\.1:\d+").unwrap();
    port.replace_all(&said, "HOST").into_owned()
}

fn status(code: u16, words: &'static str, message: &str) -> Reply {
    let body = format!(
        r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{message}","reason":"x","code":{code}}}"#
    );
    Reply::new(words).header("content-type", "application/json").body(body.as_bytes())
}

/// A server that answers one connection with TLS and this certificate.
fn tls(certificate: &str) -> String {
    install_tls();
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let _ = stream.read(&mut [0; 4096]);
        let answer =
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{VERSION}", VERSION.len());
        let _ = stream.write_all(answer.as_bytes());
    });
    format!("https://{address}")
}

/// The address, with TLS, of a server that speaks none.
fn plain() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    format!("https://{address}")
}

fn base64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

#[tokio::test]
async fn a_server_is_known_by_its_version_and_nodes() {
    let server = Server::start(|asked, _| {
        let nodes = r#"{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"remainingItemCount":2},"items":[{"metadata":{"name":"n1"}}]}"#;
        let body = if asked.path.starts_with("/version") { VERSION } else { nodes };
        Reply::new("200 OK").header("content-type", "application/json").body(body.as_bytes())
    })
    .await;
    let live = connect(&format!("server: '{}'", server.url("/")), "token: t").await.unwrap();
    let identity = live.identity().unwrap();
    assert_eq!((identity.version.as_str(), identity.nodes, identity.context.as_str()), ("v1.34.4", Some(3), "lab"));
    assert_eq!(identity.server, server.url(""));
    let asked = &server.heard()[0];
    assert_eq!((asked.header("user-agent"), asked.header("authorization")), (Some("lariat/test"), Some("Bearer t")));
}

#[tokio::test]
async fn nodes_may_be_out_of_bounds() {
    let server = Server::start(|asked, _| match asked.path.as_str() {
        "/version" => Reply::new("200 OK").body(VERSION.as_bytes()),
        _ => status(403, "403 Forbidden", "nodes is forbidden"),
    })
    .await;
    let live = connect(&format!("server: '{}'", server.url("/")), "token: t").await.unwrap();
    assert_eq!(live.identity().unwrap().nodes, None);
}

#[tokio::test]
async fn a_port_where_nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    insta::assert_snapshot!(refused(&format!("server: 'https://{port}'"), "token: t").await, @"unreachable: the API server https://HOST can't be reached: connection refused; is it running, and is this its address?");
    insta::assert_snapshot!(refused(&format!("server: 'https://{port}', proxy-url: 'http://{port}'"), "token: t").await, @"unreachable: the API server https://HOST can't be reached: connection refused, through the proxy http://HOST/; is it running, and is this its address?");
    insta::assert_snapshot!(refused("server: 'https://no-such-host.invalid'", "token: t").await.split('(').next().unwrap(), @"unreachable: the API server https://no-such-host.invalid can't be reached: its name is not known");
}

#[tokio::test]
async fn who_is_not_known_or_not_allowed() {
    let server = Server::start(|_, _| status(401, "401 Unauthorized", "Unauthorized")).await;
    let at = format!("server: '{}'", server.url(""));
    insta::assert_snapshot!(refused(&at, "token: t").await, @"forbidden: the API server http://HOST does not accept the credentials of the context `lab`: 401, Unauthorized");
    let expired = format!("client-certificate-data: {}, client-key-data: {}", base64(EXPIRED), base64(KEY));
    insta::assert_snapshot!(refused(&at, &expired).await, @"forbidden: the client certificate of the context `lab` expired on 2021-02-03T04:05:06Z; get a new one");
    let fine = format!("client-certificate-data: {}, client-key-data: {}", base64(GOOD), base64(KEY));
    insta::assert_snapshot!(refused(&at, &fine).await, @"forbidden: the API server http://HOST does not accept the credentials of the context `lab`: 401, Unauthorized");
    let server = Server::start(|_, _| status(403, "403 Forbidden", "forbidden: User cannot get path")).await;
    insta::assert_snapshot!(refused(&format!("server: '{}'", server.url("")), "token: t").await, @"forbidden: the API server http://HOST refuses to tell its version: forbidden: User cannot get path");
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted() {
    let trust = |authority: &str| format!("certificate-authority-data: {}", base64(authority));
    let at = |url: String, trust: String| format!("server: '{url}', {trust}");
    insta::assert_snapshot!(refused(&at(tls(EXPIRED), trust(AUTHORITY)), "token: t").await, @"broken: the certificate of the API server https://HOST is not accepted: it expired on 2021-02-03T04:05:06Z; renew it, or set this machine's clock right");
    insta::assert_snapshot!(refused(&at(tls(GOOD), trust(GOOD)), "token: t").await, @"broken: the certificate of the API server https://HOST is not accepted: it is signed by an authority that the kubeconfig does not name (`certificate-authority`)");
    let named = at(tls(GOOD), format!("tls-server-name: api.example.org, {}", trust(AUTHORITY)));
    insta::assert_snapshot!(refused(&named, "token: t").await, @"broken: the certificate of the API server https://HOST is not accepted: it is for localhost and 127.0.0.1, not for `api.example.org`; use one of its names, or set `tls-server-name` in the kubeconfig");
}

#[tokio::test]
async fn something_that_is_no_api_server() {
    let server = Server::start(|_, _| Reply::new("200 OK").body(b"<html>welcome</html>")).await;
    insta::assert_snapshot!(refused(&format!("server: '{}'", server.url("")), "token: t").await, @"broken: http://HOST does not answer like an API server: its version can't be read; is this its address?");
    insta::assert_snapshot!(refused(&format!("server: '{}'", plain()), "token: t").await, @"broken: https://HOST does not answer like an API server: it speaks no TLS; is this its address?");
    let server = Server::start(|_, _| Reply::new("404 Not Found").body(b"no such page")).await;
    insta::assert_snapshot!(refused(&format!("server: '{}'", server.url("")), "token: t").await, @"broken: http://HOST does not answer like an API server: it says 404, no such page; is this its address?");
}

#[tokio::test]
async fn credentials_that_can_not_be_had() {
    let at = "server: 'https://127.0.0.1:1'";
    let plugin = |command: &str| {
        format!(
            "exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, args: [-c, '{command}'], interactiveMode: Never}}"
        )
    };
    insta::assert_snapshot!(refused(at, &plugin("echo s3cret; echo no login >&2; exit 3")).await, @"forbidden: the user of the context `lab` has no credentials: the credential plugin `sh` ended with exit status: 3: no login");
    insta::assert_snapshot!(refused(at, "exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin, interactiveMode: Never}").await, @"forbidden: the user of the context `lab` has no credentials: the credential plugin `no-such-plugin` can't be started: No such file or directory (os error 2)");
    insta::assert_snapshot!(refused(at, "tokenFile: /no/such/token").await, @r#"forbidden: the user of the context `lab` has no credentials: failed to read token file '"/no/such/token"': No such file or directory (os error 2)"#);
    insta::assert_snapshot!(refused(at, "client-certificate: /no/such/cert, client-key: /no/such/key").await, @r#"broken: the context `lab` can't be used: failed to load client certificate: failed to read file '"/no/such/cert"': No such file or directory (os error 2)"#);
    insta::assert_snapshot!(refused("server: 'https://127.0.0.1:1', certificate-authority-data: bm90IHBlbQ==", "token: t").await, @"broken: the context `lab` can't be used: its certificate authority holds no certificate");
}

#[test]
fn a_server_that_says_nothing() {
    let place = Place {
        server: "https://a".to_owned(),
        proxy: Some("http://p".to_owned()),
        plugin: None,
        context: "lab".to_owned(),
        certificate_ends: None,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    insta::assert_snapshot!(place.silent(Duration::from_secs(15)), @"the API server https://a can't be reached: no answer within 15.0s, through the proxy http://p; is it running, and is this its address?");
}
