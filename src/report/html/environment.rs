use super::evidence::write_value;
use super::failures::to_row;
use super::mark::Mark;
use super::markup::Markup;
use super::proof::to_check;
use crate::event::Verdict;
use crate::report::clean;
use crate::text;
use crate::view::{Requirement, RunView};

/// The longest file that is shown.
const LONGEST: usize = 256 * 1024;

/// What the run was given: requirements, settings, files.
pub(super) fn write(page: &mut Markup, view: &RunView) {
    page.raw(
        "<section id=\"environment\" aria-labelledby=\"h-environment\">\n<h2 id=\"h-environment\">Environment</h2>\n",
    );
    if !view.start.about.is_empty() {
        page.raw("<p>").prose(&clean::cut(&view.start.about, 4_000)).raw("</p>\n");
    }
    requirements(page, view);
    given(page, view);
    files(page, view);
    page.raw("</section>\n");
}

fn requirements(page: &mut Markup, view: &RunView) {
    let requirements = view.requirements();
    if requirements.is_empty() {
        return;
    }
    page.raw("<table><caption>Requirements</caption><thead><tr><th scope=\"col\">Id</th><th scope=\"col\">In this run</th><th scope=\"col\">Steps and checks that cover it</th></tr></thead><tbody>\n");
    for requirement in &requirements {
        page.raw("<tr>").element("th", &[("scope", &"row")], &clean::brief(requirement.id));
        page.raw("<td>");
        said(page, requirement);
        page.raw("</td><td>");
        for (n, row) in requirement.rows.iter().enumerate().take(40) {
            if n > 0 {
                page.raw(", ");
            }
            Mark::of(row).draw(page);
            page.raw(" ");
            to_row(page, row);
        }
        if requirement.rows.len() > 40 {
            page.text(&format!(" and {} more", requirement.rows.len() - 40));
        }
        for (n, row) in requirement.checks.iter().enumerate().take(40) {
            if n + requirement.rows.len() > 0 {
                page.raw(", ");
            }
            Mark::of_check(row).draw(page);
            page.raw(" ");
            to_check(page, row);
        }
        if requirement.checks.len() > 40 {
            page.text(&format!(" and {} more checks", requirement.checks.len() - 40));
        }
        page.raw("</td></tr>\n");
    }
    page.raw("</tbody></table>\n");
}

fn said(page: &mut Markup, requirement: &Requirement<'_>) {
    let worst = requirement.worst().filter(|verdict| *verdict > Verdict::Cancelled);
    let is_covered = !requirement.rows.is_empty() || !requirement.checks.is_empty();
    match (requirement.held(), worst) {
        (true, _) => Mark::Passed.say(page),
        (false, Some(verdict)) => Mark::from(verdict).say(page),
        (false, None) if !is_covered => {
            page.raw("covered by no step and no check");
        }
        (false, None) => {
            page.raw("not shown: not everything that covers it ran");
        }
    }
    if !requirement.listed {
        page.raw(" <small>(not listed by the plan)</small>");
    }
}

fn given(page: &mut Markup, view: &RunView) {
    let start = &view.start;
    page.raw("<table><caption>Given</caption><tbody>\n");
    let mut line = |name: &'static str, value: &str| {
        page.raw("<tr><th scope=\"row\">").raw(name).raw("</th><td>");
        page.element("code", &[], &clean::brief(value)).raw("</td></tr>\n");
    };
    line("lariat", &start.lariat);
    line("event format", &start.format.to_string());
    line("seed", &start.seed.to_string());
    line("steps at once", &start.jobs.to_string());
    for flag in &start.flags {
        line("flag", flag);
    }
    for set in &start.set {
        line("set", set);
    }
    page.raw("</tbody></table>\n");
    if start.vars.is_empty() && start.secrets.is_empty() {
        return;
    }
    page.raw("<table><caption>Vars</caption><thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Value</th></tr></thead><tbody>\n");
    for (name, value) in &start.vars {
        page.raw("<tr>").element("th", &[("scope", &"row")], &clean::brief(name)).raw("<td>");
        write_value(page, value);
        page.raw("</td></tr>\n");
    }
    for name in &start.secrets {
        page.raw("<tr>").element("th", &[("scope", &"row")], &clean::brief(name));
        page.raw("<td>secret: its value is in no report and in no journal</td></tr>\n");
    }
    page.raw("</tbody></table>\n");
}

fn files(page: &mut Markup, view: &RunView) {
    if view.start.files.is_empty() {
        return;
    }
    page.raw("<h3>Files that were read</h3>\n");
    for file in &view.start.files {
        let lines = text::count(file.text.lines().count(), "line");
        page.raw("<details class=\"file\"><summary>").element("code", &[], &clean::brief(&file.path));
        page.text(&format!(" {lines}")).raw("</summary>");
        let path = clean::brief(&file.path);
        page.open("pre", &[("tabindex", &0), ("role", &"group"), ("aria-label", &path)]);
        for (n, line) in clean::cut(&file.text, LONGEST).lines().enumerate() {
            page.element("span", &[("class", &"line-number")], &format!("{:>4} ", n + 1));
            page.text(line).raw("\n");
        }
        page.raw("</pre></details>\n");
    }
}
