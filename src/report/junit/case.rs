use std::fmt::Write as _;

use super::{Form, Paths};
use crate::clock::Elapsed;
use crate::event::{Failure, Note, Outcome, Verdict};
use crate::id::StepId;
use crate::report::{clean, link, proof, when};
use crate::text;
use crate::view::{Attempt, Culprit, Row, RowState, RunView};

/// One `<testcase>`, with clean text in every field.
pub(super) struct Case {
    /// Unique in the file, brackets last.
    pub(super) name: String,
    /// How long it took.
    pub(super) took: Elapsed,
    /// When it began; none for what did not begin.
    pub(super) started: Option<Elapsed>,
    /// Where it is written.
    pub(super) file: String,
    /// The line there.
    pub(super) line: usize,
    /// How it went.
    pub(super) result: Shown,
    /// Tries that failed before the last one.
    pub(super) reruns: Vec<Rerun>,
    /// Short facts for readers that group cases.
    pub(super) properties: Vec<(&'static str, String)>,
    /// Attachments, then evidence; failing cases only.
    pub(super) output: Option<String>,
}

/// What a reader of `JUnit` can be told about a step or a check.
pub(super) enum Shown {
    /// Nothing to say.
    Passed,
    /// A definite no.
    Failure(Said),
    /// Lariat's own trouble, or undecided.
    Error(Said),
    /// Not run, cut short, or clean-up that did not pass.
    Skipped(Said),
}

/// The two places of a failure: readers look into one or the other.
pub(super) struct Said {
    /// One word.
    pub(super) kind: &'static str,
    /// One line.
    pub(super) message: String,
    /// Begins with the message.
    pub(super) text: String,
}

/// A try that failed and was followed by another, as the plan's `retry` allows.
pub(super) struct Rerun {
    /// `flakyFailure` if the step passed in the end, else `rerunFailure`.
    pub(super) element: &'static str,
    /// Why it failed.
    pub(super) said: Said,
}

/// Longest list of things seen or steps blocked in one text.
pub(super) const LONGEST_LIST: usize = 50;

/// What all cases of one file share.
pub(super) struct Cases<'a> {
    pub(super) view: &'a RunView,
    pub(super) paths: &'a Paths,
    culprits: Vec<Culprit<'a>>,
}

impl<'a> Cases<'a> {
    /// The cases of this run.
    pub(super) fn of(view: &'a RunView, paths: &'a Paths) -> Self {
        Self { view, paths, culprits: view.culprits() }
    }

    /// One case for each verb in plan order, one for each check after them, and `verdict` where no other is red enough.
    pub(super) fn all(&self, form: Form) -> Vec<Case> {
        let leaves = self.view.rows.iter().filter(|row| row.is_leaf());
        let mut cases: Vec<Case> = leaves.map(|row| self.step(row, form)).collect();
        cases.extend(self.view.checks.iter().map(|row| self.check(row, form)));
        let is_red = cases.iter().any(|case| matches!(case.result, Shown::Failure(_)));
        if self.view.verdict() != Verdict::Pass && !is_red {
            cases.push(self.verdict());
        }
        cases
    }

    fn step(&self, row: &Row, form: Form) -> Case {
        let result = self.result(row);
        let output = match result {
            Shown::Failure(_) | Shown::Error(_) => self.output(row),
            Shown::Passed | Shown::Skipped(_) => None,
        };
        let properties = match form {
            Form::Extended => properties(row),
            Form::Strict => Vec::new(),
        };
        Case {
            name: clean::line(&row.node.id.brackets_last()),
            took: row.span(self.view.last).map(|(start, end)| end.since(start)).unwrap_or_default(),
            started: row.started,
            file: clean::brief(&row.node.file),
            line: row.node.line,
            reruns: reruns(row),
            result,
            properties,
            output,
        }
    }

    /// Status map of design.md §4. A clean-up step is never red: it is shown as
    /// skipped with its failure, because green would hide it.
    fn result(&self, row: &Row) -> Shown {
        let outcome = match row.state {
            RowState::Settled(outcome) => outcome,
            RowState::Waiting => {
                return Shown::Skipped(self.plain(row, "not-run", &self.lost(row)));
            }
            RowState::Running if row.cleanup || self.view.is_complete() => {
                return Shown::Skipped(self.plain(row, "unfinished", &self.lost(row)));
            }
            RowState::Running => {
                return Shown::Error(self.plain(row, "unfinished", &self.lost(row)));
            }
        };
        match outcome {
            Outcome::Passed => Shown::Passed,
            Outcome::Skipped => Shown::Skipped(self.plain(row, "skipped", &self.skipped(row))),
            Outcome::Cancelled => Shown::Skipped(self.plain(row, "cancelled", &self.cancelled(row))),
            Outcome::Failed | Outcome::Errored | Outcome::Inconclusive if row.cleanup => {
                let mut said = self.failed(row, outcome);
                let mark = format!("clean-up {outcome}, which does not count: ");
                said.message.insert_str(0, &mark);
                said.text.insert_str(0, &mark);
                said.kind = "clean-up";
                Shown::Skipped(said)
            }
            Outcome::Failed => Shown::Failure(self.failed(row, outcome)),
            Outcome::Errored | Outcome::Inconclusive => Shown::Error(self.failed(row, outcome)),
        }
    }

