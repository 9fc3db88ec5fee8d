use serde_json::Value;

use super::mark::Mark;
use super::markup::Markup;
use super::times::{since, took};
use crate::event::Note;
use crate::report::{clean, link};
use crate::text;
use crate::view::{Row, RunView};

/// The longest text that one note or output shows.
const LONGEST: usize = 64 * 1024;

/// How many rows of a table and how many notes of one step are shown.
const MOST: usize = 200;

/// How much evidence of steps that did not fail the whole page shows. That of
/// failures is always there.
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(4_000_000)
    }
}

/// What a step left: attempts, evidence, outputs, folded unless it failed.
pub(super) fn write(page: &mut Markup, view: &RunView, row: &Row, budget: &mut Budget) {
    let summary = summary(row);
    if summary.is_empty() {
        return;
    }
    let must = row.is_failing() || row.attempts.len() > 1;
    let weight = weight(row);
    if !must && weight > budget.0 {
        page.raw("<p class=\"hint\">").text(&summary);
        page.raw(": left out to keep this page small; they are in <code>events.jsonl</code>.</p>");
        return;
    }
    budget.0 = budget.0.saturating_sub(weight);
    page.raw(if row.is_failing() { "<details open=\"open\">" } else { "<details>" });
    page.element("summary", &[], &summary);
    page.raw("<div class=\"evidence\">");
    attempts(page, view, row);
    notes(page, view, row);
    outputs(page, row);
    page.raw("</div></details>");
}

fn summary(row: &Row) -> String {
    let mut parts = Vec::new();
    if row.attempts.len() > 1 {
        parts.push(text::count(row.attempts.len(), "attempt"));
    }
    if !row.notes.is_empty() {
        parts.push(text::count(row.notes.len(), "note"));
    }
    if !row.outputs.is_empty() {
        parts.push(text::count(row.outputs.len(), "output"));
    }
    text::and(&parts)
}

/// About how many bytes it will take.
fn weight(row: &Row) -> usize {
    let note = |note: &Note| match note {
        Note::Text { text } => text.len(),
        Note::Pair { key, value } => key.len() + value.len(),
        Note::Table { rows, .. } => rows.iter().flatten().map(|cell| cell.len() + 10).sum(),
        Note::Block { text, .. } | Note::Diff { text, .. } => text.len().min(LONGEST),
        Note::File { path, about } => path.len() + about.len(),
        Note::Retried { request, reason } => request.len() + reason.len(),
    };
    let notes: usize = row.notes.iter().map(|(_, it)| note(it) + 60).sum();
    let outputs = row.outputs.values().map(|value| match value {
        Value::String(text) => text.len().min(LONGEST),
        _ => 60,
    });
    notes + outputs.sum::<usize>()
}

fn attempts(page: &mut Markup, view: &RunView, row: &Row) {
    if row.attempts.len() < 2 {
        return;
    }
    page.raw("<table><caption>Attempts</caption><thead><tr><th scope=\"col\">No.</th><th scope=\"col\">Began</th><th scope=\"col\">Took</th><th scope=\"col\">Result</th></tr></thead><tbody>");
    let last = row.attempts.len() - 1;
    for (n, attempt) in row.attempts.iter().enumerate().take(MOST) {
        page.raw("<tr>").element("th", &[("scope", &"row")], &attempt.number.to_string());
        page.raw("<td>");
        since(page, view, attempt.started);
        page.raw("</td><td>");
        match attempt.ended {
            Some(ended) => took(page, ended.since(attempt.started)),
            None => {
                page.raw("–");
            }
        }
        page.raw("</td><td>");
        match (&attempt.failure, n == last) {
            (Some(failure), _) => {
                Mark::from(failure.class.outcome()).say(page);
                page.raw(" ").prose(&clean::cut(&failure.to_string(), 4_000));
            }
            (None, true) => Mark::of(row).say(page),
            (None, false) => Mark::Unfinished.say(page),
        }
        page.raw("</td></tr>");
    }
    page.raw("</tbody></table>");
}

