//! Streams for tests, told as stories. Event numbers, parents and places are filled in.

use proptest::prelude::*;
use serde_json::Map;

use super::{CheckState, RunView};
use crate::clock::Elapsed;
use crate::event::{
    Armed, Body, CancelReason, CheckNode, Class, ClusterIdentity, Event, EventKind, FORMAT, Failure, Finding, How,
    JudgeBy, Moment, NodeKind, Note, Outcome, PlanFile, Progress, Round, RunStart, Seen, SkipReason, StepNode, Verdict,
    WatchId, Watched, When,
};
use crate::id::{CheckId, RunId, StepId};

/// A stream in the making: each act appends one event at the present time.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    events: Vec<Event>,
    now: Elapsed,
}

/// A node of a plan: `node("install", "helm-install")`; the kinds `group`, `repeat` and `cells`
/// make groups. The parent follows from the id.
pub(crate) fn node(id: &str, kind: &str) -> StepNode {
    let kind = match kind {
        "group" => NodeKind::Group,
        "repeat" => NodeKind::Repeat,
        "cells" => NodeKind::Cells,
        verb => NodeKind::Verb(verb.to_owned()),
    };
    StepNode {
        id: step(id),
        parent: parent(id).map(step),
        kind,
        about: String::new(),
        needs: Vec::new(),
        when: When::Passed,
        until: None,
        covers: Vec::new(),
        file: "plans/restart.toml".into(),
        line: 0,
    }
}

/// A check of a plan: `check("file-states[03]", "transitions", "restart[03]")` is one of ten
/// rounds, and its window is that step's; without a step it is the whole run.
pub(crate) fn check(id: &str, operator: &str, during: &str) -> CheckNode {
    let during = Some(during).filter(|step| !step.is_empty()).map(step);
    let round = id.strip_suffix(']').and_then(|open| open.rsplit_once('['));
    CheckNode {
        id: check_id(id),
        operator: operator.into(),
        claim: format!("{operator} = {{ on = \"files\", value = \"o.state\" }}"),
        about: String::new(),
        opens: during.clone(),
        closes: during,
        judge: JudgeBy::Fail,
        round: round.and_then(|(of, number)| Some(Round { of: check_id(of), number: number.parse().ok()? })),
        covers: Vec::new(),
        file: "plans/restart.toml".into(),
        line: 90,
    }
}

fn check_id(id: &str) -> CheckId {
    CheckId::new(None, id)
}

/// An event that decided something.
pub(crate) fn moment(event: u64, at_millis: u64, track: &str, say: &str, diff: &[&str]) -> Moment {
    Moment {
        event,
        at: Elapsed(at_millis * 1000),
        track: track.into(),
        uid: "6f1d2c3b-0a4e-4c1e-9b1d-0a014b7e1c2d".into(),
        version: format!("{}", 4000 + event),
        say: say.into(),
        diff: diff.iter().map(ToString::to_string).collect(),
    }
}

/// What a watch asks for.
pub(crate) fn watched(resource: &str, labels: &str) -> Watched {
    Watched {
        resource: resource.into(),
        namespace: "gadget-system".into(),
        name: None,
        labels: Some(labels).filter(|labels| !labels.is_empty()).map(Into::into),
        fields: None,
    }
}

impl CheckNode {
    pub(crate) fn reported(self) -> Self {
        Self { judge: JudgeBy::Report, ..self }
    }

    pub(crate) fn covering(mut self, ids: &[&str]) -> Self {
        self.covers = ids.iter().map(ToString::to_string).collect();
        self
    }
}

/// `restart[01]/kill` is in `restart[01]`, which is in `restart`.
fn parent(id: &str) -> Option<&str> {
    if id.ends_with(']') { id.rfind('[') } else { id.rfind('/') }.map(|end| &id[..end])
}

fn step(id: &str) -> StepId {
    StepId::root(id)
}

impl StepNode {
    pub(crate) fn needs(mut self, needs: &[&str]) -> Self {
        self.needs = needs.iter().map(|id| step(id)).collect();
        self
    }

    pub(crate) fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    pub(crate) fn about(self, about: &str) -> Self {
        Self { about: about.into(), ..self }
    }

    pub(crate) fn covers(mut self, ids: &[&str]) -> Self {
        self.covers = ids.iter().map(ToString::to_string).collect();
        self
    }
}

