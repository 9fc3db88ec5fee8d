//! What the objects did, on one time axis with what was done to them.

use std::collections::BTreeMap;

use super::axis::{Axis, px, units};
use super::checks::tint;
use super::failures;
use super::legend::Legend;
use super::mark::Mark;
use super::markup::Markup;
use super::proof::shown_moments;
use super::strip::Strip;
use super::timeline::{FAULTS, LABEL, TOP, WIDTH, fault_lines, shorten, ticks};
use crate::clock::Elapsed;
use crate::event::Lane;
use crate::report::{clean, link, proof, when};
use crate::text;
use crate::view::{CheckRow, RunView, Series};

/// More lanes than this are not drawn: those of checks that did not hold stand first.
const LANES: usize = 60;

/// And in the drawing beside one failure.
const NEAR: usize = 8;

/// More pieces than this are drawn as one block that says how many they are.
const PIECES: usize = 6_000;

/// How many lanes are told in words, and how many values of each.
const TOLD: usize = 200;
const VALUES: usize = 40;

const GROUP: f64 = 30.0;
const LANE: f64 = 20.0;
const BAR: f64 = 17.0;

/// The lanes of one check, over all its rounds.
struct Group<'a> {
    name: String,
    rows: Vec<&'a CheckRow>,
    tracks: Vec<Track<'a>>,
}

/// One track, with its values in each window.
struct Track<'a> {
    name: &'a str,
    spells: Vec<(&'a CheckRow, &'a Lane, (Elapsed, Elapsed))>,
}

/// Every lane that the journal has, in one drawing and in words.
pub(super) fn write(page: &mut Markup, view: &RunView) {
    let all = groups(view);
    if all.is_empty() {
        return;
    }
    page.raw("<section id=\"lanes\" aria-labelledby=\"h-lanes\">\n<h2 id=\"h-lanes\">What the objects did</h2>\n");
    let count = |groups: &[Group<'_>]| groups.iter().map(|group| group.tracks.len()).sum::<usize>();
    let (found, drawn) = (count(&all), choose(all, LANES));
    let kept: u64 =
        view.checks.iter().filter_map(|row| row.finding.as_ref()).map(|finding| finding.lanes_left_out).sum();
    if count(&drawn) < found {
        let said = format!(
            "{} of {} are drawn, those of checks that did not hold first; the others are in words below and in events.jsonl.",
            count(&drawn),
            text::count(found, "lane")
        );
        page.element("p", &[("class", &"hint")], &said).raw("\n");
    }
    if kept > 0 {
        let said = format!("The judges kept no lane of {kept} more tracks; their versions are in events.jsonl.");
        page.element("p", &[("class", &"hint")], &said).raw("\n");
    }
    let axis = Axis { left: LABEL, width: WIDTH - LABEL - 20.0, from: Elapsed(0), span: view.took() };
    let legend = Legend::of(values(&drawn));
    legend.write(page);
    let label = "Tracks in time, with steps above them; the same in words is below";
    Drawing { view, axis, legend: &legend, pieces: PIECES }.write(page, &drawn, label);
    words(page, &groups(view));
    page.raw("</section>\n");
}

/// The lanes of one check over its own window, for a look from near.
pub(super) fn around(page: &mut Markup, view: &RunView, row: &CheckRow) {
    let Some((from, to)) = row.window(view.last) else { return };
    let group = group(view, Series { id: &row.node.id, rows: vec![row] });
    let Some(group) = group else { return };
    let found = group.tracks.len();
    let drawn = choose(vec![group], NEAR);
    let tracks: usize = drawn.iter().map(|group| group.tracks.len()).sum();
    page.raw("<p class=\"block-title\">Its tracks over its window");
    if tracks < found {
        page.text(&format!(", {tracks} of {found}"));
    }
    page.raw("</p>\n");
    let span = to.since(from).max(Elapsed(1_000));
    let axis = Axis { left: LABEL, width: WIDTH - LABEL - 20.0, from, span };
    let legend = Legend::of(values(&drawn));
    legend.write(page);
    let label = format!("Tracks of {} over its window", clean::brief(&proof::name(row)));
    Drawing { view, axis, legend: &legend, pieces: PIECES / 10 }.write(page, &drawn, &label);
}

fn groups(view: &RunView) -> Vec<Group<'_>> {
    view.series().into_iter().filter_map(|series| group(view, series)).collect()
}

