use super::axis::{Axis, px, units};
use super::mark::Mark;
use super::markup::Markup;
use super::times::{moment, took};
use crate::clock::Elapsed;
use crate::event::Outcome;
use crate::report::fault::faults;
use crate::report::{clean, link, when};
use crate::text;
use crate::view::{Row, RunView};

/// More rows than this are not drawn: the longest and the failed ones stand for them.
const ROWS: usize = 120;

/// More lines than this would be a curtain.
pub(super) const FAULTS: usize = 60;

const HEIGHT: f64 = 22.0;
pub(super) const TOP: f64 = 58.0;
pub(super) const LABEL: f64 = 270.0;
pub(super) const WIDTH: f64 = 1150.0;
const PLOT: f64 = WIDTH - LABEL - 80.0;

/// Where the time went: one axis, a bar for each step, a line for each disturbance.
pub(super) fn write(page: &mut Markup, view: &RunView) {
    page.raw("<section id=\"time\" aria-labelledby=\"h-time\">\n<h2 id=\"h-time\">Where the time went</h2>\n");
    let ran: Vec<&Row> = view.rows.iter().filter(|row| row.started.is_some()).collect();
    if ran.is_empty() {
        page.raw("<p class=\"none\">No step began.</p>\n</section>\n");
        return;
    }
    let rows = choose(view, &ran);
    if rows.len() < ran.len() {
        let said =
            format!("{} of {} are drawn: what failed, and the longest.", rows.len(), text::count(ran.len(), "row"));
        page.element("p", &[("class", &"hint")], &said).raw("\n");
    }
    page.raw("<p class=\"legend\"><span class=\"key running\"></span> running, in the colour of its state; <span class=\"key waiting\"></span> ready and waiting, or between two attempts; <span class=\"key up\"></span> up in the background; <span class=\"key fault\"></span> a disturbance, numbered as below</p>\n");
    draw(page, view, &rows);
    list_faults(page, view);
    page.raw("</section>\n");
}

fn choose<'a>(view: &RunView, ran: &[&'a Row]) -> Vec<&'a Row> {
    if ran.len() <= ROWS {
        return ran.to_vec();
    }
    let length = |row: &Row| row.span(view.last).map(|(start, end)| end.since(start));
    let mut places: Vec<usize> = (0..ran.len()).filter(|&n| ran[n].is_leaf()).collect();
    places.sort_by_key(|&n| (!ran[n].is_failing(), std::cmp::Reverse(length(ran[n]))));
    places.truncate(ROWS);
    places.sort_unstable();
    places.into_iter().map(|n| ran[n]).collect()
}

fn draw(page: &mut Markup, view: &RunView, rows: &[&Row]) {
    let axis = Axis { left: LABEL, width: PLOT, from: Elapsed(0), span: view.took() };
    let height = TOP + HEIGHT * units(rows.len()) + 10.0;
    page.raw("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Chart of steps in time\">");
    page.open(
        "svg",
        &[
            ("class", &"chart"),
            ("width", &WIDTH),
            ("height", &px(height)),
            ("viewBox", &format!("0 0 {WIDTH} {}", px(height))),
            ("role", &"group"),
            ("aria-label", &"Steps in time; the table below has the same in numbers"),
            ("font-size", &12),
        ],
    );
    ticks(page, view, axis, height);
    fault_lines(page, view, axis, height);
    for (n, row) in rows.iter().enumerate() {
        draw_row(page, view, row, axis, TOP + HEIGHT * units(n));
    }
    page.raw("</svg></div>\n");
}