impl Story {
    /// The start of a run of the plan `restart` with these steps, one every ten lines.
    pub(crate) fn new(mut steps: Vec<StepNode>) -> Self {
        for (n, node) in steps.iter_mut().enumerate() {
            node.line = 10 * (n + 1);
        }
        Self::begin(RunStart {
            format: FORMAT,
            lariat: "0.1.0".into(),
            run: RunId::new("restart-20260101T000000Z-7f3a").unwrap(),
            started: "2026-01-01T00:00:00Z".parse().unwrap(),
            plan: "restart".into(),
            title: "All managers restart".into(),
            about: "Every manager is killed at once, then must come back.".into(),
            covers: vec!["C1".into(), "C5".into()],
            files: vec![PlanFile { path: "plans/restart.toml".into(), text: "[plan]\nname = \"restart\"\n".into() }],
            vars: Map::from_iter([("rounds".into(), 2.into())]),
            secrets: Vec::new(),
            set: vec!["rounds=2".into()],
            flags: Vec::new(),
            namespace: String::new(),
            seed: 7,
            jobs: 16,
            faults: Vec::new(),
            cluster: Some(ClusterIdentity {
                context: "lab".into(),
                server: "https://127.0.0.1:6443".into(),
                version: "v1.34.4".into(),
                nodes: Some(3),
                embedded: false,
            }),
            steps,
            checks: Vec::new(),
            repro: "lariat run plans/restart.toml --context lab --seed 7 --set rounds=2".into(),
        })
    }

    /// The same with checks.
    pub(crate) fn checked(steps: Vec<StepNode>, checks: Vec<CheckNode>) -> Self {
        let mut story = Self::new(steps);
        if let EventKind::RunStarted(start) = &mut story.events[0].kind {
            start.checks = checks;
        }
        story
    }

    /// A story with a start of one's own.
    pub(crate) fn begin(start: RunStart) -> Self {
        let mut story = Self { events: Vec::new(), now: Elapsed(0) };
        story.say(EventKind::RunStarted(Box::new(start)));
        story
    }

    /// Lets time pass, in milliseconds.
    pub(crate) fn after(mut self, millis: u64) -> Self {
        self.now.0 += millis * 1000;
        self
    }

    pub(crate) fn group(self, id: &str) -> Self {
        self.and(EventKind::GroupStarted { step: step(id) })
    }

    pub(crate) fn start(self, id: &str) -> Self {
        self.and(EventKind::StepStarted { step: step(id) })
    }

    pub(crate) fn up(self, id: &str) -> Self {
        self.and(EventKind::StepUp { step: step(id) })
    }

    pub(crate) fn progress(self, id: &str, say: &str, unmet: &[&str]) -> Self {
        let unmet = unmet.iter().map(ToString::to_string).collect();
        let progress = Progress { say: say.into(), unmet, done: None, total: None };
        self.and(EventKind::StepProgressed { step: step(id), progress })
    }

    pub(crate) fn note(self, id: &str, note: Note) -> Self {
        self.and(EventKind::StepNoted { step: step(id), note })
    }

    pub(crate) fn again(self, id: &str, attempt: u32, failure: Failure, delay_millis: u64) -> Self {
        self.and(EventKind::AttemptFailed { step: step(id), attempt, failure, delay: Elapsed(delay_millis * 1000) })
    }

    pub(crate) fn pass(self, id: &str) -> Self {
        self.end(id, Outcome::Passed, None)
    }

    /// Ends a step with the outcome of its failure.
    pub(crate) fn fail(self, id: &str, failure: Failure) -> Self {
        self.end(id, failure.class.outcome(), Some(failure))
    }

    pub(crate) fn end(self, id: &str, outcome: Outcome, failure: Option<Failure>) -> Self {
        self.and(EventKind::StepFinished { step: step(id), outcome, failure, outputs: Map::new() })
    }

    pub(crate) fn skip(self, id: &str, reason: SkipReason) -> Self {
        self.and(EventKind::StepSkipped { step: step(id), reason })
    }

    /// A watch opens and lists this many objects.
    pub(crate) fn watch(mut self, watch: u32, watched: Watched, objects: u64) -> Self {
        self.say(EventKind::WatchOpened { watch: WatchId(watch), watched });
        for n in 0..objects {
            self = self.see(watch, How::Listed, &format!("object-{n}"));
        }
        let listed = EventKind::WatchListed {
            watch: WatchId(watch),
            version: "4000".into(),
            objects,
            gone: Vec::new(),
            served: true,
        };
        self.and(listed)
    }

