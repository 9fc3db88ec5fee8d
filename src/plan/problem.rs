use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use crate::event::PlanFile;
use crate::text;

/// A mistake in a plan, found before anything runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is; a mistake on the command line has no place in a file.
    pub spot: Option<Spot>,
    /// What is wrong, as a sentence.
    pub message: String,
    /// What to try, as a sentence.
    pub help: Option<String>,
    /// What to write instead of the marked text.
    pub instead: Option<String>,
    /// Where the file is used, if it is a part.
    pub used: Option<String>,
}

/// Bytes of a file that was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The file, by its place in `Problems::files`.
    pub file: usize,
    /// The first byte, then the one after the last.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Spot {
    pub(super) fn new(file: usize, span: Range<usize>) -> Self {
        Self { file, start: span.start, end: span.end }
    }
}

impl Problem {
    pub(super) fn at(spot: Spot, message: impl Into<String>) -> Self {
        Self { spot: Some(spot), message: message.into(), help: None, instead: None, used: None }
    }

    pub(super) fn on_command_line(message: impl Into<String>) -> Self {
        Self { spot: None, message: message.into(), help: None, instead: None, used: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// The marked text is replaced by this.
    pub(super) fn instead(mut self, text: impl Into<String>) -> Self {
        self.instead = Some(text.into());
        self
    }

    /// Whether another problem is about a part of the same text.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (&self.spot, &other.spot) {
            (Some(own), Some(other)) => own.file == other.file && own.start < other.end && other.start < own.end,
            _ => false,
        }
    }

    /// Proposes what was probably meant by `word`, or else says what there is.
    pub(super) fn suggest<S: AsRef<str>>(self, word: &str, known: impl IntoIterator<Item = S>) -> Self {
        let known: Vec<S> = known.into_iter().collect();
        let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
        match text::suggest(word, known.iter().copied()) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None if known.is_empty() => self,
            None if known.len() > 24 => {
                let named: Vec<String> = known[..24].iter().map(|name| format!("`{name}`")).collect();
                self.help(format!("there are {} and {} more", named.join(", "), known.len() - 24))
            }
            None => {
                let named: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                let verb = if known.len() == 1 { "is" } else { "are" };
                self.help(format!("there {verb} {}", text::and(&named)))
            }
        }
    }
}

/// Everything that is wrong with a plan, in the order of its files and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// What was read: problems point into it.
    pub files: Vec<PlanFile>,
    /// At least one.
    pub list: Vec<Problem>,
}

impl Problems {
    pub(super) fn sorted(files: Vec<PlanFile>, mut list: Vec<Problem>) -> Self {
        list.sort_by(|a, b| (&a.spot, &a.message).cmp(&(&b.spot, &b.message)));
        // The same text is met once for each use of a part, each cell and each round.
        list.dedup_by(|a, b| a.spot == b.spot && a.message == b.message);
        Self { files, list }
    }

    /// Whether all of it is about the command line and nothing about the files.
    pub fn is_usage(&self) -> bool {
        self.list.iter().all(|problem| problem.spot.is_none())
    }

    /// Line and column of a problem, both from 1.
    pub fn position(&self, problem: &Problem) -> Option<(&str, usize, usize)> {
        let spot = problem.spot.as_ref()?;
        let file = self.files.get(spot.file)?;
        let (line, column) = position(&file.text, spot.start);
        Some((&file.path, line, column))
    }

    /// All of them as text: the file with the line and a caret, a sentence, and what to try.
    pub fn draw(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let mut drawn = String::new();
        for problem in &self.list {
            drawn.push_str(&self.one(problem, &renderer));
            drawn.push_str("\n\n");
        }
        let places = self.list.iter().filter_map(|p| p.spot.as_ref().map(|s| s.file));
        let files: std::collections::BTreeSet<usize> = places.collect();
        drawn.push_str(&text::count(self.list.len(), "problem"));
        if let [only] = files.iter().copied().collect::<Vec<_>>()[..] {
            if let Some(file) = self.files.get(only) {
                drawn.push_str(" in ");
                drawn.push_str(&file.path);
            }
        } else if files.len() > 1 {
            drawn.push_str(" in ");
            drawn.push_str(&text::count(files.len(), "file"));
        }
        drawn.push('\n');
        drawn
    }

    fn one(&self, problem: &Problem, renderer: &Renderer) -> String {
        let title = Level::ERROR.primary_title(clean(&problem.message));
        let place = problem.spot.as_ref().and_then(|spot| Some((spot, self.files.get(spot.file)?)));
        let mut groups: Vec<Group<'_>> = Vec::new();
        if let Some((spot, file)) = place {
            let window = Window::around(&file.text, spot.start..spot.end);
            let mark = AnnotationKind::Primary.span(window.span.clone());
            let snippet =
                Snippet::source(window.text).path(file.path.as_str()).line_start(window.line).annotation(mark);
            let mut group = title.element(snippet);
            if let Some(used) = &problem.used {
                group = group.element(Level::NOTE.message(clean(used)));
            }
            match (&problem.help, &problem.instead) {
                (help, Some(instead)) => {
                    groups.push(group);
                    let said = help.as_deref().unwrap_or("write this instead");
                    let patch = Patch::new(window.span, clean(instead));
                    let snippet =
                        Snippet::source(window.text).path(file.path.as_str()).line_start(window.line).patch(patch);
                    groups.push(Level::HELP.secondary_title(clean(said)).element(snippet));
                }
                (Some(help), None) => groups.push(group.element(Level::HELP.message(clean(help)))),
                (None, None) => groups.push(group),
            }
        } else {
            let mut group = Group::with_title(title);
            if let Some(help) = &problem.help {
                group = group.element(Level::HELP.message(clean(help)));
            }
            groups.push(group);
        }
        renderer.render(&groups)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.draw(false))
    }
}

impl std::error::Error for Problems {}

/// Line and column of a byte, both from 1, the column in characters.
pub(super) fn position(text: &str, byte: usize) -> (usize, usize) {
    let byte = floor(text, byte);
    let line_start = text[..byte].rfind('\n').map_or(0, |at| at + 1);
    let line = text[..byte].matches('\n').count() + 1;
    (line, text[line_start..byte].chars().count() + 1)
}

/// The lines that a span touches, and the span in them: a renderer that is shown
/// only these never walks a whole megabyte.
struct Window<'a> {
    text: &'a str,
    line: usize,
    span: Range<usize>,
}

/// How many bytes of one line are drawn on either side of the span.
const MAX_SIDE: usize = 400;

impl<'a> Window<'a> {
    fn around(text: &'a str, span: Range<usize>) -> Self {
        let start = floor(text, span.start);
        // A mark over many lines says no more than one over the first of them.
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor(text, span.end).clamp(start, line_end.max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let from = floor(text, line_start.max(start.saturating_sub(MAX_SIDE)));
        let to = floor(text, line_end.min(end.saturating_add(MAX_SIDE)).max(end));
        let line = text[..start].matches('\n').count() + 1;
        Self { text: &text[from..to], line, span: start - from..end - from }
    }
}

fn floor(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

/// No control characters in what is printed: a plan's text may come from anywhere.
fn clean(said: &str) -> String {
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
