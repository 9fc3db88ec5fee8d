use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::Error;
use super::follower::Update;
use super::hold::Leave;
use super::mailbox::Letter;
use super::object::{Object, ObjectKey};
use crate::check::{Pipeline, Track, TrackKey};

/// One follower's view of a selection.
///
/// Versions are applied one at a time, so that no state between two others is
/// skipped, however fast they came.
pub struct Feed {
    letters: mpsc::UnboundedReceiver<Letter>,
    pipeline: Pipeline,
    tracks: BTreeMap<TrackKey, Track>,
    /// Which tracks each object has.
    held: BTreeMap<ObjectKey, Vec<TrackKey>>,
    trouble: Option<String>,
    synced: bool,
    _leave: Leave,
}

/// What has just changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// All tracks are as of a list; after a gap, states in between may be missing.
    Listed {
        /// Whether something may have been missed before it.
        after_gap: bool,
    },
    /// One version of one object: these tracks are new, changed or gone.
    Changed(Vec<TrackKey>),
    /// The watch can't see for the moment.
    Broken,
    /// The watch sees again, and nothing was missed.
    Resumed,
}

impl Feed {
    pub(super) fn new(letters: mpsc::UnboundedReceiver<Letter>, pipeline: Pipeline, leave: Leave) -> Self {
        let (tracks, held) = (BTreeMap::new(), BTreeMap::new());
        Self { letters, pipeline, tracks, held, trouble: None, synced: false, _leave: leave }
    }

    /// Waits for the next change that concerns this selection. Nothing is lost when this is dropped and called again.
    pub async fn changed(&mut self) -> Result<Change, Error> {
        loop {
            let letter =
                self.letters.recv().await.ok_or_else(|| Error::Unreachable("the watch has ended".to_owned()))?;
            if let Some(change) = self.apply(letter.update)? {
                return Ok(change);
            }
        }
    }

    /// The tracks as of the last change, in order.
    pub fn tracks(&self) -> &BTreeMap<TrackKey, Track> {
        &self.tracks
    }

    /// Whether a first list has come.
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// Why the watch can't see right now.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn apply(&mut self, update: Update) -> Result<Option<Change>, Error> {
        match update {
            Update::Listed { objects, after_gap, .. } => {
                self.tracks.clear();
                self.held.clear();
                for object in &objects {
                    self.set(object);
                }
                self.synced = true;
                Ok(Some(Change::Listed { after_gap }))
            }
            Update::Version { object, deleted } => {
                let mut touched = self.held.remove(&object.key).unwrap_or_default();
                for key in &touched {
                    self.tracks.remove(key);
                }
                if !deleted {
                    touched.extend(self.set(&object));
                }
                touched.sort();
                touched.dedup();
                Ok((!touched.is_empty()).then_some(Change::Changed(touched)))
            }
            Update::Broken(reason) => {
                self.trouble = Some(reason);
                Ok(Some(Change::Broken))
            }
            Update::Resumed => {
                self.trouble = None;
                Ok(Some(Change::Resumed))
            }
            Update::Refused(error) => Err(error),
        }
    }

    fn set(&mut self, object: &Object) -> Vec<TrackKey> {
        let tracks = object.tracks(&self.pipeline);
        let keys: Vec<TrackKey> = tracks.iter().map(|(key, _)| key.clone()).collect();
        if !keys.is_empty() {
            self.held.insert(object.key.clone(), keys.clone());
        }
        self.tracks.extend(tracks);
        keys
    }
}
