use std::fmt::Write as _;

use super::case::{Case, Cases, LONGEST_LIST, Said, Shown};
use super::suite::Form;
use crate::event::Outcome;
use crate::report::{clean, link, proof, when};
use crate::view::{CheckRow, CheckState, Series};

impl Cases<'_> {
    /// The case of a check, `check/NAME`, brackets last.
    ///
    /// A check that only reports is never red: what it measured is in its properties.
    pub(super) fn check(&self, row: &CheckRow, form: Form) -> Case {
        let window = row.window(self.view.last);
        let result = self.check_result(row);
        let output = match result {
            Shown::Failure(_) | Shown::Error(_) => self.attachments([].iter()),
            Shown::Passed | Shown::Skipped(_) => None,
        };
        Case {
            name: format!("check/{}", clean::line(&row.node.id.brackets_last())),
            took: window.map(|(from, to)| to.since(from)).unwrap_or_default(),
            started: window.map(|(from, _)| from),
            file: clean::brief(&row.node.file),
            line: row.node.line,
            result,
            reruns: Vec::new(),
            properties: match form {
                Form::Extended => properties(row),
                Form::Strict => Vec::new(),
            },
            output,
        }
    }

    /// Status map of design.md §4.
    fn check_result(&self, row: &CheckRow) -> Shown {
        let outcome = match row.state {
            CheckState::Settled(outcome) => outcome,
            CheckState::Waiting => return Shown::Skipped(self.unproven(row, "not-run")),
            CheckState::Violated if row.counts() => return Shown::Failure(self.proven(row, "violated")),
            // A window that was open when the run was left, or when its record ends.
            CheckState::Armed if row.counts() && !self.view.is_complete() => {
                return Shown::Error(self.proven(row, "unfinished"));
            }
            CheckState::Armed | CheckState::Violated => return Shown::Skipped(self.unproven(row, "unfinished")),
        };
        match outcome {
            Outcome::Skipped => Shown::Skipped(self.unproven(row, "skipped")),
            Outcome::Cancelled => Shown::Skipped(self.unproven(row, "cancelled")),
            Outcome::Passed => Shown::Passed,
            Outcome::Failed | Outcome::Errored | Outcome::Inconclusive if !row.counts() => Shown::Passed,
            Outcome::Failed => Shown::Failure(self.proven(row, "violated")),
            Outcome::Errored => Shown::Error(self.proven(row, "errored")),
            Outcome::Inconclusive => Shown::Error(self.proven(row, "inconclusive")),
        }
    }

    /// A sentence without evidence behind it.
    fn unproven(&self, row: &CheckRow, kind: &'static str) -> Said {
        let (message, mut text) = head(row, kind);
        text += &self.report_check(row);
        Said { kind, message, text }
    }

    /// The sentence with all that explains it.
    fn proven(&self, row: &CheckRow, kind: &'static str) -> Said {
        let (message, mut text) = head(row, kind);
        self.evidence(row, &mut text);
        text += &self.repro();
        text += &self.report_check(row);
        Said { kind, message, text }
    }

    fn evidence(&self, row: &CheckRow, text: &mut String) {
        let _ = writeln!(text, "claim: {}", clean::brief(&row.node.claim));
        if let Some(window) = proof::window(self.view, row) {
            let _ = writeln!(text, "window: {}", clean::brief(&window));
        }
        let moments = row.moments();
        for moment in moments.iter().take(LONGEST_LIST) {
            let _ = writeln!(text, "moment: {}", clean::brief(&proof::what(moment)));
            let _ = writeln!(text, "  {}", clean::brief(&proof::at(self.view, row, moment.at)));
            let _ = writeln!(text, "  {}", clean::brief(&proof::source(moment)));
            for line in &moment.diff {
                let _ = writeln!(text, "  | {}", clean::line(line));
            }
        }
        let Some(finding) = &row.finding else { return };
        let kept = usize::try_from(finding.more).unwrap_or(usize::MAX);
        let more = moments.len().saturating_sub(LONGEST_LIST).saturating_add(kept);
        if more > 0 {
            let _ = writeln!(text, "moment: and {more} more");
        }
        for blind in finding.blind.iter().take(LONGEST_LIST) {
            let _ = writeln!(text, "unseen: {}", clean::brief(&proof::blind(blind)));
        }
        if let Some(ignored) = proof::ignored(finding) {
            let _ = writeln!(text, "ignored: {}", clean::brief(&ignored));
        }
        if !finding.wanted.is_empty() {
            let _ = writeln!(text, "wanted: {}", clean::brief(&finding.wanted));
        }
        let _ = writeln!(text, "examined: {}", proof::examined(finding));
        if let Some(ended) = row.ended {
            let _ = writeln!(text, "when: {}, {} after the start", when::utc(self.view, ended), when::span(ended));
        }
    }

    fn report_check(&self, row: &CheckRow) -> String {
        format!("report: {}{}\n", clean::brief(&self.paths.page), link::to_check(&row.node.id))
    }
}

/// The message, and the beginning of a text: the message and the place.
fn head(row: &CheckRow, kind: &str) -> (String, String) {
    let message = clean::brief(&row.message());
    let message = if message.is_empty() { format!("{kind} without a reason") } else { message };
    let text = format!("{message}\n at {}\n", clean::brief(&row.place()));
    (message, text)
}

fn properties(row: &CheckRow) -> Vec<(&'static str, String)> {
    let mut properties = vec![("check", clean::brief(&row.node.operator)), ("outcome", row.state.word().to_owned())];
    if !row.node.covers.is_empty() {
        properties.push(("covers", clean::brief(&row.node.covers.join(" "))));
    }
    if !row.counts() {
        properties.push(("judge", "report".to_owned()));
        let measured = proof::measured(&Series { id: &row.node.id, rows: vec![row] });
        let said = if measured.is_empty() { row.message() } else { measured.join("; ") };
        properties.push(("measured", clean::brief(&said)));
    }
    properties
}
