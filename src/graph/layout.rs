use dagre::graph::{Graph as Dagre, GraphOptions};
use dagre::{EdgeLabel, LayoutOptions, NodeLabel, RankDir};

use super::folding::{Cells, Fold, LineKind, Ties, fold, name};
use super::text::{heading, kind};
use super::{Graph, StepIx};
use crate::id::StepId;

/// Where everything of a drawing stands, in pixels from the top left corner.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Width of all, lines included.
    pub width: f64,
    /// Height of all, lines included.
    pub height: f64,
    /// Boxes, in plan order.
    pub nodes: Vec<Tile>,
    /// Frames around what is inside a container, outer ones first.
    pub frames: Vec<Tile>,
    /// Lines between boxes.
    pub edges: Vec<Line>,
}

/// A box or a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    /// The step it is drawn as.
    pub id: StepId,
    /// Every step it stands for, itself first: the same step of each round.
    pub stands_for: Vec<StepId>,
    /// The step's own name.
    pub label: String,
    /// What it is: a verb, or how many rounds.
    pub detail: String,
    /// What stands over a frame: the name, with what it is if that is not plain to see.
    pub heading: String,
    /// Whether it is clean-up.
    pub clean_up: bool,
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// A line from one box to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The box it begins at.
    pub from: StepId,
    /// The box it ends at.
    pub to: StepId,
    /// What it says.
    pub kind: LineKind,
    /// The points it goes through, at least two.
    pub points: Vec<Point>,
}

/// A place in a drawing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
}

/// Most boxes that are laid out: the time grows with their cube, and nobody reads more.
const MOST: usize = 150;
/// Of one letter, at the size that reports draw labels with.
const LETTER: f64 = 7.3;
/// Letters that have room in the narrowest box: the longest word for how a step went.
const SHORTEST: usize = 12;
/// Three lines: the name behind a mark, what it is, how it went.
const BOX_HEIGHT: f64 = 58.0;
/// Room above what is in a frame, for its label.
const HEADING: f64 = 20.0;
const MARGIN: f64 = 12.0;

impl Graph {
    /// A drawing from left to right, or `None` if the plan is too large for one that can be read.
    ///
    /// Rounds of a repeat are drawn once. A large plan is drawn with its cells as
    /// one, then with its innermost groups closed.
    pub fn layout(&self) -> Option<Layout> {
        let mut folds = fold(self, Cells::Apart);
        if boxes(&folds) > MOST {
            folds = fold(self, Cells::Together);
        }
        while boxes(&folds) > MOST {
            let deepest = folds.iter().map(depth).max().unwrap_or(0);
            if deepest == 0 {
                return None;
            }
            for fold in &mut folds {
                close(fold, deepest);
            }
        }
        Some(lay_out(self, &folds))
    }
}

fn boxes(folds: &[Fold]) -> usize {
    folds.iter().map(Fold::boxes).sum()
}

/// How many frames the deepest box inside is in.
fn depth(fold: &Fold) -> usize {
    let inner = fold.inside.iter().map(depth).max();
    inner.map_or(0, |inner| inner + 1)
}

/// Draws what is deeper than `level` frames as one box.
fn close(fold: &mut Fold, level: usize) {
    if level > 1 {
        for inner in &mut fold.inside {
            close(inner, level - 1);
        }
    } else {
        for inner in std::mem::take(&mut fold.inside) {
            fold.steps.extend(everything(inner));
        }
    }
}

fn everything(fold: Fold) -> Vec<StepIx> {
    let mut steps = fold.steps;
    steps.extend(fold.inside.into_iter().flat_map(everything));
    steps
}

