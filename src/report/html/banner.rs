use super::mark::Mark;
use super::markup::Markup;
use super::times::{moment, took};
use crate::clock::Elapsed;
use crate::event::{NodeKind, Verdict};
use crate::report::{clean, link};
use crate::text;
use crate::view::{Row, RunView, Totals};

/// More rounds than this are counted, and only those that did not pass are named.
const ROUNDS: usize = 40;

/// The verdict as the first word that a reader sees.
pub(super) fn verdict(view: &RunView) -> &'static str {
    if !view.is_complete() {
        return "Incomplete";
    }
    match view.verdict() {
        Verdict::Pass => "Passed",
        Verdict::Cancelled => "Cancelled",
        Verdict::Inconclusive => "Inconclusive",
        Verdict::Error => "Error",
        Verdict::Fail => "Failed",
    }
}

/// How it went, in one screen: verdict, reason, counts, rounds, and which run this is.
pub(super) fn write(page: &mut Markup, view: &RunView) {
    let mark = Mark::from(view.verdict());
    page.open("header", &[("class", &format!("banner {}", mark.class()))]);
    page.raw("<div class=\"said\">\n");
    page.raw("<h1><span class=\"verdict\">");
    mark.draw(page);
    page.raw(" ").text(verdict(view)).raw("</span> ");
    let title = if view.start.title.is_empty() { &view.start.plan } else { &view.start.title };
    page.element("span", &[("class", &"title")], &clean::ellipsis(title, 160)).raw("</h1>\n");
    page.raw("<p class=\"reason\">").prose(&clean::ellipsis(&view.reason(), 400));
    page.raw("</p>\n");
    if !view.is_complete() {
        page.raw("<p class=\"cut\"><strong>The record of this run is incomplete.</strong> What follows is what is known; the verdict of a run without an end is <em>error</em>.</p>\n");
    }
    counts(page, view);
    rounds(page, view);
    page.raw("</div>\n");
    facts(page, view);
    page.raw("</header>\n");
    sections(page, view);
}

fn counts(page: &mut Markup, view: &RunView) {
    page.raw("<ul class=\"counts\" aria-label=\"Steps by outcome\">");
    let totals = view.totals();
    count(page, &totals);
    let of = format!("of {}", text::count(totals.steps, "step"));
    page.element("li", &[("class", &"of")], &of);
    let cleanup = view.cleanup_totals();
    if cleanup.steps > 0 {
        let said = format!("clean-up, apart: {}", cleanup.sentence());
        page.element("li", &[("class", &"of")], &said);
    }
    page.raw("</ul>\n");
    let (checks, reports) = (view.check_totals(), view.report_totals());
    if checks.steps + reports.steps == 0 {
        return;
    }
    page.raw("<ul class=\"counts\" aria-label=\"Checks by outcome\">");
    count(page, &checks);
    page.element("li", &[("class", &"of")], &format!("of {}", text::count(checks.steps, "check")));
    if reports.steps > 0 {
        let said = format!("{} more only measured", reports.steps);
        page.element("li", &[("class", &"of")], &said);
    }
    let gaps = view.watches.iter().flat_map(|watch| &watch.lapses).filter(|lapse| lapse.is_gap()).count();
    if gaps > 0 {
        page.element("li", &[("class", &"of")], &format!("{} in what was watched", text::count(gaps, "gap")));
    }
    page.raw("</ul>\n");
}

fn count(page: &mut Markup, totals: &Totals) {
    for mark in Mark::ALL {
        let count = mark.count(totals);
        if count > 0 {
            page.open("li", &[("class", &mark.class())]);
            mark.draw(page);
            page.raw(" <b>").text(&count.to_string()).raw("</b> ");
            page.text(mark.word()).raw("</li>");
        }
    }
}

