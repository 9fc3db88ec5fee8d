//! Checks that go as a script says, in place of the recorder and the court.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::sleep;

use super::court::{Judge, Lookout, Outpost, Station};
use crate::clock::Elapsed;
use crate::event::{Armed, Class, Event, EventKind, Finding, JudgeBy, Moment, Outcome, WatchId};
use crate::expr::Env;
use crate::id::CheckId;
use crate::plan::{Check, Claim, LeftOut, Place, Plan, Query, Resource, SelectionId};
use crate::record::{self, Recorder, Tape};

/// What happens to checks. A check that is only named is armed at once and holds; each has
/// a watch of its own, which all its rounds share.
#[derive(Clone, Debug, Default)]
pub(super) struct Watching {
    all: Vec<Scripted>,
}

#[derive(Clone, Debug)]
struct Scripted {
    name: String,
    window: Option<(String, String)>,
    judge: JudgeBy,
    left_out: Option<LeftOut>,
    arms: Arms,
    /// Seconds until the closing list, and from it until it is explained.
    lists: Option<(u64, u64)>,
    /// Seconds after its window opened.
    violated: Option<u64>,
    floods: bool,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug)]
enum Arms {
    After(u64),
    Refused,
    Never,
}

impl Watching {
    /// A check over one step.
    pub(super) fn check(self, name: &str, step: &str) -> Self {
        self.span(name, step, step)
    }

    /// A check from before one step to the end of another.
    pub(super) fn span(self, name: &str, from: &str, to: &str) -> Self {
        self.add(name, Some((from.to_owned(), to.to_owned())))
    }

    /// A check over the whole run.
    pub(super) fn whole(self, name: &str) -> Self {
        self.add(name, None)
    }

    fn add(mut self, name: &str, window: Option<(String, String)>) -> Self {
        self.all.push(Scripted {
            name: name.to_owned(),
            window,
            judge: JudgeBy::Fail,
            left_out: None,
            arms: Arms::After(0),
            lists: Some((0, 0)),
            violated: None,
            floods: false,
            outcome: Outcome::Passed,
        });
        self
    }

    fn last(mut self, change: impl FnOnce(&mut Scripted)) -> Self {
        change(self.all.last_mut().expect("a check was named"));
        self
    }

    pub(super) fn report(self) -> Self {
        self.last(|check| check.judge = JudgeBy::Report)
    }

    pub(super) fn left_out(self) -> Self {
        self.last(|check| check.left_out = Some(LeftOut::Flag("--skip it".to_owned())))
    }

    pub(super) fn armed_after(self, seconds: u64) -> Self {
        self.last(|check| check.arms = Arms::After(seconds))
    }

    pub(super) fn forbidden(self) -> Self {
        self.last(|check| check.arms = Arms::Refused)
    }

    pub(super) fn never_armed(self) -> Self {
        self.last(|check| check.arms = Arms::Never)
    }

    pub(super) fn listed_after(self, list: u64, explained: u64) -> Self {
        self.last(|check| check.lists = Some((list, explained)))
    }

    pub(super) fn never_listed(self) -> Self {
        self.last(|check| check.lists = None)
    }

    pub(super) fn violated_after(self, seconds: u64) -> Self {
        self.last(|check| check.violated = Some(seconds))
    }

    /// For a hundred seconds its watch brings more than can be taken in.
    pub(super) fn floods(self) -> Self {
        self.last(|check| check.floods = true)
    }

    pub(super) fn comes_to(self, outcome: Outcome) -> Self {
        self.last(|check| check.outcome = outcome)
    }

