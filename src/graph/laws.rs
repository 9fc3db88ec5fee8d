//! What holds of the frontier for every plan and every course of events.
//!
//! Plans and courses are read off a tape of numbers, so that a failing case
//! shrinks to a short tape. [`Naive`] says the same a second time, slowly: it
//! looks at everything again and again until nothing changes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{CleanUp, Frontier, Graph, Move, Rules, StepIx};
use crate::event::{CancelReason, NodeKind, Outcome, SkipReason, StepNode, Verdict, When};
use crate::id::StepId;

/// Numbers that decide; zeros once it is over.
#[derive(Clone)]
struct Tape {
    numbers: Vec<u16>,
    at: usize,
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut tape = self.clone();
        writeln!(f, "{:?}", self.numbers)?;
        for node in Sketch::draw(&mut tape, true).nodes {
            let needs: Vec<&str> = node.needs.iter().map(StepId::as_str).collect();
            writeln!(f, "{} {:?} {needs:?} {:?} {:?}", node.id, node.kind, node.when, node.until)?;
        }
        Ok(())
    }
}

impl Tape {
    fn pick(&mut self, n: usize) -> usize {
        let number = self.numbers.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(number) % n
    }

    /// True once in `n`; never when the tape is over.
    fn rarely(&mut self, n: usize) -> bool {
        self.pick(n) == n - 1
    }
}

fn tape() -> impl Strategy<Value = Tape> {
    prop::collection::vec(any::<u16>(), 0..300).prop_map(|numbers| Tape { numbers, at: 0 })
}

/// A plan off a tape.
#[derive(Clone, Debug, Default)]
struct Sketch {
    nodes: Vec<StepNode>,
    left_out: BTreeMap<StepId, SkipReason>,
    stop: BTreeSet<StepId>,
    background: bool,
}

impl Sketch {
    fn draw(tape: &mut Tape, background: bool) -> Self {
        let mut sketch = Self { background, ..Self::default() };
        let count = 1 + tape.pick(6);
        sketch.scope(tape, None, &[], count, 1);
        sketch
    }

    fn graph(&self) -> (Graph, Rules) {
        let graph = Graph::new(&self.nodes);
        let find = |id: &StepId| graph.find(id).unwrap();
        let left_out = self.left_out.iter();
        let rules = Rules {
            left_out: left_out.map(|(id, why)| (find(id), why.clone())).collect(),
            stop_on_failure: self.stop.iter().map(find).collect(),
        };
        (graph, rules)
    }

    /// Steps of a file or a group; `outer` are those of the scopes around it that a background step may name.
    fn scope(&mut self, tape: &mut Tape, group: Option<&StepId>, outer: &[StepId], count: usize, depth: usize) {
        let name = |i: usize| {
            let name = format!("s{i}");
            group.map_or_else(|| StepId::root(&name), |group| group.join(&name))
        };
        // Needs follow a rank that is not the file's order.
        let ranks: Vec<usize> = (0..count).map(|_| tape.pick(8)).collect();
        for i in 0..count {
            let mut node = blank(name(i), group.cloned(), NodeKind::Group);
            for j in 0..count {
                if (ranks[j], j) < (ranks[i], i) && i != j && tape.pick(3) == 1 {
                    node.needs.push(name(j));
                }
            }
            node.when = match tape.pick(8) {
                6 => When::Always,
                7 => When::Failed,
                _ => When::Passed,
            };
            let mut around: Vec<StepId> = (0..count).filter(|&j| j != i).map(name).collect();
            around.extend_from_slice(outer);
            if self.background && tape.rarely(4) && !around.is_empty() {
                node.until = Some(around[tape.pick(around.len())].clone());
            }
            if tape.rarely(10) {
                let expression = node.id.to_string();
                self.left_out.insert(node.id.clone(), SkipReason::If { expression });
            }
            self.body(tape, node, &around, depth);
        }
    }

