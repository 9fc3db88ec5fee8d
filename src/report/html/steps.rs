use super::axis::Axis;
use super::evidence::{self, Budget};
use super::failures::to_row;
use super::mark::Mark;
use super::markup::Markup;
use super::timeline;
use super::times::{since, took};
use crate::clock::Elapsed;
use crate::event::When;
use crate::report::{clean, link, when};
use crate::text;
use crate::view::{Row, RunView};

/// The longest table. Failures come first in one that is cut.
const LONGEST: usize = 2_000;

/// Every step of the plan, those that never ran too, and clean-up apart.
pub(super) fn write(page: &mut Markup, view: &RunView) {
    page.raw("<section id=\"steps\" aria-labelledby=\"h-steps\">\n<h2 id=\"h-steps\">Every step</h2>\n");
    let retried = view.rows.iter().flat_map(|row| &row.notes);
    let retried = retried.filter(|(_, note)| matches!(note, crate::event::Note::Retried { .. }));
    let retried = retried.count();
    if retried > 0 {
        let said = format!(
            "{} refused for a passing reason and sent again; the steps that sent them say which.",
            if retried == 1 { "1 request was".to_owned() } else { format!("{retried} requests were") }
        );
        page.element("p", &[("class", &"hint")], &said).raw("\n");
    }
    let mut budget = Budget::default();
    let (cleanup, own): (Vec<&Row>, Vec<&Row>) = view.rows.iter().partition(|row| row.cleanup);
    table(page, view, "In plan order", &own, &mut budget);
    if !cleanup.is_empty() {
        page.raw("<h3>Clean-up</h3>\n<p class=\"hint\">Shown apart: how it went never changes the verdict.</p>\n");
        table(page, view, "Clean-up, in plan order", &cleanup, &mut budget);
    }
    page.raw("</section>\n");
}

fn table(page: &mut Markup, view: &RunView, caption: &'static str, rows: &[&Row], budget: &mut Budget) {
    if rows.is_empty() {
        page.raw("<p class=\"none\">The plan has no steps.</p>\n");
        return;
    }
    let mut shown = rows.to_vec();
    if shown.len() > LONGEST {
        shown.sort_by_key(|row| !row.is_failing());
        shown.truncate(LONGEST);
        let said = format!(
            "The table holds {LONGEST} of {}, what failed first; all of them are in events.jsonl and summary.json.",
            text::count(rows.len(), "row")
        );
        page.element("p", &[("class", &"hint")], &said).raw("\n");
    }
    page.raw("<div class=\"wide\"><table class=\"steps\">");
    page.element("caption", &[], caption);
    page.raw("<thead><tr><th scope=\"col\">Step</th><th scope=\"col\">State</th><th scope=\"col\">Start <small>(UTC)</small></th><th scope=\"col\">Took</th><th scope=\"col\">When it ran</th></tr></thead>\n<tbody>\n");
    for row in shown {
        write_row(page, view, row, budget);
    }
    page.raw("</tbody></table></div>\n");
}

fn write_row(page: &mut Markup, view: &RunView, row: &Row, budget: &mut Budget) {
    let mark = Mark::of(row);
    let kind = if row.is_leaf() { "leaf" } else { "group" };
    let class = format!("{} {kind}", mark.class());
    page.open("tr", &[("id", &link::anchor(&row.node.id)), ("class", &class)]);
    page.open("th", &[("scope", &"row"), ("class", &format!("d{}", row.depth.min(8)))]);
    name(page, row);
    page.raw("</th><td>");
    mark.say(page);
    tries(page, row);
    cause(page, view, row);
    page.raw("</td><td class=\"number\">");
    if let Some(started) = row.started {
        page.text(&when::clock(view, started)).raw(" <small>");
        since(page, view, started);
        page.raw("</small>");
    } else {
        page.raw("–");
    }
    page.raw("</td><td class=\"number\">");
    match row.span(view.last) {
        Some((start, end)) => took(page, end.since(start)),
        None => {
            page.raw("–");
        }
    }
    page.raw("</td><td class=\"bar\">");
    bar(page, view, row);
    page.raw("</td></tr>\n");
    let mut more = Markup::default();
    evidence::write(&mut more, view, row, budget);
    if !more.is_empty() {
        page.open("tr", &[("class", &format!("more {class}"))]);
        page.raw("<td colspan=\"5\">");
        page.part(&more);
        page.raw("</td></tr>\n");
    }
}

