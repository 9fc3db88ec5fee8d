use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use petgraph::Direction;
use petgraph::algo::{tarjan_scc, toposort, tred};
use petgraph::graph::{DiGraph, NodeIndex};

use crate::event::{NodeKind, StepNode};
use crate::id::StepId;

/// Steps in plan order, with the edges that their `needs` make.
///
/// Containers (groups, repeats, cells) are nodes too; what is in one follows it
/// directly, so that everything inside is one range of places.
#[derive(Clone, Debug)]
pub struct Graph {
    nodes: Vec<StepNode>,
    places: BTreeMap<StepId, StepIx>,
    needs: Vec<Vec<StepIx>>,
    /// From a needed step to the one that needs it.
    edges: DiGraph<(), ()>,
    parents: Vec<Option<StepIx>>,
    children: Vec<Vec<StepIx>>,
    top: Vec<StepIx>,
    /// One past the last place inside each step.
    ends: Vec<usize>,
}

/// A step's place in plan order: what is compared and stored inside a run instead of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepIx(u32);

/// Scopes larger than this are drawn without reduction: its closure is quadratic.
const REDUCED: usize = 2_000;

impl StepIx {
    /// The place as an index into anything that stands in plan order.
    pub fn at(self) -> usize {
        self.0 as usize
    }

    pub(super) fn new(place: usize) -> Self {
        Self(u32::try_from(place).expect("a plan has fewer than four billion steps"))
    }
}

impl Graph {
    /// Takes steps in plan order: a group before what is in it.
    ///
    /// Names that lead nowhere are dropped: a checked plan has none, and a
    /// journal that was changed by hand must still be drawn.
    pub fn new(nodes: &[StepNode]) -> Self {
        let places: BTreeMap<StepId, StepIx> =
            nodes.iter().enumerate().map(|(place, node)| (node.id.clone(), StepIx::new(place))).collect();
        let find = |id: &StepId| places.get(id).copied();
        let mut edges = DiGraph::with_capacity(nodes.len(), nodes.len());
        for _ in nodes {
            edges.add_node(());
        }
        let (mut parents, mut needs, mut top) = (Vec::new(), Vec::new(), Vec::new());
        let mut children = vec![Vec::new(); nodes.len()];
        for (place, node) in nodes.iter().enumerate() {
            let this = StepIx::new(place);
            let parent = node.parent.as_ref().and_then(find);
            match parent.filter(|parent| parent.at() < place) {
                Some(parent) => children[parent.at()].push(this),
                None => top.push(this),
            }
            parents.push(parent.filter(|parent| parent.at() < place));
            let mut seen = BTreeSet::new();
            let named = node.needs.iter().filter_map(find);
            let needed: Vec<StepIx> = named.filter(|&need| seen.insert(need)).collect();
            for need in &needed {
                edges.add_edge(NodeIndex::new(need.at()), NodeIndex::new(place), ());
            }
            needs.push(needed);
        }
        let mut ends: Vec<usize> = (1..=nodes.len()).collect();
        for place in (0..nodes.len()).rev() {
            if let Some(parent) = parents[place] {
                ends[parent.at()] = ends[parent.at()].max(ends[place]);
            }
        }
        Self { nodes: nodes.to_vec(), places, needs, edges, parents, children, top, ends }
    }