    /// A watch brings a version of an object.
    pub(crate) fn see(self, watch: u32, how: How, name: &str) -> Self {
        let seen = Seen {
            watch: WatchId(watch),
            how,
            namespace: "gadget-system".into(),
            name: name.into(),
            uid: "6f1d2c3b-0a4e-4c1e-9b1d-0a014b7e1c2d".into(),
            version: format!("{}", 4000 + self.events.len()),
            arrived: self.now,
            body: Body::Patch(serde_json::json!({ "status": { "state": "ready" } })),
        };
        self.and(EventKind::ObjectSeen(Box::new(seen)))
    }

    /// A watch was blind for the last so many milliseconds.
    pub(crate) fn gap(self, watch: u32, millis: u64, reason: &str) -> Self {
        let (from, to) = (Elapsed(self.now.0.saturating_sub(millis * 1000)), self.now);
        self.and(EventKind::WatchGap { watch: WatchId(watch), from, to, reason: reason.into(), changed: true })
    }

    /// A watch stood still for the last so many milliseconds, and missed nothing.
    pub(crate) fn late(self, watch: u32, millis: u64, reason: &str) -> Self {
        let (from, to) = (Elapsed(self.now.0.saturating_sub(millis * 1000)), self.now);
        self.and(EventKind::WatchLate { watch: WatchId(watch), from, to, reason: reason.into() })
    }

    pub(crate) fn arm(self, check: &str, watches: &[u32]) -> Self {
        let armed = |watch: &u32| Armed { watch: WatchId(*watch), version: "4000".into() };
        self.and(EventKind::CheckArmed { check: check_id(check), watches: watches.iter().map(armed).collect() })
    }

    pub(crate) fn violate(self, check: &str, moment: Moment) -> Self {
        self.and(EventKind::CheckViolated { check: check_id(check), moment: Box::new(moment) })
    }

    pub(crate) fn judge(self, check: &str, outcome: Outcome, finding: Finding) -> Self {
        self.and(EventKind::CheckJudged { check: check_id(check), outcome, finding: Box::new(finding) })
    }

    /// A check whose window never opens.
    pub(crate) fn leave(self, check: &str, reason: SkipReason) -> Self {
        self.and(EventKind::CheckSkipped { check: check_id(check), reason })
    }

    /// The present time.
    pub(crate) fn now(&self) -> Elapsed {
        self.now
    }

    /// Skips a step because one that it needs did not pass.
    pub(crate) fn block(self, id: &str, need: &str, outcome: Outcome) -> Self {
        self.skip(id, SkipReason::Need { step: step(need), outcome })
    }

    pub(crate) fn cancel(self, by: CancelReason) -> Self {
        self.and(EventKind::CancelRequested { by })
    }

    pub(crate) fn warn(self, message: &str) -> Self {
        self.and(EventKind::Warned { message: message.into() })
    }

    pub(crate) fn finish(self, verdict: Verdict, reason: &str) -> Self {
        self.and(EventKind::RunFinished { verdict, reason: reason.into() })
    }

    /// Any event.
    pub(crate) fn and(mut self, kind: EventKind) -> Self {
        self.say(kind);
        self
    }

    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// The story folded; it must be legal.
    pub(crate) fn view(&self) -> RunView {
        RunView::of(&self.events).unwrap_or_else(|illegal| panic!("{illegal}"))
    }

    fn say(&mut self, kind: EventKind) {
        let seq = self.events.len() as u64;
        self.events.push(Event { seq, at: self.now, kind });
    }
}

