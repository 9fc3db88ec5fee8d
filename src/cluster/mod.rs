//! What steps may touch: the port, and its live side.
//!
//! The port is narrow: a client of the API server, helm, downloads, a clock.
//! Nobody behind it knows which steps there are.

mod apart;
mod fetch;
mod helm;
mod live;
mod port;
mod process;
mod tls;

pub use crate::event::ClusterIdentity;
pub use apart::{Apart, reaches_out};
pub use fetch::{Fetch, FetchError, FetchTrouble, Wanted};
pub use helm::{ChartRequest, Helm, HelmCall, HelmError, Hook, Release};
pub use live::{ConnectError, ContextSettings, HelmSaid, Live, LiveOptions, Local, Settings, SettingsError};
pub use port::{Answer, Cluster, Fetched, NoCluster, Progressed, Strike};
pub use process::{Captured, Ended, Heard, Program, Running, StartError};
pub use tls::install_tls;