/// None if no round of it has a lane.
fn group<'a>(view: &'a RunView, series: Series<'a>) -> Option<Group<'a>> {
    let mut tracks: Vec<Track<'a>> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &series.rows {
        let Some(window) = row.window(view.last) else { continue };
        for lane in row.finding.iter().flat_map(|finding| &finding.lanes) {
            let place = *places.entry(&lane.track).or_insert(tracks.len());
            if place == tracks.len() {
                tracks.push(Track { name: &lane.track, spells: Vec::new() });
            }
            tracks[place].spells.push((row, lane, window));
        }
    }
    let name = format!("check/{}", series.id);
    (!tracks.is_empty()).then_some(Group { name, rows: series.rows, tracks })
}

fn values<'a>(groups: &[Group<'a>]) -> Vec<&'a str> {
    let spells = groups.iter().flat_map(|group| &group.tracks).flat_map(|track| &track.spells);
    spells.flat_map(|(_, lane, _)| lane.segments.iter().map(|segment| segment.value.as_str())).collect()
}

impl Track<'_> {
    fn is_bad(&self) -> bool {
        self.spells.iter().any(|(_, lane, _)| lane.segments.iter().any(|segment| segment.bad))
    }
}

/// At most that many tracks: with violations first, then of checks that did not hold; in plan order.
fn choose(groups: Vec<Group<'_>>, most: usize) -> Vec<Group<'_>> {
    let mut ranks: Vec<(bool, bool, usize, usize)> = Vec::new();
    for (n, group) in groups.iter().enumerate() {
        let held = !group.rows.iter().any(|row| row.is_failing());
        ranks.extend(group.tracks.iter().enumerate().map(|(t, track)| (!track.is_bad(), held, n, t)));
    }
    ranks.sort_unstable();
    ranks.truncate(most);
    let mut chosen: Vec<Group<'_>> = Vec::new();
    for (n, group) in groups.into_iter().enumerate() {
        let is_chosen = |t: usize| ranks.iter().any(|rank| (rank.2, rank.3) == (n, t));
        let tracks = group.tracks.into_iter().enumerate().filter(|(t, _)| is_chosen(*t)).map(|(_, track)| track);
        let tracks: Vec<_> = tracks.collect();
        if !tracks.is_empty() {
            chosen.push(Group { tracks, ..group });
        }
    }
    chosen
}

struct Drawing<'a> {
    view: &'a RunView,
    axis: Axis,
    legend: &'a Legend<'a>,
    /// How many more pieces may be drawn.
    pieces: usize,
}