    /// How many nodes there are, containers included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no step at all.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Every place, in plan order.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = StepIx> + use<> {
        (0..self.nodes.len()).map(StepIx::new)
    }

    /// The step at a place.
    pub fn node(&self, step: StepIx) -> &StepNode {
        &self.nodes[step.at()]
    }

    /// Where a step stands.
    pub fn find(&self, id: &StepId) -> Option<StepIx> {
        self.places.get(id).copied()
    }

    /// The container it is directly in.
    pub fn parent(&self, step: StepIx) -> Option<StepIx> {
        self.parents[step.at()]
    }

    /// The containers it is in, the nearest first.
    pub fn above(&self, step: StepIx) -> impl Iterator<Item = StepIx> + '_ {
        std::iter::successors(self.parent(step), |&up| self.parent(up))
    }

    /// What is directly inside a container, or at the top of the plan, in file order.
    pub fn children(&self, container: Option<StepIx>) -> &[StepIx] {
        container.map_or(&self.top, |container| &self.children[container.at()])
    }

    /// Everything inside a container at any depth, as a range of places.
    pub fn inside(&self, container: StepIx) -> Range<usize> {
        container.at() + 1..self.ends[container.at()]
    }

    /// Whether it does something itself.
    pub fn is_leaf(&self, step: StepIx) -> bool {
        matches!(self.node(step).kind, NodeKind::Verb(_))
    }

    /// Whether it is clean-up, by itself or through a container it is in.
    pub fn is_cleanup(&self, step: StepIx) -> bool {
        self.node(step).when.is_cleanup() || self.above(step).any(|up| self.node(up).when.is_cleanup())
    }

    /// The steps it needs, in the order in which they are written.
    pub fn needs(&self, step: StepIx) -> &[StepIx] {
        &self.needs[step.at()]
    }

    /// The steps that need it, in plan order.
    pub fn needed_by(&self, step: StepIx) -> Vec<StepIx> {
        let mut dependents: Vec<StepIx> = self
            .edges
            .neighbors_directed(NodeIndex::new(step.at()), Direction::Outgoing)
            .map(|node| StepIx::new(node.index()))
            .collect();
        dependents.sort_unstable();
        dependents
    }

    /// The step with which a background step ends. Rounds and cells have none of
    /// their own: they are in the background with the whole they are of.
    pub fn until(&self, step: StepIx) -> Option<StepIx> {
        let whole = self.parent(step).map(|parent| &self.node(parent).kind);
        match whole {
            Some(NodeKind::Repeat | NodeKind::Cells) => None,
            Some(NodeKind::Group | NodeKind::Verb(_)) | None => {
                self.node(step).until.as_ref().and_then(|id| self.find(id))
            }
        }
    }

    /// Steps that need each other in a circle, each circle in plan order. A checked plan has none.
    pub fn cycles(&self) -> Vec<Vec<StepIx>> {
        let mut cycles: Vec<Vec<StepIx>> = tarjan_scc(&self.edges)
            .into_iter()
            .filter(|knot| knot.len() > 1 || self.edges.contains_edge(knot[0], knot[0]))
            .map(|knot| {
                let mut knot: Vec<StepIx> = knot.into_iter().map(|node| StepIx::new(node.index())).collect();
                knot.sort_unstable();
                knot
            })
            .collect();
        cycles.sort();
        cycles
    }

    /// The needs that are not already implied by others, as (needed, needing), in plan order.
    pub fn reduced_edges(&self) -> Vec<(StepIx, StepIx)> {
        let mut edges = Vec::new();
        for container in std::iter::once(None).chain(self.all().map(Some)) {
            let scope = self.children(container);
            if scope.len() > 1 {
                edges.extend(self.reduced_within(scope));
            }
        }
        edges.sort_unstable();
        edges
    }

    /// The reduced edges among the steps of one scope: needs never leave it.
    fn reduced_within(&self, scope: &[StepIx]) -> Vec<(StepIx, StepIx)> {
        let inner = |step: StepIx| scope.binary_search(&step).ok();
        let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(scope.len(), scope.len());
        for _ in scope {
            graph.add_node(());
        }
        let mut all = Vec::new();
        for (to, &step) in scope.iter().enumerate() {
            for from in self.needs(step).iter().filter_map(|&need| inner(need)) {
                graph.add_edge(NodeIndex::new(from), NodeIndex::new(to), ());
                all.push((scope[from], step));
            }
        }
        let order = match toposort(&graph, None) {
            Ok(order) if scope.len() <= REDUCED => order,
            // A circle has no reduction; it is drawn as it is.
            _ => return all,
        };
        let (sorted, _) = tred::dag_to_toposorted_adjacency_list::<_, u32>(&graph, &order);
        let (reduction, _) = tred::dag_transitive_reduction_closure(&sorted);
        let original = |ranked: u32| scope[order[ranked as usize].index()];
        reduction
            .edge_indices()
            .filter_map(|edge| reduction.edge_endpoints(edge))
            .map(|(from, to)| (original(from), original(to)))
            .collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::event::When;

    /// A plan with something of everything.
    pub(in crate::graph) const SAMPLE: &str = "
        install group
        install/crds apply
        install/chart helm-install needs=crds
        download download
        volumes cells needs=install
        volumes[one] group
        volumes[one]/pod apply
        volumes[one]/ready wait needs=pod
        volumes[two] group
        volumes[two]/pod apply
        volumes[two]/ready wait needs=pod
        io steady-io needs=volumes,install until=restart
        restart repeat needs=io,volumes
        restart[1] group
        restart[1]/kill pod-kill
        restart[1]/back wait needs=kill
        restart[2] group needs=restart[1]
        restart[2]/kill pod-kill
        restart[2]/back wait needs=kill
        verify exec needs=restart,download
        logs collect failed
        remove helm-uninstall always needs=verify
        tidy delete always";

    /// A step from `id kind`, followed by any of `needs=a,b`, `until=x` and a `when`.
    ///
    /// Ids of needs and of `until` are relative to the step's scope unless they begin with `/`.
    pub(in crate::graph) fn node(line: &str) -> StepNode {
        let mut words = line.split_whitespace();
        let path = words.next().expect("an id");
        let id = |path: &str| {
            path.split('/')
                .fold(None, |id: Option<StepId>, name| Some(id.map_or_else(|| StepId::root(name), |id| id.join(name))))
                .expect("an id")
        };
        // A round or cell stands in the step it is of, as `a[1]` in `a`; others in what is before their last slash.
        let parent = path.strip_suffix(']').map_or_else(
            || path.rsplit_once('/').map(|(parent, _)| parent.to_owned()),
            |cell| cell.rsplit_once('[').map(|(step, _)| step.to_owned()),
        );
        let kind = match words.next().expect("a kind") {
            "group" => NodeKind::Group,
            "repeat" => NodeKind::Repeat,
            "cells" => NodeKind::Cells,
            verb => NodeKind::Verb(verb.to_owned()),
        };
        let scope = path.rsplit_once('/').map(|(scope, _)| scope.to_owned());
        let absolute = |name: &str| match (name.strip_prefix('/'), &scope) {
            (Some(name), _) => id(name),
            (None, Some(scope)) => id(&format!("{scope}/{name}")),
            (None, None) => id(name),
        };
        let mut node = StepNode {
            id: id(path),
            parent: parent.map(|parent| id(&parent)),
            kind,
            about: String::new(),
            needs: Vec::new(),
            when: When::Passed,
            until: None,
            covers: Vec::new(),
            file: "plan.toml".into(),
            line: 1,
        };
        for word in words {
            match word.split_once('=') {
                Some(("needs", names)) => node.needs = names.split(',').map(absolute).collect(),
                Some(("until", name)) => node.until = Some(absolute(name)),
                None if word == "always" => node.when = When::Always,
                None if word == "failed" => node.when = When::Failed,
                _ => panic!("what is {word}?"),
            }
        }
        node
    }

    /// A graph from one line for each step.
    pub(in crate::graph) fn graph(lines: &str) -> Graph {
        let nodes: Vec<StepNode> = lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(node).collect();
        Graph::new(&nodes)
    }

    fn names(graph: &Graph, edges: &[(StepIx, StepIx)]) -> Vec<String> {
        let name = |step: StepIx| graph.node(step).id.to_string();
        edges.iter().map(|&(from, to)| format!("{} -> {}", name(from), name(to))).collect()
    }

    #[test]
    fn containers_hold_a_range() {
        let graph = graph(
            "a sleep
             r repeat needs=a
             r[1] group
             r[1]/x sleep
             r[2] group needs=r[1]
             r[2]/x sleep
             b sleep needs=r",
        );
        let r = graph.find(&StepId::root("r")).unwrap();
        assert_eq!(graph.inside(r), 2..6);
        assert_eq!(graph.children(Some(r)).len(), 2);
        assert_eq!(graph.children(None).len(), 3);
        let x = StepIx::new(5);
        assert_eq!(graph.above(x).map(StepIx::at).collect::<Vec<_>>(), [4, 1]);
        assert_eq!(graph.needed_by(r), [StepIx::new(6)]);
        assert!(graph.is_leaf(x) && !graph.is_leaf(r));
    }

    #[test]
    fn implied_needs_are_not_drawn() {
        let graph = graph(
            "a sleep
             b sleep needs=a
             c sleep needs=a,b
             g group needs=c,a
             g/x sleep
             g/y sleep needs=x",
        );
        assert_eq!(names(&graph, &graph.reduced_edges()), ["a -> b", "b -> c", "c -> g", "g/x -> g/y"]);
    }

    #[test]
    fn a_circle_is_named_whole_and_still_drawn() {
        let graph = graph(
            "a sleep needs=c
             b sleep needs=a
             c sleep needs=b
             d sleep needs=d
             e sleep needs=d",
        );
        let ids: Vec<Vec<usize>> =
            graph.cycles().into_iter().map(|cycle| cycle.into_iter().map(StepIx::at).collect()).collect();
        assert_eq!(ids, [vec![0, 1, 2], vec![3]]);
        assert_eq!(graph.reduced_edges().len(), 5);
    }
}
