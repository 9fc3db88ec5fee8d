use std::sync::{Mutex, PoisonError};

use kube::Client;
use tokio::sync::mpsc;

use super::fault::{Injected, inject};
use super::longhorn::{Longhorn, WRONGS};
use super::{Charts, Fault, Internet, Place, Setup, StandInHelm, World, lab};
use crate::clock::Clock;
use crate::cluster::{Cluster, ClusterIdentity, Fetch, Helm, NoCluster, Strike};

/// An embedded cluster behind the port: API server, nodes, controllers, helm, internet.
///
/// Must be made and used on the runtime of [`World::runtime`].
pub struct Embedded {
    world: World,
    helm: StandInHelm,
    longhorn: Longhorn,
    internet: Internet,
    identity: ClusterIdentity,
    strikes: Mutex<Option<mpsc::UnboundedReceiver<Strike>>>,
    injected: Mutex<Vec<Injected>>,
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
        Self { world, helm, longhorn, internet, identity, strikes: Mutex::default(), injected: Mutex::default() }
    }

    /// Lets faults strike it, with their times counted from now.
    pub fn inject(&self, faults: &[Fault]) {
        let (tell, strikes) = mpsc::unbounded_channel();
        for fault in faults.iter().filter(|fault| fault.kind().place == Place::Longhorn) {
            self.longhorn.wrong(fault.kind().name);
            // The receiver is in the line above.
            let _ = tell.send(Strike { fault: fault.to_string(), what: format!("built in: {}", fault.kind().does) });
        }
        if !faults.is_empty() {
            self.longhorn.excuse();
        }
        let injected = inject(faults, &self.world, &self.internet, &tell);
        self.injected.lock().unwrap_or_else(PoisonError::into_inner).push(injected);
        *self.strikes.lock().unwrap_or_else(PoisonError::into_inner) = Some(strikes);
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

    /// Which invariants of the embedded Longhorn itself were broken so far: each is a mistake of the
    /// imitation, and what was tested on it proves nothing.
    pub fn broken(&self) -> Vec<String> {
        self.longhorn.broken()
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
        Ok(self.world.api().client_as(concat!("lariat/", env!("CARGO_PKG_VERSION"))))
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

    fn mistake(&self) -> Option<String> {
        let first = self.broken().into_iter().next()?;
        Some(format!("the embedded Longhorn broke a rule that it must keep whatever is tested: {first}"))
    }

    fn strikes(&self) -> Option<mpsc::UnboundedReceiver<Strike>> {
        self.strikes.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
