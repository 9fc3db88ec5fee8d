use std::collections::BTreeSet;

use super::{Graph, StepIx};
use crate::event::NodeKind;

/// One thing in a drawing: a step, or what is the same step in every round of a repeat.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    /// What it stands for; it is drawn as the first.
    pub(super) steps: Vec<StepIx>,
    /// What is drawn inside it.
    pub(super) inside: Vec<Fold>,
    /// How often what is inside happens: rounds one after another.
    pub(super) rounds: Option<usize>,
    /// Cells that are drawn as one, by name.
    pub(super) cells: Vec<String>,
    /// Whether it is clean-up in its scope.
    pub(super) clean_up: bool,
}

/// How cells are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cells {
    /// Each by itself.
    Apart,
    /// All as one.
    Together,
}

/// The plan as it is drawn: rounds lie over each other, since they are the same steps.
pub(super) fn fold(graph: &Graph, cells: Cells) -> Vec<Fold> {
    let top = graph.children(None).iter();
    top.map(|&step| Fold::of(graph, cells, vec![step])).collect()
}

impl Fold {
    fn of(graph: &Graph, cells: Cells, mut steps: Vec<StepIx>) -> Self {
        let mut fold = Self {
            steps: Vec::new(),
            inside: Vec::new(),
            rounds: None,
            cells: Vec::new(),
            clean_up: graph.node(steps[0]).when.is_cleanup(),
        };
        // A repeat or merged cells are drawn as one of what is in them.
        loop {
            let children = graph.children(Some(steps[0]));
            match graph.node(steps[0]).kind {
                NodeKind::Repeat if !children.is_empty() && fold.rounds.is_none() => {
                    fold.rounds = Some(children.len());
                }
                NodeKind::Cells if cells == Cells::Together && !children.is_empty() => {
                    let names = children.iter().map(|&cell| name(graph, cell));
                    fold.cells = names.map(|name| bracket(&name)).collect();
                }
                _ => break,
            }
            let inner = steps.iter().flat_map(|&step| graph.children(Some(step)));
            let inner: Vec<StepIx> = inner.copied().collect();
            fold.steps.append(&mut steps);
            steps = inner;
        }
        let places = graph.children(Some(steps[0])).len();
        fold.inside = (0..places)
            .map(|place| {
                let at = |&step: &StepIx| graph.children(Some(step)).get(place).copied();
                Self::of(graph, cells, steps.iter().filter_map(at).collect())
            })
            .collect();
        fold.steps.append(&mut steps);
        fold
    }

    /// The step it is drawn as.
    pub(super) fn step(&self) -> StepIx {
        self.steps[0]
    }

    /// The verb, if it does something itself.
    pub(super) fn verb<'a>(&self, graph: &'a Graph) -> Option<&'a str> {
        let innermost = self.steps.last().expect("a fold stands for a step");
        match &graph.node(*innermost).kind {
            NodeKind::Verb(verb) => Some(verb),
            NodeKind::Group | NodeKind::Repeat | NodeKind::Cells => None,
        }
    }

    /// How many boxes without anything inside it is drawn with.
    pub(super) fn boxes(&self) -> usize {
        if self.inside.is_empty() { 1 } else { self.inside.iter().map(Self::boxes).sum() }
    }

    /// Boxes that what needs the whole follows.
    pub(super) fn exits<'a>(&'a self, ties: &Ties) -> Vec<&'a Self> {
        self.outer(&|inner| ties.leads_on(inner.step()))
    }

    /// Boxes that follow what the whole needs.
    pub(super) fn entries<'a>(&'a self, ties: &Ties) -> Vec<&'a Self> {
        self.outer(&|inner| ties.follows(inner.step()))
    }

    /// The boxes inside that are not tied to any other there; clean-up only if there is nothing else.
    fn outer<'a>(&'a self, tied: &dyn Fn(&Self) -> bool) -> Vec<&'a Self> {
        if self.inside.is_empty() {
            return vec![self];
        }
        let loose = self.inside.iter().filter(|inner| !tied(inner));
        let (clean_up, work): (Vec<&Self>, Vec<&Self>) = loose.partition(|inner| inner.clean_up);
        let outer = if work.is_empty() { clean_up } else { work };
        outer.into_iter().flat_map(|inner| inner.outer(tied)).collect()
    }
}

