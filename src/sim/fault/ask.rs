use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::catalog::{Act, FaultKind, Parameter, Unit, faults};
use crate::sim::Verb;
use crate::text;

/// A fault as somebody asks for it: `NAME[:key=value,…]`.
#[derive(Clone, Debug)]
pub struct Fault {
    kind: FaultKind,
    values: Vec<(&'static str, String)>,
}

/// Why a fault that was asked for is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// There is none of this name.
    #[error("there is no fault `{name}`{} `lariat sim faults` lists them", meant(suggestion.as_deref()))]
    FindKind {
        /// The name.
        name: String,
        /// One that is like it.
        suggestion: Option<String>,
    },
    /// It has no such parameter.
    #[error("the fault `{fault}` has no `{key}`{} it has {}", meant(suggestion.as_deref()), parameters(known))]
    FindKey {
        /// The fault.
        fault: &'static str,
        /// The parameter.
        key: String,
        /// One that is like it.
        suggestion: Option<String>,
        /// Those that it has.
        known: Vec<String>,
    },
    /// A part of it is no assignment.
    #[error(
        "`{part}` in the fault `{fault}` says nothing; write it like `key=value`, one after another with commas between"
    )]
    ReadPart {
        /// The fault.
        fault: &'static str,
        /// What stands there.
        part: String,
    },
    /// A parameter is said twice.
    #[error("the fault `{fault}` is told `{key}` twice")]
    Repeat {
        /// The fault.
        fault: &'static str,
        /// The parameter.
        key: &'static str,
    },
    /// A value is not of the kind that the parameter takes.
    #[error("`{value}` is no `{key}` of the fault `{fault}`, which is {expected}")]
    ReadValue {
        /// The fault.
        fault: &'static str,
        /// The parameter.
        key: &'static str,
        /// What stands there.
        value: String,
        /// What is expected.
        expected: String,
    },
    /// It would come again while it still lasts.
    #[error("the fault `{fault}` comes again every {every} and has to be over by then: say `for` with less than that")]
    Overlap {
        /// The fault.
        fault: &'static str,
        /// How often it comes.
        every: String,
    },
}

fn meant(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(|| ";".to_owned(), |word| format!(", did you mean `{word}`?"))
}

fn parameters(known: &[String]) -> String {
    if known.is_empty() { "no parameters".to_owned() } else { text::and(known) }
}

const VERBS: [Verb; 10] = [
    Verb::Get,
    Verb::List,
    Verb::Watch,
    Verb::Create,
    Verb::Update,
    Verb::Patch,
    Verb::Delete,
    Verb::DeleteCollection,
    Verb::Connect,
    Verb::Other,
];

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(written: &str) -> Result<Self, FaultError> {
        let (name, parts) = written.split_once(':').unwrap_or((written, ""));
        let all = faults();
        let suggestion = || text::suggest(name, all.iter().map(|kind| kind.name)).map(str::to_owned);
        let kind = all
            .iter()
            .find(|kind| kind.name == name)
            .ok_or_else(|| FaultError::FindKind { name: name.to_owned(), suggestion: suggestion() })?;
        let fault = kind.name;
        let mut values: Vec<(&'static str, String)> = Vec::new();
        for part in parts.split(',').filter(|part| !part.is_empty()) {
            let (key, value) =
                part.split_once('=').ok_or_else(|| FaultError::ReadPart { fault, part: part.to_owned() })?;
            let known = || kind.parameters.iter().map(|parameter| parameter.name);
            let parameter = kind.parameters.iter().find(|own| own.name == key).ok_or_else(|| FaultError::FindKey {
                fault,
                key: key.to_owned(),
                suggestion: text::suggest(key, known()).map(str::to_owned),
                known: known().map(|name| format!("`{name}`")).collect(),
            })?;
            let key = parameter.name;
            if parameter.unit != Unit::Label && values.iter().any(|(own, _)| *own == key) {
                return Err(FaultError::Repeat { fault, key });
            }
            check(fault, parameter, value)?;
            values.push((key, value.to_owned()));
        }
        let fault = Self { kind: kind.clone(), values };
        fault.check_times()?;
        Ok(fault)
    }
}

/// Whether a value is one of the parameter's unit.
fn check(fault: &'static str, parameter: &Parameter, value: &str) -> Result<(), FaultError> {
    let fits = match parameter.unit {
        Unit::Span => text::parse_duration(value).is_ok(),
        Unit::Number => value.parse::<u64>().is_ok(),
        Unit::Status => value.parse::<u16>().is_ok_and(|code| (400..600).contains(&code)),
        Unit::Word => !value.is_empty(),
        Unit::Label => value.split_once('=').is_some_and(|(label, _)| !label.is_empty()),
        Unit::Verb => VERBS.iter().any(|verb| verb.word() == value),
    };
    if fits {
        return Ok(());
    }
    let expected = match parameter.unit {
        Unit::Verb => format!("one of {}", text::or(&VERBS.map(|verb| format!("`{}`", verb.word())))),
        unit => unit.to_string(),
    };
    Err(FaultError::ReadValue { fault, key: parameter.name, value: value.to_owned(), expected })
}

impl Fault {
    /// Which it is.
    pub fn kind(&self) -> &FaultKind {
        &self.kind
    }

    pub(super) fn act(&self) -> Act {
        self.kind.act
    }

    /// What a parameter is, said or by default.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        let said = self.values.iter().find(|(own, _)| *own == key).map(|(_, value)| value.as_str());
        let default = || self.kind.parameters.iter().find(|own| own.name == key).map(|own| own.default);
        said.or_else(default).filter(|value| !value.is_empty())
    }

    pub(super) fn word(&self, key: &str) -> Option<String> {
        self.text(key).map(str::to_owned)
    }

    pub(super) fn span(&self, key: &str) -> Option<Duration> {
        self.text(key).map(|value| text::parse_duration(value).expect("it was checked when it was read"))
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.text(key).map(|value| value.parse().expect("it was checked when it was read"))
    }

    pub(super) fn verb(&self) -> Option<Verb> {
        let word = self.text("verb")?;
        VERBS.into_iter().find(|verb| verb.word() == word)
    }

    pub(super) fn labels(&self) -> Vec<(String, String)> {
        let values = self.values.iter().filter(|(key, _)| *key == "label");
        let pairs = values.filter_map(|(_, value)| value.split_once('='));
        pairs.map(|(label, value)| (label.to_owned(), value.to_owned())).collect()
    }

    fn check_times(&self) -> Result<(), FaultError> {
        let Some(every) = self.span("every") else { return Ok(()) };
        let lasts_on = self.kind.parameters.iter().any(|own| own.name == "for");
        let lasts = match self.span("for") {
            Some(lasts) => lasts,
            None if lasts_on => Duration::MAX,
            None => Duration::ZERO,
        };
        if lasts < every {
            return Ok(());
        }
        Err(FaultError::Overlap { fault: self.kind.name, every: text::duration(every) })
    }
}

/// As it was written.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name)?;
        for (at, (key, value)) in self.values.iter().enumerate() {
            write!(f, "{}{key}={value}", if at == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}
