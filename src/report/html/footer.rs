use super::markup::Markup;
use crate::report::clean;
use crate::view::RunView;

/// How to get this page, and this run, again.
pub(super) fn write(page: &mut Markup, view: &RunView) {
    page.raw("<footer id=\"again\" aria-labelledby=\"h-again\">\n<h2 id=\"h-again\">Run it again</h2>\n");
    page.raw("<p>Run the same again: ").element("code", &[("class", &"command")], &view.start.repro);
    page.raw("</p>\n<p>This page is made of <code>events.jsonl</code> in the folder of the run, and of nothing else. <code>lariat report RUN</code>, with that folder in place of <code>RUN</code>, writes it again, byte for byte.</p>\n<p class=\"hint\">");
    page.text(&format!(
        "Lariat {}, run {}, {} events. All times are UTC.",
        clean::brief(&view.start.lariat),
        view.start.run,
        view.events
    ));
    page.raw("</p>\n</footer>\n");
}
