//! Every check, what was measured, and what was watched.

use super::axis::Axis;
use super::failures::is_told;
use super::mark::Mark;
use super::markup::Markup;
use super::proof::{self, to_check};
use super::times::{since, took};
use crate::clock::Elapsed;
use crate::event::{Outcome, Verdict};
use crate::report::{clean, link, proof as words, when};
use crate::text;
use crate::view::{CheckRow, RunView, Series, Totals, WatchRow};

/// More rounds than this of one check have no row; what failed has one in any case.
const ROUNDS: usize = 200;

/// How much evidence of checks that did not fail the page shows, about, in bytes.
const BUDGET: usize = 1_500_000;

/// How many watches, and how many gaps of one.
const WATCHES: usize = 200;
const LAPSES: usize = 20;

/// The checks with their rounds gathered, then the watches.
pub(super) fn write(page: &mut Markup, view: &RunView) {
    if view.checks.is_empty() && view.watches.is_empty() {
        return;
    }
    page.raw("<section id=\"checks\" aria-labelledby=\"h-checks\">\n<h2 id=\"h-checks\">Checks</h2>\n");
    if view.checks.is_empty() {
        page.raw("<p class=\"none\">The plan has no checks: this run was only recorded.</p>\n");
    } else {
        table(page, view);
    }
    watches(page, view);
    marks(page, view);
    page.raw("</section>\n");
}

fn table(page: &mut Markup, view: &RunView) {
    page.raw("<div class=\"wide\"><table class=\"steps checks\"><caption>In plan order, the rounds of one check together</caption><thead><tr><th scope=\"col\">Check</th><th scope=\"col\">State</th><th scope=\"col\">Opened <small>(UTC)</small></th><th scope=\"col\">Open for</th><th scope=\"col\">When it was open</th></tr></thead>\n<tbody>\n");
    let mut budget = BUDGET;
    for series in view.series() {
        match series.rows.as_slice() {
            [row] => {
                single(page, view, row);
                more(page, view, &series, &mut budget);
            }
            _ => {
                several(page, view, &series);
                more(page, view, &series, &mut budget);
            }
        }
    }
    page.raw("</tbody></table></div>\n");
}

fn single(page: &mut Markup, view: &RunView, row: &CheckRow) {
    page.open("tr", &[("id", &link::check_anchor(&row.node.id)), ("class", &format!("{} leaf", tint(row)))]);
    name(page, row, &words::name(row), &words::during(row));
    state(page, row);
    page.raw("\n<p class=\"cause\">").prose(&clean::brief(&row.message())).raw("</p></td>");
    window(page, view, row);
    page.raw("<td class=\"bar\">");
    bar(page, view, &[row]);
    page.raw("</td></tr>\n");
}

/// A tint only where the verdict hangs on it.
pub(super) fn tint(row: &CheckRow) -> &'static str {
    if row.counts() { Mark::of_check(row).class() } else { "s-skipped" }
}

fn several(page: &mut Markup, view: &RunView, series: &Series<'_>) {
    let Some(first) = series.rows.first() else { return };
    let worst = series.rows.iter().max_by_key(|row| row.outcome().map_or(rank_open(row), Outcome::verdict));
    let worst = worst.unwrap_or(first);
    page.open("tr", &[("class", &format!("{} leaf", tint(worst)))]);
    name(page, first, &format!("check/{}", series.id), &words::during_all(series));
    state(page, worst);
    let totals = Totals::of_checks(series.rows.iter().copied());
    page.raw("\n<p class=\"cause\">").text(&format!(
        "{}: {}",
        text::count(series.rows.len(), "round"),
        totals.sentence()
    ));
    page.raw("</p><p class=\"rounds\">");
    for row in
        series.rows.iter().filter(|row| series.rows.len() <= ROUNDS || Mark::of_check(row) != Mark::Passed).take(ROUNDS)
    {
        let mark = Mark::of_check(row);
        let number = row.node.round.as_ref().map_or(1, |round| round.number);
        let said = format!("{} {}", clean::brief(&words::name(row)), mark.word());
        let href = link::to_check(&row.node.id);
        page.open("a", &[("class", &mark.class()), ("href", &href), ("title", &said), ("aria-label", &said)]);
        mark.draw(page);
        page.text(&format!("{number:02}")).raw("</a> ");
    }
    page.raw("</p></td>");
    page.raw("<td class=\"number\">");
    let opened = series.rows.iter().filter_map(|row| row.window(view.last)).collect::<Vec<_>>();
    match opened.first() {
        Some((from, _)) => {
            page.text(&when::clock(view, *from)).raw(" <small>");
            since(page, view, *from);
            page.raw("</small>");
        }
        None => {
            page.raw("–");
        }
    }
    page.raw("</td><td class=\"number\">");
    if opened.is_empty() {
        page.raw("–");
    } else {
        took(page, opened.iter().fold(Elapsed(0), |sum, (from, to)| Elapsed(sum.0 + to.since(*from).0)));
        page.raw(" <small>in all</small>");
    }
    page.raw("</td><td class=\"bar\">");
    bar(page, view, &series.rows);
    page.raw("</td></tr>\n");
}

