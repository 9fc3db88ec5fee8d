use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Elapsed;
use crate::event::{Event, EventKind, How, ObjectName, WatchId, Watched};

/// The record with watches that asked for the same, one after another, as one watch with gaps.
///
/// A `wait` in a loop has a watch of its own each time. What each of them saw was seen, and a
/// claim that was broken there was broken; only the time between them is not known.
pub(super) fn splice(events: &[Event]) -> Cow<'_, [Event]> {
    let heirs = heirs(events);
    if heirs.is_empty() {
        return Cow::Borrowed(events);
    }
    let mut spliced = Vec::with_capacity(events.len() + heirs.len());
    let mut threads: BTreeMap<WatchId, Thread> = BTreeMap::new();
    for event in events {
        let own = event.kind.watch();
        match own.and_then(|own| heirs.get(&own)) {
            Some(place) => threads.entry(place.first).or_default().take(*place, event, &mut spliced),
            None => spliced.push(event.clone()),
        }
    }
    Cow::Owned(spliced)
}

/// Where a watch stands in a line of several.
#[derive(Clone, Copy)]
struct Place {
    first: WatchId,
    is_first: bool,
    is_last: bool,
}

/// The place of each watch that is in a line of several.
fn heirs(events: &[Event]) -> BTreeMap<WatchId, Place> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for event in events {
        match &event.kind {
            EventKind::WatchOpened { watch, watched } => {
                match lines.iter_mut().find(|line| !line.open && line.watched == watched) {
                    Some(line) => {
                        line.open = true;
                        line.watches.push(*watch);
                    }
                    None => lines.push(Line { watched, open: true, watches: vec![*watch] }),
                }
            }
            EventKind::WatchClosed { watch } => {
                if let Some(line) = lines.iter_mut().find(|line| line.watches.last() == Some(watch)) {
                    line.open = false;
                }
            }
            _ => {}
        }
    }
    let several = lines.into_iter().filter(|line| line.watches.len() > 1);
    let places = several.flat_map(|line| {
        let (first, last) = (line.watches[0], line.watches[line.watches.len() - 1]);
        let place = move |watch| (watch, Place { first, is_first: watch == first, is_last: watch == last });
        line.watches.into_iter().map(place)
    });
    places.collect()
}

/// Watches that asked for the same, none before the one before it was closed.
struct Line<'a> {
    watched: &'a Watched,
    open: bool,
    watches: Vec<WatchId>,
}

/// One line as it is written anew.
#[derive(Default)]
struct Thread {
    /// When the last watch that had shown anything was closed.
    closed: Option<Elapsed>,
    /// What there is, with the version of each.
    present: BTreeMap<ObjectName, (String, String)>,
    /// What the first list of the present watch has had so far; none if it is over.
    listing: Option<Listing>,
}

#[derive(Default)]
struct Listing {
    names: BTreeSet<ObjectName>,
    changed: bool,
}

impl Thread {
    fn take(&mut self, place: Place, event: &Event, to: &mut Vec<Event>) {
        let root = place.first;
        let mut event = event.clone();
        match &mut event.kind {
            EventKind::WatchOpened { .. } if place.is_first => {}
            EventKind::WatchOpened { .. } => {
                self.listing = Some(Listing::default());
                return;
            }
            EventKind::WatchClosed { watch } => {
                *watch = root;
                // One that never came to its list has not seen anything: the gap goes on.
                if self.listing.take().is_none() {
                    self.closed = Some(event.at);
                }
                if !place.is_last {
                    return;
                }
            }
            EventKind::ObjectSeen(seen) => {
                seen.watch = root;
                let name = ObjectName { namespace: seen.namespace.clone(), name: seen.name.clone() };
                if let Some(listing) = &mut self.listing {
                    let known = self.present.get(&name);
                    listing.changed |= known.is_none_or(|(uid, version)| *uid != seen.uid || *version != seen.version);
                    listing.names.insert(name.clone());
                }
                if seen.how == How::Deleted {
                    self.present.remove(&name);
                } else {
                    self.present.insert(name, (seen.uid.clone(), seen.version.clone()));
                }
            }
            EventKind::WatchListed { watch, gone, .. } => {
                *watch = root;
                if let Some(listing) = self.listing.take() {
                    let missing: Vec<ObjectName> =
                        self.present.keys().filter(|name| !listing.names.contains(name)).cloned().collect();
                    gone.extend(missing);
                    self.present.retain(|name, _| !gone.contains(name));
                    let changed = listing.changed || !gone.is_empty();
                    let from = self.closed.take().unwrap_or(event.at);
                    let gap = gap(root, from, event.at, changed);
                    let (seq, at) = (event.seq, event.at);
                    to.extend([event, Event { seq, at, kind: gap }]);
                    return;
                }
                self.present.retain(|name, _| !gone.contains(name));
            }
            EventKind::WatchGap { watch, .. }
            | EventKind::WatchLate { watch, .. }
            | EventKind::WatchConfirmed { watch, .. } => *watch = root,
            _ => {}
        }
        to.push(event);
    }
}

