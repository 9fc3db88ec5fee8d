use crate::event::Class;

/// Why a selection can't be looked at.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The run has no cluster.
    #[error("no cluster was named; choose one with `--context NAME`")]
    NoCluster,
    /// The server answered no, and will again.
    #[error("{said}")]
    Refused {
        /// The server's message.
        said: String,
        /// Forbidden, or refused for what was asked.
        class: Class,
    },
    /// The server could not be asked.
    #[error("{0}")]
    Unreachable(String),
    /// The answer can't be understood.
    #[error("the API server's answer can't be understood: {0}")]
    Undecodable(String),
}

impl Error {
    /// The kind of failure it makes of a step.
    pub fn class(&self) -> Class {
        match self {
            Self::NoCluster => Class::Missing,
            Self::Refused { class, .. } => *class,
            Self::Unreachable(_) => Class::Unreachable,
            Self::Undecodable(_) => Class::Broken,
        }
    }

    /// Whether asking again may help.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Undecodable(_))
    }
}