    fn body(&mut self, tape: &mut Tape, mut node: StepNode, around: &[StepId], depth: usize) {
        let id = node.id.clone();
        let kind = if depth < 4 { tape.pick(9) } else { 0 };
        match kind {
            6 => {
                self.nodes.push(node);
                let count = tape.pick(4);
                self.scope(tape, Some(&id), around, count, depth + 1);
            }
            7 | 8 => {
                let repeat = kind == 7;
                node.kind = if repeat { NodeKind::Repeat } else { NodeKind::Cells };
                if repeat && tape.rarely(2) {
                    self.stop.insert(id.clone());
                }
                let copied = tape.rarely(2).then_some((node.when, node.until.clone()));
                self.nodes.push(node);
                let mut before: Option<StepId> = None;
                for i in 0..tape.pick(4) {
                    let inner = id.index(&i.to_string());
                    let mut inside = blank(inner.clone(), Some(id.clone()), NodeKind::Group);
                    (inside.when, inside.until) = copied.clone().unwrap_or_default();
                    if repeat {
                        inside.needs = before.replace(inner).into_iter().collect();
                    }
                    self.body(tape, inside, around, depth + 1);
                }
            }
            _ => {
                node.kind = NodeKind::Verb("sleep".into());
                self.nodes.push(node);
            }
        }
    }
}

fn blank(id: StepId, parent: Option<StepId>, kind: NodeKind) -> StepNode {
    StepNode {
        id,
        parent,
        kind,
        about: String::new(),
        needs: Vec::new(),
        when: When::Passed,
        until: None,
        covers: Vec::new(),
        file: "plan.toml".into(),
        line: 1,
    }
}

/// What was seen of one step.
#[derive(Clone, Debug, Default)]
struct Seen {
    opened: bool,
    running: bool,
    up: bool,
    stopped: Option<CancelReason>,
    settled: Option<Outcome>,
    skip: Option<SkipReason>,
}

/// Runs a plan along a tape and looks at every move.
struct Course {
    graph: Graph,
    rules: Rules,
    frontier: Frontier,
    seen: Vec<Seen>,
    startable: BTreeSet<StepIx>,
    opening: BTreeSet<StepIx>,
    closing: BTreeMap<StepIx, Outcome>,
    /// Containers that were cut short by a timeout of their own.
    halted: BTreeSet<StepIx>,
    cancelled: Option<(CancelReason, CleanUp)>,
    fates: BTreeMap<StepIx, Outcome>,
}

const FATES: [Outcome; 8] = [
    Outcome::Passed,
    Outcome::Passed,
    Outcome::Passed,
    Outcome::Passed,
    Outcome::Failed,
    Outcome::Errored,
    Outcome::Inconclusive,
    Outcome::Passed,
];

impl Course {
    fn new(sketch: &Sketch, tape: &mut Tape) -> Self {
        let (graph, rules) = sketch.graph();
        let fates = graph.all().map(|step| (step, FATES[tape.pick(8)])).collect();
        Self {
            frontier: Frontier::new(&graph, &rules),
            seen: vec![Seen::default(); graph.len()],
            startable: BTreeSet::new(),
            opening: BTreeSet::new(),
            closing: BTreeMap::new(),
            halted: BTreeSet::new(),
            cancelled: None,
            fates,
            graph,
            rules,
        }
    }

    fn run(&mut self, tape: &mut Tape, disturb: bool) -> Result<(), TestCaseError> {
        let mut turns = 0;
        loop {
            self.take_moves()?;
            if self.frontier.is_over() {
                break;
            }
            turns += 1;
            prop_assert!(turns < 20_000, "it does not end");
            if disturb && tape.rarely(40) {
                self.disturb(tape);
                continue;
            }
            let acts = self.acts();
            prop_assert!(!acts.is_empty(), "it stalls: {:?}", self.seen);
            let act = acts[tape.pick(acts.len())];
            self.act(act);
        }
        for (place, seen) in self.seen.iter().enumerate() {
            prop_assert!(seen.settled.is_some(), "{place} never settled");
        }
        Ok(())
    }

    /// Everything that the outside may do next, in plan order.
    fn acts(&self) -> Vec<(StepIx, Act)> {
        let mut acts = Vec::new();
        acts.extend(self.startable.iter().map(|&step| (step, Act::Start)));
        acts.extend(self.opening.iter().map(|&step| (step, Act::Open)));
        acts.extend(self.closing.keys().map(|&step| (step, Act::Close)));
        for step in self.graph.all() {
            let seen = &self.seen[step.at()];
            if !seen.running || !self.graph.is_leaf(step) {
                continue;
            }
            let beside = self.frontier.is_beside(step);
            if beside && !seen.up && seen.stopped.is_none() {
                acts.push((step, Act::Up));
            }
            // Beside others it never ends by itself: every wait for it must be resolved.
            if !beside || seen.stopped.is_some() || self.fates[&step] == Outcome::Failed {
                acts.push((step, Act::End));
            }
        }
        acts
    }

