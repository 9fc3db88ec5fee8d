//! What the images do in which the data path lives.

use super::csi::Devices;
use super::data::DataPath;
use super::plant::Plant;
use super::timing;
use crate::sim::{Chance, Image, Life, Machines, OnTerm, Start};

/// Makes the images of volumes' pods known, and Longhorn the one who brings its volumes to nodes.
pub(in crate::sim::longhorn) fn images(machines: &Machines, plant: &Plant) {
    let data = plant.volumes();
    machines.attach_with(Devices::new(data));
    machines.register("longhorn-instance-manager", Manager { data: data.clone() });
    machines.register("longhorn-engine", Binaries);
}

/// An instance manager's container: engines and replicas live as long as it does.
struct Manager {
    data: DataPath,
}

impl Image for Manager {
    fn start(&self, start: &Start, chance: &mut Chance) -> Life {
        let (name, uid) = (start.pod.name().to_owned(), start.pod.uid().to_owned());
        self.data.host_up(&name, &uid, &start.node, &start.ip);
        Life {
            ready_after: Some(timing::drawn(chance, timing::MANAGER_READY)),
            on_term: OnTerm::Ends(std::time::Duration::from_millis(500), 0),
            serves: Some(vec![8500]),
            holds: Some(Box::new(Room { data: self.data.clone(), name, uid })),
            ..Life::sleeps()
        }
    }
}

/// The place of an instance manager's processes; dropped, they are gone.
struct Room {
    data: DataPath,
    name: String,
    uid: String,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.data.host_down(&self.name, &self.uid);
    }
}

/// An engine image's container: it copies its binaries to the node, then sleeps.
struct Binaries;

impl Image for Binaries {
    fn start(&self, _: &Start, chance: &mut Chance) -> Life {
        Life { ready_after: Some(timing::drawn(chance, timing::BINARIES_READY)), ..Life::sleeps() }
    }
}
