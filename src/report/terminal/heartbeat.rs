use std::collections::BTreeMap;
use std::time::Duration;

use super::line::{Ink, Line};
use super::say::{said, standing};
use crate::clock::Elapsed;
use crate::event::EventKind;
use crate::id::StepId;
use crate::view::{Row, RunView};

/// Says of each running step that it still runs, when nothing else was said about it for long.
///
/// CI systems end a job that is silent for ten minutes, and people do much sooner.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    /// When each step was last spoken of.
    said: BTreeMap<StepId, Elapsed>,
}

/// The longest silence about a running step.
const EVERY: Duration = Duration::from_secs(30);

impl Heartbeat {
    /// A line about this event was printed.
    pub(super) fn heard(&mut self, kind: &EventKind, at: Elapsed) {
        let Some(step) = kind.step() else { return };
        if matches!(kind, EventKind::StepFinished { .. } | EventKind::StepSkipped { .. }) {
            self.said.remove(step);
        } else {
            self.said.insert(step.clone(), at);
        }
    }

    /// The lines that are due.
    pub(super) fn beat(&mut self, view: &RunView, width: usize, now: Elapsed) -> Vec<Line> {
        let running = view.running();
        // What runs beside others is not waited for, unless it is all there is.
        let alone = running.iter().all(|row| row.up.is_some());
        let mut lines = Vec::new();
        for row in running.into_iter().filter(|row| alone || row.up.is_none()) {
            let last = self.said.get(&row.node.id).copied().or(row.started).unwrap_or(now);
            if now.since(last).duration() >= EVERY {
                self.said.insert(row.node.id.clone(), now);
                lines.push(Line::state(now, row.node.id.as_str(), width, "WAIT", Ink::Plain).say(&still(row, now)));
            }
        }
        lines
    }
}

/// What a running step waits for, and whether it moves: that tells stuck from slow.
pub(super) fn still(row: &Row, now: Elapsed) -> String {
    let mut parts = vec![format!("still running after {}", said(now.since(row.started.unwrap_or(now))))];
    if let Some((number, due)) = row.retry.filter(|(_, due)| *due > now) {
        parts.push(format!("attempt {number} in {}", said(due.since(now))));
    }
    match &row.progress {
        Some((at, progress)) => {
            parts.push(standing(progress));
            parts.push(format!("unchanged for {}", said(now.since(*at))));
        }
        None if row.up.is_some() => parts.push("up".into()),
        None => {}
    }
    parts.join(" · ")
}
