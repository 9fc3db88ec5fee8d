use tokio::sync::mpsc;

use super::args::ProgressArg;
use super::finish::{self, Copies};
use crate::event::{Body, Event, EventKind, NotWritten, Seen, Sink};
use crate::journal::{RunFolder, Writer};
use crate::view::RunView;

/// Where a run's events go: first the journal, then everyone who shows them.
pub(super) struct Recorded {
    journal: Writer,
    folder: RunFolder,
    copies: Copies,
    view: Option<RunView>,
    lost: Option<String>,
    show: mpsc::UnboundedSender<Event>,
    /// Whether what objects look like is shown as well.
    objects: bool,
}

impl Recorded {
    pub(super) fn new(journal: Writer, folder: RunFolder, copies: Copies, show: mpsc::UnboundedSender<Event>) -> Self {
        Self { journal, folder, copies, view: None, lost: None, show, objects: false }
    }

    /// For a terminal that prints whole events, or only tells them.
    pub(super) fn showing(self, progress: ProgressArg) -> Self {
        Self { objects: progress == ProgressArg::Json, ..self }
    }

    /// The story as far as it was written, and why it was not written to its end.
    pub(super) fn into_story(self) -> (Option<RunView>, Option<String>) {
        (self.view, self.lost)
    }
}

impl Sink for Recorded {
    fn put(&mut self, event: &Event) -> Result<(), NotWritten> {
        if let Err(error) = self.journal.put(event) {
            self.lost.get_or_insert_with(|| error.0.clone());
            return Err(error);
        }
        let folded = match &mut self.view {
            Some(view) => view.apply(event),
            None => RunView::begin(event).map(|view| self.view = Some(view)),
        };
        debug_assert!(folded.is_ok(), "the engine tells a legal story: {folded:?}");
        // CI systems kill ten seconds after their first signal: the reports must be
        // there before clean-up takes its time. They are written again at the end.
        if let (EventKind::CancelRequested { .. }, Some(view)) = (&event.kind, &self.view) {
            finish::write(view, &self.folder, &self.copies);
        }
        let _ = self.show.send(self.shown(event));
        Ok(())
    }
}

impl Recorded {
    /// What the terminal hears: thousands of objects a second are only counted there.
    fn shown(&self, event: &Event) -> Event {
        match &event.kind {
            EventKind::ObjectSeen(seen) if !self.objects => {
                let Seen { watch, how, version, arrived, .. } = &**seen;
                let seen = Seen {
                    watch: *watch,
                    how: *how,
                    namespace: seen.namespace.clone(),
                    name: seen.name.clone(),
                    uid: seen.uid.clone(),
                    version: version.clone(),
                    arrived: *arrived,
                    body: Body::Patch(serde_json::Value::Null),
                };
                Event { seq: event.seq, at: event.at, kind: EventKind::ObjectSeen(Box::new(seen)) }
            }
            _ => event.clone(),
        }
    }
}
