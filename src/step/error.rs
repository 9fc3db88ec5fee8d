use crate::cluster::{FetchError, HelmError, NoCluster};
use crate::event::{Class, Failure};
use crate::plan::SettingError;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a verb did not do its work.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of failure it is; decides the outcome.
    pub class: Class,
    /// One line: what did not happen, and to what.
    pub message: String,
    /// What should have been.
    pub expected: Option<String>,
    /// What was seen instead, one line for each thing.
    pub observed: Vec<String>,
    /// What lies below it.
    #[source]
    pub source: Option<Source>,
}

impl Error {
    /// An error that needs no more than its sentence.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), expected: None, observed: Vec::new(), source: None }
    }

    /// With what lies below it.
    #[must_use]
    pub fn from_source(class: Class, message: impl Into<String>, source: impl Into<Source>) -> Self {
        Self { source: Some(source.into()), ..Self::new(class, message) }
    }

    /// With what should have been.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// With what was seen instead.
    #[must_use]
    pub fn observed(mut self, line: impl Into<String>) -> Self {
        self.observed.push(line.into());
        self
    }

    /// A setting of the step has no value.
    pub fn setting(source: SettingError) -> Self {
        Self::from_source(Class::Broken, "a setting of this step has no value", source)
    }

    /// The step needs a cluster and the run has none.
    pub fn no_cluster(source: NoCluster) -> Self {
        Self::from_source(Class::Missing, "this step needs a cluster", source)
    }
}

impl From<FetchError> for Error {
    fn from(error: FetchError) -> Self {
        Self { class: error.class, message: error.message, expected: None, observed: Vec::new(), source: error.source }
    }
}

impl From<HelmError> for Error {
    fn from(error: HelmError) -> Self {
        let observed = error.stderr.lines().map(str::to_owned).collect();
        Self { class: error.class, message: error.message, expected: None, observed, source: None }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut causes = Vec::new();
        let mut below = std::error::Error::source(&error);
        while let Some(cause) = below {
            causes.push(cause.to_string());
            below = cause.source();
        }
        Self { class: error.class, causes, message: error.message, expected: error.expected, observed: error.observed }
    }
}