/// How bad a check is that has not settled.
fn rank_open(row: &CheckRow) -> Verdict {
    match Mark::of_check(row) {
        Mark::Failed => Verdict::Fail,
        Mark::Unfinished => Verdict::Error,
        _ => Verdict::Pass,
    }
}

/// How it went; a check that only reports is told without alarm.
fn state(page: &mut Markup, row: &CheckRow) {
    page.raw(if row.counts() { "<td>" } else { "<td class=\"quiet\">" });
    Mark::of_check(row).say(page);
    if !row.counts() {
        page.raw(" <span class=\"verb\">only reports</span>");
    }
}

fn name(page: &mut Markup, row: &CheckRow, name: &str, during: &str) {
    page.raw("<th scope=\"row\"><span class=\"id\">").text(&clean::brief(name)).raw("</span> ");
    page.element("span", &[("class", &"verb")], &clean::brief(&row.node.operator));
    let about = if row.node.about.is_empty() { String::new() } else { format!("{} ", row.node.about) };
    page.raw("<p class=\"about\">").prose(&clean::brief(&format!("{about}({during})"))).raw("</p></th>");
}

fn window(page: &mut Markup, view: &RunView, row: &CheckRow) {
    page.raw("<td class=\"number\">");
    match row.window(view.last) {
        Some((from, to)) => {
            page.text(&when::clock(view, from)).raw(" <small>");
            since(page, view, from);
            page.raw("</small></td><td class=\"number\">");
            took(page, to.since(from));
        }
        None => {
            page.raw("–</td><td class=\"number\">–");
        }
    }
    page.raw("</td>");
}

/// The windows on the run's time.
fn bar(page: &mut Markup, view: &RunView, rows: &[&CheckRow]) {
    let axis = Axis { left: 0.0, width: 180.0, from: Elapsed(0), span: view.took() };
    page.raw("<svg class=\"spell\" width=\"180\" height=\"12\" viewBox=\"0 0 180 12\" aria-hidden=\"true\"><path class=\"rail\" d=\"M0 6h180\" stroke=\"#888\" stroke-opacity=\".3\"/>");
    for (row, (from, to)) in rows.iter().filter_map(|row| Some((row, row.window(view.last)?))).take(ROUNDS) {
        let (left, right) = (axis.x(from), axis.x(to));
        page.open("g", &[("class", &tint(row))]);
        super::timeline::rect(page, "piece window", left, (right - left - 1.0).max(1.5), 2.0, 8.0);
        page.raw("</g>");
    }
    page.raw("</svg>");
}

/// What was measured, each round, and the evidence that stands nowhere else.
fn more(page: &mut Markup, view: &RunView, series: &Series<'_>, budget: &mut usize) {
    let mut inner = Markup::default();
    let measured = words::measured(series);
    if !measured.is_empty() {
        inner.raw("<ul class=\"plain measured\">");
        for said in &measured {
            inner.raw("<li>").prose(&clean::brief(said)).raw("</li>");
        }
        inner.raw("</ul>");
    }
    if series.rows.len() > 1 {
        rounds(&mut inner, view, series);
    }
    for row in series.rows.iter().take(ROUNDS) {
        evidence(&mut inner, view, row, series.rows.len() > 1, budget);
    }
    if !inner.is_empty() {
        page.raw("<tr class=\"more\"><td colspan=\"5\">").part(&inner).raw("</td></tr>\n");
    }
}

/// Each round in numbers.
fn rounds(page: &mut Markup, view: &RunView, series: &Series<'_>) {
    page.raw("<details><summary>").text(&text::count(series.rows.len(), "round"));
    page.raw("</summary><div class=\"evidence\"><table><thead><tr><th scope=\"col\">Round</th><th scope=\"col\">State</th><th scope=\"col\">Opened</th><th scope=\"col\">Open for</th><th scope=\"col\">Examined</th><th scope=\"col\">Found</th></tr></thead><tbody>");
    for row in &series.rows {
        page.open("tr", &[("id", &link::check_anchor(&row.node.id))]);
        let number = row.node.round.as_ref().map_or(1, |round| round.number);
        page.element("th", &[("scope", &"row")], &format!("{number:02}"));
        page.raw(if row.counts() { "<td>" } else { "<td class=\"quiet\">" });
        Mark::of_check(row).say(page);
        page.raw("</td><td>");
        match row.window(view.last) {
            Some((from, to)) => {
                since(page, view, from);
                page.raw("</td><td>");
                took(page, to.since(from));
            }
            None => {
                page.raw("–</td><td>–");
            }
        }
        page.raw("</td><td>");
        page.text(&row.finding.as_ref().map(words::examined).unwrap_or_default());
        page.raw("</td><td>").prose(&clean::ellipsis(&row.message(), 300)).raw("</td></tr>");
    }
    page.raw("</tbody></table></div></details>");
}

