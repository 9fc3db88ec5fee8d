//! The servers in pods of data sources: each prepares one backing image's first file.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::store::{Content, Disks, FileName};

/// The data sources that run, by the name of their pod.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources(BTreeMap<String, Source>);

#[derive(Clone, Debug)]
struct Source {
    disk: String,
    file: FileName,
    began: Timestamp,
    course: Course,
    fetched: bool,
}

/// What comes of a data source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// The address gives this, from when on and until when.
    Gives { content: Content, from: Timestamp, until: Timestamp },
    /// It ends with this sentence.
    Fails { at: Timestamp, why: String },
}

/// What a data source says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) state: &'static str,
    pub(super) progress: i64,
    pub(super) message: String,
    pub(super) content: Content,
}

/// What is to be prepared.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) disk: String,
    pub(super) file: FileName,
    /// What the user expects, empty for nothing.
    pub(super) checksum: String,
    /// What the address gives, or why not.
    pub(super) site: Result<(Content, Duration, u64), String>,
}

impl Sources {
    /// A pod's server starts: from nothing, whatever an earlier one had got.
    pub(super) fn start(&mut self, pod: &str, order: Order, now: Timestamp) {
        let Order { disk, file, checksum, site } = order;
        let course = match site {
            Ok((content, latency, speed)) => {
                let from = now + SignedDuration::try_from(latency).unwrap_or_default();
                let lasts = Duration::from_millis(content.size.saturating_mul(1000) / speed.max(1));
                let until = from + SignedDuration::try_from(lasts).unwrap_or_default();
                if checksum.is_empty() || checksum == content.sha512 {
                    Course::Gives { content, from, until }
                } else {
                    let why = format!(
                        "the expected checksum {checksum} doesn't match the file actual checksum {}",
                        content.sha512
                    );
                    Course::Fails { at: until, why }
                }
            }
            Err(why) => Course::Fails { at: now + SignedDuration::from_millis(100), why },
        };
        self.0.insert(pod.to_owned(), Source { disk, file, began: now, course, fetched: false });
    }

    /// A pod's server ends; its work file stays on the disk, of no use.
    pub(super) fn stop(&mut self, pod: &str) {
        self.0.remove(pod);
    }

    /// Puts the work files that are complete by now on the disks.
    pub(super) fn settle(&mut self, disks: &mut Disks, now: Timestamp) {
        for source in self.0.values().filter(|source| !source.fetched) {
            if let Course::Gives { content, until, .. } = &source.course
                && *until <= now
                && disks.get(&source.disk, &source.file).is_none()
            {
                disks.begin(&source.disk, source.file.clone(), content.clone());
            }
        }
    }

    /// What a data source says.
    pub(super) fn told(&self, pod: &str, now: Timestamp) -> Option<Told> {
        let source = self.0.get(pod)?;
        let told = |state, progress, message: &str, content: &Content| {
            Some(Told { state, progress, message: message.to_owned(), content: content.clone() })
        };
        match &source.course {
            Course::Gives { content, .. } if source.fetched => told("ready", 100, "", content),
            Course::Gives { content, until, .. } if *until <= now => told("ready-for-transfer", 100, "", content),
            Course::Gives { content, from, until } if *from <= now => {
                let whole = until.duration_since(*from).as_millis().max(1);
                let part = now.duration_since(*from).as_millis() * 100 / whole;
                told("in-progress", i64::try_from(part).unwrap_or(0).min(99), "", content)
            }
            Course::Fails { at, why } if *at <= now => told("failed", 0, why, &Content::default()),
            _ if source.began == now => told("pending", 0, "", &Content::default()),
            _ => told("starting", 0, "", &Content::default()),
        }
    }

    /// Gives the finished work file away, once.
    pub(super) fn fetch(&mut self, pod: &str, now: Timestamp) -> Option<Content> {
        let source = self.0.get_mut(pod)?;
        match &source.course {
            Course::Gives { content, until, .. } if *until <= now && !source.fetched => {
                source.fetched = true;
                Some(content.clone())
            }
            _ => None,
        }
    }
}
