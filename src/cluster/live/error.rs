use std::path::PathBuf;

use jiff::Timestamp;

use crate::event::Class;
use crate::text;

/// Why there is no way to a real cluster. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// None of the files that could be the kubeconfig is there.
    #[error("the kubeconfig {} is not there; name another in `lariat.toml` or in KUBECONFIG", paths(looked))]
    FindKubeconfig {
        /// Where it was looked for; none without a home folder.
        looked: Vec<PathBuf>,
    },
    /// It is there and can't be read.
    #[error("the kubeconfig `{}` can't be read", path.display())]
    ReadKubeconfig {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not a kubeconfig.
    #[error("the kubeconfig `{}` is not one: {reason}", path.display())]
    ParseKubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong in it, with its place where that is known.
        reason: String,
    },
    /// It has no context of that name.
    #[error("the kubeconfig {} has no context `{context}`; {}", paths(files), contexts(context, known))]
    FindContext {
        /// What was asked for.
        context: String,
        /// The files that were read.
        files: Vec<PathBuf>,
        /// The contexts in them.
        known: Vec<String>,
    },
    /// The context leads to something that the kubeconfig does not have.
    #[error("the context `{context}` {lack}; mend it in the kubeconfig {}", paths(files))]
    ReadContext {
        /// The context.
        context: String,
        /// What it lacks, as the rest of the sentence.
        lack: String,
        /// The files that were read.
        files: Vec<PathBuf>,
    },
    /// A certificate, key or proxy in the kubeconfig can't be used.
    #[error("the context `{context}` can't be used: {why}")]
    UseContext {
        /// The context.
        context: String,
        /// What is wrong with it.
        why: String,
    },
    /// The credential plugin or token file of the user gave no credentials.
    #[error("the user of the context `{context}` has no credentials: {why}")]
    Credentials {
        /// The context.
        context: String,
        /// What went wrong.
        why: String,
    },
    /// Nobody answers.
    #[error("the API server {server} can't be reached: {how}; is it running, and is this its address?")]
    Reach {
        /// Its address.
        server: String,
        /// What happened, such as `connection refused`.
        how: String,
    },
    /// The server's certificate is not accepted.
    #[error("the certificate of the API server {server} is not accepted: {why}")]
    TrustServer {
        /// Its address.
        server: String,
        /// What is wrong with it, and what to try.
        why: String,
    },
    /// The client certificate in the kubeconfig is over.
    #[error("the client certificate of the context `{context}` expired on {ended}; get a new one")]
    Expired {
        /// The context.
        context: String,
        /// When it ended.
        ended: Timestamp,
    },
    /// The server does not know who asks.
    #[error("the API server {server} does not accept the credentials of the context `{context}`: {said}")]
    Authenticate {
        /// Its address.
        server: String,
        /// The context.
        context: String,
        /// What the server said.
        said: String,
    },
    /// The server knows who asks and does not even tell its version.
    #[error("the API server {server} refuses to tell its version: {said}")]
    Authorize {
        /// Its address.
        server: String,
        /// What the server said.
        said: String,
    },
    /// Something answers that is no API server, or one in trouble.
    #[error("{server} does not answer like an API server: {why}; is this its address?")]
    Understand {
        /// Its address.
        server: String,
        /// What came instead.
        why: String,
    },
}

impl ConnectError {
    /// What kind of failure it is.
    pub fn class(&self) -> Class {
        match self {
            Self::FindKubeconfig { .. } | Self::FindContext { .. } | Self::ReadContext { .. } => Class::Missing,
            Self::ReadKubeconfig { .. }
            | Self::ParseKubeconfig { .. }
            | Self::UseContext { .. }
            | Self::TrustServer { .. }
            | Self::Understand { .. } => Class::Broken,
            Self::Reach { .. } => Class::Unreachable,
            Self::Credentials { .. } | Self::Expired { .. } | Self::Authenticate { .. } | Self::Authorize { .. } => {
                Class::Forbidden
            }
        }
    }
}

fn paths(files: &[PathBuf]) -> String {
    let files: Vec<String> = files.iter().map(|file| format!("`{}`", file.display())).collect();
    if files.is_empty() { "`~/.kube/config`".to_owned() } else { text::or(&files) }
}

fn contexts(wanted: &str, known: &[String]) -> String {
    if known.is_empty() {
        return "it has none".to_owned();
    }
    let ticked: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    let suggestion = text::suggest(wanted, known.iter().map(String::as_str));
    let suggestion = suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    format!("it has {}{suggestion}", text::and(&ticked))
}