/// The id with what leads to it dimmed, verb, what it is about.
fn name(page: &mut Markup, row: &Row) {
    let id = clean::brief(row.node.id.as_str());
    let cut = id.rfind('/').map_or(0, |at| at + 1);
    page.open("a", &[("href", &link::fragment(&row.node.id)), ("class", &"id")]);
    if cut > 0 {
        page.element("span", &[("class", &"path")], &id[..cut]);
    }
    page.text(&id[cut..]).raw("</a> ");
    page.element("span", &[("class", &"verb")], &clean::brief(row.label()));
    if row.node.until.is_some() {
        page.raw(" <span class=\"verb\">background</span>");
    }
    match row.node.when {
        When::Passed => {}
        When::Always => {
            page.raw(" <span class=\"verb\">always</span>");
        }
        When::Failed => {
            page.raw(" <span class=\"verb\">on failure</span>");
        }
    }
    if !row.node.about.is_empty() {
        page.raw("<p class=\"about\">").prose(&clean::brief(&row.node.about)).raw("</p>");
    }
}

/// One shape for each attempt, and the same in words.
fn tries(page: &mut Markup, row: &Row) {
    if row.attempts.len() < 2 {
        return;
    }
    page.raw("\n<p class=\"tries\">");
    for (n, attempt) in row.attempts.iter().enumerate().take(20) {
        match &attempt.failure {
            Some(failure) => Mark::from(failure.class.outcome()).draw(page),
            None if n + 1 == row.attempts.len() => Mark::of(row).draw(page),
            None => Mark::Unfinished.draw(page),
        }
    }
    let failed = row.attempts.iter().filter(|attempt| attempt.failure.is_some()).count();
    page.text(&format!(" {failed} of {} attempts failed", row.attempts.len()));
    page.raw("</p>");
}

/// Why it did not run or did not pass, in a sentence.
fn cause(page: &mut Markup, view: &RunView, row: &Row) {
    let said = match (&row.skip, &row.failure, row.started) {
        (Some(reason), _, _) => clean::brief(&reason.to_string()),
        (None, Some(_), _) if is_of_a_step_inside(view, row) => return,
        (None, Some(failure), _) => clean::brief(&failure.message),
        (None, None, None) if view.is_complete() => "the run was left before it".to_owned(),
        (None, None, None) => "the record ends before it".to_owned(),
        (None, None, Some(_)) => return,
    };
    page.raw("\n<p class=\"cause\">").prose(&said);
    if let Some(root) = view.because(&row.node.id).last()
        && !said.contains(&format!("`{}`", root.node.id))
    {
        page.raw("; the cause is ");
        to_row(page, root);
    }
    page.raw("</p>");
}

/// Whether a group is only as bad as a step inside it, whose row says why.
fn is_of_a_step_inside(view: &RunView, row: &Row) -> bool {
    let inside = view.inside(&row.node.id);
    inside.iter().any(|inner| inner.outcome() == row.outcome())
}

/// Where in the run's time it ran.
fn bar(page: &mut Markup, view: &RunView, row: &Row) {
    let axis = Axis { left: 0.0, width: 180.0, from: Elapsed(0), span: view.took() };
    let Some(spell) = timeline::Spell::of(view, row) else {
        return;
    };
    page.raw("<svg class=\"spell\" width=\"180\" height=\"12\" viewBox=\"0 0 180 12\" aria-hidden=\"true\"><path class=\"rail\" d=\"M0 6h180\" stroke=\"#888\" stroke-opacity=\".3\"/>");
    spell.draw(page, axis, 2.0, 8.0);
    page.raw("</svg>");
}
