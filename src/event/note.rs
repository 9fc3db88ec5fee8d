use serde::{Deserialize, Serialize};

/// Evidence that a step leaves, in a few generic shapes: a new verb needs no new
/// code in any report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// One sentence of what was done or seen.
    Text {
        /// The sentence.
        text: String,
    },
    /// A named value, such as `skew` and `1.2ms`.
    Pair {
        /// What is measured or named.
        key: String,
        /// Its value, as text.
        value: String,
    },
    /// Rows, such as the pods that were killed.
    Table {
        /// What the table lists.
        title: String,
        /// Column names.
        head: Vec<String>,
        /// Rows, each as long as the head.
        rows: Vec<Vec<String>>,
    },
    /// Longer text: a command's output, a hook's log, release notes. Bounded by who makes it.
    Block {
        /// What the text is.
        title: String,
        /// The text.
        text: String,
    },
    /// A unified diff, such as an object before and after.
    Diff {
        /// What changed.
        title: String,
        /// Lines beginning with a blank, `+` or `-`.
        text: String,
    },
    /// A file left in the run folder.
    File {
        /// Path relative to the run folder.
        path: String,
        /// What it holds.
        about: String,
    },
    /// A request that was refused for a passing reason and sent again.
    Retried {
        /// What was asked, such as `DELETE pods/a`.
        request: String,
        /// Why it was refused.
        reason: String,
    },
}

impl Note {
    /// A sentence.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// A named value.
    #[expect(clippy::needless_pass_by_value, reason = "numbers are handed over as they are")]
    pub fn pair(key: impl Into<String>, value: impl ToString) -> Self {
        Self::Pair { key: key.into(), value: value.to_string() }
    }
}
