use super::{CheckRow, Row, RunView};
use crate::event::{Outcome, Verdict};

/// One requirement, with the steps and checks that cover it.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement<'a> {
    /// Its id, such as `C5`.
    pub id: &'a str,
    /// Whether the plan lists it; a step may name one that the plan forgot.
    pub listed: bool,
    /// The steps and groups that name it, in plan order.
    pub rows: Vec<&'a Row>,
    /// The checks that name it, each round by itself, in plan order.
    pub checks: Vec<&'a CheckRow>,
}

impl Requirement<'_> {
    /// Whether everything that covers it passed, and there is something.
    pub fn held(&self) -> bool {
        let mut outcomes = self.outcomes().peekable();
        outcomes.peek().is_some() && outcomes.all(|outcome| outcome == Some(Outcome::Passed))
    }

    /// The worst that happened to what covers it; none while something has not settled.
    pub fn worst(&self) -> Option<Verdict> {
        self.outcomes().map(|outcome| outcome.map(Outcome::verdict)).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// How each thing that covers it went. A check that only reports decides nothing, unless
    /// nothing else covers the requirement.
    fn outcomes(&self) -> impl Iterator<Item = Option<Outcome>> {
        let only_reports = self.rows.is_empty() && self.checks.iter().all(|row| !row.counts());
        let checks = self.checks.iter().filter(move |row| only_reports || row.counts());
        self.rows.iter().map(|row| row.outcome()).chain(checks.map(|row| row.outcome()))
    }
}

impl RunView {
    /// The requirements, those of the plan first and in its order.
    pub fn requirements(&self) -> Vec<Requirement<'_>> {
        fn named<'a, 'l>(found: &'l mut Vec<Requirement<'a>>, id: &'a str, listed: bool) -> &'l mut Requirement<'a> {
            let place = found.iter().position(|requirement| requirement.id == id).unwrap_or_else(|| {
                found.push(Requirement { id, listed, rows: Vec::new(), checks: Vec::new() });
                found.len() - 1
            });
            &mut found[place]
        }
        let mut found: Vec<Requirement<'_>> = Vec::new();
        for id in &self.start.covers {
            named(&mut found, id, true);
        }
        for row in &self.rows {
            for id in &row.node.covers {
                named(&mut found, id, false).rows.push(row);
            }
        }
        for row in &self.checks {
            for id in &row.node.covers {
                named(&mut found, id, false).checks.push(row);
            }
        }
        found
    }
}