/// The one place that knows dagre.
fn lay_out(graph: &Graph, folds: &[Fold]) -> Layout {
    let ties = Ties::of(graph, folds);
    let mut dagre: Dagre<NodeLabel, EdgeLabel> =
        Dagre::with_options(GraphOptions { directed: true, multigraph: false, compound: true });
    for fold in folds {
        put(graph, &mut dagre, None, fold);
    }
    let mut lines = Vec::new();
    for tie in &ties.all {
        let drawn = |step| super::dot::find(folds, step).expect("lines are between what is drawn");
        for from in drawn(tie.from).exits(&ties) {
            for to in drawn(tie.to).entries(&ties) {
                let (from, to) = (from.step(), to.step());
                if from != to && !lines.iter().any(|&(a, b, _)| (a, b) == (from, to)) {
                    dagre.set_edge(key(from), key(to), Some(EdgeLabel::default()), None);
                    lines.push((from, to, tie.kind));
                }
            }
        }
    }
    let options = LayoutOptions {
        rankdir: RankDir::LR,
        nodesep: 26.0,
        edgesep: 14.0,
        ranksep: 34.0,
        // Of equally good orders the one that is nearest to the file's.
        tie_keep_first: true,
        ..LayoutOptions::default()
    };
    dagre::layout(&mut dagre, Some(options));
    let mut layout = Layout { width: 0.0, height: 0.0, nodes: Vec::new(), frames: Vec::new(), edges: Vec::new() };
    for fold in folds {
        take(graph, &dagre, fold, &mut layout);
    }
    for (from, to, kind) in lines {
        let edge = dagre.edge(&key(from), &key(to), None);
        let bends = edge.map_or(&[][..], |edge| &edge.points);
        let line = layout.line(&graph.node(from).id, &graph.node(to).id, kind, bends);
        layout.edges.extend(line);
    }
    layout.fit();
    layout
}

fn key(step: StepIx) -> String {
    step.at().to_string()
}

fn put(graph: &Graph, dagre: &mut Dagre<NodeLabel, EdgeLabel>, frame: Option<&str>, fold: &Fold) {
    let key = key(fold.step());
    let mut label = NodeLabel::default();
    if fold.inside.is_empty() {
        let letters = name(graph, fold.step()).chars().count().max(kind(graph, fold).chars().count());
        label.width = 40.0 + LETTER * f64::from(u32::try_from(letters.clamp(SHORTEST, 40)).unwrap_or(40));
        label.height = BOX_HEIGHT;
    }
    dagre.set_node(key.as_str(), Some(label));
    if let Some(frame) = frame {
        dagre.set_parent(&key, Some(frame));
    }
    for inner in &fold.inside {
        put(graph, dagre, Some(&key), inner);
    }
}

/// Takes the place of a fold and of what is in it; frames are drawn around what they hold.
fn take(graph: &Graph, dagre: &Dagre<NodeLabel, EdgeLabel>, fold: &Fold, layout: &mut Layout) -> [f64; 4] {
    let id = |&step: &StepIx| graph.node(step).id.clone();
    let mut tile = Tile {
        id: id(&fold.step()),
        stands_for: fold.steps.iter().map(id).collect(),
        label: name(graph, fold.step()),
        detail: kind(graph, fold),
        heading: heading(graph, fold),
        clean_up: fold.clean_up,
        x: 0.0,
        y: 0.0,
        width: 0.0,
        height: 0.0,
    };
    if fold.inside.is_empty() {
        let place = dagre.node(&key(fold.step())).expect("what was put in is there");
        let (x, y) = (place.x.unwrap_or_default(), place.y.unwrap_or_default());
        let (across, down) = (place.width / 2.0, place.height / 2.0);
        let edges = [x - across, y - down, x + across, y + down];
        tile.span(edges);
        layout.nodes.push(tile);
        return edges;
    }
    let at = layout.frames.len();
    layout.frames.push(tile);
    let inner = fold.inside.iter().map(|inner| take(graph, dagre, inner, layout));
    let around = inner.reduce(cover).expect("a frame holds something");
    let [left, top, right, bottom] = around;
    let edges = [left - MARGIN, top - HEADING, right + MARGIN, bottom + MARGIN];
    layout.frames[at].span(edges);
    edges
}

