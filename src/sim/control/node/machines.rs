//! The nodes as machines: what runs, what is on their disks, which images they have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};

use super::super::chance::Chance;
use super::super::key::Key;
use super::super::process::Bell;
use super::KUBELET;
use super::ailment::{Afflicted, Ailing, Ailment, PodFilter};
use super::command::Inside;
use super::files::{Anywhere, Attach, Volume};
use super::image::{Behaviour, Image};
use super::vessel::State;
use super::worker::Worker;
use crate::clock::Clock;
use crate::sim::api::{Answer, Entered, Exec, Kubelets, LogLine, Program, Talk};

/// All machines, with the programs that they can run. Clones are the same machines.
#[derive(Clone)]
pub struct Machines {
    hall: Arc<Mutex<Hall>>,
    clock: Clock,
    printed: watch::Sender<u64>,
}

pub(super) struct Hall {
    pub(super) machines: BTreeMap<String, Machine>,
    pub(super) programs: Vec<(String, Arc<dyn Image>)>,
    pub(super) unknown: Arc<dyn Image>,
    pub(super) attach: Arc<dyn Attach>,
    pub(super) ailments: Vec<Ailing>,
}

/// One node.
pub(super) struct Machine {
    pub(super) number: usize,
    pub(super) images: BTreeSet<String>,
    pub(super) disk: Volume,
    /// By uid.
    pub(super) pods: BTreeMap<String, Worker>,
    pub(super) chance: Chance,
    pub(super) next_ip: u32,
    pub(super) bell: Option<Bell>,
}

impl fmt::Debug for Machines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hall = self.lock();
        let pods = hall.machines.iter().map(|(name, machine)| (name, machine.pods.len()));
        f.debug_map().entries(pods).finish()
    }
}

impl Machines {
    /// Machines of these names, switched on, with nothing on them.
    pub fn new(seed: u64, clock: Clock, names: &[String]) -> Self {
        Self::numbered(seed, clock, names, 1)
    }