/// One mark for each round of each repeat.
fn rounds(page: &mut Markup, view: &RunView) {
    let repeats = view.rows.iter().filter(|row| row.node.kind == NodeKind::Repeat);
    for repeat in repeats.take(3) {
        let rounds: Vec<&Row> = view.children(&repeat.node.id).collect();
        if rounds.is_empty() {
            continue;
        }
        let passed = rounds.iter().filter(|row| Mark::of(row) == Mark::Passed);
        let said = format!("{} of {} passed", passed.count(), text::count(rounds.len(), "round"));
        page.raw("<p class=\"rounds\"><code>").text(repeat.node.id.as_str());
        page.raw("</code> ").text(&said).raw(": ");
        let shown = rounds.iter().filter(|row| rounds.len() <= ROUNDS || Mark::of(row) != Mark::Passed);
        for round in shown.take(ROUNDS) {
            let mark = Mark::of(round);
            let name = round.node.id.as_str();
            let number = name.rfind('[').map_or(name, |at| name[at + 1..].trim_end_matches(']'));
            let said = format!("{name} {}", mark.word());
            page.open(
                "a",
                &[
                    ("class", &mark.class()),
                    ("href", &link::fragment(&round.node.id)),
                    ("title", &said),
                    ("aria-label", &said),
                ],
            );
            mark.draw(page);
            page.text(number).raw("</a> ");
        }
        page.raw("</p>\n");
    }
}

/// Which run this is, and on what.
fn facts(page: &mut Markup, view: &RunView) {
    let start = &view.start;
    page.raw("<dl class=\"facts\">\n");
    fact(page, "Plan", &start.plan);
    match &start.cluster {
        Some(cluster) if cluster.embedded => {
            fact(page, "Cluster", &format!("embedded cluster, virtual time, seed {}", start.seed));
            fact(page, "Version", &cluster.version);
        }
        Some(cluster) => {
            fact(page, "Cluster", &cluster.context);
            let nodes = cluster.nodes.map(|nodes| format!(", {}", text::count(nodes, "node")));
            let version = format!("{}{}", cluster.version, nodes.unwrap_or_default());
            fact(page, "Version", &version);
            fact(page, "Server", &cluster.server);
        }
        None => fact(page, "Cluster", "none: the plan touches none"),
    }
    page.raw("<div><dt>Started</dt><dd>");
    moment(page, view, Elapsed(0));
    page.raw("</dd></div>\n<div><dt>Took</dt><dd>");
    took(page, view.took());
    if start.cluster.as_ref().is_some_and(|cluster| cluster.embedded) {
        page.raw(" of virtual time");
    }
    page.raw("</dd></div>\n");
    fact(page, "Seed", &start.seed.to_string());
    for fault in &start.faults {
        let struck: Vec<_> = view.strikes.iter().filter(|(_, own, _)| own == fault).collect();
        let said = match struck.first() {
            None => "met nothing".to_owned(),
            Some((at, _, what)) => {
                let more = if struck.len() > 1 { format!(", and {} more", struck.len() - 1) } else { String::new() };
                format!("{what} at {}{more}", text::duration(at.duration()))
            }
        };
        fact(page, "Injected fault", &format!("{fault}: {said}"));
    }
    fact(page, "Run", start.run.as_str());
    page.raw("</dl>\n");
}

fn fact(page: &mut Markup, name: &'static str, value: &str) {
    page.raw("<div><dt>").raw(name).raw("</dt>");
    page.element("dd", &[], &clean::ellipsis(value, 90)).raw("</div>\n");
}

fn sections(page: &mut Markup, view: &RunView) {
    page.raw("<nav aria-label=\"Sections\"><ul>");
    page.raw("<li><a href=\"#failures\">Failures</a></li>");
    if !view.checks.is_empty() || !view.watches.is_empty() {
        page.raw("<li><a href=\"#checks\">Checks</a></li>");
    }
    if view.checks.iter().filter_map(|row| row.finding.as_ref()).any(|finding| !finding.lanes.is_empty()) {
        page.raw("<li><a href=\"#lanes\">Objects</a></li>");
    }
    page.raw("<li><a href=\"#graph\">Graph</a></li>");
    page.raw("<li><a href=\"#time\">Time</a></li>");
    page.raw("<li><a href=\"#steps\">Steps</a></li>");
    page.raw("<li><a href=\"#environment\">Environment</a></li>");
    page.raw("<li><a href=\"#again\">Run it again</a></li>");
    page.raw("</ul></nav>\n");
}
