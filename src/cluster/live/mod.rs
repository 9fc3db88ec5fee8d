//! The live side of the port: a cluster from a kubeconfig, helm's binary, real downloads.

mod certificate;
mod client;
mod connect;
mod error;
mod fetch;
mod helm;
mod helm_answer;
mod kubeconfig;
mod local;
mod proxy;
mod reach;
mod settings;

pub use connect::{Live, LiveOptions};
pub use error::ConnectError;
pub use helm_answer::HelmSaid;
pub use local::Local;
pub use settings::{ContextSettings, Settings, SettingsError};

#[cfg(test)]
mod server;
