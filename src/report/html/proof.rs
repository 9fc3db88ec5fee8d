//! The evidence of one check: what decided it, what was not seen, what would have decided it.

use super::evidence::diff_lines;
use super::failures::{list, place};
use super::lanes;
use super::mark::Mark;
use super::markup::Markup;
use super::times::moment;
use crate::event::Moment;
use crate::report::{clean, link, proof, when};
use crate::view::{CheckRow, CheckState, RunView};

/// How many deciding events of one check are shown.
const MOMENTS: usize = 20;

/// How many lines of one diff.
const DIFF: usize = 200;

/// A check that did not hold or could not be decided, among the failures.
pub(super) fn tell(page: &mut Markup, view: &RunView, row: &CheckRow, is_first: bool) {
    let mark = Mark::of_check(row);
    let first = if is_first { " first" } else { "" };
    page.open("article", &[("class", &format!("failure {}{first}", mark.class()))]);
    page.raw("<h3>");
    mark.draw(page);
    page.raw(" ");
    to_check(page, row);
    page.raw(" ").element("span", &[("class", &"verb")], &clean::brief(&row.node.operator));
    page.raw(" ").element("span", &[("class", &"kind")], kind(row));
    page.raw("</h3>\n");
    if !row.node.about.is_empty() {
        page.raw("<p class=\"about\">").prose(&clean::brief(&row.node.about)).raw("</p>\n");
    }
    page.raw("<p class=\"message\">").prose(&clean::cut(&row.message(), 4_000)).raw("</p>\n");
    write(page, view, row);
    lanes::around(page, view, row);
    page.raw("</article>\n");
}

/// What its outcome means for a claim.
fn kind(row: &CheckRow) -> &'static str {
    match row.state {
        CheckState::Violated => "violated; the record ends before it was judged",
        CheckState::Settled(crate::event::Outcome::Failed) => "violated",
        state => state.word(),
    }
}

/// All that explains it, as a list of named facts.
pub(super) fn write(page: &mut Markup, view: &RunView, row: &CheckRow) {
    page.raw("<dl class=\"why\">\n");
    moments(page, view, row);
    page.raw("<div><dt>Claim</dt><dd>").element("code", &[], &clean::cut(&row.node.claim, 2_000));
    page.raw("</dd></div>\n");
    if let Some(window) = proof::window(view, row) {
        page.raw("<div><dt>Window</dt><dd>").prose(&window);
        if let Some(finding) = &row.finding {
            page.text(&format!("; {}", proof::examined(finding)));
        }
        page.raw("</dd></div>\n");
    }
    if let Some(finding) = &row.finding {
        let blind: Vec<String> = finding.blind.iter().map(proof::blind).collect();
        list(page, "Not seen", &blind);
        if !finding.wanted.is_empty() {
            page.raw("<div><dt>Would decide it</dt><dd>").prose(&clean::cut(&finding.wanted, 2_000));
            page.raw("</dd></div>\n");
        }
        if let Some(ignored) = proof::ignored(finding) {
            page.raw("<div><dt>Ignored</dt><dd>").prose(&clean::cut(&ignored, 2_000)).raw("</dd></div>\n");
        }
    }
    place(page, view, &row.node.file, row.node.line);
    page.raw("</dl>\n");
}

fn moments(page: &mut Markup, view: &RunView, row: &CheckRow) {
    let moments = row.moments();
    if moments.is_empty() {
        return;
    }
    page.raw("<div><dt>Decided by</dt><dd><ol class=\"moments\">");
    for (n, found) in moments.iter().enumerate().take(MOMENTS) {
        page.open("li", &[("id", &link::moment_anchor(&row.node.id, n))]);
        write_moment(page, view, row, found);
        page.raw("</li>");
    }
    let kept = row.finding.as_ref().map_or(0, |finding| usize::try_from(finding.more).unwrap_or(usize::MAX));
    let more = moments.len().saturating_sub(MOMENTS).saturating_add(kept);
    if more > 0 {
        page.element("li", &[("class", &"hint")], &format!("and {more} more, all of them in events.jsonl"));
    }
    page.raw("</ol></dd></div>\n");
}

fn write_moment(page: &mut Markup, view: &RunView, row: &CheckRow, found: &Moment) {
    page.raw("<p><b>").prose(&clean::cut(&proof::what(found), 2_000)).raw("</b></p><p class=\"hint\">");
    moment(page, view, found.at);
    page.raw(", ").prose(&clean::brief(&proof::at(view, row, found.at)));
    page.text(&format!("; {}", clean::brief(&proof::source(found)))).raw("</p>");
    if found.diff.is_empty() {
        return;
    }
    let label = format!("{} before and after, at {}", clean::brief(&found.track), when::exact_span(found.at));
    let cut: Vec<String> = found.diff.iter().take(DIFF).map(|line| clean::cut(line, 2_000)).collect();
    diff_lines(page, &label, cut.iter().map(String::as_str));
    if found.diff.len() > DIFF {
        let more = format!("{} more lines are in events.jsonl.", found.diff.len() - DIFF);
        page.element("p", &[("class", &"hint")], &more);
    }
}

/// How many moments of a check can be linked to.
pub(super) fn shown_moments(row: &CheckRow) -> usize {
    row.moments().len().min(MOMENTS)
}

/// A link to a check's row.
pub(super) fn to_check(page: &mut Markup, row: &CheckRow) {
    let name = clean::brief(&proof::name(row));
    page.element("a", &[("href", &link::to_check(&row.node.id)), ("class", &"id")], &name);
}
