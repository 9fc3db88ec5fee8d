//! Where a plan's texts name vars, steps, objects and the like.

use std::ops::Range;

use super::reader::{Met, What};
use super::tree::Item;
use super::{Problem, Spot, quote};
use crate::expr::{Cel, Path, Template};

/// A name with what follows it, as an expression of the file spells it.
#[derive(Clone, Debug)]
pub(super) struct Mention {
    pub(super) path: Path,
    pub(super) spot: Spot,
    pub(super) within: Within,
}

impl Mention {
    /// Whether it stands in this part of a file.
    pub(super) fn is_in(&self, file: usize, span: &Range<usize>) -> bool {
        self.spot.file == file && span.start <= self.spot.start && self.spot.end <= span.end
    }
}

/// Where an expression stands: it decides what may be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    /// `[plan]`, `[vars]`, `[objects]`: vars.
    Head,
    /// `where` and `each` of a selection: `o`, `key`, `parent`, vars.
    Filter,
    /// `for-each`: vars, and the `item` of a cell further out.
    Cells,
    /// What else decides which steps there are: vars and `item`.
    Shape,
    /// A step's `about`: vars, `item`, `round`.
    About,
    /// What a verb is told, and what a part is given.
    Act,
    /// `that` of a condition and a gate: `o` and other selections too.
    Condition,
    /// `that` of `http`: `status` and `body` too.
    Answer,
    /// `that` and `value` of a check: `o` and `start`, one track by itself.
    Check,
    /// `[outputs]`: vars, steps, run.
    Outputs,
}

/// The file that texts stand in, and where mistakes in them go.
pub(super) struct Texts<'a> {
    pub(super) source: usize,
    pub(super) text: &'a str,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Texts<'_> {
    pub(super) fn spot(&self, span: &Range<usize>) -> Spot {
        Spot::new(self.source, span.clone())
    }

    pub(super) fn problem(&mut self, span: &Range<usize>, message: impl Into<String>) -> &mut Problem {
        self.problems.push(Problem::at(self.spot(span), message));
        self.problems.last_mut().expect("one was pushed")
    }

    /// What the texts of an item name in their holes, and whether all expressions are right.
    pub(super) fn templates(&mut self, item: &Item, within: Within) -> (Vec<Mention>, bool) {
        let mut mentions = Vec::new();
        let mut fine = true;
        for (item, value) in item.texts() {
            if !value.contains("${") {
                continue;
            }
            match Template::compile(value) {
                Ok(template) => {
                    let found = template.paths().map(|path| self.mention(path, item, value, within));
                    mentions.extend(found.collect::<Vec<_>>());
                }
                Err(mistakes) => {
                    fine = false;
                    for mistake in mistakes {
                        self.mistake(&mistake, item, value);
                    }
                }
            }
        }
        (mentions, fine)
    }

    /// An expression with what it names. `None` if it is wrong.
    pub(super) fn cel(&mut self, item: &Item, within: Within) -> Option<(Cel, Vec<Mention>)> {
        let Some(value) = item.as_text() else {
            let what = item.what();
            self.problem(&item.span, format!("expected an expression in quotes, found {what}"));
            return None;
        };
        match Cel::compile(value) {
            Ok(cel) => {
                let paths = cel.paths().to_vec();
                let mentions = paths.into_iter().map(|path| self.mention(path, item, value, within)).collect();
                Some((cel, mentions))
            }
            Err(mistake) => {
                self.mistake(&mistake, item, value);
                None
            }
        }
    }

    /// What an expression names that was met while a verb or condition was read.
    pub(super) fn met(&mut self, met: &Met<'_>, verb: &str) -> Vec<Mention> {
        match met.what {
            What::Setting => self.templates(met.item, Within::Act).0,
            // What is no text is told by the reader.
            What::Cel if met.item.as_text().is_none() => Vec::new(),
            What::Cel => {
                let within = match met.key {
                    "if" => Within::Shape,
                    _ if verb == "http" => Within::Answer,
                    _ if verb == "check" => Within::Check,
                    _ => Within::Condition,
                };
                self.cel(met.item, within).map(|(_, mentions)| mentions).unwrap_or_default()
            }
        }
    }

    fn mention(&self, path: Path, item: &Item, value: &str, within: Within) -> Mention {
        let span = quote::locate(self.text, &item.span, value, &path.span);
        Mention { path, spot: self.spot(&span), within }
    }

    fn mistake(&mut self, mistake: &crate::expr::Mistake, item: &Item, value: &str) {
        let span = quote::locate(self.text, &item.span, value, &mistake.span);
        let problem = Problem::at(self.spot(&span), &mistake.message).maybe_help(mistake.help.clone());
        self.problems.push(problem);
    }
}
