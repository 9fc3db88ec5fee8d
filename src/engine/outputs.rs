use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::clock::{Clock, Elapsed};
use crate::expr::{Env, Shared};
use crate::id::StepId;
use crate::plan::Scope;
use crate::step::RunFacts;

/// What settled steps left for the expressions of later ones.
pub(super) struct Outputs {
    by_step: BTreeMap<StepId, Shared>,
    run: Shared,
    clock: Clock,
}

impl Outputs {
    pub(super) fn new(run: &RunFacts, clock: Clock, known: BTreeMap<StepId, Map<String, Value>>) -> Self {
        let dir = run.dir.display().to_string();
        let facts = json!({ "id": run.id.as_str(), "seed": run.seed, "plan": run.plan, "dir": dir });
        let by_step = known.into_iter().map(|(step, outputs)| (step, Shared::from(Value::Object(outputs))));
        Self { by_step: by_step.collect(), run: Shared::from(facts), clock }
    }

    /// What names mean in a step's expressions now.
    pub(super) fn env(&self, scope: &Scope) -> Env {
        scope.env(&self.run, &|step| self.by_step.get(step).cloned())
    }

    /// Keeps what a step left, with its times.
    pub(super) fn keep(&mut self, step: &StepId, outputs: &Map<String, Value>, from: Elapsed, to: Elapsed) {
        let mut all = outputs.clone();
        all.insert("started".to_owned(), self.clock.at(from).to_string().into());
        all.insert("ended".to_owned(), self.clock.at(to).to_string().into());
        all.insert("took".to_owned(), to.since(from).duration().as_secs_f64().into());
        self.by_step.insert(step.clone(), Shared::from(Value::Object(all)));
    }
}
