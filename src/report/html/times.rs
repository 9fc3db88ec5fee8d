use super::markup::Markup;
use crate::clock::Elapsed;
use crate::report::when;
use crate::view::RunView;

/// A moment by the wall clock, with its time since the start beside it on hover.
pub(super) fn moment(page: &mut Markup, view: &RunView, at: Elapsed) {
    let title = format!("{} s after the start", seconds(at));
    page.element("time", &[("datetime", &when::exact(view, at)), ("title", &title)], &when::utc(view, at));
}

/// A moment as time since the start, with the wall clock's on hover.
pub(super) fn since(page: &mut Markup, view: &RunView, at: Elapsed) {
    let exact = when::exact(view, at);
    page.element("time", &[("datetime", &exact), ("title", &exact)], &format!("+{}", when::span(at)));
}

/// A span for people, exact on hover.
pub(super) fn took(page: &mut Markup, span: Elapsed) {
    let exact = seconds(span);
    page.element("time", &[("datetime", &format!("PT{exact}S")), ("title", &format!("{exact} s"))], &when::span(span));
}

fn seconds(span: Elapsed) -> String {
    format!("{}.{:06}", span.0 / 1_000_000, span.0 % 1_000_000)
}