fn gap(watch: WatchId, from: Elapsed, to: Elapsed, changed: bool) -> EventKind {
    let reason = "nobody watched these objects in between".to_owned();
    EventKind::WatchGap { watch, from, to: Elapsed(to.0.max(from.0 + 1)), reason, changed }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::{Body, Seen};

    fn watched(name: &str) -> Watched {
        let (resource, namespace) = ("things".to_owned(), "n".to_owned());
        Watched { resource, namespace, name: Some(name.to_owned()), labels: None, fields: None }
    }

    fn seen(watch: u32, name: &str, version: &str, how: How) -> EventKind {
        EventKind::ObjectSeen(Box::new(Seen {
            watch: WatchId(watch),
            how,
            namespace: "n".to_owned(),
            name: name.to_owned(),
            uid: format!("{name}-uid"),
            version: version.to_owned(),
            arrived: Elapsed(0),
            body: Body::Whole(json!({})),
        }))
    }

    fn listed(watch: u32) -> EventKind {
        EventKind::WatchListed {
            watch: WatchId(watch),
            version: "9".to_owned(),
            objects: 0,
            gone: Vec::new(),
            served: true,
        }
    }

    fn opened(watch: u32, name: &str) -> EventKind {
        EventKind::WatchOpened { watch: WatchId(watch), watched: watched(name) }
    }

    fn closed(watch: u32) -> EventKind {
        EventKind::WatchClosed { watch: WatchId(watch) }
    }

    fn told(kinds: Vec<EventKind>) -> Vec<String> {
        let event = |(n, kind)| Event { seq: n, at: Elapsed(n), kind };
        let events: Vec<Event> = (0..).zip(kinds).map(event).collect();
        let say = |event: &Event| match &event.kind {
            EventKind::WatchOpened { watch, .. } => format!("{}: opened", watch.0),
            EventKind::ObjectSeen(seen) => format!("{}: {} {}", seen.watch.0, seen.name, seen.version),
            EventKind::WatchListed { watch, gone, .. } => {
                let gone: Vec<&str> = gone.iter().map(|name| name.name.as_str()).collect();
                format!("{}: listed, gone {gone:?}", watch.0)
            }
            EventKind::WatchGap { watch, from, to, changed, .. } => {
                format!("{}: gap from {} to {}, changed {changed}", watch.0, from.0, to.0)
            }
            EventKind::WatchClosed { watch } => format!("{}: closed", watch.0),
            _ => "other".to_owned(),
        };
        splice(&events).iter().map(say).collect()
    }

    #[test]
    fn watches_one_after_another_are_one_with_a_gap() {
        let kinds = vec![
            opened(0, "a"),
            seen(0, "a", "1", How::Listed),
            seen(0, "b", "2", How::Listed),
            listed(0),
            closed(0),
            opened(1, "other"),
            opened(2, "a"),
            seen(2, "a", "3", How::Listed),
            listed(2),
            seen(2, "a", "4", How::Modified),
            closed(2),
            opened(3, "a"),
            // Never came to its list: nothing was seen.
            closed(3),
            opened(4, "a"),
            seen(4, "a", "4", How::Listed),
            listed(4),
            closed(4),
        ];
        assert_eq!(
            told(kinds),
            [
                "0: opened",
                "0: a 1",
                "0: b 2",
                "0: listed, gone []",
                "1: opened",
                "0: a 3",
                r#"0: listed, gone ["b"]"#,
                "0: gap from 4 to 8, changed true",
                "0: a 4",
                "0: a 4",
                "0: listed, gone []",
                "0: gap from 10 to 15, changed false",
                "0: closed",
            ]
        );
    }

    #[test]
    fn watches_beside_each_other_stay_two() {
        let kinds = vec![opened(0, "a"), opened(1, "a"), listed(0), listed(1), closed(0), closed(1)];
        let events: Vec<Event> = (0..).zip(kinds).map(|(n, kind)| Event { seq: n, at: Elapsed(n), kind }).collect();
        assert!(matches!(splice(&events), Cow::Borrowed(_)));
    }
}