    /// A sentence without a failure behind it.
    fn plain(&self, row: &Row, kind: &'static str, sentence: &str) -> Said {
        let message = clean::brief(sentence);
        let text = format!("{message}\n at {}\n", clean::brief(&row.place()));
        Said { kind, message, text: text + &self.report(&row.node.id) }
    }

    fn skipped(&self, row: &Row) -> String {
        let Some(reason) = &row.skip else {
            return "it was skipped".into();
        };
        match self.view.because(&row.node.id).last() {
            Some(root) if !reason.to_string().contains(&format!("`{}`", root.node.id)) => {
                format!("{reason}; the cause is `{}`", root.node.id)
            }
            _ => reason.to_string(),
        }
    }

    fn cancelled(&self, row: &Row) -> String {
        match (&row.failure, self.view.cancelled) {
            (Some(failure), _) => format!("cancelled: {failure}"),
            (None, Some((_, by))) => format!("cancelled: {by}"),
            (None, None) => "cancelled".into(),
        }
    }

    /// Why nothing more is known of a row that did not settle.
    fn lost(&self, row: &Row) -> String {
        let end = match self.view.cancelled {
            Some((_, by)) if self.view.is_complete() => format!("the run was left at once: {by}"),
            _ => "the journal ends before that".into(),
        };
        match row.state {
            RowState::Running => format!("it did not end: {end}"),
            RowState::Waiting | RowState::Settled(_) => format!("it was not reached: {end}"),
        }
    }

    fn failed(&self, row: &Row, outcome: Outcome) -> Said {
        let unknown = Failure::new(crate::event::Class::Broken, format!("it {outcome} without a reason"));
        let failure = row.failure.as_ref().unwrap_or(&unknown);
        let mut said = said(failure, &row.place());
        if row.attempts.len() > 1 {
            let tries = text::count(row.attempts.len(), "attempt");
            let _ = writeln!(said.text, "tried: {tries}, all failed");
        }
        self.blocked(row, &mut said.text);
        if let Some(ended) = row.ended {
            let _ = writeln!(said.text, "when: {}, {} after the start", when::utc(self.view, ended), when::span(ended));
        }
        said.text += &self.repro();
        said.text += &self.report(&row.node.id);
        said
    }

    fn blocked(&self, row: &Row, text: &mut String) {
        let culprit = self.culprits.iter().find(|culprit| culprit.row.node.id == row.node.id);
        let blocked = culprit.map_or(&[][..], |culprit| &culprit.blocked);
        if blocked.is_empty() {
            return;
        }
        let names: Vec<String> =
            blocked.iter().take(LONGEST_LIST).map(|row| clean::brief(row.node.id.as_str())).collect();
        let more = blocked.len() - names.len();
        let _ = write!(text, "not run because of it: {}", names.join(", "));
        let _ = match more {
            0 => writeln!(text),
            more => writeln!(text, " and {more} more"),
        };
    }

    pub(super) fn repro(&self) -> String {
        format!("repro: {}\n", clean::brief(&self.view.start.repro))
    }

    fn report(&self, step: &StepId) -> String {
        let page = clean::brief(&self.paths.page);
        format!("report: {page}{}\n", link::fragment(step))
    }

    /// Red must survive every reader: some see only `<failure>`.
    fn verdict(&self) -> Case {
        let view = self.view;
        let message = clean::brief(&view.reason());
        let message = if message.is_empty() { format!("the verdict is {}", view.verdict()) } else { message };
        let (file, line) = self.plan();
        let mut text = format!("{message}\n at {file}:{line}\n");
        for row in view.failures().iter().take(LONGEST_LIST) {
            let why = row.failure.as_ref().map(ToString::to_string);
            let why = clean::brief(&why.unwrap_or_default());
            let _ = writeln!(text, "{}: {} {why}", row.state, clean::brief(row.node.id.as_str()));
        }
        for row in view.check_failures().iter().take(LONGEST_LIST) {
            let _ =
                writeln!(text, "{}: {} {}", row.state, clean::brief(&proof::name(row)), clean::brief(&row.message()));
        }
        let _ = writeln!(text, "counts: {}", view.totals().sentence());
        if !view.checks.is_empty() {
            let _ = writeln!(text, "checks: {}", view.check_totals().sentence());
        }
        text += &self.repro();
        let _ = writeln!(text, "report: {}", clean::brief(&self.paths.page));
        Case {
            name: "verdict".into(),
            took: Elapsed(0),
            started: None,
            file,
            line,
            result: Shown::Failure(Said { kind: view.verdict().word(), message, text }),
            reruns: Vec::new(),
            properties: Vec::new(),
            output: self.attachments([].iter()),
        }
    }

