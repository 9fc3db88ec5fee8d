use super::IllegalTransition;
use crate::clock::Elapsed;
use crate::event::{Difference, Event, EventKind, WatchId, Watched};

/// One watch, as far as the events tell. What the objects looked like is not kept:
/// a view stays small however much was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchRow {
    /// Its number.
    pub id: WatchId,
    /// What it asked for.
    pub watched: Watched,
    /// When it opened.
    pub opened: Elapsed,
    /// When its first list was complete.
    pub listed: Option<Elapsed>,
    /// When nobody needed it any more.
    pub closed: Option<Elapsed>,
    /// Whether the server knows the kind, as far as is known.
    pub served: Option<bool>,
    /// How many versions it recorded, those of lists included.
    pub versions: u64,
    /// How many objects its last list had.
    pub objects: u64,
    /// Times in which it was blind or late, in the order in which they were told.
    pub lapses: Vec<Lapse>,
    /// How often a closing list was compared with it, and agreed.
    pub confirmed: u64,
    /// What closing lists and the watch did not agree on.
    pub differences: Vec<(Elapsed, Difference)>,
}

/// A time in which a watch did not see what happened when it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lapse {
    /// The last moment at which it surely saw.
    pub from: Elapsed,
    /// When it saw again, or had caught up.
    pub to: Elapsed,
    /// Why.
    pub reason: String,
    /// What it cost.
    pub kind: LapseKind,
}

/// What a lapse cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LapseKind {
    /// Versions may be missing; whether anything was different afterwards.
    Gap {
        /// Whether anything was different.
        changed: bool,
    },
    /// Nothing is missing: versions came later than they were made.
    Late,
}

impl Lapse {
    /// Whether versions may be missing.
    pub fn is_gap(&self) -> bool {
        matches!(self.kind, LapseKind::Gap { .. })
    }
}

impl WatchRow {
    /// A watch that has just opened.
    pub(super) fn opened(id: WatchId, watched: Watched, at: Elapsed) -> Self {
        Self {
            id,
            watched,
            opened: at,
            listed: None,
            closed: None,
            served: None,
            versions: 0,
            objects: 0,
            lapses: Vec::new(),
            confirmed: 0,
            differences: Vec::new(),
        }
    }

    /// Takes in an event about this watch, or refuses it and stays as it was.
    ///
    /// A closed watch sees nothing more; what is told of the time before may come later.
    pub(super) fn apply(&mut self, event: &Event) -> Result<(), IllegalTransition> {
        match &event.kind {
            EventKind::ObjectSeen(_) | EventKind::WatchListed { .. } | EventKind::WatchClosed { .. }
                if self.closed.is_some() =>
            {
                return Err(IllegalTransition::of(event, format!("watch {} is closed", self.id.0)));
            }
            EventKind::ObjectSeen(_) => self.versions += 1,
            EventKind::WatchListed { objects, served, .. } => {
                self.listed.get_or_insert(event.at);
                self.objects = *objects;
                self.served = Some(*served);
            }
            EventKind::WatchGap { from, to, reason, changed, .. } => {
                self.lapse(*from, *to, reason, LapseKind::Gap { changed: *changed });
            }
            EventKind::WatchLate { from, to, reason, .. } => {
                self.lapse(*from, *to, reason, LapseKind::Late);
            }
            EventKind::WatchConfirmed { differences, .. } if differences.is_empty() => self.confirmed += 1,
            EventKind::WatchConfirmed { differences, .. } => {
                self.differences.extend(differences.iter().map(|difference| (event.at, difference.clone())));
            }
            EventKind::WatchClosed { .. } => self.closed = Some(event.at),
            // The run hands over no other.
            _ => {}
        }
        Ok(())
    }

    /// What it asked for in one line: `pods -n longhorn-system -l app=longhorn-manager`.
    pub fn asks(&self) -> String {
        let Watched { resource, namespace, name, labels, fields } = &self.watched;
        let mut said = resource.clone();
        let mut add = |flag: &str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                said.push_str(flag);
                said.push_str(value);
            }
        };
        add("/", name.as_deref());
        add(" -n ", Some(namespace));
        add(" -l ", labels.as_deref());
        add(" --field-selector ", fields.as_deref());
        said
    }

    fn lapse(&mut self, from: Elapsed, to: Elapsed, reason: &str, kind: LapseKind) {
        self.lapses.push(Lapse { from, to, reason: reason.to_owned(), kind });
    }
}
