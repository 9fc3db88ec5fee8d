//! The images in Longhorn's other pods: servers of backing images, and what only sleeps.

use serde_json::Value;

use super::name;
use super::plant::Plant;
use super::store::FileName;
use crate::sim::{Behaviour, Chance, Image, Life, OnTerm, Span, Start};

/// From the container's start to an open port.
const LISTENS: Span = Span::millis(50, 300);

/// From SIGTERM to its end (measured: 0.4–1.7 s until the pod is gone).
const ENDS: Span = Span::millis(10, 400);

/// The image `backing-image-manager`: a manager's server or a data source.
pub(super) struct BackingImagePods {
    pub(super) plant: Plant,
}

/// The server of one pod, for as long as its container runs.
struct Server {
    plant: Plant,
    pod: String,
    source: bool,
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.source { self.plant.source_ends(&self.pod) } else { self.plant.server_ends(&self.pod) }
    }
}

impl Image for BackingImagePods {
    fn start(&self, start: &Start, chance: &mut Chance) -> Life {
        let pod = start.pod.name().to_owned();
        let disk = start.pod.label(name::DISK).unwrap_or_default().to_owned();
        let source = start.pod.label(name::COMPONENT) == Some(name::DATA_SOURCE);
        if source {
            let command: Vec<&str> =
                start.pod.items("/spec/containers/0/command").iter().filter_map(Value::as_str).collect();
            let flag = |name: &str| {
                let at = command.iter().position(|word| *word == name);
                at.and_then(|at| command.get(at + 1)).copied().unwrap_or_default()
            };
            let url = command.iter().find_map(|word| word.strip_prefix("url=")).unwrap_or_default();
            let file = FileName::new(flag("--name"), flag("--uuid"));
            self.plant.source_starts(&pod, &disk, file, url, flag("--checksum"));
        } else {
            self.plant.server_starts(&pod, &disk);
        }
        let holds = Server { plant: self.plant.clone(), pod, source };
        Life {
            ready_after: Some(chance.draw(LISTENS)),
            // The data source does not handle the signal (recorded: 2), the manager's server does (0).
            on_term: OnTerm::Ends(chance.draw(ENDS), if source { 2 } else { 0 }),
            holds: Some(Box::new(holds)),
            ..Life::sleeps()
        }
    }
}

/// The image `longhorn-share-manager`, of which only a shell runs that does not hear SIGTERM.
pub(super) fn share_manager() -> Behaviour {
    Behaviour::sleeps().ignoring_term()
}