/// A run that fails: a retry, a wait that times out, what it blocks, clean-up that fails too.
pub(crate) fn red() -> Story {
    let unmet = Failure {
        expected: Some("ready(o) on 3 of managers".into()),
        observed: vec!["pod/manager-a: Pending, 0/1 ready".into(), "pod/manager-c: gone".into()],
        causes: vec!["the last change was 41s ago".into()],
        ..Failure::new(Class::Timeout, "2 of 3 managers were not ready within 10m")
    };
    let refused = Failure {
        causes: vec!["connect to 127.0.0.1:6443".into(), "connection refused".into()],
        ..Failure::new(Class::Unreachable, "logs were not collected")
    };
    let image = Failure::new(Class::Unreachable, "the chart was not fetched");
    Story::new(vec![
        node("install", "helm-install").about("The chart is installed.").covers(&["C1"]),
        node("restart", "repeat").needs(&["install"]),
        node("restart[01]", "group"),
        node("restart[01]/kill", "pod-kill").covers(&["C5"]),
        node("restart[01]/back", "wait").needs(&["restart[01]/kill"]).covers(&["C5"]),
        node("restart[01]/verify", "exec").needs(&["restart[01]/back"]),
        node("upgrade", "helm-upgrade").needs(&["restart"]),
        node("extra", "exec").needs(&["install"]),
        node("logs", "collect").needs(&["upgrade"]).when(When::Always),
    ])
    .start("install")
    .after(1_500)
    .again("install", 1, image, 2_000)
    .after(2_100)
    .note("install", Note::pair("revision", 1))
    .pass("install")
    .skip("extra", SkipReason::Flag { flag: "--skip extra".into() })
    .group("restart")
    .group("restart[01]")
    .start("restart[01]/kill")
    .after(250)
    .note("restart[01]/kill", Note::pair("skew", "1.2ms"))
    .pass("restart[01]/kill")
    .start("restart[01]/back")
    .after(10)
    .progress("restart[01]/back", "1 of 3 ready", &["pod/manager-a: Pending", "pod/manager-c: gone"])
    .after(600_000)
    .fail("restart[01]/back", unmet.clone())
    .block("restart[01]/verify", "restart[01]/back", Outcome::Failed)
    .end("restart[01]", Outcome::Failed, Some(unmet.clone()))
    .end("restart", Outcome::Failed, Some(unmet))
    .block("upgrade", "restart", Outcome::Failed)
    .start("logs")
    .after(500)
    .fail("logs", refused)
    .finish(Verdict::Fail, "`restart[01]/back` failed: 2 of 3 managers were not ready within 10m")
}

/// Text from a cluster that tries what such text can try.
pub(crate) fn hostile() -> String {
    let mut text =
        String::from("a\x1b[31mred\x1b]0;title\x07 \0nul \r\n::error file=x::boom\n  ##[error]x ]]> </script>");
    text.push_str(" <b>&amp; \u{202e}rtl\u{202c} \u{feff}\u{85}next \u{9b}31m \u{1f9a2} ");
    text.push_str("\n--- # \n+++\n~~~\nsection_start:0:x\r\x1b[0K\u{ffff}");
    text
}

/// Legal streams of random plans: groups in groups, retries, skips, cancels, each cut nowhere.
pub(crate) fn chaos() -> impl Strategy<Value = Story> {
    (prop::collection::vec((0..4_usize, 0..6_usize), 1..12), prop::collection::vec((any::<u16>(), 0..40_000_u64), 80))
        .prop_map(|(shape, choices)| {
            let steps = plan(&shape);
            let checks = steps.iter().enumerate().filter(|(n, _)| n % 3 == 1).map(|(n, node)| {
                let check = check(&format!("c{n}"), "never", node.id.as_str()).covering(&["C5"]);
                if n % 2 == 0 { check.reported() } else { check }
            });
            let checks = checks.collect();
            play(steps, checks, &choices)
        })
}

/// A plan where each node is put into an earlier group, or stands at the top.
fn plan(shape: &[(usize, usize)]) -> Vec<StepNode> {
    let mut nodes: Vec<StepNode> = Vec::new();
    for (n, (kind, place)) in shape.iter().enumerate() {
        let groups: Vec<&StepNode> = nodes.iter().filter(|node| !matches!(node.kind, NodeKind::Verb(_))).collect();
        let id = match groups.get(*place) {
            Some(group) => format!("{}/s{n}", group.id),
            None => format!("s{n}"),
        };
        let kind = ["wait", "exec", "group", "repeat"][*kind];
        let when = if n % 7 == 6 { When::Always } else { When::Passed };
        nodes.push(node(&id, kind).when(when).covers(&["C1"]));
    }
    nodes
}

