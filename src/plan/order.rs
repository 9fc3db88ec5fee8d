//! Which steps of one scope wait for which.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::raw::RawStep;
use crate::event::When;

/// The steps of one scope: the top of a file, or the inside of a group.
pub(super) struct Order<'a> {
    pub(super) steps: &'a [RawStep],
    by_name: BTreeMap<&'a str, usize>,
    /// For each step the steps it waits for: those that it names, or for clean-up
    /// that names none all that are not clean-up.
    waits: Vec<Vec<usize>>,
    settled: RefCell<BTreeMap<usize, Rc<Vec<bool>>>>,
}

impl<'a> Order<'a> {
    pub(super) fn of(steps: &'a [RawStep]) -> Self {
        let by_name: BTreeMap<&str, usize> =
            steps.iter().enumerate().map(|(at, step)| (step.name.as_str(), at)).collect();
        let waits = steps.iter().enumerate().map(|(at, step)| {
            if step.needs.is_empty() && step.when.is_cleanup() {
                let others = steps.iter().enumerate().filter(|(_, other)| other.when == When::Passed);
                return others.map(|(other, _)| other).filter(|other| *other != at).collect();
            }
            step.needs
                .iter()
                .filter_map(|(need, _)| by_name.get(need.as_str()).copied())
                .filter(|need| *need != at)
                .collect()
        });
        let waits = waits.collect();
        Self { steps, by_name, waits, settled: RefCell::default() }
    }

    /// The step of this name in this scope.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Whether one step has certainly settled before another one starts.
    pub(super) fn is_settled_before(&self, first: usize, then: usize) -> bool {
        if self.waits[then].contains(&first) {
            return true;
        }
        let known = self.settled.borrow().get(&then).cloned();
        let settled = known.unwrap_or_else(|| {
            let mut reached = vec![false; self.steps.len()];
            let mut open = self.waits[then].clone();
            while let Some(step) = open.pop() {
                if !std::mem::replace(&mut reached[step], true) {
                    open.extend(&self.waits[step]);
                }
            }
            let reached = Rc::new(reached);
            self.settled.borrow_mut().insert(then, Rc::clone(&reached));
            reached
        });
        settled[first]
    }

    /// Steps that wait for each other: each knot with all its members in file order,
    /// and one way around in it.
    pub(super) fn knots(&self) -> Vec<(Vec<usize>, Vec<usize>)> {
        let mut graph = DiGraph::<usize, ()>::with_capacity(self.steps.len(), 0);
        let nodes: Vec<NodeIndex> = (0..self.steps.len()).map(|at| graph.add_node(at)).collect();
        for (at, waits) in self.waits.iter().enumerate() {
            for need in waits {
                graph.add_edge(nodes[at], nodes[*need], ());
            }
        }
        let mut knots: Vec<(Vec<usize>, Vec<usize>)> = tarjan_scc(&graph)
            .into_iter()
            .filter(|members| members.len() > 1)
            .map(|members| {
                let mut members: Vec<usize> = members.into_iter().map(|node| graph[node]).collect();
                members.sort_unstable();
                let around = self.around(&members);
                (members, around)
            })
            .collect();
        knots.sort();
        knots
    }

    /// The shortest way from the first member back to itself.
    fn around(&self, members: &[usize]) -> Vec<usize> {
        let start = members[0];
        let mut from: BTreeMap<usize, usize> = BTreeMap::new();
        let mut open = std::collections::VecDeque::from([start]);
        while let Some(step) = open.pop_front() {
            for need in self.waits[step].iter().copied().filter(|need| members.contains(need)) {
                if need == start {
                    let mut way = vec![step];
                    while let Some(before) = way.last().filter(|last| **last != start).map(|last| from[last]) {
                        way.push(before);
                    }
                    way.reverse();
                    way.push(start);
                    return way;
                }
                if let Entry::Vacant(vacant) = from.entry(need) {
                    vacant.insert(step);
                    open.push_back(need);
                }
            }
        }
        members.to_vec()
    }
}