fn notes(page: &mut Markup, view: &RunView, row: &Row) {
    if row.notes.is_empty() {
        return;
    }
    page.raw("<ol class=\"notes\">");
    for (at, note) in row.notes.iter().take(MOST) {
        page.raw("<li>");
        since(page, view, *at);
        page.raw("<div>");
        tell(page, note);
        page.raw("</div></li>");
    }
    if row.notes.len() > MOST {
        let more = format!("and {} more in events.jsonl", row.notes.len() - MOST);
        page.element("li", &[], &more);
    }
    page.raw("</ol>");
}

fn tell(page: &mut Markup, note: &Note) {
    match note {
        Note::Text { text } => {
            page.raw("<p>").prose(&clean::cut(text, LONGEST)).raw("</p>");
        }
        Note::Pair { key, value } => {
            page.raw("<p>").element("b", &[], &clean::brief(key)).raw(" ");
            page.element("code", &[], &clean::cut(value, LONGEST)).raw("</p>");
        }
        Note::Table { title, head, rows } => table(page, title, head, rows),
        Note::Block { title, text } => block(page, title, text),
        Note::Diff { title, text } => diff(page, title, text),
        Note::File { path, about } => {
            let path = clean::line(path);
            page.raw("<p>").element("a", &[("href", &link::path(&path))], &path);
            page.raw(" ").text(&clean::brief(about)).raw("</p>");
        }
        Note::Retried { request, reason } => {
            page.raw("<p>sent again: ").element("code", &[], &clean::brief(request));
            page.raw(", because ").text(&clean::brief(reason)).raw("</p>");
        }
    }
}

fn table(page: &mut Markup, title: &str, head: &[String], rows: &[Vec<String>]) {
    page.raw("<table>").element("caption", &[], &clean::brief(title));
    page.raw("<thead><tr>");
    for name in head {
        page.element("th", &[("scope", &"col")], &clean::brief(name));
    }
    page.raw("</tr></thead><tbody>");
    for row in rows.iter().take(MOST) {
        page.raw("<tr>");
        for cell in row {
            page.element("td", &[], &clean::cut(cell, 2_000));
        }
        page.raw("</tr>");
    }
    page.raw("</tbody></table>");
    if rows.len() > MOST {
        let more = format!("{} more rows are in events.jsonl.", rows.len() - MOST);
        page.element("p", &[("class", &"hint")], &more);
    }
}

/// Longer text with its title; a reader scrolls in it by keyboard too.
fn block(page: &mut Markup, title: &str, text: &str) {
    let title = clean::brief(title);
    page.element("p", &[("class", &"block-title")], &title);
    page.element("pre", &[("tabindex", &0), ("role", &"group"), ("aria-label", &title)], &clean::cut(text, LONGEST));
}

fn diff(page: &mut Markup, title: &str, text: &str) {
    let title = clean::brief(title);
    page.element("p", &[("class", &"block-title")], &title);
    diff_lines(page, &title, clean::cut(text, LONGEST).lines());
}

/// Lines that begin with a blank, `+` or `-`, one below the other.
pub(super) fn diff_lines<'t>(page: &mut Markup, label: &str, lines: impl Iterator<Item = &'t str>) {
    page.open("pre", &[("class", &"diff"), ("tabindex", &0), ("role", &"group"), ("aria-label", &label)]);
    for line in lines {
        match line.chars().next() {
            Some('+') => page.element("ins", &[], line),
            Some('-') => page.element("del", &[], line),
            _ => page.text(line),
        };
        page.raw("\n");
    }
    page.raw("</pre>");
}

fn outputs(page: &mut Markup, row: &Row) {
    if row.outputs.is_empty() {
        return;
    }
    page.raw("<table><caption>Outputs</caption><thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Value</th></tr></thead><tbody>");
    for (name, value) in row.outputs.iter().take(MOST) {
        page.raw("<tr>").element("th", &[("scope", &"row")], &clean::brief(name));
        page.raw("<td>");
        write_value(page, value);
        page.raw("</td></tr>");
    }
    page.raw("</tbody></table>");
}

/// A value as it was: text as text, the rest as JSON.
pub(super) fn write_value(page: &mut Markup, value: &Value) {
    let text = match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    let text = clean::cut(&text, LONGEST);
    if text.trim_end().contains('\n') {
        page.element("pre", &[], &text);
    } else {
        page.element("code", &[], &text);
    }
}
