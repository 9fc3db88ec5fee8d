use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::cluster::Cluster;
use crate::event::{CancelReason, Mask, RunStart};
use crate::id::StepId;
use crate::plan::Plan;
use crate::step::RunFacts;

/// All that a run is made of.
pub struct Order {
    /// What is asked.
    pub plan: Plan,
    /// The first event.
    pub start: RunStart,
    /// What steps may touch.
    pub cluster: Arc<dyn Cluster>,
    /// What is the same for every step.
    pub run: RunFacts,
    /// Hides secrets before anything is said.
    pub mask: Mask,
    /// Starts nothing new once a step has failed.
    pub fail_fast: bool,
    /// Most time for clean-up after the first signal.
    pub grace: Duration,
    /// What steps of an earlier run left, for steps that are left out now.
    pub known: BTreeMap<StepId, Map<String, Value>>,
    /// Signals from outside, the second one as `SecondSignal`.
    pub signals: mpsc::UnboundedReceiver<CancelReason>,
}