    fn act(&mut self, (step, act): (StepIx, Act)) {
        match act {
            Act::Start => {
                self.startable.remove(&step);
                if self.frontier.may_start(step) {
                    self.seen[step.at()].running = true;
                    self.frontier.started(step);
                }
            }
            Act::Open => {
                self.opening.remove(&step);
                let stopped = self.seen[step.at()].stopped.is_some();
                if stopped || self.fates[&step] == Outcome::Inconclusive {
                    let outcome = if stopped { Outcome::Cancelled } else { Outcome::Inconclusive };
                    self.frontier.refused(step, outcome);
                } else {
                    self.seen[step.at()].opened = true;
                    self.frontier.opened(step);
                }
            }
            Act::Close => {
                let outcome = self.closing.remove(&step).unwrap();
                self.settle(step, outcome);
            }
            Act::Up => {
                self.seen[step.at()].up = true;
                assert!(self.frontier.up(step));
            }
            Act::End => {
                let seen = &self.seen[step.at()];
                let outcome = match seen.stopped {
                    Some(CancelReason::Until) if seen.up => self.fates[&step],
                    Some(_) => Outcome::Cancelled,
                    None => self.fates[&step],
                };
                self.settle(step, outcome);
            }
        }
    }

    fn settle(&mut self, step: StepIx, outcome: Outcome) {
        let seen = &mut self.seen[step.at()];
        seen.running = false;
        assert_eq!(seen.settled.replace(outcome), None, "{step:?} settles twice");
        self.frontier.settled(step, outcome);
    }

    fn disturb(&mut self, tape: &mut Tape) {
        let open: Vec<StepIx> = self
            .graph
            .all()
            .filter(|step| self.seen[step.at()].opened && self.seen[step.at()].settled.is_none())
            .collect();
        let kept = if tape.rarely(4) { CleanUp::Dropped } else { CleanUp::Kept };
        if !open.is_empty() && tape.rarely(2) {
            let group = open[tape.pick(open.len())];
            self.halted.insert(group);
            self.frontier.halt(group, CancelReason::Deadline, CleanUp::Kept);
            return;
        }
        let reason = [CancelReason::FailFast, CancelReason::Interrupt, CancelReason::SecondSignal][tape.pick(3)];
        let kept = if reason == CancelReason::SecondSignal { CleanUp::Dropped } else { kept };
        let (before, spared) = self.cancelled.unwrap_or((reason, kept));
        self.cancelled = Some((before.max(reason), spared.min(kept)));
        self.frontier.cancel(reason, kept);
    }

    /// Takes every move there is and holds it against what was seen.
    fn take_moves(&mut self) -> Result<(), TestCaseError> {
        let mut starts = Vec::new();
        while let Some(next) = self.frontier.next_move() {
            match next {
                Move::Start(step) => {
                    self.may_begin(step)?;
                    starts.push(step);
                    self.startable.insert(step);
                }
                Move::Open(step) => {
                    self.may_begin(step)?;
                    self.opening.insert(step);
                }
                Move::Up(step) => {
                    prop_assert!(self.seen[step.at()].opened && !self.seen[step.at()].up);
                    self.seen[step.at()].up = true;
                }
                Move::Skip(step, reason) => {
                    self.startable.remove(&step);
                    self.is_real(step, &reason)?;
                    let seen = &mut self.seen[step.at()];
                    prop_assert_eq!(seen.settled.replace(Outcome::Skipped), None, "{:?}", step);
                    prop_assert!(!seen.running && !seen.opened);
                    seen.skip = Some(reason);
                }
                Move::Stop(step, reason) => {
                    let seen = &mut self.seen[step.at()];
                    prop_assert!(seen.stopped < Some(reason));
                    seen.stopped = Some(reason);
                }
                Move::Close { step, outcome, .. } => {
                    for inside in self.graph.inside(step) {
                        prop_assert!(self.seen[inside].settled.is_some(), "{inside} is left");
                    }
                    self.closing.insert(step, outcome);
                }
            }
        }
        prop_assert!(starts.is_sorted(), "equals start in file order: {starts:?}");
        Ok(())
    }

    fn is_round_or_cell(&self, step: StepIx) -> bool {
        let parent = self.graph.parent(step);
        parent.is_some_and(|parent| self.graph.node(parent).kind != NodeKind::Group)
    }

