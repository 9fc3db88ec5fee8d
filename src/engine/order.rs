use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::act::Verbs;
use super::dispatch::{Dispatch, Parts};
use crate::check::Court;
use crate::cluster::Cluster;
use crate::event::{CancelReason, Mask, RunStart, Sink, Verdict};
use crate::id::StepId;
use crate::plan::Plan;
use crate::step::RunFacts;

/// All that a run needs.
pub struct Order {
    /// What is run.
    pub plan: Plan,
    /// The first event's facts. Its `started` is the zero of all times, its `jobs` how many
    /// steps act at once.
    pub start: RunStart,
    /// What steps may touch.
    pub cluster: Arc<dyn Cluster>,
    /// Whether the first step that does not pass ends the run.
    pub fail_fast: bool,
    /// How long clean-up may take once the run is ended early.
    pub grace: Duration,
    /// What is hidden in everything that is said.
    pub mask: Mask,
    /// What is the same for every step.
    pub run: RunFacts,
    /// Outputs that steps left in an earlier run of the same id, for `lariat cleanup`.
    pub known: BTreeMap<StepId, Map<String, Value>>,
    /// Signals; a second one counts as such whatever it is.
    pub signals: mpsc::UnboundedReceiver<CancelReason>,
}

/// Runs a plan to its end and says every fact to the sink before acting on it.
///
/// The last event is `RunFinished`, always; if the sink fails it is tried all the same.
pub async fn run(order: Order, sink: &mut dyn Sink) -> Verdict {
    let parts = Parts {
        actor: Arc::new(Verbs),
        judge: Box::new(Court::new(&order.plan.checks, &order.plan.selections)),
        lookout: Box::new(|recorder, _| Arc::new(recorder.clone())),
    };
    Dispatch::new(order, parts, sink).run().await
}
