use super::axis::{Axis, px, units};
use super::mark::Mark;
use super::markup::Markup;
use crate::clock::Elapsed;
use crate::report::{clean, link, when};
use crate::view::{Row, RunView};

/// More rows of bars than this push the lanes off the screen.
const ROWS: usize = 6;

/// How wide a character is, about.
const CHARACTER: f64 = 6.3;

/// Steps as bars, several in one row where they do not overlap.
pub(super) struct Strip<'a> {
    rows: Vec<Vec<(&'a Row, (Elapsed, Elapsed))>>,
    left_out: usize,
}

impl<'a> Strip<'a> {
    /// The steps that ran while the axis lasts; the longest first where not all fit.
    pub(super) fn of(view: &'a RunView, axis: Axis) -> Self {
        let end = Elapsed(axis.from.0.saturating_add(axis.span.0));
        let mut ran: Vec<(&Row, (Elapsed, Elapsed))> = view
            .rows
            .iter()
            .filter(|row| row.is_leaf())
            .filter_map(|row| Some((row, row.span(view.last)?)))
            .filter(|(_, (from, to))| *from <= end && *to >= axis.from)
            .collect();
        ran.sort_by_key(|(_, (from, to))| (*from, std::cmp::Reverse(*to)));
        let mut strip = Self { rows: Vec::new(), left_out: 0 };
        for (row, span) in ran {
            let free = |placed: &Vec<(&Row, (Elapsed, Elapsed))>| {
                placed
                    .last()
                    .is_none_or(|(_, (from, to))| axis.x(*to).max(axis.x(*from) + 2.0) <= axis.x(span.0) + 0.05)
            };
            match strip.rows.iter().position(free) {
                Some(place) => strip.rows[place].push((row, span)),
                None if strip.rows.len() < ROWS => strip.rows.push(vec![(row, span)]),
                None => strip.left_out += 1,
            }
        }
        strip
    }

    /// How many rows it takes.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The bars, each with its name where there is room.
    pub(super) fn draw(&self, page: &mut Markup, view: &RunView, axis: Axis, top: f64, height: f64) {
        page.element("text", &[("x", &0), ("y", &px(top + 12.0)), ("class", &"name heading")], "steps");
        if self.left_out > 0 {
            let said = format!("{} more are not drawn here", self.left_out);
            page.element("text", &[("x", &12), ("y", &px(top + height + 12.0)), ("class", &"tick")], &said);
        }
        for (n, placed) in self.rows.iter().enumerate() {
            for (row, span) in placed {
                bar(page, view, row, *span, axis, top + height * units(n), height);
            }
        }
    }
}

fn bar(page: &mut Markup, view: &RunView, row: &Row, (from, to): (Elapsed, Elapsed), axis: Axis, y: f64, height: f64) {
    let (left, right) = (axis.x(from), axis.x(to));
    let width = (right - left).max(2.0);
    let (mark, id) = (Mark::of(row), clean::brief(row.node.id.as_str()));
    page.open("g", &[("class", &mark.class())]);
    page.open("a", &[("href", &link::fragment(&row.node.id))]);
    let long = when::span(row.ended.unwrap_or(view.last).since(from));
    page.element(
        "title",
        &[],
        &format!("{id}: {} {}, {long} from {}", row.label(), mark.word(), when::exact_span(from)),
    );
    page.void(
        "rect",
        &[
            ("class", &"step-bar"),
            ("fill", &"#eee"),
            ("stroke", &"#444"),
            ("x", &px(left)),
            ("y", &px(y + 1.0)),
            ("width", &px(width)),
            ("height", &px(height - 3.0)),
            ("rx", &1.5),
        ],
    );
    let short = id.rfind('/').map_or(id.as_str(), |at| &id[at + 1..]);
    let long = [id.as_str(), short].into_iter().find(|name| units(name.chars().count()) * CHARACTER + 6.0 <= width);
    if let Some(name) = long {
        page.element("text", &[("x", &px(left + 4.0)), ("y", &px(y + height - 5.0)), ("class", &"step-name")], name);
    }
    page.raw("</a></g>\n");
}
