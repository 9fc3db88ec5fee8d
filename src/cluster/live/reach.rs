use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use kube::client::AuthError;
use rustls::{AlertDescription, CertificateError};

use super::ConnectError;
use crate::text;

/// Where a connection was tried: what an error's sentence is made of.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) server: String,
    pub(super) proxy: Option<String>,
    pub(super) context: String,
    /// The program that gives credentials, if one does.
    pub(super) plugin: Option<String>,
    /// When the client certificate ends, if there is one.
    pub(super) certificate_ends: Option<Timestamp>,
    pub(super) now: Timestamp,
}

impl Place {
    /// A server that takes the connection and then says nothing.
    pub(super) fn silent(&self, waited: Duration) -> ConnectError {
        self.unreached(&format!("no answer within {}", text::duration(waited)))
    }

    /// Says what an error of the first request means.
    ///
    /// kube hands on what happened below it as a chain of boxes; the deepest one
    /// that is known decides.
    pub(super) fn explain(&self, error: &kube::Error) -> ConnectError {
        match error {
            kube::Error::Api(status) => match status.code {
                401 => return self.unknown(&format!("401, {}", status.message)),
                403 => {
                    return ConnectError::Authorize { server: self.server.clone(), said: status.message.clone() };
                }
                code => return self.strange(format!("it says {code}, {}", status.message)),
            },
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => {
                return self.strange("its version can't be read".to_owned());
            }
            kube::Error::InferKubeconfig(why) => return self.unusable(why.to_string()),
            kube::Error::RustlsTls(why) => return self.unusable(why.to_string()),
            _ => {}
        }
        let chain = chain(error);
        let mut tls = chain.iter().filter_map(|cause| cause.downcast_ref::<rustls::Error>());
        if let Some(tls) = tls.next() {
            return self.explain_tls(tls);
        }
        if let Some(auth) = chain.iter().find_map(|cause| cause.downcast_ref::<AuthError>()) {
            let why = lacking(auth, self.plugin.as_deref().unwrap_or_default());
            return ConnectError::Credentials { context: self.context.clone(), why };
        }
        let system = chain.iter().rev().find_map(|cause| cause.downcast_ref::<io::Error>());
        let last = chain.last().map(ToString::to_string).unwrap_or_default();
        let how = match system.map(io::Error::kind) {
            _ if chain.iter().any(|cause| cause.to_string() == "dns error") => {
                format!("its name is not known ({last})")
            }
            Some(io::ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
            Some(io::ErrorKind::TimedOut) => "no connection in time".to_owned(),
            _ => last,
        };
        self.unreached(&how)
    }

    fn explain_tls(&self, tls: &rustls::Error) -> ConnectError {
        match tls {
            rustls::Error::InvalidCertificate(reason) => {
                ConnectError::TrustServer { server: self.server.clone(), why: blame(reason) }
            }
            rustls::Error::AlertReceived(alert) if speaks_of_ours(*alert) => {
                self.unknown(&format!("it refused the client certificate ({alert:?})"))
            }
            rustls::Error::InvalidMessage(_) => self.strange("it speaks no TLS".to_owned()),
            other => self.unreached(&other.to_string()),
        }
    }

    /// Something in the kubeconfig stands in the way.
    pub(super) fn unusable(&self, why: String) -> ConnectError {
        ConnectError::UseContext { context: self.context.clone(), why }
    }

    fn unreached(&self, how: &str) -> ConnectError {
        let through = self.proxy.as_deref().map(|proxy| format!(", through the proxy {proxy}"));
        ConnectError::Reach { server: self.server.clone(), how: format!("{how}{}", through.unwrap_or_default()) }
    }

    /// The server does not take our credentials; an expired certificate is reason enough.
    fn unknown(&self, said: &str) -> ConnectError {
        match self.certificate_ends {
            Some(ended) if ended < self.now => ConnectError::Expired { context: self.context.clone(), ended },
            _ => ConnectError::Authenticate {
                server: self.server.clone(),
                context: self.context.clone(),
                said: said.to_owned(),
            },
        }
    }

    fn strange(&self, why: String) -> ConnectError {
        ConnectError::Understand { server: self.server.clone(), why }
    }
}

/// Why there are no credentials. Never with what a plugin printed on its output:
/// that is where tokens are.
fn lacking(error: &AuthError, plugin: &str) -> String {
    match error {
        AuthError::AuthExecStart(source) => {
            format!("the credential plugin `{plugin}` can't be started: {source}")
        }
        AuthError::AuthExecRun { out, .. } => {
            let said = String::from_utf8_lossy(&out.stderr);
            let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            format!("the credential plugin `{plugin}` ended with {}: {last}", out.status)
        }
        other => other.to_string(),
    }
}

/// What is wrong with a server's certificate, and what to try.
fn blame(reason: &CertificateError) -> String {
    let day = |time: &rustls::pki_types::UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Timestamp::from_second(seconds).map_or_else(|_| "a day far off".to_owned(), |time| time.to_string())
    };
    match reason {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("it expired on {}; renew it, or set this machine's clock right", day(not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("it is valid only from {} on; is this machine's clock right?", day(not_before))
        }
        CertificateError::UnknownIssuer => {
            "it is signed by an authority that the kubeconfig does not name (`certificate-authority`)".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "it is for {}, not for `{}`; use one of its names, or set `tls-server-name` in the kubeconfig",
            text::and(&presented.iter().map(|name| bare(name)).collect::<Vec<_>>()),
            expected.to_str()
        ),
        other => other.to_string(),
    }
}

/// A name of a certificate, which rustls gives as `DnsName("localhost")`.
fn bare(name: &str) -> &str {
    let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(name).trim_matches('"')
}

/// Whether an alert is about the certificate that we sent.
fn speaks_of_ours(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

/// Whether an error of any HTTP stack is about the other side's certificate.
pub(super) fn is_about_certificates(error: &(dyn StdError + 'static)) -> bool {
    let tls = chain(error).into_iter().find_map(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

/// An error and all below it. An `io::Error` hides what it was made of from
/// `source()`, which is where TLS errors are.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    let mut all: Vec<&'a (dyn StdError + 'static)> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        all.push(cause);
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => cause.source(),
        };
    }
    all
}
