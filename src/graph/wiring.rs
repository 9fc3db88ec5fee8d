use std::collections::{BTreeMap, BTreeSet};

use super::{Graph, StepIx};
use crate::event::{NodeKind, SkipReason, When};

/// What a plan says about steps beyond its graph: choices made before the run.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Steps that are left out by choice, and by which.
    pub left_out: BTreeMap<StepIx, SkipReason>,
    /// Repeats that end with the first round that does not pass.
    pub stop_on_failure: BTreeSet<StepIx>,
}

/// All that the frontier must know of one step and that never changes.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) kind: Kind,
    pub(super) parent: Option<StepIx>,
    pub(super) children: Vec<StepIx>,
    /// How many containers it is in, itself included: 1 at the top.
    pub(super) depth: usize,
    /// One past the last place inside it.
    pub(super) end: usize,
    pub(super) needs: Vec<StepIx>,
    pub(super) needed_by: Vec<StepIx>,
    /// Always `Passed` for rounds and cells: whether they run is decided at their container.
    pub(super) when: When,
    pub(super) choice: Option<SkipReason>,
    /// Its place in the end of its scope.
    pub(super) end_of_scope: EndOfScope,
    /// Whether it is a background step itself.
    pub(super) background: bool,
    /// Depth of the container that holds the step it runs beside, its own or that of the
    /// background container it is in; 0 is the plan. `None`: it runs to its own end.
    pub(super) beside: Option<usize>,
    /// Background steps that end when this one has settled.
    pub(super) ends: Vec<StepIx>,
    /// How many of the containers above it wait for it before they are up.
    pub(super) reach: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Leaf,
    Group,
    Repeat { stop_on_failure: bool },
    Cells,
}

/// Clean-up without `needs` waits for the other steps of its scope. Steps that
/// wait for such a clean-up in turn can't be among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndOfScope {
    /// Counted: the end of the scope waits for it.
    Before,
    /// Clean-up that waits for the end.
    At,
    /// It needs a clean-up that waits for the end, or is clean-up with needs of its own.
    Apart,
}

impl Wire {
    /// Whether a need of this step must settle, and is not met by being up.
    pub(super) fn waits_for_the_end(&self, in_repeat: bool) -> bool {
        in_repeat || self.when != When::Passed
    }
}

/// The wires of all steps, in plan order.
pub(super) fn wire(graph: &Graph, rules: &Rules) -> Vec<Wire> {
    let mut wires: Vec<Wire> = graph.all().map(|step| one(graph, rules, step)).collect();
    for step in graph.all() {
        if let Some(until) = graph.until(step) {
            wires[until.at()].ends.push(step);
        }
    }
    for place in 0..wires.len() {
        let Some(parent) = wires[place].parent else {
            continue;
        };
        wires[place].depth = wires[parent.at()].depth + 1;
        if !wires[place].background {
            wires[place].beside = wires[parent.at()].beside;
        }
    }
    for place in 0..wires.len() {
        wires[place].reach = reach(&wires, StepIx::new(place));
    }
    for container in std::iter::once(None).chain(graph.all().map(Some)) {
        mark_end(&mut wires, graph.children(container));
    }
    wires
}

fn one(graph: &Graph, rules: &Rules, step: StepIx) -> Wire {
    let node = graph.node(step);
    let parent = graph.parent(step);
    let in_group = parent.is_none_or(|parent| graph.node(parent).kind == NodeKind::Group);
    let until = graph.until(step);
    // How deep the scope of `until` is: its own depth less one.
    let beside = until.map(|until| graph.above(until).count());
    Wire {
        kind: match node.kind {
            NodeKind::Verb(_) => Kind::Leaf,
            NodeKind::Group => Kind::Group,
            NodeKind::Repeat => Kind::Repeat { stop_on_failure: rules.stop_on_failure.contains(&step) },
            NodeKind::Cells => Kind::Cells,
        },
        parent,
        children: graph.children(Some(step)).to_vec(),
        depth: 1,
        end: graph.inside(step).end,
        needs: graph.needs(step).to_vec(),
        needed_by: graph.needed_by(step),
        when: if in_group { node.when } else { When::Passed },
        choice: rules.left_out.get(&step).cloned(),
        end_of_scope: EndOfScope::Before,
        background: until.is_some(),
        beside,
        ends: Vec::new(),
        reach: 0,
    }
}

/// How many containers above a step wait for it before they are up: not those
/// above clean-up, and not a background repeat for the rounds after its first,
/// which are more of the same.
fn reach(wires: &[Wire], step: StepIx) -> usize {
    let mut reach = 0;
    let mut at = step;
    while let Some(parent) = wires[at.at()].parent {
        let above = &wires[parent.at()];
        let more_of_the_same =
            matches!(above.kind, Kind::Repeat { .. }) && above.beside.is_some() && above.children.first() != Some(&at);
        if wires[at.at()].when != When::Passed || more_of_the_same {
            break;
        }
        reach += 1;
        at = parent;
    }
    reach
}

/// Finds which steps of a scope its end waits for.
fn mark_end(wires: &mut [Wire], scope: &[StepIx]) {
    let mut after = Vec::new();
    for &step in scope {
        let wire = &mut wires[step.at()];
        if wire.when == When::Passed {
            continue;
        }
        wire.end_of_scope = EndOfScope::Apart;
        if wire.needs.is_empty() {
            wire.end_of_scope = EndOfScope::At;
            after.push(step);
        }
    }
    let mut seen: BTreeSet<StepIx> = after.iter().copied().collect();
    while let Some(step) = after.pop() {
        for dependent in wires[step.at()].needed_by.clone() {
            if seen.insert(dependent) {
                // Clean-up with needs of its own passes the wait on to others.
                wires[dependent.at()].end_of_scope = EndOfScope::Apart;
                after.push(dependent);
            }
        }
    }
}