    /// The checks of the plan.
    pub(super) fn checks(&self, plan: &Plan) -> Vec<Check> {
        let step = |name: &str| {
            let found = plan.walk().into_iter().find(|step| step.id.as_str() == name);
            found.unwrap_or_else(|| panic!("no step {name}")).id.clone()
        };
        let check = |scripted: &Scripted| Check {
            id: CheckId::new(None, &scripted.name),
            place: Place { file: "p.toml".to_owned(), line: 1 },
            about: String::new(),
            covers: Vec::new(),
            opens: scripted.window.as_ref().map(|(from, _)| step(from)),
            closes: scripted.window.as_ref().map(|(_, to)| step(to)),
            judge: scripted.judge,
            round: None,
            left_out: scripted.left_out.clone(),
            scope: Arc::clone(&plan.steps[0].scope),
            on: SelectionId("things".to_owned()),
            min: None,
            claim: Claim::Never { that: None },
            written: "never = { on = \"things\" }".to_owned(),
        };
        self.all.iter().map(check).collect()
    }

    /// The judge and the lookout that do as it says.
    pub(super) fn parts(self) -> (Box<dyn Judge>, Station) {
        let script = Arc::new(self.all);
        let judge = Scales { script: Arc::clone(&script), tried: BTreeMap::new(), confirmed: BTreeSet::new() };
        let lookout =
            move |_: &Recorder, tape: &Tape| -> Arc<dyn Lookout> { Arc::new(Tower { script, tape: tape.clone() }) };
        (Box::new(judge), Box::new(lookout))
    }
}

/// Checks of several rounds share a watch: `claim[01]` and `claim[02]` that of `claim`.
fn stem(name: &str) -> &str {
    name.split('[').next().unwrap_or(name)
}

fn watch(script: &[Scripted], name: &str) -> WatchId {
    let place = script.iter().position(|check| stem(&check.name) == stem(name)).expect("a check of the script");
    WatchId(u32::try_from(place).expect("few checks"))
}

struct Tower {
    script: Arc<Vec<Scripted>>,
    tape: Tape,
}

struct Seat {
    check: Scripted,
    armed: Armed,
    tape: Tape,
}

impl Lookout for Tower {
    fn hold(&self, query: &Query) -> Arc<dyn Outpost> {
        let found = self.script.iter().find(|check| stem(&check.name) == query.resource.plural);
        let check = found.expect("a check of the script").clone();
        let armed = Armed { watch: watch(&self.script, &check.name), version: "7".to_owned() };
        if check.floods {
            let tape = self.tape.clone();
            tokio::spawn(async move {
                for _ in 0..200 {
                    for _ in 0..300 {
                        tape.tell(EventKind::Warned { message: String::new() });
                    }
                    tokio::time::advance(Duration::from_millis(500)).await;
                }
            });
        }
        Arc::new(Seat { check, armed, tape: self.tape.clone() })
    }
}

impl Outpost for Seat {
    fn synced(self: Arc<Self>) -> BoxFuture<'static, Result<Armed, record::Error>> {
        let (arms, armed) = (self.check.arms, self.armed.clone());
        Box::pin(async move {
            match arms {
                Arms::After(0) => Ok(armed),
                Arms::After(seconds) => {
                    sleep(Duration::from_secs(seconds)).await;
                    Ok(armed)
                }
                Arms::Refused => {
                    Err(record::Error::Refused { said: "things is forbidden".to_owned(), class: Class::Forbidden })
                }
                Arms::Never => std::future::pending().await,
            }
        })
    }

    fn confirm(&self) -> BoxFuture<'static, Result<Armed, record::Error>> {
        let (lists, armed, tape) = (self.check.lists, self.armed.clone(), self.tape.clone());
        Box::pin(async move {
            let Some((list, explained)) = lists else { return std::future::pending().await };
            sleep(Duration::from_secs(list)).await;
            let edge = armed.clone();
            tokio::spawn(async move {
                sleep(Duration::from_secs(explained)).await;
                let Armed { watch, version } = armed;
                tape.tell(EventKind::WatchConfirmed { watch, version, differences: Vec::new() });
            });
            Ok(edge)
        })
    }
}

