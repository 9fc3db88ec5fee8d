//! One process in an instance manager: a replica or an engine.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// Replica name to `RW`, `WO` or `ERR`.
pub(super) type Modes = BTreeMap<String, String>;

/// A process.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) work: Work,
    pub(super) life: Life,
    pub(super) port: u64,
}

/// What it is about at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Starting { until: Timestamp },
    Running,
    Stopping { until: Timestamp },
    Error { message: String },
}

/// What it does.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Replica {
        volume: String,
    },
    Engine {
        volume: String,
        image: String,
        addresses: BTreeMap<String, String>,
        modes: Modes,
        /// Which replica is copied to, and when that is done.
        rebuilding: Option<(String, Timestamp)>,
        /// When it will have replaced itself, by which build, with which replicas.
        upgrade: Option<(Timestamp, String, BTreeMap<String, String>)>,
    },
}

/// A process as its instance manager tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deed {
    pub(super) life: Life,
    pub(super) engine: bool,
    pub(super) port: u64,
}

impl Life {
    /// The word for it in `instanceEngines` and `instanceReplicas`.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Starting { .. } => "starting",
            Self::Running => "running",
            Self::Stopping { .. } => "stopping",
            Self::Error { .. } => "error",
        }
    }
}

impl Instance {
    pub(super) fn life_at(&self, now: Timestamp) -> Life {
        match &self.life {
            Life::Starting { until } if *until <= now => Life::Running,
            life => life.clone(),
        }
    }

    /// Whether it is an engine that can serve a volume's reads and writes.
    pub(super) fn serves(&self, volume: &str, now: Timestamp) -> bool {
        match &self.work {
            Work::Engine { volume: own, modes, .. } => {
                own == volume && self.life_at(now) == Life::Running && modes.values().any(|mode| mode == "RW")
            }
            Work::Replica { .. } => false,
        }
    }
}

impl Work {
    pub(super) fn is_engine(&self) -> bool {
        matches!(self, Self::Engine { .. })
    }

    pub(super) fn volume(&self) -> &str {
        match self {
            Self::Replica { volume } | Self::Engine { volume, .. } => volume,
        }
    }

    /// Ends what has come to its end, and gives up replicas whose process is gone.
    pub(super) fn settle(&mut self, now: Timestamp, running: &BTreeSet<String>) {
        let Self::Engine { image, addresses, modes, rebuilding, upgrade, .. } = self else { return };
        if let Some((_, new, replicas)) = upgrade.take_if(|(until, ..)| *until <= now) {
            *image = new;
            *modes = replicas.keys().map(|name| (name.clone(), "RW".to_owned())).collect();
            *addresses = replicas;
            *rebuilding = None;
        }
        if let Some((name, _)) = rebuilding.take_if(|(_, until)| *until <= now) {
            modes.insert(name, "RW".to_owned());
        }
        for (name, mode) in modes.iter_mut() {
            if !running.contains(name) {
                "ERR".clone_into(mode);
                rebuilding.take_if(|(own, _)| own == name);
            }
        }
    }
}