    /// The plan's file, or a name for it if the record has none.
    fn plan(&self) -> (String, usize) {
        let file = self.view.start.files.first();
        let path = file.map_or("plan.toml", |file| file.path.as_str());
        (clean::brief(path), 1)
    }

    fn output(&self, row: &Row) -> Option<String> {
        let attached = self.attachments(row.notes.iter().map(|(_, note)| note));
        let mut output = attached.unwrap_or_default();
        for (at, note) in &row.notes {
            let _ = write!(output, "+{} ", when::span(*at));
            tell(note, &mut output);
        }
        Some(output).filter(|output| !output.is_empty())
    }

    /// Lines that some readers turn into links; the first is the one that all of them see.
    pub(super) fn attachments<'n>(&self, notes: impl Iterator<Item = &'n Note>) -> Option<String> {
        let files = notes.filter_map(|note| match note {
            Note::File { path, .. } if self.paths.files.contains(path) => Some(format!("{}/{path}", self.paths.folder)),
            _ => None,
        });
        let page = self.paths.page_exists.then(|| self.paths.page.clone());
        let mut lines = String::new();
        for path in files.chain(page) {
            let _ = writeln!(lines, "[[ATTACHMENT|{}]]", clean::line(&path));
        }
        Some(lines).filter(|lines| !lines.is_empty())
    }
}

/// The tries before the last.
fn reruns(row: &Row) -> Vec<Rerun> {
    let element = match row.outcome() {
        Some(Outcome::Passed) => "flakyFailure",
        Some(_) | None => "rerunFailure",
    };
    let earlier: &[Attempt] = row.attempts.split_last().map_or(&[], |(_, earlier)| earlier);
    let failures = earlier.iter().filter_map(|attempt| attempt.failure.as_ref());
    failures.map(|failure| Rerun { element, said: said(failure, &row.place()) }).collect()
}

/// A failure as message and text. The second line has a leading blank and
/// `path:line`, which is where some readers look for the place.
fn said(failure: &Failure, place: &str) -> Said {
    let whole = clean::line(&failure.message);
    let whole = if whole.is_empty() { format!("{} without a message", failure.class) } else { whole };
    let message = clean::brief(&whole);
    let mut text = format!("{message}\n at {}\n", clean::brief(place));
    if let Some(expected) = &failure.expected {
        let _ = writeln!(text, "expected: {}", clean::brief(expected));
    }
    for seen in failure.observed.iter().take(LONGEST_LIST) {
        let _ = writeln!(text, "observed: {}", clean::brief(seen));
    }
    if let Some(more) = failure.observed.len().checked_sub(LONGEST_LIST + 1) {
        let _ = writeln!(text, "observed: and {} more", more + 1);
    }
    for cause in &failure.causes {
        let _ = writeln!(text, "caused by: {}", clean::brief(cause));
    }
    if whole.len() > message.len() || failure.message.trim().contains('\n') {
        let _ = writeln!(text, "the whole message:\n{}", clean::clean(&failure.message));
    }
    Said { kind: failure.class.word(), message, text }
}

/// A note as plain text.
fn tell(note: &Note, out: &mut String) {
    let _ = match note {
        Note::Text { text } => writeln!(out, "{}", clean::clean(text)),
        Note::Pair { key, value } => {
            writeln!(out, "{}: {}", clean::brief(key), clean::clean(value))
        }
        Note::Table { title, head, rows } => {
            let _ = writeln!(out, "{}\n  {}", clean::brief(title), row_text(head));
            rows.iter().try_for_each(|row| writeln!(out, "  {}", row_text(row)))
        }
        Note::Block { title, text } | Note::Diff { title, text } => {
            writeln!(out, "{}\n{}", clean::brief(title), clean::clean(text).trim_end())
        }
        Note::File { path, about } => {
            writeln!(out, "{}: {}", clean::brief(path), clean::brief(about))
        }
        Note::Retried { request, reason } => {
            writeln!(out, "sent again: {}: {}", clean::brief(request), clean::brief(reason))
        }
    };
}

fn row_text(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| clean::brief(cell)).collect();
    cells.join("  ")
}

fn properties(row: &Row) -> Vec<(&'static str, String)> {
    let mut properties = vec![("verb", clean::brief(row.label())), ("outcome", row.state.word().to_owned())];
    if !row.node.covers.is_empty() {
        properties.push(("covers", clean::brief(&row.node.covers.join(" "))));
    }
    if row.cleanup {
        properties.push(("clean-up", "true".to_owned()));
    }
    properties
}