impl Drawing<'_> {
    fn write(mut self, page: &mut Markup, groups: &[Group<'_>], label: &str) {
        let strip = Strip::of(self.view, self.axis);
        let lanes: f64 = groups.iter().map(|group| GROUP + LANE * units(group.tracks.len())).sum();
        let height = TOP + BAR * units(strip.rows()) + lanes + 14.0;
        page.open("div", &[("class", &"wide"), ("tabindex", &0), ("role", &"region"), ("aria-label", &label)]);
        page.open(
            "svg",
            &[
                ("class", &"chart lanes"),
                ("width", &WIDTH),
                ("height", &px(height)),
                ("viewBox", &format!("0 0 {WIDTH} {}", px(height))),
                ("role", &"group"),
                ("aria-label", &label),
                ("font-size", &12),
            ],
        );
        ticks(page, self.view, self.axis, height);
        strip.draw(page, self.view, self.axis, TOP, BAR);
        let mut y = TOP + BAR * units(strip.rows());
        for group in groups {
            self.group(page, group, y);
            y += GROUP + LANE * units(group.tracks.len());
        }
        let end = Elapsed(self.axis.from.0.saturating_add(self.axis.span.0));
        fault_lines(page, self.view, self.axis, height);
        self.marks(page, height, end);
        page.raw("</svg></div>\n");
    }

    /// What a person marked, as lines with their names.
    fn marks(&self, page: &mut Markup, height: f64, end: Elapsed) {
        for (at, name) in self.view.marks.iter().filter(|(at, _)| (self.axis.from..=end).contains(at)).take(FAULTS) {
            let x = px(self.axis.x(*at));
            let line = format!("M{x} 46V{}", px(height - 6.0));
            page.void("path", &[("class", &"person"), ("d", &line), ("stroke", &"#333")]);
            page.element("text", &[("x", &x), ("y", &43), ("class", &"tick")], &clean::ellipsis(name, 30));
        }
    }

    /// A heading with a bracket for each window, the lanes, and what was not seen.
    fn group(&mut self, page: &mut Markup, group: &Group<'_>, y: f64) {
        let bottom = y + GROUP + LANE * units(group.tracks.len());
        page.element(
            "text",
            &[("x", &0), ("y", &px(y + 20.0)), ("class", &"name heading")],
            &shorten(&clean::brief(&group.name), 38),
        );
        for row in &group.rows {
            self.bracket(page, row, y + 12.0);
        }
        for (n, track) in group.tracks.iter().enumerate() {
            self.track(page, track, y + GROUP + LANE * units(n));
        }
        self.unseen(page, group, y + GROUP - 2.0, bottom);
    }

    fn bracket(&self, page: &mut Markup, row: &CheckRow, y: f64) {
        let Some((from, to)) = row.window(self.view.last) else { return };
        let (left, right) = (self.axis.x(from), self.axis.x(to).max(self.axis.x(from) + 2.0));
        let mark = Mark::of_check(row);
        page.open("g", &[("class", &tint(row))]);
        page.open("a", &[("href", &link::to_check(&row.node.id))]);
        let said = format!("{}: {}, window {}", proof::name(row), mark.word(), during(from, to));
        page.element("title", &[], &clean::brief(&said));
        let path = format!("M{} {}v-7H{}v7", px(left), px(y + 11.0), px(right));
        page.void("path", &[("class", &"bracket"), ("d", &path), ("fill", &"none"), ("stroke", &"#444")]);
        // It is judged when its window closes; in the middle it looked like a violation's mark.
        let sign = (right - 14.0).max(f64::midpoint(left, right) - 6.0);
        page.void(
            "use",
            &[
                ("href", &mark.symbol()),
                ("class", &"sign"),
                ("x", &px(sign)),
                ("y", &px(y - 4.0)),
                ("width", &12),
                ("height", &12),
            ],
        );
        page.raw("</a></g>\n");
    }

    fn track(&mut self, page: &mut Markup, track: &Track<'_>, y: f64) {
        page.element(
            "text",
            &[("x", &12), ("y", &px(y + 13.0)), ("class", &"name")],
            &shorten(&clean::brief(track.name), 34),
        );
        for (row, lane, window) in &track.spells {
            self.spell(page, row, lane, *window, y);
        }
        page.raw("\n");
    }

    /// One window of one track. Values too short for a pixel are drawn as one block.
    fn spell(&mut self, page: &mut Markup, row: &CheckRow, lane: &Lane, (from, to): (Elapsed, Elapsed), y: f64) {
        let mut block: Option<(Elapsed, usize)> = None;
        let mut signs: Vec<(f64, Elapsed)> = Vec::new();
        let count = lane.segments.len();
        for (n, segment) in lane.segments.iter().enumerate() {
            let start = segment.from.max(from);
            let end = lane.segments.get(n + 1).map_or(to, |next| next.from).clamp(start, to.max(start));
            let width = self.axis.x(end) - self.axis.x(start);
            if segment.bad && signs.last().is_none_or(|(x, _)| self.axis.x(start) - x > 10.0) {
                signs.push((self.axis.x(start), segment.from));
            }
            let is_last = n + 1 == count && lane.more == 0;
            if width < 1.5 && !is_last || self.pieces == 0 {
                block = Some(block.map_or((start, 1), |(first, many)| (first, many + 1)));
                continue;
            }
            self.flush(page, lane, block.take(), start, n, y);
            self.piece(page, &segment.value, start, end, y);
        }
        if let (None, true, Some(last)) = (block, lane.more > 0, lane.segments.last()) {
            block = Some((last.from.max(from), 0));
        }
        let more = usize::try_from(lane.more).unwrap_or(usize::MAX);
        block = block.map(|(first, many)| (first, many.saturating_add(more)));
        self.flush(page, lane, block, to, count, y);
        // A violation beyond the values that were kept has no piece.
        if Mark::of_check(row) == Mark::Failed {
            let others = row.moments().into_iter().filter(|moment| moment.track == lane.track);
            for at in others.map(|moment| moment.at) {
                if signs.iter().all(|(x, _)| (self.axis.x(at) - x).abs() > 10.0) {
                    signs.push((self.axis.x(at), at));
                }
            }
        }
        for (x, at) in signs {
            sign(page, self.view, row, lane, at, x, y);
        }
    }

    /// Draws the values that were too short: one as itself, several as a block.
    fn flush(
        &mut self,
        page: &mut Markup,
        lane: &Lane,
        block: Option<(Elapsed, usize)>,
        end: Elapsed,
        n: usize,
        y: f64,
    ) {
        match block {
            None => {}
            Some((start, 1)) => self.piece(page, &lane.segments[n - 1].value, start, end, y),
            Some((start, many)) => {
                let said = format!("{many} values {}", during(start, end));
                self.rect(page, "busy", "#888", (start, end), y, &said);
            }
        }
    }

    fn piece(&mut self, page: &mut Markup, value: &str, start: Elapsed, end: Elapsed, y: f64) {
        if value.is_empty() {
            let (left, right) = (self.axis.x(start), self.axis.x(end));
            let line = format!("M{} {}H{}", px(left), px(y + 9.0), px(right));
            page.void("path", &[("class", &"absent"), ("d", &line), ("stroke", &"#888"), ("stroke-dasharray", &"1 3")]);
            return;
        }
        let (class, fill) = self.legend.colour(value);
        let said = format!("{} {}", clean::ellipsis(value, 80), during(start, end));
        let (left, width) = self.rect(page, &class, fill, (start, end), y, &said);
        if width >= 11.0 {
            let letter = self.legend.letter(value);
            let x = px(left + (width / 2.0).min(12.0));
            let with: [(&'static str, &dyn std::fmt::Display); 5] =
                [("x", &x), ("y", &px(y + 13.2)), ("text-anchor", &"middle"), ("class", &"value"), ("fill", &"#111")];
            page.element("text", &with, letter);
        }
    }

    fn rect(
        &mut self,
        page: &mut Markup,
        class: &str,
        fill: &'static str,
        (start, end): (Elapsed, Elapsed),
        y: f64,
        said: &str,
    ) -> (f64, f64) {
        self.pieces = self.pieces.saturating_sub(1);
        let left = self.axis.x(start);
        let width = (self.axis.x(end) - left).max(2.0);
        page.open(
            "rect",
            &[
                ("class", &format!("value {class}")),
                ("fill", &fill),
                ("x", &px(left)),
                ("y", &px(y + 2.0)),
                ("width", &px(width)),
                ("height", &15),
            ],
        );
        page.element("title", &[], said).raw("</rect>");
        (left, width)
    }

    /// Gaps hatched and late spells lightly, over all lanes of the group.
    fn unseen(&self, page: &mut Markup, group: &Group<'_>, top: f64, bottom: f64) {
        let mut spells: Vec<(Elapsed, Elapsed, bool, String)> = Vec::new();
        let watches = group.rows.iter().flat_map(|row| &row.watches).filter_map(|armed| self.view.watch(armed.watch));
        for watch in watches {
            spells.extend(watch.lapses.iter().map(|it| (it.from, it.to, it.is_gap(), it.reason.clone())));
        }
        for row in &group.rows {
            let blind = row.finding.iter().flat_map(|finding| &finding.blind);
            spells.extend(blind.map(|it| (it.from, it.to, it.gap, it.reason.clone())));
        }
        spells.sort();
        spells.dedup_by(|a, b| (a.0, a.1, a.2) == (b.0, b.1, b.2));
        let end = Elapsed(self.axis.from.0.saturating_add(self.axis.span.0));
        for (from, to, gap, reason) in spells.iter().filter(|it| it.1 >= self.axis.from && it.0 <= end).take(200) {
            let left = self.axis.x(*from);
            let (class, fill, kind) = if *gap {
                ("gap", "url(#hatch)", "gap, versions may be missing")
            } else {
                ("late", "#888", "late, nothing is missing")
            };
            page.open(
                "rect",
                &[
                    ("class", &class),
                    ("fill", &fill),
                    ("fill-opacity", &if *gap { "1" } else { "0.25" }),
                    ("x", &px(left)),
                    ("y", &px(top)),
                    ("width", &px((self.axis.x(*to) - left).max(2.0))),
                    ("height", &px(bottom - top)),
                ],
            );
            let said = format!("{kind}, {}: {}", during(*from, *to), clean::brief(reason));
            page.element("title", &[], &said).raw("</rect>\n");
        }
    }
}

/// A violation, with a link to what decided it.
fn sign(page: &mut Markup, view: &RunView, row: &CheckRow, lane: &Lane, at: Elapsed, x: f64, y: f64) {
    let moments = row.moments();
    let same = |n: &usize| moments[*n].at == at && moments[*n].track == lane.track;
    let place = (0..shown_moments(row)).find(same).filter(|_| failures::is_told(view, row));
    let href = match place {
        Some(n) => link::to_anchor(&link::moment_anchor(&row.node.id, n)),
        None => link::to_check(&row.node.id),
    };
    let said = format!("{} was violated by {} at {}", proof::name(row), lane.track, when::exact_span(at));
    let class = if row.counts() { "s-failed" } else { tint(row) };
    page.open("a", &[("href", &href), ("class", &class), ("aria-label", &clean::brief(&said))]);
    let with: [(&'static str, &dyn std::fmt::Display); 6] = [
        ("href", &Mark::Failed.symbol()),
        ("class", &"sign"),
        ("x", &px(x - 7.0)),
        ("y", &px(y + 2.5)),
        ("width", &14),
        ("height", &14),
    ];
    page.void("use", &with).element("title", &[], &clean::brief(&said)).raw("</a>");
}

fn during(from: Elapsed, to: Elapsed) -> String {
    format!("for {}, {} to {}", when::span(to.since(from)), when::exact_span(from), when::exact_span(to))
}

/// The lanes for those who do not see the drawing.
fn words(page: &mut Markup, groups: &[Group<'_>]) {
    page.raw("<details class=\"words\"><summary>The same in words</summary>\n<ul class=\"plain\">\n");
    let spells = groups.iter().flat_map(|group| &group.tracks).flat_map(|track| &track.spells);
    let spells: Vec<_> = spells.collect();
    for (row, lane, (from, to)) in spells.iter().take(TOLD) {
        page.raw("<li><b>").text(&clean::brief(&lane.track)).raw("</b>, ");
        page.text(&clean::brief(&proof::name(row))).raw(", from ").text(&when::exact_span(*from)).raw(": ");
        for (n, segment) in lane.segments.iter().enumerate().take(VALUES) {
            if n > 0 {
                page.raw(" → ");
            }
            let value = if segment.value.is_empty() { "not there" } else { &segment.value };
            let end = lane.segments.get(n + 1).map_or(*to, |next| next.from);
            page.text(&format!("{} {}", clean::ellipsis(value, 60), when::span(end.since(segment.from.max(*from)))));
            if segment.bad {
                page.raw(" <strong>(violation)</strong>");
            }
        }
        let more = lane.segments.len().saturating_sub(VALUES) + usize::try_from(lane.more).unwrap_or(0);
        if more > 0 {
            page.text(&format!(" and {more} more"));
        }
        page.raw("</li>\n");
    }
    page.raw("</ul>\n");
    if spells.len() > TOLD {
        page.element("p", &[("class", &"hint")], &format!("{} more are in events.jsonl.", spells.len() - TOLD));
    }
    page.raw("</details>\n");
}