/// Round moments, as lines with their time since the start and by the wall clock.
pub(super) fn ticks(page: &mut Markup, view: &RunView, axis: Axis, height: f64) {
    for tick in axis.ticks() {
        let x = px(axis.x(tick));
        page.void(
            "path",
            &[
                ("class", &"grid"),
                ("d", &format!("M{x} {}V{}", TOP - 6.0, px(height - 6.0))),
                ("stroke", &"#888"),
                ("stroke-opacity", &"0.25"),
            ],
        );
        let anchor = [("x", x), ("text-anchor", "middle".to_owned())];
        for (y, said) in [(14, format!("+{}", round_span(tick))), (28, when::clock(view, tick))] {
            page.element(
                "text",
                &[(anchor[0].0, &anchor[0].1), (anchor[1].0, &anchor[1].1), ("y", &y), ("class", &"tick")],
                &said,
            );
        }
    }
    page.element("text", &[("x", &0), ("y", &14), ("class", &"tick")], "since the start");
    page.element("text", &[("x", &0), ("y", &28), ("class", &"tick")], "UTC");
}

/// A line through all rows for each disturbance, with its number where there is room for it.
pub(super) fn fault_lines(page: &mut Markup, view: &RunView, axis: Axis, height: f64) {
    let end = Elapsed(axis.from.0.saturating_add(axis.span.0));
    let mut numbered = f64::NEG_INFINITY;
    for (n, (_, at)) in faults(view).into_iter().enumerate().take(FAULTS) {
        if !(axis.from..=end).contains(&at) {
            continue;
        }
        let x = axis.x(at);
        page.void(
            "path",
            &[
                ("class", &"fault"),
                ("d", &format!("M{} 46V{}", px(x), px(height - 6.0))),
                ("stroke", &"#a33"),
                ("stroke-dasharray", &"3 3"),
            ],
        );
        if x - numbered < 13.0 {
            continue;
        }
        numbered = x;
        page.element(
            "text",
            &[("x", &px(x)), ("y", &43), ("text-anchor", &"middle"), ("class", &"fault-number")],
            &(n + 1).to_string(),
        );
    }
}

fn draw_row(page: &mut Markup, view: &RunView, row: &Row, axis: Axis, y: f64) {
    let id = clean::brief(row.node.id.as_str());
    let label = shorten(&id, 36usize.saturating_sub(row.depth * 2));
    page.open("g", &[("class", &Mark::of(row).class())]);
    page.open("a", &[("href", &link::fragment(&row.node.id))]);
    page.element(
        "text",
        &[
            ("x", &px(units(row.depth) * 12.0)),
            ("y", &px(y + 14.0)),
            ("class", &if row.is_leaf() { "name" } else { "name group" }),
        ],
        &label,
    );
    page.raw("</a>");
    if let Some(spell) = Spell::of(view, row) {
        let (top, height) = if row.is_leaf() { (y + 3.0, 14.0) } else { (y + 8.0, 4.0) };
        spell.draw(page, axis, top, height);
        let mark = Mark::of(row);
        let end = format!("{} {}", spell.length(), if mark == Mark::Passed { "" } else { mark.word() });
        page.element(
            "text",
            &[("x", &px(axis.x(spell.end) + 6.0)), ("y", &px(y + 14.0)), ("class", &"end")],
            end.trim_end(),
        );
        page.element("title", &[], &format!("{id}: {}, {end}", row.label()));
    }
    page.raw("</g>\n");
}

/// A round span without the decimals that a measured one has.
fn round_span(span: Elapsed) -> String {
    if span == Elapsed(0) { "0s".to_owned() } else { when::span(span).replace(".0s", "s") }
}

/// Keeps the end of a long id: what leads to it is in the rows above.
pub(super) fn shorten(id: &str, most: usize) -> String {
    let count = id.chars().count();
    if count <= most {
        return id.to_owned();
    }
    let tail: String = id.chars().skip(count - most + 1).collect();
    format!("…{tail}")
}

