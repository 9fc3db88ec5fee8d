use std::fmt;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::line::Line;

/// Live rows at the bottom of a terminal.
///
/// It only keeps as many one-line bars as there are rows and gives each its text:
/// what stands in them is decided elsewhere, from events.
pub(super) struct Bars {
    area: MultiProgress,
    rows: Vec<ProgressBar>,
    height: Box<dyn Fn() -> usize + Send>,
}

/// How often a second the screen is drawn at most.
const DRAWS: u8 = 10;

impl Bars {
    /// Rows on standard error.
    pub(super) fn on_stderr() -> Self {
        let term = Term::stderr();
        let height = {
            let term = term.clone();
            move || usize::from(term.size().0)
        };
        Self::over(ProgressDrawTarget::term(term, DRAWS), Box::new(height))
    }

    /// Rows on a terminal that a test can look at.
    #[cfg(test)]
    pub(super) fn on(screen: impl indicatif::TermLike + Clone + 'static) -> Self {
        let measured = screen.clone();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(screen), u8::MAX);
        Self::over(target, Box::new(move || usize::from(measured.height())))
    }

    fn over(target: ProgressDrawTarget, height: Box<dyn Fn() -> usize + Send>) -> Self {
        Self { area: MultiProgress::with_draw_target(target), rows: Vec::new(), height }
    }

    /// Whether nothing would be seen: then the caller must say all in lines.
    pub(super) fn is_hidden(&self) -> bool {
        self.area.is_hidden()
    }

    /// How many lines the terminal has now.
    pub(super) fn height(&self) -> usize {
        (self.height)()
    }

    /// Shows these rows in place of those before.
    pub(super) fn show(&mut self, lines: &[Line], color: bool) {
        while self.rows.len() > lines.len() {
            if let Some(bar) = self.rows.pop() {
                self.area.remove(&bar);
            }
        }
        while self.rows.len() < lines.len() {
            let bar = ProgressBar::no_length().with_style(style());
            self.rows.push(self.area.add(bar));
        }
        for (bar, line) in self.rows.iter().zip(lines) {
            bar.set_message(line.render(color));
        }
    }

    /// Takes the rows away while something is printed above them.
    pub(super) fn above<T>(&self, print: impl FnOnce() -> T) -> T {
        self.area.suspend(print)
    }

    /// Takes the rows away for good.
    pub(super) fn clear(&mut self) {
        for bar in self.rows.drain(..) {
            self.area.remove(&bar);
        }
        // A terminal that can't be cleared is gone, and with it the rows.
        let _ = self.area.clear();
    }
}

impl fmt::Debug for Bars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bars").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

/// One text, cut at the terminal's edge.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_msg}").expect("the template has one known key")
}