    fn when(&self, step: StepIx) -> When {
        if self.is_round_or_cell(step) { When::Passed } else { self.graph.node(step).when }
    }

    /// A step begins only inside an open group, with its needs met, and once.
    fn may_begin(&self, step: StepIx) -> Result<(), TestCaseError> {
        let seen = &self.seen[step.at()];
        prop_assert!(!seen.running && !seen.opened && seen.settled.is_none());
        if let Some(parent) = self.graph.parent(step) {
            prop_assert!(self.seen[parent.at()].opened);
        }
        for &need in self.graph.needs(step) {
            let needed = &self.seen[need.at()];
            // Clean-up may follow what is only up when all else waits for it.
            let quiet = self.when(step) != When::Passed && self.is_quiet(need);
            prop_assert!(needed.settled.is_some() || needed.up || quiet, "{step:?} is early");
            if self.when(step) == When::Passed && !self.is_round_or_cell(step) {
                prop_assert!(self.is_met(need), "{step:?} runs though {need:?} did not pass");
            }
            if self.is_round_or_cell(step) {
                prop_assert!(needed.settled.is_some(), "rounds follow each other");
            }
        }
        Ok(())
    }

    /// Whether nothing in it runs that is not up.
    fn is_quiet(&self, step: StepIx) -> bool {
        let inside = std::iter::once(step).chain(self.graph.inside(step).map(StepIx::new));
        let mut leaves = inside.filter(|&at| self.graph.is_leaf(at));
        leaves.all(|at| !self.seen[at.at()].running || self.seen[at.at()].up)
    }

    fn is_met(&self, step: StepIx) -> bool {
        let seen = &self.seen[step.at()];
        let by_choice = seen.skip.as_ref().is_some_and(SkipReason::by_choice);
        let is_up = seen.up && (!self.graph.is_leaf(step) || self.graph.until(step).is_some());
        is_up || by_choice || seen.settled == Some(Outcome::Passed)
    }

    /// A skip names a cause that is there.
    fn is_real(&self, step: StepIx, reason: &SkipReason) -> Result<(), TestCaseError> {
        let at = |id: &StepId| self.graph.find(id).unwrap();
        let line = || std::iter::once(step).chain(self.graph.above(step));
        let bad = |step: StepIx| self.seen[step.at()].settled.is_some_and(is_bad);
        match reason {
            SkipReason::Need { step: need, outcome } => {
                let need = at(need);
                prop_assert!(self.graph.needs(step).contains(&need));
                prop_assert_eq!(self.seen[need.at()].settled, Some(*outcome));
                prop_assert!(!self.is_met(need));
            }
            SkipReason::If { expression } => {
                let mut chosen = line().chain(line().filter_map(|at| self.graph.until(at)));
                let chosen = chosen.any(|at| {
                    let id = self.graph.node(at).id.as_str();
                    id == expression && self.rules.left_out.contains_key(&at)
                });
                let beside = self.graph.find(&StepId::root(expression)).is_some();
                prop_assert!(chosen || beside, "nobody left out {expression}");
            }
            SkipReason::Flag { .. } => prop_assert!(false, "no flag was given"),
            SkipReason::NoCells => {
                let ends_with_empty = line().any(|at| self.graph.until(at).is_some());
                prop_assert!(self.graph.children(Some(step)).is_empty() || ends_with_empty);
            }
            SkipReason::NothingFailed => {
                let ends_with_such = line().any(|at| self.graph.until(at).is_some());
                let needs = self.graph.needs(step);
                let none = self.when(step) == When::Failed && !needs.iter().any(|&need| bad(need));
                prop_assert!(none || ends_with_such);
            }
            SkipReason::RoundFailed { step: round } => {
                let (round, parent) = (at(round), self.graph.parent(step).unwrap());
                prop_assert!(self.rules.stop_on_failure.contains(&parent));
                prop_assert!(round < step && self.graph.parent(round) == Some(parent));
                let failed = &self.seen[round.at()];
                prop_assert!(failed.settled.is_some_and(|outcome| outcome != Outcome::Passed));
            }
            SkipReason::RoundViolated { .. } => prop_assert!(false, "nobody told of a check"),
            SkipReason::Group { step: group } => {
                let group = at(group);
                prop_assert!(line().skip(1).any(|above| above == group));
                prop_assert!(!self.seen[group.at()].opened);
            }
            SkipReason::Cancelled { by: CancelReason::Until } => {
                prop_assert!(line().any(|at| self.graph.until(at).is_some()));
            }
            SkipReason::Cancelled { by: CancelReason::Deadline } => {
                prop_assert!(line().any(|at| self.halted.contains(&at)));
            }
            SkipReason::Cancelled { by } => {
                prop_assert_eq!(self.cancelled.map(|(reason, _)| reason), Some(*by));
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Start,
    Open,
    Close,
    Up,
    End,
}

fn is_bad(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failed | Outcome::Errored | Outcome::Inconclusive)
}

/// The same rules said without counters, for plans that nothing disturbs and nothing runs beside.
struct Naive<'a> {
    course: &'a Course,
    outcomes: BTreeMap<StepIx, Outcome>,
    by_choice: BTreeSet<StepIx>,
}

impl Naive<'_> {
    fn solve(course: &Course) -> BTreeMap<StepIx, Outcome> {
        let mut naive = Naive { course, outcomes: BTreeMap::new(), by_choice: BTreeSet::new() };
        naive.scope(None);
        naive.outcomes
    }

