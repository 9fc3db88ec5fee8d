//! Wrongs: regressions that are built in on purpose, to see the checks go red.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A wrong that can be asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Wrong {
    /// Its name (longhorn.md section 8).
    pub(in crate::sim) name: &'static str,
    /// What it does.
    pub(in crate::sim) about: &'static str,
}

/// The wrongs that the embedded Longhorn can do.
pub(in crate::sim) const WRONGS: &[Wrong] = &[
    Wrong {
        name: "bids-relaunch-on-unknown",
        about: "after a manager's restart a data source pod is launched for 200 ms, as v1.2.0 did when files were unknown (longhorn 2957)",
    },
    Wrong {
        name: "old-bim-deletes-files",
        about: "a backing image manager of another image deletes its files when it is cleaned up",
    },
    Wrong { name: "old-bim-kept", about: "backing image managers of another image than the default are never deleted" },
    Wrong {
        name: "takeover-misses-image",
        about: "a new backing image manager's record lacks one of the images on its disk",
    },
    Wrong {
        name: "takeover-resyncs-ready",
        about: "at a takeover a finished file is transferred again instead of taken up",
    },
    Wrong {
        name: "failed-copy-not-cleaned",
        about: "a failed copy is neither deleted nor transferred again (longhorn 4090, 4738)",
    },
    Wrong {
        name: "disk-never-ready-again",
        about: "after a restart of all managers one disk stays not ready with NodeNotReady (longhorn 12987)",
    },
    Wrong { name: "bi-undeletable", about: "a backing image keeps its finalizer after it was deleted" },
    Wrong {
        name: "replica-crash-during-takeover",
        about: "one replica of an attached volume crashes during a takeover and is rebuilt",
    },
    Wrong {
        name: "live-upgrade-stuck",
        about: "an attached volume that is to run on another engine image never does (longhorn 5618, 5684)",
    },
    Wrong {
        name: "engine-upgrade-faults",
        about: "a volume loses all its replicas when its engine was upgraded (longhorn 5646)",
    },
    Wrong {
        name: "replicas-fail-after-upgrade",
        about: "a replica fails after its volume's engine was upgraded (longhorn 4004)",
    },
    Wrong {
        name: "content-corrupted",
        about: "a file on a volume has other bytes after its engine was upgraded, with all states green",
    },
    Wrong {
        name: "stale-upgraded-map",
        about: "an engine's upgradedReplicaAddressMap stays filled after its upgrade (longhorn 6762)",
    },
    Wrong { name: "old-im-kept", about: "old instance managers stay though nothing runs in them (longhorn 4726)" },
];

/// The wrongs that were asked for. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Wrongs(Arc<Mutex<BTreeMap<String, u32>>>);

impl Wrongs {
    /// Does this wrong from now on.
    pub(super) fn set(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), 0);
    }

    /// Whether a wrong was asked for.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    /// Whether any wrong was asked for.
    pub(super) fn any(&self) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether a wrong that happens once is to happen now.
    pub(super) fn once(&self, name: &str) -> bool {
        let mut wrongs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wrongs.get_mut(name).is_some_and(|done| {
            *done += 1;
            *done == 1
        })
    }
}