/// A judge of what the script says.
struct Scales {
    script: Arc<Vec<Scripted>>,
    tried: BTreeMap<CheckId, Trial>,
    /// Watches whose closing list was explained.
    confirmed: BTreeSet<WatchId>,
}

struct Trial {
    opened: Elapsed,
    violated: bool,
    closed: bool,
    cut: Option<String>,
    edges: usize,
}

impl Scales {
    fn scripted(&self, check: &CheckId) -> &Scripted {
        self.script.iter().find(|scripted| scripted.name == check.as_str()).expect("a check of the script")
    }

    fn due(&self, check: &CheckId, trial: &Trial) -> Option<Elapsed> {
        let after = self.scripted(check).violated.filter(|_| !trial.violated && !trial.closed)?;
        Some(Elapsed(trial.opened.0 + after * 1_000_000))
    }
}

impl Judge for Scales {
    fn queries(&self, check: &CheckId) -> Vec<Query> {
        let resource = Resource { group: String::new(), plural: stem(check.as_str()).to_owned() };
        vec![Query { resource, namespace: "n".to_owned(), name: None, labels: None, fields: None }]
    }

    fn open(&mut self, check: &CheckId, _: Env, at: Elapsed) -> Vec<EventKind> {
        let trial = Trial { opened: at, violated: false, closed: false, cut: None, edges: 0 };
        self.tried.insert(check.clone(), trial);
        self.pass(at)
    }

    fn take(&mut self, event: &Event) -> Vec<EventKind> {
        if let EventKind::WatchConfirmed { watch, .. } = &event.kind {
            self.confirmed.insert(*watch);
        }
        Vec::new()
    }

    fn deadline(&self) -> Option<Elapsed> {
        self.tried.iter().filter_map(|(check, trial)| self.due(check, trial)).min()
    }

    fn pass(&mut self, at: Elapsed) -> Vec<EventKind> {
        let due = |(check, trial): &(&CheckId, &Trial)| self.due(check, trial).is_some_and(|due| due <= at);
        let violated: Vec<CheckId> = self.tried.iter().filter(due).map(|(check, _)| check.clone()).collect();
        let mut facts = Vec::new();
        for check in violated {
            self.tried.get_mut(&check).expect("it was found there").violated = true;
            let moment = Box::new(Moment {
                event: 0,
                at,
                track: "thing".to_owned(),
                uid: String::new(),
                version: String::new(),
                say: "appeared".to_owned(),
                diff: Vec::new(),
            });
            facts.push(EventKind::CheckViolated { check, moment });
        }
        facts
    }

    fn close(&mut self, check: &CheckId, _: Elapsed, edges: &[(WatchId, String)]) {
        let watch = watch(&self.script, check.as_str());
        self.confirmed.remove(&watch);
        let trial = self.tried.get_mut(check).expect("what closes was open");
        (trial.closed, trial.edges) = (true, edges.len());
    }

    fn cut(&mut self, check: &CheckId, _: Elapsed, why: &str) {
        let trial = self.tried.get_mut(check).expect("what is cut was open");
        (trial.closed, trial.cut) = (true, Some(why.to_owned()));
    }

    fn ready(&self, check: &CheckId) -> bool {
        self.tried[check].edges == 0 || self.confirmed.contains(&watch(&self.script, check.as_str()))
    }

    fn judge(&mut self, check: &CheckId) -> EventKind {
        let trial = &self.tried[check];
        assert!(trial.closed, "a window is closed before it is judged");
        let confirmed = self.ready(check) && trial.edges > 0;
        let (outcome, message) = match &trial.cut {
            _ if trial.violated => (Outcome::Failed, "thing appeared"),
            Some(why) => (Outcome::Cancelled, why.as_str()),
            None if confirmed => (self.scripted(check).outcome, "as the script says"),
            None => (Outcome::Inconclusive, "no closing list"),
        };
        let finding = Box::new(Finding { message: message.to_owned(), ..Finding::default() });
        EventKind::CheckJudged { check: check.clone(), outcome, finding }
    }
}
