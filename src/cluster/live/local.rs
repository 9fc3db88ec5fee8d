use std::path::Path;

use super::fetch::Downloads;
use crate::clock::Clock;
use crate::cluster::{
    Answer, ChartRequest, Cluster, Fetch, Helm, HelmCall, HelmError, NoCluster, Release, install_tls,
};
use crate::event::{Class, ClusterIdentity};

/// No cluster at all: for plans without objects and cluster verbs. Downloads, local
/// programs and the time are real.
pub struct Local {
    downloads: Downloads,
    clock: Clock,
}

impl Local {
    /// `cache` is the folder for downloads, `user_agent` who we are to their servers.
    pub fn new(cache: &Path, user_agent: &str) -> Self {
        install_tls();
        Self { downloads: Downloads::new(cache.join("downloads"), user_agent), clock: Clock::real() }
    }
}

impl Cluster for Local {
    fn client(&self) -> Result<kube::Client, NoCluster> {
        Err(NoCluster)
    }

    fn helm(&self) -> &dyn Helm {
        &NoHelm
    }

    fn fetch(&self) -> &dyn Fetch {
        &self.downloads
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    fn identity(&self) -> Option<ClusterIdentity> {
        None
    }
}

/// Helm where there is no cluster for it.
struct NoHelm;

fn refuse<'a, T: Send + 'a>() -> Answer<'a, T, HelmError> {
    let error =
        HelmError { class: Class::Missing, message: NoCluster.to_string(), stderr: String::new(), passing: false };
    Box::pin(std::future::ready(Err(error)))
}

impl Helm for NoHelm {
    fn install<'a>(&'a self, _: &'a ChartRequest, _: &'a HelmCall) -> Answer<'a, Release, HelmError> {
        refuse()
    }

    fn upgrade<'a>(&'a self, _: &'a ChartRequest, _: &'a HelmCall) -> Answer<'a, Release, HelmError> {
        refuse()
    }

    fn rollback<'a>(&'a self, _: &'a str, _: Option<u64>, _: &'a HelmCall) -> Answer<'a, Release, HelmError> {
        refuse()
    }

    fn uninstall<'a>(&'a self, _: &'a str, _: &'a HelmCall) -> Answer<'a, bool, HelmError> {
        refuse()
    }

    fn status<'a>(&'a self, _: &'a str, _: &'a HelmCall) -> Answer<'a, Option<Release>, HelmError> {
        refuse()
    }

    fn version(&self) -> Answer<'_, String, HelmError> {
        refuse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_cluster_only_the_cluster_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let local = Local::new(dir.path(), "lariat/test");
        assert!(local.identity().is_none() && local.processes());
        let helm = local.helm().version().await.unwrap_err();
        assert_eq!(helm.class, Class::Missing);
        let client = local.client().err().expect("there is no cluster");
        assert_eq!(client.to_string(), helm.message);
    }
}
