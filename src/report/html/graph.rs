use std::fmt::Write as _;
use std::time::Duration;

use super::axis::px;
use super::failures::to_row;
use super::mark::Mark;
use super::markup::Markup;
use super::times::took;
use crate::clock::Elapsed;
use crate::event::NodeKind;
use crate::graph::{Graph, Layout, Line, LineKind, Tile};
use crate::id::StepId;
use crate::report::{clean, link, when};
use crate::text;
use crate::view::{Row, RunView};

/// More steps than this of the longest chain are not listed.
const CHAIN: usize = 60;

/// A drawing up to this wide is shrunk to the page; one that is wider is scrolled.
const FITS: f64 = 1_450.0;

/// The worst first: what a box that stands for several steps shows.
const WORST: [Mark; 9] = [
    Mark::Failed,
    Mark::Errored,
    Mark::Inconclusive,
    Mark::Unfinished,
    Mark::Cancelled,
    Mark::Blocked,
    Mark::NotRun,
    Mark::Passed,
    Mark::Skipped,
];

/// Every step and what it needs, with the chain that decided how long the run took.
pub(super) fn write(page: &mut Markup, view: &RunView) {
    page.raw("<section id=\"graph\" aria-labelledby=\"h-graph\">\n<h2 id=\"h-graph\">The plan as a graph</h2>\n");
    let graph = Graph::new(&view.start.steps);
    let times: Vec<(StepId, Elapsed, Elapsed)> = view
        .rows
        .iter()
        .filter_map(|row| row.span(view.last).map(|(start, end)| (row.node.id.clone(), start, end)))
        .collect();
    let (chain, length) = graph.critical_path(&times);
    write_chain(page, view, &chain, length);
    match graph.layout() {
        _ if graph.is_empty() => {
            page.raw("<p class=\"none\">The plan has no steps.</p>\n");
        }
        Some(layout) => Drawing { view, chain: &chain }.write(page, &layout),
        None => {
            let said = format!(
                "A drawing of {} could not be read; these are the steps at the top of the plan.",
                text::count(graph.len(), "step")
            );
            page.element("p", &[("class", &"hint")], &said).raw("\n<ul class=\"plain\">\n");
            for row in view.rows.iter().filter(|row| row.depth == 0).take(500) {
                page.raw("<li>");
                Mark::of(row).say(page);
                page.raw(" ");
                to_row(page, row);
                page.raw("</li>\n");
            }
            page.raw("</ul>\n");
        }
    }
    page.raw("</section>\n");
}

/// The chain in words: the drawing only makes it thicker.
fn write_chain(page: &mut Markup, view: &RunView, chain: &[StepId], length: Duration) {
    if chain.is_empty() {
        return;
    }
    page.raw("<p class=\"chain\"><b>Critical path</b>, ");
    took(page, Elapsed::from(length));
    page.raw(" of ");
    took(page, view.took());
    page.raw(": ");
    for (n, (row, share)) in view.shares(chain).into_iter().enumerate().take(CHAIN) {
        if n > 0 {
            page.raw(" → ");
        }
        to_row(page, row);
        page.raw(" <small>").text(&when::span(share)).raw("</small>");
    }
    if chain.len() > CHAIN {
        page.text(&format!(" and {} more", chain.len() - CHAIN));
    }
    page.raw("</p>\n");
}

struct Drawing<'a> {
    view: &'a RunView,
    chain: &'a [StepId],
}