/// What a check left that is not told among the failures.
fn evidence(page: &mut Markup, view: &RunView, row: &CheckRow, named: bool, budget: &mut usize) {
    let finding = row.finding.as_ref();
    let doubts = finding.is_some_and(|finding| !finding.blind.is_empty() || finding.ignored.is_some());
    if is_told(view, row) {
        page.raw("<p class=\"hint\">The evidence of ");
        to_check(page, row);
        page.raw(" is told under <a href=\"#failures\">what went wrong</a>.</p>");
        return;
    }
    if row.moments().is_empty() && !doubts {
        return;
    }
    let weight: usize = row.moments().iter().flat_map(|moment| &moment.diff).map(|line| line.len().min(300) + 20).sum();
    if weight > *budget {
        page.raw("<p class=\"hint\">The evidence of ");
        to_check(page, row);
        page.raw(" is left out to keep this page small; it is in <code>events.jsonl</code>.</p>");
        return;
    }
    *budget -= weight;
    page.raw("<details><summary>Evidence");
    if named {
        page.text(&format!(" of {}", clean::brief(&words::name(row))));
    }
    page.raw("</summary><div class=\"evidence\">");
    proof::write(page, view, row);
    page.raw("</div></details>");
}

fn watches(page: &mut Markup, view: &RunView) {
    if view.watches.is_empty() {
        return;
    }
    page.raw("<h3>What was watched</h3>\n");
    let said = format!(
        "{} versions of objects were recorded by {}. Nothing is missing but where a gap is named.",
        view.versions(),
        if view.watches.len() == 1 { "one watch".to_owned() } else { format!("{} watches", view.watches.len()) }
    );
    page.element("p", &[("class", &"hint")], &said);
    page.raw("<div class=\"wide\"><table class=\"watches\"><thead><tr><th scope=\"col\">Watch</th><th scope=\"col\">Versions</th><th scope=\"col\">Closing lists</th><th scope=\"col\">Gaps and late spells</th></tr></thead><tbody>\n");
    for row in view.watches.iter().take(WATCHES) {
        page.raw("<tr>").element("th", &[("scope", &"row")], &clean::brief(&row.asks()));
        page.element("td", &[("class", &"number")], &row.versions.to_string()).raw("<td>");
        confirmed(page, row);
        page.raw("</td><td>");
        lapses(page, row);
        page.raw("</td></tr>\n");
    }
    page.raw("</tbody></table></div>\n");
    if view.watches.len() > WATCHES {
        let said = format!("{} more watches are in events.jsonl.", view.watches.len() - WATCHES);
        page.element("p", &[("class", &"hint")], &said);
    }
}

fn confirmed(page: &mut Markup, row: &WatchRow) {
    match (row.served, row.confirmed, row.differences.len()) {
        (Some(false), ..) => page.raw("its kind is not served"),
        (_, 0, 0) => page.raw("none was asked for"),
        (_, agreed, 0) => page.text(&format!("{agreed} agreed")),
        (_, agreed, n) => {
            page.text(&format!("{agreed} agreed; {} unexplained", text::count(n, "difference")))
                .raw("<ul class=\"plain\">");
            for (at, difference) in row.differences.iter().take(LAPSES) {
                let said = format!("{}/{}: {}", difference.object.namespace, difference.object.name, difference.say);
                page.raw("<li>").text(&format!("{} {}", when::exact_span(*at), clean::brief(&said))).raw("</li>");
            }
            page.raw("</ul>")
        }
    };
}

fn lapses(page: &mut Markup, row: &WatchRow) {
    if row.lapses.is_empty() {
        page.raw("none");
        return;
    }
    page.raw("<ul class=\"plain\">");
    for lapse in row.lapses.iter().take(LAPSES) {
        page.element("li", &[], &clean::brief(&words::lapse_alone(lapse)));
    }
    if row.lapses.len() > LAPSES {
        page.element("li", &[], &format!("and {} more", row.lapses.len() - LAPSES));
    }
    page.raw("</ul>");
}

/// What a person beside the run marked.
fn marks(page: &mut Markup, view: &RunView) {
    if view.marks.is_empty() {
        return;
    }
    page.raw("<h3>Marked by hand</h3>\n<ul class=\"plain\">\n");
    for (at, name) in view.marks.iter().take(WATCHES) {
        page.raw("<li>");
        since(page, view, *at);
        page.raw(" ").text(&clean::brief(name)).raw("</li>\n");
    }
    page.raw("</ul>\n");
}
