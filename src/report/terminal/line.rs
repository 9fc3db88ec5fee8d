use std::fmt::Write as _;

use super::clean;
use crate::clock::Elapsed;

/// One line for people: pieces of text, each with its ink.
///
/// Text can only get in through `clean`, and can only get out after a mark of ours:
/// no line can be taken for a command, whoever wrote the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pieces: Vec<(Ink, String)>,
}

/// What a piece of text stands for. Colour is chosen from it and adds nothing to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// As it is.
    Plain,
    /// Less important.
    Dim,
    /// More important.
    Bold,
    /// Went well.
    Good,
    /// Went badly.
    Bad,
    /// Needs a look.
    Caution,
}

/// The longest piece: about ten lines of a terminal.
const LONGEST: usize = 800;

/// How lines begin that GitHub (`::`) and Buildkite (sections of a log) obey.
const OBEYED: [&str; 5] = ["::", "---", "+++", "~~~", "^^^"];

/// What stands before such a line.
const MARK: &str = "│ ";

impl Line {
    /// An empty line.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A line of one plain piece.
    pub(super) fn of(text: &str) -> Self {
        Self::new().add(Ink::Plain, text)
    }

    /// A line of the story: time, who, and what became of it in one word.
    ///
    /// `[  134.2s] install  PASS   in 12.3s`
    pub(super) fn state(at: Elapsed, who: &str, width: usize, word: &str, ink: Ink) -> Self {
        let seconds = format!("[{:>5}.{}s]", at.0 / 1_000_000, at.0 / 100_000 % 10);
        let who = clean::one_line(who, LONGEST);
        Self::new()
            .add(Ink::Dim, &seconds)
            .add(Ink::Plain, &format!(" {who:<width$}  "))
            .add(ink, word)
            .add(Ink::Plain, &" ".repeat(7_usize.saturating_sub(word.len()).max(1)))
    }

    /// The line with one more piece.
    #[must_use]
    pub(super) fn add(mut self, ink: Ink, text: &str) -> Self {
        self.pieces.push((ink, clean::one_line(text, LONGEST)));
        self
    }

    /// The line with a plain piece.
    #[must_use]
    pub(super) fn say(self, text: &str) -> Self {
        self.add(Ink::Plain, text)
    }

    /// The line as text. In colour it reads the same.
    pub(super) fn render(&self, color: bool) -> String {
        let plain: String = self.pieces.iter().map(|(_, text)| text.as_str()).collect();
        let mark = if OBEYED.iter().any(|start| plain.trim_start().starts_with(start)) { MARK } else { "" };
        let plain = plain.trim_end();
        if !color {
            return format!("{mark}{plain}");
        }
        let mut left = plain.len();
        let mut out = mark.to_owned();
        for (ink, text) in &self.pieces {
            // The blanks at the end are left out here too: with colour the text is the same.
            let text = &text[..text.len().min(left)];
            left -= text.len();
            match ink.code() {
                Some(code) if !text.trim().is_empty() => {
                    write!(out, "\u{1b}[{code}m{text}\u{1b}[0m").expect("a String takes text");
                }
                _ => out.push_str(text),
            }
        }
        out
    }
}

impl Ink {
    /// The terminal's code for it.
    fn code(self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Dim => Some(2),
            Self::Bold => Some(1),
            Self::Good => Some(32),
            Self::Bad => Some(31),
            Self::Caution => Some(33),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_story() {
        let line = Line::state(Elapsed(134_260_000), "install", 10, "PASS", Ink::Good).say("in 12.3s  ");
        assert_eq!(line.render(false), "[  134.2s] install     PASS   in 12.3s");
        assert_eq!(line.render(true), "\x1b[2m[  134.2s]\x1b[0m install     \x1b[32mPASS\x1b[0m   in 12.3s");
    }

    #[test]
    fn no_line_begins_like_a_command() {
        assert_eq!(Line::of("  ::error::x").render(false), "│   ::error::x");
        assert_eq!(Line::new().add(Ink::Bad, "::error::x").render(true), "│ \x1b[31m::error::x\x1b[0m");
    }
}