    /// Settles a scope by looking at all its steps until nothing changes; its outcome is the worst.
    fn scope(&mut self, container: Option<StepIx>) -> Verdict {
        let children = self.course.graph.children(container).to_vec();
        loop {
            let before = self.outcomes.len();
            for &step in &children {
                if !self.outcomes.contains_key(&step) && self.is_due(step, &children) {
                    self.step(step, &children);
                }
            }
            if self.outcomes.len() == before {
                break;
            }
        }
        let counted = children.iter().filter(|&&step| self.course.when(step) == When::Passed);
        counted.map(|&step| self.worth(step)).max().unwrap_or(Verdict::Pass)
    }

    /// Other steps that a clean-up without needs waits for.
    fn others(&self, children: &[StepIx]) -> Vec<StepIx> {
        let mut after: BTreeSet<StepIx> = children
            .iter()
            .copied()
            .filter(|&step| self.course.when(step) != When::Passed && self.needs(step).is_empty())
            .collect();
        for _ in children {
            for &step in children {
                if self.needs(step).iter().any(|need| after.contains(need)) {
                    after.insert(step);
                }
            }
        }
        let before = |step: &StepIx| self.course.when(*step) == When::Passed && !after.contains(step);
        children.iter().copied().filter(before).collect()
    }

    fn needs(&self, step: StepIx) -> &[StepIx] {
        self.course.graph.needs(step)
    }

    fn awaited(&self, step: StepIx, children: &[StepIx]) -> Vec<StepIx> {
        if self.course.when(step) != When::Passed && self.needs(step).is_empty() {
            self.others(children)
        } else {
            self.needs(step).to_vec()
        }
    }

    fn is_due(&self, step: StepIx, children: &[StepIx]) -> bool {
        let awaited = self.awaited(step, children);
        awaited.iter().all(|need| self.outcomes.contains_key(need))
    }

    fn ok(&self, step: StepIx) -> bool {
        self.outcomes[&step] == Outcome::Passed || self.by_choice.contains(&step)
    }

    fn step(&mut self, step: StepIx, children: &[StepIx]) {
        let course = self.course;
        let parent = course.graph.parent(step);
        let in_repeat = parent.is_some_and(|up| course.graph.node(up).kind == NodeKind::Repeat);
        let stops = parent.is_some_and(|up| course.rules.stop_on_failure.contains(&up));
        let needs_hold = self.needs(step).iter().all(|&need| self.ok(need));
        let awaited = self.awaited(step, children);
        let bad = awaited.iter().any(|need| is_bad(self.outcomes[need]));
        let kind = &course.graph.node(step).kind;
        let empty = course.graph.children(Some(step)).is_empty() && matches!(kind, NodeKind::Repeat | NodeKind::Cells);
        let blocked = !needs_hold && if in_repeat { stops } else { course.when(step) == When::Passed };
        let chosen = course.rules.left_out.contains_key(&step) || (course.when(step) == When::Failed && !bad) || empty;
        let outcome = if blocked {
            Outcome::Skipped
        } else if chosen {
            self.by_choice.insert(step);
            Outcome::Skipped
        } else if course.graph.is_leaf(step) {
            course.fates[&step]
        } else if course.fates[&step] == Outcome::Inconclusive {
            Outcome::Inconclusive
        } else {
            match self.scope(Some(step)) {
                Verdict::Pass => Outcome::Passed,
                Verdict::Cancelled => Outcome::Cancelled,
                Verdict::Inconclusive => Outcome::Inconclusive,
                Verdict::Error => Outcome::Errored,
                Verdict::Fail => Outcome::Failed,
            }
        };
        self.outcomes.insert(step, outcome);
        if matches!(outcome, Outcome::Skipped | Outcome::Inconclusive) {
            for inside in course.graph.inside(step).map(StepIx::new) {
                self.outcomes.entry(inside).or_insert(Outcome::Skipped);
            }
        }
    }

