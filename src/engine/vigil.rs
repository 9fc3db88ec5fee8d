use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::scribe::Scribe;
use crate::cluster::Cluster;
use crate::event::{CancelReason, EventKind, Mask, RunStart, Sink, Verdict};
use crate::plan::Query;
use crate::record::{Fact, Recorder, Tape};
use crate::text;

/// All that is needed to watch without running anything.
pub struct Vigil {
    /// The first event's facts; it has no steps.
    pub start: RunStart,
    /// Whose objects.
    pub cluster: Arc<dyn Cluster>,
    /// Which objects.
    pub queries: Vec<Query>,
    /// What is hidden in everything that is said.
    pub mask: Mask,
    /// Moments that a person marks, by name.
    pub marks: mpsc::UnboundedReceiver<String>,
    /// The first signal is the normal end; the second leaves at once.
    pub signals: mpsc::UnboundedReceiver<CancelReason>,
}

/// Records what happens to objects until a signal comes.
///
/// It passes when it saw anything at all: what is to be thought of it is judged later.
pub async fn watch(vigil: Vigil, sink: &mut dyn Sink) -> Verdict {
    let Vigil { start, cluster, queries, mask, mut marks, mut signals } = vigil;
    let clock = cluster.clock();
    let mut scribe = Scribe::new(sink, mask, clock, &start);
    let (to_tape, mut inbox) = mpsc::unbounded_channel();
    let tape = Tape::new(move |fact| {
        // Whoever does not listen any more has no use for it.
        let _ = to_tape.send(fact);
    });
    let recorder = Recorder::new(cluster.client().ok(), Vec::new(), tape, clock.counted_from(start.started));
    scribe.say(EventKind::RunStarted(Box::new(start)));

    let holds: Vec<_> = queries.iter().map(|query| (query, recorder.hold(query.clone()))).collect();
    let mut opening: FuturesUnordered<_> = holds
        .iter()
        .map(|(query, hold)| async move {
            let synced = match hold {
                Ok(hold) => hold.synced().await,
                Err(error) => Err(error.clone()),
            };
            (*query, synced)
        })
        .collect();
    let mut told = Told::default();
    let mut open = queries.len();
    while open > 0 && scribe.lost().is_none() {
        tokio::select! {
            biased;
            _ = signals.recv() => break,
            Some(name) = marks.recv() => {
                scribe.say(EventKind::Marked { name });
            }
            Some(fact) = inbox.recv() => told.record(fact, &mut scribe),
            Some((query, synced)) = opening.next(), if !opening.is_empty() => {
                if let Err(error) = synced {
                    open -= 1;
                    let message = format!("`{}` can't be watched: {error}", query.resource);
                    scribe.say(EventKind::Warned { message });
                }
            }
        }
    }
    drop(opening);
    let mut finish = std::pin::pin!(recorder.finish());
    while scribe.lost().is_none() {
        tokio::select! {
            biased;
            Some(_) = signals.recv() => break,
            Some(fact) = inbox.recv() => told.record(fact, &mut scribe),
            () = &mut finish => break,
        }
    }
    while let Ok(fact) = inbox.try_recv() {
        told.record(fact, &mut scribe);
    }
    let (verdict, reason) = match scribe.lost() {
        Some(lost) => (Verdict::Error, format!("the journal could not be written: {lost}")),
        None if open == 0 => (Verdict::Error, "nothing could be watched".to_owned()),
        None => (Verdict::Pass, told.sentence()),
    };
    let written = scribe.say_last(EventKind::RunFinished { verdict, reason });
    if written { verdict } else { Verdict::Error }
}

/// What was recorded, in numbers.
#[derive(Default)]
struct Told {
    versions: usize,
    gaps: usize,
}

impl Told {
    fn record(&mut self, Fact { kind, held }: Fact, scribe: &mut Scribe<'_>) {
        match &kind {
            EventKind::ObjectSeen(_) => self.versions += 1,
            EventKind::WatchGap { .. } => self.gaps += 1,
            _ => {}
        }
        scribe.say(kind);
        drop(held);
    }

    fn sentence(&self) -> String {
        let versions = text::count(self.versions, "version");
        match self.gaps {
            0 => format!("{versions} recorded, and none missed"),
            gaps => format!("{versions} recorded, with {}", text::count(gaps, "gap")),
        }
    }
}