    /// The same, with the number of the first, which its addresses are made of.
    pub(in crate::sim) fn numbered(seed: u64, clock: Clock, names: &[String], first: usize) -> Self {
        let machine = |(at, name): (usize, &String)| {
            let machine = Machine {
                number: first + at,
                images: BTreeSet::new(),
                disk: Volume::default(),
                pods: BTreeMap::new(),
                chance: Chance::of(seed, &format!("machine/{name}")),
                next_ip: 0,
                bell: None,
            };
            (name.clone(), machine)
        };
        let hall = Hall {
            machines: names.iter().enumerate().map(machine).collect(),
            programs: Vec::new(),
            unknown: Arc::new(Behaviour::unknown()),
            attach: Arc::new(Anywhere::default()),
            ailments: Vec::new(),
        };
        Self { hall: Arc::new(Mutex::new(hall)), clock, printed: watch::Sender::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Hall> {
        self.hall.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers what an image does: by its name with or without tag, or by the last parts of it
    /// (`db` is meant by `registry:5000/team/db:v2`). The one registered last wins. Containers that
    /// run already go on as they began.
    pub fn register(&self, image: &str, program: impl Image + 'static) {
        self.lock().programs.push((image.to_owned(), Arc::new(program)));
    }

    /// Who brings persistent volumes to nodes from now on.
    pub fn attach_with(&self, attach: impl Attach + 'static) {
        self.lock().attach = Arc::new(attach);
    }

    /// Puts an image on all nodes, as if pulled before.
    pub fn preload(&self, image: &str) {
        for machine in self.lock().machines.values_mut() {
            machine.images.insert(image.to_owned());
        }
    }

    /// A node's disk: what `hostPath` volumes show. `None` if there is no such node.
    pub fn disk(&self, node: &str) -> Option<Volume> {
        Some(self.lock().machines.get(node)?.disk.clone())
    }

    /// The names of all nodes.
    pub fn names(&self) -> Vec<String> {
        self.lock().machines.keys().cloned().collect()
    }

    /// The names of the containers that run on a node, as `namespace/pod/container`.
    pub fn running(&self, node: &str) -> Vec<String> {
        let hall = self.lock();
        let workers = hall.machines.get(node).into_iter().flat_map(|machine| machine.pods.values());
        let mut names: Vec<String> = workers
            .flat_map(|worker| {
                let running = worker.vessels.iter().filter(|vessel| vessel.is_running());
                running.map(|vessel| format!("{}/{}", worker.key(), vessel.name)).collect::<Vec<_>>()
            })
            .collect();
        names.sort_unstable();
        names
    }

    /// The end of the cluster: nothing runs any more, and nobody knows what images do.
    ///
    /// Some hold the API server, which asks these machines: without this nothing of a cluster would ever
    /// be freed.
    pub(in crate::sim) fn end(&self) {
        let mut hall = self.lock();
        let unknown: Arc<dyn Attach> = Arc::new(Anywhere::default());
        let attach = std::mem::replace(&mut hall.attach, unknown);
        let (programs, machines) = (std::mem::take(&mut hall.programs), std::mem::take(&mut hall.machines));
        // What they hold may look at the machines as it is dropped.
        drop(hall);
        drop((attach, programs, machines));
    }

    /// The power of a node fails: nothing runs there any more. What is on its disk stays.
    pub fn cut_off(&self, node: &str) {
        let now = self.clock.now();
        if let Some(machine) = self.lock().machines.get_mut(node) {
            for worker in machine.pods.values_mut() {
                worker.cut_off(now);
            }
        }
    }

    /// Ends the running containers of these pods with a code; the answer is which, as `namespace/pod/container`.
    pub fn crash(&self, pods: &PodFilter, code: i32) -> Vec<String> {
        let mut switches = Vec::new();
        for worker in self.lock().machines.values().flat_map(|machine| machine.pods.values()) {
            if pods.takes(&worker.pod) && !worker.gone {
                let running = worker.vessels.iter().filter_map(|vessel| match &vessel.state {
                    State::Running(run) => Some((format!("{}/{}", worker.key(), vessel.name), run.switch.clone())),
                    _ => None,
                });
                switches.extend(running);
            }
        }
        // A switch wakes the kubelet, which looks at the machines.
        switches.sort_by(|(one, _), (other, _)| one.cmp(other));
        switches
            .into_iter()
            .map(|(name, switch)| {
                switch.exit(code);
                name
            })
            .collect()
    }

    /// Something is wrong with these pods, those to come among them, until the answer is dropped.
    /// Tells of each pod that it shows on, more than once.
    pub fn afflict(&self, pods: PodFilter, ailment: Ailment, tell: mpsc::UnboundedSender<Key>) -> Afflicted {
        let mut hall = self.lock();
        let id = hall.ailments.iter().map(|ailing| ailing.id + 1).max().unwrap_or_default();
        hall.ailments.push(Ailing { id, pods, ailment, tell });
        drop(hall);
        self.wake();
        Afflicted { machines: self.clone(), id }
    }

    /// Ends an affliction.
    pub(super) fn heal(&self, id: u64) {
        self.lock().ailments.retain(|ailing| ailing.id != id);
        self.wake();
    }

    /// Lets every kubelet look at all its pods.
    fn wake(&self) {
        let hall = self.lock();
        let bells: Vec<(Bell, Vec<Key>)> = hall
            .machines
            .values()
            .filter_map(|machine| Some((machine.bell.clone()?, machine.pods.values().map(Worker::key).collect())))
            .collect();
        drop(hall);
        for (bell, pods) in bells {
            for pod in pods {
                bell.ring(KUBELET, &pod);
            }
        }
    }

    pub(super) fn tell_printed(&self) {
        self.printed.send_modify(|count| *count += 1);
    }
}

impl Hall {
    /// The worker of the pod that has this name; of several the one that came last.
    fn worker(&self, key: &Key) -> Option<(&Machine, &Worker)> {
        let workers =
            self.machines.values().flat_map(|machine| machine.pods.values().map(move |worker| (machine, worker)));
        workers.filter(|(_, worker)| worker.key() == *key).max_by_key(|(_, worker)| (!worker.gone, worker.begun))
    }
}

impl Kubelets for Machines {
    fn enter(&self, exec: &Exec) -> Option<Result<Entered, String>> {
        let hall = self.lock();
        let (_, worker) = hall.worker(&Key::new(&*exec.namespace, &*exec.pod))?;
        let uptime = self.clock.elapsed().duration() + std::time::Duration::from_secs(1000);
        let Some((inside, alive)) = worker.inside(&exec.container, uptime) else {
            return Some(Err(format!("container not found (\"{}\")", exec.container)));
        };
        let meant = |name: &str| {
            let bare = exec
                .image
                .rsplit_once(':')
                .filter(|(_, tag)| !tag.contains('/'))
                .map_or(&*exec.image, |(bare, _)| bare);
            [&*exec.image, bare].iter().any(|own| *own == name || own.ends_with(&format!("/{name}")))
        };
        let image = hall.programs.iter().rev().find(|(name, _)| meant(name)).map(|(_, image)| image.clone());
        Some(Ok(Entered { program: Arc::new(Answering { image, inside }), alive }))
    }

    fn log(&self, namespace: &str, pod: &str, container: &str, previous: bool) -> Option<Option<Vec<LogLine>>> {
        let hall = self.lock();
        let (_, worker) = hall.worker(&Key::new(namespace, pod))?;
        let vessel = worker.vessels.iter().find(|vessel| vessel.name == container)?;
        if previous { Some(vessel.previous.clone()) } else { Some(Some(vessel.log.clone())) }
    }

    fn print(&self, namespace: &str, pod: &str, line: &LogLine) -> bool {
        let key = Key::new(namespace, pod);
        let mut hall = self.lock();
        let workers = hall.machines.values_mut().flat_map(|machine| machine.pods.values_mut());
        let mut printed = false;
        for worker in workers.filter(|worker| worker.key() == key && !worker.gone) {
            for vessel in worker.vessels.iter_mut().filter(|vessel| matches!(vessel.state, State::Running(_))) {
                if line.container.as_ref().is_none_or(|own| *own == vessel.name) {
                    vessel.log.push(line.clone());
                    printed = true;
                }
            }
        }
        drop(hall);
        self.tell_printed();
        printed
    }

    fn printed(&self) -> watch::Receiver<u64> {
        self.printed.subscribe()
    }
}

/// What answers in a container: its own program first, then the usual commands.
struct Answering {
    image: Option<Arc<dyn Image>>,
    inside: Inside,
}

impl Program for Answering {
    fn exec(&self, exec: &Exec) -> Answer {
        let own = self.image.as_ref().and_then(|image| image.exec(exec));
        own.unwrap_or_else(|| self.inside.exec(exec))
    }

    fn talk(&self, exec: &Exec) -> Option<Box<dyn Talk>> {
        self.inside.talk(exec)
    }
}
