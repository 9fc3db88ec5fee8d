use super::mark::Mark;
use super::markup::Markup;
use super::times::{moment, took};
use super::{proof, timeline};
use crate::event::{Class, Failure, Outcome, Verdict};
use crate::report::{clean, link};
use crate::text;
use crate::view::{CheckRow, Culprit, Row, RunView};

/// More failures than this are named and not told.
const TOLD: usize = 40;

/// More lines than this of one kind are counted.
const LINES: usize = 20;

/// What went wrong, worst and earliest first, each with all that explains it.
pub(super) fn write(page: &mut Markup, view: &RunView) {
    page.raw("<section id=\"failures\" aria-labelledby=\"h-failures\">\n");
    page.raw("<h2 id=\"h-failures\">What went wrong</h2>\n");
    let wrongs = wrongs(view);
    let unfinished: Vec<&Row> = view.running();
    if wrongs.is_empty() && unfinished.is_empty() && view.cancelled.is_none() {
        page.raw("<p class=\"none\">Nothing.</p>\n");
    }
    for (n, wrong) in wrongs.iter().take(TOLD).enumerate() {
        match wrong {
            Wrong::Step(culprit) => tell(page, view, culprit, n),
            Wrong::Check(row) => proof::tell(page, view, row, n == 0),
        }
    }
    also(page, wrongs.get(TOLD..).unwrap_or_default());
    for row in unfinished.iter().take(TOLD) {
        tell_unfinished(page, view, row);
    }
    cancelled(page, view);
    apart(page, view);
    warnings(page, view);
    page.raw("</section>\n");
}

/// What spoiled a run.
enum Wrong<'a> {
    Step(Culprit<'a>),
    Check(&'a CheckRow),
}

/// The worst first, and among equals the earliest.
fn wrongs(view: &RunView) -> Vec<Wrong<'_>> {
    let steps = view.culprits().into_iter().map(|culprit| {
        let verdict = culprit.row.outcome().map(Outcome::verdict);
        (verdict, culprit.row.ended, Wrong::Step(culprit))
    });
    let checks = view.check_failures().into_iter().map(|row| {
        let verdict = row.outcome().map_or(Verdict::Fail, Outcome::verdict);
        (Some(verdict), row.violated.as_ref().map(|(at, _)| *at).or(row.ended), Wrong::Check(row))
    });
    let mut all: Vec<_> = steps.chain(checks).collect();
    all.sort_by_key(|(verdict, at, _)| (std::cmp::Reverse(*verdict), *at));
    all.into_iter().map(|(_, _, wrong)| wrong).collect()
}

/// Whether a check's evidence stands among the failures; else its row in the table has it.
pub(super) fn is_told(view: &RunView, row: &CheckRow) -> bool {
    let is = |wrong: &Wrong<'_>| matches!(wrong, Wrong::Check(told) if told.node.id == row.node.id);
    row.is_failing() && wrongs(view).iter().take(TOLD).any(is)
}

