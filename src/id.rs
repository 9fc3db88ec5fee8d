//! Checked names: what a plan, a run and a step are called.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A step instance: `install`, `volumes[one]/pod`, `restart[03]/kill`.
///
/// Segments are joined by `/`; a segment is a step's name, followed by the cell
/// of a `for-each` and the zero-padded round of a `repeat`, each in brackets.
/// The resolver makes them; elsewhere they are only compared, shown and split.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(String);

impl StepId {
    /// The id of a step at the top of a plan.
    pub fn root(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The id of `name` inside this group.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        Self(format!("{}/{name}", self.0))
    }

    /// This step's cell or round: `volumes` and `one` give `volumes[one]`.
    #[must_use]
    pub fn index(&self, index: &str) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The id as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id with all brackets moved to its end, as readers of `JUnit` want it:
    /// uploaders cut a name at its first bracket and must still find the step.
    pub fn brackets_last(&self) -> String {
        let mut name = String::new();
        let mut brackets = String::new();
        let mut inside = false;
        for c in self.0.chars() {
            inside |= c == '[';
            if inside { &mut brackets } else { &mut name }.push(c);
            inside &= c != ']';
        }
        name + &brackets
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A check instance: `no-second-download[03]`, `volumes[one]/no-crash`, `small/identity`.
///
/// The group or part use it is written in, its name, and the zero-padded round in brackets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckId(String);

impl CheckId {
    /// The id of a check of the plan itself, or of the part used at a step.
    pub fn new(within: Option<&StepId>, name: &str) -> Self {
        Self(within.map_or_else(|| name.to_owned(), |within| format!("{within}/{name}")))
    }

    /// The same check in one round.
    #[must_use]
    pub fn round(&self, round: &str) -> Self {
        Self(format!("{}[{round}]", self.0))
    }

    /// The id as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id with all brackets moved to its end, as in `StepId::brackets_last`.
    pub fn brackets_last(&self) -> String {
        StepId(self.0.clone()).brackets_last()
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// One run of one plan: `restart-20261122T143000Z-7f3a`. Also the value of the
/// label on everything the run creates, so it is a valid label value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// Takes a text that is a valid Kubernetes label value.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let valid =
            text.len() <= 63 && text.chars().all(inner) && edge(text.chars().next()) && edge(text.chars().last());
        valid.then_some(Self(text))
    }

    /// The id as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text may name a plan, step, selection or check: lower-case letters,
/// digits and single dashes, a letter first, at most 63 characters.
pub fn is_kebab(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && !text.contains("--")
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_paths_with_brackets() {
        let id = StepId::root("restart").index("03").join("kill");
        assert_eq!(id.as_str(), "restart[03]/kill");
        assert_eq!(id.brackets_last(), "restart/kill[03]");
        let cell = StepId::root("volumes").index("one").index("02").join("pod");
        assert_eq!(cell.brackets_last(), "volumes/pod[one][02]");
    }

    #[test]
    fn a_run_id_is_a_label_value() {
        assert!(RunId::new("restart-20261122T143000Z-7f3a").is_some());
        for bad in ["", "-a", "a-", "a/b", "a b", &"x".repeat(64)] {
            assert!(RunId::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn names_are_kebab_case() {
        for good in ["a", "files-ready", "row-06a"] {
            assert!(is_kebab(good), "{good}");
        }
        for bad in ["", "A", "1a", "a_b", "a--b", "a-", "ä"] {
            assert!(!is_kebab(bad), "{bad}");
        }
    }
}
