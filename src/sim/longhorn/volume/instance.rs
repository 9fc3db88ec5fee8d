//! What engines and replicas have in common: a process that is to run, or not, in an instance manager.

use std::time::Duration;

use jiff::Timestamp;

use super::draft::Draft;
use super::kind;
use super::name;
use super::post::Post;
use super::process::Life;
use crate::sim::{Cache, Write};

/// What came of looking at a process.
pub(super) struct Look {
    /// Whether it is to be started now, and in which instance manager.
    pub(super) start_in: Option<String>,
    /// Events.
    pub(super) tells: Vec<Write>,
    /// When it will have got further.
    pub(super) again: Option<Duration>,
}

/// Brings the status to what the process is, and stops it if it is not to run.
pub(super) fn look(draft: &mut Draft, cache: &Cache, post: &Post, now: Timestamp) -> Look {
    let name = draft.name().to_owned();
    let wanted = draft.text("/spec/desireState") == "running";
    let was = draft.text("/status/currentState").to_owned();
    let manager = draft.text("/status/instanceManagerName").to_owned();
    let deeds = if manager.is_empty() { None } else { post.data.instances(&manager) };
    let deed = deeds.as_ref().and_then(|deeds| deeds.get(&name));
    let mut look = Look { start_in: None, tells: Vec::new(), again: None };
    let node_down = cache
        .get(&kind::INSTANCE_MANAGER, &post.namespace, &manager)
        .is_some_and(|own| own.text("/status/currentState") == "unknown");
    let is = match deed {
        _ if node_down => "unknown",
        Some(deed) => {
            if let Life::Starting { until } | Life::Stopping { until } = deed.life {
                let wait: Duration = until.duration_since(now).try_into().unwrap_or_default();
                look.again = Some(wait.max(Duration::from_millis(1)));
            }
            deed.life.word()
        }
        None if wanted && ["running", "error", "unknown"].contains(&was.as_str()) => "error",
        None => "stopped",
    };
    draft.set("/status/currentState", is);
    if let Some(deed) = deed {
        draft.set("/status/port", if is == "running" { deed.port } else { 0 });
    }
    match is {
        "running" => {
            let address = post.data.address(&manager).unwrap_or_default();
            draft.set("/status/ip", address.as_str());
            draft.set("/status/storageIP", address);
            draft.set("/status/started", true);
        }
        "stopped" => {
            for field in ["ip", "storageIP", "currentImage", "instanceManagerName"] {
                draft.set(&format!("/status/{field}"), "");
            }
            draft.set("/status/port", 0);
            draft.set("/status/started", false);
            if wanted {
                look.start_in = home(draft.text("/spec/nodeID"), cache, post);
            }
        }
        _ => draft.set("/status/started", false),
    }
    if !wanted && ["running", "starting", "error"].contains(&is) && deed.is_some() {
        post.data.stop(&manager, &name);
        if is != "error" {
            draft.set("/status/currentState", "stopping");
        }
        look.tells.push(Write::event(draft.before(), "Normal", "Stop", format!("Stops {name}")));
        look.again = Some(Duration::from_millis(100));
    }
    look
}

/// Notes that a process was started.
pub(super) fn started(draft: &mut Draft, manager: &str, look: &mut Look) {
    let name = draft.name().to_owned();
    draft.set("/status/instanceManagerName", manager);
    draft.set("/status/currentState", "starting");
    look.tells.push(Write::event(draft.before(), "Normal", "Start", format!("Starts {name}")));
    look.again = Some(Duration::from_millis(100));
}

/// The instance manager in which a process on a node is to start: the one of the current image.
fn home(node: &str, cache: &Cache, post: &Post) -> Option<String> {
    let image = post.setting(cache, "default-instance-manager-image", &post.instance_manager_image);
    let name = name::instance_manager(node, image);
    let manager = cache.get(&kind::INSTANCE_MANAGER, &post.namespace, &name)?;
    (manager.text("/status/currentState") == "running" && !manager.is_terminating()).then_some(name)
}
