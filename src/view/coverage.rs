use super::{Row, RunView};
use crate::event::{Outcome, Verdict};

/// One requirement, with the steps that cover it.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement<'a> {
    /// Its id, such as `C5`.
    pub id: &'a str,
    /// Whether the plan lists it; a step may name one that the plan forgot.
    pub listed: bool,
    /// The steps and groups that name it, in plan order.
    pub rows: Vec<&'a Row>,
}

impl Requirement<'_> {
    /// Whether every step that covers it passed, and there is one.
    pub fn held(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.outcome() == Some(Outcome::Passed))
    }

    /// The worst that happened to a step that covers it; none while one has not settled.
    pub fn worst(&self) -> Option<Verdict> {
        self.rows.iter().map(|row| row.outcome().map(Outcome::verdict)).collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}

impl RunView {
    /// The requirements, those of the plan first and in its order.
    pub fn requirements(&self) -> Vec<Requirement<'_>> {
        let mut found: Vec<Requirement<'_>> =
            self.start.covers.iter().map(|id| Requirement { id, listed: true, rows: Vec::new() }).collect();
        for row in &self.rows {
            for id in &row.node.covers {
                match found.iter_mut().find(|requirement| requirement.id == id) {
                    Some(requirement) => requirement.rows.push(row),
                    None => found.push(Requirement { id, listed: false, rows: vec![row] }),
                }
            }
        }
        found
    }
}
