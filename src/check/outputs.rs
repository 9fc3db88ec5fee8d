use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::clock::Elapsed;
use crate::expr::Shared;
use crate::id::StepId;

/// What steps have left for the expressions of later ones and of checks, in a run as when it is judged again.
#[derive(Debug)]
pub struct Outputs {
    /// The run's zero.
    started: Timestamp,
    of: BTreeMap<StepId, Shared>,
}

impl Outputs {
    /// Begins with what an earlier run left.
    pub fn new(started: Timestamp, known: BTreeMap<StepId, Map<String, Value>>) -> Self {
        let of = known.into_iter().map(|(step, outputs)| (step, Shared::from(Value::Object(outputs))));
        Self { started, of: of.collect() }
    }

    /// What a step has left; nothing before it started.
    pub fn get(&self, step: &StepId) -> Option<Shared> {
        self.of.get(step).cloned()
    }

    /// A step began: that much is known of it.
    pub fn began(&mut self, step: &StepId, at: Elapsed) {
        let outputs = Map::from_iter([("started".to_owned(), self.moment(at))]);
        self.of.insert(step.clone(), Shared::from(Value::Object(outputs)));
    }

    /// A step was skipped: it has no outputs, and `has(…)` can ask for them. What an
    /// earlier run left stays.
    pub fn skipped(&mut self, step: &StepId) {
        self.of.entry(step.clone()).or_insert_with(|| Shared::from(Value::Object(Map::new())));
    }

    /// A step settled. What it leaves itself goes before what is known of every step.
    pub fn settled(&mut self, step: &StepId, began: Elapsed, ended: Elapsed, own: &Map<String, Value>) {
        let mut outputs = Map::from_iter([
            ("started".to_owned(), self.moment(began)),
            ("ended".to_owned(), self.moment(ended)),
            ("took".to_owned(), Value::String(span(ended.since(began)))),
        ]);
        outputs.extend(own.clone());
        self.of.insert(step.clone(), Shared::from(Value::Object(outputs)));
    }

    fn moment(&self, at: Elapsed) -> Value {
        let since = SignedDuration::from_micros(i64::try_from(at.0).unwrap_or(i64::MAX));
        Value::String(self.started.saturating_add(since).unwrap_or(Timestamp::MAX).to_string())
    }
}

/// A span as expressions read it with `duration(…)`: `90.5s`.
fn span(span: Elapsed) -> String {
    let (seconds, micros) = (span.0 / 1_000_000, span.0 % 1_000_000);
    let text = format!("{seconds}.{micros:06}");
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_durations_of_the_expression_language() {
        let said = [0, 1_500_000, 90_000_000, 1, 3_600_000_000].map(|micros| span(Elapsed(micros)));
        assert_eq!(said, ["0s", "1.5s", "90s", "0.000001s", "3600s"]);
    }
}
