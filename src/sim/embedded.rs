use kube::Client;

use super::longhorn::{Longhorn, WRONGS};
use super::{Charts, Internet, Setup, StandInHelm, World, lab};
use crate::clock::Clock;
use crate::cluster::{Cluster, ClusterIdentity, Fetch, Helm, NoCluster};

/// An embedded cluster behind the port: API server, nodes, controllers, helm, internet.
///
/// Must be made and used on the runtime of [`World::runtime`].
pub struct Embedded {
    world: World,
    helm: StandInHelm,
    longhorn: Longhorn,
    internet: Internet,
    identity: ClusterIdentity,
}

impl Embedded {
    /// A cluster with three ready nodes that knows Longhorn's and the lab's images and charts.
    pub fn new(seed: u64) -> Self {
        Self::with(Setup::seeded(seed))
    }

    /// The same from another beginning.
    pub fn with(setup: Setup) -> Self {
        let seed = setup.seed;
        let world = World::new(setup);
        let internet = Internet::default();
        lab::images(&world, &internet);
        let mut charts = Charts::default();
        for version in ["1.0.0", "2.0.0"] {
            charts.add(lab::gadget(version));
        }
        let longhorn = Longhorn::into(&world, &mut charts, &internet);
        let helm = StandInHelm::new(world.api().client_as("helm"), world.clock(), charts);
        let identity = ClusterIdentity {
            context: "embedded".to_owned(),
            server: format!("embedded cluster, virtual time, seed {seed}"),
            version: "v1.34.4".to_owned(),
            nodes: Some(world.nodes().len()),
            embedded: true,
        };
        Self { world, helm, longhorn, internet, identity }
    }

    /// What runs in it.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Builds a wrong into its Longhorn, by its name. False if there is none of that name.
    pub fn wrong(&self, name: &str) -> bool {
        self.longhorn.wrong(name)
    }

    /// The wrongs that can be built in: their names, and what they do.
    pub fn wrongs() -> impl Iterator<Item = (&'static str, &'static str)> {
        WRONGS.iter().map(|wrong| (wrong.name, wrong.about))
    }

    /// How many finished files of backing images were deleted on its nodes' disks so far.
    pub fn deletions(&self) -> usize {
        self.longhorn.deletions()
    }

    /// What can be downloaded from in it.
    pub fn internet(&self) -> &Internet {
        &self.internet
    }
}

impl Cluster for Embedded {
    fn client(&self) -> Result<Client, NoCluster> {
        Ok(self.world.client())
    }

    fn helm(&self) -> &dyn Helm {
        &self.helm
    }

    fn fetch(&self) -> &dyn Fetch {
        &self.internet
    }

    fn clock(&self) -> Clock {
        self.world.clock()
    }

    fn identity(&self) -> Option<ClusterIdentity> {
        Some(self.identity.clone())
    }

    fn processes(&self) -> bool {
        false
    }
}