    /// What a step makes of its scope: one that was skipped, what it was skipped for.
    fn worth(&self, step: StepIx) -> Verdict {
        let outcome = self.outcomes[&step];
        if outcome != Outcome::Skipped || self.by_choice.contains(&step) {
            return outcome.verdict();
        }
        let cause = self.needs(step).iter().find(|&&need| !self.ok(need)).unwrap();
        let worth = self.worth(*cause);
        if self.course.when(*cause) != When::Passed {
            worth.clamp(Verdict::Cancelled, Verdict::Inconclusive)
        } else if worth == Verdict::Pass {
            Verdict::Inconclusive
        } else {
            worth
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens: order, single settling, real causes, and an end.
    #[test]
    fn every_course_keeps_the_rules(mut tape in tape()) {
        let sketch = Sketch::draw(&mut tape, true);
        Course::new(&sketch, &mut tape).run(&mut tape, true)?;
    }

    /// Without disturbance the same outcomes come out in whatever order steps end.
    #[test]
    fn outcomes_are_those_of_the_slow_reading(mut tape in tape()) {
        let sketch = Sketch::draw(&mut tape, false);
        let mut course = Course::new(&sketch, &mut tape);
        course.run(&mut tape, false)?;
        for (step, outcome) in Naive::solve(&course) {
            prop_assert_eq!(course.seen[step.at()].settled, Some(outcome), "{}", course.graph.node(step).id);
        }
    }

    /// Clean-up whose group was open runs, unless it was left out or cancelled twice.
    #[test]
    fn clean_up_runs(mut tape in tape()) {
        let sketch = Sketch::draw(&mut tape, false);
        let mut course = Course::new(&sketch, &mut tape);
        course.run(&mut tape, true)?;
        let dropped = course.cancelled.is_some_and(|(_, clean_up)| clean_up == CleanUp::Dropped);
        for step in course.graph.all() {
            let open = course.graph.parent(step).is_none_or(|up| course.seen[up.at()].opened);
            let always = course.when(step) == When::Always && !course.rules.left_out.contains_key(&step);
            let empty = matches!(course.graph.node(step).kind, NodeKind::Repeat | NodeKind::Cells)
                && course.graph.children(Some(step)).is_empty();
            let spared = !course.graph.above(step).any(|up| course.halted.contains(&up));
            if always && open && !empty && !dropped && spared {
                prop_assert!(course.seen[step.at()].skip.is_none(), "{} was skipped", course.graph.node(step).id);
            }
        }
    }

    /// Nothing is green by accident: a pass means that every step outside clean-up passed or was left out by choice,
    /// or was cut by the end of what it ran beside.
    #[test]
    fn a_pass_has_no_holes(mut tape in tape()) {
        let sketch = Sketch::draw(&mut tape, true);
        let mut course = Course::new(&sketch, &mut tape);
        course.run(&mut tape, true)?;
        if course.frontier.verdict().0 != Verdict::Pass {
            return Ok(());
        }
        for step in course.graph.all().filter(|&step| !course.frontier.is_cleanup(step)) {
            let seen = &course.seen[step.at()];
            let chosen_above = course.graph.above(step).any(|up| {
                course.seen[up.at()].skip.as_ref().is_some_and(SkipReason::by_choice)
            });
            let chosen = seen.skip.as_ref().is_some_and(SkipReason::by_choice) || chosen_above;
            let cut = course.graph.above(step).any(|up| {
                course.graph.until(up).is_some() && course.seen[up.at()].settled == Some(Outcome::Passed)
            });
            prop_assert!(
                chosen || cut || seen.settled == Some(Outcome::Passed),
                "{} is {:?} in a run that passed", course.graph.node(step).id, seen.settled
            );
        }
    }
}