/// Left, top, right and bottom of both.
fn cover(a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
    [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
}

impl Tile {
    fn span(&mut self, [left, top, right, bottom]: [f64; 4]) {
        (self.x, self.y) = (left, top);
        (self.width, self.height) = (right - left, bottom - top);
    }
}

impl Layout {
    /// A line that leaves a box in the middle of its right side and enters in the
    /// middle of the left, whatever bends it has between.
    fn line(&self, from: &StepId, to: &StepId, kind: LineKind, bends: &[dagre::Point]) -> Option<Line> {
        let tile = |id: &StepId| self.nodes.iter().find(|tile| tile.id == *id);
        let (start, end) = (tile(from)?, tile(to)?);
        let mut points = vec![Point { x: start.x + start.width, y: start.y + start.height / 2.0 }];
        let inner = bends.get(1..bends.len().saturating_sub(1));
        points.extend(inner.unwrap_or_default().iter().map(|bend| Point { x: bend.x, y: bend.y }));
        points.push(Point { x: end.x, y: end.y + end.height / 2.0 });
        Some(Line { from: from.clone(), to: to.clone(), kind, points })
    }

    /// Moves everything into view, lines included: outer lines leave the boxes' bounds.
    fn fit(&mut self) {
        let tiles = self.nodes.iter().chain(&self.frames);
        let tiles = tiles.map(|tile| [tile.x, tile.y, tile.x + tile.width, tile.y + tile.height]);
        let points = self.edges.iter().flat_map(|line| &line.points);
        let points = points.map(|point| [point.x, point.y, point.x, point.y]);
        let Some([left, top, right, bottom]) = tiles.chain(points).reduce(cover) else {
            return;
        };
        let (dx, dy) = (MARGIN - left, MARGIN - top);
        for tile in self.nodes.iter_mut().chain(&mut self.frames) {
            (tile.x, tile.y) = (round(tile.x + dx), round(tile.y + dy));
            (tile.width, tile.height) = (round(tile.width), round(tile.height));
        }
        for point in self.edges.iter_mut().flat_map(|line| &mut line.points) {
            (point.x, point.y) = (round(point.x + dx), round(point.y + dy));
        }
        self.width = round(right - left + 2.0 * MARGIN);
        self.height = round(bottom - top + 2.0 * MARGIN);
    }
}

/// A tenth of a pixel is enough, and keeps reports small and the same everywhere.
fn round(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use super::*;
    use crate::graph::graph::tests::{SAMPLE, graph};

    fn shown(layout: &Layout) -> BTreeSet<&str> {
        let tiles = layout.nodes.iter().chain(&layout.frames);
        let ids = tiles.flat_map(|tile| tile.stands_for.iter().map(StepId::as_str));
        ids.collect()
    }

    #[test]
    fn every_step_is_in_the_drawing_and_rounds_lie_over_each_other() {
        let graph = graph(SAMPLE);
        let layout = graph.layout().unwrap();
        let all: BTreeSet<&str> = graph.all().map(|step| graph.node(step).id.as_str()).collect();
        assert_eq!(shown(&layout), all);
        let kill = layout.nodes.iter().find(|tile| tile.label == "kill").unwrap();
        let kills: Vec<&str> = kill.stands_for.iter().map(StepId::as_str).collect();
        assert_eq!(kills, ["restart[1]/kill", "restart[2]/kill"]);
        let restart = layout.frames.iter().find(|tile| tile.label == "restart").unwrap();
        assert_eq!(restart.detail, "2 rounds");
    }

    #[test]
    fn boxes_do_not_touch_and_everything_is_in_view() {
        let layout = graph(SAMPLE).layout().unwrap();
        for (at, a) in layout.nodes.iter().enumerate() {
            for b in &layout.nodes[at + 1..] {
                let across = a.x + a.width <= b.x || b.x + b.width <= a.x;
                let down = a.y + a.height <= b.y || b.y + b.height <= a.y;
                assert!(across || down, "{} lies over {}", a.id, b.id);
            }
        }
        let points = layout.edges.iter().flat_map(|line| &line.points);
        for point in points {
            assert!((0.0..=layout.width).contains(&point.x), "{point:?}");
            assert!((0.0..=layout.height).contains(&point.y), "{point:?}");
        }
        for line in &layout.edges {
            let to = layout.nodes.iter().find(|tile| tile.id == line.to).unwrap();
            let end = line.points.last().unwrap();
            assert!((end.x - to.x).abs() < 0.2, "{} ends beside its box", line.to);
        }
    }

    #[test]
    fn the_same_plan_is_drawn_the_same() {
        let graph = graph(SAMPLE);
        let first = graph.layout();
        for _ in 0..10 {
            assert_eq!(graph.layout(), first);
        }
    }

    #[test]
    fn a_large_plan_is_closed_from_the_inside_and_a_huge_one_not_drawn() {
        let mut plan = String::new();
        for g in 0..40 {
            writeln!(plan, "g{g} group").unwrap();
            for s in 0..5 {
                writeln!(plan, "g{g}/s{s} sleep").unwrap();
            }
        }
        let large = graph(&plan);
        let layout = large.layout().unwrap();
        assert_eq!((layout.nodes.len(), layout.frames.len()), (40, 0));
        assert_eq!(shown(&layout).len(), large.len());
        let mut flat = String::new();
        for s in 0..151 {
            writeln!(flat, "s{s} sleep").unwrap();
        }
        assert_eq!(graph(&flat).layout(), None);
        assert_eq!(graph("").layout().map(|layout| layout.nodes.len()), Some(0));
    }
}