/// Which disturbance each number is.
fn list_faults(page: &mut Markup, view: &RunView) {
    let faults = faults(view);
    if faults.is_empty() {
        return;
    }
    page.raw("<ol class=\"faults\">\n");
    for (row, at) in faults.iter().take(FAULTS) {
        page.raw("<li>");
        super::failures::to_row(page, row);
        page.text(&format!(" ({}) at ", row.label()));
        moment(page, view, *at);
        page.raw(", ");
        took(page, *at);
        page.raw(" after the start</li>\n");
    }
    page.raw("</ol>\n");
    if faults.len() > FAULTS {
        let said = format!("{} more disturbances are in the table.", faults.len() - FAULTS);
        page.element("p", &[("class", &"hint")], &said);
    }
}

/// The last of them that began before a step ended, other than the step itself.
pub(super) fn last_fault<'a>(view: &'a RunView, row: &Row) -> Option<(&'a Row, Elapsed)> {
    let end = row.ended.unwrap_or(view.last);
    let mut others = faults(view).into_iter().filter(|(fault, at)| fault.node.id != row.node.id && *at < end);
    others.next_back()
}

/// A row's time in pieces.
pub(super) struct Spell {
    pieces: Vec<(Elapsed, Elapsed, &'static str)>,
    start: Elapsed,
    end: Elapsed,
}

impl Spell {
    /// None for what did not begin.
    pub(super) fn of(view: &RunView, row: &Row) -> Option<Self> {
        let (start, end) = row.span(view.last)?;
        let mut pieces = Vec::new();
        if let Some(ready) = ready(view, row).filter(|ready| *ready < start) {
            pieces.push((ready, start, "waiting"));
        }
        let mut from = start;
        for attempt in &row.attempts {
            if attempt.started > from {
                pieces.push((from, attempt.started, "waiting"));
            }
            let until = attempt.ended.unwrap_or(end);
            let class = match &attempt.failure {
                Some(failure) if row.attempts.len() > 1 => Mark::from(failure.class.outcome()),
                _ => Mark::of(row),
            };
            match row.up.filter(|up| (attempt.started..until).contains(up)) {
                Some(up) => pieces.extend([(attempt.started, up, class.class()), (up, until, "up")]),
                None => pieces.push((attempt.started, until, class.class())),
            }
            from = until;
        }
        if row.attempts.is_empty() {
            pieces.push((start, end, Mark::of(row).class()));
        } else if from < end {
            pieces.push((from, end, "waiting"));
        }
        Some(Self { pieces, start, end })
    }

    /// A rectangle for each piece.
    pub(super) fn draw(&self, page: &mut Markup, axis: Axis, y: f64, height: f64) {
        for (from, to, class) in &self.pieces {
            let x = axis.x(*from);
            rect(page, &format!("piece {class}"), x, (axis.x(*to) - x).max(1.5), y, height);
        }
    }

    fn length(&self) -> String {
        when::span(self.end.since(self.start))
    }
}

/// A piece of a bar.
pub(super) fn rect(page: &mut Markup, class: &str, x: f64, width: f64, y: f64, height: f64) {
    let is_pale = class.ends_with("waiting") || class.ends_with("up");
    page.void(
        "rect",
        &[
            ("class", &class),
            ("fill", &if is_pale { "#bbb" } else { "#444" }),
            ("x", &px(x)),
            ("y", &px(y)),
            ("width", &px(width)),
            ("height", &px(height)),
            ("rx", &1.5),
        ],
    );
}

/// When nothing but a free place or a watch was missing: the last thing it needs
/// had passed, and its group had begun.
fn ready(view: &RunView, row: &Row) -> Option<Elapsed> {
    let mut ready = Elapsed(0);
    if let Some(parent) = &row.node.parent {
        ready = view.row(parent)?.started?;
    }
    for need in &row.node.needs {
        let need = view.row(need)?;
        let by_choice = need.outcome() == Some(Outcome::Skipped);
        let settled = need.up.or(need.ended).or(by_choice.then_some(Elapsed(0)))?;
        ready = ready.max(settled);
    }
    Some(ready)
}
