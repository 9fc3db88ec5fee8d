use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderValue, header};
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::config::KubeConfigOptions;
use kube::{Api, Client, Config};
use tokio::time::timeout;

use super::client::client;
use super::fetch::Downloads;
use super::helm::Binary;
use super::kubeconfig::{self, Access};
use super::reach::Place;
use super::{ConnectError, proxy};
use crate::clock::Clock;
use crate::cluster::{Cluster, Fetch, Helm, NoCluster, install_tls};
use crate::event::ClusterIdentity;

/// Until a connection stands, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// Until the server told its version. Long, since it may have to ask others who we are.
const ANSWER: Duration = Duration::from_secs(15);
/// Until a request is written. There is no bound on reading: a watch may be silent for minutes.
const WRITE: Duration = Duration::from_secs(30);

/// Which cluster, and what is used beside it.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// The kubeconfig; without one KUBECONFIG and the home folder count, as for kubectl.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it. Never the current one: it is named, or it is not used.
    pub context: String,
    /// Helm's binary, a name in `PATH` or a path.
    pub helm: PathBuf,
    /// The folder for downloads and for helm's own cache.
    pub cache: PathBuf,
    /// Who we are to every server, such as `lariat/0.1.0`.
    pub user_agent: String,
}

/// A real cluster.
pub struct Live {
    client: Client,
    helm: Binary,
    downloads: Downloads,
    clock: Clock,
    identity: ClusterIdentity,
}

impl Live {
    /// Finds the context, asks the server for its version, and changes nothing.
    pub async fn connect(options: LiveOptions) -> Result<Self, ConnectError> {
        install_tls();
        let LiveOptions { kubeconfig, context, helm, cache, user_agent } = options;
        let clock = Clock::real();
        let found = kubeconfig::find(kubeconfig.as_deref())?;
        let access = found.context(&context)?;
        let choice = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
        let mut place = Place {
            server: String::new(),
            proxy: None,
            context: context.clone(),
            plugin: access.user.exec.as_ref().and_then(|exec| exec.command.clone()),
            certificate_ends: access.certificate_ends(),
            now: clock.now(),
        };
        let config = Config::from_custom_kubeconfig(found.config, &choice).await;
        let mut config = config.map_err(|error| place.unusable(error.to_string()))?;
        settle(&mut config, &access, &user_agent).map_err(|why| place.unusable(why))?;
        let server = config.cluster_url.to_string();
        server.trim_end_matches('/').clone_into(&mut place.server);
        place.proxy = config.proxy_url.as_ref().map(ToString::to_string);
        // A credential plugin is run here, and may ask its user.
        let client = tokio::task::spawn_blocking(move || client(config)).await;
        let client = client.expect("making a client does not panic").map_err(|error| place.explain(&error))?;
        let identity = identify(&client, &place).await?;
        Ok(Self {
            client,
            helm: Binary::new(helm, found.files, context, &cache.join("helm")),
            downloads: Downloads::new(cache.join("downloads"), &user_agent),
            clock,
            identity,
        })
    }
}

/// What Lariat wants of a connection, whatever the kubeconfig says.
fn settle(config: &mut Config, access: &Access, user_agent: &str) -> Result<(), String> {
    if config.root_cert.as_ref().is_some_and(Vec::is_empty) {
        return Err("its certificate authority holds no certificate".to_owned());
    }
    let agent = HeaderValue::from_str(user_agent).map_err(|error| error.to_string())?;
    config.connect_timeout = Some(CONNECT);
    config.write_timeout = Some(WRITE);
    config.read_timeout = None;
    // Whoever asks decides what is asked again, and journals it.
    config.default_retry = false;
    config.headers.push((header::USER_AGENT, agent));
    let no_proxy = ["NO_PROXY", "no_proxy"].into_iter().find_map(|name| std::env::var(name).ok());
    let host = config.cluster_url.host().unwrap_or_default();
    if !access.has_proxy && proxy::is_passed_by(host, no_proxy.as_deref()) {
        config.proxy_url = None;
    }
    Ok(())
}

async fn identify(client: &Client, place: &Place) -> Result<ClusterIdentity, ConnectError> {
    let version = timeout(ANSWER, client.apiserver_version()).await;
    let version = version.map_err(|_| place.silent(ANSWER))?.map_err(|error| place.explain(&error))?;
    // One node and how many more there are. Not everybody may ask.
    let nodes: Api<Node> = Api::all(client.clone());
    let one = ListParams::default().limit(1);
    let listed = timeout(ANSWER, nodes.list_metadata(&one)).await.ok().and_then(Result::ok);
    let count = listed.map(|list| {
        let more = list.metadata.remaining_item_count.unwrap_or_default();
        list.items.len() + usize::try_from(more).unwrap_or_default()
    });
    Ok(ClusterIdentity {
        context: place.context.clone(),
        server: place.server.clone(),
        version: version.git_version,
        nodes: count,
        embedded: false,
    })
}

impl Cluster for Live {
    fn client(&self) -> Result<Client, NoCluster> {
        Ok(self.client.clone())
    }

    fn helm(&self) -> &dyn Helm {
        &self.helm
    }

    fn fetch(&self) -> &dyn Fetch {
        &self.downloads
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    fn identity(&self) -> Option<ClusterIdentity> {
        Some(self.identity.clone())
    }
}

#[cfg(test)]
mod tests;
