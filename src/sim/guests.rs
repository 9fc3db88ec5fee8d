//! Nodes of this process as guests of a cluster elsewhere.

use super::control::{Image, Machines, Process, Runs, Setting, kubelet, node_object, ring};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;

/// Machines whose kubelets work on another API server, a real one for example.
///
/// Its scheduler and controllers see nodes like any others; the images that are registered do there
/// what they do in a [`World`](super::World), and controllers can be run beside them ([`Self::process`]).
/// The nodes keep whatever does not tolerate [`Self::TAINT`] away. Dropped, the kubelets are killed and
/// the nodes go stale; [`Self::leave`] takes them away.
#[derive(Debug)]
pub struct Guests {
    setting: Setting,
    machines: Machines,
    nodes: Vec<String>,
    kubelets: Vec<Process>,
}

/// Far from the numbers of nodes that the cluster has: a guest's addresses are nobody else's.
const FIRST: usize = 200;

impl Guests {
    /// The taint of the nodes: what a cluster has for itself, its daemon sets say, is not meant for guests.
    /// A label of this name with the value `true` tells them from others.
    pub const TAINT: &'static str = "lariat.dev/guest";

    /// Brings nodes of these names into the cluster of a client, and starts their kubelets.
    pub async fn join(client: kube::Client, seed: u64, nodes: &[String]) -> Result<Self, kube::Error> {
        let setting = Setting::real(client.clone(), "kubelet", seed);
        let machines = Machines::numbered(seed, setting.clock, nodes, FIRST);
        let objects: Api<k8s_openapi::api::core::v1::Node> = Api::all(client);
        let mut kubelets = Vec::new();
        for (at, name) in nodes.iter().enumerate() {
            let mut object = node_object(name, FIRST + at, setting.clock.now());
            object["metadata"]["labels"][Self::TAINT] = "true".into();
            object["spec"]["taints"] = json!([{"key": Self::TAINT, "effect": "NoSchedule"}]);
            let object = serde_json::from_value(object).expect("a node's object is a node");
            objects.create(&PostParams::default(), &object).await?;
            let setting = Setting { host: name.clone(), ..setting.clone() };
            let process = Process::start(setting, kubelet(&machines, name));
            ring(&machines, name, &process.bell());
            kubelets.push(process);
        }
        Ok(Self { setting, machines, nodes: nodes.to_vec(), kubelets })
    }

    /// The machines: what runs, and their disks.
    pub fn machines(&self) -> &Machines {
        &self.machines
    }

    /// Registers what an image does, as in a world.
    pub fn image(&self, name: &str, program: impl Image + 'static) {
        self.machines.register(name, program);
    }

    /// Controllers as a process of their own on that API server; `host` is the guest it runs on, or empty.
    pub fn process(&self, agent: &str, host: &str, controllers: Vec<Box<dyn Runs>>) -> Process {
        Process::start(self.setting(agent, host), controllers)
    }

    /// What a process there needs, for one that is started elsewhere.
    pub fn setting(&self, agent: &str, host: &str) -> Setting {
        Setting { agent: agent.to_owned(), host: host.to_owned(), ..self.setting.clone() }
    }

    /// Whether a kubelet has ended by itself: a bug.
    pub fn is_dead(&self) -> bool {
        self.kubelets.iter().any(Process::is_dead)
    }

    /// Kills the kubelets and takes the nodes out of the cluster.
    pub async fn leave(self) -> Result<(), kube::Error> {
        drop(self.kubelets);
        let objects: Api<k8s_openapi::api::core::v1::Node> = Api::all(self.setting.client.clone());
        for name in &self.nodes {
            objects.delete(name, &DeleteParams::default()).await?;
        }
        Ok(())
    }
}
