//! A whole cluster in this process: API server, nodes, controllers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::api::{Api, Options, StandIns};
use super::control::{
    Attach, Chance, Image, Machines, Process, Runs, Setting, Span, controller_manager, kubelet, node_object, ring,
    scheduler, timing,
};
use crate::clock::Clock;

/// A cluster that runs as long as it is held. Clones are the same cluster.
///
/// It wants to live on a current-thread runtime with paused time ([`World::runtime`]): then
/// hours pass in milliseconds, and the same seed does the same things in the same order.
#[derive(Clone, Debug)]
pub struct World {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    api: Api,
    machines: Machines,
    setup: Setup,
    processes: Mutex<BTreeMap<String, Process>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.processes.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        self.machines.end();
    }
}

/// What a cluster begins with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Everything that is by chance.
    pub seed: u64,
    /// The names of the nodes.
    pub nodes: Vec<String>,
    /// When its clock begins: 2026-01-01T00:00:00Z, if nobody says otherwise.
    pub start: jiff::Timestamp,
}

impl Default for Setup {
    fn default() -> Self {
        let nodes = ["n1", "n2", "n3"].map(str::to_owned).to_vec();
        Self { seed: 1, nodes, start: Options::new().clock.start() }
    }
}

impl Setup {
    /// Three nodes, and this seed.
    pub fn seeded(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }
}

/// The agents of the processes that run in every cluster.
const MANAGER: &str = "kube-controller-manager";
const SCHEDULER: &str = "kube-scheduler";
const KUBELET: &str = "kubelet";

impl World {
    /// The runtime on which time is virtual and the same seed gives the same run.
    pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()
    }

    /// A cluster whose nodes are ready, with nothing on them.
    pub fn new(setup: Setup) -> Self {
        let options = Options {
            seed: setup.seed,
            clock: Clock::starting_at(setup.start),
            stand_ins: StandIns { pods_vanish: None, garbage_collected: false, namespaces_empty: false },
            ..Options::new()
        };
        let api = Api::new(options);
        let machines = Machines::new(setup.seed, api.clock(), &setup.nodes);
        api.kubelets(machines.clone());
        for (at, name) in setup.nodes.iter().enumerate() {
            api.put(node_object(name, at + 1, api.clock().now()))
                .expect("a node's object is one that the server takes");
        }
        let world = Self { shared: Arc::new(Shared { api, machines, setup, processes: Mutex::default() }) };
        world.run(MANAGER, "", controller_manager());
        world.run(SCHEDULER, "", vec![scheduler()]);
        for name in world.nodes() {
            world.start_kubelet(&name);
        }
        world
    }

    /// The API server.
    pub fn api(&self) -> &Api {
        &self.shared.api
    }

    /// A client of it; exec works.
    pub fn client(&self) -> kube::Client {
        self.shared.api.client()
    }

    /// The time.
    pub fn clock(&self) -> Clock {
        self.shared.api.clock()
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.shared.setup.seed
    }

    /// A stream of chance of its own for whatever has this name.
    pub fn chance(&self, name: &str) -> Chance {
        Chance::of(self.shared.setup.seed, name)
    }

    /// The machines: what runs, and their disks.
    pub fn machines(&self) -> &Machines {
        &self.shared.machines
    }

    /// The names of the nodes.
    pub fn nodes(&self) -> Vec<String> {
        self.shared.setup.nodes.clone()
    }

    /// Registers what an image does, by its name with or without tag, or by the last parts of its name.
    pub fn image(&self, name: &str, program: impl Image + 'static) {
        self.shared.machines.register(name, program);
    }

    /// Who brings persistent volumes to nodes.
    pub fn attach_with(&self, attach: impl Attach + 'static) {
        self.shared.machines.attach_with(attach);
    }

    /// Controllers as a process of their own, which its holder kills by dropping it. `agent` is the
    /// user agent, whose first word owns the fields that it writes; `host` the node it runs on, or empty.
    pub fn process(&self, agent: &str, host: &str, controllers: Vec<Box<dyn Runs>>) -> Process {
        Process::start(self.setting(agent, host, timing::WRITE), controllers)
    }

    /// What a process needs, for one that is started elsewhere: from a program in a container, say.
    pub fn setting(&self, agent: &str, host: &str, latency: Span) -> Setting {
        Setting {
            client: self.shared.api.direct_client(),
            clock: self.clock(),
            agent: agent.to_owned(),
            host: host.to_owned(),
            seed: self.seed(),
            latency,
        }
    }

    /// Controllers as a process of the cluster: it runs until [`Self::kill`].
    pub fn run(&self, agent: &str, host: &str, controllers: Vec<Box<dyn Runs>>) {
        let process = self.process(agent, host, controllers);
        self.processes().insert(name(agent, host), process);
    }

    /// Kills a process of the cluster, such as `kube-scheduler` or the `kubelet` of a host. False if there is none.
    pub fn kill(&self, agent: &str, host: &str) -> bool {
        self.processes().remove(&name(agent, host)).is_some()
    }

    /// Starts the kubelet of a node, anew if one runs. It finds what runs on its machine.
    pub fn start_kubelet(&self, node: &str) {
        self.start_kubelet_with(node, timing::WRITE);
    }

    /// The same, with so long until each of its writes reaches the server.
    pub fn start_kubelet_with(&self, node: &str, latency: Span) {
        self.kill(KUBELET, node);
        let setting = self.setting(KUBELET, node, latency);
        let process = Process::start(setting, kubelet(&self.shared.machines, node));
        ring(&self.shared.machines, node, &process.bell());
        self.processes().insert(name(KUBELET, node), process);
    }

    /// A node's power fails: its kubelet and all that runs there are gone at once.
    pub fn node_down(&self, node: &str) {
        self.kill(KUBELET, node);
        self.shared.machines.cut_off(node);
    }

    /// A node can no longer reach the API server; what runs there runs on.
    pub fn node_cut_off(&self, node: &str) {
        self.kill(KUBELET, node);
    }

    /// A node comes back: its kubelet starts.
    pub fn node_up(&self, node: &str) {
        self.start_kubelet(node);
    }

    /// Lets time pass.
    pub async fn pass(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    fn processes(&self) -> MutexGuard<'_, BTreeMap<String, Process>> {
        self.shared.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(agent: &str, host: &str) -> String {
    format!("{agent}/{host}")
}

#[cfg(test)]
mod tests {
    use super::super::control::{Behaviour, Life, Start};
    use super::*;

    /// A program that could do something with the cluster that it runs in.
    struct Inhabitant {
        _api: Api,
    }

    impl Image for Inhabitant {
        fn start(&self, start: &Start, chance: &mut Chance) -> Life {
            Behaviour::sleeps().start(start, chance)
        }
    }

    #[test]
    fn nothing_of_a_cluster_outlives_it() {
        let runtime = World::runtime().unwrap();
        let mark = Arc::new(());
        let held = mark.clone();
        runtime.block_on(async move {
            let world = World::new(Setup::default());
            world.image("inhabitant", Inhabitant { _api: world.api().clone() });
            // The server holds the mark for as long as there is a server.
            world.api().pod_program("default", "a", move |_: &super::super::api::Exec| {
                let _ = &held;
                super::super::api::Answer::default()
            });
            world.pass(Duration::from_secs(5)).await;
        });
        drop(runtime);
        assert_eq!(Arc::strong_count(&mark), 1, "the server is still there");
    }
}