impl Drawing<'_> {
    fn write(&self, page: &mut Markup, layout: &Layout) {
        let all = layout.nodes.iter().chain(&layout.frames);
        let stands_for_many = all.clone().any(|tile| tile.stands_for.len() > 1);
        page.raw("<p class=\"legend\">From left to right, each after what it needs. Thick is the critical path");
        if stands_for_many {
            page.raw("; rounds, and what is closed, are drawn once for all of them");
        }
        if layout.edges.iter().any(|line| line.kind == LineKind::Until) {
            page.raw("; a dotted line leads from a background step to the step that ends it");
        }
        if all.clone().any(|tile| tile.clean_up) {
            page.raw("; a dashed box is clean-up");
        }
        page.raw(".</p>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Drawing of the plan\">");
        let (width, height) = (px(layout.width), px(layout.height));
        page.open(
            "svg",
            &[
                ("class", &if layout.width <= FITS { "drawing fits" } else { "drawing" }),
                ("width", &width),
                ("height", &height),
                ("viewBox", &format!("0 0 {width} {height}")),
                ("role", &"group"),
                ("aria-label", &"Steps and what they need; the table below lists the same steps"),
                ("font-size", &12),
            ],
        );
        page.raw("\n");
        for frame in &layout.frames {
            self.frame(page, frame);
        }
        let (quiet, critical): (Vec<&Line>, Vec<&Line>) =
            layout.edges.iter().partition(|line| !self.is_critical(layout, line));
        for line in quiet {
            draw_line(page, line, "edge");
        }
        for line in critical {
            draw_line(page, line, "edge critical");
        }
        for tile in &layout.nodes {
            self.tile(page, tile);
        }
        page.raw("</svg></div>\n");
    }

    /// Whether the chain goes along this line.
    fn is_critical(&self, layout: &Layout, line: &Line) -> bool {
        let tile = |id: &StepId| layout.nodes.iter().find(|tile| tile.id == *id);
        let (Some(from), Some(to)) = (tile(&line.from), tile(&line.to)) else {
            return false;
        };
        self.chain.windows(2).any(|pair| from.stands_for.contains(&pair[0]) && to.stands_for.contains(&pair[1]))
    }

    fn frame(&self, page: &mut Markup, frame: &Tile) {
        let (mark, said) = self.state(frame);
        page.open("g", &[("class", &format!("frame {}", mark.class()))]);
        rect(page, frame, "#888");
        self.link(page, frame, &said);
        let heading = format!("{}: {said}", clean::ellipsis(&frame.heading, 60));
        place(page, mark, frame.x + 7.0, frame.y + 3.5, 13.0);
        text_at(page, "heading", frame.x + 24.0, frame.y + 14.0, &heading);
        page.raw("</a></g>\n");
    }

    fn tile(&self, page: &mut Markup, tile: &Tile) {
        let (mark, said) = self.state(tile);
        let critical = tile.stands_for.iter().any(|id| self.chain.contains(id));
        let class = if critical { "tile critical" } else { "tile" };
        page.open("g", &[("class", &format!("{class} {}", mark.class()))]);
        rect(page, tile, "#555");
        self.link(page, tile, &said);
        place(page, mark, tile.x + 9.0, tile.y + 8.0, 15.0);
        text_at(page, "name", tile.x + 29.0, tile.y + 20.0, &clean::ellipsis(&tile.label, 39));
        text_at(page, "detail", tile.x + 10.0, tile.y + 36.0, &clean::ellipsis(&tile.detail, 42));
        text_at(page, "word", tile.x + 10.0, tile.y + 50.0, &said);
        page.raw("</a></g>\n");
    }

    /// Opens a link to the row that a reader of this box wants to see: the worst.
    fn link(&self, page: &mut Markup, tile: &Tile, said: &str) {
        let rows = self.rows(tile);
        let worst = |row: &&Row| WORST.iter().position(|mark| *mark == Mark::of(row));
        let id = rows.iter().min_by_key(|row| worst(row)).map_or(&tile.id, |row| &row.node.id);
        page.open("a", &[("href", &link::fragment(id))]);
        let whole = format!("{}: {}, {said}", clean::brief(tile.id.as_str()), clean::brief(&tile.detail));
        page.element("title", &[], &whole);
    }

    /// The steps that a box stands for; where there are none its rounds or cells, and else itself.
    fn rows(&self, tile: &Tile) -> Vec<&Row> {
        let all: Vec<&Row> = tile.stands_for.iter().filter_map(|id| self.view.row(id)).collect();
        let only = |is: &dyn Fn(&Row) -> bool| -> Vec<&Row> { all.iter().copied().filter(|row| is(row)).collect() };
        let leaves = only(&|row| row.is_leaf());
        let groups = only(&|row| row.node.kind == NodeKind::Group);
        [leaves, groups].into_iter().find(|found| !found.is_empty()).unwrap_or(all)
    }

    /// The worst that happened to it, in words that fit into a box.
    fn state(&self, tile: &Tile) -> (Mark, String) {
        let rows = self.rows(tile);
        let count = |mark: Mark| rows.iter().filter(|row| Mark::of(row) == mark).count();
        let worst = WORST.into_iter().find(|mark| count(*mark) > 0).unwrap_or(Mark::NotRun);
        let said = match (count(worst), rows.len()) {
            (_, 0 | 1) => worst.word().to_owned(),
            (found, all) if found == all => format!("all {all} {}", worst.word()),
            (found, all) => format!("{found} of {all} {}", worst.word()),
        };
        (worst, said)
    }
}

