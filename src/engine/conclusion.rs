use super::dispatch::Dispatch;
use super::window::{Stand, Window};
use crate::event::{CancelReason, Outcome, Verdict};
use crate::graph::StepIx;
use crate::text;

impl Dispatch<'_> {
    /// How the run went, and one sentence on what decided it. Clean-up never does.
    pub(super) fn conclude(&self) -> (Verdict, String) {
        let (steps, by) = self.frontier.verdict();
        let (checks, check, how_many) = self.windows.verdict();
        let worst = steps.max(checks);
        if let Some(reason) = self.scribe.lost() {
            return (Verdict::Error, format!("the journal could not be written: {reason}"));
        }
        // Neither a pass nor a fail is worth anything then.
        if let Some(mistake) = self.cluster.mistake() {
            return (
                Verdict::Error,
                format!("this is a bug in lariat, not in your plan or in what it tests: {mistake}"),
            );
        }
        if worst == Verdict::Fail || self.overdue.is_none() {
            let signal = self.cancelled.filter(|reason| reason.is_signal());
            return match (worst, signal) {
                (Verdict::Pass | Verdict::Cancelled, Some(signal)) => (Verdict::Cancelled, signal.to_string()),
                (Verdict::Pass, None) => (Verdict::Pass, self.passed()),
                (worst, _) if checks > steps => (worst, Self::blamed_check(check, how_many)),
                (worst, _) if checks == steps => {
                    let too = format!("; {} {} too", text::count(how_many, "check"), how(worst));
                    (worst, self.blamed(worst, by) + &too)
                }
                (worst, _) => (worst, self.blamed(worst, by)),
            };
        }
        let overdue = self.overdue.as_ref().expect("it is there");
        (Verdict::Fail, overdue.message.clone())
    }

    /// What a check did to the verdict.
    fn blamed_check(check: Option<&Window>, how_many: usize) -> String {
        let Some((window, Stand::Judged(outcome, message))) = check.map(|window| (window, &window.stand)) else {
            return "a check was not judged".to_owned();
        };
        let how = how(outcome.verdict());
        let more = match how_many {
            0 | 1 => String::new(),
            more => format!("; {} more too", more - 1),
        };
        format!("check `{}` {how}: {message}{more}", window.id)
    }

    /// What a step did to the verdict.
    fn blamed(&self, worst: Verdict, by: Option<StepIx>) -> String {
        let Some(step) = by else { return format!("the run ended as {worst}") };
        let id = &self.units[step.at()].id;
        let how = how(worst);
        match self.failures.get(&step) {
            Some(failure) => format!("`{id}` {how}: {}", failure.message),
            None if self.frontier.outcome(step) == Some(Outcome::Skipped) => {
                let why = if worst == Verdict::Cancelled {
                    self.cancelled.unwrap_or(CancelReason::Deadline).to_string()
                } else {
                    "it did not run, and nobody chose to leave it out".to_owned()
                };
                format!("`{id}` {how}: {why}")
            }
            None => format!("`{id}` {how}"),
        }
    }

    /// What can be said of a run in which nothing went wrong.
    fn passed(&self) -> String {
        let verbs = self.graph.all().filter(|&step| self.graph.is_leaf(step) && !self.frontier.is_cleanup(step));
        let (mut passed, mut skipped) = (0, 0);
        for step in verbs {
            match self.frontier.outcome(step) {
                Some(Outcome::Passed) => passed += 1,
                Some(Outcome::Skipped) => skipped += 1,
                Some(_) | None => {}
            }
        }
        let mut said = format!("{} passed", text::count(passed, "step"));
        if skipped > 0 {
            said += &format!(", {skipped} skipped by choice");
        }
        match self.windows.held() {
            0 => said,
            held => format!("{said}, {} held", text::count(held, "check")),
        }
    }
}

/// What those did that decided a verdict.
fn how(worst: Verdict) -> &'static str {
    match worst {
        Verdict::Pass => "passed",
        Verdict::Cancelled => "was cut short",
        Verdict::Inconclusive => "was inconclusive",
        Verdict::Error => "errored",
        Verdict::Fail => "failed",
    }
}