/// Takes any legal next event until all has settled.
fn play(nodes: Vec<StepNode>, checks: Vec<CheckNode>, choices: &[(u16, u64)]) -> Story {
    let mut story = Story::checked(nodes, checks).watch(0, watched("pods", ""), 1);
    for (choice, micros) in choices {
        let view = story.view();
        story.now.0 += micros;
        let open = view.checks.iter().filter(|row| row.outcome().is_none()).count();
        if choice % 3 == 0 && open > 0 {
            story = play_a_check(story, &view, usize::from(*choice));
            continue;
        }
        let open: Vec<_> = view.rows.iter().filter(|row| row.outcome().is_none()).collect();
        let Some(row) = open.get(usize::from(*choice) % open.len().max(1)) else {
            break;
        };
        let step = row.node.id.clone();
        let failure = Failure::new(Class::Timeout, "not in time");
        let kinds = [
            EventKind::GroupStarted { step: step.clone() },
            EventKind::StepStarted { step: step.clone() },
            EventKind::StepSkipped { step: step.clone(), reason: SkipReason::NoCells },
            EventKind::StepProgressed { step: step.clone(), progress: Progress::default() },
            EventKind::StepNoted { step: step.clone(), note: Note::text("seen") },
            EventKind::StepUp { step: step.clone() },
            EventKind::AttemptFailed { step: step.clone(), attempt: 1, failure: failure.clone(), delay: Elapsed(9) },
            EventKind::CancelRequested { by: CancelReason::Interrupt },
            EventKind::Warned { message: "look".into() },
            EventKind::StepFinished {
                step: step.clone(),
                outcome: Outcome::Passed,
                failure: None,
                outputs: Map::new(),
            },
            EventKind::StepFinished { step, outcome: Outcome::Failed, failure: Some(failure), outputs: Map::new() },
        ];
        story = story.take_legal(&view, &kinds, usize::from(*choice) / 16);
    }
    settle(story)
}

/// Takes any legal next event about a check or the watch.
fn play_a_check(story: Story, view: &RunView, choice: usize) -> Story {
    let open: Vec<_> = view.checks.iter().filter(|row| row.outcome().is_none()).collect();
    let check = open[choice / 3 % open.len()].node.id.clone();
    let (watch, at) = (WatchId(0), view.last);
    let broken = moment(view.events, at.0 / 1000, "pod-a", "appeared", &["+ name: pod-a"]);
    let judged = |outcome| EventKind::CheckJudged {
        check: check.clone(),
        outcome,
        finding: Box::new(Finding { message: "as seen".into(), tracks: 1, versions: 2, ..Finding::default() }),
    };
    let kinds = [
        EventKind::CheckArmed { check: check.clone(), watches: vec![Armed { watch, version: "1".into() }] },
        EventKind::CheckViolated { check: check.clone(), moment: Box::new(broken) },
        judged(Outcome::Passed),
        judged(Outcome::Failed),
        judged(Outcome::Inconclusive),
        EventKind::WatchGap { watch, from: at, to: at, reason: "410 Gone".into(), changed: false },
        EventKind::WatchLate { watch, from: at, to: at, reason: "the connection broke".into() },
        EventKind::CheckSkipped { check: check.clone(), reason: SkipReason::NoCells },
    ];
    story.take_legal(view, &kinds, choice / 48)
}

/// Ends what is open, innermost first.
fn settle(mut story: Story) -> Story {
    let view = story.view();
    for row in view.rows.iter().rev().filter(|row| row.outcome().is_none()) {
        let id = row.node.id.as_str();
        story = if row.started.is_some() { story.pass(id) } else { story.skip(id, SkipReason::NothingFailed) };
    }
    for row in &view.checks {
        let (id, found) = (row.node.id.as_str(), Finding::default());
        story = match row.state {
            CheckState::Waiting => story.leave(id, SkipReason::NothingFailed),
            CheckState::Armed => story.judge(id, Outcome::Passed, found),
            CheckState::Violated => story.judge(id, Outcome::Failed, found),
            CheckState::Settled(_) => story,
        };
    }
    story.finish(Verdict::Pass, "all passed")
}

impl Story {
    /// Appends the first legal one, beginning the search at a chosen place.
    fn take_legal<const N: usize>(mut self, view: &RunView, kinds: &[EventKind; N], from: usize) -> Self {
        let event = |kind: &EventKind| Event { seq: view.events, at: self.now, kind: kind.clone() };
        let legal = kinds.iter().cycle().skip(from % N).take(N).find(|kind| view.clone().apply(&event(kind)).is_ok());
        if let Some(kind) = legal {
            let kind = kind.clone();
            self.say(kind);
        }
        self
    }
}