fn rect(page: &mut Markup, tile: &Tile, stroke: &'static str) {
    let dash = if tile.clean_up { "5 3" } else { "none" };
    page.void(
        "rect",
        &[
            ("x", &px(tile.x)),
            ("y", &px(tile.y)),
            ("width", &px(tile.width)),
            ("height", &px(tile.height)),
            ("rx", &7),
            ("fill", &"none"),
            ("stroke", &stroke),
            ("stroke-dasharray", &dash),
        ],
    );
}

fn place(page: &mut Markup, mark: Mark, x: f64, y: f64, size: f64) {
    page.void(
        "use",
        &[
            ("href", &mark.symbol()),
            ("x", &px(x)),
            ("y", &px(y)),
            ("width", &px(size)),
            ("height", &px(size)),
            ("class", &"mark"),
        ],
    );
}

fn text_at(page: &mut Markup, class: &'static str, x: f64, y: f64, text: &str) {
    page.element("text", &[("class", &class), ("x", &px(x)), ("y", &px(y))], text);
}

/// A line with its tip, which is drawn by hand so that it has the line's colour.
fn draw_line(page: &mut Markup, line: &Line, class: &'static str) {
    let (Some(last), true) = (line.points.last(), line.points.len() > 1) else {
        return;
    };
    let before = line.points[line.points.len() - 2];
    let (across, down) = (last.x - before.x, last.y - before.y);
    let length = across.hypot(down).max(0.1);
    let (across, down) = (across / length, down / length);
    let mut path = String::new();
    for (n, point) in line.points.iter().enumerate() {
        let (x, y) = if n + 1 == line.points.len() {
            (point.x - across * 5.0, point.y - down * 5.0)
        } else {
            (point.x, point.y)
        };
        let _ = write!(path, "{}{} {}", if n == 0 { "M" } else { "L" }, px(x), px(y));
    }
    let dash = match line.kind {
        LineKind::Need => "none",
        LineKind::End => "6 4",
        LineKind::Until => "2 3",
    };
    page.open("g", &[("class", &class)]);
    page.void(
        "path",
        &[
            ("d", &path),
            ("fill", &"none"),
            ("stroke", &"#777"),
            ("stroke-linejoin", &"round"),
            ("stroke-dasharray", &dash),
        ],
    );
    let corner =
        |side: f64| format!("{} {}", px(last.x - across * 8.0 - down * side), px(last.y - down * 8.0 + across * side));
    let tip = format!("M{} {}L{}L{}z", px(last.x), px(last.y), corner(4.0), corner(-4.0));
    page.void("path", &[("class", &"tip"), ("d", &tip), ("fill", &"#777")]);
    page.close("g").raw("\n");
}
