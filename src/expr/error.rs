use cel::ExecutionError;
use cel::objects::ValueType;

/// Why an expression came to no value.
///
/// A condition takes any of them as *unmet*; a check counts the versions it
/// could not judge. [`Error::is_missing`] tells an object that does not have
/// the field (yet) from an expression that can never hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field, key or element is not there.
    #[error("{message}, in `{expression}`")]
    Missing {
        /// What is missing.
        message: String,
        /// The source, shortened to a line.
        expression: String,
    },
    /// A variable is not bound where this was evaluated.
    #[error("nothing is called `{name}` here, in `{expression}`")]
    Unbound {
        /// The variable.
        name: String,
        /// The source, shortened to a line.
        expression: String,
    },
    /// A value has another type than the expression needs.
    #[error("{message}, in `{expression}`")]
    Mismatched {
        /// What was needed and what was found.
        message: String,
        /// The source, shortened to a line.
        expression: String,
    },
    /// The types fit but the value does not: a text that is no quantity, a division by zero.
    #[error("{message}, in `{expression}`")]
    Refused {
        /// What was wrong with the value.
        message: String,
        /// The source, shortened to a line.
        expression: String,
    },
}

/// What the interpreter says it wants when it has no form of its own for a value.
pub(super) const NO_VALUE: &str = "a type representable as `Value`";

/// The function under whose name an evaluation that costs too much is reported.
pub(super) const BUDGET: &str = "@budget";

/// The function under whose name a field that a function of ours needs is reported missing.
pub(super) const ABSENT: &str = "@absent";

impl Error {
    /// Whether something is only not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Error::Missing { .. })
    }

    /// The source that was evaluated, shortened to a line.
    pub fn expression(&self) -> &str {
        match self {
            Error::Missing { expression, .. }
            | Error::Unbound { expression, .. }
            | Error::Mismatched { expression, .. }
            | Error::Refused { expression, .. } => expression,
        }
    }

    pub(super) fn missing(source: &str, message: impl Into<String>) -> Self {
        Error::Missing { message: message.into(), expression: shorten(source) }
    }

    pub(super) fn mismatched(source: &str, message: impl Into<String>) -> Self {
        Error::Mismatched { message: message.into(), expression: shorten(source) }
    }

    pub(super) fn refused(source: &str, message: impl Into<String>) -> Self {
        Error::Refused { message: message.into(), expression: shorten(source) }
    }

    pub(super) fn of(error: ExecutionError, source: &str) -> Self {
        use ExecutionError as E;
        match error {
            E::NoSuchKey(key) => Self::missing(source, format!("no such key: `{key}`")),
            E::IndexOutOfBounds(index) => Self::missing(source, format!("the list has no element {}", scalar(&index))),
            E::UndeclaredReference(name) if *name == super::NOW => {
                Self::refused(source, "the time is not known here, so `age` has no answer")
            }
            E::UndeclaredReference(name) => Error::Unbound { name: name.to_string(), expression: shorten(source) },
            E::NoSuchOverload(overload) => {
                let types: Vec<&str> = overload.argument_types().iter().map(|name| plain(name)).collect();
                match (overload.function(), types.as_slice()) {
                    ("_._" | "_?._" | "_[_]", ["null", ..]) => {
                        Self::missing(source, "a field was asked of a value that is null")
                    }
                    ("_._" | "_?._", [on, ..]) => Self::mismatched(source, format!("{} has no fields", article(on))),
                    ("_[_]" | "_[?_]", [on, by]) => {
                        Self::mismatched(source, format!("{} cannot be indexed by {}", article(on), article(by)))
                    }
                    (function, types) => Self::mismatched(source, unfit(function, types)),
                }
            }
            E::UnsupportedBinaryOperator(operator, left, right) => {
                let types = [of_value(&left), of_value(&right)];
                Self::mismatched(source, unfit(operator, &types))
            }
            E::ValuesNotComparable(left, right) => {
                let message = format!("{} cannot be compared with {}", of_value(&left), of_value(&right));
                Self::mismatched(source, message)
            }
            E::UnexpectedType { got, want } if want == "iterable" => {
                Self::mismatched(source, format!("{} has no elements to go over", article(plain(&got))))
            }
            E::UnexpectedType { got, want } => {
                Self::mismatched(source, format!("expected {}, found {}", plain(&want), plain(&got)))
            }
            E::UnsupportedKeyType(key) => {
                Self::mismatched(source, format!("{} cannot be a key of a map", article(of_value(&key))))
            }
            E::DivisionByZero(_) | E::RemainderByZero(_) => Self::refused(source, "division by zero"),
            E::Overflow(..) => Self::refused(source, "a number became too large"),
            E::DuplicateKey(key) => Self::refused(source, format!("the key {} is there twice", scalar(&key))),
            E::FunctionError { function, message } => match function.as_str() {
                BUDGET => Self::refused(source, message),
                ABSENT => Self::missing(source, message),
                _ => Self::refused(source, format!("`{function}`: {}", one_line(&message))),
            },
            other => Self::refused(source, other.to_string()),
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// One line of at most 120 characters.
fn shorten(source: &str) -> String {
    let line = one_line(source);
    match line.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The sentence for an operator or function whose arguments have the wrong types.
fn unfit(function: &str, types: &[&str]) -> String {
    let operator = match function {
        "add" | "_+_" => "+",
        "sub" | "_-_" => "-",
        "mul" | "_*_" => "*",
        "div" | "_/_" => "/",
        "rem" | "mod" | "_%_" => "%",
        "@in" | "@among" => "in",
        other => other.trim_matches('_'),
    };
    match types {
        [] => format!("`{operator}` cannot be used here"),
        [one] => format!("`{operator}` cannot be applied to {}", article(one)),
        [left, right] => format!("`{operator}` cannot be applied to {} and {}", article(left), article(right)),
        more => format!("`{operator}` cannot be applied to ({})", more.join(", ")),
    }
}

/// CEL's name of a type as it is said in a sentence.
pub(super) fn plain(name: &str) -> &str {
    match name {
        "google.protobuf.Duration" => "duration",
        "google.protobuf.Timestamp" => "timestamp",
        "null_type" => "null",
        "optional_type" => "optional",
        other => other,
    }
}

fn article(name: &str) -> String {
    match name {
        "null" | "bytes" => name.to_owned(),
        name if name.starts_with(['a', 'e', 'i', 'o']) => format!("an {name}"),
        name => format!("a {name}"),
    }
}

/// The type of one of the interpreter's own values.
///
/// It shows ours as null when it reports them, so null is not taken at its word.
pub(super) fn of_value(value: &cel::Value) -> &'static str {
    match value.type_of() {
        ValueType::List => "list",
        ValueType::Map => "map",
        ValueType::Function => "function",
        ValueType::Int => "int",
        ValueType::UInt => "uint",
        ValueType::Float => "double",
        ValueType::String => "string",
        ValueType::Bytes => "bytes",
        ValueType::Bool => "bool",
        ValueType::Duration => "duration",
        ValueType::Timestamp => "timestamp",
        _ => "value of another type",
    }
}

fn scalar(value: &cel::Value) -> String {
    match value {
        cel::Value::Int(i) => i.to_string(),
        cel::Value::UInt(u) => u.to_string(),
        cel::Value::Bool(b) => b.to_string(),
        cel::Value::String(s) => format!("`{s}`"),
        _ => "that was asked for".to_owned(),
    }
}