fn also(page: &mut Markup, rest: &[Wrong<'_>]) {
    if rest.is_empty() {
        return;
    }
    page.raw("<p>Failed too: ");
    for (n, wrong) in rest.iter().take(LINES).enumerate() {
        if n > 0 {
            page.raw(", ");
        }
        match wrong {
            Wrong::Step(culprit) => to_row(page, culprit.row),
            Wrong::Check(row) => proof::to_check(page, row),
        }
    }
    if rest.len() > LINES {
        page.text(&format!(" and {} more", rest.len() - LINES));
    }
    page.raw(".</p>\n");
}

fn tell(page: &mut Markup, view: &RunView, culprit: &Culprit<'_>, n: usize) {
    let row = culprit.row;
    let unknown = Failure::new(Class::Broken, "no reason was recorded");
    let failure = row.failure.as_ref().unwrap_or(&unknown);
    open(page, row, &format!("{}: {}", row.state, failure.class), n == 0);
    page.raw("<p class=\"message\">").prose(&clean::cut(&failure.message, 4_000));
    page.raw("</p>\n<dl class=\"why\">\n");
    if let Some(expected) = &failure.expected {
        page.raw("<div><dt>Expected</dt><dd>").element("code", &[], expected);
        page.raw("</dd></div>\n");
    }
    list(page, "Observed", &failure.observed);
    list(page, "Caused by", &failure.causes);
    if failure.observed.is_empty() {
        last_seen(page, row);
    }
    when(page, view, row);
    place(page, view, &row.node.file, row.node.line);
    if !culprit.blocked.is_empty() {
        page.raw("<div><dt>Blocked by it</dt><dd>");
        names(page, culprit.blocked.iter().copied());
        page.raw("</dd></div>\n");
    }
    page.raw("<div><dt>Run it again</dt><dd>").element("code", &[("class", &"command")], &view.start.repro);
    page.raw("</dd></div>\n</dl>\n</article>\n");
}

fn tell_unfinished(page: &mut Markup, view: &RunView, row: &Row) {
    open(page, row, "unfinished when the record ends", false);
    page.raw("<dl class=\"why\">\n");
    last_seen(page, row);
    when(page, view, row);
    place(page, view, &row.node.file, row.node.line);
    page.raw("</dl>\n</article>\n");
}

fn open(page: &mut Markup, row: &Row, kind: &str, is_first: bool) {
    let mark = Mark::of(row);
    let first = if is_first { " first" } else { "" };
    page.open("article", &[("class", &format!("failure {}{first}", mark.class()))]);
    page.raw("<h3>");
    mark.draw(page);
    page.raw(" ");
    to_row(page, row);
    page.raw(" ").element("span", &[("class", &"verb")], row.label());
    page.raw(" ").element("span", &[("class", &"kind")], kind);
    page.raw("</h3>\n");
    if !row.node.about.is_empty() {
        page.raw("<p class=\"about\">").prose(&row.node.about).raw("</p>\n");
    }
}

pub(super) fn list(page: &mut Markup, name: &'static str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    page.raw("<div><dt>").raw(name).raw("</dt><dd><ul>");
    for line in lines.iter().take(LINES) {
        page.raw("<li>").prose(&clean::cut(line, 2_000)).raw("</li>");
    }
    if lines.len() > LINES {
        page.element("li", &[], &format!("and {} more", lines.len() - LINES));
    }
    page.raw("</ul></dd></div>\n");
}

fn last_seen(page: &mut Markup, row: &Row) {
    let Some((_, progress)) = &row.progress else {
        return;
    };
    let mut lines = vec![progress.say.clone()];
    lines.extend(progress.unmet.iter().cloned());
    lines.retain(|line| !line.is_empty());
    list(page, "Last seen", &lines);
}

/// By the wall clock, by the run's, and after which disturbance.
fn when(page: &mut Markup, view: &RunView, row: &Row) {
    let (Some(started), ended) = (row.started, row.ended) else {
        return;
    };
    page.raw("<div><dt>When</dt><dd>");
    if let Some(ended) = ended {
        moment(page, view, ended);
        page.raw(", ");
        took(page, ended);
        page.raw(" after the start and ");
        took(page, ended.since(started));
        page.raw(" after the step began");
    } else {
        page.raw("began ");
        moment(page, view, started);
        page.raw(", ");
        took(page, started);
        page.raw(" after the start");
    }
    if row.attempts.len() > 1 {
        page.text(&format!(", in attempt {}", row.attempts.len()));
    }
    if let Some((fault, at)) = timeline::last_fault(view, row) {
        page.raw("; ");
        took(page, ended.unwrap_or(view.last).since(at));
        page.raw(" after ");
        to_row(page, fault);
        page.text(&format!(" ({})", fault.label()));
    }
    page.raw("</dd></div>\n");
}

/// File and line, with what is written there.
pub(super) fn place(page: &mut Markup, view: &RunView, file: &str, line: usize) {
    page.raw("<div><dt>Where</dt><dd>");
    let (lines, place) = (written(view, file, line), format!("{file}:{line}"));
    if lines.is_empty() {
        page.element("code", &[], &place);
    } else {
        page.raw("<details><summary>").element("code", &[], &place);
        page.raw("</summary>").element("pre", &[], &lines.join("\n"));
        page.raw("</details>");
    }
    page.raw("</dd></div>\n");
}

/// The table in the plan, up to the next header.
fn written<'a>(view: &'a RunView, path: &str, line: usize) -> Vec<&'a str> {
    let files = &view.start.files;
    let Some(file) = files.iter().find(|file| file.path == path) else {
        return Vec::new();
    };
    let mut lines: Vec<&str> = Vec::new();
    for line in file.text.lines().skip(line.saturating_sub(1)) {
        if lines.len() == LINES || (!lines.is_empty() && line.starts_with('[')) {
            break;
        }
        lines.push(line);
    }
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    lines
}

fn cancelled(page: &mut Markup, view: &RunView) {
    if let Some((at, by)) = view.cancelled {
        page.raw("<p class=\"cancel\">The run began to end early at ");
        moment(page, view, at);
        page.raw(", ");
        took(page, at);
        page.text(&format!(" after the start: {by}."));
        page.raw("</p>\n");
        let cut = view.rows.iter().filter(|row| row.is_leaf() && row.outcome() == Some(Outcome::Cancelled));
        let cut: Vec<&Row> = cut.collect();
        if !cut.is_empty() {
            page.raw("<p class=\"cancel\">Cut short: ");
            names(page, cut.into_iter());
            page.raw(".</p>\n");
        }
    }
}

/// Clean-up that did not pass: shown, and never in the verdict.
fn apart(page: &mut Markup, view: &RunView) {
    let failures = view.cleanup_failures();
    if failures.is_empty() {
        return;
    }
    page.raw("<h3>Clean-up that did not pass</h3>\n");
    page.raw("<p class=\"hint\">It is shown apart and does not change the verdict.</p>\n<ul class=\"plain\">\n");
    for row in failures.iter().take(TOLD) {
        page.raw("<li>");
        Mark::of(row).say(page);
        page.raw(" ");
        to_row(page, row);
        if let Some(failure) = &row.failure {
            page.raw(": ").prose(&clean::brief(&failure.to_string()));
        }
        page.raw("</li>\n");
    }
    page.raw("</ul>\n");
}

fn warnings(page: &mut Markup, view: &RunView) {
    if view.warnings.is_empty() {
        return;
    }
    let title = text::count(view.warnings.len(), "warning");
    page.element("h3", &[], &title).raw("\n<ul class=\"plain\">\n");
    for (at, warning) in view.warnings.iter().take(TOLD) {
        page.raw("<li>");
        super::times::since(page, view, *at);
        page.raw(" ").prose(&clean::cut(warning, 4_000)).raw("</li>\n");
    }
    page.raw("</ul>\n");
}

/// Links to rows, as many as a reader takes in.
fn names<'a>(page: &mut Markup, rows: impl ExactSizeIterator<Item = &'a Row>) {
    let more = rows.len().saturating_sub(LINES);
    for (n, row) in rows.take(LINES).enumerate() {
        if n > 0 {
            page.raw(", ");
        }
        to_row(page, row);
    }
    if more > 0 {
        page.text(&format!(" and {more} more"));
    }
}

/// A link to a step's row.
pub(super) fn to_row(page: &mut Markup, row: &Row) {
    let id = clean::brief(row.node.id.as_str());
    page.element("a", &[("href", &link::fragment(&row.node.id)), ("class", &"id")], &id);
}