/// The lines of a drawing, between steps of one scope.
#[derive(Clone, Debug)]
pub(super) struct Ties {
    pub(super) all: Vec<Tie>,
    leading_on: BTreeSet<StepIx>,
    following: BTreeSet<StepIx>,
}

/// One line, from what comes first to what comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tie {
    pub(super) from: StepIx,
    pub(super) to: StepIx,
    pub(super) kind: LineKind,
}

/// What a line of a drawing says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineKind {
    /// The second needs the first.
    Need,
    /// The second is clean-up that comes after everything of its scope.
    End,
    /// The first runs beside others until the second has settled.
    Until,
}

impl Ties {
    /// The lines of what is drawn; needs that others imply are left out.
    pub(super) fn of(graph: &Graph, folds: &[Fold]) -> Self {
        let reduced = graph.reduced_edges();
        let needs = reduced.into_iter().map(|(from, to)| Tie { from, to, kind: LineKind::Need });
        let mut ties = Self { all: Vec::new(), leading_on: BTreeSet::new(), following: BTreeSet::new() };
        let mut shown = BTreeSet::new();
        show(folds, &mut shown);
        for tie in needs.filter(|tie| shown.contains(&tie.from) && shown.contains(&tie.to)) {
            // Clean-up beside does not stand between a step and what follows its group.
            if !graph.node(tie.to).when.is_cleanup() {
                ties.leading_on.insert(tie.from);
            }
            ties.following.insert(tie.to);
            ties.all.push(tie);
        }
        ties.add_ends(graph, folds);
        for step in graph.all().filter(|step| shown.contains(step)) {
            if let Some(until) = graph.until(step).filter(|until| shown.contains(until)) {
                ties.all.push(Tie { from: step, to: until, kind: LineKind::Until });
            }
        }
        ties
    }

    /// Clean-up without needs follows the last steps of its scope.
    fn add_ends(&mut self, graph: &Graph, scope: &[Fold]) {
        let (clean_up, work): (Vec<&Fold>, Vec<&Fold>) = scope.iter().partition(|fold| fold.clean_up);
        let last = work.iter().filter(|fold| !self.leads_on(fold.step()));
        let last: Vec<StepIx> = last.map(|fold| fold.step()).collect();
        for fold in clean_up.iter().filter(|fold| graph.needs(fold.step()).is_empty()) {
            let to = fold.step();
            let ends = last.iter().map(|&from| Tie { from, to, kind: LineKind::End });
            self.all.extend(ends);
        }
        for fold in scope {
            self.add_ends(graph, &fold.inside);
        }
    }

    fn leads_on(&self, step: StepIx) -> bool {
        self.leading_on.contains(&step)
    }

    fn follows(&self, step: StepIx) -> bool {
        self.following.contains(&step)
    }
}

fn show(folds: &[Fold], into: &mut BTreeSet<StepIx>) {
    for fold in folds {
        into.insert(fold.step());
        show(&fold.inside, into);
    }
}

/// A step's own name: the last part of its id.
pub(super) fn name(graph: &Graph, step: StepIx) -> String {
    let id = graph.node(step).id.as_str();
    // The text of a cell may hold a slash itself.
    let mut depth = 0_usize;
    let mut from = 0;
    for (at, c) in id.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            '/' if depth == 0 => from = at + 1,
            _ => {}
        }
    }
    id[from..].to_owned()
}

/// What stands in a name's last brackets.
fn bracket(name: &str) -> String {
    let inner = name.strip_suffix(']').and_then(|name| name.split_once('['));
    inner.map_or(name, |(_, inner)| inner).to_owned()
}
